//! The harness that Ringlane is measured with.
//!
//! ```text
//!   load  ──►  [ direct | floor | ringlane | nginx | haproxy ]  ──►  echo
//!    │                        │
//!    │ latency, counts,       │ CPU time, read from outside
//!    ▼ checked answers        ▼
//!   report: table, JSON, HdrHistogram distribution and log, CSV
//! ```
//!
//! In reading order: [`pattern`] (the bytes every body is made of), [`http`] (pure functions over bytes),
//! [`runtime`], [`socket`] and [`stream`] (monoio, set up), [`echo`] (the origin), [`floor`] (the bare forwarder that a
//! proxy is measured against), [`load`] (the load generator), [`report`] (what is written down), [`loadtest`] (all of it
//! end to end, beside other proxies), [`release`] (what it refuses to measure), [`page`] (how that is shown to people), [`guard`] (what became worse since),
//! [`memory`] (a proxy's memory under all that clients do), [`storm`] (what changes cost it), [`faults`] (what faults of its
//! neighbours do to it, one by one), [`chaos`] (all of them at random).
//!
//! *Invariant*: nothing here comes from the proxy's code. A judge that shares a parser with the accused shares its
//! mistakes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chaos;
pub mod cli;
mod client;
pub mod cpu;
pub mod echo;
pub mod fault;
pub mod faults;
pub mod floor;
pub mod guard;
pub mod http;
pub mod load;
pub mod loadtest;
pub mod memory;
pub mod page;
pub mod pattern;
pub mod release;
pub mod report;
pub mod resident;
pub mod runtime;
pub mod socket;
pub mod storm;
pub mod stream;
