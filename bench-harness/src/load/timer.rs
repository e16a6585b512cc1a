//! A timer that is precise to what the kernel can do. The runtime's own round up to a millisecond.
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use monoio::net::TcpStream;

use crate::runtime::Driver;

/// A timerfd that wakes the event loop like any other descriptor: nothing spins, and one timer serves all arrivals of a
/// thread.
pub(super) struct Timer {
    /// monoio polls streams only. This one is never read from or written to.
    polled: TcpStream,
}

impl Timer {
    pub(super) fn new(driver: Driver) -> io::Result<Self> {
        let nonblocking = if driver == Driver::Epoll { libc::TFD_NONBLOCK } else { 0 };
        // SAFETY: takes two numbers, gives a descriptor or -1.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | nonblocking) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { polled: TcpStream::from_std(fd.into())? })
    }

    /// Sleeps for `time`, and not less.
    pub(super) async fn sleep(&self, time: Duration) -> io::Result<()> {
        // All zeros would switch the timer off.
        let time = time.max(Duration::from_nanos(1));
        let setting = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec {
                tv_sec: time.as_secs() as libc::time_t,
                tv_nsec: time.subsec_nanos().into(),
            },
        };
        // Setting it again also takes back an expiry that was not read.
        // SAFETY: reads the one struct; the descriptor is open as long as `polled`.
        let status =
            unsafe { libc::timerfd_settime(self.polled.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
        if status < 0 {
            return Err(io::Error::last_os_error());
        }
        self.polled.readable(false).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::runtime::{DriverChoice, Runtime};

    #[test]
    fn it_never_wakes_early_on_either_driver() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let mut runtime = Runtime::new(choice).unwrap();
            let driver = runtime.driver();
            runtime.block_on(async {
                let timer = Timer::new(driver).unwrap();
                for micros in [0, 100, 3_000, 1] {
                    let time = Duration::from_micros(micros);
                    let start = Instant::now();
                    timer.sleep(time).await.unwrap();
                    assert!(start.elapsed() >= time, "{micros} us on {driver}");
                }
            });
        }
    }
}
