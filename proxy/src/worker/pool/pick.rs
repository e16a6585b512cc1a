//! Which endpoint a request is sent to: what the balancer is told and asked, and the cookie that keeps a client at its own.
//!
//! One that the control thread has taken out of use is skipped as if it was not there. Only if all are, and `when_unhealthy`
//! says so, are all used.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use super::{Ended, EndpointState, Lease, Pool, Tried, key};
use crate::{
    error::Failure,
    http::{RequestHead, cookie},
    upstream::{
        Balance, Balancers, SHARE_FULL, Upstream, View,
        hash::HashKey,
        health::WhenUnhealthy,
        peak_ewma::{FAILED_US, PeakEwma},
        sticky::Token,
    },
    worker::connection::Client,
};

/// What the balancer goes by, of one endpoint.
#[derive(Default)]
pub(super) struct Load {
    /// Leases that are out.
    pub(super) in_flight: Cell<u32>,
    latency: Cell<PeakEwma>,
    /// Where clients are kept: what brings them back.
    cookie: RefCell<Option<Cookie>>,
}

struct Cookie {
    token: Token,
    /// The whole `Set-Cookie` line.
    line: Rc<[u8]>,
}

/// What of requests an upstream goes by. Nothing, mostly: then no request is asked.
#[derive(Default)]
pub(super) struct GoesBy {
    /// Any of the two below.
    request: Cell<bool>,
    key: RefCell<Option<HashKey>>,
    cookie: RefCell<Option<Box<str>>>,
    latency: Cell<bool>,
}

/// What a request says about where it is to go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// A hash of its key.
    key: Option<u64>,
    /// The endpoint that its cookie is of.
    home: Option<u32>,
}

/// The endpoints as they are now.
struct Now<'a> {
    pool: &'a Pool,
    endpoints: &'a [Rc<EndpointState>],
    tried: &'a [u32],
    /// What the control thread says of them counts.
    watched: bool,
}

impl View for Now<'_> {
    #[inline]
    fn skips(&self, index: usize) -> bool {
        (!self.tried.is_empty() && self.endpoints.get(index).is_none_or(|it| self.tried.contains(&it.id)))
            || (self.watched && self.endpoints.get(index).is_none_or(|it| !it.is_used()))
    }

    #[inline]
    fn share(&self, index: usize) -> u32 {
        match self.endpoints.get(index) {
            Some(it) if self.watched => it.health.share(),
            _ => SHARE_FULL,
        }
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.endpoints.get(index).map_or(0, |it| it.load.in_flight.get())
    }

    fn in_flight_sum(&self) -> u64 {
        self.pool.open.get().saturating_sub(self.pool.idle.get()).into()
    }

    fn latency_us(&self, index: usize) -> Option<f64> {
        // What fades in ten seconds does not fade between two ticks.
        self.endpoints.get(index)?.load.latency.get().get(self.pool.flow().time())
    }
}

impl EndpointState {
    /// Whether the control thread has it in use.
    fn is_used(&self) -> bool {
        self.health.share() > 0
    }
}

impl Load {
    /// Learns from how a try ended, as far as it was the endpoint's doing.
    fn learn(&self, ended: Ended) {
        let sample_us = match ended {
            Ended::Answered { first_byte_us, .. } => first_byte_us,
            Ended::Failed(
                Failure::ConnectRefused
                | Failure::ConnectTimeout
                | Failure::UpstreamClosed
                | Failure::UpstreamCut
                | Failure::UpstreamMalformed(_)
                | Failure::UpstreamSlow(_),
            ) => FAILED_US,
            Ended::Failed(_) => return,
        };
        let mut latency = self.latency.get();
        latency.observe(sample_us, Instant::now());
        self.latency.set(latency);
    }
}

impl Lease {
    /// The `Set-Cookie` line with which the client comes back to this endpoint, if it is to and would not anyway.
    pub fn set_cookie(&self, tried: &Tried) -> Option<Rc<[u8]>> {
        if !self.pool.goes_by.request.get() || tried.asked.home == Some(self.endpoint.id) {
            return None;
        }
        self.endpoint.load.cookie.borrow().as_ref().map(|cookie| Rc::clone(&cookie.line))
    }
}

impl Pool {
    /// Goes over to what `upstream` says of balancing; `states` are its endpoints, in its order.
    pub(super) fn adopt_balance(&self, upstream: &Upstream, states: &[Rc<EndpointState>]) {
        self.balancer.borrow_mut().adopt(upstream);
        let sticky = upstream.sticky.as_deref();
        for (index, state) in states.iter().enumerate() {
            let cookie = sticky.and_then(|sticky| {
                let token = sticky.token(index)?;
                Some(Cookie { token, line: sticky.set_cookie(token).into_bytes().into() })
            });
            *state.load.cookie.borrow_mut() = cookie;
        }
        let GoesBy { request, key, cookie, latency } = &self.goes_by;
        request.set(upstream.hash.is_some() || sticky.is_some());
        key.replace(upstream.hash.as_ref().map(|hash| hash.settings.key.clone()));
        cookie.replace(sticky.map(|sticky| sticky.cookie.clone()));
        latency.set(upstream.balance == Balance::PeakEwma);
    }

    /// Has `tried` know what a request with this head says about where it is to go.
    #[inline]
    pub fn ask(&self, client: &Client, head: &RequestHead, tried: &mut Tried) {
        if self.goes_by.request.get() {
            tried.asked = self.asked(client, head);
        }
    }

    #[inline(never)]
    fn asked(&self, client: &Client, head: &RequestHead) -> Asked {
        let home = |name: &str| {
            let token = Token::parse(cookie(head, name)?)?;
            let endpoints = self.endpoints.borrow();
            let is_its = |it: &&Rc<EndpointState>| {
                it.load.cookie.borrow().as_ref().is_some_and(|cookie| cookie.token == token)
            };
            endpoints.iter().find(is_its).map(|it| it.id)
        };
        Asked {
            key: self.goes_by.key.borrow().as_ref().and_then(|key| key::of(key, client, head)),
            home: self.goes_by.cookie.borrow().as_deref().and_then(home),
        }
    }

    pub(super) fn pick(&self, tried: &Tried) -> Result<Rc<EndpointState>, Failure> {
        let endpoints = self.endpoints.borrow();
        let watched = self.watched.get();
        // One endpoint, as many upstreams have, leaves nothing to choose.
        if let [only] = endpoints.as_slice()
            && watched.is_none()
            && only.weighted.get()
            && tried.endpoints().is_empty()
        {
            return Ok(Rc::clone(only));
        }
        let mut now =
            Now { pool: self, endpoints: &endpoints, tried: tried.endpoints(), watched: watched.is_some() };
        let mut balancers = self.balancer.borrow_mut();
        let mut picked = self.picked(tried, &now, &mut balancers);
        let mut none = Failure::NoEndpoints;
        if picked.is_none()
            && let Some(then) = watched
            && !endpoints.iter().any(|it| it.weighted.get() && it.is_used())
        {
            match then {
                WhenUnhealthy::TryAll => {
                    now.watched = false;
                    picked = self.picked(tried, &now, &mut balancers);
                }
                WhenUnhealthy::Fail if !endpoints.is_empty() => none = Failure::Unhealthy,
                // There would be none if all were healthy.
                WhenUnhealthy::Fail => {}
            }
        }
        let picked = picked.and_then(|index| endpoints.get(index).cloned());
        picked.ok_or(tried.last().unwrap_or(none))
    }

    fn picked(&self, tried: &Tried, now: &Now<'_>, balancers: &mut Balancers) -> Option<usize> {
        match tried.asked.home {
            None => balancers.pick(tried.asked.key, now, &self.rng),
            Some(home) => self.at_home(home, tried, now, balancers),
        }
    }

    /// The endpoint that a cookie is of, drained or not, as long as it can be asked; a backup only while backups serve.
    fn at_home(&self, home: u32, tried: &Tried, now: &Now<'_>, balancers: &mut Balancers) -> Option<usize> {
        let home = now.endpoints.iter().position(|it| it.id == home).filter(|index| !now.skips(*index));
        if home.is_some_and(|index| !balancers.is_backup(index)) {
            return home;
        }
        let picked = balancers.pick(tried.asked.key, now, &self.rng);
        if picked.is_some_and(|index| balancers.is_backup(index)) { home.or(picked) } else { picked }
    }

    /// For a request that has waited: the endpoint whose connection was given back last, in place of the one whose
    /// turn it is, as long as shares stay right. Else that connection would be closed to make room for a new one.
    pub(super) fn given_back(&self, turn: Rc<EndpointState>, tried: &Tried) -> Rc<EndpointState> {
        if !turn.idle.borrow().is_empty() || tried.asked.home == Some(turn.id) {
            return turn;
        }
        let endpoints = self.endpoints.borrow();
        let watched = self.watched.get().is_some();
        let now = Now { pool: self, endpoints: &endpoints, tried: tried.endpoints(), watched };
        let last = endpoints
            .iter()
            .enumerate()
            .filter(|(index, _)| !now.skips(*index))
            .filter_map(|(index, state)| Some((state.idle.borrow().back()?.idle_since, index, state)))
            .max_by_key(|(since, ..)| *since);
        let giver = endpoints.iter().position(|it| it.id == turn.id);
        match (giver, last) {
            (Some(giver), Some((_, taker, state))) if self.balancer.borrow_mut().swap(giver, taker) => {
                Rc::clone(state)
            }
            _ => turn,
        }
    }

    /// A try at `endpoint` has been given up for a quicker one after so long.
    pub fn outrun(&self, endpoint: &EndpointState, first_byte_us: u64) {
        self.learn(endpoint, Ended::Answered { status: 200, first_byte_us });
    }

    /// Learns from how a try at `endpoint` ended, where latency counts.
    #[inline]
    pub(super) fn learn(&self, endpoint: &EndpointState, ended: Ended) {
        if self.goes_by.latency.get() {
            endpoint.load.learn(ended);
        }
    }
}
