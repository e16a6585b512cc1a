//! A connection in use.

use std::rc::Rc;

use super::{Ended, EndpointState, Pool, Tried, idle::Connection};
use crate::{
    error::Failure,
    worker::{Worker, socket::Socket},
};

/// A connection in use. Dropped, it is closed; `give_back` keeps it for the next request.
pub struct Lease {
    pub(super) pool: Rc<Pool>,
    pub(super) endpoint: Rc<EndpointState>,
    pub(super) connection: Option<Connection>,
    /// Whether it has served a request before: then the upstream may have closed it without our knowing yet.
    pub reused: bool,
    pub(super) holds_place: bool,
}

impl Lease {
    /// Of a connection that has been idle, or of one that is still to be opened. Its place in the pool is taken already.
    pub(super) fn new(pool: &Rc<Pool>, endpoint: Rc<EndpointState>, connection: Option<Connection>) -> Lease {
        endpoint.load.in_flight.set(endpoint.load.in_flight.get() + 1);
        let reused = connection.is_some();
        Lease { pool: Rc::clone(pool), endpoint, connection, reused, holds_place: true }
    }

    /// The connection's socket, to be held beside the lease.
    pub fn socket_handle(&self) -> Option<Rc<Socket>> {
        self.connection.as_ref().map(|connection| Rc::clone(&connection.socket))
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Rc<EndpointState> {
        &self.endpoint
    }

    /// The endpoint, as text.
    pub fn label(&self) -> &Rc<str> {
        &self.endpoint.label
    }

    pub(super) fn refused(self, worker: &Worker, tried: &mut Tried, failure: Failure) -> Failure {
        worker.counters().upstream_connect_failures.inc();
        tried.failed(&self.endpoint, failure);
        self.pool.note(&self.endpoint, Ended::Failed(failure));
        failure
    }

    /// Gives up the place of a connection that could not be opened for want of a descriptor. Who is in line would get no
    /// further, and wake the next in turn, without end: they wait for those who have a connection, as long as any has.
    pub(super) fn leave_place(mut self) {
        self.holds_place = false;
        self.pool.open.set(self.pool.open.get().saturating_sub(1));
        if self.pool.open.get() == 0 {
            self.pool.grant();
        }
    }

    /// Keeps the connection for the next request. Only after a complete, clean exchange.
    pub fn give_back(mut self, worker: &Worker) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.requests += 1;
        let pool = Rc::clone(&self.pool);
        let full = pool.idle.get() >= pool.idle_max.get() || pool.open.get() > pool.open_max.get();
        let (max_requests, greeting) = {
            let settings = pool.settings.borrow();
            (settings.pool.max_requests, settings.proxy_protocol)
        };
        let private = connection.greeting.or(greeting).is_some();
        if private
            || self.endpoint.removed.get()
            || full
            || max_requests.is_some_and(|max| connection.requests >= max)
        {
            self.connection = Some(connection);
            return;
        }
        connection.idle_since = worker.tick_time.get();
        self.endpoint.idle.borrow_mut().push_back(connection);
        pool.idle.set(pool.idle.get() + 1);
        pool.grant();
        // It is open still: the drop must not count it as closed.
        self.holds_place = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let in_flight = &self.endpoint.load.in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
        if self.holds_place {
            self.connection = None;
            self.pool.closed(1, false);
        }
    }
}
