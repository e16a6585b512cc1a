//! A connection for a second try beside a first one: what is there to spare, and nothing that others wait for.

use std::rc::Rc;

use super::{EndpointState, Lease, Pool, Tried};
use crate::worker::{Worker, deadline::Timer};

impl Pool {
    /// Whether there is any endpoint but this one.
    pub fn has_another(&self, endpoint: &EndpointState) -> bool {
        self.endpoints.borrow().iter().any(|state| state.id != endpoint.id)
    }

    /// A connection to an endpoint that was not tried yet, idle or opened for it. `None`: there is no such endpoint, it did
    /// not take the connection, or all places are taken: nothing is waited for, and no other endpoint's is closed.
    pub async fn spare(self: &Rc<Self>, worker: &Worker, tried: &mut Tried, timer: &Timer) -> Option<Lease> {
        if !self.waiters.borrow().is_empty() || self.promised.get() > 0 {
            return None;
        }
        let endpoint = self.pick(tried).ok()?;
        if let Some(connection) = self.take_idle(worker, &endpoint) {
            worker.counters().upstream_reuses.inc();
            return Some(Lease::new(self, endpoint, Some(connection)));
        }
        if self.open.get() >= self.open_max.get() {
            return None;
        }
        self.connect(worker, endpoint, tried, timer).await.ok()
    }
}
