//! No descriptor is left: of the process (EMFILE) or of the system (ENFILE). What is idle gives way to who is there.
//!
//! A client that has not been accepted yet can wait in the kernel's queue, so for it only upstream connections are closed that
//! nobody has needed for a while. A request that has been accepted may have any idle one of this worker.

use std::{
    io,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::Worker;

/// Idle connections that are closed at a time.
const GIVEN_UP_MAX: usize = 16;
/// A connection that has been idle for so long is in no steady use.
const UNUSED_FOR: Duration = Duration::from_secs(1);
/// Between two lines of the log, for the whole process.
const SAY_EVERY_MS: u64 = 1000;

/// What a descriptor is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A client that waits to be accepted.
    Client,
    /// A request's connection to its upstream.
    Upstream,
}

/// Whether it is for want of a descriptor that something has failed.
pub fn are_short(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Counts a shortage, and closes idle upstream connections if that may help. True: some are being closed. The ring does so
/// in its own time, within a tick.
#[cold]
pub fn make_room(worker: &Worker, wanted: Wanted) -> bool {
    let counters = worker.counters();
    let unused_since = match wanted {
        Wanted::Client => {
            counters.descriptors_short_client.inc();
            worker.now().checked_sub(UNUSED_FOR)
        }
        Wanted::Upstream => {
            counters.descriptors_short_upstream.inc();
            None
        }
    };
    let pools = worker.pools.borrow();
    let mut given_up = 0;
    while given_up < GIVEN_UP_MAX {
        let longest = pools.iter().filter_map(|pool| Some((pool.idle_longest()?, pool)));
        let Some((since, pool)) = longest.min_by_key(|(since, _)| *since) else { break };
        if unused_since.is_some_and(|before| since > before) {
            break;
        }
        pool.give_up_longest_idle();
        given_up += 1;
    }
    counters.upstream_idle_given_up.add(given_up as u64);
    given_up > 0
}

/// Whether it is time to say again, on any worker, that something can't be had.
pub fn may_say(now: Instant) -> bool {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    /// Milliseconds since then, and a pause so that the first time comes at once. Written when something has gone wrong.
    static SAID: AtomicU64 = AtomicU64::new(0);
    let at = now.saturating_duration_since(*START).as_millis() as u64 + SAY_EVERY_MS;
    let last = SAID.load(Ordering::Relaxed);
    at - last.min(at) >= SAY_EVERY_MS
        && SAID.compare_exchange(last, at, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_second() {
        let start = Instant::now();
        let said = |ms: u64| may_say(start + Duration::from_millis(ms));
        assert_eq!([0, 10, 900, 1_100, 1_200, 5_000].map(said), [true, false, false, true, false, true]);
    }
}
