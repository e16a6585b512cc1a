//! Integration tests: the real binary, real sockets, raw bytes. One binary, so that it is linked once.
//!
//! ```text
//! test -> Client (raw bytes) -> proxy, a process of its own -> Origin (scripted, or driven by the test itself)
//! ```
//!
//! Every test runs with io_uring and with epoll (`both_drivers!`). Nothing sleeps: a test waits for bytes, for the end
//! of a connection, for a log line or for a metric, each with a bound (`harness::wait`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    reason = "a test that can't go on has failed"
)]
// It belongs to the library and to its binary.
#![allow(unused_crate_dependencies)]

#[macro_use]
mod harness;

mod access_log;
mod admin;
mod admin_api;
mod balancing;
mod cli;
mod client_address;
mod clients;
mod crowd;
mod deadlines;
mod descriptors;
mod endpoints;
mod etcd;
mod faults;
mod files;
mod health;
mod hedges;
mod http1;
mod limits;
mod limits_clients;
mod limits_paces;
mod listeners;
mod listeners_live;
mod littles_law;
mod names;
mod overload;
mod pool;
mod process;
mod proxy_protocol;
mod queue;
mod reload;
mod retries;
mod retries_bodies;
mod routing;
mod rules;
mod runtime;
mod seats;
mod shares;
mod smoke;
mod stale;
mod terminations;
mod timeouts;
mod timeouts_whole;
mod trace;
mod upstream_faults;
