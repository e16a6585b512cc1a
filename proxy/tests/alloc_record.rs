//! Recording an exchange allocates nothing at steady state. A binary of its own, for the allocator that counts.

mod counting;

use std::{sync::Arc, time::Duration};

use counting::allocations;
use ringlane::observe::{AccessLog, Board, LogTarget, Outcome, Phases, Recorder, Termination};

/// Records `count` exchanges over a few routes, with times from a microsecond to some seconds and a tick every 100.
fn record(recorder: &mut Recorder, routes: &[Arc<str>], count: u64) {
    for n in 0..count {
        let total_us = (n * 7919) % 5_000_000;
        let id = (n % routes.len() as u64) as u32;
        recorder.record(&Outcome {
            listener: "web",
            route: Some((id, &routes[id as usize])),
            upstream: Some("app"),
            endpoint: Some("127.0.0.1:9000"),
            client: "127.0.0.1:50000",
            method: "GET",
            host: "example.com",
            path: "/some/path/\"quoted\"",
            version: http::Version::HTTP_11,
            status: 200,
            termination: if n % 10 == 0 { Termination::ClientAborted } else { Termination::Ok },
            request_bytes: 80,
            response_bytes: 4096,
            attempts: 1,
            phases: Phases {
                queue_us: n % 100,
                connect_us: n % 1000,
                first_byte_us: total_us / 2,
                total_us,
                overhead_us: n % 50,
            },
            rules: None,
            ids: None,
        });
        if n % 100 == 0 {
            recorder.tick(Vec::new);
        }
    }
}

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = allocations();
    work();
    allocations() - before
}

fn routes() -> Vec<Arc<str>> {
    (0..20).map(|n| format!("route {n}").into()).collect()
}

#[test]
fn recording_allocates_nothing() {
    let board = Board::new(1);
    let routes = routes();
    let mut recorder = Recorder::new(board.slot(0), None);
    record(&mut recorder, &routes, 200_000);
    assert_eq!(allocations_of(|| record(&mut recorder, &routes, 200_000)), 0);
}

#[test]
fn log_lines_allocate_buffers_and_no_more() -> std::io::Result<()> {
    let board = Board::new(1);
    let routes = routes();
    let log = AccessLog::start(LogTarget::File("/dev/null".into()), &board)?;
    let mut recorder = Recorder::new(board.slot(0), None);
    record(&mut recorder, &routes, 200_000);
    drop(recorder); // the next one takes its histograms over, at their full size

    let mut recorder = Recorder::new(board.slot(0), Some(log.handle()));
    let allocations = allocations_of(|| record(&mut recorder, &routes, 200_000));
    // 200,000 lines fill a thousand buffers; a worker has 32.
    assert!(allocations < 32, "{allocations}");
    drop(recorder);
    assert!(log.close(Duration::from_secs(20)));
    let slot = board.slot(0);
    let counters = slot.counters();
    assert_eq!(counters.access_log_lines.get() + counters.access_log_lines_dropped.get(), 200_000);
    Ok(())
}
