//! What the origin counted, to be held against what a load generator counted.
use std::cell::{Cell, RefCell};

use serde::{Deserialize, Serialize};

/// Counters of the one thread; a cell each, because nobody else writes them.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) requests: Cell<u64>,
    pub(crate) connections: Cell<u64>,
    pub(crate) open: Cell<u64>,
    pub(crate) bad_requests: Cell<u64>,
    pub(crate) cut_requests: Cell<u64>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) last_bad_request: RefCell<String>,
}

/// The answer of `GET /__stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Well-formed requests, without those for `/__stats`.
    pub requests: u64,
    /// Connections accepted, this one included.
    pub connections: u64,
    /// Connections open now, this one included.
    pub open: u64,
    /// Malformed requests.
    pub bad_requests: u64,
    /// Requests that ended with their connection before they were complete.
    pub cut_requests: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// What was wrong with the last malformed request, and how it began.
    pub last_bad_request: String,
}

/// Adds to a counter.
pub(crate) fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

impl Stats {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            requests: self.requests.get(),
            connections: self.connections.get(),
            open: self.open.get(),
            bad_requests: self.bad_requests.get(),
            cut_requests: self.cut_requests.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            last_bad_request: self.last_bad_request.borrow().clone(),
        }
    }
}
