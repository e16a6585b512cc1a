//! One try: the request written on one connection, and its response awaited.

use std::{future::poll_fn, rc::Rc, task::Poll, time::Instant};

use bytes::BytesMut;
use http::StatusCode;

use super::{
    Forward, Reply, Try,
    encode::encode,
    hedge::{Sent, race},
    respond::respond,
    switch::{Switched, switch},
};
use crate::{
    error::Failure,
    observe::UpstreamWait,
    route::Hedge,
    worker::{
        body::BodyReader,
        connection,
        exchange::Progress,
        pool::{EndpointState, Lease},
        socket::{Socket, WriteError},
        upload::{self, Upload, Way},
    },
};

/// One try, on the connection in `lease`. `endpoint` is where it was sent, and afterwards whoever has answered.
pub(super) async fn attempt(
    this: &Forward<'_>,
    (lease, endpoint): (Lease, &mut Rc<EndpointState>),
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<Try, Failure> {
    let worker = &this.client.worker;
    let Some(upstream) = lease.socket_handle() else { return Err(Failure::UpstreamClosed) };
    let mut out = worker.buffers.take_write();
    lease.greet(this.client, this.head, &mut out);
    let mut lease = Some(lease);
    encode(this, &mut out, this.try_began.get());
    let before = buf.len();
    let passed = body_so_far(this, buf, reader, &mut out)?;
    progress.request_bytes += (before - buf.len()) as u64;
    worker.counters().upstream_bytes_out.add(out.len() as u64);
    match upstream.write_all(&this.client.timer, this.head_wait.get().into(), out).await {
        Ok(out) => worker.buffers.give_write(out),
        // It may have answered before it closed: what there is to read decides.
        Err(WriteError::Closed) if !matches!(upstream.peek(), Ok(1..)) => {
            return Err(Failure::UpstreamClosed);
        }
        Err(WriteError::Closed) => {}
        Err(WriteError::Slow) => return Err(this.client.late(Failure::UpstreamSlow(UpstreamWait::Head))),
    }
    let at = worker.now();
    let answered = if !reader.is_done() {
        Box::pin(both(this, (&mut lease, upstream), buf, reader, progress, (at, passed))).await?
    } else if let Some(hedge) = this.hedge {
        let first = Sent { lease, upstream, endpoint: Rc::clone(endpoint), at };
        Box::pin(hedged(this, hedge, (first, endpoint), buf, reader, progress)).await?
    } else {
        respond(this, (&mut lease, &upstream), buf, reader, progress, (at, None)).await?
    };
    match answered {
        Answered::Final(reply) => Ok(Try::Done(reply)),
        Answered::Again(status) => Ok(Try::Again(status)),
        Answered::Switched(switched) => {
            let keep = Box::pin(switch(this, *switched, buf, progress)).await?;
            Ok(Try::Done(Reply::sent(keep)))
        }
    }
}

/// Appends what has gone of the body before, and what is there of the rest. Gives the bytes of data that these are.
fn body_so_far(
    this: &Forward<'_>,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    out: &mut Vec<u8>,
) -> Result<u64, Failure> {
    let framing = upload::request_framing(this.head);
    let Some(kept) = this.kept() else {
        return upload::take_request(this.client, reader, buf, out, framing, 0);
    };
    kept.replay(out);
    let replayed = out.len();
    let passed = upload::take_request(this.client, reader, buf, out, framing, kept.passed())?;
    kept.keep(out.get(replayed..).unwrap_or_default(), passed, reader.remaining());
    Ok(passed)
}

/// Awaits the response to `first`, or to a second try beside it, and delivers it.
async fn hedged(
    this: &Forward<'_>,
    hedge: &Hedge,
    (mut first, endpoint): (Sent, &mut Rc<EndpointState>),
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<Answered, Failure> {
    let second_won = race(this, hedge, &mut first, progress).await?;
    *endpoint = Rc::clone(&first.endpoint);
    let Sent { mut lease, upstream, at, .. } = first;
    let answered = respond(this, (&mut lease, &upstream), buf, reader, progress, (at, None)).await?;
    if !second_won {
        this.client.worker.hedges.record(this.route.id, hedge, progress.phases.first_byte_us);
    }
    Ok(answered)
}

/// What came of a request that was sent.
pub(super) enum Answered {
    /// A final response.
    Final(Reply),
    /// One that another try is to replace.
    Again(StatusCode),
    /// The upstream has agreed to another protocol, which nobody has told the client yet.
    Switched(Box<Switched>),
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
        let how = Way { framing, wait: this.head_wait.get(), kept: this.kept() };
        let mut sending = Box::pin(upload::upload(client, buf, reader, &upstream, &how, &upload, &received));
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
