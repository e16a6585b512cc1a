//! What the worker's tick waits by: a timer of the kernel's, which the event loop polls like any descriptor.
//!
//! Not the runtime's own timer: as long as that is set, each wait for events has to end in time for it, and the kernel sets
//! and takes back a timer whenever the worker has nothing to do.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use monoio::net::TcpStream;

/// A timer for one task.
pub struct Ticker {
    /// Carries any descriptor: only its readiness is asked for.
    polled: TcpStream,
}

impl Ticker {
    /// A timer on this thread's event loop.
    pub fn new() -> io::Result<Ticker> {
        // SAFETY: a system call without pointers.
        let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Ticker { polled: TcpStream::from_std(std::net::TcpStream::from(fd))? })
    }

    /// Waits for `time`, which is more than none.
    pub async fn wait(&self, time: Duration) {
        if self.set(time).is_err() || self.polled.readable(false).await.is_err() {
            // Neither fails with a timer; should one, the tick goes on.
            monoio::time::sleep(time).await;
        }
    }

    /// Has it fire once, when `time` is over. It so is no longer ready from the last time.
    fn set(&self, time: Duration) -> io::Result<()> {
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let first = libc::timespec {
            tv_sec: time.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(time.subsec_nanos()),
        };
        let once = libc::itimerspec { it_interval: none, it_value: first };
        let raw = self.polled.as_raw_fd();
        // SAFETY: the descriptor is open as long as `self` is; `once` is only read, and nothing is written.
        let result = unsafe { libc::timerfd_settime(raw, 0, &raw const once, std::ptr::null_mut()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
