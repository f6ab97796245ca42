//! A proxy under test as a child process: started, watched until it is ready, stopped; never left behind.
//! Leaves out configuration: the caller writes it.
//! The child's standard error goes to a file, so that nothing blocks on a full pipe.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http;

/// Between two looks at the child.
const POLL: Duration = Duration::from_millis(10);

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct ProxyProcess {
    child: Child,
}

impl ProxyProcess {
    /// Starts `command` with its standard error appended to `log`.
    ///
    /// # Errors
    /// When the log can't be opened or the program can't be started.
    pub fn spawn(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `GET /readyz` at `admin` answers 200.
    ///
    /// # Errors
    /// When the child ends first, or after `limit`.
    pub fn wait_ready(&mut self, admin: SocketAddr, limit: Duration) -> io::Result<()> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "the proxy ended before it was ready: {status}"
                )));
            }
            if http::request(admin, "GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the proxy did not become ready",
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends SIGTERM, which asks a proxy to drain and end.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Sends SIGHUP, which asks a proxy to read its routing data anew.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn hang_up(&self) -> io::Result<()> {
        self.signal(Signal::SIGHUP)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Waits for the end of the child.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the process did not end",
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends the child at once, as `kill -9` does, and collects it.
    ///
    /// # Errors
    /// When it can't be collected.
    pub fn kill_9(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Whether the child still runs.
    ///
    /// # Errors
    /// When its state can't be read.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
