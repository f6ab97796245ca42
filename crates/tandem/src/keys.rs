//! The two secrets a node keeps on disk: the keys of the Record-Route cookie and the admin token.
//! Both are made on first start with mode 0600, and refused when others can read them.
//! Leaves out rotation: an operator puts a new first line into the key file and restarts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;

/// A secret file that can't be used; the message names the file and never its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read or made.
    #[error("{}: can't be read or made: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its content is not what it should be.
    #[error("{}:{line}: {allowed}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Group or others may read it.
    #[error("{}: mode {mode:04o} lets others read it; allowed: 0600 (chmod 600)", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// The mode found.
        mode: u32,
    },
}

/// The keys of the Record-Route cookie; their `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieKeys {
    /// Signs and verifies.
    pub current: [u8; 16],
    /// Verifies only, so that calls made before a rotation can still be hung up.
    pub previous: Option<[u8; 16]>,
}

impl std::fmt::Debug for CookieKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("CookieKeys(…)")
    }
}

/// The bearer token of the admin interface; its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct AdminToken(String);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("AdminToken(…)")
    }
}

impl AdminToken {
    /// The token, to send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is the token; takes the same time whatever differs.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), offered.as_bytes());
        let different = ours
            .iter()
            .zip(theirs)
            .fold(0_u8, |found, (ours, theirs)| found | (ours ^ theirs));
        ours.len() == theirs.len() && different == 0
    }
}

/// The cookie keys in `path`, made when the file does not exist.
///
/// # Errors
/// The file can't be read or made, is readable by others, or holds anything but one or two lines of 32 hexadecimal
/// digits.
pub fn cookie_keys(path: &Path) -> Result<CookieKeys, KeyError> {
    let text = read_or_make(path, || {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(HEXLOWER_PERMISSIVE.encode(&key))
    })?;
    let mut keys = Vec::new();
    for (index, line) in text
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let key = HEXLOWER_PERMISSIVE
            .decode(line.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        match key {
            Some(key) if keys.len() < 2 => keys.push(key),
            _ => {
                let allowed = "no cookie key; allowed: one or two lines (current, previous) of 32 hexadecimal digits";
                return Err(KeyError::Content {
                    path: path.to_owned(),
                    line: index + 1,
                    allowed,
                });
            }
        }
    }
    match keys[..] {
        [current] => Ok(CookieKeys {
            current,
            previous: None,
        }),
        [current, previous] => Ok(CookieKeys {
            current,
            previous: Some(previous),
        }),
        _ => {
            let allowed =
                "is empty; allowed: one or two lines (current, previous) of 32 hexadecimal digits";
            Err(KeyError::Content {
                path: path.to_owned(),
                line: 1,
                allowed,
            })
        }
    }
}

/// The admin token in `path`, made when the file does not exist.
///
/// # Errors
/// The file can't be read or made, is readable by others, or holds less than 16 characters.
pub fn admin_token(path: &Path) -> Result<AdminToken, KeyError> {
    let text = read_or_make(path, || {
        let mut token = [0; 32];
        getrandom::fill(&mut token).map_err(io::Error::other)?;
        Ok(HEXLOWER_PERMISSIVE.encode(&token))
    })?;
    token_in(path, &text)
}

/// The admin token in `path`, for a command that talks to a running proxy: `None` when there is no such file.
///
/// # Errors
/// As [`admin_token`].
pub fn existing_admin_token(path: &Path) -> Result<Option<AdminToken>, KeyError> {
    match fs::read_to_string(path) {
        Ok(text) => token_in(path, &text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::Io {
            path: path.to_owned(),
            error,
        }),
    }
}

fn token_in(path: &Path, text: &str) -> Result<AdminToken, KeyError> {
    let token = text.trim();
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let allowed =
            "no admin token; allowed: one line of at least 16 printable characters without spaces";
        return Err(KeyError::Content {
            path: path.to_owned(),
            line: 1,
            allowed,
        });
    }
    Ok(AdminToken(token.to_owned()))
}

fn read_or_make(
    path: &Path,
    content: impl FnOnce() -> io::Result<String>,
) -> Result<String, KeyError> {
    let failed = |error| KeyError::Io {
        path: path.to_owned(),
        error,
    };
    match File::open(path) {
        Ok(mut file) => {
            let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Readable {
                    path: path.to_owned(),
                    mode,
                });
            }
            io::read_to_string(&mut file).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = path
                .parent()
                .filter(|directory| *directory != Path::new(""))
            {
                fs::create_dir_all(directory).map_err(failed)?;
            }
            let text = content().map_err(failed)? + "\n";
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(failed)?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn secret(directory: &tempfile::TempDir, content: &str) -> PathBuf {
        let path = directory.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn cookie_keys_are_made_once_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/cookie.key");
        let made = cookie_keys(&path).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert_ne!(made.current, [0; 16]);
        assert_eq!(cookie_keys(&path).unwrap(), made);
    }

    #[test]
    fn a_second_line_is_the_previous_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = secret(
            &directory,
            "000102030405060708090a0b0c0d0e0f\nFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\n",
        );
        let keys = cookie_keys(&path).unwrap();
        assert_eq!((keys.current[15], keys.previous), (15, Some([0xff; 16])));
    }

    #[test]
    fn a_cookie_key_of_another_shape_is_refused_with_its_line_and_without_its_content() {
        let directory = tempfile::tempdir().unwrap();
        for (content, line) in [
            ("0001\n", 1),
            ("000102030405060708090a0b0c0d0e0f\nxyz\n", 2),
            ("", 1),
            (
                "00000000000000000000000000000000\n11111111111111111111111111111111\n22222222222222222222222222222222\n",
                3,
            ),
        ] {
            let path = secret(&directory, content);
            let message = cookie_keys(&path).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("{}:{line}: ", path.display())),
                "{message}"
            );
            assert!(
                !message.contains("xyz") && !message.contains("2222"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = secret(&directory, "0123456789abcdef0123\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let message = admin_token(&path).unwrap_err().to_string();
        assert!(
            message.ends_with("mode 0644 lets others read it; allowed: 0600 (chmod 600)"),
            "{message}"
        );
    }

    #[test]
    fn the_admin_token_matches_itself_alone_and_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.token");
        let token = admin_token(&path).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert!(token.matches(token.reveal()));
        assert!(!token.matches("") && !token.matches(&token.reveal()[1..]));
        assert!(!token.matches(&format!("{}x", token.reveal())));
        assert!(!format!("{token:?}").contains(token.reveal()));
        assert_eq!(
            existing_admin_token(&path).unwrap().unwrap().reveal(),
            token.reveal()
        );
    }

    #[test]
    fn a_command_without_a_token_file_goes_without_a_token() {
        let directory = tempfile::tempdir().unwrap();
        assert!(
            existing_admin_token(&directory.path().join("none"))
                .unwrap()
                .is_none()
        );
    }
}
