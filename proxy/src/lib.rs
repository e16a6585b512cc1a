//! Being built.

pub mod cli;
pub mod control;
pub mod doctor;
pub mod http;
pub mod limits;
pub mod observe;
pub mod route;
pub mod server;
pub mod upstream;
