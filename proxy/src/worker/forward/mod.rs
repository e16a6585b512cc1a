//! A request sent upstream and its response brought back: connections tried, the head sent, interim responses passed
//! on, the final response handed to `relay` or `tunnel`.
//!
//! ```text
//! forward: checkout -> attempt (encode, write) -> [hedge: a second one beside it] -> respond -> the client
//!             ^                                                                         |
//!             +---------------- retry: another try, after a wait -----------------------+
//! ```

mod attempt;
mod deadline_header;
mod encode;
mod hedge;
mod hedges;
mod kept;
mod respond;
mod retry;
mod switch;

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use http::{Method, StatusCode};

use self::{attempt::attempt, retry::Retrying};
pub use self::{hedges::Hedges, kept::Kept};
use super::{
    body::BodyReader,
    connection::Client,
    exchange::Progress,
    pool::{Ended, Pool, says_nothing},
    relay::Piece,
};
use crate::{
    error::Failure,
    http::RequestHead,
    route::{Hedge, Route, Selected},
    upstream::{Upstream, UpstreamTimeouts, circuit::Breaker},
};

/// What stays the same over all tries of one request.
pub struct Forward<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// For what.
    pub head: &'a RequestHead,
    /// By which route.
    pub route: &'a Route,
    /// Bytes of the path that the route's prefix matched.
    pub prefix_len: usize,
    /// Of which upstream.
    pub pool: &'a Rc<Pool>,
    /// Its bounds on time.
    pub timeouts: &'a UpstreamTimeouts,
    /// How long the response head of the try under way may take.
    pub head_wait: Cell<Duration>,
    /// The time for the whole request.
    allowed: Option<Duration>,
    /// By which field the upstream is told what is left of it.
    deadline_header: Option<&'a str>,
    /// When it is over, where the upstream is told.
    deadline: Option<Instant>,
    /// When the try under way began, where there is a deadline, or there may be another try.
    try_began: Cell<Option<Instant>>,
    /// How tries that came to nothing are made again; `None`: they are not.
    retrying: Option<Box<Retrying<'a>>>,
    /// When a second try is made beside the first.
    hedge: Option<&'a Hedge>,
    /// What every try of the upstream counts for.
    breaker: Option<&'a Breaker>,
}

impl<'a> Forward<'a> {
    /// For a request that is to be sent to `upstream`, whose pool this is.
    pub fn new(
        client: &'a Client,
        head: &'a RequestHead,
        Selected { route, prefix_len }: Selected<'a>,
        pool: &'a Rc<Pool>,
        upstream: &'a Upstream,
    ) -> Forward<'a> {
        let timeouts = &upstream.timeouts;
        let deadline_header = upstream.deadline_header.as_deref();
        let mut allowed = timeouts.request;
        let mut deadline = None;
        if let Some(name) = deadline_header {
            allowed = deadline_header::allowed(head, name, allowed);
            deadline = allowed.and_then(|allowed| client.worker.now().checked_add(allowed));
        }
        let retrying = upstream.retries.as_deref();
        let may_hedge = |_: &&Hedge| is_idempotent(&head.method) && head.body.is_empty() && !head.upgrade;
        Forward {
            client,
            head,
            route,
            prefix_len,
            pool,
            timeouts,
            head_wait: Cell::new(timeouts.response_head),
            allowed,
            deadline_header,
            deadline,
            try_began: Cell::new(None),
            retrying: retrying.map(|rules| Box::new(Retrying::new(client, pool, rules))),
            hedge: route.hedge.as_ref().filter(may_hedge),
            breaker: upstream.breaker.as_ref(),
        }
    }

    /// Whether the upstream may be given more than the one try with which a request has passed its breaker.
    fn allows_more_tries(&self) -> bool {
        self.breaker.is_none_or(|breaker| breaker.circuit.is_closed())
    }

    /// What is kept of the request's body.
    pub fn kept(&self) -> Option<&Kept<'a>> {
        self.retrying.as_ref().map(|retrying| &retrying.kept)
    }
}

/// What came of a try that was not a failure.
enum Try {
    /// The response is on its way, or has gone.
    Done(Reply),
    /// A response with this status, which another try is to replace. The client has seen nothing of it.
    Again(StatusCode),
}

/// Sends the request upstream, again where that is safe, and delivers the response.
pub async fn forward(
    this: &Forward<'_>,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<Reply, Failure> {
    let client = this.client;
    let worker = &client.worker;
    client.timer.cap(this.allowed);
    // Sent again only if nothing can come of it twice, and nothing of it is gone: RFC 9110 section 9.2.2.
    let repeatable = is_idempotent(&this.head.method) && reader.is_done();
    let retrying = this.retrying.as_deref();
    let mut tried = retrying.map(Retrying::tried).unwrap_or_default();
    this.pool.ask(client, this.head, &mut tried);
    progress.tells_attempts = retrying.is_some_and(Retrying::tells);
    let mut fresh = false;
    loop {
        let connected_us = tried.connect_us;
        let checkout = this.pool.checkout(worker, &mut tried, fresh, &client.timer, &client.socket).await;
        progress.phases.queue_us = tried.queue_us;
        progress.phases.connect_us = tried.connect_us;
        let ended = match checkout {
            Err(failure) => {
                progress.endpoint = tried.label().or(progress.endpoint.take());
                Err(client.late(failure))
            }
            Ok(lease) => {
                progress.endpoint = Some(Rc::clone(lease.label()));
                progress.set_cookie = lease.set_cookie(&tried);
                progress.attempts += 1;
                let (reused, mut endpoint) = (lease.reused, Rc::clone(lease.endpoint()));
                if let Some(retrying) = retrying {
                    let connect = Duration::from_micros(tried.connect_us - connected_us);
                    this.head_wait.set(retrying.head_within(this.timeouts.response_head, connect));
                }
                if retrying.is_some() || this.deadline.is_some() {
                    this.try_began.set(Some(worker.now()));
                }
                let result = attempt(this, (lease, &mut endpoint), buf, reader, progress).await;
                let client_busy = !reader.is_done() || progress.status != 0;
                if !says_nothing(result.as_ref().err(), reused, client_busy) {
                    this.pool.note(&endpoint, ended(&result, progress));
                }
                if matches!(result, Err(Failure::UpstreamClosed)) && reused && repeatable && !fresh {
                    worker.counters().upstream_retries.inc();
                    fresh = true;
                    continue;
                }
                if retrying.is_some() && !matches!(result, Ok(Try::Done(_))) {
                    tried.failed(&endpoint, Failure::NoEndpoints);
                }
                result
            }
        };
        let ended = match ended {
            Ok(Try::Done(reply)) => return Ok(reply),
            Ok(Try::Again(status)) => Ok(status),
            Err(failure) => Err(failure),
        };
        // Without it no response is ever replaced.
        let Some(retrying) = retrying else { return Err(ended.err().unwrap_or(Failure::UpstreamClosed)) };
        fresh |= ended == Err(Failure::UpstreamClosed);
        Box::pin(retrying.next(this, ended, progress)).await?;
    }
}

/// What a try says of its endpoint. One that has answered has, whatever the client made of it.
fn ended(result: &Result<Try, Failure>, progress: &Progress) -> Ended {
    let answered = |status| Ended::Answered { status, first_byte_us: progress.phases.first_byte_us };
    match result {
        Ok(Try::Done(_)) => answered(progress.status),
        Ok(Try::Again(status)) => answered(status.as_u16()),
        Err(Failure::ClientGone | Failure::ClientSlow(_)) if progress.status != 0 => {
            answered(progress.status)
        }
        Err(failure) => Ended::Failed(*failure),
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// A response on its way to the client.
pub struct Reply {
    /// The client's connection stays open after it.
    pub keep: bool,
    /// All of it, where it has come in one piece: still to be written, by whoever has nothing else in memory by then.
    pub rest: Option<Piece>,
}

impl Reply {
    /// All of it has been written.
    pub fn sent(keep: bool) -> Reply {
        Reply { keep, rest: None }
    }
}
