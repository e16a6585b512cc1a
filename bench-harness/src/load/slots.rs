//! Requests in flight, so that a stuck one is found without a timer of its own.
use std::{
    cell::Cell,
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use monoio::net::TcpStream;

/// What one connection is doing.
#[derive(Debug, Default)]
pub(super) struct Slot {
    since: Cell<Option<Instant>>,
    fd: Cell<Option<RawFd>>,
    expired: Cell<bool>,
}

impl Slot {
    /// A request goes out on `stream`, which stays open until [`Slot::end`].
    pub(super) fn begin(&self, now: Instant, stream: &TcpStream) {
        self.since.set(Some(now));
        self.fd.set(Some(stream.as_raw_fd()));
    }

    /// The request is over; says whether that was because it took too long.
    pub(super) fn end(&self) -> bool {
        self.since.set(None);
        self.fd.set(None);
        self.expired.replace(false)
    }

    /// Ends the request if it is older than `timeout`: its pending read or write then fails.
    pub(super) fn expire(&self, now: Instant, timeout: Duration) {
        let (Some(since), Some(fd)) = (self.since.get(), self.fd.get()) else { return };
        if !self.expired.get() && now.saturating_duration_since(since) > timeout {
            self.expired.set(true);
            // SAFETY: begin and end bracket the life of the stream on this one thread, so the descriptor is its own.
            unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }
}
