//! All algorithms behind one door: tiers, what is kept when a list changes, whose turn may be taken over.

use std::{sync::Arc, time::Duration};

use super::{State, endpoints};
use crate::upstream::{
    Balance, Balancers, Endpoint, PoolLimits, Upstream, UpstreamTimeouts,
    digest::mix,
    hash::{HashKey, HashSettings, HashTables, Hashing},
    rng::Rng,
};

/// An upstream of these endpoints.
pub fn upstream(balance: Balance, endpoints: &[Endpoint]) -> Upstream {
    let long = Duration::from_secs(60);
    let settings = HashSettings { key: HashKey::Path, overload_permille: Some(1250) };
    let hash = Hashing { settings, tables: Arc::new(HashTables::of(endpoints)) };
    Upstream {
        id: 0,
        name: "app".into(),
        balance,
        hash: (balance == Balance::Hash).then_some(hash),
        sticky: None,
        endpoints: endpoints.into(),
        pool: PoolLimits {
            max_connections: 1,
            max_idle: 1,
            max_pending: 1,
            idle_timeout: long,
            max_age: None,
            max_requests: None,
        },
        timeouts: UpstreamTimeouts {
            queue: long,
            connect: long,
            response_head: long,
            response_body_idle: long,
            request: None,
        },
        retries: None,
        deadline_header: None,
        health: None,
        breaker: None,
        proxy_protocol: None,
    }
}

fn balancers(balance: Balance, endpoints: &[Endpoint]) -> Balancers {
    let mut balancers = Balancers::new(0);
    balancers.adopt(&upstream(balance, endpoints));
    balancers
}

/// Two primary endpoints, one of them drained, and two backups.
fn tiers() -> Vec<Endpoint> {
    let mut list = endpoints(&[(0, 1), (1, 0), (2, 1), (3, 1)]);
    list[2].backup = true;
    list[3].backup = true;
    list
}

#[test]
fn backups_are_asked_when_no_primary_can_be() {
    for (name, balance) in Balance::ALL {
        let mut balancers = balancers(balance, &tiers());
        let rng = Rng::new(1);
        let mut picks = |skipped: &[usize]| -> Vec<usize> {
            let state = State { skipped: skipped.to_vec(), ..State::idle(4) };
            let mut seen: Vec<_> =
                (0..60).filter_map(|key| balancers.pick(Some(mix(key)), &state, &rng)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(picks(&[]), [0], "{name}");
        assert_eq!(picks(&[0]), [2, 3], "{name}");
        assert_eq!(picks(&[0, 3]), [2], "{name}");
        assert_eq!(picks(&[0, 2, 3]), [0; 0], "{name}");
        assert_eq!(picks(&[2]), [0], "{name}");
        assert_eq!((balancers.is_backup(0), balancers.is_backup(3)), (false, true));
    }
}

/// Coming back slowly means a share of what the weight gives, with each algorithm; alone it means nothing.
#[test]
fn a_share_is_a_share_with_each() {
    for (name, balance) in Balance::ALL {
        for count in [2, 4] {
            let list = endpoints(&(0..count).map(|id| (id, 1)).collect::<Vec<_>>());
            let mut balancers = balancers(balance, &list);
            let rng = Rng::new(11);
            let mut state = State::idle(count as usize);
            state.shares[0] = 200;
            let mut of_first = |state: &State| {
                let picks = (0..10_000).map(|key| balancers.pick(Some(mix(key)), state, &rng));
                picks.filter(|it| *it == Some(0)).count()
            };
            // 0.2 of the others' share. A key has one place alone, and who leaves it is not asked again.
            let fair = match balance {
                Balance::Hash => 10_000 / 5 / count as usize,
                _ => 2000 * 10 / (10 * (count as usize - 1) + 2),
            };
            assert!(of_first(&state).abs_diff(fair) < 250, "{name} of {count}: {} {fair}", of_first(&state));
            state.skipped = (1..count as usize).collect();
            assert_eq!(of_first(&state), 10_000, "{name}");
            state.shares[0] = 0;
            assert_eq!(of_first(&state), 10_000, "{name}");
        }
    }
}

#[test]
fn auto_is_by_the_number_of_endpoints() {
    let state = State { in_flight: vec![9, 0, 0, 0], ..State::idle(4) };
    for (weights, goes_by_load) in
        [(&[1][..], false), (&[1, 1], false), (&[1, 1, 0, 0], false), (&[1, 1, 1], true)]
    {
        let list: Vec<_> = (0..).zip(weights.iter().copied()).collect();
        let mut balancers = balancers(Balance::Auto, &endpoints(&list));
        let rng = Rng::new(1);
        let first = (0..30).any(|_| balancers.pick(None, &state, &rng) == Some(0));
        assert_eq!(first, !goes_by_load, "{weights:?}");
    }
}

#[test]
fn turns_outlive_a_change_of_the_list_and_of_nothing_else() {
    let rng = Rng::new(1);
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let mut balancers = balancers(balance, &endpoints(&[(1, 1), (2, 1), (3, 1)]));
        let pick = |balancers: &mut Balancers| balancers.pick(None, &State::idle(4), &rng);
        assert_eq!((pick(&mut balancers), pick(&mut balancers)), (Some(0), Some(1)));
        balancers.adopt(&upstream(balance, &endpoints(&[(4, 1), (1, 1), (2, 1), (3, 1)])));
        assert_eq!(pick(&mut balancers), Some(3), "{balance:?}: the third one's turn");
        balancers.adopt(&upstream(Balance::Random, &endpoints(&[(1, 1)])));
        balancers.adopt(&upstream(balance, &endpoints(&[(1, 1), (2, 1)])));
        assert_eq!(pick(&mut balancers), Some(0));
    }
}

#[test]
fn whose_turn_may_be_taken_over() {
    let mut list = tiers();
    list.push(Endpoint { id: 4, ..endpoints(&[(4, 1)]).remove(0) });
    for (name, balance) in Balance::ALL {
        let mut balancers = balancers(balance, &list);
        let keeps = balance == Balance::Hash;
        assert_eq!(balancers.swap(0, 4), !keeps, "{name}");
        assert_eq!(balancers.swap(2, 3), !keeps, "{name}");
        assert!(balancers.swap(0, 0), "{name}");
        // Neither a drained one nor one of the other tier, nor one that is not there.
        assert!([1, 2, 3, 9].into_iter().all(|taker| !balancers.swap(0, taker)), "{name}");
    }
}
