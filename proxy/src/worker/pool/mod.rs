//! A worker's connections to one upstream: idle ones per endpoint, last in first out; a bound on how many are open;
//! a bounded line for requests when all are busy. Nothing is locked: everything here belongs to one core.
//!
//! Before an idle connection is used the socket is asked (one peek): if the upstream has closed it, or has sent what nobody
//! asked for, it is dropped and never answers a request. One that rests for longer than a tick is watched as well, and
//! dropped as soon as either happens.

mod admission;
mod flow;
mod greeting;
mod idle;
mod key;
mod lease;
mod line;
mod pick;
mod spare;
mod tried;
mod tries;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

pub use self::{
    flow::{Flow, UnderWay},
    idle::Bell,
    lease::Lease,
    line::client_left,
    tried::Tried,
    tries::{Ended, says_nothing},
};
use self::{
    idle::{Alarm, Connection},
    line::Waiter,
    pick::{GoesBy, Load},
};
use super::{
    Worker,
    deadline::Timer,
    descriptors::{self, Wanted},
    socket::Socket,
};
use crate::{
    error::Failure,
    limits::TICK,
    proxy_protocol::Version,
    upstream::{
        Address, Balancers, PoolLimits, Upstream, UpstreamTimeouts,
        budget::Budget,
        health::{Health, WhenUnhealthy},
        rng::Rng,
        share,
    },
};

/// What outlives a table for one endpoint.
pub struct EndpointState {
    id: u32,
    address: Address,
    /// Its address as text.
    label: Rc<str>,
    idle: RefCell<VecDeque<Connection>>,
    alarm: Arc<Alarm>,
    load: Load,
    /// Set when a table without this endpoint was adopted: nothing is kept for it any more.
    removed: Cell<bool>,
    /// Its weight is above 0.
    weighted: Cell<bool>,
    /// What the control thread says of it, and where it is told how tries went.
    health: Health,
}

/// What a pool keeps of what the table says. A copy: nothing of a table is held, and so freed, here.
struct Settings {
    pool: PoolLimits,
    timeouts: UpstreamTimeouts,
    proxy_protocol: Option<Version>,
}

impl Settings {
    fn of(upstream: &Upstream) -> Settings {
        let Upstream { pool, timeouts, proxy_protocol, .. } = *upstream;
        Settings { pool, timeouts, proxy_protocol }
    }
}

/// Everything one worker holds for one upstream. Keyed by the upstream's identity across tables.
pub struct Pool {
    settings: RefCell<Settings>,
    balancer: RefCell<Balancers>,
    goes_by: GoesBy,
    /// For whatever is left to chance here.
    pub rng: Rng,
    endpoints: RefCell<Vec<Rc<EndpointState>>>,
    open: Cell<u32>,
    open_max: Cell<u32>,
    idle: Cell<u32>,
    idle_max: Cell<u32>,
    pending_max: Cell<u32>,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// Requests that have been told to try again and have not yet: nobody may overtake them.
    promised: Cell<u32>,
    /// What further tries may be made.
    pub budget: RefCell<Budget>,
    /// Which worker this is.
    worker: u32,
    /// Endpoints may be out of use, and what is done when all are; `None`: nobody watches them.
    watched: Cell<Option<WhenUnhealthy>>,
    /// What comes of tries is counted.
    counted: Cell<bool>,
    /// Requests under way, where somebody counts them, and how many may be.
    requests: Cell<u32>,
    requests_max: Cell<u32>,
    flow: Flow,
}

impl Pool {
    /// State for `upstream` on worker `index` of `workers`.
    pub fn new(upstream: &Upstream, bell: &Arc<Bell>, index: u32, workers: u32) -> Rc<Pool> {
        let pool = Rc::new(Pool {
            settings: RefCell::new(Settings::of(upstream)),
            balancer: RefCell::new(Balancers::new(index)),
            goes_by: GoesBy::default(),
            // Another in each worker and each process.
            rng: Rng::new(RandomState::new().hash_one(index)),
            endpoints: RefCell::default(),
            open: Cell::new(0),
            open_max: Cell::new(0),
            idle: Cell::new(0),
            idle_max: Cell::new(0),
            pending_max: Cell::new(0),
            waiters: RefCell::default(),
            promised: Cell::new(0),
            budget: RefCell::default(),
            worker: index,
            watched: Cell::new(None),
            counted: Cell::new(false),
            requests: Cell::new(0),
            requests_max: Cell::new(u32::MAX),
            flow: Flow::new(Instant::now()),
        });
        pool.update(upstream, bell, index, workers);
        pool
    }

    /// Adopts what a new table says of this upstream; connections and cursors of what stays are kept.
    pub fn update(&self, upstream: &Upstream, bell: &Arc<Bell>, index: u32, workers: u32) {
        let limits = &upstream.pool;
        self.open_max.set(share(limits.max_connections, workers, index));
        self.idle_max.set(share(limits.max_idle, workers, index));
        self.pending_max.set(share(limits.max_pending, workers, index));
        self.heed(upstream, index, workers);
        let mut old: HashMap<u32, Rc<EndpointState>> =
            self.endpoints.borrow_mut().drain(..).map(|state| (state.id, state)).collect();
        let states = upstream.endpoints.iter().map(|endpoint| match old.remove(&endpoint.id) {
            Some(state) => {
                state.weighted.set(endpoint.weight > 0);
                state
            }
            None => Rc::new(EndpointState {
                id: endpoint.id,
                address: endpoint.address.clone(),
                label: Rc::from(&*endpoint.label),
                idle: RefCell::default(),
                alarm: Alarm::new(bell),
                load: Load::default(),
                removed: Cell::new(false),
                weighted: Cell::new(endpoint.weight > 0),
                health: endpoint.health.clone(),
            }),
        });
        let states: Vec<_> = states.collect();
        for state in old.into_values() {
            self.give_up(&state);
        }
        self.adopt_balance(upstream, &states);
        *self.endpoints.borrow_mut() = states;
        self.greet_with(upstream.proxy_protocol);
        *self.settings.borrow_mut() = Settings::of(upstream);
    }

    /// Finds a connection for a request: an idle one, or a new one, or after a wait in line. `fresh` asks for a new one.
    pub async fn checkout(
        self: &Rc<Self>,
        worker: &Worker,
        tried: &mut Tried,
        fresh: bool,
        timer: &Timer,
        client: &Socket,
    ) -> Result<Lease, Failure> {
        let mut granted = false;
        let mut waits_since = None;
        // The turn that a request took before it had to wait.
        let mut turn: Option<Rc<EndpointState>> = None;
        loop {
            let endpoint = match turn.take().filter(|turn| !turn.removed.get()) {
                Some(turn) if fresh => turn,
                Some(turn) => self.given_back(turn, tried),
                None => self.pick_anew(tried)?,
            };
            if granted || (self.waiters.borrow().is_empty() && self.promised.get() == 0) {
                if !fresh && let Some(connection) = self.take_idle(worker, &endpoint) {
                    worker.counters().upstream_reuses.inc();
                    return Ok(Lease::new(self, endpoint, Some(connection)));
                }
                if self.open.get() < self.open_max.get() || self.evict_idle() {
                    match Box::pin(self.connect(worker, endpoint, tried, timer)).await {
                        // That is no endpoint's fault. Who has a connection will give it back.
                        Err(Failure::OutOfDescriptors) if self.open.get() > 0 => {
                            let waiting = self.wait_in_line(worker, tried, &mut waits_since, timer, client);
                            Box::pin(waiting).await?;
                            granted = true;
                        }
                        // Another endpoint may do: `pick` ends this when there is none.
                        Err(failure)
                            if failure != Failure::OutOfDescriptors
                                && tried.goes_on()
                                && !timer.cap_passed() => {}
                        result => return result,
                    }
                    continue;
                }
            }
            turn = Some(endpoint);
            Box::pin(self.wait_in_line(worker, tried, &mut waits_since, timer, client)).await?;
            granted = true;
        }
    }

    async fn connect(
        self: &Rc<Self>,
        worker: &Worker,
        endpoint: Rc<EndpointState>,
        tried: &mut Tried,
        timer: &Timer,
    ) -> Result<Lease, Failure> {
        // The place is taken before the wait, and given up by the lease's drop if the connect fails.
        self.open.set(self.open.get() + 1);
        let mut lease = Lease::new(self, endpoint, None);
        let started = Instant::now();
        let wait = tried.connect_within(self.settings.borrow().timeouts.connect);
        worker.counters().upstream_connects.inc();
        let connect = || timer.within(wait, Socket::connect(&lease.endpoint.address, worker.epoll));
        let is_short = |result: &_| matches!(result, Ok(Err(error)) if descriptors::are_short(error));
        let mut result = connect().await;
        if is_short(&result) && descriptors::make_room(worker, Wanted::Upstream) {
            monoio::time::sleep(TICK).await;
            result = connect().await;
        }
        let now = Instant::now();
        tried.connect_us += now.duration_since(started).as_micros() as u64;
        match result {
            Ok(Ok(socket)) => {
                let greeting = self.settings.borrow().proxy_protocol;
                let socket = Rc::new(socket);
                lease.connection =
                    Some(Connection { socket, born: now, idle_since: now, requests: 0, greeting });
                Ok(lease)
            }
            Ok(Err(error)) if descriptors::are_short(&error) => {
                worker.counters().upstream_connect_failures.inc();
                if descriptors::may_say(now) {
                    tracing::warn!(endpoint = %lease.endpoint.label, %error, "can't connect to an upstream");
                }
                lease.leave_place();
                Err(Failure::OutOfDescriptors)
            }
            Ok(Err(error)) => {
                tracing::debug!(endpoint = %lease.endpoint.label, %error, "connect failed");
                Err(lease.refused(worker, tried, Failure::ConnectRefused))
            }
            Err(_) => Err(lease.refused(worker, tried, Failure::ConnectTimeout)),
        }
    }

    fn closed(&self, count: u32, were_idle: bool) {
        self.open.set(self.open.get().saturating_sub(count));
        if were_idle {
            self.idle.set(self.idle.get().saturating_sub(count));
        }
        for _ in 0..count {
            self.grant();
        }
    }

    /// The table has this upstream no more: idle connections are closed, busy ones when they are done.
    pub fn retire(&self) {
        for state in self.endpoints.borrow().iter() {
            self.give_up(state);
        }
        // What is large is the table's, and not to be freed here.
        self.balancer.borrow_mut().retire();
    }

    fn give_up(&self, state: &EndpointState) {
        state.removed.set(true);
        self.drop_all_idle(state);
    }

    fn drop_all_idle(&self, state: &EndpointState) {
        let gone = state.idle.take();
        self.closed(gone.len() as u32, true);
    }

    /// How many exchanges it has had, and at a time.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Connections open, idle ones among them, and requests in line, for the gauges.
    pub fn size(&self) -> (u32, u32, u32) {
        (self.open.get(), self.idle.get(), self.waiters.borrow().len() as u32)
    }
}
