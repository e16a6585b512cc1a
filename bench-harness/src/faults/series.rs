//! What a run's series say: errors and latencies before, during and after a fault, when it was detected, when it was
//! recovered from. Pure: times are microseconds from one begin.
use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    fault::Result,
    load::tally::{Event, Kind, Tally},
    report::figures::Latency,
};

/// A request that took so many times the p99 of quiet times, and at least so long, is touched by the fault.
const SLOW_FACTOR: u64 = 5;
const SLOW_US_MIN: u64 = 100_000;
/// So long without a request that the fault touches, and it is detected; less where the fault is short.
const CALM_US: u64 = 1_000_000;
const CALM_SHARE: u64 = 3;
/// An endpoint has its share again when it gets this much of it, over so many slots, and half as much in the first.
const SHARE_BACK: f64 = 0.7;
const SLOTS_BACK: usize = 5;
/// An endpoint is avoided when no more than this part of what it had comes to it: health checks, and trials.
const SHARE_AVOIDED: f64 = 0.1;

/// When a fault was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// What clients saw in one part of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// The same by kind; a status that is not what was asked for by its number.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Of those without error, from when they were due.
    pub(crate) latency_us: Latency,
}

/// Of the requests that met the fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Detection {
    /// Errors and slow ones.
    pub(crate) touched: u64,
    /// From the fault's begin to the last of them before the first calm; None: there was no calm.
    pub(crate) detected_us: Option<u64>,
    /// From the fault's begin to the last of them.
    pub(crate) last_us: Option<u64>,
}

/// The requests before, during and after a fault: over before it began, due after it had ended, and all others.
pub(crate) fn parts(events: &[Event], fault: Span) -> Result<[Seen; 3]> {
    let of = |part: usize| seen(events.iter().filter(|it| part_of(it, fault) == part));
    Ok([of(0)?, of(1)?, of(2)?])
}

fn part_of(event: &Event, fault: Span) -> usize {
    if event.start_us >= fault.end {
        2
    } else {
        // One that was under way when the fault began has met it.
        usize::from(event.start_us.saturating_add(event.took_us) > fault.begin)
    }
}

fn seen<'a>(events: impl Iterator<Item = &'a Event>) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut latency = Tally::new()?.latency;
    for event in events {
        seen.requests += 1;
        let Some(kind) = event.failure else {
            latency.saturating_record(event.took_us);
            continue;
        };
        seen.errors += 1;
        let name = if kind == Kind::Status { event.status.to_string() } else { kind.name().to_owned() };
        *seen.kinds.entry(name).or_default() += 1;
    }
    seen.latency_us = Latency::of(&latency);
    Ok(seen)
}

/// Answers that were not what was asked for: another body, another length, bytes too many, no HTTP. An error status, or an
/// answer that ends early and says so, is none.
pub(crate) fn wrong(events: &[Event]) -> u64 {
    events.iter().filter(|it| it.failure.is_some_and(is_wrong)).count() as u64
}

/// Whether an answer with this failure was delivered, and was not what was asked for.
pub(crate) fn is_wrong(kind: Kind) -> bool {
    matches!(kind, Kind::Body | Kind::Length | Kind::Surplus | Kind::Malformed)
}

/// What counts as slow beside quiet times with this p99.
pub(crate) fn slow_us(quiet_p99: u64) -> u64 {
    quiet_p99.saturating_mul(SLOW_FACTOR).max(SLOW_US_MIN)
}

/// How long a fault went on to touch requests.
pub(crate) fn detection(events: &[Event], fault: Span, slow_us: u64) -> Detection {
    let is_touched = |it: &&Event| it.failure.is_some() || it.took_us > slow_us;
    let met = |it: &&Event| part_of(it, fault) == 1;
    let mut touched: Vec<u64> = events
        .iter()
        .filter(met)
        .filter(is_touched)
        .map(|it| it.start_us.saturating_sub(fault.begin))
        .collect();
    touched.sort_unstable();
    let length = fault.end - fault.begin;
    let calm = CALM_US.min(length / CALM_SHARE);
    let next = touched.iter().skip(1).copied().chain([length]);
    let mut gaps =
        [0].into_iter().chain(touched.iter().copied()).zip(touched.first().copied().into_iter().chain(next));
    let detected_us = if touched.is_empty() {
        Some(0)
    } else {
        gaps.find(|(from, to)| to - from >= calm).map(|(from, _)| from)
    };
    Detection { touched: touched.len() as u64, detected_us, last_us: touched.last().copied() }
}

/// From the fault's end to the last request that it touched; 0: none was due after it.
pub(crate) fn aftermath(events: &[Event], fault: Span, slow_us: u64) -> u64 {
    let touched = events.iter().filter(|it| it.failure.is_some() || it.took_us > slow_us);
    touched.map(|it| it.start_us.saturating_sub(fault.end)).max().unwrap_or_default()
}

/// A counter that is looked at now and then: when, and what it said, if anything.
pub(crate) type Counter = Vec<(u64, Option<u64>)>;

/// What a counter grew by, slot by slot. One that is smaller than before began anew.
pub(crate) fn slots(counter: &Counter, slot_us: u64, total_us: u64) -> Vec<u64> {
    let mut slots = vec![0; total_us.div_ceil(slot_us) as usize];
    let mut last = None;
    for (at, count) in counter.iter().filter_map(|(at, count)| Some((*at, (*count)?))) {
        let grown = match last {
            None => 0,
            Some(last) if count >= last => count - last,
            Some(_) => count,
        };
        last = Some(count);
        if let Some(slot) = slots.get_mut((at / slot_us) as usize) {
            *slot += grown;
        }
    }
    slots
}

/// What came to all of some endpoints in a part of the time, a slot each; of slots that are wholly in it.
pub(crate) fn sum(rates: &[Vec<u64>], slot_us: u64, part: Span) -> u64 {
    let whole = part.begin.div_ceil(slot_us) as usize..(part.end / slot_us) as usize;
    rates.iter().filter_map(|it| it.get(whole.clone())).flatten().sum()
}

/// From the fault's end until endpoint `bad` has its share of what comes again, which it had before; None: it has not.
pub(crate) fn recovery(rates: &[Vec<u64>], bad: usize, slot_us: u64, fault: Span) -> Option<u64> {
    let share = |part: Span| {
        let all = sum(rates, slot_us, part);
        let own = sum(rates.get(bad..=bad)?, slot_us, part);
        (all > 0).then(|| own as f64 / all as f64)
    };
    let before = share(Span { begin: 0, end: fault.begin }).filter(|it| *it > 0.0)?;
    let slots = rates.iter().map(Vec::len).min()?;
    let first = fault.end.div_ceil(slot_us) as usize;
    let back = (first..slots.checked_sub(SLOTS_BACK - 1)?).find(|at| {
        let window = Span { begin: *at as u64 * slot_us, end: (at + SLOTS_BACK) as u64 * slot_us };
        let at_least = |part, least: f64| share(part).is_some_and(|it| it >= least * before);
        let first = Span { end: window.begin + slot_us, ..window };
        at_least(window, SHARE_BACK) && at_least(first, SHARE_BACK / 2.0)
    })?;
    Some((back as u64 * slot_us).saturating_sub(fault.end))
}

/// From the fault's begin until next to nothing comes to endpoint `bad` for a while; None: that never was.
pub(crate) fn avoidance(rates: &[Vec<u64>], bad: usize, slot_us: u64, fault: Span) -> Option<u64> {
    let own = rates.get(bad..=bad)?;
    let quiet = Span { begin: 0, end: fault.begin };
    let before = sum(own, slot_us, quiet) as f64 / (fault.begin / slot_us).max(1) as f64;
    let calm = (CALM_US.min((fault.end - fault.begin) / CALM_SHARE) / slot_us).max(1);
    let last = (fault.end / slot_us).checked_sub(calm)?;
    let avoided = (fault.begin / slot_us..=last).find(|at| {
        let window = Span { begin: at * slot_us, end: (at + calm) * slot_us };
        sum(own, slot_us, window) as f64 <= SHARE_AVOIDED * before * calm as f64
    })?;
    Some((avoided * slot_us).saturating_sub(fault.begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;
    const FAULT: Span = Span { begin: 1_000 * MS, end: 4_000 * MS };

    /// One request a millisecond for 5 s; `fate` gets the millisecond.
    fn events(fate: impl Fn(u64) -> (u64, Option<Kind>)) -> Vec<Event> {
        (0..5_000)
            .map(|ms| {
                let (took_us, failure) = fate(ms);
                Event { start_us: ms * MS, took_us, failure, status: 502 * u16::from(failure.is_some()) }
            })
            .collect()
    }

    #[test]
    fn requests_belong_to_the_part_that_they_met() {
        let events = events(|ms| match ms {
            1_000..1_010 => (1, Some(Kind::Status)),
            1_010..1_015 => (2_000_000, Some(Kind::Timeout)),
            3_999 => (2_000_000, None),
            // Under way when it began.
            998 => (5_000, Some(Kind::Status)),
            _ => (200, None),
        });
        let [before, during, after] = parts(&events, FAULT).unwrap();
        assert_eq!((before.requests, during.requests, after.requests), (999, 3_001, 1_000));
        assert_eq!((before.errors, during.errors, after.errors), (0, 16, 0));
        assert_eq!(during.kinds, BTreeMap::from([("502".into(), 11), ("timeout".into(), 5)]));
        assert!(during.latency_us.max >= 2_000_000 && after.latency_us.max == 200);
        assert_eq!(wrong(&events), 0);
        assert!(is_wrong(Kind::Length) && !is_wrong(Kind::Cut));
    }

    #[test]
    fn a_fault_is_detected_at_the_last_request_before_a_calm() {
        let found = |fate: fn(u64) -> (u64, Option<Kind>)| detection(&events(fate), FAULT, slow_us(200));
        let third = |ms: u64| ms.is_multiple_of(3);
        assert_eq!(found(|_| (200, None)), Detection { touched: 0, detected_us: Some(0), last_us: None });
        let once = found(|ms| (200, (1_000..1_300).contains(&ms).then_some(Kind::Cut)));
        assert_eq!(once, Detection { touched: 300, detected_us: Some(299 * MS), last_us: Some(299 * MS) });
        // Tried again after a while, and given up again.
        let again = found(|ms| (200, matches!(ms, 1_000..1_100 | 2_500..2_505).then_some(Kind::Cut)));
        assert_eq!((again.detected_us, again.last_us), (Some(99 * MS), Some(1_504 * MS)));
        let never = events(|ms| (200, (third(ms) && ms < 4_000).then_some(Kind::Cut)));
        assert_eq!(detection(&never, FAULT, slow_us(200)).detected_us, None);
        // Slow is as bad as wrong, and what comes late at first has been calm before.
        assert_eq!(found(|ms| (if ms == 1_000 { 100_001 } else { 100_000 }, None)).touched, 1);
        assert_eq!(found(|ms| (200, (ms >= 3_000).then_some(Kind::Cut))).detected_us, Some(0));
        assert_eq!(slow_us(40_000), 200_000);
    }

    #[test]
    fn the_aftermath_ends_with_the_last_request_that_is_touched() {
        let late = events(|ms| (200, matches!(ms, 3_000..3_500 | 4_250).then_some(Kind::Reset)));
        assert_eq!(aftermath(&late, FAULT, slow_us(200)), 250 * MS);
        assert_eq!(aftermath(&events(|_| (1, None)), FAULT, slow_us(200)), 0);
    }

    #[test]
    fn slots_hold_what_a_counter_grew_by_and_survive_its_begin() {
        let counter = vec![(0, Some(100)), (90, Some(110)), (110, Some(130)), (250, None), (320, Some(7))];
        assert_eq!(slots(&counter, 100, 400), [10, 20, 0, 7]);
        assert_eq!(slots(&Vec::new(), 100, 150), [0, 0]);
    }

    #[test]
    fn an_endpoint_is_back_when_it_has_its_share() {
        const SLOT: u64 = 200 * MS;
        let good = vec![100; 28];
        // Gone from 1 s to 4 s, a little at 4.2 s, and all of it from 4.4 s on.
        let mut bad = vec![100; 28];
        bad[7..21].fill(1);
        bad[21..23].fill(10);
        let rates = [bad, good.clone(), good.clone()];
        assert_eq!(avoidance(&rates, 0, SLOT, FAULT), Some(400 * MS));
        assert_eq!(avoidance(&rates, 1, SLOT, FAULT), None);
        // What comes later makes up for no slot that is too poor.
        assert_eq!(recovery(&rates, 0, SLOT, FAULT), Some(600 * MS));
        let never = [[[100; 5].as_slice(), &[0; 23]].concat(), good.clone()];
        assert_eq!(recovery(&never, 0, SLOT, FAULT), None);
        let always = [good.clone(), good];
        assert_eq!(recovery(&always, 0, SLOT, FAULT), Some(0));
        assert_eq!(sum(&always, SLOT, FAULT), 15 * 200);
        assert_eq!(recovery(&always, 2, SLOT, FAULT), None);
    }
}
