//! What recording an exchange costs, in nanoseconds of CPU time: `cargo run --release --example record_cost`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ringlane::observe::{AccessLog, Board, LogTarget, Outcome, Phases, Recorder, Termination};

const ROUNDS: usize = 7;
const PER_ROUND: u64 = 1_000_000;

/// A small generator, so that times are spread as in life rather than on one bucket.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What this thread has run so far, in nanoseconds: other load on the machine does not count.
fn cpu_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// The median of some rounds, in nanoseconds per exchange.
fn measure(recorder: &mut Recorder, routes: &[Arc<str>], with_queue: bool) -> f64 {
    let mut random = Random(42);
    let samples: Vec<(u32, Phases)> = (0..4096)
        .map(|_| {
            let first_byte_us = 50 + random.next() % 2_000;
            let overhead_us = 5 + random.next() % 20;
            let queue_us = if with_queue { 1 + random.next() % 500 } else { 0 };
            let total_us = first_byte_us + overhead_us + queue_us;
            let id = (random.next() % routes.len() as u64) as u32;
            (id, Phases { queue_us, connect_us: queue_us, first_byte_us, total_us, overhead_us })
        })
        .collect();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = cpu_nanos();
            for n in 0..PER_ROUND {
                let (id, phases) = samples[n as usize % samples.len()];
                recorder.record(std::hint::black_box(&Outcome {
                    listener: "web",
                    route: Some((id, &routes[id as usize])),
                    upstream: Some("app"),
                    endpoint: Some("127.0.0.1:9000"),
                    client: "127.0.0.1:50000",
                    method: "GET",
                    host: "example.com",
                    path: "/api/v1/things/1234",
                    version: http::Version::HTTP_11,
                    status: 200,
                    termination: Termination::Ok,
                    request_bytes: 80,
                    response_bytes: 4096,
                    attempts: 1,
                    phases,
                    rules: None,
                    ids: None,
                }));
            }
            (cpu_nanos() - started) / PER_ROUND as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn main() -> std::io::Result<()> {
    let board = Board::new(1);
    let names = |count| (0..count).map(|n| format!("route {n}").into()).collect::<Vec<Arc<str>>>();
    for (routes, with_queue) in [(1, false), (1, true), (20, false), (1000, false)] {
        let mut recorder = Recorder::new(board.slot(0), None);
        let nanos = measure(&mut recorder, &names(routes), with_queue);
        println!("{routes:>5} routes, queue and connect {with_queue:<5}, no log: {nanos:6.1} ns");
        let copied = Instant::now();
        drop(recorder);
        let merged = board.collect_blocking(Duration::ZERO).merge();
        println!("      copied and merged ({} routes) in {:?}", merged.routes.len(), copied.elapsed());
    }
    let log = AccessLog::start(LogTarget::File("/dev/null".into()), &board)?;
    let mut recorder = Recorder::new(board.slot(0), Some(log.handle()));
    let nanos = measure(&mut recorder, &names(20), false);
    println!("   20 routes, access log: {nanos:6.1} ns");
    drop(recorder);
    log.close(Duration::from_secs(5));
    println!("      lines dropped: {}", board.slot(0).counters().access_log_lines_dropped.get());
    println!("      tick without anybody asking: {:.1} ns", tick_cost());
    Ok(())
}

fn tick_cost() -> f64 {
    let board = Board::new(1);
    let mut recorder = Recorder::new(board.slot(0), None);
    let started = cpu_nanos();
    for _ in 0..PER_ROUND {
        std::hint::black_box(&mut recorder).serve_board();
    }
    (cpu_nanos() - started) / PER_ROUND as f64
}
