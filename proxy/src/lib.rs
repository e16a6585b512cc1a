//! Being built.

pub mod cli;
pub mod control;
pub mod doctor;
pub mod error;
pub mod http;
pub mod limits;
pub mod observe;
pub mod route;
pub mod server;
pub mod upstream;
pub mod worker;

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
