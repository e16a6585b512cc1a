//! Idle connections: watched, so that a dead one never serves; aged, so that none rests for ever.

#![expect(clippy::disallowed_types, reason = "a waker must be Sync; taken when an idle connection dies")]

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use super::{EndpointState, Pool};
use crate::{
    observe::Counters,
    proxy_protocol::Version,
    worker::{Worker, socket::Socket},
};

/// An open connection to an endpoint.
pub(super) struct Connection {
    pub(super) socket: Rc<Socket>,
    pub(super) born: Instant,
    pub(super) idle_since: Instant,
    pub(super) requests: u64,
    /// The header that it begins with, which makes it one client's.
    pub(super) greeting: Option<Version>,
}

/// Rung by the watch of an idle connection. A waker has to be `Send`, hence `Arc` and atomics; all of it stays on
/// one core.
pub(super) struct Alarm {
    rung: AtomicBool,
    bell: Arc<Bell>,
}

/// Wakes the worker's keeper, which looks after the endpoints whose alarm is rung.
#[derive(Default)]
pub struct Bell {
    rung: AtomicBool,
    keeper: std::sync::Mutex<Option<Waker>>,
}

impl Alarm {
    /// Silent, and heard by the worker that `bell` belongs to.
    pub(super) fn new(bell: &Arc<Bell>) -> Arc<Alarm> {
        Arc::new(Alarm { rung: AtomicBool::new(false), bell: Arc::clone(bell) })
    }
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

impl Pool {
    pub(super) fn take_idle(&self, worker: &Worker, endpoint: &EndpointState) -> Option<Connection> {
        loop {
            let connection = endpoint.idle.borrow_mut().pop_back()?;
            self.idle.set(self.idle.get() - 1);
            // Whatever it has sent is not the answer to what it is about to be asked; and after an end there is none.
            let dead =
                !matches!(connection.socket.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if !dead && !self.expired(&connection, worker.tick_time.get()) {
                return Some(connection);
            }
            count_dead(worker.counters(), &connection, dead);
            self.closed(1, false);
        }
    }

    fn expired(&self, connection: &Connection, now: Instant) -> bool {
        let settings = self.settings.borrow();
        now.saturating_duration_since(connection.idle_since) > settings.pool.idle_timeout
            || settings.pool.max_age.is_some_and(|age| now.saturating_duration_since(connection.born) > age)
    }

    /// Closes the idle connection that has waited longest at any endpoint, to make room for another endpoint's.
    pub(super) fn evict_idle(&self) -> bool {
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

    /// Since when the connection has been idle that has been so for longest.
    pub fn idle_longest(&self) -> Option<Instant> {
        let endpoints = self.endpoints.borrow();
        endpoints.iter().filter_map(|state| Some(state.idle.borrow().front()?.idle_since)).min()
    }

    /// Closes it: its descriptor is needed elsewhere.
    pub fn give_up_longest_idle(&self) {
        if self.evict_idle() {
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

    /// Arms the watch of connections that have been idle since before the last tick. One that is in steady use is never
    /// watched, only looked at when it is taken: arming costs more than that.
    pub fn watch(&self, last_tick: Instant) {
        for state in self.endpoints.borrow().iter() {
            let waker = Waker::from(Arc::clone(&state.alarm));
            let mut cx = Context::from_waker(&waker);
            for connection in state.idle.borrow().iter().rev() {
                // Those behind have been idle for longer, and are watched since.
                if connection.socket.is_watched() {
                    break;
                }
                if connection.idle_since < last_tick && connection.socket.poll_readable(&mut cx).is_ready() {
                    state.alarm.wake_by_ref();
                }
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
}

pub(super) fn count_dead(counters: &Counters, connection: &Connection, watched: bool) {
    if !watched {
        return;
    }
    match connection.socket.peek() {
        Ok(1..) => counters.upstream_idle_unasked.inc(),
        _ => counters.upstream_idle_closed.inc(),
    }
}
