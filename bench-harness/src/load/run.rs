//! A run: threads, one measured window, and the CPU time that others used in it.
use std::{
    net::TcpStream,
    sync::{
        Arc, Barrier, OnceLock,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Plan,
    interval::{Interval, Merger, PARTS_QUEUED_MAX, Part, Window},
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
    window: OnceLock<Window>,
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
    pub(super) fn wait_for_start(&self) {
        self.barrier.wait();
        self.barrier.wait();
    }

    /// The measured window, set when the run started.
    pub(super) fn window(&self) -> Window {
        let now = Instant::now();
        self.window.get().copied().unwrap_or(Window { begin: now, end: now })
    }

    fn start(&self, plan: &Plan) -> Window {
        self.barrier.wait();
        let begin = Instant::now() + plan.warmup;
        let window = *self.window.get_or_init(|| Window { begin, end: begin + plan.duration });
        self.barrier.wait();
        window
    }

    fn completed(&self) -> u64 {
        self.shown.iter().map(|shown| shown.completed.load(Ordering::Relaxed)).sum()
    }

    fn failed(&self) -> u64 {
        self.shown.iter().map(|shown| shown.failed.load(Ordering::Relaxed)).sum()
    }

    fn backlog(&self) -> u64 {
        self.shown.iter().map(|shown| shown.backlog.load(Ordering::Relaxed)).sum()
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
    /// Requests that are due and wait for a connection; always 0 in closed loop.
    pub backlog: u64,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run.
    pub plan: Plan,
    /// Counts and latencies of all threads.
    pub tally: Tally,
    /// When the measured window began.
    pub began: Instant,
    /// How long it was.
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
    run_logged(plan, tell, &mut |_| {})
}

/// Runs a plan; `tell` hears about progress a few times a second, `log` about every second of the window in order.
pub fn run_logged(
    plan: &Plan,
    tell: &mut dyn FnMut(Progress),
    log: &mut dyn FnMut(&Interval),
) -> Result<Outcome> {
    socket::raise_open_files();
    probe(plan)?;
    let threads = plan.cores.len().max(1);
    let shared = Arc::new(Shared::new(threads));
    let mut tally = Tally::new()?;
    let (began, samples, tallies) = thread::scope(|scope| {
        let (sender, parts) = mpsc::sync_channel(PARTS_QUEUED_MAX);
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let (shared, sender) = (shared.clone(), sender.clone());
                scope.spawn(move || worker::run(plan, &shared, index, sender))
            })
            .collect();
        drop(sender);
        let window = shared.start(plan);
        let merger = Merger::new(window, threads, tally.latency.clone());
        let started = window.begin - plan.warmup;
        let last = (started, 0);
        let mut observer = Observer { plan, shared: &shared, parts, merger, tell, log, started, last };
        let samples = observer.run(window);
        tally.intervals_lost += observer.merger.lost;
        let tallies: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (window.begin, samples, tallies)
    });
    for joined in tallies {
        tally.merge(&joined.map_err(|_| Fault::new("a load thread panicked; see above"))??)?;
    }
    let (first, last) = samples?;
    let responses = last.completed.saturating_sub(first.completed).max(1) as f64;
    let per_response = |time: Duration| time.as_secs_f64() * 1e6 / responses;
    Ok(Outcome {
        plan: plan.clone(),
        began,
        window: plan.duration,
        rate: tally.answered as f64 / plan.duration.as_secs_f64(),
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

/// Looks on while the threads run.
struct Observer<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    parts: Receiver<Part>,
    merger: Merger,
    tell: &'a mut dyn FnMut(Progress),
    log: &'a mut dyn FnMut(&Interval),
    started: Instant,
    /// When progress was told last, and how many responses there were.
    last: (Instant, u64),
}

impl Observer<'_> {
    /// Reads clocks and counters at both ends of the window, then waits for the threads to end.
    fn run(&mut self, window: Window) -> Result<(Sample, Sample)> {
        self.watch_until(Some(window.begin))?;
        let first = Sample::take(self.plan, self.shared)?;
        self.watch_until(Some(window.end))?;
        let last = Sample::take(self.plan, self.shared)?;
        self.watch_until(None)?;
        Ok((first, last))
    }

    /// Puts intervals together and tells progress until a time, or until every thread has ended.
    fn watch_until(&mut self, until: Option<Instant>) -> Result<()> {
        loop {
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(());
            }
            let next_tell = self.last.0 + TICK;
            if now >= next_tell {
                self.tell_now(now);
                continue;
            }
            let wait = until.map_or(next_tell, |until| until.min(next_tell)) - now;
            match self.parts.recv_timeout(wait) {
                Ok(part) => self.merger.take(part, self.log)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn tell_now(&mut self, now: Instant) {
        let completed = self.shared.completed();
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
            backlog: self.shared.backlog(),
        });
    }
}
