//! A request sent upstream and its response brought back: connections tried, the head sent, interim responses passed
//! on, the final response handed to `relay` or `tunnel`.

mod attempt;
mod respond;
mod switch;

use std::rc::Rc;

use bytes::BytesMut;
use http::Method;

use self::attempt::attempt;
use super::{
    body::BodyReader,
    connection::Client,
    exchange::Progress,
    pool::{Ended, Pool, Tried},
    relay::Piece,
};
use crate::{error::Failure, http::RequestHead, route::Route, upstream::UpstreamTimeouts};

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
    client.timer.cap(this.timeouts.request);
    // Sent again only if nothing can come of it twice, and nothing of it is gone: RFC 9110 section 9.2.2.
    let repeatable = is_idempotent(&this.head.method) && reader.is_done();
    let mut tried = Tried::default();
    let mut fresh = false;
    loop {
        let checkout = this.pool.checkout(worker, &mut tried, fresh, &client.timer, &client.socket).await;
        progress.phases.queue_us = tried.queue_us;
        progress.phases.connect_us = tried.connect_us;
        let mut lease = Some(checkout.map_err(|failure| {
            progress.endpoint = tried.label().or(progress.endpoint.take());
            client.late(failure)
        })?);
        progress.endpoint = lease.as_ref().map(|lease| Rc::clone(lease.label()));
        progress.attempts += 1;
        let reused = lease.as_ref().is_some_and(|lease| lease.reused);
        let endpoint = lease.as_ref().map(|lease| Rc::clone(lease.endpoint()));
        let result = attempt(this, &mut lease, buf, reader, progress).await;
        if let Some(endpoint) = &endpoint {
            this.pool.note(endpoint, ended(&result, progress));
        }
        match result {
            Err(Failure::UpstreamClosed) if reused && repeatable && !fresh => {
                worker.counters().upstream_retries.inc();
                fresh = true;
            }
            result => return result,
        }
    }
}

/// What a try says of its endpoint. One that has answered has, whatever the client made of it.
fn ended(result: &Result<Reply, Failure>, progress: &Progress) -> Ended {
    let answered =
        Ended::Answered { status: progress.status, first_byte_us: progress.phases.first_byte_us };
    match result {
        Ok(_) => answered,
        Err(Failure::ClientGone | Failure::ClientSlow(_)) if progress.status != 0 => answered,
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
