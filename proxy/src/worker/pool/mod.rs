//! A worker's connections to one upstream: idle ones per endpoint, last in first out; a bound on how many are open;
//! a bounded line for requests when all are busy. Nothing is locked: everything here belongs to one core.
//!
//! Before an idle connection is used the socket is asked (one peek): if the upstream has closed it, or has sent what nobody
//! asked for, it is dropped and never answers a request. One that rests for longer than a tick is watched as well, and
//! dropped as soon as either happens.

mod greeting;
mod idle;
mod lease;
mod line;
mod pick;
mod tries;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

pub use self::{idle::Bell, lease::Lease, line::client_left, tries::Ended};
use self::{
    idle::{Alarm, Connection},
    line::Waiter,
};
use super::{Worker, deadline::Timer, socket::Socket};
use crate::{
    error::Failure,
    limits::CONNECT_TRIES_MAX,
    proxy_protocol::Version,
    upstream::{Address, PoolLimits, Upstream, UpstreamTimeouts, round_robin::RoundRobin, share},
};

/// What outlives a table for one endpoint.
pub struct EndpointState {
    id: u32,
    address: Address,
    /// Its address as text.
    label: Rc<str>,
    idle: RefCell<VecDeque<Connection>>,
    alarm: Arc<Alarm>,
    /// Set when a table without this endpoint was adopted: nothing is kept for it any more.
    removed: Cell<bool>,
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
    balancer: RefCell<RoundRobin>,
    endpoints: RefCell<Vec<Rc<EndpointState>>>,
    open: Cell<u32>,
    open_max: Cell<u32>,
    idle: Cell<u32>,
    idle_max: Cell<u32>,
    pending_max: Cell<u32>,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// Requests that have been told to try again and have not yet: nobody may overtake them.
    promised: Cell<u32>,
}

/// Endpoints that a request has tried in vain, and what it waited for.
#[derive(Default)]
pub struct Tried {
    /// Boxed: nearly every request finds a connection at once.
    vain: Option<Box<Vain>>,
    /// Time spent in the line, in microseconds.
    pub queue_us: u64,
    /// Time spent connecting, in microseconds.
    pub connect_us: u64,
}

/// Endpoints that were tried in vain.
struct Vain {
    endpoints: Vec<u32>,
    last: Failure,
    /// The one that was tried last, as text.
    label: Rc<str>,
}

impl Tried {
    fn failed(&mut self, endpoint: &EndpointState, failure: Failure) {
        let label = Rc::clone(&endpoint.label);
        let mut endpoints = self.vain.take().map(|vain| vain.endpoints).unwrap_or_default();
        endpoints.push(endpoint.id);
        self.vain = Some(Box::new(Vain { endpoints, last: failure, label }));
    }

    fn endpoints(&self) -> &[u32] {
        self.vain.as_ref().map_or(&[], |vain| &vain.endpoints)
    }

    /// The endpoint that was tried last in vain, as text.
    pub fn label(&self) -> Option<Rc<str>> {
        self.vain.as_ref().map(|vain| Rc::clone(&vain.label))
    }
}

impl Pool {
    /// State for `upstream` on worker `index` of `workers`.
    pub fn new(upstream: &Upstream, bell: &Arc<Bell>, index: u32, workers: u32) -> Rc<Pool> {
        let pool = Rc::new(Pool {
            settings: RefCell::new(Settings::of(upstream)),
            balancer: RefCell::new(RoundRobin::new(std::iter::empty(), index)),
            endpoints: RefCell::default(),
            open: Cell::new(0),
            open_max: Cell::new(0),
            idle: Cell::new(0),
            idle_max: Cell::new(0),
            pending_max: Cell::new(0),
            waiters: RefCell::default(),
            promised: Cell::new(0),
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
        self.balancer.borrow_mut().adopt(&upstream.endpoints);
        let mut old: HashMap<u32, Rc<EndpointState>> =
            self.endpoints.borrow_mut().drain(..).map(|state| (state.id, state)).collect();
        let states = upstream.endpoints.iter().map(|endpoint| match old.remove(&endpoint.id) {
            Some(state) => state,
            None => Rc::new(EndpointState {
                id: endpoint.id,
                address: endpoint.address.clone(),
                label: Rc::from(&*endpoint.label),
                idle: RefCell::default(),
                alarm: Alarm::new(bell),
                removed: Cell::new(false),
            }),
        });
        let states: Vec<_> = states.collect();
        for state in old.into_values() {
            self.give_up(&state);
        }
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
        // The turn that a request took before it had to wait.
        let mut turn: Option<Rc<EndpointState>> = None;
        loop {
            let endpoint = match turn.take().filter(|turn| !turn.removed.get()) {
                Some(turn) if fresh => turn,
                Some(turn) => self.given_back(turn, tried),
                None => self.pick(tried)?,
            };
            if granted || (self.waiters.borrow().is_empty() && self.promised.get() == 0) {
                if !fresh && let Some(connection) = self.take_idle(worker, &endpoint) {
                    worker.counters().upstream_reuses.inc();
                    let pool = Rc::clone(self);
                    return Ok(Lease {
                        pool,
                        endpoint,
                        connection: Some(connection),
                        reused: true,
                        holds_place: true,
                    });
                }
                if self.open.get() < self.open_max.get() || self.evict_idle() {
                    match Box::pin(self.connect(worker, endpoint, tried, timer)).await {
                        // Another endpoint may do: `pick` ends this when there is none.
                        Err(_) if tried.endpoints().len() < CONNECT_TRIES_MAX && !timer.cap_passed() => {
                            continue;
                        }
                        result => return result,
                    }
                }
            }
            turn = Some(endpoint);
            Box::pin(self.wait_in_line(worker, tried, timer, client)).await?;
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
        let mut lease =
            Lease { pool: Rc::clone(self), endpoint, connection: None, reused: false, holds_place: true };
        let started = Instant::now();
        let wait = self.settings.borrow().timeouts.connect;
        worker.counters().upstream_connects.inc();
        let result = timer.within(wait, Socket::connect(&lease.endpoint.address, worker.epoll)).await;
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
    }

    fn give_up(&self, state: &EndpointState) {
        state.removed.set(true);
        self.drop_all_idle(state);
    }

    fn drop_all_idle(&self, state: &EndpointState) {
        let gone = state.idle.take();
        self.closed(gone.len() as u32, true);
    }

    /// Connections open, idle ones among them, and requests in line, for the gauges.
    pub fn size(&self) -> (u32, u32, u32) {
        (self.open.get(), self.idle.get(), self.waiters.borrow().len() as u32)
    }
}
