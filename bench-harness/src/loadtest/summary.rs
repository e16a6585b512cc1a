//! The report on the terminal: tables and what must be known besides.
use std::fmt::Write;

use super::{
    goals::Verdict,
    measured::{Figure, Kind, Measured, Spread},
    noise,
};
use crate::report::{figures::Latency, table};

const HEADER: [&str; 7] = ["scenario", "target", "conns", "requests/s", "/direct", "cpu us/req", "min..max"];
const GOAL_HEADER: &[&str] = &["ratio", "measured", "min..max", "target", "verdict", "by"];

/// The whole report as text.
pub(super) fn text(measured: &[Measured], goals: &[Verdict]) -> String {
    let header = [&HEADER[..], &Latency::HEADER, &["errors"]].concat();
    let mut text = table::render(&header, &rows(measured));
    for line in notes(measured) {
        let _ = writeln!(text, "{line}");
    }
    if !goals.is_empty() {
        text.push('\n');
        text.push_str(&table::render(GOAL_HEADER, &goal_rows(goals)));
    }
    text
}

fn rows(measured: &[Measured]) -> Vec<Vec<String>> {
    measured.iter().map(|one| row(one, direct_of(measured, one))).collect()
}

fn direct_of<'a>(measured: &'a [Measured], one: &Measured) -> Option<&'a Measured> {
    measured.iter().find(|other| other.kind == Kind::Direct && other.scenario == one.scenario)
}

fn row(one: &Measured, direct: Option<&Measured>) -> Vec<String> {
    let cpu = one.spread(Figure::Cpu);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let mut row = vec![
        one.scenario.name.clone(),
        one.subject.clone(),
        one.scenario.connections.to_string(),
        or_dash(one.spread(Figure::Rate).map(|rate| format!("{:.0}", rate.median))),
        or_dash(
            direct
                .and_then(|direct| one.ratio(direct, Figure::Rate))
                .map(|ratio| format!("{:.2}", ratio.median)),
        ),
        or_dash(cpu.map(|cpu| format!("{:.2}", cpu.median))),
        or_dash(cpu.map(range)),
    ];
    row.extend(Latency::of(&one.latency).cells());
    row.push(one.errors().to_string());
    row
}

fn range(spread: Spread) -> String {
    format!("{:.2}..{:.2}", spread.min, spread.max)
}

fn goal_rows(goals: &[Verdict]) -> Vec<Vec<String>> {
    let row = |goal: &Verdict| {
        vec![
            goal.what.clone(),
            format!("{:.2}", goal.ratio.median),
            range(goal.ratio),
            goal.target.clone(),
            goal.word().to_owned(),
            goal.by(),
        ]
    };
    goals.iter().map(row).collect()
}

/// What a reader of the table must know besides.
fn notes(measured: &[Measured]) -> Vec<String> {
    let mut notes = noise::sentences(measured);
    notes.extend(faults(measured));
    notes
}

/// What was wrong with the measured, in sentences.
pub(super) fn faults(measured: &[Measured]) -> Vec<String> {
    let mut notes = Vec::new();
    for one in measured {
        let place = format!("{} {}", one.scenario.name, one.subject);
        if !one.kept_upstream_connections() {
            let (n, requests) = (one.origin_connections, one.requests_all());
            notes.push(format!(
                "unfair: {place}: {n} new upstream connections for {requests} requests: it did not keep them, and no \
                 target is judged by it"
            ));
        }
        for line in &one.disagreements {
            notes.push(format!("ERROR: {place}: {line}"));
        }
        for (index, round) in one.rounds.iter().enumerate().filter(|(_, round)| round.errors > 0) {
            let mut examples = round.error_examples.clone();
            examples.dedup();
            let examples = examples.join("; ");
            notes.push(format!("ERROR: {place}, round {}: {}: {examples}", index + 1, round.errors_text()));
        }
    }
    notes
}
