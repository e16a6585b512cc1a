//! Whether a run at random was good: each thing that must not be, with what was found. Pure.
use serde::Serialize;

use crate::{
    faults::series::is_wrong,
    load::tally::{Kind, Tally},
    memory::{judge::Growth, megabytes},
};

/// One thing that is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) what: &'static str,
    pub(super) good: bool,
    pub(super) found: String,
}

/// All that is judged by.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// Answers that were not what was asked for, to anybody, and one of them.
    pub(super) wrong: u64,
    pub(super) example: Option<String>,
    /// Requests that were answered as they must be.
    pub(super) answered: u64,
    /// Faults that could not be put.
    pub(super) not_put: Vec<String>,
    /// Resident bytes at equal distances, and what they must stay within.
    pub(super) resident: Vec<u64>,
    pub(super) resident_max: u64,
    /// Descriptors in quiet times, and when it was quiet again.
    pub(super) descriptors: [u64; 2],
    /// Metrics that must not move, and what they moved by; None: it does not say any more.
    pub(super) moved: Vec<(&'static str, Option<u64>)>,
    /// Lines of its log that tell of a panic.
    pub(super) panics: Vec<String>,
}

/// Answers of a load that were delivered and were not what was asked for.
pub(super) fn wrong(tally: &Tally) -> u64 {
    Kind::ALL.into_iter().zip(tally.errors).filter(|(kind, _)| is_wrong(*kind)).map(|(_, n)| n).sum()
}

impl Evidence {
    /// Judges all of it.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |what, good, found| Verdict { what, good, found };
        let example = self.example.as_ref().map_or(String::new(), |it| format!(" ({it})"));
        let growth = Growth::of_repeated(&self.resident);
        let peak = self.resident.iter().copied().max().unwrap_or_default();
        let [before, last, slack, top, max] =
            [growth.before, growth.last, growth.slack(), peak, self.resident_max].map(megabytes);
        let [quiet, again] = self.descriptors;
        let mut verdicts = vec![
            verdict("answers", self.wrong == 0 && self.answered > 0, {
                format!("{} as they must be, {} wrong or somebody else's{example}", self.answered, self.wrong)
            }),
            verdict("faults", self.not_put.is_empty(), {
                let list = self.not_put.join("; ");
                if list.is_empty() { "all put".into() } else { format!("not put: {list}") }
            }),
            verdict("memory's bound", peak <= self.resident_max && peak > 0, format!("peak {top} of {max}")),
            verdict("memory's growth", growth.is_steady(), {
                format!("median {before} the first time, {last} when the same came again, {slack} allowed")
            }),
            verdict("descriptors", again <= quiet, format!("{quiet} before, {again} when quiet again")),
            verdict("panics", self.panics.is_empty(), {
                self.panics.first().map_or("none in the log".into(), |line| format!("{line:.200}"))
            }),
        ];
        verdicts.extend(self.moved.iter().map(|(name, by)| {
            verdict(name, *by == Some(0), by.map_or("not told any more".into(), |by| by.to_string()))
        }));
        verdicts
    }
}

/// The sum of all series of a metric; None: there is no such metric.
pub(super) fn metric(metrics: &str, name: &str) -> Option<u64> {
    let values: Vec<f64> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::Failure;

    const MB: u64 = 1_000_000;

    fn good() -> Evidence {
        Evidence {
            answered: 1,
            resident: vec![50 * MB; 30],
            resident_max: 60 * MB,
            descriptors: [20, 20],
            moved: vec![("a", Some(0))],
            ..Evidence::default()
        }
    }

    fn bad(evidence: &Evidence) -> Vec<&'static str> {
        evidence.verdicts().into_iter().filter(|it| !it.good).map(|it| it.what).collect()
    }

    #[test]
    fn each_thing_that_must_not_be_is_found() {
        assert_eq!(bad(&good()), [""; 0]);
        assert_eq!(bad(&Evidence { wrong: 1, ..good() }), ["answers"]);
        assert_eq!(bad(&Evidence { answered: 0, ..good() }), ["answers"]);
        assert_eq!(bad(&Evidence { not_put: vec!["x".into()], ..good() }), ["faults"]);
        assert_eq!(bad(&Evidence { resident_max: 40 * MB, ..good() }), ["memory's bound"]);
        let rising = (0..30).map(|n| n * MB).collect();
        assert_eq!(bad(&Evidence { resident: rising, ..good() }), ["memory's growth"]);
        assert_eq!(bad(&Evidence { descriptors: [20, 21], ..good() }), ["descriptors"]);
        assert_eq!(bad(&Evidence { panics: vec!["panicked at".into()], ..good() }), ["panics"]);
        let moved = vec![("a", Some(1)), ("b", None), ("c", Some(0))];
        assert_eq!(bad(&Evidence { moved, ..good() }), ["a", "b"]);
    }

    #[test]
    fn an_answer_that_was_cut_is_no_wrong_one() {
        let mut tally = Tally::new().unwrap();
        for kind in Kind::ALL {
            tally.fail(&Failure::new(kind, "x"));
        }
        assert_eq!(wrong(&tally), 4);
    }

    #[test]
    fn series_of_a_metric_add_up() {
        let text = "# TYPE a counter\na 3\nb{x=\"1\"} 4\nb{x=\"2\"} 5\nab 7\n";
        assert_eq!([metric(text, "a"), metric(text, "b"), metric(text, "c")], [Some(3), Some(9), None]);
    }
}
