//! A worker's connections to one upstream: idle ones per endpoint, last in first out; a bound on how many are open;
//! a bounded line for requests when all are busy. Nothing is locked: everything here belongs to one core.
//!
//! Idle connections are watched by the poll that each socket keeps armed anyway (see `socket.rs`). When it fires on
//! an idle connection, the upstream has closed it or has sent what nobody asked for: it is dropped at once, and can
//! never answer a request.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    future::poll_fn,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use super::{Worker, deadline::Timer, socket::Socket};
use crate::{
    error::Failure,
    limits::CONNECT_TRIES_MAX,
    observe::Counters,
    upstream::{Endpoint, Upstream, round_robin::RoundRobin, share},
};

/// An open connection to an endpoint.
struct Connection {
    socket: Rc<Socket>,
    born: Instant,
    idle_since: Instant,
    requests: u64,
}

/// What outlives a table for one endpoint.
struct EndpointState {
    endpoint: Endpoint,
    /// The endpoint's label, in memory that no other core counts references to.
    label: Rc<str>,
    idle: RefCell<VecDeque<Connection>>,
    alarm: Arc<Alarm>,
    /// Set when a table without this endpoint was adopted: nothing is kept for it any more.
    removed: Cell<bool>,
}

/// Rung by the watch of an idle connection. A waker has to be `Send`, hence `Arc` and atomics; all of it stays on
/// one core.
struct Alarm {
    rung: AtomicBool,
    bell: Arc<Bell>,
}

/// Wakes the worker's keeper, which looks after the endpoints whose alarm is rung.
#[derive(Default)]
#[expect(
    clippy::disallowed_types,
    reason = "a waker must be Sync; taken when an idle connection dies, never per request"
)]
pub struct Bell {
    rung: AtomicBool,
    keeper: std::sync::Mutex<Option<Waker>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.bell.rung.store(true, Ordering::Relaxed);
        if let Ok(keeper) = self.bell.keeper.lock()
            && let Some(keeper) = keeper.as_ref()
        {
            keeper.wake_by_ref();
        }
    }
}

impl Bell {
    /// Waits until an alarm is rung.
    pub async fn rung(&self) {
        poll_fn(|cx| {
            if self.rung.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            if let Ok(mut keeper) = self.keeper.lock() {
                *keeper = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A request that waits for a connection.
#[derive(Default)]
struct Waiter {
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Everything one worker holds for one upstream. Keyed by the upstream's name across tables.
pub struct Pool {
    upstream: RefCell<Arc<Upstream>>,
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

/// A connection in use. Dropped, it is closed; `give_back` keeps it for the next request.
pub struct Lease {
    pool: Rc<Pool>,
    endpoint: Rc<EndpointState>,
    connection: Option<Connection>,
    /// Whether it has served a request before: then the upstream may have closed it without our knowing yet.
    pub reused: bool,
    holds_place: bool,
}

/// Endpoints that a request has tried in vain, and what it waited for.
#[derive(Default)]
pub struct Tried {
    endpoints: Vec<u32>,
    last: Option<Failure>,
    /// The endpoint that was tried last in vain, as text.
    pub label: Option<Rc<str>>,
    /// Time spent in the line, in microseconds.
    pub queue_us: u64,
    /// Time spent connecting, in microseconds.
    pub connect_us: u64,
}

impl Pool {
    /// State for `upstream` on worker `index` of `workers`.
    pub fn new(upstream: &Arc<Upstream>, bell: &Arc<Bell>, index: u32, workers: u32) -> Rc<Pool> {
        let pool = Rc::new(Pool {
            upstream: RefCell::new(Arc::clone(upstream)),
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
    pub fn update(&self, upstream: &Arc<Upstream>, bell: &Arc<Bell>, index: u32, workers: u32) {
        let limits = &upstream.pool;
        self.open_max.set(share(limits.max_connections, workers, index));
        self.idle_max.set(share(limits.max_idle, workers, index));
        self.pending_max.set(share(limits.max_pending, workers, index));
        self.balancer.borrow_mut().adopt(&upstream.endpoints);
        let mut old: HashMap<u32, Rc<EndpointState>> =
            self.endpoints.borrow_mut().drain(..).map(|state| (state.endpoint.id, state)).collect();
        let states = upstream.endpoints.iter().map(|endpoint| match old.remove(&endpoint.id) {
            Some(state) => state,
            None => Rc::new(EndpointState {
                endpoint: endpoint.clone(),
                label: Rc::from(&*endpoint.label),
                idle: RefCell::default(),
                alarm: Arc::new(Alarm { rung: AtomicBool::new(false), bell: Arc::clone(bell) }),
                removed: Cell::new(false),
            }),
        });
        let states: Vec<_> = states.collect();
        for state in old.into_values() {
            self.give_up(&state);
        }
        *self.endpoints.borrow_mut() = states;
        *self.upstream.borrow_mut() = Arc::clone(upstream);
    }

    /// Finds a connection for a request: an idle one, or a new one, or after a wait in line. `fresh` asks for a new
    /// one; `careful` looks at the socket itself before an idle one is trusted.
    pub async fn checkout(
        self: &Rc<Self>,
        worker: &Worker,
        tried: &mut Tried,
        (fresh, careful): (bool, bool),
        timer: &Timer,
        client: &Socket,
    ) -> Result<Lease, Failure> {
        let mut granted = false;
        loop {
            let endpoint = self.pick(tried)?;
            if granted || (self.waiters.borrow().is_empty() && self.promised.get() == 0) {
                if !fresh && let Some(connection) = self.take_idle(worker, &endpoint, careful).await {
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
                        Err(_) if tried.endpoints.len() < CONNECT_TRIES_MAX && !timer.cap_passed() => {
                            continue;
                        }
                        result => return result,
                    }
                }
            }
            Box::pin(self.wait_in_line(worker, tried, timer, client)).await?;
            granted = true;
        }
    }

    fn pick(&self, tried: &Tried) -> Result<Rc<EndpointState>, Failure> {
        let endpoints = self.endpoints.borrow();
        let skip = |index: usize| {
            !tried.endpoints.is_empty()
                && endpoints.get(index).is_none_or(|state| tried.endpoints.contains(&state.endpoint.id))
        };
        let picked = self.balancer.borrow_mut().pick(skip).and_then(|index| endpoints.get(index).cloned());
        picked.ok_or(tried.last.unwrap_or(Failure::NoEndpoints))
    }

    async fn take_idle(
        &self,
        worker: &Worker,
        endpoint: &EndpointState,
        careful: bool,
    ) -> Option<Connection> {
        loop {
            let connection = endpoint.idle.borrow_mut().pop_back()?;
            self.idle.set(self.idle.get() - 1);
            let watched = poll_fn(|cx| Poll::Ready(connection.socket.poll_readable(cx).is_ready())).await;
            if !watched && !self.expired(&connection, Instant::now()) {
                let quiet = || matches!(connection.socket.peek(), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
                if !careful || quiet() {
                    return Some(connection);
                }
            }
            count_dead(worker.counters(), &connection, watched);
            self.closed(1, false);
        }
    }

    fn expired(&self, connection: &Connection, now: Instant) -> bool {
        let upstream = self.upstream.borrow();
        now.saturating_duration_since(connection.idle_since) > upstream.pool.idle_timeout
            || upstream.pool.max_age.is_some_and(|age| now.saturating_duration_since(connection.born) > age)
    }

    /// Closes the idle connection that has waited longest at any endpoint, to make room for another endpoint's.
    fn evict_idle(&self) -> bool {
        let endpoints = self.endpoints.borrow();
        let oldest = endpoints
            .iter()
            .filter_map(|state| Some((state.idle.borrow().front()?.idle_since, state)))
            .min_by_key(|(since, _)| *since);
        let Some((_, state)) = oldest else { return false };
        drop(state.idle.borrow_mut().pop_front());
        self.idle.set(self.idle.get() - 1);
        self.open.set(self.open.get() - 1);
        true
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
        let wait = self.upstream.borrow().timeouts.connect;
        worker.counters().upstream_connects.inc();
        let result =
            timer.within(wait, Socket::connect(&lease.endpoint.endpoint.address, worker.epoll)).await;
        let now = Instant::now();
        tried.connect_us += now.duration_since(started).as_micros() as u64;
        match result {
            Ok(Ok(socket)) => {
                lease.connection =
                    Some(Connection { socket: Rc::new(socket), born: now, idle_since: now, requests: 0 });
                Ok(lease)
            }
            Ok(Err(error)) => {
                tracing::debug!(endpoint = %lease.endpoint.label, %error, "connect failed");
                Err(lease.refused(worker, tried, Failure::ConnectRefused))
            }
            Err(_) => Err(lease.refused(worker, tried, Failure::ConnectTimeout)),
        }
    }

    async fn wait_in_line(
        &self,
        worker: &Worker,
        tried: &mut Tried,
        timer: &Timer,
        client: &Socket,
    ) -> Result<(), Failure> {
        if self.waiters.borrow().len() >= self.pending_max.get() as usize {
            return Err(Failure::QueueFull);
        }
        worker.counters().queue_waits.inc();
        let mut place = Place { pool: self, waiter: Rc::default(), used: false };
        self.waiters.borrow_mut().push_back(Rc::clone(&place.waiter));
        let started = Instant::now();
        let wait = self.upstream.borrow().timeouts.queue;
        let mut watch_client = true;
        let granted = timer
            .within(
                wait,
                poll_fn(|cx| {
                    if place.waiter.granted.get() {
                        return Poll::Ready(Ok(()));
                    }
                    *place.waiter.waker.borrow_mut() = Some(cx.waker().clone());
                    if watch_client && client_left(client, cx, &mut watch_client) {
                        return Poll::Ready(Err(Failure::ClientGone));
                    }
                    Poll::Pending
                }),
            )
            .await;
        tried.queue_us += started.elapsed().as_micros() as u64;
        match granted {
            Ok(result) => {
                place.used = result.is_ok();
                result
            }
            Err(_) => Err(Failure::QueueTimeout),
        }
    }

    /// Lets the next request in line try again: a connection has become idle, or a place free.
    fn grant(&self) {
        while let Some(waiter) = self.waiters.borrow_mut().pop_front() {
            // A place that was left is only here when its owner could not take it out: skip it.
            if Rc::strong_count(&waiter) > 1 {
                waiter.granted.set(true);
                self.promised.set(self.promised.get() + 1);
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
                return;
            }
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

    /// Drops idle connections that have died, where an alarm was rung.
    pub fn sweep(&self, counters: &Counters) {
        for state in self.endpoints.borrow().iter() {
            if state.alarm.rung.swap(false, Ordering::Relaxed) {
                self.drop_idle(state, |connection, cx| {
                    let dead = connection.socket.poll_readable(cx).is_ready();
                    if dead {
                        count_dead(counters, connection, true);
                    }
                    dead
                });
            }
        }
    }

    /// Closes idle connections that have rested too long or are too old.
    pub fn expire(&self, counters: &Counters, now: Instant) {
        for state in self.endpoints.borrow().iter() {
            self.drop_idle(state, |connection, _| {
                let expired = self.expired(connection, now);
                if expired {
                    counters.upstream_idle_expired.inc();
                }
                expired
            });
        }
    }

    fn drop_idle(&self, state: &EndpointState, dead: impl Fn(&Connection, &mut Context<'_>) -> bool) {
        let waker = Waker::from(Arc::clone(&state.alarm));
        let mut cx = Context::from_waker(&waker);
        let before = state.idle.borrow().len();
        state.idle.borrow_mut().retain(|connection| !dead(connection, &mut cx));
        let gone = before - state.idle.borrow().len();
        if gone > 0 {
            self.closed(gone as u32, true);
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
        let gone = state.idle.take();
        self.closed(gone.len() as u32, true);
    }

    /// Connections open, idle ones among them, and requests in line, for the gauges.
    pub fn size(&self) -> (u32, u32, u32) {
        (self.open.get(), self.idle.get(), self.waiters.borrow().len() as u32)
    }
}

fn count_dead(counters: &Counters, connection: &Connection, watched: bool) {
    if !watched {
        return;
    }
    match connection.socket.peek() {
        Ok(1..) => counters.upstream_idle_unasked.inc(),
        _ => counters.upstream_idle_closed.inc(),
    }
}

/// Whether the client has closed its side: nobody is left to answer. Bytes there are the next request, pipelined;
/// then nothing more is to be learnt from the watch and `watching` is cleared.
pub fn client_left(client: &Socket, cx: &mut Context<'_>, watching: &mut bool) -> bool {
    while client.poll_readable(cx).is_ready() {
        match client.peek() {
            Ok(0) => return true,
            Ok(_) => {
                *watching = false;
                return false;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

/// A place in the line. Left without having been used, it is taken out, and what it was granted is passed on.
struct Place<'a> {
    pool: &'a Pool,
    waiter: Rc<Waiter>,
    used: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let granted = self.waiter.granted.get();
        if granted {
            self.pool.promised.set(self.pool.promised.get() - 1);
        }
        if self.used {
            return;
        }
        self.pool.waiters.borrow_mut().retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
        if granted {
            self.pool.grant();
        }
    }
}

impl Lease {
    /// The connection's socket.
    pub fn socket(&self) -> Option<&Socket> {
        self.connection.as_ref().map(|connection| &*connection.socket)
    }

    /// The socket, to be held beside the lease.
    pub fn socket_handle(&self) -> Option<Rc<Socket>> {
        self.connection.as_ref().map(|connection| Rc::clone(&connection.socket))
    }

    /// The endpoint, as text.
    pub fn label(&self) -> &Rc<str> {
        &self.endpoint.label
    }

    fn refused(self, worker: &Worker, tried: &mut Tried, failure: Failure) -> Failure {
        worker.counters().upstream_connect_failures.inc();
        tried.endpoints.push(self.endpoint.endpoint.id);
        tried.last = Some(failure);
        tried.label = Some(Rc::clone(&self.endpoint.label));
        failure
    }

    /// Keeps the connection for the next request. Only after a complete, clean exchange.
    pub fn give_back(mut self, counters: &Counters) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.requests += 1;
        let pool = Rc::clone(&self.pool);
        let full = pool.idle.get() >= pool.idle_max.get() || pool.open.get() > pool.open_max.get();
        let max_requests = pool.upstream.borrow().pool.max_requests;
        if self.endpoint.removed.get() || full || max_requests.is_some_and(|max| connection.requests >= max) {
            self.connection = Some(connection);
            return;
        }
        // From here on the watch rings the endpoint's alarm. Ringing at once, the connection is of no use.
        let waker = Waker::from(Arc::clone(&self.endpoint.alarm));
        if connection.socket.poll_readable(&mut Context::from_waker(&waker)).is_ready() {
            count_dead(counters, &connection, true);
            self.connection = Some(connection);
            return;
        }
        connection.idle_since = Instant::now();
        self.endpoint.idle.borrow_mut().push_back(connection);
        pool.idle.set(pool.idle.get() + 1);
        pool.grant();
        // It is open still: the drop must not count it as closed.
        self.holds_place = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.holds_place {
            self.connection = None;
            self.pool.closed(1, false);
        }
    }
}
