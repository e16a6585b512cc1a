//! Which route serves a request. Pure and immutable: no sockets, no config syntax, no clock.
//!
//! A `RouteTable` is compiled by the control thread from routes and upstreams, published once, and read by every
//! worker without a lock. Selection equals a linear scan of all routes in order of precedence.

pub mod action;
pub mod host;
pub mod listener;
pub mod path;
pub mod precedence;
pub mod predicate;
pub mod table;

pub use action::{Action, Redirect, Respond, Split};
pub use listener::Listener;
pub use table::{Route, RouteTable, Selected};
