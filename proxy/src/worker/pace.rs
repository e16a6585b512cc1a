//! Whether clients are fast enough: every wait for one goes by `Waits`, which bounds it as its listener says, and judges
//! where the listener has a rate.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::{connection::Client, deadline::Patience};
use crate::{error::Failure, limit::Pace, observe::ClientWait, route::Listener};

/// Both directions of a connection whose listener has a rate for at least one of them.
#[derive(Debug, Default)]
pub struct Paces {
    sends: Track,
    reads: Track,
}

#[derive(Debug, Default)]
struct Track {
    pace: Cell<Pace>,
    /// Up to when the wait that is under way has been counted.
    since: Cell<Option<Instant>>,
    /// How long that wait is so far.
    waited: Cell<Duration>,
    /// The client waits for somebody else: its time does not count until it goes on.
    excused: Cell<bool>,
    /// It was too slow.
    failed: Cell<bool>,
}

impl Paces {
    /// Of a connection that comes by this listener.
    pub fn of(listener: &Listener) -> Option<Box<Paces>> {
        listener.limits.has_rates().then(Box::default)
    }

    /// A request begins. A client that waits for `100 Continue` waits for the upstream, until its body begins.
    pub fn begin(&self, expects_continue: bool) {
        self.sends.excused.set(expects_continue);
    }

    /// What a wait that was too long means.
    pub fn say(&self, failure: Failure) -> Failure {
        match failure {
            Failure::ClientSlow(ClientWait::RequestBody) if self.sends.failed.get() => {
                Failure::ClientSlow(ClientWait::RequestRate)
            }
            Failure::ClientSlow(ClientWait::ResponseWrite) if self.reads.failed.get() => {
                Failure::ClientSlow(ClientWait::ResponseRate)
            }
            other => other,
        }
    }
}

/// The wait for a client to do something.
#[derive(Clone, Copy)]
pub struct Waits<'a> {
    client: &'a Client,
    sends: bool,
}

impl Client {
    /// The wait for it to send more of a body.
    pub fn sends(&self) -> Waits<'_> {
        Waits { client: self, sends: true }
    }

    /// The wait for it to read more of a response.
    pub fn reads(&self) -> Waits<'_> {
        Waits { client: self, sends: false }
    }
}

/// The wait for whoever is written to. One type for both, so that there is one `write_all`.
#[derive(Clone, Copy)]
pub enum Takes<'a> {
    /// An upstream: so long at a time.
    Upstream(Duration),
    /// A client.
    Client(Waits<'a>),
}

impl From<Duration> for Takes<'_> {
    fn from(wait: Duration) -> Self {
        Takes::Upstream(wait)
    }
}

impl Patience for Takes<'_> {
    fn begin(&self) -> Option<Duration> {
        match self {
            Takes::Upstream(wait) => wait.begin(),
            Takes::Client(waits) => waits.begin(),
        }
    }

    fn more(&self) -> Option<Duration> {
        match self {
            Takes::Upstream(wait) => wait.more(),
            Takes::Client(waits) => waits.more(),
        }
    }

    fn end(&self) {
        match self {
            Takes::Upstream(wait) => wait.end(),
            Takes::Client(waits) => waits.end(),
        }
    }

    fn moved(&self, bytes: usize) {
        match self {
            Takes::Upstream(wait) => wait.moved(bytes),
            Takes::Client(waits) => waits.moved(bytes),
        }
    }
}

impl Waits<'_> {
    /// How long it may do nothing.
    fn idle(&self) -> Duration {
        let listener = &self.client.listener;
        if self.sends { listener.request_body_idle_timeout } else { listener.response_write_timeout }
    }

    /// Its pace, and what it has to be; `None`: anything.
    fn track(&self) -> Option<(&Track, u64)> {
        let paces = self.client.paces.as_deref()?;
        let limits = &self.client.listener.limits;
        if self.sends {
            return limits.request_body_rate_min.map(|rate| (&paces.sends, rate));
        }
        limits.response_rate_min.map(|rate| (&paces.reads, rate))
    }

    /// What the kernel still holds for it. What it has sent is read as soon as it is there.
    fn queued(&self) -> u64 {
        if self.sends { 0 } else { self.client.socket.unsent() }
    }

    /// How long a wait may be from here on, when a period may have come to its end. `None`: it was too slow.
    fn judge(&self, track: &Track, rate: u64) -> Option<Duration> {
        let mut pace = track.pace.get();
        if pace.is_new() || pace.is_over() {
            let queued = self.queued();
            if pace.is_over() && !pace.keeps(rate, queued) {
                track.failed.set(true);
                return None;
            }
            pace.begin(queued);
            track.pace.set(pace);
        }
        Some(pace.left())
    }

    fn count(&self, track: &Track, now: Option<Instant>) {
        if let Some(since) = track.since.replace(now) {
            let time = self.client.worker.now().duration_since(since);
            track.waited.set(track.waited.get() + time);
            let mut pace = track.pace.get();
            pace.wait(time);
            track.pace.set(pace);
        }
    }
}

impl Patience for Waits<'_> {
    fn begin(&self) -> Option<Duration> {
        let idle = self.idle();
        let Some((track, rate)) = self.track().filter(|(track, _)| !track.excused.get()) else {
            return Some(idle);
        };
        let left = self.judge(track, rate)?;
        track.since.set(Some(self.client.worker.now()));
        track.waited.set(Duration::ZERO);
        Some(idle.min(left))
    }

    fn more(&self) -> Option<Duration> {
        let (track, rate) = self.track()?;
        track.since.get()?;
        self.count(track, Some(self.client.worker.now()));
        let idle = self.idle().checked_sub(track.waited.get()).filter(|left| !left.is_zero());
        match idle {
            Some(idle) if !self.client.worker.cutting() => self.judge(track, rate).map(|left| left.min(idle)),
            _ => {
                track.since.set(None);
                None
            }
        }
    }

    fn end(&self) {
        if let Some((track, _)) = self.track() {
            self.count(track, None);
        }
    }

    fn moved(&self, bytes: usize) {
        if let Some((track, _)) = self.track() {
            track.excused.set(false);
            let mut pace = track.pace.get();
            pace.pass(bytes as u64);
            track.pace.set(pace);
        }
    }
}
