//! One try: the request written on one connection, and its response awaited.

use std::{future::poll_fn, rc::Rc, task::Poll, time::Instant};

use bytes::BytesMut;

use super::{
    Forward, Reply,
    respond::respond,
    switch::{Switched, switch},
};
use crate::{
    error::Failure,
    http::{RequestEncoding, encode_request},
    observe::UpstreamWait,
    route::{listener::Forwarded, rewrite_target},
    worker::{
        body::BodyReader,
        connection,
        exchange::Progress,
        pool::Lease,
        socket::{Socket, WriteError},
        upload::{self, Upload},
    },
};

/// One try, on the connection in `lease`; left there, it is of no more use.
pub(super) async fn attempt(
    this: &Forward<'_>,
    lease: &mut Option<Lease>,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<Reply, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = socket(lease) else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
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

/// What came of a request that was sent.
pub(super) enum Answered {
    /// A final response.
    Final(Reply),
    /// The upstream has agreed to another protocol, which nobody has told the client yet.
    Switched(Box<Switched>),
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
            connection::drain(client, buf, reader).await?;
        }
        Answered::Switched(_) if !reader.is_done() => {
            return Err(Failure::UpstreamMalformed("101, and the rest of the request not taken"));
        }
        _ => {}
    }
    Ok(answered)
}
