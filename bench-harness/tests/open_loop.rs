//! The open loop over real sockets: every request that was due is accounted for, and a stall shows.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use ringlane_bench::load::{self, Outcome, tally::Kind};
use server::{Server, assert_clean, drive, plan};

#[test]
fn every_request_that_is_due_is_sent_once() {
    for options in ["-c 8", "-c 8 --driver epoll", "-c 4 --cores 0,0", "-c 4 --new-connection"] {
        let echo = Server::echo();
        let outcome = drive(&echo, "/bytes/13", &format!("--rate 1000/s {options}"));
        assert_clean(&outcome);
        // 50 ms of warm-up and 200 ms that count.
        assert_eq!((outcome.tally.requests_all, outcome.tally.requests), (250, 200), "{options}");
        assert_eq!(echo.stats().requests, 250, "{options}");
    }
}

#[test]
fn a_seed_decides_how_many_poisson_arrivals_there_are() {
    let echo = Server::echo();
    let requests =
        |seed| drive(&echo, "/", &format!("--rate 2000 --arrivals poisson --seed {seed}")).tally.requests_all;
    let counts: Vec<u64> = [1, 2, 3].map(requests).into();
    assert_eq!(echo.stats().requests, counts.iter().sum::<u64>());
    assert_eq!(requests(1), counts[0]);
    // 500 on average; ten standard deviations are never seen.
    assert!(counts.iter().all(|n| n.abs_diff(500) < 224), "{counts:?}");
    assert!(counts.iter().any(|&n| n != counts[0]), "{counts:?}");
}

#[test]
fn what_finds_the_backlog_full_is_dropped_and_the_rest_is_answered_late() {
    let echo = Server::echo();
    // One connection that is busy for longer than the run: one request on it, five behind it, no room for 24.
    let run = plan(&echo, "/delay/400", "-c 1 --rate 100 --backlog 5 -d 300ms --warmup 0s");
    let tally = load::run(&run, &mut |_| {}).unwrap().tally;
    assert_eq!((tally.requests_all, tally.requests, tally.backlog_peak), (6, 6, 5));
    assert_eq!(
        (tally.errors_total(), tally.errors[Kind::Dropped as usize]),
        (24, 24),
        "{:?}",
        tally.examples
    );
    assert_eq!(tally.answered, 0, "no answer came within the window");
    assert_eq!(echo.stats().requests, 6);
    // The last one was due at 50 ms at the latest, and five had to be answered before it.
    assert!(tally.latency.max() >= 6 * 400_000 - 50_000, "{}", tally.latency.max());
}

#[test]
fn a_stall_of_200_ms_in_10_s_shows_in_the_tail() {
    const RATE: f64 = 1000.0;
    let echo = Server::echo();
    let (outcome, stall) = stalled_once(&echo, &format!("-c 16 --rate {RATE} -d 10s --warmup 0s"));
    assert_clean(&outcome);
    assert_eq!(outcome.tally.requests, 10_000);
    let (latency, stall_us) = (&outcome.tally.latency, stall.as_micros() as u64);
    // What was due during the first half of the stall waited for more than the other half.
    let slow = latency.count_between(stall_us / 2, u64::MAX) as f64;
    let expected = RATE * stall.as_secs_f64() / 2.0;
    assert!(slow >= 0.8 * expected, "{slow} slow requests, but {expected} were due in half of {stall:?}");
    // Those are 1 % of all; in closed loop 16 connections would have seen 16 slow ones, 0.02 %.
    let at = |quantile| latency.value_at_quantile(quantile);
    assert!(at(0.99) >= stall_us / 4 && at(0.999) >= stall_us / 2, "{} {}", at(0.99), at(0.999));
}

/// Runs a load whose server stops after three seconds until progress is told again. Gives the time that it certainly
/// stood still.
fn stalled_once(echo: &Server, options: &str) -> (Outcome, Duration) {
    let (mut stopped, mut stall) = (None, None);
    let outcome = load::run(&plan(echo, "/bytes/13", options), &mut |progress| match (stopped, stall) {
        (None, _) if progress.elapsed >= Duration::from_secs(3) => {
            signal(echo, "-STOP");
            stopped = Some(Instant::now());
        }
        (Some(since), None) => {
            stall = Some(since.elapsed());
            signal(echo, "-CONT");
        }
        _ => {}
    });
    (outcome.unwrap(), stall.expect("the run was long enough"))
}

fn signal(server: &Server, signal: &str) {
    let status = Command::new("kill").args([signal, &server.child.id().to_string()]).status().unwrap();
    assert!(status.success());
}
