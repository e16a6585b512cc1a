//! Which endpoints are to be used, from checks and from what workers have seen. Pure: time is an argument.
//!
//! ```text
//! check:     unchecked (used) -> passing <- rise | fall -> failing
//! ejection:  in use -> ejected (time, doubled up to time_max) -> in use, with a share that grows for slow_start
//! ```
//!
//! The two go side by side: an endpoint is used if neither takes it out of use.

use std::time::{Duration, Instant};

use super::window::Window;
use crate::{
    control::raw::quantity::show_duration,
    limits::{LATENCY_DIFFERENCE_MIN, SLOW_START_SHARE_MIN},
    upstream::health::{Checks, Ejection, HealthSettings, Totals, WHOLE_SHARE},
};

/// How an endpoint is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody watches it.
    Unwatched,
    /// No check has ended yet; it is used.
    Unchecked,
    /// It is used.
    Up,
    /// It has recovered, and its share grows.
    SlowStart,
    /// Its checks fail.
    Failing,
    /// Its own failures have taken it out of use.
    Ejected,
}

impl State {
    /// All of them.
    pub const ALL: [State; 6] =
        [State::Unwatched, State::Unchecked, State::Up, State::SlowStart, State::Failing, State::Ejected];

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Unwatched => "unwatched",
            State::Unchecked => "unchecked",
            State::Up => "up",
            State::SlowStart => "slow_start",
            State::Failing => "failing",
            State::Ejected => "ejected",
        }
    }
}

/// What the checks of an endpoint have come to.
#[derive(Debug)]
enum Checked {
    /// None has ended.
    Never,
    /// It is well; so many have failed since the last that passed.
    Passing(u32),
    /// It is not, for this reason; so many have passed since the last that failed.
    Failing(u32, String),
}

/// An ejection.
#[derive(Debug)]
struct Ejected {
    until: Instant,
    why: String,
}

/// What is known of one endpoint.
#[derive(Debug)]
pub(super) struct Judged {
    checked: Checked,
    ejected: Option<Ejected>,
    /// How often it was ejected, less what calm times have made up for.
    ejections: u32,
    /// From when on the next one of those counts.
    calm_since: Instant,
    /// When it came back.
    recovered: Option<Instant>,
    /// Failures since the last answer, over all workers; a worker has seen too many by itself.
    run: u32,
    run_told: bool,
    window: Window,
}

impl Judged {
    /// An endpoint of which nothing is known.
    pub(super) fn new(now: Instant) -> Judged {
        Judged {
            checked: Checked::Never,
            ejected: None,
            ejections: 0,
            calm_since: now,
            recovered: None,
            run: 0,
            run_told: false,
            window: Window::new(now),
        }
    }

    /// Gives up what other settings do not ask for.
    pub(super) fn adapt(&mut self, settings: Option<&HealthSettings>) {
        if settings.is_none_or(|it| it.checks.is_none()) {
            self.checked = Checked::Never;
        }
        if settings.is_none_or(|it| it.ejection.is_none()) {
            (self.ejected, self.ejections) = (None, 0);
        }
    }

    /// Takes in the result of a check.
    pub(super) fn check_ended(&mut self, checks: &Checks, result: Result<(), String>, now: Instant) {
        match (&mut self.checked, result) {
            // The first one decides alone: nothing else is known.
            (Checked::Never, Ok(())) => self.checked = Checked::Passing(0),
            (Checked::Never, Err(why)) => self.checked = Checked::Failing(0, why),
            (Checked::Passing(failed), Ok(())) => *failed = 0,
            (Checked::Passing(failed), Err(why)) => {
                *failed += 1;
                if *failed >= checks.fall {
                    self.checked = Checked::Failing(0, why);
                }
            }
            (Checked::Failing(passed, _), Ok(())) => {
                *passed += 1;
                if *passed >= checks.rise {
                    self.checked = Checked::Passing(0);
                    self.recover(now);
                }
            }
            (Checked::Failing(passed, kept), Err(why)) => (*passed, *kept) = (0, why),
        }
    }

    /// Takes in what workers have seen since the last look.
    pub(super) fn look(&mut self, rules: &Ejection, seen: &Totals, now: Instant) {
        if let Some(ejected) = &self.ejected {
            if ejected.until <= now {
                self.ejected = None;
                self.recover(now);
            }
            return;
        }
        if !self.is_used() {
            return;
        }
        self.run = if seen.answers > 0 { 0 } else { self.run.saturating_add(seen.failures) };
        self.run_told |= seen.runs > 0;
        self.window.add(seen, rules.window, now);
        while self.ejections > 0 && now.saturating_duration_since(self.calm_since) >= rules.time {
            self.ejections -= 1;
            self.calm_since += rules.time;
        }
    }

    /// Whether it is in use.
    pub(super) fn is_used(&self) -> bool {
        self.ejected.is_none() && !matches!(self.checked, Checked::Failing(..))
    }

    fn recover(&mut self, now: Instant) {
        self.recovered = Some(now);
        self.calm_since = now;
        self.forget(now);
    }

    /// What was seen counts no more.
    fn forget(&mut self, now: Instant) {
        (self.run, self.run_told) = (0, false);
        self.window = Window::new(now);
    }

    /// Why it is to be ejected, by every rule that says so; empty: no rule does. `peers_us` is the median of its peers' 99th
    /// percentiles.
    fn reasons(&self, rules: &Ejection, peers_us: Option<u64>, now: Instant) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(max) = rules.consecutive_failures
            && (self.run_told || self.run >= max)
        {
            reasons.push(format!("{} failures in a row", self.run.max(max)));
        }
        let window = show_duration(rules.window);
        if let Some(permille) = rules.failure_permille
            && self.window.fails(permille, rules.min_requests)
        {
            reasons.push(format!("{} within {window}", self.window.failure_rate()));
        }
        if let Some(permille) = rules.latency_permille
            && let Some(peers_us) = peers_us
            && let Some(own_us) = self.window.p99_us(rules.min_requests, rules.window, now)
            && own_us.saturating_mul(1000) >= peers_us.saturating_mul(permille.into())
            && own_us.saturating_sub(peers_us) >= LATENCY_DIFFERENCE_MIN.as_micros() as u64
        {
            let [own, peers] = [own_us, peers_us].map(|us| us as f64 / 1000.0);
            reasons.push(format!("p99 {own:.1} ms, of its peers {peers:.1} ms, within {window}"));
        }
        reasons
    }

    fn eject(&mut self, rules: &Ejection, reasons: &[String], now: Instant) {
        let time = |ejections: u32| rules.time.saturating_mul(1 << ejections.min(20)).min(rules.time_max);
        let time_now = time(self.ejections);
        // Counted as long as it makes a difference, so that calm times soon do.
        if time_now < rules.time_max {
            self.ejections += 1;
        }
        let why = format!("{}; for {}", reasons.join(", and "), show_duration(time_now));
        self.ejected = Some(Ejected { until: now + time_now, why });
        self.recovered = None;
        self.forget(now);
    }

    /// How it is doing, and the share of its weight that it is to have.
    pub(super) fn state(&self, settings: &HealthSettings, now: Instant) -> (State, u32) {
        if matches!(self.checked, Checked::Failing(..)) {
            return (State::Failing, 0);
        }
        if self.ejected.is_some() {
            return (State::Ejected, 0);
        }
        if let (Some(length), Some(since)) = (settings.slow_start, self.recovered) {
            let share = share_after(now.saturating_duration_since(since), length);
            if share < WHOLE_SHARE {
                return (State::SlowStart, share);
            }
        }
        let unchecked = settings.checks.is_some() && matches!(self.checked, Checked::Never);
        (if unchecked { State::Unchecked } else { State::Up }, WHOLE_SHARE)
    }

    /// Why it is not in use; empty: it is.
    pub(super) fn why(&self) -> String {
        let check = match &self.checked {
            Checked::Failing(_, why) => Some(format!("check: {why}")),
            _ => None,
        };
        let ejected = self.ejected.as_ref().map(|it| it.why.clone());
        check.into_iter().chain(ejected).collect::<Vec<_>>().join("; and ejected: ")
    }
}

/// The share after so long a part of a slow start, in per mille.
fn share_after(passed: Duration, length: Duration) -> u32 {
    let grown = passed.as_micros().saturating_mul(WHOLE_SHARE.into()) / length.as_micros().max(1);
    u32::try_from(grown).unwrap_or(WHOLE_SHARE).clamp(SLOW_START_SHARE_MIN, WHOLE_SHARE)
}

/// Ejects those endpoints of an upstream that are to be, as long as no more are out of use than may be. How many it has
/// withheld.
pub(super) fn judge(rules: &Ejection, endpoints: &mut [&mut Judged], now: Instant) -> u32 {
    let p99 = |it: &&mut Judged| {
        rules.latency_permille?;
        it.window.p99_us(rules.min_requests, rules.window, now).filter(|_| it.is_used())
    };
    let p99s: Vec<Option<u64>> = endpoints.iter().map(p99).collect();
    let allowed = endpoints.len() * rules.max_percent as usize / 100;
    let mut out = endpoints.iter().filter(|it| !it.is_used()).count();
    let mut withheld = 0;
    for (index, endpoint) in endpoints.iter_mut().enumerate().filter(|(_, it)| it.is_used()) {
        let reasons = endpoint.reasons(rules, peers(&p99s, index), now);
        if reasons.is_empty() {
            continue;
        }
        if out < allowed {
            endpoint.eject(rules, &reasons, now);
            out += 1;
        } else {
            endpoint.forget(now);
            withheld += 1;
        }
    }
    withheld
}

/// The median of all but one: of an even number the lower of the two in the middle.
fn peers(p99s: &[Option<u64>], but: usize) -> Option<u64> {
    let others = p99s.iter().enumerate().filter(|(index, _)| *index != but);
    let mut others: Vec<u64> = others.filter_map(|(_, p99)| *p99).collect();
    others.sort_unstable();
    others.get(others.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests;
