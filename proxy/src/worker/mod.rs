//! One core: its listeners, connections, pools, buffers, clock and record. The only place, with `server.rs`, that
//! names monoio; the only place with status codes of our own (`answer.rs`).
//!
//! ```text
//! listener (accept) -> connection (heads, keep-alive) -> exchange (route, retry) -> pool (a connection upstream)
//!                      -> forward (send, response head) -> relay (bodies) | tunnel (after 101) -> record
//! ```
//!
//! Everything here is `!Send`. What other threads see of a worker: its counters, its answers to the board, and
//! whether it has drained. What a worker sees of them: the published table's generation, the order to drain, and the
//! number of the listening sockets that it was handed.

mod adopted;
mod answer;
mod body;
mod buffers;
mod caught;
mod connection;
mod deadline;
mod descriptors;
mod doors;
mod exchange;
mod forward;
mod handover;
mod header;
mod ids;
mod limited;
mod listener;
mod local;
#[doc(hidden)]
pub mod measure;
mod orders;
mod overload;
mod pace;
mod peer;
mod pool;
mod relay;
mod response;
mod rules;
pub mod runtime;
mod socket;
mod splice;
mod ticker;
mod tunnel;
mod upload;
mod warm;
mod watch;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use self::{
    adopted::{Pools, Splits},
    buffers::Buffers,
    deadline::Deadlines,
    doors::Doors,
    forward::Hedges,
    listener::Registered,
    overload::Load,
    pool::Bell,
    splice::Pipes,
    ticker::Ticker,
};
use crate::{
    control::publish::Published,
    limit::Shared,
    limits::TICK,
    observe::{AccessLogHandle, Counters, Outcome, Recorder, Slot},
};

pub use adopted::Adopted;
pub use handover::{Bound, Handover};
pub use orders::{Order, Orders};

/// How often idle upstream connections are looked over for age, and the record for routes that are gone.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// How often, a second apart, memory is given back after connections have come to rest. The allocator gives back only what
/// has been free for a second, and looks only when it is asked.
const GIVE_BACK_ROUNDS: u32 = 3;

/// What is needed to start a worker. `Send`: it is made by the control thread.
#[derive(Clone)]
pub struct Setup {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub workers: usize,
    /// Which driver runs it.
    pub epoll: bool,
    /// Where tables are published.
    pub published: Arc<Published>,
    /// What it is told.
    pub orders: Arc<Orders>,
    /// What it accepts from.
    pub handover: Arc<Handover>,
    /// By what all workers hold limits together.
    pub limits: Arc<Shared>,
    /// Where it counts.
    pub slot: Arc<Slot>,
}

/// One core's state, shared by its tasks.
pub struct Worker {
    setup: Setup,
    /// Whether the epoll driver runs this worker.
    pub epoll: bool,
    deadlines: Rc<Deadlines>,
    buffers: Buffers,
    pipes: Pipes,
    recorder: RefCell<Recorder>,
    rules: rules::Memory,
    limiter: limited::Limiter,
    load: Load,
    dice: ids::Dice,
    adopted: RefCell<Rc<Adopted>>,
    pools: RefCell<Pools>,
    splits: Splits,
    hedges: Hedges,
    /// Routes have come or gone since the record was last freed of those that are gone.
    routes_changed: Cell<bool>,
    bell: Arc<Bell>,
    order: Cell<Order>,
    doors: Doors,
    connections: Cell<u64>,
    /// How often memory is still to be given back, since a connection last gave up what serving needs.
    give_back: Cell<u32>,
    /// Loops that accept. They end when the worker drains, after they have taken who had come.
    accepting: Cell<u64>,
    date: RefCell<(u64, [u8; 29])>,
    /// The time of the last tick: exact enough for how long a connection has been idle.
    tick_time: Cell<Instant>,
}

impl Worker {
    fn new(setup: Setup, log: Option<AccessLogHandle>) -> Rc<Worker> {
        let recorder = Recorder::new(Arc::clone(&setup.slot), log);
        let bell = Arc::default();
        let mut pools = Pools::new(&bell, setup.index as u32, setup.workers as u32);
        let adopted = pools.adopt(setup.published.load(), None);
        let limiter = limited::Limiter::new(&setup.limits, setup.index, setup.workers);
        let worker = Worker {
            epoll: setup.epoll,
            setup,
            limiter,
            deadlines: Rc::default(),
            buffers: Buffers::default(),
            pipes: Pipes::default(),
            recorder: RefCell::new(recorder),
            rules: rules::Memory::default(),
            load: Load::default(),
            dice: ids::Dice::default(),
            adopted: RefCell::new(Rc::new(adopted)),
            pools: RefCell::new(pools),
            splits: Splits::default(),
            hedges: Hedges::default(),
            // What a worker before this one has left may be of routes that are gone.
            routes_changed: Cell::new(true),
            bell,
            order: Cell::new(Order::Serve),
            doors: Doors::default(),
            connections: Cell::new(0),
            give_back: Cell::new(0),
            accepting: Cell::new(0),
            date: RefCell::new((u64::MAX, [b' '; 29])),
            tick_time: Cell::new(Instant::now()),
        };
        worker.counters().table_adoptions.inc();
        worker.tell_time();
        Rc::new(worker)
    }

    /// The table in use. Looks at the published generation first, which costs one load, and takes the new table when
    /// there is one: this is where a worker adopts, between two requests.
    pub fn table(&self) -> Rc<Adopted> {
        if self.setup.published.generation() != self.adopted.borrow().table.generation {
            self.adopt();
        }
        Rc::clone(&self.adopted.borrow())
    }

    #[cold]
    fn adopt(&self) {
        let table = self.setup.published.load();
        let before = Rc::clone(&self.adopted.borrow());
        self.splits.adopt(&table.splits, &before.table.splits);
        if !Arc::ptr_eq(&table.route_ids, &before.table.route_ids) {
            self.routes_changed.set(true);
        }
        self.doors.renew(&table);
        let adopted = self.pools.borrow_mut().adopt(table, Some(&before));
        *self.adopted.borrow_mut() = Rc::new(adopted);
        self.counters().table_adoptions.inc();
    }

    /// This worker's counters.
    pub fn counters(&self) -> &Counters {
        self.setup.slot.counters()
    }

    /// Records an exchange that has ended.
    pub fn record(&self, outcome: &Outcome<'_>) {
        self.recorder.borrow_mut().record(outcome);
    }

    /// Whether what is recorded is logged as well.
    fn logs(&self) -> bool {
        self.recorder.borrow().logs()
    }

    /// As `record`, unless a record is just being made.
    fn try_record(&self, outcome: &Outcome<'_>) {
        if let Ok(mut recorder) = self.recorder.try_borrow_mut() {
            recorder.record(outcome);
        }
    }

    /// The clock. One place, so that it can be seen how often it is read.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The value of a `Date` field, at most a second old.
    pub fn date(&self) -> [u8; 29] {
        self.date.borrow().1
    }

    /// Whether connections are to end with the exchange they are in.
    pub fn draining(&self) -> bool {
        self.order.get() >= Order::Drain
    }

    /// Whether every wait is being ended.
    pub fn cutting(&self) -> bool {
        self.order.get() >= Order::Cut
    }

    fn tell_time(&self) {
        let now = std::time::SystemTime::now();
        let seconds = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut date = self.date.borrow_mut();
        if date.0 != seconds
            && let Ok(text) = <[u8; 29]>::try_from(httpdate::fmt_http_date(now).as_bytes())
        {
            *date = (seconds, text);
        }
    }

    /// Runs until the process ends; returns only when the worker has been told to cut and everything has ended.
    async fn run(self: Rc<Self>, listeners: Vec<(Bound, Registered)>, ticker: Ticker) {
        let _record = LeftBehind(Rc::clone(&self));
        for (bound, registered) in listeners {
            doors::open(&self, &bound, registered);
        }
        monoio::spawn(keep_pools(Rc::clone(&self)));
        let mut last = Instant::now();
        let mut expired = last;
        loop {
            let armed = Instant::now();
            ticker.wait(TICK).await;
            let now = Instant::now();
            let waited = now.duration_since(armed);
            let passed = now.duration_since(last);
            let ticks = (passed.as_nanos() / TICK.as_nanos()).max(1) as u32;
            last += TICK * ticks;
            // Before the order to drain is heard, so that a socket that has just come is drained as well.
            doors::keep(&self);
            self.tick(ticks, waited.saturating_sub(TICK));
            self.watch_load(waited, now);
            if now.duration_since(expired) >= EXPIRE_EVERY {
                expired = now;
                let counters = self.counters();
                for pool in self.pools.borrow().iter() {
                    pool.expire(counters, now);
                    pool.flow().turn(now);
                }
                if let Some(left) = self.give_back.get().checked_sub(1) {
                    self.give_back.set(left);
                    give_memory_back();
                }
                self.forget_routes();
            }
            if self.cutting() && self.busy() == 0 {
                return;
            }
        }
    }

    fn tick(&self, ticks: u32, late: Duration) {
        self.tell_time();
        let now = Instant::now();
        let last = self.tick_time.replace(now);
        for pool in self.pools.borrow().iter() {
            pool.watch(last);
            pool.flow().tick(now);
        }
        self.deadlines.advance(ticks);
        self.limiter.tick(now, self.counters());
        let order = self.setup.orders.heard();
        if order > self.order.get() {
            self.order.set(order);
        }
        match self.order.get() {
            Order::Serve => {}
            Order::Drain => self.deadlines.fire_idle(),
            Order::Cut => self.deadlines.fire_all(),
        }
        if let Some(slot) = self.setup.orders.busy.get(self.setup.index) {
            slot.store(self.busy(), Ordering::Release);
        }
        // A table is adopted even when no request comes, so that what the last one held is given up.
        let _ = self.table();
        self.gauges();
        let mut recorder = self.recorder.borrow_mut();
        recorder.note_lag(late);
        recorder.tick(|| self.adopted.borrow().flows(self.now()));
    }

    /// Gives up what is recorded of routes that the table no longer has.
    fn forget_routes(&self) {
        if self.routes_changed.get() {
            let adopted = Rc::clone(&self.adopted.borrow());
            let done = self.recorder.borrow_mut().keep_routes(|id| adopted.table.has_route(id));
            self.hedges.keep(|id| adopted.table.has_route(id));
            self.routes_changed.set(!done);
        }
    }

    /// What has to end before the worker can.
    fn busy(&self) -> u64 {
        self.connections.get() + self.accepting.get()
    }

    fn gauges(&self) {
        let (mut open, mut idle, mut waiting) = (0, 0, 0);
        for pool in self.pools.borrow().iter() {
            let size = pool.size();
            open += u64::from(size.0);
            idle += u64::from(size.1);
            waiting += u64::from(size.2);
        }
        let counters = self.counters();
        counters.upstream_connections_busy.set(open.saturating_sub(idle));
        counters.upstream_connections_idle.set(idle);
        counters.queue_length.set(waiting);
        counters.connections_active.set(self.connections.get());
    }
}

/// Pages of memory that hold nothing any more go back to the system. By itself the allocator does so only while it is being
/// used: after a burst of connections that are idle now, the memory of serving them would stay.
fn give_memory_back() {
    // SAFETY: works on the heap of this thread, and may be called at any time; where another allocator is in use that heap
    // is empty.
    unsafe { libmimalloc_sys::mi_collect(false) };
}

/// Leaves the worker's record to its successor, or to the last report, however the worker ends: tasks that still
/// wait, and the worker with them, are never dropped.
struct LeftBehind(Rc<Worker>);

impl Drop for LeftBehind {
    fn drop(&mut self) {
        if let Ok(mut recorder) = self.0.recorder.try_borrow_mut() {
            recorder.retire();
        }
    }
}

/// Drops idle upstream connections as soon as they die.
async fn keep_pools(worker: Rc<Worker>) {
    loop {
        worker.bell.rung().await;
        let counters = worker.counters();
        worker.pools.borrow().iter().for_each(|pool| pool.sweep(counters));
    }
}

/// Debug builds only: what tests of a panic need. `X-Ringlane-Fault: connection` ends a connection by a panic,
/// `worker` its whole thread; `admitted` is `connection`, once the request holds all that limits gave it.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "that is its purpose")]
fn injected_fault(head: &crate::http::RequestHead, admitted: bool) {
    if std::env::var_os("RINGLANE_FAULTS").is_none() {
        return;
    }
    match head.headers().get("x-ringlane-fault").map(http::HeaderValue::as_bytes) {
        Some(b"connection") if !admitted => panic!("a fault that a test asked for"),
        Some(b"admitted") if admitted => panic!("a fault that a test asked for"),
        Some(b"worker") if !admitted => {
            monoio::spawn(async { panic!("a fault that a test asked for") });
        }
        _ => {}
    }
}
