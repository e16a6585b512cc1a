//! Change over time: a file's text to the table that workers read.
//!
//! ```text
//! text -> raw (every key, its bounds and default, its place) -> validate -> Config -> compile -> RouteTable
//!                                                               names -> resolve ----^
//! ```

pub mod admin;
pub mod compile;
pub mod config;
pub mod describe;
pub mod error;
pub mod identities;
mod in_force;
mod load;
mod places;
pub mod publish;
pub(crate) mod raw;
pub mod resolve;
pub mod schema;
mod validate;

pub use compile::{Compiled, compile};
pub use identities::Identities;
pub use resolve::Resolved;

#[cfg(test)]
mod tests;
