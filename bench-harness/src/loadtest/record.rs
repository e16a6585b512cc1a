//! A load test's results as a file: what the regression guard compares, and all the rest for people and plots.
use serde_json::{Value, json};

use super::{
    document::Results,
    held::Held,
    measured::{Figure as Of, Kind as SubjectKind, Measured, Spread},
    noise,
};
use crate::{
    guard::{
        kind::Kind,
        record::{FORMAT, Figure, VERSION},
    },
    release,
};

/// The whole file.
pub(super) fn json(results: &Results<'_>) -> Value {
    let Results { environment, measured, held, goals, profiles, .. } = results;
    let held = held.and_then(|held| held.as_ref().ok());
    json!({
        "format": FORMAT,
        "version": VERSION,
        "warning": environment.debug_build.then_some(release::MARK),
        "environment": environment,
        "noise": noise::sentences(measured),
        "figures": figures(measured).into_iter().chain(held.iter().flat_map(|held| of_memory(held))).collect::<Vec<_>>(),
        "held": held,
        "goals": goals,
        "profiles": profiles,
        "results": measured,
    })
}

/// What the guard compares: Ringlane's figures. A peer that became slower is nobody's regression.
fn figures(measured: &[Measured]) -> Vec<Figure> {
    let ours = measured.iter().filter(|one| one.kind == SubjectKind::Ringlane);
    ours.flat_map(|one| figures_of(one, measured)).collect()
}

fn of_memory(held: &Held) -> impl Iterator<Item = Figure> {
    let figure = |(name, of): (&str, Spread)| Figure {
        name: name.to_owned(),
        kind: Kind::Memory,
        value: of.median,
        min: Some(of.min),
        max: Some(of.max),
    };
    held.figures().into_iter().map(figure)
}

fn figures_of(one: &Measured, measured: &[Measured]) -> Vec<Figure> {
    let name = |what: &str| format!("{} {}: {what}", one.scenario.name, one.subject);
    let mut figures = Vec::new();
    let mut add = |what: &str, kind, spread: Option<Spread>| {
        figures.extend(spread.map(|spread| Figure {
            name: name(what),
            kind,
            value: spread.median,
            min: Some(spread.min),
            max: Some(spread.max),
        }));
    };
    let others = || measured.iter().filter(|other| other.scenario.name == one.scenario.name);
    for floor in others().filter(|other| other.kind == SubjectKind::Floor) {
        add("CPU per request / floor", Kind::CpuToFloor, one.ratio(floor, Of::Cpu));
    }
    let fair = |other: &&Measured| other.kind == SubjectKind::Peer && other.kept_upstream_connections();
    for peer in others().filter(fair) {
        add(&format!("p99 / {}", peer.subject), Kind::P99ToPeer, one.ratio(peer, Of::P99));
    }
    add("requests per second", Kind::Rate, one.spread(Of::Rate));
    add("p50", Kind::Latency, one.spread(Of::P50));
    add("p99", Kind::Latency, one.spread(Of::P99));
    if one.scenario.open {
        add("p99.9", Kind::Latency, one.spread(Of::P999));
    }
    let memory = |bytes: Option<u64>| Spread::of(bytes.map(|bytes| bytes as f64));
    add("memory at idle", Kind::Memory, memory(one.memory_idle));
    add("memory after the run", Kind::Memory, memory(one.memory_after));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::measured::samples::measured;

    #[test]
    fn ratios_are_to_the_floor_and_to_each_peer_that_is_fair() {
        let mut unfair = measured("13b-256", "haproxy", SubjectKind::Peer, &[16.0, 32.0]);
        unfair.origin_connections = 1000;
        let all = [
            measured("13b-256", "floor", SubjectKind::Floor, &[10.0, 20.0]),
            measured("13b-256", "ringlane", SubjectKind::Ringlane, &[11.0, 22.0]),
            measured("13b-256", "nginx", SubjectKind::Peer, &[20.0, 40.0]),
            unfair,
        ];
        let figures = figures(&all);
        let names: Vec<_> = figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "13b-256 ringlane: CPU per request / floor",
                "13b-256 ringlane: p99 / nginx",
                "13b-256 ringlane: requests per second",
                "13b-256 ringlane: p50",
                "13b-256 ringlane: p99",
            ]
        );
        assert!((figures[0].value - 1.1).abs() < 1e-9);
    }
}
