//! Where the control thread asks workers for their histograms, and finds them.
//!
//! A worker owns its histograms, so only it can copy them. Asking is a number in its slot that the worker compares
//! on every tick; answering is a copy left in the slot. Neither side wakes or waits for the other: the worker pays
//! one relaxed load per tick while nobody asks, and whoever asks polls.
//!
//! The atomics and the mutex here are the exception to the rule against sharing. They are touched when somebody
//! asks for a report, never on a request's way, and the worker only ever tries the lock.

#![expect(
    clippy::disallowed_types,
    reason = "taken when somebody asks for a report, never on a request's way"
)]

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    flow::UpstreamFlow,
    histogram::{Histograms, PhaseHistograms, ROUTE_DIGITS, RouteHistograms},
    merged::Merged,
    metrics::{Counters, Process},
    named_counts::NamedCounts,
};

/// How long one poll of the slots sleeps: well below a tick, so that a report takes little longer than one.
const POLL: Duration = Duration::from_millis(5);
/// Routes copied in one tick. Each is some kilobytes: this bounds what a report costs the requests of that moment.
const ROUTES_COPIED_PER_TICK: usize = 48;

/// A copy of one worker's histograms.
#[derive(Debug)]
pub struct Snapshot {
    /// The worker's number.
    pub worker: usize,
    /// Over all exchanges.
    pub process: PhaseHistograms<u64>,
    /// By route. Copied over several ticks when there are many, so not all of the same instant.
    pub routes: Vec<RouteHistograms>,
    /// Routes that had no histogram of their own.
    pub other: PhaseHistograms<u32>,
    /// Matches by rule.
    pub rules: NamedCounts,
    /// Requests by tag.
    pub tags: NamedCounts,
    /// What its upstreams have had to do, of those that had anything.
    pub flows: Vec<UpstreamFlow>,
}

impl Snapshot {
    /// Starts a copy: everything but the routes.
    fn begin(worker: usize, from: &Histograms, flows: Vec<UpstreamFlow>) -> Self {
        Self {
            worker,
            process: from.process.clone(),
            routes: Vec::with_capacity(from.routes.len()),
            other: PhaseHistograms::new(ROUTE_DIGITS),
            rules: NamedCounts::default(),
            tags: NamedCounts::default(),
            flows,
        }
    }

    /// Copies up to `count` routes more. True once all are there.
    fn proceed(&mut self, from: &Histograms, count: usize) -> bool {
        let done = self.routes.len();
        self.routes.extend(from.routes.iter().skip(done).take(count).cloned());
        let complete = self.routes.len() == from.routes.len();
        if complete {
            self.other = from.other.clone();
            self.rules = from.rules.clone();
            self.tags = from.tags.clone();
        }
        complete
    }

    fn whole(worker: usize, from: &Histograms) -> Self {
        let mut snapshot = Self::begin(worker, from, Vec::new());
        snapshot.proceed(from, usize::MAX);
        snapshot
    }
}

/// Who can answer for a slot's histograms.
#[derive(Debug, Default)]
enum Owner {
    /// No worker has started yet: there is nothing to report.
    #[default]
    Nobody,
    /// The running worker.
    Worker,
    /// The worker has ended and left them here.
    Left(Box<Histograms>),
}

/// What passes between a worker and those who ask.
#[derive(Debug, Default)]
struct Cell {
    owner: Owner,
    /// The newest copy, and the number it answers.
    delivered: Option<(u64, Arc<Snapshot>)>,
}

/// What one worker shares with the control thread.
#[derive(Debug)]
pub struct Slot {
    counters: Counters,
    index: usize,
    /// The highest number that somebody waits for.
    wanted: AtomicU64,
    cell: Mutex<Cell>,
}

impl Slot {
    fn new(index: usize) -> Self {
        Self { counters: Counters::default(), index, wanted: AtomicU64::new(0), cell: Mutex::default() }
    }

    /// The worker's counters. Anybody may read them; only the worker may write.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The worker's number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The cell, whatever became of a thread that held it: what is in it is replaced whole, never half-written.
    fn cell(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the slot over for a worker that starts, with what the one before it left.
    pub(super) fn attach(&self) -> Box<Histograms> {
        match mem::replace(&mut self.cell().owner, Owner::Worker) {
            Owner::Left(histograms) => histograms,
            Owner::Nobody | Owner::Worker => Box::default(),
        }
    }

    /// Leaves the histograms of a worker that ends.
    pub(super) fn leave(&self, histograms: Box<Histograms>) {
        let mut cell = self.cell();
        match &mut cell.owner {
            Owner::Left(left) => left.absorb(&histograms),
            owner => *owner = Owner::Left(histograms),
        }
    }

    /// What a collector that waits for `number` can have now.
    fn take(&self, number: u64) -> Taken {
        let cell = self.cell();
        match &cell.owner {
            Owner::Nobody => Taken::Nothing,
            Owner::Left(histograms) => Taken::Snapshot(Arc::new(Snapshot::whole(self.index, histograms))),
            Owner::Worker => match &cell.delivered {
                Some((answered, snapshot)) if *answered >= number => Taken::Snapshot(Arc::clone(snapshot)),
                _ => Taken::NotYet,
            },
        }
    }
}

enum Taken {
    Nothing,
    Snapshot(Arc<Snapshot>),
    NotYet,
}

/// A worker's side of its slot: remembers what it has answered.
#[derive(Debug, Default)]
pub(super) struct Answering {
    answered: u64,
    under_way: Option<(u64, Snapshot)>,
}

impl Answering {
    /// Called on every tick. One relaxed load when nobody asked.
    #[inline]
    pub(super) fn serve(
        &mut self,
        slot: &Slot,
        histograms: &Histograms,
        flows: impl FnOnce() -> Vec<UpstreamFlow>,
    ) {
        if slot.wanted.load(Ordering::Relaxed) != self.answered {
            self.answer(slot, histograms, flows);
        }
    }

    /// Whether a copy has begun that is not complete.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    #[cold]
    fn answer(&mut self, slot: &Slot, histograms: &Histograms, flows: impl FnOnce() -> Vec<UpstreamFlow>) {
        let (number, mut snapshot) = self.under_way.take().unwrap_or_else(|| {
            (slot.wanted.load(Ordering::Relaxed), Snapshot::begin(slot.index, histograms, flows()))
        });
        if !snapshot.proceed(histograms, ROUTES_COPIED_PER_TICK) {
            self.under_way = Some((number, snapshot));
            return;
        }
        // Held only by somebody who looks whether the answer is there: it will be there on the next tick.
        let Ok(mut cell) = slot.cell.try_lock() else {
            self.under_way = Some((number, snapshot));
            return;
        };
        cell.delivered = Some((number, Arc::new(snapshot)));
        self.answered = number;
    }
}

/// What came back from the workers.
#[derive(Debug)]
pub struct Collected {
    /// One per worker that answered.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// Workers that did not answer in time.
    pub silent: Vec<usize>,
}

impl Collected {
    /// Adds the workers up.
    pub fn merge(&self) -> Merged {
        Merged::of(self)
    }
}

/// The slots of all workers, and the figures of the process.
#[derive(Debug)]
pub struct Board {
    slots: Box<[Arc<Slot>]>,
    process: Process,
    /// Numbers the askings.
    asked: AtomicU64,
    /// Collectors at work; the last one clears the slots.
    collectors: AtomicUsize,
}

impl Board {
    /// A board for so many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        let board = Self {
            slots: (0..workers).map(|index| Arc::new(Slot::new(index))).collect(),
            process: Process::default(),
            asked: AtomicU64::new(0),
            collectors: AtomicUsize::new(0),
        };
        board.process.workers.set(workers as u64);
        Arc::new(board)
    }

    /// All slots, by the worker's number.
    pub fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// The slot of one worker, which starts with it (and starts again with it after a fault).
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn slot(&self, worker: usize) -> Arc<Slot> {
        Arc::clone(&self.slots[worker])
    }

    /// The figures of the process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks every worker for its histograms and waits until all have answered or `timeout` is over. For tokio.
    pub async fn collect(&self, timeout: Duration) -> Collected {
        let mut asking = Asking::new(self);
        let deadline = Instant::now() + timeout;
        while !asking.look() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        asking.finish()
    }

    /// The same, blocking the calling thread.
    pub fn collect_blocking(&self, timeout: Duration) -> Collected {
        let mut asking = Asking::new(self);
        let deadline = Instant::now() + timeout;
        while !asking.look() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        asking.finish()
    }
}

/// One collector at work. Dropped half-way (an admin client that leaves), it still clears up.
struct Asking<'a> {
    board: &'a Board,
    number: u64,
    waiting: Vec<usize>,
    snapshots: Vec<Arc<Snapshot>>,
}

impl<'a> Asking<'a> {
    fn new(board: &'a Board) -> Self {
        board.collectors.fetch_add(1, Ordering::AcqRel);
        let number = board.asked.fetch_add(1, Ordering::AcqRel) + 1;
        for slot in &board.slots {
            slot.wanted.fetch_max(number, Ordering::AcqRel);
        }
        Self { board, number, waiting: (0..board.slots.len()).collect(), snapshots: Vec::new() }
    }

    /// Takes what is there. True once all have answered.
    fn look(&mut self) -> bool {
        let Self { board, number, waiting, snapshots } = self;
        waiting.retain(|&worker| match board.slots[worker].take(*number) {
            Taken::Nothing => false,
            Taken::Snapshot(snapshot) => {
                snapshots.push(snapshot);
                false
            }
            Taken::NotYet => true,
        });
        waiting.is_empty()
    }

    fn finish(mut self) -> Collected {
        Collected { snapshots: mem::take(&mut self.snapshots), silent: mem::take(&mut self.waiting) }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.board.collectors.fetch_sub(1, Ordering::AcqRel) == 1 {
            for slot in &self.board.slots {
                let delivered = slot.cell().delivered.take();
                drop(delivered); // megabytes perhaps, freed with the lock already released
            }
        }
    }
}
