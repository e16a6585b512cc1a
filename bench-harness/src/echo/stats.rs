//! What the origin counted, to be held against what a load generator counted.
use std::cell::{Cell, RefCell};

use serde::{Deserialize, Serialize};

/// Counters of the one thread; a cell each, because nobody else writes them.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) asked: Cell<u64>,
    pub(crate) requests: Cell<u64>,
    pub(crate) connections: Cell<u64>,
    pub(crate) open: Cell<u64>,
    pub(crate) bad_requests: Cell<u64>,
    pub(crate) cut_requests: Cell<u64>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) delayed: Cell<u64>,
    pub(crate) errors: Cell<u64>,
    pub(crate) drops_before_head: Cell<u64>,
    pub(crate) drops_in_body: Cell<u64>,
    pub(crate) last_bad_request: RefCell<String>,
}

/// The answer of `GET /__stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Requests whose head has come, whatever became of them.
    pub asked: u64,
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
    /// Answers that the port's behaviour delayed.
    pub delayed: u64,
    /// Answers whose status is the behaviour's.
    pub errors: u64,
    /// Connections closed in place of an answer.
    pub drops_before_head: u64,
    /// Connections closed in the middle of a body.
    pub drops_in_body: u64,
    /// What was wrong with the last malformed request, and how it began.
    pub last_bad_request: String,
}

/// Adds to a counter.
pub(crate) fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

impl Snapshot {
    /// Adds another port's counts.
    pub(crate) fn add(&mut self, other: Snapshot) {
        self.asked += other.asked;
        self.requests += other.requests;
        self.connections += other.connections;
        self.open += other.open;
        self.bad_requests += other.bad_requests;
        self.cut_requests += other.cut_requests;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.delayed += other.delayed;
        self.errors += other.errors;
        self.drops_before_head += other.drops_before_head;
        self.drops_in_body += other.drops_in_body;
        if !other.last_bad_request.is_empty() {
            self.last_bad_request = other.last_bad_request;
        }
    }
}

impl Stats {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            asked: self.asked.get(),
            requests: self.requests.get(),
            connections: self.connections.get(),
            open: self.open.get(),
            bad_requests: self.bad_requests.get(),
            cut_requests: self.cut_requests.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            delayed: self.delayed.get(),
            errors: self.errors.get(),
            drops_before_head: self.drops_before_head.get(),
            drops_in_body: self.drops_in_body.get(),
            last_bad_request: self.last_bad_request.borrow().clone(),
        }
    }
}
