//! One process per directory: an exclusive lock on a file in it, held as long as the value lives.
//! The kernel releases it when the process dies, however it dies. Leaves out: locks across machines.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::private;

/// Name of the file that carries the lock.
const FILE_NAME: &str = "tandem.lock";

/// An exclusive claim on a directory.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("directory {} is in use by process {holder}; two processes may not share it", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// Process id, or what is known of it.
        holder: String,
    },
    /// The directory can't be created or written.
    #[error("directory {} can't be used: {error}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl DirectoryLock {
    /// Creates the directory when it is missing and claims it; does not wait.
    ///
    /// # Errors
    /// [`LockError::Held`] names the process that holds it; [`LockError::Io`] when it can't be created or written.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let io = |error| LockError::Io {
            directory: directory.to_owned(),
            error,
        };
        private::create_directories(directory).map_err(io)?;
        let path = directory.join(FILE_NAME);
        let mut file = private::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.read_to_string(&mut holder).is_ok();
                let holder = if read && !holder.trim().is_empty() {
                    holder.trim().to_owned()
                } else {
                    "unknown".into()
                };
                return Err(LockError::Held {
                    directory: directory.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_is_refused_with_the_holder_and_the_directory_until_the_first_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let nested = directory.path().join("a/b");
        let first = DirectoryLock::acquire(&nested).unwrap();
        let message = DirectoryLock::acquire(&nested).unwrap_err().to_string();
        assert!(message.contains(&nested.display().to_string()), "{message}");
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        drop(first);
        DirectoryLock::acquire(&nested).unwrap();
    }

    #[test]
    fn a_path_that_is_a_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = DirectoryLock::acquire(file.path()).unwrap_err().to_string();
        assert!(
            message.contains(&file.path().display().to_string()),
            "{message}"
        );
    }
}
