//! Sheds requests when this worker has more to do than it can. When, how many and which first: `crate::overload`.
//!
//! What is measured is how late the tick comes. Its timer is looked at when the worker has done all that was ready, and the
//! tick runs behind all that has become ready meanwhile: so it is late by the rest of one turn and the whole of the next,
//! which is what a request waits that comes at the same time. With thousands of clients that ask again as soon as they have
//! their answers, that is what grows. It costs a request nothing.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use super::{Worker, connection::Client};
use crate::{
    error::Failure,
    http::RequestHead,
    limits::TICK,
    overload::{Change, Priority, Shedder},
};

/// Between two lines of the log about the beginning of an overload.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What a worker knows of its load.
#[derive(Default)]
pub struct Load {
    /// Whether overload is looked for at all.
    is_watched: Cell<bool>,
    shedder: RefCell<Shedder>,
    /// CPU time of this thread at the last tick.
    cpu_time: Cell<Duration>,
    /// Requests shed since it began.
    shed: Cell<u64>,
    said: Cell<Option<Instant>>,
    /// Its beginning was said, so its end is.
    tells_end: Cell<bool>,
}

impl Worker {
    /// With every tick, which has come after `waited`.
    pub(super) fn watch_load(&self, waited: Duration, now: Instant) {
        let load = &self.load;
        let settings = self.adopted.borrow().table.overload;
        let Some(settings) = settings else {
            if load.is_watched.replace(false) {
                load.shedder.take();
                self.counters().overload_level.set(0);
            }
            return;
        };
        let cpu_time = cpu_time();
        let used = cpu_time.saturating_sub(load.cpu_time.replace(cpu_time));
        if !load.is_watched.replace(true) {
            return;
        }
        let lag = own_lag(waited, used);
        let mut shedder = load.shedder.borrow_mut();
        let change = shedder.observe(&settings, waited, lag);
        self.counters().overload_level.set(shedder.level().ceil() as u64);
        match change {
            Change::None => {}
            Change::Begun => load.say_begun(self.setup.index, lag, now),
            Change::Ended => load.say_ended(self.setup.index),
        }
    }
}

impl Load {
    #[cold]
    fn say_begun(&self, worker: usize, lag: Duration, now: Instant) {
        self.shed.set(0);
        let says = self.said.get().is_none_or(|last| now.duration_since(last) >= SAY_EVERY);
        self.tells_end.set(says);
        if says {
            self.said.set(Some(now));
            tracing::warn!(worker, lag_ms = lag.as_millis() as u64, "overloaded: shedding requests");
        }
    }

    #[cold]
    fn say_ended(&self, worker: usize) {
        if self.tells_end.get() {
            tracing::info!(worker, shed = self.shed.get(), "no longer overloaded");
        }
    }
}

/// Of how late a tick was, what is the worker's own doing. Where the thread has not run, because others had the CPU or the
/// process was stopped, there is nothing to shed that would help; half of the time is enough to count in full.
fn own_lag(waited: Duration, used: Duration) -> Duration {
    let busy = used.as_secs_f64() / waited.as_secs_f64().max(1e-6);
    waited.saturating_sub(TICK).mul_f64((2.0 * busy).min(1.0))
}

/// CPU time that this thread has used.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills a struct of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Whether a request may go to its upstream. What the proxy answers by itself costs no more than turning it away would, and is
/// never asked for.
///
/// # Errors
/// It is shed.
#[inline]
pub fn admit(client: &Client, head: &RequestHead, priority: Priority) -> Result<(), Failure> {
    let worker = &client.worker;
    if worker.load.is_watched.get() && worker.load.shedder.borrow_mut().sheds(priority) {
        let counters = worker.counters();
        match priority {
            Priority::Low => &counters.shed_low,
            Priority::Normal => &counters.shed_normal,
            Priority::High => &counters.shed_high,
        }
        .inc();
        worker.load.shed.set(worker.load.shed.get() + 1);
        return Err(Failure::Overloaded);
    }
    injected_work(head);
    Ok(())
}

#[cfg(not(debug_assertions))]
fn injected_work(_: &RequestHead) {}

/// Debug builds only: `X-Ringlane-Work: 5` keeps the worker busy for so many milliseconds of its CPU time, if tests have
/// switched faults on. So a few clients make an overload.
#[cfg(debug_assertions)]
fn injected_work(head: &RequestHead) {
    if std::env::var_os("RINGLANE_FAULTS").is_none() {
        return;
    }
    let work = head.headers().get("x-ringlane-work").and_then(|it| it.to_str().ok()?.parse().ok());
    let Some(millis) = work else { return };
    let until = cpu_time() + Duration::from_millis(millis);
    while cpu_time() < until {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_as_far_as_the_worker_was_busy() {
        let ms = Duration::from_millis;
        assert_eq!(own_lag(TICK + ms(100), ms(120)), ms(100));
        assert_eq!(own_lag(TICK + ms(100), ms(60)), ms(100));
        assert_eq!(own_lag(TICK + ms(100), ms(30)), ms(50));
        // Stopped for an hour.
        assert!(own_lag(ms(3_600_000), ms(2)) < ms(5));
        assert_eq!(own_lag(TICK / 2, ms(10)), Duration::ZERO);
    }
}
