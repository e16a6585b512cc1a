//! Waiting for what happens, with a bound and without sleeping through it.

use std::{
    sync::{Arc, Condvar, Mutex, mpsc},
    time::{Duration, Instant},
};

/// How long anything that a test waits for may take: far longer than it does, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that can only be looked at.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// Waits until `holds`; fails with `what` when it does not within [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    let (_never, pause) = mpsc::channel::<()>();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        let _ = pause.recv_timeout(LOOK_EVERY);
    }
}

/// As [`eventually`], for a value that is to become `wanted`; says what it was instead.
#[track_caller]
pub fn becomes<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, mut value: impl FnMut() -> T) {
    let mut last = None;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(what, || {
            let now = value();
            let same = now == *wanted;
            last = Some(now);
            same
        });
    }));
    assert!(result.is_ok(), "{what}: wanted {wanted:?}, last seen {last:?}");
}

/// Closed until it is opened, for all who wait.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed one.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Opens it for good.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap();
        assert!(*open, "a gate was never opened");
    }
}
