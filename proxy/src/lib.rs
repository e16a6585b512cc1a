//! Being built.

pub mod control;
pub mod http;
pub mod limits;
pub mod observe;
pub mod route;
pub mod upstream;
