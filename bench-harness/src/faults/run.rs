//! One fault put to one proxy: quiet, the fault, quiet, under load, and what all series say of it.
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    inject::{self, Done, sleep_until},
    injection::{Injection, Victim},
    options::Times,
    series::{self, Detection, Seen, Span},
    site::Site,
    watch::{self, Held},
};
use crate::{
    cpu,
    fault::{Fault, Result},
    load::{self, Outcome, Plan, tally::Event},
    loadtest::Cores,
};

/// The upstreams of a proxy, and how many endpoints each has. The first is hurt, at the first of its endpoints.
pub(super) const UPSTREAMS: [(&str, usize); 2] = [("hurt", 3), ("calm", 2)];
const BAD: usize = 0;
/// Connections of the load to the one that is not hurt; to the other there are as many as a stuck second takes.
const CALM_CONNECTIONS: usize = 64;
const HURT_CONNECTIONS_MAX: usize = 1_024;
/// Slots that shares are looked at in.
const SLOT_US: u64 = 100_000;

/// What one fault did to one proxy.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) injection: Injection,
    pub(super) subject: &'static str,
    /// When the fault was there.
    pub(super) fault: Span,
    /// What clients of the hurt upstream saw before, during and after it, and those of the other.
    pub(super) hurt: [Seen; 3],
    pub(super) calm: [Seen; 3],
    pub(super) detection: Detection,
    /// From the fault's begin until next to nothing came to the endpoint; None: it came on, or nobody counted.
    pub(super) avoided_us: Option<u64>,
    /// From the fault's end until the endpoint had its share again; None: it had not, or there is no such thing.
    pub(super) recovery_us: Option<u64>,
    /// From the fault's end to the last request that it touched.
    pub(super) aftermath_us: u64,
    /// Requests a second at the other endpoints of the hurt upstream, during to before.
    pub(super) rest: Option<f64>,
    /// Requests that came to endpoints of the hurt upstream for each of a client's, during the fault.
    pub(super) tries: Option<f64>,
    pub(super) resident: Change,
    pub(super) descriptors: Change,
    /// Answers that were not what was asked for, to anybody.
    pub(super) wrong: u64,
    pub(super) examples: Vec<String>,
    /// What was reached.
    pub(super) note: Option<String>,
    pub(super) foreign_cores: f64,
}

/// What a proxy held right before the fault, at most from then on, and in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) before: u64,
    pub(super) peak: u64,
    pub(super) after: u64,
}

impl Measured {
    /// The other upstream's p99, during to before.
    pub(super) fn calm_ratio(&self) -> f64 {
        let [before, during, _] = &self.calm;
        during.latency_us.p99 as f64 / (before.latency_us.p99 as f64).max(1.0)
    }
}

/// Puts it.
pub(super) fn run(
    site: &mut Site,
    subject: &'static str,
    injection: Injection,
    times: Times,
    rate: f64,
    cores: Cores,
) -> Result<Measured> {
    let whole = times.before + times.fault + times.after;
    let plan = |upstream, connections| {
        let plan = site.plan(upstream, rate, connections, cores)?;
        Ok::<Plan, Fault>(Plan { duration: whole, log: true, ..plan })
    };
    let hurt_plan = plan(0, (rate as usize).clamp(CALM_CONNECTIONS, HURT_CONNECTIONS_MAX))?;
    let calm_plan = plan(1, CALM_CONNECTIONS)?;
    let controls: Vec<_> = site.endpoints.iter().flatten().map(|it| it.control).collect();
    let (pid, over) = (site.target.pid, AtomicBool::new(false));
    let (started, machine, ours) = (Instant::now(), cpu::machine(), site.cpu_time());
    let series = thread::scope(|scope| {
        let loads = [&hurt_plan, &calm_plan].map(|plan| scope.spawn(|| load::run(plan, &mut |_| {})));
        let looks: Vec<_> =
            controls.iter().map(|control| scope.spawn(|| watch::counter(*control, &over))).collect();
        let held = scope.spawn(|| watch::holdings(pid, watch::LOOK_EVERY, &over));
        sleep_until(Instant::now() + hurt_plan.warmup + times.before);
        let done = match injection.victim() {
            Victim::Endpoint => {
                let bad = site.endpoints.first_mut().and_then(|it| it.get_mut(BAD));
                let bad = bad.ok_or_else(|| Fault::new("no endpoint to hurt"));
                bad.and_then(|bad| inject::at_endpoint(injection, bad, times.fault))
            }
            Victim::Proxy => inject::at_proxy(injection, &site.target, times.fault),
        };
        let outcomes = loads.map(joined);
        over.store(true, Ordering::Relaxed);
        let counters = looks.into_iter().map(|it| joined_plain(it)).collect::<Result<Vec<_>>>()?;
        let [hurt, calm] = outcomes;
        Ok::<_, Fault>(Series { hurt: hurt?, calm: calm?, counters, held: joined_plain(held)?, done: done? })
    })?;
    let ours = site.cpu_time().saturating_sub(ours);
    let foreign = (cpu::machine().saturating_sub(machine)).saturating_sub(ours);
    let foreign_cores = foreign.as_secs_f64() / started.elapsed().as_secs_f64();
    series.measured(injection, subject, whole, foreign_cores)
}

/// All that was recorded.
struct Series {
    hurt: Outcome,
    calm: Outcome,
    counters: Vec<Vec<(Instant, Option<u64>)>>,
    held: Vec<Held>,
    done: Done,
}

impl Series {
    fn measured(
        self,
        injection: Injection,
        subject: &'static str,
        whole: Duration,
        foreign_cores: f64,
    ) -> Result<Measured> {
        let Self { hurt, calm, counters, held, done } = self;
        // Both loads began within a few milliseconds; each has its own begin.
        let span = |outcome: &Outcome| Span {
            begin: micros(outcome.began, done.begin),
            end: micros(outcome.began, done.end),
        };
        let fault = span(&hurt);
        let events: &[Event] = &hurt.tally.events;
        let seen = series::parts(events, fault)?;
        let slow = series::slow_us(seen[0].latency_us.p99);
        let in_slots = |counter: &Vec<(Instant, Option<u64>)>| {
            let counter = counter.iter().filter(|(at, _)| *at >= hurt.began);
            let counter = counter.map(|(at, count)| (micros(hurt.began, *at), *count)).collect();
            series::slots(&counter, SLOT_US, whole.as_micros() as u64)
        };
        let rates: Vec<_> = counters.iter().take(UPSTREAMS[0].1).map(in_slots).collect();
        let rest = rates.get(BAD + 1..).unwrap_or_default();
        let quiet = Span { begin: 0, end: fault.begin };
        let per_second = |rates, part: Span| {
            series::sum(rates, SLOT_US, part) as f64 / (part.end - part.begin).max(1) as f64
        };
        let steady = injection.is_steady();
        let before = per_second(rest, quiet);
        // Those who put a fault to the proxy ask, too.
        let ours = injection.victim() == Victim::Endpoint;
        let avoided = || series::avoidance(&rates, BAD, SLOT_US, fault);
        Ok(Measured {
            injection,
            subject,
            fault,
            detection: series::detection(events, fault, slow),
            avoided_us: injection.behaviour().and_then(|_| avoided()),
            recovery_us: steady.then(|| series::recovery(&rates, BAD, SLOT_US, fault)).flatten(),
            aftermath_us: series::aftermath(events, fault, slow),
            rest: (ours && before > 0.0).then(|| per_second(rest, fault) / before),
            tries: tries(&rates, events, fault).filter(|_| ours),
            resident: change(&held, done.begin, |it| it.resident),
            descriptors: change(&held, done.begin, |it| it.descriptors),
            wrong: series::wrong(events) + series::wrong(&calm.tally.events) + done.wrong,
            examples: hurt.tally.examples.iter().chain(&calm.tally.examples).cloned().collect(),
            calm: series::parts(&calm.tally.events, span(&calm))?,
            hurt: seen,
            note: done.note,
            foreign_cores,
        })
    }
}

/// Of slots that are wholly in the fault, both ways.
fn tries(rates: &[Vec<u64>], events: &[Event], fault: Span) -> Option<f64> {
    let whole = Span { begin: fault.begin.div_ceil(SLOT_US) * SLOT_US, end: fault.end / SLOT_US * SLOT_US };
    let asked = events.iter().filter(|it| (whole.begin..whole.end).contains(&it.start_us)).count();
    (asked > 0).then(|| series::sum(rates, SLOT_US, whole) as f64 / asked as f64)
}

fn change(held: &[Held], begin: Instant, of: impl Fn(&Held) -> u64) -> Change {
    let (before, since) = held.split_at(held.partition_point(|it| it.at < begin));
    Change {
        before: before.last().map_or(0, &of),
        peak: since.iter().map(&of).max().unwrap_or_default(),
        after: since.last().map_or(0, &of),
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_micros() as u64
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    joined_plain(thread)?
}

fn joined_plain<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T> {
    thread.join().map_err(|_| Fault::new("a thread of the run panicked; see above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_told_before_at_most_and_after() {
        let begin = Instant::now();
        let at = |ms: u64, resident| Held { at: begin + Duration::from_millis(ms), resident, descriptors: 1 };
        let held = [at(0, 10), at(100, 20), at(200, 90), at(300, 30)];
        let during = change(&held, begin + Duration::from_millis(150), |it| it.resident);
        assert_eq!(during, Change { before: 20, peak: 90, after: 30 });
        assert_eq!(change(&[], begin, |it| it.resident), Change::default());
    }

    #[test]
    fn tries_are_of_whole_slots() {
        let event = |start_us| Event { start_us, took_us: 1, failure: None, status: 0 };
        let events: Vec<_> = (0..10).map(|n| event(n * SLOT_US)).collect();
        // Two tries in each slot, three in the first one, which the fault has but a part of.
        let rates = [vec![3, 2, 2, 2, 2, 2, 2, 2, 2, 2]];
        let fault = Span { begin: 10, end: 5 * SLOT_US + 7 };
        assert_eq!(tries(&rates, &events, fault), Some(2.0));
        assert_eq!(tries(&rates, &[], fault), None);
    }
}
