//! What takes an endpoint out of use, and what brings it back.

use super::*;
use crate::upstream::{
    health::{Probe, WhenUnhealthy},
    latency::{Buckets, LATENCY_BUCKETS, bucket},
};

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Ejection {
    Ejection {
        consecutive_failures: Some(5),
        failure_permille: None,
        min_requests: 20,
        latency_permille: None,
        window: 10 * SECOND,
        time: 30 * SECOND,
        time_max: 100 * SECOND,
        max_percent: 50,
    }
}

fn settings(rise: u32, fall: u32) -> HealthSettings {
    let (interval, timeout) = (5 * SECOND, SECOND);
    HealthSettings {
        checks: Some(Checks { probe: Probe::Tcp, interval, jitter_permille: 0, timeout, rise, fall }),
        ejection: Some(rules()),
        slow_start: None,
        when_unhealthy: WhenUnhealthy::TryAll,
    }
}

fn seen(answers: u32, failures: u32) -> Totals {
    Totals { answers, failures, runs: 0, latencies: Buckets::default() }
}

fn slow(answers: u32, micros: u64) -> Totals {
    let mut latencies = Buckets::default();
    let mut more = [0; LATENCY_BUCKETS];
    more[bucket(micros)] = answers;
    latencies.add(more.into_iter());
    Totals { latencies, ..seen(answers, 0) }
}

/// So many endpoints of which nothing is known.
fn some(count: usize, now: Instant) -> Vec<Judged> {
    (0..count).map(|_| Judged::new(now)).collect()
}

/// Judges all; which are out of use afterwards, and how many were withheld.
fn out(rules: &Ejection, endpoints: &mut [Judged], now: Instant) -> (Vec<usize>, u32) {
    let mut all: Vec<&mut Judged> = endpoints.iter_mut().collect();
    let withheld = judge(rules, &mut all, now);
    let out = endpoints.iter().enumerate().filter(|(_, it)| !it.is_used());
    (out.map(|(index, _)| index).collect(), withheld)
}

#[test]
fn checks_count_up_and_down() {
    let (now, settings) = (Instant::now(), settings(2, 3));
    let checks = settings.checks.as_ref().unwrap();
    let mut endpoint = Judged::new(now);
    assert_eq!(endpoint.state(&settings, now), (State::Unchecked, WHOLE_SHARE));
    let mut after = |results: &str| {
        for result in results.chars() {
            let result = if result == '+' { Ok(()) } else { Err("refused".to_owned()) };
            endpoint.check_ended(checks, result, now);
        }
        endpoint.state(&settings, now).0
    };
    assert_eq!(after("+"), State::Up);
    assert_eq!(after("--+--"), State::Up);
    assert_eq!(after("-"), State::Failing);
    assert_eq!(after("+-+"), State::Failing);
    assert_eq!(after("+"), State::Up);
    assert_eq!(after("---"), State::Failing);
    assert_eq!(endpoint.why(), "check: refused");
    // The first one of all decides alone.
    let mut new = Judged::new(now);
    new.check_ended(checks, Err("refused".to_owned()), now);
    assert_eq!(new.state(&settings, now), (State::Failing, 0));
    // Without checks nothing is known of them.
    let unchecked = HealthSettings { checks: None, ..settings.clone() };
    new.adapt(Some(&unchecked));
    assert_eq!(new.state(&unchecked, now).0, State::Up);
}

#[test]
fn failures_in_a_row_eject_whoever_has_seen_them() {
    let (now, rules) = (Instant::now(), rules());
    let mut endpoints = some(4, now);
    endpoints[0].look(&rules, &seen(0, 4), now);
    // Not in a row, and over all workers in a row.
    endpoints[1].look(&rules, &seen(1, 40), now);
    assert_eq!(out(&rules, &mut endpoints, now), (vec![], 0));
    endpoints[0].look(&rules, &seen(0, 1), now);
    assert_eq!(out(&rules, &mut endpoints, now), (vec![0], 0));
    assert_eq!(endpoints[0].why(), "5 failures in a row; for 30s");
    // One worker alone, while others have had answers.
    endpoints[2].look(&rules, &Totals { runs: 1, ..seen(10, 5) }, now);
    assert_eq!(out(&rules, &mut endpoints, now), (vec![0, 2], 0));
}

#[test]
fn time_grows_with_repeats_and_shrinks_in_calm_times() {
    let (mut now, rules) = (Instant::now(), rules());
    let mut endpoints = some(2, now);
    let ejected_for = |endpoints: &mut [Judged], now: &mut Instant| {
        endpoints[0].look(&rules, &seen(0, 5), *now);
        assert_eq!(out(&rules, endpoints, *now), (vec![0], 0));
        let begun = *now;
        while !endpoints[0].is_used() {
            *now += SECOND;
            // What comes of those that were under way says nothing.
            endpoints[0].look(&rules, &seen(0, 5), *now);
        }
        now.duration_since(begun).as_secs()
    };
    for seconds in [30, 60, 100, 100] {
        assert_eq!(ejected_for(&mut endpoints, &mut now), seconds);
    }
    // Each 30 s without one take back a doubling.
    now += rules.time;
    endpoints[0].look(&rules, &seen(1, 0), now);
    assert_eq!(ejected_for(&mut endpoints, &mut now), 60);
    now += 2 * rules.time;
    endpoints[0].look(&rules, &seen(1, 0), now);
    assert_eq!(ejected_for(&mut endpoints, &mut now), 30);
}

#[test]
fn a_failure_rate_needs_enough_tries() {
    let now = Instant::now();
    let rules = Ejection { consecutive_failures: None, failure_permille: Some(400), ..rules() };
    let mut endpoints = some(2, now);
    endpoints[0].look(&rules, &seen(9, 10), now);
    assert_eq!(out(&rules, &mut endpoints, now), (vec![], 0));
    endpoints[0].look(&rules, &seen(1, 0), now + SECOND);
    assert_eq!(out(&rules, &mut endpoints, now + SECOND), (vec![0], 0));
    assert_eq!(endpoints[0].why(), "10 of 20 tries failed (50 %) within 10s; for 30s");
    // When it is back it begins anew.
    let back = now + 40 * SECOND;
    endpoints[0].look(&rules, &seen(0, 0), back);
    endpoints[0].look(&rules, &seen(0, 19), back);
    assert_eq!(out(&rules, &mut endpoints, back), (vec![], 0));
}

#[test]
fn an_endpoint_that_is_slower_than_its_peers_goes() {
    let now = Instant::now();
    let rules =
        Ejection { consecutive_failures: None, latency_permille: Some(3000), max_percent: 40, ..rules() };
    let mut endpoints = some(3, now);
    let feed = |endpoints: &mut [Judged], micros: [u64; 3], now| {
        for (endpoint, micros) in endpoints.iter_mut().zip(micros) {
            endpoint.look(&rules, &slow(30, micros), now);
        }
    };
    feed(&mut endpoints, [40_000, 400_000, 50_000], now + SECOND);
    // Not before a whole window has been seen.
    assert_eq!(out(&rules, &mut endpoints, now + SECOND), (vec![], 0));
    assert_eq!(out(&rules, &mut endpoints, now + 10 * SECOND), (vec![1], 0));
    assert!(endpoints[1].why().starts_with("p99 458.8 ms, of its peers 41.0 ms"), "{}", endpoints[1].why());
    // As slow as the others, or within what is chance.
    for micros in [[400_000, 400_000, 500_000], [100, 1000, 100]] {
        let mut endpoints = some(3, now);
        feed(&mut endpoints, micros, now + SECOND);
        assert_eq!(out(&rules, &mut endpoints, now + 10 * SECOND), (vec![], 0));
    }
    // One alone has no peers.
    assert_eq!((peers(&[Some(3)], 0), peers(&[Some(3), None], 1)), (None, Some(3)));
    assert_eq!(peers(&[Some(9), Some(1), Some(5), Some(3)], 0), Some(3));
}

#[test]
fn several_rules_all_say_why() {
    let now = Instant::now();
    let rules = Ejection { failure_permille: Some(500), ..rules() };
    let mut endpoints = some(2, now);
    endpoints[0].look(&rules, &seen(0, 20), now);
    assert_eq!(out(&rules, &mut endpoints, now).0, [0]);
    let why = "20 failures in a row, and 20 of 20 tries failed (100 %) within 10s; for 30s";
    assert_eq!(endpoints[0].why(), why);
    let settings = settings(1, 1);
    endpoints[0].check_ended(settings.checks.as_ref().unwrap(), Err("status 503".to_owned()), now);
    assert_eq!(endpoints[0].why(), format!("check: status 503; and ejected: {why}"));
    assert_eq!(endpoints[0].state(&settings, now), (State::Failing, 0));
}

#[test]
fn no_more_are_ejected_than_may_be() {
    let now = Instant::now();
    for (count, max_percent, allowed) in
        [(1, 50, 0), (2, 50, 1), (3, 50, 1), (4, 50, 2), (10, 10, 1), (10, 9, 0), (3, 100, 3)]
    {
        let rules = Ejection { max_percent, ..rules() };
        let mut endpoints = some(count, now);
        endpoints.iter_mut().for_each(|it| it.look(&rules, &seen(0, 9), now));
        let (ejected, withheld) = out(&rules, &mut endpoints, now);
        assert_eq!((ejected.len(), withheld as usize), (allowed, count - allowed), "{count} {max_percent}");
        // Who was let off begins anew.
        assert_eq!(out(&rules, &mut endpoints, now).1, 0);
    }
    // Those whose checks fail are out of use, too.
    let (rules, settings) = (rules(), settings(1, 1));
    let mut endpoints = some(4, now);
    for endpoint in &mut endpoints[..2] {
        endpoint.check_ended(settings.checks.as_ref().unwrap(), Err("refused".to_owned()), now);
    }
    endpoints[2].look(&rules, &seen(0, 9), now);
    assert_eq!(out(&rules, &mut endpoints, now), (vec![0, 1], 1));
}

#[test]
fn a_share_grows_after_recovery() {
    let now = Instant::now();
    let settings = HealthSettings { slow_start: Some(10 * SECOND), ..settings(1, 1) };
    let checks = settings.checks.as_ref().unwrap();
    let mut endpoint = Judged::new(now);
    endpoint.check_ended(checks, Ok(()), now);
    assert_eq!(endpoint.state(&settings, now), (State::Up, WHOLE_SHARE), "nothing to recover from");
    endpoint.check_ended(checks, Err("refused".to_owned()), now);
    assert_eq!(endpoint.state(&settings, now), (State::Failing, 0));
    endpoint.check_ended(checks, Ok(()), now);
    for (passed, state) in [
        (Duration::ZERO, (State::SlowStart, 100)),
        (SECOND / 2, (State::SlowStart, 100)),
        (5 * SECOND, (State::SlowStart, 500)),
        (9 * SECOND, (State::SlowStart, 900)),
        (10 * SECOND, (State::Up, 1000)),
        (1000 * SECOND, (State::Up, 1000)),
    ] {
        assert_eq!(endpoint.state(&settings, now + passed), state);
    }
    // After an ejection as well.
    let rules = rules();
    let mut endpoints = some(2, now);
    endpoints[0].look(&rules, &seen(0, 5), now);
    assert_eq!(out(&rules, &mut endpoints, now).0, [0]);
    endpoints[0].look(&rules, &seen(0, 0), now + rules.time);
    assert_eq!(endpoints[0].state(&settings, now + rules.time), (State::SlowStart, 100));
}
