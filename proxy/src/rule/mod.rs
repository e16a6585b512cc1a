//! What is done about a request before it is routed: denied, dropped, tagged, its line in the access log sampled.
//! Pure and immutable: no sockets, no config syntax, no clock, no chance.
//!
//! ```text
//! request -> index: which conditions of any rule hold (a look-up each by client, host, path, method; one pass over
//!                   fields and query; regexes only where their fixed part is found)
//!         -> rules that have such a condition as one that they need -> their whole expression, in the order of the file
//! ```
//!
//! [`Rules::matches`] equals asking every rule in the order of the file, and ending with the first that denies or drops
//! (a property test holds that). At steady state it allocates nothing: what it needs to remember is in a [`Scratch`] that
//! its caller keeps.

mod action;
mod build;
mod condition;
mod expression;
mod index;
mod matches;
mod network;
mod networks;
mod request;
mod scratch;
#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;

pub use action::{End, Log, Rule, Share, Tag};
pub use build::{BuildError, Rules};
pub use condition::Condition;
pub use matches::Matches;
pub use network::Network;
pub use networks::Networks;
pub use request::{Lines, Request};
pub use scratch::Scratch;
