//! What is looked at all the time while a run lasts: the counters of endpoints, and what a proxy holds.
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{endpoint, inject::descriptors};
use crate::resident;

/// From one look to the next.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a proxy holds at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) at: Instant,
    pub(crate) resident: u64,
    pub(crate) descriptors: u64,
}

/// Looks at one endpoint's counter until `over`.
pub(super) fn counter(control: SocketAddr, over: &AtomicBool) -> Vec<(Instant, Option<u64>)> {
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        let count = endpoint::asked(control);
        // An answer that took long is of the time it came at.
        seen.push((Instant::now(), count));
        thread::sleep(LOOK_EVERY.saturating_sub(now.elapsed()));
    }
    seen
}

/// Looks at a proxy until `over`.
pub(crate) fn holdings(pid: u32, every: Duration, over: &AtomicBool) -> Vec<Held> {
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        seen.extend(look(pid));
        thread::sleep(every.saturating_sub(now.elapsed()));
    }
    seen
}

/// One look; None: it is gone.
pub(crate) fn look(pid: u32) -> Option<Held> {
    let resident = resident::process_tree(pid).ok()?;
    let descriptors = descriptors(pid).ok()?.len() as u64;
    Some(Held { at: Instant::now(), resident, descriptors })
}
