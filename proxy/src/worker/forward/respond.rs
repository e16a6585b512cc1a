//! A response read from the upstream and delivered to the client.

use std::{rc::Rc, time::Instant};

use bytes::{Buf, BytesMut};
use http::{StatusCode, Version};

use super::{Forward, Reply, attempt::Answered, switch::Switched};
use crate::{
    error::Failure,
    http::{
        BodyLength, BodyOut, ConnectionField, OwnField, RequestHead, ResponseEncoding, ResponseHead,
        encode_response, upgrade_accepted,
    },
    upstream::retries::Reason,
    worker::{
        Worker,
        answer::ATTEMPTS,
        body::{BodyReader, Framing},
        exchange::{Progress, keeps_open},
        ids, limited,
        pool::Lease,
        relay::{self, Piece},
        response::final_head,
        socket::Socket,
        upload::Upload,
    },
};

/// Reads the response and delivers it.
pub(super) async fn respond(
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
    let reason = Reason::Status(response.status.as_u16());
    if this.retrying.as_ref().is_some_and(|retrying| retrying.wants(this, reason, progress)) {
        let status = response.status;
        let complete = upload.is_none_or(Upload::is_complete);
        discard(worker, (lease, upstream), response, (bytes, body_at), complete);
        return Ok(Answered::Again(status));
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

/// Gives up a response that another try is to replace. Its connection is kept if all of it has come already (`complete`
/// says that of the request), and closed if not: nothing of it can be taken for another's.
fn discard(
    worker: &Worker,
    (lease, upstream): (&mut Option<Lease>, &Socket),
    response: ResponseHead,
    (mut bytes, body_at): (BytesMut, usize),
    complete: bool,
) {
    bytes.advance(body_at);
    worker.counters().upstream_bytes_in.add(bytes.len() as u64);
    let mut body = BodyReader::new(response.body);
    let mut scrap = worker.buffers.take_write();
    let whole = body.take(&mut bytes, &mut scrap, Framing::Plain).is_ok() && body.is_done();
    if whole && complete && response.keep_alive {
        give_back(worker, lease, upstream, bytes.is_empty());
    }
    *lease = None;
    worker.buffers.give_write(scrap);
    worker.buffers.give_read(bytes);
    worker.buffers.give_spare(response.into_spare());
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
    let date = worker.date();
    let mut digits = itoa::Buffer::new();
    let told = progress
        .tells_attempts
        .then(|| OwnField { name: ATTEMPTS, value: Some(digits.format(progress.attempts)) });
    let how = ResponseEncoding {
        edits: &this.route.response_headers,
        own: told.as_slice(),
        date: &date,
        connection,
        body: body_out,
        more: progress.set_cookie.as_deref().unwrap_or_default(),
        request_id: ids::on_response(this.client),
    };
    encode_response(&mut out, &response, &how);
    limited::put_fields_in_head(&mut out, this.route, progress);
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
