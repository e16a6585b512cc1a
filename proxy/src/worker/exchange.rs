//! One request and its response: choose the route, do what it says, record what came of it.

use std::{rc::Rc, time::Instant};

use bytes::BytesMut;

use super::{
    Adopted, answer,
    body::BodyReader,
    connection::{Client, drain, linger},
    forward::{self, Forward, Reply},
    ids::{self, Ids},
    limited::{self, Held},
    local, overload, peer,
    pool::UnderWay,
    rules::{self, Said},
};
use crate::{
    error::Failure,
    http::RequestHead,
    limit::Standing,
    limits::DRAIN_BODY_BYTES_MAX,
    observe::{Counters, Outcome, Phases, Termination},
    route::{
        Action, Route,
        table::{RequestView, Selected},
    },
    rule::{End, Rules},
    upstream::Upstream,
};

/// What is known of an exchange so far: filled in on the way, read once at its end.
pub struct Progress {
    /// When its first byte was read.
    pub started: Instant,
    /// The endpoint that was tried last.
    pub endpoint: Option<Rc<str>>,
    /// The status that the client was sent; 0: none yet.
    pub status: u16,
    /// Bytes read from the client.
    pub request_bytes: u64,
    /// Bytes written to the client.
    pub response_bytes: u64,
    /// How often the request was sent upstream.
    pub attempts: u32,
    /// The client is told of them.
    pub tells_attempts: bool,
    /// Times of the phases; the total is filled in at the end.
    pub phases: Phases,
    /// Time spent waiting for client and upstream, in microseconds.
    pub waited_us: u64,
    /// What rules have said.
    pub said: Said,
    /// How it stands with the rate limit of its route, if that has one.
    pub standing: Option<Standing>,
    /// How it ended, when not by a failure.
    pub termination: Termination,
    /// A response without a length is on its way to the client: only a reset tells that it was cut short.
    pub until_close: bool,
    /// A line that the response's head gets besides: which brings the client back to this endpoint.
    pub set_cookie: Option<Rc<[u8]>>,
}

impl Progress {
    /// Whether it ended with an answer that the client should have time to read.
    fn is_answered(&self) -> bool {
        matches!(self.termination, Termination::Ok | Termination::Denied)
    }
}

/// What the table has chosen.
#[derive(Default)]
struct Chosen<'t> {
    rules: Option<&'t Rules>,
    route: Option<&'t Route>,
    upstream: Option<&'t Upstream>,
    held: Held<'t>,
    /// Among the upstream's exchanges.
    under_way: Option<UnderWay<'t>>,
}

/// Keeps the gauge of exchanges right and the record complete, however one ends.
struct Active<'a> {
    counters: &'a Counters,
    client: &'a Client,
    head: &'a RequestHead,
    started: Instant,
    recorded: bool,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.counters.requests_active.dec();
        if !self.recorded {
            // A panic ends it. How far it had come is gone with what held it.
            record_fault(self.client, self.head, self.started);
        }
    }
}

/// Serves one request. `buf` holds what the client has sent after the head. False: the connection is to be closed.
pub async fn exchange(client: &mut Client, buf: &mut BytesMut, head: &RequestHead, started: Instant) -> bool {
    let worker = Rc::clone(&client.worker);
    let adopted = worker.table();
    client.adopt();
    peer::begin(client, head);
    let (client, counters) = (&*client, worker.counters());
    counters.requests_active.inc();
    let mut active = Active { counters, client, head, started, recorded: false };
    let mut reader = BodyReader::new(head.body);
    client.body_bytes_max.set(client.listener.request_body_bytes);
    if let Some(paces) = &client.paces {
        paces.begin(head.expects_continue);
    }
    let mut progress = Progress {
        started,
        endpoint: None,
        status: 0,
        request_bytes: head.raw.len() as u64,
        response_bytes: 0,
        attempts: 0,
        tells_attempts: false,
        phases: Phases::default(),
        waited_us: 0,
        said: Said::default(),
        standing: None,
        termination: Termination::Ok,
        until_close: false,
        set_cookie: None,
    };
    let mut chosen = Chosen { rules: adopted.table.rules.as_deref(), ..Chosen::default() };
    let result = run(client, buf, head, &adopted, &mut reader, (&mut progress, &mut chosen)).await;
    let result = match result {
        Ok(Reply { keep, rest: Some(rest) }) => client.deliver(rest).await.map(|()| keep),
        Ok(Reply { keep, rest: None }) => Ok(keep),
        Err(failure) => Err(failure),
    };
    client.timer.cap(None);
    let (after, termination) = match result {
        Ok(true) => (After::Keep, progress.termination),
        Ok(false) if progress.is_answered() && !(reader.is_done() && buf.is_empty()) => {
            (After::Linger, progress.termination)
        }
        Ok(false) => (After::Close, progress.termination),
        Err(failure) => {
            let at = (chosen.route, &mut progress);
            let after = Box::pin(fail(client, buf, head, &reader, at, failure)).await;
            (after, failure.termination())
        }
    };
    record(client, head, chosen, &mut progress, termination);
    active.recorded = true;
    drop(active);
    match after {
        After::Keep => true,
        After::Drain => Box::pin(drain(client, buf, &mut reader)).await.is_ok(),
        After::Linger => {
            Box::pin(linger(client)).await;
            false
        }
        After::Close => false,
    }
}

/// What becomes of the client's connection after an exchange, which is over and recorded.
enum After {
    /// The next request.
    Keep,
    /// The next request, behind what is left of this one's body.
    Drain,
    /// It ends when the client has had time to read the answer.
    Linger,
    /// It ends now.
    Close,
}

async fn run<'t>(
    client: &'t Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    adopted: &'t Adopted,
    reader: &mut BodyReader,
    (progress, chosen): (&mut Progress, &mut Chosen<'t>),
) -> Result<Reply, Failure> {
    #[cfg(debug_assertions)]
    crate::worker::injected_fault(head, false);
    if let Some(rules) = &adopted.table.rules
        && let Some(end) = rules::ask(client, head, rules, progress)
    {
        let End::Deny(respond) = end else { return Err(Failure::Dropped) };
        progress.termination = Termination::Denied;
        return Box::pin(local::deny(client, buf, head, reader, progress, respond)).await.map(Reply::sent);
    }
    if let (Some(max), Some(length)) = (client.listener.request_body_bytes, reader.remaining())
        && length > max
    {
        return Err(Failure::BodyTooLarge);
    }
    if head.max_forwards == Some(0) {
        return Box::pin(local::last_hop(client, buf, head, reader, progress)).await.map(Reply::sent);
    }
    let selected = select(adopted, head).ok_or(Failure::NoRoute)?;
    let route = selected.route;
    chosen.route = Some(route);
    limited::admit(client, head, route, reader, (progress, &mut chosen.held))?;
    #[cfg(debug_assertions)]
    crate::worker::injected_fault(head, true);
    let place = match &route.action {
        Action::Upstream(place) => *place,
        Action::Split(split) => client.worker.splits.pick(route.id, split),
        Action::Redirect(redirect) => {
            let prefix_len = selected.prefix_len;
            return Box::pin(local::redirect(
                client,
                buf,
                head,
                reader,
                progress,
                (redirect, prefix_len, route),
            ))
            .await
            .map(Reply::sent);
        }
        Action::Respond(respond) => {
            let how = (respond, route);
            return Box::pin(local::respond(client, buf, head, reader, progress, how)).await.map(Reply::sent);
        }
    };
    overload::admit(client, head, route.priority)?;
    let pool = adopted.pool(place).ok_or(Failure::NoEndpoints)?;
    let upstream = adopted.table.upstream(place).ok_or(Failure::NoEndpoints)?;
    chosen.upstream = Some(upstream);
    chosen.under_way = Some(pool.flow().begin());
    let forward = Forward::new(client, head, selected, pool, upstream);
    let permit = pool.admit(upstream.breaker.as_ref())?;
    let result = forward::forward(&forward, buf, reader, progress).await;
    permit.ended(result.as_ref().map(drop).map_err(|failure| *failure), progress.status);
    result
}

fn select<'a>(adopted: &'a Adopted, head: &RequestHead) -> Option<Selected<'a>> {
    adopted.table.select(&RequestView {
        method: &head.method,
        host: head.host(),
        path: head.path(),
        query: head.query(),
        headers: head,
    })
}

/// Whether the connection can serve another request after this one: both sides want it, and what is left of the
/// request's body is short enough to be read past.
pub fn keeps_open(client: &Client, head: &RequestHead, reader: &BodyReader, buf: &BytesMut) -> bool {
    let rest = reader.remaining();
    // A client that waits for 100 may, or may not, send its body after a final response: only a close is clear.
    let body_unsure = head.expects_continue && !reader.is_done() && buf.is_empty();
    head.keep_alive
        && !client.draining()
        && !body_unsure
        && rest.is_some_and(|rest| rest <= DRAIN_BODY_BYTES_MAX)
}

/// Answers a failure, if the client can still be answered.
async fn fail(
    client: &Client,
    buf: &BytesMut,
    head: &RequestHead,
    reader: &BodyReader,
    (route, progress): (Option<&Route>, &mut Progress),
    failure: Failure,
) -> After {
    if progress.status != 0 || failure.is_silent() {
        // Part of a response is out. What the client has must not look whole.
        if progress.until_close {
            client.socket.reset_on_close();
        }
        return After::Close;
    }
    client.timer.cap(None);
    let worker = &client.worker;
    let refused = matches!(failure, Failure::Body(_) | Failure::BodyTooLarge | Failure::ClientSlow(_));
    let keep = !refused && keeps_open(client, head, reader, buf);
    let mut out = worker.buffers.take_write();
    let attempts = progress.tells_attempts.then_some(progress.attempts);
    answer::encode_failure(&mut out, failure, &worker.date(), keep, Some(head), attempts);
    limited::put_fields(&mut out, route, progress);
    let Ok(out) = answer::send(client, out, answer::status(failure), progress).await else {
        return After::Close;
    };
    worker.buffers.give_write(out);
    if keep { After::Drain } else { After::Linger }
}

fn record(
    client: &Client,
    head: &RequestHead,
    chosen: Chosen<'_>,
    progress: &mut Progress,
    termination: Termination,
) {
    let worker = &client.worker;
    let now = worker.now();
    let total_us = now.duration_since(progress.started).as_micros() as u64;
    if let Some(under_way) = chosen.under_way {
        under_way.end(total_us);
    }
    let phases = &mut progress.phases;
    phases.total_us = total_us;
    let waits = phases.queue_us + phases.connect_us + phases.first_byte_us + progress.waited_us;
    phases.overhead_us = total_us.saturating_sub(waits);
    let logs = worker.logs();
    let noted = chosen.rules.filter(|_| logs).map(|rules| rules::noted(rules, &progress.said, head));
    let ids = ids::of(client).filter(|_| logs).map(Ids::logged);
    worker.record(&Outcome {
        listener: &client.listener.name,
        route: chosen.route.map(|route| (route.id, &route.name)),
        upstream: chosen.upstream.map(|upstream| &*upstream.name),
        endpoint: progress.endpoint.as_deref(),
        client: peer::text(client, head),
        method: head.method.as_str(),
        host: head.authority(),
        path: head.path(),
        version: head.version,
        status: progress.status,
        termination,
        request_bytes: progress.request_bytes,
        response_bytes: progress.response_bytes,
        attempts: progress.attempts,
        phases: progress.phases,
        rules: noted.as_ref(),
        ids: ids.as_ref(),
    });
}

/// Records an exchange that a panic has ended, while it is being unwound: nothing here may panic.
#[cold]
fn record_fault(client: &Client, head: &RequestHead, started: Instant) {
    let total_us = client.worker.now().duration_since(started).as_micros() as u64;
    client.worker.try_record(&Outcome {
        listener: &client.listener.name,
        route: None,
        upstream: None,
        endpoint: None,
        client: &client.peer,
        method: head.method.as_str(),
        host: head.authority(),
        path: head.path(),
        version: head.version,
        status: 0,
        termination: Termination::ProxyFault,
        request_bytes: head.raw.len() as u64,
        response_bytes: 0,
        attempts: 0,
        phases: Phases { total_us, ..Phases::default() },
        rules: None,
        ids: None,
    });
}
