//! What is running.

use std::time::SystemTime;

/// What the process is, found out once at its start.
#[derive(Debug, Clone)]
pub struct Info {
    /// The package's version.
    pub version: String,
    /// How it was built: profile, and the commit where it is known.
    pub build: String,
    /// How workers do their input and output: `io_uring` with its flags, or `epoll`.
    pub driver: String,
    /// Why this driver.
    pub driver_reason: String,
    /// When the process started.
    pub started: SystemTime,
}

impl Info {
    /// The labels of `ringlane_info`, by name.
    pub(super) fn label(&self, name: &str) -> &str {
        match name {
            "version" => &self.version,
            "build" => &self.build,
            "driver" => &self.driver,
            "driver_reason" => &self.driver_reason,
            _ => "",
        }
    }
}
