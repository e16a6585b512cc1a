//! Whether a request may be sent to an upstream at all: its circuit breaker, and how many requests may be under way.

use std::sync::Arc;

use super::{Ended, Pool, tries::says};
use crate::{
    error::Failure,
    upstream::{
        Upstream,
        circuit::{Breaker, Circuit, Pass},
        share,
    },
};

/// A request that is under way to an upstream, from before it has a connection to its end. Nothing where the upstream has no
/// breaker.
pub struct Permit<'a> {
    pool: Option<&'a Pool>,
    /// It passes to find out how the upstream is doing.
    probe: Option<(&'a Circuit, Pass)>,
}

impl Pool {
    /// Takes over what a table says of how endpoints and requests are watched.
    pub(super) fn heed(&self, upstream: &Upstream, index: u32, workers: u32) {
        let health = upstream.health.as_deref();
        self.watched.set(health.map(|it| it.when_unhealthy));
        let judged = health.is_some_and(|it| it.ejection.is_some());
        self.counted.set(judged || upstream.breaker.is_some());
        let max = upstream.breaker.as_ref().and_then(|it| it.settings.max_requests);
        self.requests_max.set(max.map_or(u32::MAX, |max| share(max, workers, index)));
    }

    /// Lets a request through, or refuses it. `breaker` is the upstream's.
    pub fn admit<'a>(&'a self, breaker: Option<&'a Breaker>) -> Result<Permit<'a>, Failure> {
        let Some(breaker) = breaker else { return Ok(Permit { pool: None, probe: None }) };
        let requests = self.requests.get();
        if requests >= self.requests_max.get() {
            return Err(Failure::UpstreamFull);
        }
        let circuit: &Arc<Circuit> = &breaker.circuit;
        let pass = circuit.admit().map_err(Failure::CircuitOpen)?;
        self.requests.set(requests + 1);
        Ok(Permit { pool: Some(self), probe: pass.map(|pass| (&**circuit, pass)) })
    }
}

impl Permit<'_> {
    /// The request is over, and so it ended; `status` is what the upstream has answered, 0: nothing.
    pub fn ended(mut self, result: Result<(), Failure>, status: u16) {
        if let Some((circuit, pass)) = self.probe.take() {
            let answered = Ended::Answered { status, first_byte_us: 0 };
            let ended = match result {
                Ok(()) => answered,
                Err(Failure::ClientGone | Failure::ClientSlow(_)) if status != 0 => answered,
                Err(failure) => Ended::Failed(failure),
            };
            circuit.probed(pass, says(ended));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool {
            pool.requests.set(pool.requests.get().saturating_sub(1));
        }
        // Nobody has said what came of it: a panic, or it was dropped.
        if let Some((circuit, pass)) = self.probe.take() {
            circuit.probed(pass, None);
        }
    }
}
