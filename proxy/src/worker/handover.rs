//! How listening sockets come to a worker and leave it, while it runs: one mailbox for each worker, looked at with its
//! tick. What lies in it is not what has changed but all that there is to be, so nothing is lost when changes come
//! faster than ticks, and a worker that is started again finds the same.

#![expect(clippy::disallowed_types, reason = "taken at a tick, and only when listeners have changed")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::route::Listener;

/// A listening socket for one worker.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Which one. A number is never given to another, and a socket that comes back after it had left has a new one.
    pub number: u32,
    /// Not blocking, already listening. It is the control thread's: a worker watches a duplicate.
    pub socket: Arc<socket2::Socket>,
    /// Whose it is. What is asked of its clients is what the newest table says of this listener.
    pub listener: Arc<Listener>,
    /// Nobody new is to be accepted: take who has come, and let go.
    pub leaving: bool,
}

/// All sockets that one worker is to accept from.
#[derive(Debug, Default)]
pub struct Handover {
    /// Counts what has been given.
    given: AtomicU64,
    bound: Mutex<Vec<Bound>>,
    /// Up to where the worker has let go of all that it was to let go of.
    done: AtomicU64,
}

impl Handover {
    /// These are all of them from now on.
    pub fn give(&self, bound: Vec<Bound>) {
        if let Ok(mut place) = self.bound.lock() {
            *place = bound;
            // With the lock held: who sees the number finds what it stands for, or something newer.
            self.given.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether the worker has let go of every socket that was leaving when the last ones were given.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.given.load(Ordering::Acquire)
    }

    /// The number of what was given last.
    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// What was given last, and its number.
    pub(super) fn bound(&self) -> (u64, Vec<Bound>) {
        match self.bound.lock() {
            Ok(bound) => (self.given(), bound.clone()),
            Err(_) => (0, Vec::new()),
        }
    }

    /// The worker has let go of all that was leaving in what had this number.
    pub(super) fn done(&self, number: u64) {
        self.done.store(number, Ordering::Release);
    }
}
