//! What is counted by itself, and what is left to the worker.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::*;
use crate::observe::{
    Board, Phase,
    line::tests::sample,
    metrics::{FAMILIES, Source},
    outcome::TERMINATIONS,
};

const LONG: Duration = Duration::from_secs(20);

/// All counters that are not zero, as `name label value`.
fn counted(counters: &Counters) -> Vec<String> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let Source::Workers { series, .. } = family.source else { continue };
        for series in series {
            let value = (series.read)(counters);
            if value > 0 {
                let label = series.label.map_or("", |(_, value)| value);
                found.push(format!("{} {label} {value}", family.name.trim_start_matches("ringlane_")));
            }
        }
    }
    found
}

#[test]
fn an_exchange_is_counted_by_what_it_says() {
    let board = Board::new(1);
    let route: Arc<str> = "app".into();
    let mut recorder = Recorder::new(board.slot(0), None);
    recorder.record(&sample(&route));
    recorder.record(&Outcome { status: 503, termination: Termination::QueueFull, ..sample(&route) });
    recorder.record(&Outcome { status: 0, termination: Termination::ClientAborted, ..sample(&route) });
    assert_eq!(
        counted(recorder.counters()),
        [
            "requests_total  3",
            "responses_total 2xx 1",
            "responses_total 5xx 1",
            "client_bytes_total in 240",
            "client_bytes_total out 360",
            "client_aborts_total  1",
            "queue_full_total  1",
        ]
    );
}

#[test]
fn every_termination_that_has_a_counter_moves_one_of_its_own() {
    let route: Arc<str> = "app".into();
    let mut seen = std::collections::HashMap::new();
    for (termination, _) in TERMINATIONS {
        let board = Board::new(1);
        let mut recorder = Recorder::new(board.slot(0), None);
        let outcome = Outcome { request_bytes: 0, response_bytes: 0, status: 0, ..sample(&route) };
        recorder.record(&Outcome { termination: *termination, ..outcome });
        let counted = counted(recorder.counters());
        assert_eq!(counted[0], "requests_total  1");
        assert!(counted.len() <= 2, "{termination:?}: {counted:?}");
        if let Some(own) = counted.get(1) {
            assert_eq!(seen.insert(own.clone(), termination), None, "{own}");
        }
    }
    assert_eq!(seen.len(), TERMINATIONS.len() - 3);
}

#[test]
fn workers_answer_on_their_ticks_and_are_added_up() {
    const WORKERS: usize = 3;
    let board = Board::new(WORKERS);
    let stop = AtomicBool::new(false);
    let ready = Barrier::new(WORKERS + 1);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (slot, stop, ready) = (board.slot(worker), &stop, &ready);
            scope.spawn(move || {
                let mut recorder = Recorder::new(slot, None);
                // More routes than one tick copies, some of them shared by the workers.
                for id in 0..200 + worker as u32 {
                    let name: Arc<str> = format!("route {id}").into();
                    let mut outcome = sample(&name);
                    outcome.route = Some((id, &name));
                    recorder.record(&outcome);
                }
                ready.wait();
                while !stop.load(Ordering::Acquire) {
                    recorder.tick(Vec::new);
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        ready.wait();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let collected = board.collect_blocking(LONG);
                    assert_eq!(collected.silent, [0_usize; 0]);
                    let merged = collected.merge();
                    assert_eq!(merged.answered, [0, 1, 2]);
                    assert_eq!(merged.process.phase(Phase::Total).len(), 603);
                    assert_eq!(merged.routes.len(), 202);
                    assert_eq!(merged.routes["route 7"].phase(Phase::Total).len(), 3);
                    assert_eq!(merged.routes["route 201"].phase(Phase::Total).len(), 1);
                });
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let merged = runtime.block_on(board.collect(LONG)).merge();
        assert_eq!(merged.process.phase(Phase::Total).len(), 603);
        stop.store(true, Ordering::Release);
    });
    // Gone, they have left what they had.
    let merged = board.collect_blocking(Duration::ZERO).merge();
    assert_eq!(merged.process.phase(Phase::Total).len(), 603);
}

#[test]
fn a_worker_that_does_not_tick_is_silent_and_one_that_never_was_is_not() {
    let board = Board::new(2);
    let mut recorder = Recorder::new(board.slot(0), None);
    let collected = board.collect_blocking(Duration::from_millis(20));
    assert_eq!(collected.silent, [0]);
    assert!(collected.snapshots.is_empty());
    // The answer to an asking that was given up does not stay behind once somebody asks again.
    recorder.tick(Vec::new);
    assert_eq!(board.collect_blocking(Duration::from_millis(20)).silent, [0]);
}

#[test]
fn a_worker_that_is_started_again_goes_on_counting() {
    let board = Board::new(1);
    let route: Arc<str> = "app".into();
    let mut first = Recorder::new(board.slot(0), None);
    first.record(&sample(&route));
    first.counters().connections_active.inc();
    first.retire();
    first.record(&sample(&route));
    drop(first);

    let mut second = Recorder::new(board.slot(0), None);
    assert_eq!(second.counters().connections_active.get(), 0);
    assert_eq!(second.counters().requests.get(), 2);
    second.record(&sample(&route));
    drop(second);
    let merged = board.collect_blocking(Duration::ZERO).merge();
    assert_eq!(merged.process.phase(Phase::Total).len(), 3);
    assert_eq!(merged.routes["app"].phase(Phase::Total).len(), 3);
}

#[test]
fn routes_that_are_gone_are_given_up_but_not_under_an_answer() {
    let board = Board::new(1);
    let mut recorder = Recorder::new(board.slot(0), None);
    for id in 0..200 {
        let name: Arc<str> = format!("route {id}").into();
        recorder.record(&Outcome { route: Some((id, &name)), ..sample(&name) });
    }
    // Asked, it copies some of them on each tick.
    assert_eq!(board.collect_blocking(Duration::ZERO).silent, [0]);
    recorder.tick(Vec::new);
    assert!(!recorder.keep_routes(|_| false));
    (0..10).for_each(|_| recorder.tick(Vec::new));
    assert!(recorder.keep_routes(|id| id == 7));
    drop(recorder);
    let merged = board.collect_blocking(Duration::ZERO).merge();
    assert_eq!(merged.routes.keys().map(|name| &**name).collect::<Vec<_>>(), ["route 7"]);
    assert_eq!(merged.process.phase(Phase::Total).len(), 200);
}

#[test]
fn the_worst_lag_is_forgotten_after_two_spans() {
    let board = Board::new(1);
    let mut recorder = Recorder::new(board.slot(0), None);
    let shown = board.slot(0);
    recorder.note_lag(Duration::from_micros(300));
    recorder.note_lag(Duration::from_micros(20));
    assert_eq!(shown.counters().tick_lag_max_us.get(), 300);
    (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick(Vec::new));
    recorder.note_lag(Duration::from_micros(40));
    assert_eq!(shown.counters().tick_lag_max_us.get(), 300);
    (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick(Vec::new));
    assert_eq!(shown.counters().tick_lag_max_us.get(), 40);
    (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick(Vec::new));
    assert_eq!(shown.counters().tick_lag_max_us.get(), 0);
}
