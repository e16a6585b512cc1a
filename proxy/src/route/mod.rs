//! Which route serves a request. Pure and immutable: no sockets, no config syntax, no clock.
//!
//! A `RouteTable` is compiled by the control thread from routes and upstreams, published once, and read by every
//! worker without a lock. Selection equals a linear scan of all routes in order of precedence.

pub mod action;
pub mod build;
pub(crate) mod difference;
pub mod explain;
mod header;
pub mod hedge;
pub mod host;
pub(crate) mod index;
pub mod listener;
mod method;
pub(crate) mod parameters;
pub mod path;
mod pattern_error;
mod precedence;
pub mod predicate;
pub mod prepared;
pub mod provenance;
pub(crate) mod query;
mod redirect;
mod rewrite;
mod split;
pub mod table;
#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
mod twins;

pub use action::{Action, Respond};
pub use build::{BuildError, Built, Parts};
pub use explain::{Outcome, Verdict};
pub use hedge::{Hedge, HedgeAfter};
pub use host::HostPattern;
pub use listener::Listener;
pub use path::PathPattern;
pub use pattern_error::PatternError;
pub use predicate::{Predicates, ValuePattern};
pub use prepared::{Prepared, asked_of};
pub use redirect::Redirect;
pub use rewrite::rewrite_target;
pub use split::{Shares, Split, SplitState};
pub use table::{RequestView, Route, RouteTable, Selected};
