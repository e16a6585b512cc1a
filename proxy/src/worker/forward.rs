//! A request sent upstream and its response brought back: connections tried, the head sent, interim responses passed
//! on, the final response handed to `relay` or `tunnel`.

use std::{future::poll_fn, rc::Rc, task::Poll, time::Instant};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode, Version};

use super::{
    Worker,
    body::{BodyReader, Framing},
    connection::Client,
    exchange::{Progress, keeps_open},
    ids::{self, Ids},
    peer,
    pool::{Ended, Lease, Pool, Tried},
    relay::{self, Piece},
    response::final_head,
    socket::{Socket, WriteError},
    tunnel,
    upload::{self, Upload},
};
use crate::{
    error::Failure,
    http::{
        BodyLength, BodyOut, ConnectionField, RequestEncoding, RequestHead, ResponseEncoding, ResponseHead,
        encode_request, encode_response, upgrade_accepted,
    },
    observe::{Termination, UpstreamWait},
    route::{Route, rewrite_target},
    upstream::UpstreamTimeouts,
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
    let answered = Ended::Answered { status: progress.status, first_byte_us: progress.phases.first_byte_us };
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

/// One try, on the connection in `lease`; left there, it is of no more use.
async fn attempt(
    this: &Forward<'_>,
    lease: &mut Option<Lease>,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<Reply, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = socket(lease) else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
    if let Some(lease) = lease {
        lease.greet(this.client, this.head, &mut out);
    }
    encode(this, &mut out);
    let framing = upload::request_framing(this.head);
    let before = buf.len();
    let passed = upload::take_request(this.client, reader, buf, &mut out, framing, 0)?;
    progress.request_bytes += (before - buf.len()) as u64;
    let wait = this.timeouts.response_head;
    worker.counters().upstream_bytes_out.add(out.len() as u64);
    match upstream.write_all(&this.client.timer, wait, out).await {
        Ok(out) => worker.buffers.give_write(out),
        // It may have answered before it closed: what there is to read decides.
        Err(WriteError::Closed) if !matches!(upstream.peek(), Ok(1..)) => {
            return Err(Failure::UpstreamClosed);
        }
        Err(WriteError::Closed) => {}
        Err(WriteError::Slow) => return Err(this.client.late(Failure::UpstreamSlow(UpstreamWait::Head))),
    }
    let sent = worker.now();
    let answered = if reader.is_done() {
        respond(this, (lease, &upstream), buf, reader, progress, (sent, None)).await?
    } else {
        Box::pin(both(this, (lease, upstream), buf, reader, progress, (sent, passed))).await?
    };
    match answered {
        Answered::Final(reply) => Ok(reply),
        Answered::Switched(switched) => {
            let keep = Box::pin(switch(this, *switched, buf, progress)).await?;
            Ok(Reply::sent(keep))
        }
    }
}

fn socket(lease: &Option<Lease>) -> Option<Rc<Socket>> {
    lease.as_ref().and_then(Lease::socket_handle)
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

/// What came of a request that was sent.
enum Answered {
    /// A final response.
    Final(Reply),
    /// The upstream has agreed to another protocol, which nobody has told the client yet.
    Switched(Box<Switched>),
}

/// A connection that has left HTTP.
struct Switched {
    lease: Lease,
    /// The 101.
    response: ResponseHead,
    /// What the upstream has sent after it.
    early: BytesMut,
}

fn encode(this: &Forward<'_>, out: &mut Vec<u8>) {
    let (head, route) = (this.head, this.route);
    let mut target = Vec::new();
    if let Some(replacement) = &route.rewrite_path_prefix {
        rewrite_target(&mut target, head.path(), head.query(), this.prefix_len, replacement);
    }
    let how = RequestEncoding {
        target: (!target.is_empty()).then_some(&target[..]),
        host: route.rewrite_host.as_deref(),
        edits: &route.request_headers,
        client_ip: &this.client.peer,
        proto: "http",
        trusted: peer::keeps_forwarded(this.client),
        ids: ids::of(this.client).map(Ids::upstream),
    };
    encode_request(out, head, &how);
}

/// Sends the rest of the request's body while the response is awaited and delivered: either may come first. Another
/// protocol begins when the body is through.
async fn both(
    this: &Forward<'_>,
    (lease, upstream): (&mut Option<Lease>, Rc<Socket>),
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (sent, passed): (Instant, u64),
) -> Result<Answered, Failure> {
    let client = this.client;
    let upload = Upload::new(reader.remaining(), passed, client);
    let received = std::cell::Cell::new(0);
    let result = {
        let framing = upload::request_framing(this.head);
        let timeouts = this.timeouts;
        let mut sending =
            Box::pin(upload::upload(client, buf, reader, &upstream, (framing, timeouts), &upload, &received));
        let mut rest = BytesMut::new();
        let mut done = BodyReader::Done;
        let mut answering = Box::pin(respond(
            this,
            (&mut *lease, &upstream),
            &mut rest,
            &mut done,
            progress,
            (sent, Some(&upload)),
        ));
        let mut answered = None;
        poll_fn(|cx| {
            if !upload.is_over()
                && let Poll::Ready(Err(failure)) = upload.poll(sending.as_mut(), cx)
            {
                return Poll::Ready(Err(failure));
            }
            if answered.is_none()
                && let Poll::Ready(result) = answering.as_mut().poll(cx)
            {
                answered = Some(result?);
            }
            match &answered {
                Some(Answered::Switched(_)) if !upload.is_over() => Poll::Pending,
                _ => answered.take().map_or(Poll::Pending, |answered| Poll::Ready(Ok(answered))),
            }
        })
        .await
    };
    progress.request_bytes += received.get();
    let mut answered = result?;
    // The client may take its time with the rest: the upstream's connection is not held for it.
    drop(upstream);
    *lease = None;
    match answered {
        Answered::Final(Reply { keep: true, ref mut rest }) if !reader.is_done() => {
            if let Some(rest) = rest.take() {
                client.deliver(rest).await?;
            }
            super::connection::drain(client, buf, reader).await?;
        }
        Answered::Switched(_) if !reader.is_done() => {
            return Err(Failure::UpstreamMalformed("101, and the rest of the request not taken"));
        }
        _ => {}
    }
    Ok(answered)
}

/// Reads the response and delivers it.
async fn respond(
    this: &Forward<'_>,
    (lease, upstream): (&mut Option<Lease>, &Rc<Socket>),
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (sent, upload): (Instant, Option<&Upload>),
) -> Result<Answered, Failure> {
    let worker = &this.client.worker;
    let mut bytes = BytesMut::new();
    let (response, body_at) = final_head(this, upstream, &mut bytes, progress, (sent, upload)).await?;
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        if !this.head.upgrade || !upgrade_accepted(this.head, &response) {
            return Err(Failure::UpstreamMalformed("101 that nobody asked for"));
        }
        bytes.advance(body_at);
        let Some(lease) = lease.take() else { return Err(Failure::UpstreamClosed) };
        return Ok(Answered::Switched(Box::new(Switched { lease, response, early: bytes })));
    }
    let keep = match upload {
        Some(upload) => upload.keeps_open(this.client, this.head),
        None => keeps_open(this.client, this.head, reader, buf),
    };
    let Begun { out, mut body, framing, keep, reusable } =
        begin(this, response, (&mut bytes, body_at), keep, progress)?;
    let whole = |upload: Option<&Upload>| reusable && upload.is_none_or(Upload::is_complete);
    if body.is_done() {
        // The upstream has done its part: its connection does not wait for the client to take the response. With a head of
        // its own in `out`, `bytes` is what follows the response; else `bytes` is all there is to send.
        if whole(upload) {
            give_back(worker, lease, upstream, out.is_empty() || bytes.is_empty());
        }
        let rest = Piece::new(worker, out, bytes);
        progress.response_bytes += rest.len() as u64;
        return Ok(Answered::Final(Reply { keep, rest: Some(rest) }));
    }
    let framed = (&mut bytes, &mut body, framing);
    Box::pin(relay::download(this.client, upstream, framed, out, this.timeouts, progress)).await?;
    if whole(upload) {
        give_back(worker, lease, upstream, bytes.is_empty());
    }
    worker.buffers.give_read(bytes);
    Ok(Answered::Final(Reply::sent(keep)))
}

/// Keeps the upstream's connection after a complete response, if nothing lies behind it, read or not: that must never be
/// taken for the next one.
fn give_back(worker: &Worker, lease: &mut Option<Lease>, upstream: &Socket, nothing_read: bool) {
    if nothing_read
        && upstream.is_drained()
        && let Some(lease) = lease.take()
    {
        lease.give_back(worker);
    }
}

/// A response whose head is ready to go to the client.
struct Begun {
    /// See `relay::join_head`.
    out: Vec<u8>,
    body: BodyReader,
    framing: Framing,
    /// The client's connection stays open after it.
    keep: bool,
    /// The upstream's does.
    reusable: bool,
}

/// Writes the head that goes to the client, before what has been read of the body.
fn begin(
    this: &Forward<'_>,
    response: ResponseHead,
    (bytes, body_at): (&mut BytesMut, usize),
    keep: bool,
    progress: &mut Progress,
) -> Result<Begun, Failure> {
    let worker = &this.client.worker;
    let (body_out, framing) = response_framing(this.head, &response);
    let keep = keep && body_out != BodyOut::UntilClose;
    progress.until_close = body_out == BodyOut::UntilClose;
    let mut out = worker.buffers.take_write();
    let connection = match (keep, this.head.version) {
        (false, _) => ConnectionField::Close,
        (true, Version::HTTP_10) => ConnectionField::KeepAlive,
        (true, _) => ConnectionField::None,
    };
    let (edits, date) = (&this.route.response_headers, worker.date());
    let how = ResponseEncoding {
        edits,
        date: &date,
        connection,
        body: body_out,
        request_id: ids::on_response(this.client),
    };
    encode_response(&mut out, &response, &how);
    let mut body = BodyReader::new(response.body);
    worker.counters().upstream_bytes_in.add((bytes.len() - body_at.min(bytes.len())) as u64);
    // Until the first write the client has seen nothing of this response: it can still be told what went wrong.
    relay::join_head(bytes, body_at, (&mut body, framing), &mut out)?;
    progress.status = response.status.as_u16();
    let reusable = response.keep_alive;
    worker.buffers.give_spare(response.into_spare());
    Ok(Begun { out, body, framing, keep, reusable })
}

fn response_framing(request: &RequestHead, response: &ResponseHead) -> (BodyOut, Framing) {
    match (response.body, request.version) {
        // A response without a body may still name a transfer coding, which a 1.0 client must not see.
        (BodyLength::Empty | BodyLength::Length(_), Version::HTTP_10) => {
            (BodyOut::LengthOnly, Framing::Plain)
        }
        (BodyLength::Empty | BodyLength::Length(_), _) => (BodyOut::AsReceived, Framing::Plain),
        (BodyLength::Chunked | BodyLength::UntilClose, Version::HTTP_10) => {
            (BodyOut::UntilClose, Framing::Plain)
        }
        (BodyLength::Chunked | BodyLength::UntilClose, _) => (BodyOut::Chunked, Framing::Chunked),
    }
}

/// The upstream has agreed to another protocol: from here on it is bytes, both ways.
async fn switch(
    this: &Forward<'_>,
    Switched { lease, response, early }: Switched,
    buf: &mut BytesMut,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = lease.socket_handle() else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
    let date = worker.date();
    let how = ResponseEncoding {
        edits: &this.route.response_headers,
        date: &date,
        connection: ConnectionField::Upgrade,
        body: BodyOut::AsReceived,
        request_id: ids::on_response(this.client),
    };
    encode_response(&mut out, &response, &how);
    // What either side has sent early goes first.
    out.extend_from_slice(&early);
    progress.status = response.status.as_u16();
    progress.response_bytes += out.len() as u64;
    worker.buffers.give_write(this.client.write(out).await?);
    this.client.timer.cap(None);
    progress.termination = tunnel::run(this.client, &upstream, std::mem::take(buf), progress).await;
    if worker.cutting() && progress.termination != Termination::TunnelClosed {
        progress.termination = Termination::Draining;
    }
    Ok(false)
}
