//! Whether a client is fast enough: judged over periods of waiting for it, so that nobody else's slowness counts.

use std::time::Duration;

use crate::limits::PACE_PERIOD;

/// One direction of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Time of this period that was spent waiting for the client.
    waited: Duration,
    /// Bytes that have moved in this period.
    moved: u64,
    /// Bytes that lay in the kernel, not yet with the client, when the period began.
    queued: u64,
}

impl Pace {
    /// Whether nobody has waited yet in this period.
    pub fn is_new(&self) -> bool {
        self.waited.is_zero()
    }

    /// So many bytes lie in the kernel as the period begins.
    pub fn begin(&mut self, queued: u64) {
        *self = Pace { waited: Duration::ZERO, moved: 0, queued };
    }

    /// Waiting that is left of the period.
    pub fn left(&self) -> Duration {
        PACE_PERIOD.saturating_sub(self.waited)
    }

    /// The client has been waited for.
    pub fn wait(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Bytes have come from the client, or gone to the kernel for it.
    pub fn pass(&mut self, bytes: u64) {
        self.moved += bytes;
    }

    /// Whether the period is over.
    pub fn is_over(&self) -> bool {
        self.waited >= PACE_PERIOD
    }

    /// Whether at least `rate` bytes per second of waiting have reached the other end, of which `queued` lie in the kernel
    /// now.
    pub fn keeps(&self, rate: u64, queued: u64) -> bool {
        let moved = (self.moved + self.queued).saturating_sub(queued);
        moved as f64 >= rate as f64 * self.waited.as_secs_f64()
    }
}
