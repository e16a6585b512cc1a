//! Change over time: a file's text to the table that workers read.
//!
//! ```text
//! source -> raw (every key, its bounds and default, its place) -> validate -> Desired -> Config -> compile -> RouteTable
//!                                                                            names -> resolve ----^
//! checks, what workers have seen -> health -> shares of endpoints, circuits of upstreams
//! ```

pub mod admin;
pub mod ask;
pub mod base;
pub mod compile;
pub mod config;
pub mod describe;
pub mod desired;
pub mod diff;
pub mod error;
pub mod etcd;
pub mod explain;
pub mod files;
pub mod health;
pub mod identities;
mod in_force;
mod included;
pub mod live;
pub mod met;
pub mod pace;
mod places;
pub mod publish;
pub(crate) mod raw;
mod read;
pub mod resolve;
pub mod schema;
mod validate;
pub mod watch;

pub use compile::{Compiled, compile};
pub use identities::Identities;
pub use resolve::Resolved;

#[cfg(test)]
mod tests;
