//! Storms through the admin API at each pace and each interval, beside quiet times: the source's table, measured here.
use std::{path::Path, time::Duration};

use serde::Serialize;
use serde_json::json;

use super::{
    changes::{Series, Source},
    noise,
    options::StormArgs,
    sheet::{Part, Sheet},
    site::{Setup, Site},
    window::{self, SENDERS, Storm, Window},
};
use crate::{
    fault::{Fault, Result},
    guard::{kind::Kind, record::Figure},
    loadtest::{Cores, environment::Environment},
    memory::megabytes,
    report::table::micros,
};

/// Routes that are changed, in turn; the rest forward.
const CHANGED_MAX: usize = 100;
/// Quiet times, as a share of a storm's.
const QUIET_SHARE: u32 = 3;
/// What is asked for.
const SIZES: [(u64, u32); 1] = [(13, 1)];

/// Rebuilds in 30 s as the source has them, by time from change to change, at intervals of 0, 1 s and 5 s.
const SOURCE: [(Duration, [u64; 3]); 3] = [
    (Duration::from_millis(50), [600, 31, 7]),
    (Duration::from_millis(20), [1_500, 31, 7]),
    (Duration::from_secs(3), [10, 10, 10]),
];
const SOURCE_INTERVALS: [u64; 3] = [0, 1, 5];
const SOURCE_STORM: Duration = Duration::from_secs(30);

/// One storm with the quiet times around it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    every: Duration,
    interval: Duration,
    storm: Window,
    quiet: [Window; 2],
}

impl Cell {
    fn source(&self) -> Option<u64> {
        let at = SOURCE_INTERVALS.iter().position(|it| Duration::from_secs(*it) == self.interval)?;
        let row = SOURCE.iter().find(|(every, _)| *every == self.every)?;
        row.1.get(at).copied()
    }

    /// The most rebuilds that so many changes may cost: one each; with an interval one at the begin, and one at the end of
    /// each interval until the last change is in.
    fn builds_max(&self) -> u64 {
        let changes = self.storm.changes.sent;
        if self.interval.is_zero() {
            return changes;
        }
        let late = Duration::from_micros(self.storm.changes.lateness_us.max);
        let last = self.every * changes.saturating_sub(1) as u32 + late;
        changes.min((last.as_secs_f64() / self.interval.as_secs_f64()).ceil() as u64 + 1)
    }

    /// Storm to quiet, of a figure of the load.
    fn ratio(&self, of: impl Fn(&Window) -> f64) -> f64 {
        let quiet = self.quiet.iter().map(&of).sum::<f64>() / self.quiet.len() as f64;
        of(&self.storm) / quiet.max(f64::MIN_POSITIVE)
    }

    fn name(&self) -> String {
        format!("{}, interval {}", pace(self.every), interval(self.interval))
    }

    fn row(&self) -> Vec<String> {
        let Window { changes, load, builds, control_seconds, .. } = &self.storm;
        let per_build = if *builds == 0 { 0.0 } else { control_seconds * 1e6 / *builds as f64 };
        let delay = &changes.delay_us;
        let mut row = vec![
            pace(self.every),
            interval(self.interval),
            changes.sent.to_string(),
            builds.to_string(),
            self.source().map_or("-".into(), |it| it.to_string()),
            format!("{:.1} %", self.storm.control_share * 100.0),
            micros(per_build as u64),
            format!("{:.0}", load.requests_per_second),
            format!("{:.3}", self.ratio(|it| it.load.requests_per_second)),
            micros(load.latency_us.p99),
            format!("{:.2}", self.ratio(|it| it.load.latency_us.p99 as f64)),
        ];
        row.extend([delay.p50, delay.p99, delay.max].map(micros));
        row.extend([self.storm.resident_before, self.storm.resident_after].map(megabytes));
        row
    }

    fn figures(&self) -> Vec<Figure> {
        let figure = |what: &str, kind, value: f64| Figure {
            name: format!("storm {}: {what}", self.name()),
            kind,
            value,
            min: None,
            max: None,
        };
        vec![
            figure("delay p99", Kind::Latency, self.storm.changes.delay_us.p99 as f64),
            figure("requests per second", Kind::Rate, self.storm.load.requests_per_second),
            figure("memory after", Kind::Memory, self.storm.resident_after as f64),
        ]
    }

    /// What went wrong, in a sentence.
    fn wrong(&self) -> Option<String> {
        let Window { changes, load, builds, .. } = &self.storm;
        let mut what = Vec::new();
        let mut add = |n: u64, of: &str| {
            if n > 0 {
                what.push(format!("{n} {of}"));
            }
        };
        add(load.errors, "errors of the load");
        add(load.closed, "connections closed by the proxy");
        add(changes.refused, "changes refused");
        add(changes.lost, "changes never in effect");
        add(changes.went_back, "answers older than one before");
        add(changes.probe_failures, "questions of the prober that failed");
        add(builds.saturating_sub(self.builds_max()), "rebuilds more than the interval allows");
        add(self.quiet.iter().map(|it| it.load.errors + it.load.closed).sum(), "errors without changes");
        let mut examples = load.error_examples.iter().chain(&changes.examples);
        let example = examples.next().map_or(String::new(), |it| format!(" ({it})"));
        (!what.is_empty()).then(|| format!("WRONG: {}: {}{example}", self.name(), what.join(", ")))
    }
}

const HEADER: [&str; 16] = [
    "changes",
    "min interval",
    "sent",
    "rebuilds",
    "source's",
    "control CPU",
    "per rebuild",
    "requests/s",
    "/ quiet",
    "p99",
    "/ quiet",
    "delay p50",
    "p99",
    "max",
    "memory before",
    "after",
];

/// Measures all of it. True: nothing went wrong.
pub(super) fn run(args: &StormArgs, cores: Cores, dir: &Path, mut environment: Environment) -> Result<bool> {
    let mut cells = Vec::new();
    for (at, interval) in args.intervals.iter().enumerate() {
        let changed = changed(args.routes());
        let setup = Setup {
            name: format!("interval-{at}"),
            forwarding: args.routes() - changed,
            interval: *interval,
            included: None,
            etcd: None,
        };
        let site = Site::start(args, &setup, cores, dir)?;
        environment.drivers = vec![("ringlane".into(), site.info.driver.clone())];
        environment.debug_build |= site.is_debug();
        cells.extend(of_interval(args, &site, *interval, changed, cores)?);
    }
    let quiet: Vec<&Window> = cells.iter().flat_map(|it| &it.quiet).collect();
    let noise = noise::sentences(cells.iter().flat_map(|it| [&it.storm, &it.quiet[0], &it.quiet[1]]), &quiet);
    let wrong: Vec<String> = cells.iter().filter_map(Cell::wrong).collect();
    let good = wrong.is_empty();
    let sheet = Sheet {
        environment,
        noise,
        parts: vec![part(args, &cells, wrong)],
        figures: cells.iter().flat_map(Cell::figures).collect(),
        results: json!({ "cells": cells }),
    };
    sheet.publish(dir)?;
    Ok(good)
}

/// How many routes are changed: whole turns of all senders, and at most half.
fn changed(routes: usize) -> usize {
    let step = SENDERS * 5;
    (routes / 2 / step * step).min(CHANGED_MAX)
}

fn of_interval(
    args: &StormArgs,
    site: &Site,
    interval: Duration,
    changed: usize,
    cores: Cores,
) -> Result<Vec<Cell>> {
    let series = Series { source: Source::Api(site.admin), routes: changed };
    let storm = |first: u64, count: u64, every: Duration| Storm {
        series: &series,
        first,
        count,
        every,
        offset: Duration::ZERO,
        interval,
    };
    // The routes that will be changed, and then rest: the first change of a storm finds no table that is just built.
    let added = changed as u64;
    let setup = window::run(site, None, Duration::ZERO, &[storm(0, added, Duration::ZERO)], |_| Ok(()))?;
    if setup.changes.refused + setup.changes.lost > 0 {
        let example = setup.changes.examples.first().cloned().unwrap_or_default();
        return Err(Fault::new(format!("the routes to change could not be added: {example}")));
    }
    let quiet_time = (args.storm() / QUIET_SHARE).max(interval);
    let quiet_plan = site.plan(args, cores, &SIZES, quiet_time)?;
    let plan = site.plan(args, cores, &SIZES, args.storm())?;
    let quiet = || {
        let none = storm(0, 0, Duration::ZERO);
        window::run(site, Some(&quiet_plan), quiet_time, &[none], |_| Ok(()))
    };
    let mut before = quiet()?;
    let mut first = added;
    let mut cells = Vec::new();
    for &every in &args.every {
        let count = (args.storm().as_secs_f64() / every.as_secs_f64()).ceil().max(1.0) as u64;
        println!("{}, interval {}, {:?} ...", pace(every), self::interval(interval), args.storm());
        let stormy = window::run(site, Some(&plan), args.storm(), &[storm(first, count, every)], |_| Ok(()))?;
        first += count;
        let after = quiet()?;
        cells.push(Cell { every, interval, storm: stormy, quiet: [before, after.clone()] });
        before = after;
    }
    Ok(cells)
}

fn part(args: &StormArgs, cells: &[Cell], wrong: Vec<String>) -> Part {
    let loop_ = args.rate.map_or("closed loop".into(), |rate| format!("open loop at {rate:.0}/s"));
    let placed = if args.spread { "may use the load's core too" } else { "shares the worker's core" };
    let mut sentences = vec![
        "control CPU: everything of the proxy but its workers, of one core. delay: from a change's sending to the first \
         answer that has it. / quiet: to the mean of the times without changes right before and after."
            .to_owned(),
    ];
    let probe = cells.iter().map(|it| it.storm.changes.probe_us.p99).max().unwrap_or_default();
    sentences
        .push(format!("delays are exact to 1 ms and one answer, which took up to {} (p99)", micros(probe)));
    if args.storm() != SOURCE_STORM {
        sentences.push(format!("the source's rebuilds are of {SOURCE_STORM:?}, these of {:?}", args.storm()));
    }
    sentences.extend(wrong);
    Part {
        title: format!(
            "{} routes, {} connections ({loop_}), {:?} each; the control thread {placed}",
            args.routes(),
            args.connections,
            args.storm()
        ),
        header: HEADER.to_vec(),
        rows: cells.iter().map(Cell::row).collect(),
        sentences,
    }
}

/// `50 /s`, or `one in 3 s`.
fn pace(every: Duration) -> String {
    if every < Duration::from_secs(1) {
        format!("{:.0}/s", 1.0 / every.as_secs_f64())
    } else {
        format!("one in {} s", every.as_secs_f64())
    }
}

fn interval(interval: Duration) -> String {
    format!("{} s", interval.as_secs_f64())
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::{
        report::figures::Latency,
        storm::window::{ChangeFigures, LoadFigures},
    };

    /// A run with a rate and so many rebuilds, as many as changes.
    pub(crate) fn window(rate: f64, builds: u64) -> Window {
        let latency = Latency { p99: 100, ..Latency::default() };
        Window {
            load: LoadFigures { requests_per_second: rate, latency_us: latency, ..LoadFigures::default() },
            changes: ChangeFigures { sent: builds, ..ChangeFigures::default() },
            builds,
            control_seconds: 1.0,
            control_share: 0.1,
            resident_before: 1,
            resident_after: 1,
            foreign_cores: 0.0,
            seconds: 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::window, *};

    fn cell(every_ms: u64, interval_s: u64, changes: u64, builds: u64) -> Cell {
        let mut storm = window(90.0, builds);
        storm.changes.sent = changes;
        Cell {
            every: Duration::from_millis(every_ms),
            interval: Duration::from_secs(interval_s),
            storm,
            quiet: [window(100.0, 0), window(80.0, 0)],
        }
    }

    #[test]
    fn the_sources_counts_are_beside_ours() {
        let sources = |every| [0, 1, 5].map(|interval| cell(every, interval, 1, 1).source());
        assert_eq!(sources(50), [Some(600), Some(31), Some(7)]);
        assert_eq!(sources(20), [Some(1_500), Some(31), Some(7)]);
        assert_eq!(sources(3_000), [Some(10); 3]);
        assert_eq!(cell(10, 0, 1, 1).source(), None);
        assert_eq!(cell(50, 0, 1, 1).row().len(), HEADER.len());
    }

    #[test]
    fn more_rebuilds_than_the_interval_allows_are_wrong() {
        for (every, interval, changes, most) in [(50, 0, 600, 600), (20, 1, 1_500, 31), (20, 5, 1_500, 7)] {
            assert_eq!(cell(every, interval, changes, most).wrong(), None);
            assert!(cell(every, interval, changes, most + 1).wrong().is_some(), "{every} {interval}");
        }
        let mut lost = cell(50, 0, 600, 600);
        lost.storm.changes.lost = 2;
        assert!(lost.wrong().is_some_and(|it| it.contains("2 changes never in effect")));
    }

    #[test]
    fn a_ratio_is_to_the_mean_of_both_quiet_times() {
        assert!((cell(50, 0, 1, 1).ratio(|it| it.load.requests_per_second) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_sender_has_whole_turns() {
        assert_eq!([40, 200, 5_000].map(changed), [20, 100, 100]);
        assert!([40, 200, 5_000].iter().all(|n| changed(*n) % SENDERS == 0));
    }
}
