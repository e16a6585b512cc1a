//! One run: load all the time, changes meanwhile or none, and everything read before and after.
use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    changes::{Counts, Schedule, Sent, Series},
    probe::{self, Seen},
    site::Site,
};
use crate::{
    fault::{Fault, Result},
    load::{self, Outcome, Plan},
    report::figures::Latency,
};

/// How long after the last change, and the interval, all must be in effect.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that changes of one series take turns on.
pub(super) const SENDERS: usize = 4;

/// Changes of one series during a run.
pub(super) struct Storm<'a> {
    pub(super) series: &'a Series,
    /// The number of the first change.
    pub(super) first: u64,
    /// How many; none: it is quiet, and the prober asks all the same.
    pub(super) count: u64,
    pub(super) every: Duration,
    /// When the first is due, from the beginning of the load's window.
    pub(super) offset: Duration,
    /// How long a change may wait for its table.
    pub(super) interval: Duration,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Window {
    pub(super) load: LoadFigures,
    pub(super) changes: ChangeFigures,
    /// Tables built.
    pub(super) builds: u64,
    /// CPU time of everything but the workers, in seconds, and as a share of one core.
    pub(super) control_seconds: f64,
    pub(super) control_share: f64,
    pub(super) resident_before: u64,
    pub(super) resident_after: u64,
    /// What others used of the machine, in cores.
    pub(super) foreign_cores: f64,
    /// From first reading to last.
    pub(super) seconds: f64,
}

/// The load's part.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LoadFigures {
    pub(super) requests_per_second: f64,
    pub(super) latency_us: Latency,
    pub(super) requests_all: u64,
    pub(super) errors: u64,
    /// Connections that had to be opened again.
    pub(super) closed: u64,
    pub(super) error_examples: Vec<String>,
}

/// The changes' part.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ChangeFigures {
    pub(super) sent: u64,
    pub(super) refused: u64,
    /// Never in effect.
    pub(super) lost: u64,
    /// Answers older than one before.
    pub(super) went_back: u64,
    /// From a change's sending to the first answer that has it.
    pub(super) delay_us: Latency,
    /// From when a change was due to its sending.
    pub(super) lateness_us: Latency,
    /// From its sending to the answer that it is taken.
    pub(super) answer_us: Latency,
    /// What a delay is exact to: one question of the prober and its answer.
    pub(super) probe_us: Latency,
    /// Questions of the prober that were not answered.
    pub(super) probe_failures: u64,
    pub(super) examples: Vec<String>,
}

impl Window {
    /// Whether something went wrong that must not.
    pub(super) fn is_bad(&self) -> bool {
        let changes = &self.changes;
        self.load.errors + self.load.closed + changes.refused + changes.lost + changes.probe_failures > 0
    }
}

impl LoadFigures {
    fn of(outcome: &Outcome) -> Self {
        let tally = &outcome.tally;
        Self {
            requests_per_second: outcome.rate,
            latency_us: Latency::of(&tally.latency),
            requests_all: tally.requests_all,
            errors: tally.errors_total(),
            closed: tally.connections.saturating_sub(outcome.plan.connections as u64),
            error_examples: tally.examples.clone(),
        }
    }
}

impl ChangeFigures {
    /// Adds up what was sent and what was seen of some series.
    fn of(parts: Vec<(Counts, Seen)>) -> Result<Self> {
        let mut counts = Counts::new()?;
        let (mut delay, mut probe) = (counts.answer.clone(), counts.answer.clone());
        let mut figures = Self::default();
        for (of_one, seen) in parts {
            counts.add(of_one)?;
            let both: [(&mut Histogram<u64>, _); 2] = [(&mut delay, &seen.delay), (&mut probe, &seen.probe)];
            for (sum, one) in both {
                sum.add(one).map_err(|_| Fault::new("histograms do not add up"))?;
            }
            figures.lost += seen.lost;
            figures.went_back += seen.went_back;
            figures.probe_failures += seen.failures;
            figures.examples.extend(seen.example);
        }
        figures.examples.extend(counts.example);
        Ok(Self {
            sent: counts.accepted + counts.refused,
            refused: counts.refused,
            delay_us: Latency::of(&delay),
            lateness_us: Latency::of(&counts.lateness),
            answer_us: Latency::of(&counts.answer),
            probe_us: Latency::of(&probe),
            ..figures
        })
    }
}

/// Runs the load, if there is one, for `duration`, with these storms in it; `meanwhile` gets the time at which the window begins, and
/// does what else is to be done.
pub(super) fn run(
    site: &Site,
    plan: Option<&Plan>,
    duration: Duration,
    storms: &[Storm<'_>],
    meanwhile: impl FnOnce(Instant) -> Result<()> + Send,
) -> Result<Window> {
    let before = site.read()?;
    let started = Instant::now();
    let begin = started + plan.map_or(Duration::ZERO, |plan| plan.warmup);
    let (load, parts) = thread::scope(|scope| -> Result<_> {
        let load = plan.map(|plan| scope.spawn(move || load::run(plan, &mut |_| {})));
        let meanwhile = scope.spawn(move || meanwhile(begin));
        let storms: Vec<_> = storms
            .iter()
            .map(|storm| scope.spawn(move || storm_of(site, storm, begin, begin + duration)))
            .collect();
        let parts: Vec<_> = storms.into_iter().map(|storm| joined(storm.join())).collect();
        joined(meanwhile.join())?;
        let load = load.map(|load| joined(load.join())).transpose()?;
        Ok((load, parts.into_iter().collect::<Result<Vec<_>>>()?))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let after = site.read()?;
    let control = after.control.saturating_sub(before.control).as_secs_f64();
    let foreign =
        (after.machine.saturating_sub(before.machine)).saturating_sub(after.ours.saturating_sub(before.ours));
    Ok(Window {
        load: load.as_ref().map(LoadFigures::of).unwrap_or_default(),
        changes: ChangeFigures::of(parts)?,
        builds: after.builds.saturating_sub(before.builds),
        control_seconds: control,
        control_share: control / seconds,
        resident_before: before.resident,
        resident_after: after.resident,
        foreign_cores: foreign.as_secs_f64() / seconds,
        seconds,
    })
}

/// Sends and watches one series.
fn storm_of(site: &Site, storm: &Storm<'_>, begin: Instant, end: Instant) -> Result<(Counts, Seen)> {
    let series = storm.series;
    // A file has one writer.
    let file = matches!(series.source, super::changes::Source::File(_));
    let senders = if file { 1 } else { SENDERS as u64 };
    let begin = begin + storm.offset;
    let schedule = Schedule { first: storm.first, count: storm.count, begin, every: storm.every, senders };
    let (tell, told): (Sender<Sent>, Receiver<Sent>) = mpsc::channel();
    let last = begin + storm.every * storm.count as u32;
    let patience = storm.interval + PATIENCE;
    thread::scope(|scope| {
        let schedule = &schedule;
        let sending: Vec<_> = (0..senders)
            .map(|sender| {
                let tell = tell.clone();
                scope.spawn(move || series.send(schedule, sender, &tell))
            })
            .collect();
        drop(tell);
        let give_up = |now: Instant| now > last.max(end) + patience;
        let seen = probe::watch(site.address, series, &told, end, give_up);
        let mut counts = Counts::new()?;
        for one in sending {
            counts.add(joined(one.join())?)?;
        }
        Ok((counts, seen?))
    })
}

fn joined<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.map_err(|_| Fault::new("a thread of the storm panicked; see above"))?
}
