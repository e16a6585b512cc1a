//! Which fault is put where and when: drawn from a seed, and nothing else. Pure.
use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    echo::random::Random,
    faults::injection::{Injection, Victim},
};

/// Upstreams, endpoints of each, and how many of these are hurt at a time at most.
pub(super) const UPSTREAMS: usize = 3;
pub(super) const ENDPOINTS: usize = 3;
const HURT_MAX: usize = 2;
/// Faults of the proxy's own surroundings come from so many hands.
pub(super) const HANDS: usize = 2;
/// How long a fault lasts, and the rest after one, at least and at most. A share of a short run.
const LENGTH: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const REST: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(8)];
const SHARE_MAX: u32 = 5;
/// From the last fault to the end of its half: what is left of it must be over by then.
const CALM_SHARE: u32 = 10;
/// Quiet at the begin.
const BEGIN: Duration = Duration::from_millis(500);

/// Who has a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Where {
    Endpoint {
        upstream: usize,
        endpoint: usize,
    },
    /// The proxy; put by one of several hands, each of which has but one fault at a time.
    Proxy {
        hand: usize,
    },
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Act {
    pub(super) at: Duration,
    pub(super) length: Duration,
    pub(super) what: Injection,
    pub(super) place: Where,
}

impl Act {
    fn end(&self) -> Duration {
        self.at + self.length
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Where::Endpoint { upstream, endpoint } => format!("upstream {upstream}, endpoint {endpoint}"),
            Where::Proxy { .. } => "proxy".into(),
        };
        let (at, length) = (self.at.as_secs_f64(), self.length.as_secs_f64());
        write!(f, "{at:8.2} s  for {length:5.2} s  {:<24}  {place}", self.what.title())
    }
}

/// All of a run, in order: the same faults twice, so that whatever is held afterwards can be compared.
pub(super) fn draw(seed: u64, duration: Duration, can: impl Fn(Injection) -> bool) -> Vec<Act> {
    let half = duration / 2;
    let first = draw_half(seed, half, can);
    let again = first.iter().map(|act| Act { at: act.at + half, ..*act });
    first.iter().copied().chain(again).collect()
}

/// Of faults of a proxy's own surroundings, those that `can` be put.
fn draw_half(seed: u64, duration: Duration, can: impl Fn(Injection) -> bool) -> Vec<Act> {
    let end = duration - duration / CALM_SHARE;
    let kinds = |victim| {
        let all = Injection::value_variants().iter().copied();
        all.filter(|it| it.victim() == victim && can(*it)).collect::<Vec<_>>()
    };
    let (of_endpoints, of_proxy) = (kinds(Victim::Endpoint), kinds(Victim::Proxy));
    let mut acts = Vec::new();
    for upstream in 0..UPSTREAMS {
        // As many hands as may be hurt at a time, each at an endpoint that the other is not at.
        let mut own: Vec<Act> = Vec::new();
        for hand in 0..HURT_MAX {
            let mut random = Random::new(seed ^ (((upstream * HURT_MAX + hand + 1) as u64) << 32));
            for (at, length) in times(&mut random, duration, end) {
                let first = pick(&mut random, ENDPOINTS);
                let what = of_endpoints.get(pick(&mut random, of_endpoints.len())).copied();
                let free = (0..ENDPOINTS).map(|n| (first + n) % ENDPOINTS).find(|endpoint| {
                    let place = Where::Endpoint { upstream, endpoint: *endpoint };
                    own.iter().all(|act| act.place != place || act.end() < at || at + length < act.at)
                });
                if let (Some(what), Some(endpoint)) = (what, free) {
                    own.push(Act { at, length, what, place: Where::Endpoint { upstream, endpoint } });
                }
            }
        }
        acts.extend(own);
    }
    for hand in 0..HANDS {
        let mut random = Random::new(seed ^ (((UPSTREAMS * HURT_MAX + hand + 1) as u64) << 32));
        for (at, length) in times(&mut random, duration, end) {
            let what = of_proxy.get(pick(&mut random, of_proxy.len())).copied();
            // One of a kind at a time: two would undo each other's.
            let alone = |what: &Injection| {
                acts.iter().all(|act| act.what != *what || act.end() < at || at + length < act.at)
            };
            acts.extend(what.filter(alone).map(|what| Act {
                at,
                length,
                what,
                place: Where::Proxy { hand },
            }));
        }
    }
    acts.sort_by_key(|act| act.at);
    acts
}

/// One after the other, with rests between.
fn times(random: &mut Random, duration: Duration, end: Duration) -> Vec<(Duration, Duration)> {
    let mut found = Vec::new();
    let most = duration / SHARE_MAX;
    let mut at = BEGIN + between(random, REST.map(|it| it.min(most)));
    loop {
        let length = between(random, LENGTH.map(|it| it.min(most)));
        if at + length > end {
            return found;
        }
        found.push((at, length));
        at += length + between(random, REST.map(|it| it.min(most)));
    }
}

/// In whole milliseconds, so that a schedule reads as it is.
fn between(random: &mut Random, [least, most]: [Duration; 2]) -> Duration {
    let time = least + (most - least).mul_f64(random.unit());
    Duration::from_millis(time.as_millis() as u64)
}

fn pick(random: &mut Random, count: usize) -> usize {
    (random.unit() * count as f64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HALF_HOUR: Duration = Duration::from_secs(1_800);

    #[test]
    fn a_seed_repeats_itself_and_another_does_not() {
        let of = |seed| draw(seed, HALF_HOUR, |_| true);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let text = |acts: Vec<Act>| acts.iter().map(|act| format!("{act}\n")).collect::<String>();
        assert_eq!(text(of(7)), text(of(7)));
    }

    #[test]
    fn everything_comes_and_is_over_in_time() {
        for (seed, duration) in [(1, HALF_HOUR), (2, Duration::from_secs(300)), (3, Duration::from_secs(15))]
        {
            let acts = draw(seed, duration, |it| it != Injection::Dns);
            assert!(acts.is_sorted_by_key(|act| act.at) && !acts.is_empty());
            let half = duration / 2;
            let calm = half / CALM_SHARE;
            assert!(acts.iter().all(|act| act.end() <= duration - calm), "{seed}");
            let (first, again) = acts.split_at(acts.len() / 2);
            assert!(first.iter().all(|act| act.end() <= half - calm), "{seed}");
            let shifted: Vec<_> = first.iter().map(|act| Act { at: act.at + half, ..*act }).collect();
            assert_eq!(shifted, again);
            assert!(acts.iter().all(|act| act.what != Injection::Dns));
            let kinds: BTreeSet<_> = acts.iter().map(|act| act.what).collect();
            assert!(kinds.len() == 15 || duration < HALF_HOUR, "{kinds:?}");
        }
    }

    #[test]
    fn of_each_upstream_one_endpoint_is_always_well() {
        for seed in 0..20 {
            let acts = draw(seed, HALF_HOUR, |_| true);
            for act in &acts {
                let under_way = acts.iter().filter(|it| it.at <= act.at && act.at < it.end());
                let under_way: Vec<_> = under_way.collect();
                let places = under_way.iter().map(|it| format!("{:?}", it.place)).collect::<BTreeSet<_>>();
                assert_eq!(places.len(), under_way.len(), "two at one place: {under_way:?}");
                for upstream in 0..UPSTREAMS {
                    let hurt = under_way.iter().filter(
                        |it| matches!(it.place, Where::Endpoint { upstream: of, .. } if of == upstream),
                    );
                    assert!(hurt.count() <= HURT_MAX);
                }
            }
        }
    }
}
