//! What changed between two records.
use std::fmt::Write;

use super::{
    kind::{Bounds, Kind},
    record::{Figure, Record},
};
use crate::{release, report::table};

/// How a figure did. The worst comes first in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Beyond its bound.
    Worse,
    /// As far on the good side as the bound is on the bad one.
    Better,
    /// Between the two.
    Within,
    /// No bound holds for its kind.
    NotJudged,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Worse => "WORSE",
            Self::Better => "better",
            Self::Within => "within",
            Self::NotJudged => "not judged",
        }
    }
}

/// A figure that both records have.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it counts.
    pub kind: Kind,
    /// What it was.
    pub base: f64,
    /// What it is.
    pub new: f64,
    /// How it did.
    pub verdict: Verdict,
    /// How far it might have gone, in words.
    pub allowed: String,
}

/// Two records, figure by figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What both have, worst first.
    pub changes: Vec<Change>,
    /// Names that only the base has.
    pub only_in_base: Vec<String>,
    /// Names that only the new one has.
    pub only_in_new: Vec<String>,
    /// What makes the comparison doubtful, in sentences.
    pub doubts: Vec<String>,
}

impl Comparison {
    /// Compares two records.
    pub fn of(base: &Record, new: &Record, bounds: &Bounds) -> Self {
        let pair = |a: &Figure| new.figures.iter().find(|b| is_same(a, b)).map(|b| change(a, b, bounds));
        let mut changes: Vec<_> = base.figures.iter().filter_map(pair).collect();
        // Stable: figures of one verdict stay in the order of the record.
        changes.sort_by_key(|change| change.verdict);
        Self {
            changes,
            only_in_base: only(base, new),
            only_in_new: only(new, base),
            doubts: doubts(base, new),
        }
    }

    /// Whether any figure is beyond its bound.
    pub fn is_worse(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Worse)
    }

    /// For people.
    pub fn text(&self) -> String {
        let rows: Vec<_> = self.changes.iter().map(row).collect();
        let mut text = table::render(&["figure", "base", "new", "change", "allowed", "verdict"], &rows);
        for (side, names) in [("base", &self.only_in_base), ("new", &self.only_in_new)] {
            for name in names {
                let _ = writeln!(text, "only in {side}: {name}");
            }
        }
        for doubt in &self.doubts {
            let _ = writeln!(text, "doubtful: {doubt}");
        }
        let count = |verdict| self.changes.iter().filter(|change| change.verdict == verdict).count();
        let (worse, judged) = (count(Verdict::Worse), self.changes.len() - count(Verdict::NotJudged));
        let _ = writeln!(text, "\n{worse} of {judged} judged figures worse than allowed");
        text
    }
}

/// A name that came to count something else is another figure.
fn is_same(a: &Figure, b: &Figure) -> bool {
    a.name == b.name && a.kind == b.kind
}

fn only(this: &Record, other: &Record) -> Vec<String> {
    let missing = |figure: &&Figure| !other.figures.iter().any(|b| is_same(figure, b));
    this.figures.iter().filter(missing).map(|figure| figure.name.clone()).collect()
}

fn change(base: &Figure, new: &Figure, bounds: &Bounds) -> Change {
    let bound = bounds.of(base.kind);
    let verdict = match bound {
        None => Verdict::NotJudged,
        Some(bound) if bound.is_broken(base.value, new.value) => Verdict::Worse,
        Some(bound) if bound.is_surpassed(base.value, new.value) => Verdict::Better,
        Some(_) => Verdict::Within,
    };
    Change {
        name: base.name.clone(),
        kind: base.kind,
        base: base.value,
        new: new.value,
        verdict,
        allowed: bound.map_or_else(|| "-".into(), |bound| bound.describe()),
    }
}

fn row(change: &Change) -> Vec<String> {
    let by = if change.base == change.new {
        "none".to_owned()
    } else if change.base == 0.0 {
        "from nothing".to_owned()
    } else {
        format!("{:+.1} %", (change.new / change.base - 1.0) * 100.0)
    };
    vec![
        change.name.clone(),
        number(change.kind, change.base),
        number(change.kind, change.new),
        by,
        change.allowed.clone(),
        change.verdict.word().to_owned(),
    ]
}

fn number(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Instructions | Kind::Rate => format!("{value:.0}"),
        Kind::CpuToFloor | Kind::P99ToPeer | Kind::HitRate => format!("{value:.3}"),
        Kind::Memory => format!("{:.1} MiB", value / f64::from(1 << 20)),
        Kind::Allocations => format!("{value:.2}"),
        Kind::Latency => format!("{value:.0} us"),
    }
}

fn doubts(base: &Record, new: &Record) -> Vec<String> {
    let mut doubts = Vec::new();
    for (name, record) in [("base", base), ("new", new)] {
        if record.source.debug_build {
            doubts.push(format!("{name}: {}", release::MARK));
        }
        doubts.extend(record.noise.iter().map(|noise| format!("{name}: {noise}")));
    }
    for (what, a, b) in [
        ("processors", &base.source.cpu, &new.source.cpu),
        ("kernels", &base.source.kernel, &new.source.kernel),
    ] {
        if a != b {
            doubts.push(format!("different {what}: {a:?} and {b:?}"));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::record::Source;

    fn record(figures: &[(&str, Kind, f64)]) -> Record {
        let figure = |&(name, kind, value): &(&str, Kind, f64)| Figure {
            name: name.into(),
            kind,
            value,
            min: None,
            max: None,
        };
        Record { source: Source::default(), figures: figures.iter().map(figure).collect(), noise: Vec::new() }
    }

    const STRICT: Bounds = Bounds {
        instructions: Some(0.02),
        cpu_to_floor: Some(0.05),
        p99_to_peer: Some(0.2),
        memory: Some(0.2),
        allocations: Some(0.0),
        latency: None,
        rate: None,
    };

    #[test]
    fn the_worst_comes_first_and_what_is_missing_is_named() {
        let base = record(&[
            ("old", Kind::Memory, 1.0),
            ("instructions", Kind::Instructions, 1000.0),
            ("cpu", Kind::CpuToFloor, 1.0),
            ("renamed", Kind::Rate, 1.0),
        ]);
        let new = record(&[
            ("instructions", Kind::Instructions, 1010.0),
            ("cpu", Kind::CpuToFloor, 1.06),
            ("renamed", Kind::Latency, 1.0),
        ]);
        let comparison = Comparison::of(&base, &new, &STRICT);
        let verdicts: Vec<_> = comparison.changes.iter().map(|c| (c.name.as_str(), c.verdict)).collect();
        assert_eq!(verdicts, [("cpu", Verdict::Worse), ("instructions", Verdict::Within)]);
        assert_eq!(comparison.only_in_base, ["old", "renamed"]);
        assert_eq!(comparison.only_in_new, ["renamed"]);
        assert!(comparison.is_worse());
        assert!(!Comparison::of(&new, &base, &STRICT).is_worse(), "the other way it is an improvement");
        assert!(
            comparison.text().contains("1 of 2 judged figures worse than allowed"),
            "{}",
            comparison.text()
        );
    }

    #[test]
    fn loose_judges_what_strict_only_shows() {
        let base = record(&[
            ("p99", Kind::Latency, 100.0),
            ("rate", Kind::Rate, 100.0),
            ("cpu", Kind::CpuToFloor, 1.0),
        ]);
        let new = record(&[
            ("p99", Kind::Latency, 201.0),
            ("rate", Kind::Rate, 89.0),
            ("cpu", Kind::CpuToFloor, 9.0),
        ]);
        let worse = |bounds| -> Vec<String> {
            let comparison = Comparison::of(&base, &new, bounds);
            comparison.changes.into_iter().filter(|c| c.verdict == Verdict::Worse).map(|c| c.name).collect()
        };
        assert_eq!(worse(&Bounds::LOOSE), ["p99", "rate"]);
        assert_eq!(worse(&STRICT), ["cpu"]);
    }

    #[test]
    fn other_machines_and_noise_are_said() {
        let mut base = record(&[("cpu", Kind::CpuToFloor, 1.0)]);
        let new = base.clone();
        base.source.cpu = "another".into();
        base.noise.push("others used 1.2 cores".into());
        let text = Comparison::of(&base, &new, &STRICT).text();
        assert!(text.contains("different processors") && text.contains("base: others used"), "{text}");
    }
}
