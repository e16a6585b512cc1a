//! One storm beside the quiet times around it: what is shown of it, and whether something went wrong. Pure.
use std::time::Duration;

use serde::Serialize;

use super::{options::StormArgs, window::Window};
use crate::{
    guard::{kind::Kind, record::Figure},
    memory::megabytes,
    report::{sheet::Part, table::micros},
};

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
    pub(super) every: Duration,
    pub(super) interval: Duration,
    pub(super) storm: Window,
    /// Right before and right after.
    pub(super) quiet: [Window; 2],
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

    /// CPU time of a rebuild and all that belongs to a change, beyond what the control thread takes in quiet times.
    fn per_build_us(&self) -> u64 {
        let Window { control_seconds, seconds, builds, .. } = &self.storm;
        let quiet = self.quiet.iter().map(|it| it.control_share).sum::<f64>() / self.quiet.len() as f64;
        let more = (control_seconds - quiet * seconds).max(0.0);
        (more * 1e6 / (*builds).max(1) as f64) as u64
    }

    /// A row of the table of costs.
    fn costs(&self) -> Vec<String> {
        let Window { changes, builds, control_share, resident_before, resident_after, .. } = &self.storm;
        let mut row = vec![
            pace(self.every),
            interval(self.interval),
            changes.sent.to_string(),
            builds.to_string(),
            self.source().map_or("-".into(), |it| it.to_string()),
            format!("{:.1} %", control_share * 100.0),
            micros(self.per_build_us()),
        ];
        row.extend([*resident_before, *resident_after].map(megabytes));
        row
    }

    /// A row of the table of what others notice.
    fn effects(&self) -> Vec<String> {
        let Window { changes, load, .. } = &self.storm;
        let delay = &changes.delay_us;
        let mut row = vec![
            pace(self.every),
            interval(self.interval),
            format!("{:.0}", load.requests_per_second),
            format!("{:.3}", self.ratio(|it| it.load.requests_per_second)),
            micros(load.latency_us.p99),
            format!("{:.2}", self.ratio(|it| it.load.latency_us.p99 as f64)),
        ];
        row.extend([delay.p50, delay.p99, delay.max].map(micros));
        row
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
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
    pub(super) fn wrong(&self) -> Option<String> {
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

const COSTS: [&str; 9] = [
    "changes",
    "min interval",
    "sent",
    "rebuilds",
    "source's",
    "control CPU",
    "per rebuild",
    "memory before",
    "after",
];
const EFFECTS: [&str; 9] =
    ["changes", "min interval", "requests/s", "/ quiet", "p99", "/ quiet", "delay p50", "p99", "max"];

/// Both tables.
pub(super) fn parts(args: &StormArgs, cells: &[Cell]) -> Vec<Part> {
    let paced = args.rate.map_or("closed loop".into(), |rate| format!("open loop at {rate:.0}/s"));
    let placed = if args.spread { "may use the load's core too" } else { "shares the worker's core" };
    let mut about_costs = vec![
        "control CPU: everything of the proxy but its workers, of one core; per rebuild: what is more of it than in quiet \
         times."
            .to_owned(),
    ];
    if args.storm() != SOURCE_STORM {
        about_costs
            .push(format!("The source's rebuilds are of {SOURCE_STORM:?}, these of {:?}.", args.storm()));
    }
    about_costs.extend(cells.iter().filter_map(Cell::wrong));
    let probe = cells.iter().map(|it| it.storm.changes.probe_us.p99).max().unwrap_or_default();
    let about_effects = format!(
        "/ quiet: to the mean of the times without changes right before and after. delay: from a change's sending to the \
         first answer that has it, exact to 1 ms and one answer, which took up to {} (p99).",
        micros(probe)
    );
    let part = |title, header: [&'static str; 9], row: fn(&Cell) -> Vec<String>, sentences| Part {
        title,
        header: header.to_vec(),
        rows: cells.iter().map(row).collect(),
        sentences,
    };
    let costs =
        format!("Rebuilds: {} routes, {:?} each; the control thread {placed}", args.routes(), args.storm());
    let effects = format!("What the load and a prober notice: {} connections, {paced}", args.connections);
    vec![
        part(costs, COSTS, Cell::costs, about_costs),
        part(effects, EFFECTS, Cell::effects, vec![about_effects]),
    ]
}

/// `50 /s`, or `one in 3 s`.
pub(super) fn pace(every: Duration) -> String {
    if every < Duration::from_secs(1) {
        format!("{:.0}/s", 1.0 / every.as_secs_f64())
    } else {
        format!("one in {} s", every.as_secs_f64())
    }
}

pub(super) fn interval(interval: Duration) -> String {
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
        assert_eq!(
            (cell(50, 0, 1, 1).costs().len(), cell(50, 0, 1, 1).effects().len()),
            (COSTS.len(), EFFECTS.len())
        );
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
    fn a_rebuild_costs_what_is_more_than_in_quiet_times() {
        let mut one = cell(50, 0, 10, 10);
        (one.storm.control_seconds, one.storm.seconds) = (3.0, 10.0);
        assert_eq!(one.per_build_us(), 200_000);
        one.storm.builds = 0;
        assert_eq!(one.per_build_us(), 2_000_000);
    }
}
