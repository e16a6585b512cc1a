//! The project's performance targets, and what was measured beside each.
use serde::Serialize;

use super::{
    measured::{Figure, Kind, Measured, Spread},
    noise,
};

/// What Ringlane is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// The peer with the best median.
    BestPeer,
    /// The bare forwarder.
    Floor,
    /// No proxy.
    Direct,
    /// Ringlane with one worker, beside that with more.
    OneWorker,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    /// The median ratio is at most this.
    AtMost(f64),
    /// The ratio of the best round is at least this.
    BestRoundAtLeast(f64),
}

struct Goal {
    scenario: &'static str,
    figure: Figure,
    against: Against,
    limit: Limit,
}

const fn goal(scenario: &'static str, figure: Figure, against: Against, limit: Limit) -> Goal {
    Goal { scenario, figure, against, limit }
}

const GOALS: &[Goal] = &[
    goal("13b-256", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.78)),
    goal("13b-64", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.80)),
    goal("13b-1024", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.65)),
    goal("16k-32", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.78)),
    goal("1m-32", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.60)),
    goal("new-32", Figure::Cpu, Against::BestPeer, Limit::AtMost(0.90)),
    goal("13b-256", Figure::Cpu, Against::Floor, Limit::AtMost(1.15)),
    goal("13b-64", Figure::Rate, Against::Direct, Limit::BestRoundAtLeast(0.92)),
    goal("13b-64", Figure::P99, Against::BestPeer, Limit::AtMost(0.80)),
    goal("13b-1024", Figure::P99, Against::BestPeer, Limit::AtMost(0.80)),
    goal("open-256", Figure::P999, Against::BestPeer, Limit::AtMost(0.80)),
    goal("workers-2", Figure::Cpu, Against::OneWorker, Limit::AtMost(1.05)),
    goal("13b-1", Figure::P50, Against::BestPeer, Limit::AtMost(1.00)),
];

/// One target with what was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Its name, which does not depend on what was measured.
    pub name: String,
    /// The scenario.
    pub scenario: String,
    /// Who Ringlane was held against: a subject.
    pub rival: String,
    /// What is compared, in words.
    pub what: String,
    /// The target, in words.
    pub target: String,
    /// The ratio, round by round.
    pub ratio: Spread,
    /// Whether it is met.
    pub met: bool,
    /// How far beyond the target, as a share of it: above 0 is worse.
    pub beyond: f64,
    /// The machine was too noisy in that scenario to be sure.
    pub noisy: bool,
}

impl Verdict {
    /// By how much, in words.
    pub fn by(&self) -> String {
        format!("{:.1} %", self.beyond.abs() * 100.0)
    }

    /// Met or missed, in words.
    pub fn word(&self) -> &'static str {
        match (self.met, self.noisy) {
            (true, false) => "met",
            (true, true) => "met, noisy",
            (false, false) => "MISSED",
            (false, true) => "MISSED, noisy",
        }
    }
}

/// Judges Ringlane by every target whose scenario and rivals were measured.
pub fn judge(measured: &[Measured]) -> Vec<Verdict> {
    GOALS.iter().filter_map(|goal| judge_one(goal, measured)).collect()
}

/// The peer with the smallest median among those that kept their upstream connections.
pub(super) fn best_peer<'a>(
    of_scenario: impl IntoIterator<Item = &'a Measured>,
    figure: Figure,
) -> Option<&'a Measured> {
    let median = |m: &&Measured| m.spread(figure).map_or(f64::INFINITY, |spread| spread.median);
    let fair = |m: &&Measured| m.kind == Kind::Peer && m.kept_upstream_connections();
    of_scenario.into_iter().filter(fair).min_by(|a, b| median(a).total_cmp(&median(b)))
}

fn judge_one(goal: &Goal, measured: &[Measured]) -> Option<Verdict> {
    let of_scenario = || measured.iter().filter(|m| m.scenario.name == goal.scenario);
    // The first of its kind: Ringlane on epoll comes second and has no targets.
    let first = |kind| of_scenario().find(|m| m.kind == kind);
    let rival = match goal.against {
        Against::Floor => first(Kind::Floor)?,
        Against::Direct => first(Kind::Direct)?,
        Against::BestPeer => best_peer(of_scenario(), goal.figure)?,
        Against::OneWorker => first(Kind::Ringlane)?,
    };
    let ours = match goal.against {
        Against::OneWorker => of_scenario().filter(|m| m.kind == Kind::Ringlane).nth(1)?,
        Against::BestPeer | Against::Floor | Against::Direct => first(Kind::Ringlane)?,
    };
    let ratio = ours.ratio(rival, goal.figure)?;
    let (target, met, beyond) = match goal.limit {
        Limit::AtMost(limit) => (format!("<= {limit:.2}"), ratio.median <= limit, ratio.median / limit - 1.0),
        Limit::BestRoundAtLeast(limit) => {
            (format!(">= {limit:.2} in the best round"), ratio.max >= limit, 1.0 - ratio.max / limit)
        }
    };
    let figure = match goal.figure {
        Figure::Cpu => "CPU per request",
        Figure::Rate => "throughput",
        Figure::P50 => "p50",
        Figure::P99 => "p99",
        Figure::P999 => "p99.9",
    };
    let against = match goal.against {
        Against::BestPeer => "best peer",
        Against::Floor => "floor",
        Against::Direct => "direct",
        Against::OneWorker => "one worker",
    };
    Some(Verdict {
        name: format!("{}: {figure} / {against}", goal.scenario),
        scenario: goal.scenario.to_owned(),
        rival: rival.subject.clone(),
        what: format!("{}: {figure} / {}", goal.scenario, rival.subject),
        target,
        ratio,
        met,
        beyond,
        noisy: noise::is_noisy(measured, goal.scenario),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::{measured::samples::measured, scenario::PRESETS};

    #[test]
    fn ratios_are_taken_round_by_round_against_the_better_peer() {
        let verdicts = judge(&[
            measured("13b-256", "floor", Kind::Floor, &[10.0, 20.0, 10.0]),
            measured("13b-256", "ringlane", Kind::Ringlane, &[11.0, 22.0, 12.0]),
            measured("13b-256", "nginx", Kind::Peer, &[20.0, 40.0, 20.0]),
            measured("13b-256", "haproxy", Kind::Peer, &[16.0, 32.0, 16.0]),
        ]);
        let lines: Vec<_> =
            verdicts.iter().map(|v| (v.what.as_str(), (v.ratio.median * 1e4).round(), v.met)).collect();
        assert_eq!(
            lines,
            [
                ("13b-256: CPU per request / haproxy", 6875.0, true),
                ("13b-256: CPU per request / floor", 11000.0, true)
            ]
        );
        assert_eq!(verdicts[0].name, "13b-256: CPU per request / best peer");
        assert_eq!((verdicts[0].rival.as_str(), verdicts[0].by().as_str()), ("haproxy", "11.9 %"));
    }

    #[test]
    fn a_peer_that_keeps_no_connections_is_no_rival() {
        let mut cheap = measured("13b-256", "haproxy", Kind::Peer, &[1.0]);
        cheap.origin_connections = 3;
        let subjects = |peer| {
            [
                measured("13b-256", "ringlane", Kind::Ringlane, &[5.0]),
                peer,
                measured("13b-256", "nginx", Kind::Peer, &[10.0]),
            ]
        };
        assert_eq!(judge(&subjects(cheap.clone()))[0].ratio.median, 0.5);
        // One client and one request: one connection is what it takes.
        cheap.origin_connections = 1;
        assert_eq!(judge(&subjects(cheap))[0].ratio.median, 5.0);
    }

    #[test]
    fn two_workers_are_held_against_one() {
        let verdicts = judge(&[
            measured("workers-2", "direct", Kind::Direct, &[5.0, 5.0]),
            measured("workers-2", "ringlane", Kind::Ringlane, &[10.0, 20.0]),
            measured("workers-2", "ringlane-2w", Kind::Ringlane, &[11.0, 22.0]),
        ]);
        assert_eq!(verdicts.len(), 1);
        assert_eq!((verdicts[0].rival.as_str(), verdicts[0].met), ("ringlane", false));
        assert!((verdicts[0].ratio.median - 1.1).abs() < 1e-9);
        assert!(judge(&[measured("workers-2", "ringlane", Kind::Ringlane, &[10.0])]).is_empty());
    }

    #[test]
    fn throughput_counts_in_the_best_round() {
        let verdicts = judge(&[
            measured("13b-64", "direct", Kind::Direct, &[10.0, 10.0]),
            measured("13b-64", "ringlane", Kind::Ringlane, &[20.0, 10.5]),
        ]);
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].met, "{verdicts:?}");
        // 10 / 10.5 is 0.952 of direct, where 0.92 are asked for.
        assert_eq!(
            (verdicts[0].name.as_str(), verdicts[0].by().as_str()),
            ("13b-64: throughput / direct", "3.5 %")
        );
        assert!(verdicts[0].beyond < 0.0);
    }

    #[test]
    fn every_goal_names_a_preset() {
        for goal in GOALS {
            assert!(PRESETS.iter().any(|preset| preset.name == goal.scenario), "{}", goal.scenario);
        }
    }
}
