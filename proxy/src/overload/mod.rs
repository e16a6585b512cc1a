//! What a worker turns away when it has more to do than it can: how much of what comes, and which first. Pure: what time it
//! is and how late the worker runs, it is told.
//!
//! As in CoDel, load is judged by how long work waits, and only a wait that was too long for a whole interval counts: a burst
//! or a single slow turn sheds nothing. From then on a *level*, the part of all requests that is shed, follows the lag:
//! it rises as long as the lag is above what is allowed and falls as soon as it is below, by so much as it is off. The level
//! is taken from the lowest priority first: nothing of a higher one is shed while something of a lower one gets through.

use std::time::Duration;

/// Observations in a row that are too late, at least, before anything is shed: two slow turns are no overload either.
const CONFIRMATIONS_MIN: u32 = 3;
/// Percent of all requests. Never all: what is served shows when the worker has caught up, and that serving still works.
pub const LEVEL_MAX: f64 = 95.0;
/// Percent that the level rises in an interval with twice the lag that is allowed, or more.
const RISE: f64 = 20.0;
/// Percent that it falls in an interval without lag. Slower, so that who comes back does not all come at once.
const FALL: f64 = 10.0;
/// Intervals that one step stands for, at most: after a long turn the effect of the last step is still to be seen.
const STEP_INTERVALS_MAX: f64 = 2.0;
/// What is left of the arrivals of before with each observation.
const MEMORY: f64 = 0.5;

/// How important requests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Shed first.
    Low,
    /// Shed when all of low priority is.
    #[default]
    Normal,
    /// Shed last.
    High,
}

impl Priority {
    /// All, in the order in which they are shed.
    pub const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];
}

/// When to shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long work may wait for its turn.
    pub max_lag: Duration,
    /// How long it must have waited longer before anything is shed.
    pub interval: Duration,
}

/// What an observation has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing, or only how much is shed.
    None,
    /// Shedding begins.
    Begun,
    /// It ends.
    Ended,
}

/// Decides for one worker.
#[derive(Debug, Default)]
pub struct Shedder {
    /// Since when, and how often in a row, the lag was too long.
    above: Option<(Duration, u32)>,
    /// Percent of all requests that are shed.
    level: f64,
    /// By priority: requests since the last observation, and before, the older the less.
    arrived: [f64; Priority::ALL.len()],
    seen: [f64; Priority::ALL.len()],
    /// The part of each priority that is shed, 0 to 1.
    shares: [f64; Priority::ALL.len()],
    /// What has come up of it: a request is shed whenever it makes a whole one.
    due: [f64; Priority::ALL.len()],
}

impl Shedder {
    /// `passed` after the last observation, work has waited for `lag`.
    pub fn observe(&mut self, settings: &Settings, passed: Duration, lag: Duration) -> Change {
        self.above = match self.above {
            _ if lag <= settings.max_lag => None,
            // The wait itself, however long, is one observation.
            None => Some((Duration::ZERO, 1)),
            Some((time, times)) => Some((time.saturating_add(passed), times.saturating_add(1))),
        };
        let confirmed =
            self.above.is_some_and(|(time, times)| time >= settings.interval && times >= CONFIRMATIONS_MIN);
        for (seen, arrived) in self.seen.iter_mut().zip(&mut self.arrived) {
            *seen = *seen * MEMORY + std::mem::take(arrived);
        }
        let before = self.level;
        if before > 0.0 || confirmed {
            self.level = (before + step(settings, passed, lag)).clamp(0.0, LEVEL_MAX);
        }
        self.shares = shares(self.level, &self.seen);
        match (before > 0.0, self.level > 0.0) {
            (false, true) => Change::Begun,
            (true, false) => Change::Ended,
            _ => Change::None,
        }
    }

    /// Whether a request that has just come is shed.
    #[inline]
    pub fn sheds(&mut self, priority: Priority) -> bool {
        let at = priority as usize;
        self.arrived[at] += 1.0;
        if self.level <= 0.0 {
            return false;
        }
        self.due[at] += self.shares[at];
        let shed = self.due[at] >= 1.0;
        if shed {
            self.due[at] -= 1.0;
        }
        shed
    }

    /// Percent of all requests that are shed.
    pub fn level(&self) -> f64 {
        self.level
    }
}

/// How far the level moves.
fn step(settings: &Settings, passed: Duration, lag: Duration) -> f64 {
    let part = |of: Duration, whole: Duration| of.as_secs_f64() / whole.as_secs_f64().max(1e-3);
    let off = (part(lag, settings.max_lag) - 1.0).clamp(-1.0, 1.0);
    let intervals = part(passed, settings.interval).min(STEP_INTERVALS_MAX);
    off * intervals * if off > 0.0 { RISE } else { FALL }
}

/// The part of each priority that is shed so that `level` percent of all are, of those that come as `seen` says.
fn shares(level: f64, seen: &[f64; Priority::ALL.len()]) -> [f64; Priority::ALL.len()] {
    let all: f64 = seen.iter().sum();
    if all <= 0.0 {
        return [f64::from(u8::from(level > 0.0)), 0.0, 0.0];
    }
    let mut left = all * level / 100.0;
    seen.map(|seen| {
        // Of a priority that has not been seen all is shed, as long as there is something to shed.
        let share = if left > all * 1e-9 { (left / seen.max(f64::MIN_POSITIVE)).min(1.0) } else { 0.0 };
        left -= share * seen;
        share
    })
}

#[cfg(test)]
mod tests;
