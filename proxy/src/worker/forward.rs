//! A request sent upstream and its response brought back: connections tried, the head sent, interim responses passed
//! on, the final response handed to `relay` or `tunnel`.

use std::{
    future::poll_fn,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode, Version};

use super::{
    body::{BodyReader, Framing},
    connection::{Client, make_room},
    exchange::{Progress, keeps_open},
    pool::{Lease, Pool, Tried, client_left},
    relay::{self, Upload},
    socket::{Socket, WriteError},
    tunnel,
};
use crate::{
    error::Failure,
    http::{
        BodyLength, BodyOut, ConnectionField, HeadScan, RequestEncoding, RequestHead, ResponseEncoding,
        ResponseHead, Scan, encode_interim, encode_request, encode_response, upgrade_accepted,
    },
    limits::{HEADROOM_BYTES, INTERIM_RESPONSES_MAX, READ_BUFFER_BYTES, RESPONSE_HEAD_BYTES_MAX},
    observe::{Termination, UpstreamWait},
    route::{Route, listener::Forwarded, rewrite_target},
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

/// Sends the request upstream, again where that is safe, and delivers the response. True: the client's connection
/// stays open.
pub async fn forward(
    this: &Forward<'_>,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let client = this.client;
    let worker = &client.worker;
    client.timer.cap(this.timeouts.request);
    // Sent again only if nothing can come of it twice, and nothing of it is gone: RFC 9110 section 9.2.2.
    let repeatable = is_idempotent(&this.head.method) && reader.is_done();
    let mut tried = Tried::default();
    let mut fresh = false;
    loop {
        let ask = (fresh, !repeatable);
        let checkout = this.pool.checkout(worker, &mut tried, ask, &client.timer, &client.socket).await;
        progress.phases.queue_us = tried.queue_us;
        progress.phases.connect_us = tried.connect_us;
        let lease = match checkout {
            Ok(lease) => lease,
            Err(failure) => return Err(client.late(failure)),
        };
        progress.endpoint = Some(Rc::clone(lease.label()));
        progress.attempts += 1;
        let reused = lease.reused;
        match attempt(this, lease, buf, reader, progress).await {
            Err(Failure::UpstreamClosed) if reused && repeatable && !fresh => {
                worker.counters().upstream_retries.inc();
                fresh = true;
            }
            result => return result,
        }
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

async fn attempt(
    this: &Forward<'_>,
    lease: Lease,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = lease.socket() else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
    encode(this, &mut out);
    let framing = relay::request_framing(this.head);
    let mut passed = 0;
    if !this.head.upgrade {
        let before = buf.len();
        passed = relay::take_request(this.client, reader, buf, &mut out, framing, 0)?;
        progress.request_bytes += (before - buf.len()) as u64;
    }
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
    if reader.is_done() {
        respond(this, lease, buf, reader, progress, (sent, None)).await
    } else {
        Box::pin(both(this, lease, buf, reader, progress, (sent, passed))).await
    }
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
        trusted: this.client.listener.forwarded == Forwarded::Append,
    };
    encode_request(out, head, &how);
}

/// Sends the rest of the request's body while the response is awaited and delivered: either may come first.
async fn both(
    this: &Forward<'_>,
    lease: Lease,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (sent, passed): (Instant, u64),
) -> Result<bool, Failure> {
    let client = this.client;
    let Some(upstream) = lease.socket_handle() else { return Err(Failure::UpstreamClosed) };
    let upload = Upload::new(reader.remaining(), passed, client);
    let received = std::cell::Cell::new(0);
    let result = {
        let framing = relay::request_framing(this.head);
        let timeouts = this.timeouts;
        let mut sending =
            Box::pin(relay::upload(client, buf, reader, &upstream, (framing, timeouts), &upload, &received));
        let mut rest = BytesMut::new();
        let mut done = BodyReader::Done;
        let mut answering =
            Box::pin(respond(this, lease, &mut rest, &mut done, progress, (sent, Some(&upload))));
        poll_fn(|cx| {
            if !upload.is_over()
                && let Poll::Ready(Err(failure)) = upload.poll(sending.as_mut(), cx)
            {
                return Poll::Ready(Err(failure));
            }
            answering.as_mut().poll(cx)
        })
        .await
    };
    progress.request_bytes += received.get();
    let keep = result?;
    // The client may take its time with the rest: the upstream's connection is not held for it.
    drop(upstream);
    if keep && !reader.is_done() {
        super::connection::drain(client, buf, reader).await?;
    }
    Ok(keep)
}

/// Reads the response and delivers it.
async fn respond(
    this: &Forward<'_>,
    lease: Lease,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (sent, upload): (Instant, Option<&Upload>),
) -> Result<bool, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = lease.socket_handle() else { return Err(Failure::UpstreamClosed) };
    let mut bytes = BytesMut::new();
    let (response, body_at) = final_head(this, &upstream, &mut bytes, progress, (sent, upload)).await?;
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        if !this.head.upgrade || !upgrade_accepted(this.head, &response) {
            return Err(Failure::UpstreamMalformed("101 that nobody asked for"));
        }
        bytes.advance(body_at);
        return Box::pin(switch(this, lease, buf, bytes, &response, progress)).await;
    }
    let keep = match upload {
        Some(upload) => upload.keeps_open(this.client, this.head),
        None => keeps_open(this.client, this.head, reader, buf),
    };
    let (body_out, framing) = response_framing(this.head, &response);
    let keep = keep && body_out != BodyOut::UntilClose;
    progress.until_close = body_out == BodyOut::UntilClose;
    let mut out = worker.buffers.take_write();
    let connection = match (keep, this.head.version) {
        (false, _) => ConnectionField::Close,
        (true, Version::HTTP_10) => ConnectionField::KeepAlive,
        (true, _) => ConnectionField::None,
    };
    let date = worker.date();
    let how =
        ResponseEncoding { edits: &this.route.response_headers, date: &date, connection, body: body_out };
    encode_response(&mut out, &response, &how);
    let mut body = BodyReader::new(response.body);
    worker.counters().upstream_bytes_in.add((bytes.len() - body_at.min(bytes.len())) as u64);
    // Until the first write the client has seen nothing of this response: it can still be told what went wrong.
    relay::join_head(&mut bytes, body_at, (&mut body, framing), &mut out)?;
    progress.status = response.status.as_u16();
    let reusable = response.keep_alive;
    worker.buffers.give_spare(response.into_spare());
    relay::download(this.client, &upstream, (&mut bytes, &mut body, framing), out, this.timeouts, progress)
        .await?;
    let whole = reusable && upload.is_none_or(|upload| upload.is_complete());
    // What lies behind the response, read or not, must never be taken for the next one.
    let clean = whole && bytes.is_empty() && upstream.is_drained();
    worker.buffers.give_read(bytes);
    drop(upstream);
    if clean {
        lease.give_back(worker.counters());
    }
    Ok(keep)
}

fn response_framing(request: &RequestHead, response: &ResponseHead) -> (BodyOut, Framing) {
    match (response.body, request.version) {
        (BodyLength::Empty | BodyLength::Length(_), _) => (BodyOut::AsReceived, Framing::Plain),
        (BodyLength::Chunked | BodyLength::UntilClose, Version::HTTP_10) => {
            (BodyOut::UntilClose, Framing::Plain)
        }
        (BodyLength::Chunked | BodyLength::UntilClose, _) => (BodyOut::Chunked, Framing::Chunked),
    }
}

/// Reads heads until the final one; interim ones are passed on. `bytes` then holds, from the offset returned on, what
/// has been read of the body; before it is room to write the client's head into (`HEADROOM_BYTES` at least).
async fn final_head(
    this: &Forward<'_>,
    upstream: &Socket,
    bytes: &mut BytesMut,
    progress: &mut Progress,
    (sent, upload): (Instant, Option<&Upload>),
) -> Result<(ResponseHead, usize), Failure> {
    let worker = &this.client.worker;
    // While the client sends its body, that is where its leaving is noticed.
    let mut watching = upload.is_none();
    let mut at = HEADROOM_BYTES;
    let full = this.timeouts.response_head;
    // The clock is read again only when a head did not come at once.
    let left = || match upload.map_or(Some(sent), Upload::ended) {
        Some(since) => full.saturating_sub(worker.now().duration_since(since)),
        None => full,
    };
    let mut waited = false;
    for _ in 0..INTERIM_RESPONSES_MAX {
        let mut scan = HeadScan::response();
        let (start, end) = loop {
            let unread = bytes.get(at..).unwrap_or_default();
            if !unread.is_empty()
                && let Scan::Complete { start, end } =
                    scan.advance(unread, RESPONSE_HEAD_BYTES_MAX).map_err(malformed)?
            {
                break (at + start, at + end);
            }
            let wait = if waited { left() } else { full };
            waited = true;
            await_response(this, upstream, &mut watching, upload, wait).await?;
            if bytes.is_empty() {
                progress.phases.first_byte_us = worker.now().duration_since(sent).as_micros() as u64;
                *bytes = worker.buffers.take_read();
                bytes.resize(HEADROOM_BYTES, 0);
            }
            make_room(bytes, READ_BUFFER_BYTES / 2);
            match upstream.try_read(bytes) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ if bytes.len() == HEADROOM_BYTES => return Err(Failure::UpstreamClosed),
                _ => return Err(Failure::UpstreamCut),
            }
        };
        worker.counters().upstream_bytes_in.add((end - at) as u64);
        at = end;
        let spare = worker.buffers.take_spare();
        let head = bytes.get(start..end).unwrap_or_default();
        let head = ResponseHead::read(head, &this.head.method, spare).map_err(malformed)?;
        if !head.is_interim() {
            return Ok((head, at));
        }
        Box::pin(pass_on(this, &head, progress)).await?;
        worker.buffers.give_spare(head.into_spare());
    }
    Err(Failure::UpstreamMalformed("too many interim responses"))
}

/// An interim response, for a client whose version knows of them.
async fn pass_on(this: &Forward<'_>, head: &ResponseHead, progress: &mut Progress) -> Result<(), Failure> {
    if this.head.version == Version::HTTP_10 {
        return Ok(());
    }
    let worker = &this.client.worker;
    let mut out = worker.buffers.take_write();
    encode_interim(&mut out, head);
    worker.counters().responses_1xx.inc();
    progress.response_bytes += out.len() as u64;
    worker.buffers.give_write(this.client.write(out).await?);
    Ok(())
}

fn malformed(error: crate::http::HeadError) -> Failure {
    Failure::UpstreamMalformed(match error {
        crate::http::HeadError::Malformed(text) => text,
        crate::http::HeadError::TooLarge | crate::http::HeadError::TargetTooLong => "its head is too large",
        crate::http::HeadError::Version => "its version is not 1.x",
        crate::http::HeadError::Connect => "it is not a response",
    })
}

/// Waits for bytes of a response, or for the client to leave. The time counts from the end of the request.
async fn await_response(
    this: &Forward<'_>,
    upstream: &Socket,
    watching: &mut bool,
    upload: Option<&Upload>,
    wait: Duration,
) -> Result<(), Failure> {
    let client = this.client;
    loop {
        let sending = upload.is_some_and(|upload| !upload.is_over());
        let waiting = poll_fn(|cx| {
            if let Poll::Ready(result) = upstream.poll_readable(cx) {
                return Poll::Ready(result.map(|()| true).map_err(|_| Failure::UpstreamClosed));
            }
            if *watching && client_left(&client.socket, cx, watching) {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            // The request has come to its end: only now the upstream's time begins.
            if sending && upload.is_none_or(Upload::is_over) { Poll::Ready(Ok(false)) } else { Poll::Pending }
        });
        match client.timer.within(wait, waiting).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(failure)) => return Err(failure),
            Err(_) if client.worker.cutting() || client.timer.cap_passed() => {
                return Err(client.late(Failure::Draining));
            }
            // The request is still on its way, at the client's pace.
            Err(_) if sending => {}
            Err(_) => return Err(Failure::UpstreamSlow(UpstreamWait::Head)),
        }
    }
}

/// The upstream has agreed to another protocol: from here on it is bytes, both ways.
async fn switch(
    this: &Forward<'_>,
    lease: Lease,
    buf: &mut BytesMut,
    early: BytesMut,
    response: &ResponseHead,
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
    };
    encode_response(&mut out, response, &how);
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
