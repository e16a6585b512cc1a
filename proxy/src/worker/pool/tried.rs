//! What a request has tried so far: endpoints that it is not to try next, and what it has waited for.

use std::{rc::Rc, time::Duration};

use super::{EndpointState, Pool, pick::Asked};
use crate::{error::Failure, limits::CONNECT_TRIES_MAX};

/// Endpoints that a request has tried in vain, and what it waited for.
#[derive(Default)]
pub struct Tried {
    /// Boxed: nearly every request finds a connection at once.
    vain: Option<Box<Vain>>,
    /// What the request says about where it is to go.
    pub(super) asked: Asked,
    /// Time spent in the line, in microseconds.
    pub queue_us: u64,
    /// Time spent connecting, in microseconds.
    pub connect_us: u64,
    /// Whoever asks counts its tries: a checkout makes one.
    counted: bool,
    /// Bounds each connect, beside the upstream's own bound.
    connect_max: Option<Duration>,
}

/// Endpoints that were tried in vain.
struct Vain {
    endpoints: Vec<u32>,
    last: Failure,
    /// The one that was tried last, as text.
    label: Rc<str>,
}

impl Tried {
    /// For tries that are counted: one connect for each checkout, which takes no longer than this.
    pub fn counted(connect_max: Option<Duration>) -> Tried {
        Tried { counted: true, connect_max, ..Tried::default() }
    }

    /// A try at `endpoint` came to nothing: the next one is to be elsewhere.
    pub fn failed(&mut self, endpoint: &EndpointState, failure: Failure) {
        let label = Rc::clone(&endpoint.label);
        let mut endpoints = self.vain.take().map(|vain| vain.endpoints).unwrap_or_default();
        endpoints.push(endpoint.id);
        self.vain = Some(Box::new(Vain { endpoints, last: failure, label }));
    }

    pub(super) fn endpoints(&self) -> &[u32] {
        self.vain.as_ref().map_or(&[], |vain| &vain.endpoints)
    }

    /// How the last try came to nothing.
    pub(super) fn last(&self) -> Option<Failure> {
        self.vain.as_ref().map(|vain| vain.last)
    }

    /// The endpoint that was tried last in vain, as text.
    pub fn label(&self) -> Option<Rc<str>> {
        self.vain.as_ref().map(|vain| Rc::clone(&vain.label))
    }

    /// Whether a checkout whose connect has failed connects elsewhere.
    pub(super) fn goes_on(&self) -> bool {
        !self.counted && self.endpoints().len() < CONNECT_TRIES_MAX
    }

    /// How long a connect may take, where the upstream allows `wait`.
    pub(super) fn connect_within(&self, wait: Duration) -> Duration {
        self.connect_max.map_or(wait, |max| wait.min(max))
    }

    /// All have been tried: allows them again, the one that was tried last only if there is no other. False: that has been
    /// done, or is not for this request to do.
    fn start_over(&mut self) -> bool {
        let Some(vain) = self.vain.as_mut().filter(|_| self.counted) else { return false };
        let count = vain.endpoints.len();
        drop(vain.endpoints.drain(..if count > 1 { count - 1 } else { count }));
        count > 0
    }
}

impl Pool {
    /// As `pick`; when all have been tried, one that has been.
    pub(super) fn pick_anew(&self, tried: &mut Tried) -> Result<Rc<EndpointState>, Failure> {
        loop {
            match self.pick(tried) {
                Err(_) if tried.start_over() => {}
                picked => return picked,
            }
        }
    }
}
