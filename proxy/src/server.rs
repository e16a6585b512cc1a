//! Stand-in for the server: it starts workers and the control thread, and owns the order of shutdown.

use std::path::Path;

use crate::control::config::Config;

/// Why the server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(String);

/// Serves until a signal ends it. `path` is read again on HUP.
///
/// # Errors
/// The server is not built yet.
pub fn run(path: &Path, config: Config) -> Result<(), ServerError> {
    let _ = config;
    Err(ServerError(format!("{}: serving is not built yet", path.display())))
}
