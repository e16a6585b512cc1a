//! A run: threads, one measured window, and the CPU time that others used in it.
use std::{
    net::TcpStream,
    sync::{Arc, Barrier, OnceLock, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    Plan,
    tally::Tally,
    worker::{self, Shown},
};
use crate::{
    cpu,
    fault::{At, Fault, Result},
    socket,
};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(200);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What all threads of a run share.
pub(super) struct Shared {
    barrier: Barrier,
    window: OnceLock<(Instant, Instant)>,
    pub(super) shown: Vec<Shown>,
}

impl Shared {
    fn new(threads: usize) -> Self {
        Self {
            barrier: Barrier::new(threads + 1),
            window: OnceLock::new(),
            shown: (0..threads).map(|_| Shown::default()).collect(),
        }
    }

    /// Waits until every thread is ready and the window is set.
    pub(super) fn wait_for_start(&self) -> (Instant, Instant) {
        self.barrier.wait();
        self.barrier.wait();
        let now = Instant::now();
        self.window.get().copied().unwrap_or((now, now))
    }

    fn start(&self, plan: &Plan) -> (Instant, Instant) {
        self.barrier.wait();
        let begin = Instant::now() + plan.warmup;
        let window = *self.window.get_or_init(|| (begin, begin + plan.duration));
        self.barrier.wait();
        window
    }

    fn completed(&self) -> u64 {
        self.shown.iter().map(|shown| shown.completed.load(Ordering::Relaxed)).sum()
    }

    fn failed(&self) -> u64 {
        self.shown.iter().map(|shown| shown.failed.load(Ordering::Relaxed)).sum()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Time since it began, warm-up included.
    pub elapsed: Duration,
    /// Time it takes in all.
    pub total: Duration,
    /// Still warming up.
    pub warming_up: bool,
    /// Responses so far.
    pub completed: u64,
    /// Failures so far.
    pub failed: u64,
    /// Responses per second since the last time.
    pub rate: f64,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Counts and latencies of all threads.
    pub tally: Tally,
    /// The measured window.
    pub window: Duration,
    /// Responses per second in it.
    pub rate: f64,
    /// CPU time per response of the processes asked about, in microseconds.
    pub cpu_us: Option<f64>,
    /// CPU time per response of this process, in microseconds.
    pub own_cpu_us: f64,
}

/// One reading of every clock and counter, taken together.
struct Sample {
    completed: u64,
    cpu: Duration,
    own: Duration,
}

impl Sample {
    fn take(plan: &Plan, shared: &Shared) -> Result<Self> {
        let completed = shared.completed();
        let cpu = plan.pids.iter().map(|&pid| cpu::process_tree(pid)).sum::<Result<Duration>>()?;
        Ok(Self { completed, cpu, own: cpu::own() })
    }
}

/// Runs a plan; `tell` hears about progress a few times a second.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<Outcome> {
    socket::raise_open_files();
    probe(plan)?;
    let threads = plan.cores.len().max(1);
    let shared = Arc::new(Shared::new(threads));
    let (samples, tallies) = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let shared = shared.clone();
                scope.spawn(move || worker::run(plan, &shared, index))
            })
            .collect();
        let samples = observe(plan, &shared, tell);
        let tallies: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (samples, tallies)
    });
    let mut tally = Tally::new()?;
    for joined in tallies {
        tally.merge(&joined.map_err(|_| Fault::new("a load thread panicked; see above"))??)?;
    }
    let (first, last) = samples?;
    let responses = last.completed.saturating_sub(first.completed).max(1) as f64;
    let per_response = |time: Duration| time.as_secs_f64() * 1e6 / responses;
    Ok(Outcome {
        window: plan.duration,
        rate: tally.requests as f64 / plan.duration.as_secs_f64(),
        cpu_us: (!plan.pids.is_empty()).then(|| per_response(last.cpu.saturating_sub(first.cpu))),
        own_cpu_us: per_response(last.own.saturating_sub(first.own)),
        tally,
    })
}

/// One connection from here, for an error that says what to do.
fn probe(plan: &Plan) -> Result<()> {
    TcpStream::connect_timeout(&plan.address, PROBE_TIMEOUT)
        .map(drop)
        .at(format!("cannot connect to {}; is the server running?", plan.address))
}

/// Starts the threads, tells progress, and reads clocks and counters at both ends of the window.
fn observe(plan: &Plan, shared: &Shared, tell: &mut dyn FnMut(Progress)) -> Result<(Sample, Sample)> {
    let (begin, end) = shared.start(plan);
    let mut teller =
        Teller { plan, shared, tell, started: begin - plan.warmup, last: (begin - plan.warmup, 0) };
    teller.sleep_until(begin);
    let first = Sample::take(plan, shared)?;
    teller.sleep_until(end);
    Ok((first, Sample::take(plan, shared)?))
}

struct Teller<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    tell: &'a mut dyn FnMut(Progress),
    started: Instant,
    last: (Instant, u64),
}

impl Teller<'_> {
    fn sleep_until(&mut self, until: Instant) {
        loop {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(TICK));
            self.tell_now();
        }
    }

    fn tell_now(&mut self) {
        let (now, completed) = (Instant::now(), self.shared.completed());
        let since = now.duration_since(self.last.0).as_secs_f64().max(1e-9);
        let rate = (completed - self.last.1) as f64 / since;
        self.last = (now, completed);
        let elapsed = now.duration_since(self.started);
        (self.tell)(Progress {
            elapsed,
            total: self.plan.warmup + self.plan.duration,
            warming_up: elapsed < self.plan.warmup,
            completed,
            failed: self.shared.failed(),
            rate,
        });
    }
}
