//! Ringlane: a thread-per-core HTTP reverse proxy on io_uring.
//!
//! ```text
//!  data plane, once per worker (a pinned core)                 control plane, one thread
//!
//!  listener -> connection -> http (head, strict rules)         file -> raw -> validate -> Config
//!                 |            |                                                 | names resolved
//!                 |            v                                                 v
//!                 |          rule (may it go on?)                                |
//!                 |            v                                                 v
//!                 |          route (which route?) <--- adopt ---- publish <- compile -> RouteTable
//!                 v            |
//!              exchange -> forward -> pool -> upstream (which endpoint?)
//!                 |            |
//!                 |          relay (bodies) | tunnel (after 101)
//!                 v
//!              observe (counters, histograms, access log) ------> admin: /metrics /latency /config
//! ```
//!
//! In reading order:
//!
//! - [`limits`]: every built-in bound.
//! - [`http`]: bytes to values and back. Pure.
//! - [`proxy_protocol`]: what load balancers put before everything else on a connection. Pure.
//! - [`route`]: which route serves a request. Pure and immutable.
//! - [`limit`]: how much is too much. Pure.
//! - [`rule`]: what is done about a request before it is routed. Pure and immutable.
//! - [`upstream`]: which endpoint serves it. Pure.
//! - [`overload`]: what a worker turns away when it has too much to do. Pure.
//! - [`error`]: what can go wrong, and on whose side.
//! - [`worker`]: one core and all it owns; the only place that does input and output for clients and upstreams.
//! - [`observe`]: what happened.
//! - [`control`]: config, and how a change of it becomes a published table; the admin listener.
//! - [`server`]: the process: starts, supervises and ends all of the above.
//! - [`cli`], [`doctor`]: what a person at a terminal meets.
//!
//! ARCHITECTURE.md in the repository has the life of a request, the invariants and the decisions.

pub mod cli;
pub mod control;
pub mod doctor;
pub mod error;
pub mod http;
pub mod limit;
pub mod limits;
pub mod observe;
pub mod overload;
pub mod proxy_protocol;
pub mod route;
pub mod rule;
pub mod server;
pub mod upstream;
pub mod worker;

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
