//! One thread of the load: its runtime, its connections, its counts.
use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    time::{Duration, Instant},
};

use monoio::net::TcpStream;

use super::{
    Plan,
    arrivals::Schedule,
    client,
    gate::{Collected, Gate},
    interval::{Current, Part, Window},
    order::{self, Order},
    pipeline,
    plan::Pace,
    run::Shared,
    slots::Slot,
    tally::{Event, Failure, Kind, Tally, micros},
    timer::Timer,
};
use crate::{
    fault::{At, Result},
    runtime::{self, Runtime},
};

/// How often requests in flight are looked over for stuck ones.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// What a thread shows while it runs: one writer each, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shown {
    pub(super) completed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) backlog: AtomicU64,
}

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) plan: Rc<Plan>,
    /// The bytes of each request of the plan.
    pub(super) wire: Vec<Rc<Vec<u8>>>,
    pub(super) window: Window,
    pub(super) slots: Vec<Slot>,
    /// Open loop: who sends what when.
    gate: Option<Gate>,
    round: Rc<[usize]>,
    counts: RefCell<Counts>,
    shared: Arc<Shared>,
    index: usize,
}

struct Counts {
    tally: Tally,
    current: Current,
}

impl Worker {
    fn new(
        plan: &Plan,
        shared: &Arc<Shared>,
        index: usize,
        connections: usize,
        current: Current,
    ) -> Result<Self> {
        let window = shared.window();
        let weights: Vec<u32> = plan.requests.iter().map(|request| request.weight).collect();
        let mut tally = Tally::new()?;
        tally.by_request = vec![0; plan.requests.len()];
        let gate = match plan.pace {
            Pace::Closed => None,
            Pace::Open(open) => {
                let threads = shared.shown.len();
                let span = (window.begin - plan.warmup, window.end);
                let schedule = Schedule::new(open.arrivals, open.rate, (index, threads), plan.seed, span);
                Some(Gate::new(schedule, connections, share(open.backlog_max, threads, index)))
            }
        };
        Ok(Self {
            plan: Rc::new(plan.clone()),
            wire: plan.requests.iter().map(|request| Rc::new(request.bytes.clone())).collect(),
            window,
            slots: (0..connections).map(|_| Slot::default()).collect(),
            gate,
            round: order::round(&weights),
            counts: RefCell::new(Counts { tally, current }),
            shared: shared.clone(),
            index,
        })
    }

    /// When connection `index` sends its next request, or was to have sent it; None when the run is over for it.
    pub(super) async fn next_start(&self, index: usize, now: Instant) -> Option<Instant> {
        match &self.gate {
            None => (now < self.window.end).then_some(now),
            Some(gate) => {
                if now >= self.window.end + self.plan.timeout {
                    self.give_up(gate);
                }
                let first = gate.take(now);
                self.collect(gate, now);
                if first.is_some() { first } else { gate.wait(index).await }
            }
        }
    }

    /// Whether a request's start is when it was due, not when it is sent.
    pub(super) fn is_open_loop(&self) -> bool {
        self.gate.is_some()
    }

    /// The order in which connection `index` of this thread asks for things.
    pub(super) fn order(&self, index: usize) -> Order {
        let connection = ((self.index as u64) << 32) | index as u64;
        Order::new(self.round.clone(), self.plan.seed.wrapping_add(connection))
    }

    /// Counts a response to request `request` of the plan.
    pub(super) fn count(&self, request: usize, start: Instant, now: Instant, bytes: u64) {
        bump(&self.shown().completed);
        let counts = &mut *self.counts.borrow_mut();
        let tally = &mut counts.tally;
        tally.requests_all += 1;
        if let Some(n) = tally.by_request.get_mut(request) {
            *n += 1;
        }
        if counts.current.is_over(now) {
            counts.current.roll(now, &mut tally.latency);
        }
        let answered = self.window.holds(now);
        if answered {
            tally.answered += 1;
            tally.bytes += bytes;
        }
        let recorded = if self.is_open_loop() { self.window.holds(start) } else { answered };
        if recorded {
            tally.requests += 1;
            counts.current.record(micros(now.saturating_duration_since(start)));
        }
        if self.plan.log {
            self.log(&mut counts.tally, start, now, None);
        }
    }

    /// Counts the failure of a request that began at `start`, whenever it happens.
    pub(super) fn fail(&self, failure: &Failure, start: Instant) {
        bump(&self.shown().failed);
        let now = Instant::now();
        let counts = &mut *self.counts.borrow_mut();
        counts.tally.fail(failure);
        counts.current.roll(now, &mut counts.tally.latency);
        counts.current.fail(now);
        if self.plan.log {
            self.log(&mut counts.tally, start, now, Some(failure));
        }
    }

    fn log(&self, tally: &mut Tally, start: Instant, now: Instant, failure: Option<&Failure>) {
        let Some(since) = start.checked_duration_since(self.window.begin) else { return };
        tally.note(Event {
            start_us: since.as_micros() as u64,
            took_us: micros(now.saturating_duration_since(start)),
            failure: failure.map(|it| it.kind),
            status: failure.map_or(0, |it| it.status),
        });
    }

    /// Counts a connection opened.
    pub(super) fn connected(&self) {
        self.counts.borrow_mut().tally.connections += 1;
    }

    fn collect(&self, gate: &Gate, now: Instant) {
        gate.collect(now, &mut Collector { worker: self, in_window: self.window.holds(now) });
        self.shown().backlog.store(gate.backlog() as u64, Ordering::Relaxed);
    }

    fn give_up(&self, gate: &Gate) {
        for _ in 0..gate.give_up() {
            let failure = Failure::new(Kind::Dropped, "no connection came free before the run was over");
            self.fail(&failure, Instant::now());
        }
    }

    fn shown(&self) -> &Shown {
        &self.shared.shown[self.index]
    }

    fn into_tally(self: Rc<Self>) -> Tally {
        let counts = &mut *self.counts.borrow_mut();
        let lost = counts.current.finish(Instant::now(), &mut counts.tally.latency);
        counts.tally.intervals_lost += lost;
        counts.tally.clone()
    }
}

/// Counts what becomes due.
struct Collector<'a> {
    worker: &'a Worker,
    in_window: bool,
}

impl Collected for Collector<'_> {
    fn sent(&mut self, late: Duration) {
        if self.in_window {
            self.worker.counts.borrow_mut().tally.lateness.saturating_record(micros(late));
        }
    }

    fn waits(&mut self, backlog: usize) {
        if self.in_window {
            let peak = &mut self.worker.counts.borrow_mut().tally.backlog_peak;
            *peak = (*peak).max(backlog as u64);
        }
    }

    fn dropped(&mut self) {
        let failure = Failure::new(Kind::Dropped, "due while the backlog was full");
        self.worker.fail(&failure, Instant::now());
    }
}

/// A counter with one writer needs no read-modify-write instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Runs one thread from the opening of its connections to their end. Every thread waits twice at the barrier, also
/// one that failed before, or the others would wait for ever.
pub(super) fn run(plan: &Plan, shared: &Arc<Shared>, index: usize, parts: SyncSender<Part>) -> Result<Tally> {
    let connections = share(plan.connections, shared.shown.len(), index);
    let prepared = prepare(plan, index);
    let mut runtime = match prepared {
        Ok(runtime) => runtime,
        Err(fault) => {
            shared.wait_for_start();
            return Err(fault);
        }
    };
    let driver = runtime.driver();
    runtime.block_on(async {
        let opened = open(plan, connections).await;
        shared.wait_for_start();
        let streams = opened?;
        let current = Current::new(shared.window(), index, parts, Tally::new()?.latency);
        let worker = Rc::new(Worker::new(plan, shared, index, connections, current)?);
        worker.counts.borrow_mut().tally.connections += streams.len() as u64;
        let timer = Timer::new(driver).at("cannot create a timer")?;
        let mut streams = streams.into_iter();
        let clients: Vec<_> = (0..connections)
            .map(|i| {
                let (worker, stream) = (worker.clone(), streams.next());
                match plan.pipeline {
                    0 | 1 => monoio::spawn(client::drive(worker, i, stream)),
                    _ => monoio::spawn(pipeline::drive(worker, i, stream)),
                }
            })
            .collect();
        monoio::spawn(watch(Rc::downgrade(&worker)));
        if let Some(gate) = &worker.gate {
            pace(&worker, gate, &timer).await?;
        }
        for client in clients {
            client.await;
        }
        Ok(worker.into_tally())
    })
}

fn prepare(plan: &Plan, index: usize) -> Result<Runtime> {
    if let Some(&core) = plan.cores.get(index) {
        runtime::pin(core)?;
    }
    Runtime::new(plan.driver)
}

/// Opens the connections before the clock starts, one after the other: a flood would only fill the accept queue.
async fn open(plan: &Plan, connections: usize) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(connections);
    let wanted = if plan.new_connection { 0 } else { connections };
    for n in 1..=wanted {
        let place = format!("connection {n} of {wanted} to {}", plan.address);
        let stream = TcpStream::connect_addr(plan.address).await.at(&place)?;
        stream.set_nodelay(true).at(&place)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Wakes up whenever a request becomes due, until the last has.
async fn pace(worker: &Worker, gate: &Gate, timer: &Timer) -> Result<()> {
    let mut now = Instant::now();
    // Sleeps first: connections that are free from the start have to say so.
    while let Some(left) = gate.until_due(now) {
        timer.sleep(left).await.at("the timer of the open loop")?;
        now = Instant::now();
        worker.collect(gate, now);
    }
    gate.finish();
    Ok(())
}

/// Expires stuck requests and closes intervals for as long as the run lasts.
async fn watch(worker: Weak<Worker>) {
    loop {
        monoio::time::sleep(WATCH_INTERVAL).await;
        let Some(worker) = worker.upgrade() else { return };
        let now = Instant::now();
        for slot in &worker.slots {
            slot.expire(now, worker.plan.timeout);
        }
        let counts = &mut *worker.counts.borrow_mut();
        counts.current.roll(now, &mut counts.tally.latency);
    }
}

/// How many of `total` connections thread `index` of `threads` has.
fn share(total: usize, threads: usize, index: usize) -> usize {
    total / threads + usize::from(index < total % threads)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn threads_share_all_connections() {
        for (total, threads) in [(64, 2), (65, 2), (1, 2), (7, 3)] {
            assert_eq!((0..threads).map(|i| share(total, threads, i)).sum::<usize>(), total);
        }
    }
}
