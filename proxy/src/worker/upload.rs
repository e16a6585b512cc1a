//! A request's body on its way upstream, after what went with the head: read no faster than it can be written.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::BytesMut;

use super::{
    body::{BodyReader, Framing},
    connection::{Client, make_room},
    deadline::Patience,
    forward::Kept,
    relay::{room, splices},
    socket::{Socket, WriteError},
    splice::{self, Broken, Loan, Stuck},
};
use crate::{
    error::Failure,
    http::{BodyLength, RequestHead},
    limits::DRAIN_BODY_BYTES_MAX,
    observe::{ClientWait, UpstreamWait},
};

/// How a request's body is framed on its way upstream.
pub fn request_framing(head: &RequestHead) -> Framing {
    if head.body == BodyLength::Chunked { Framing::Chunked } else { Framing::Plain }
}

/// How far a request's body has got, seen by whoever delivers the response meanwhile.
pub struct Upload {
    /// Bytes to come, where that is known, as of the last step.
    remaining: Cell<Option<u64>>,
    /// Bytes that went with the head.
    passed: u64,
    /// All of it has gone upstream.
    complete: Cell<bool>,
    /// When it was clear that nothing more will go: all of it has, or the upstream takes no more.
    ended: Cell<Option<Instant>>,
    /// A deadline slot of its own: the response has the connection's.
    timer: super::deadline::Timer,
}

impl Upload {
    /// For a body with so many bytes to come, after `passed` that went with the head.
    pub fn new(remaining: Option<u64>, passed: u64, client: &Client) -> Upload {
        Upload {
            remaining: Cell::new(remaining),
            passed,
            complete: Cell::new(false),
            ended: Cell::new(None),
            timer: client.worker.deadlines.timer(),
        }
    }

    /// Whether nothing more of it will go upstream.
    pub fn is_over(&self) -> bool {
        self.ended.get().is_some()
    }

    /// When that became so.
    pub fn ended(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Whether all of it has gone upstream.
    pub fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Whether the client's connection can go on after a response that begins now.
    pub fn keeps_open(&self, client: &Client, head: &RequestHead) -> bool {
        let short = self.remaining.get().is_some_and(|rest| rest <= DRAIN_BODY_BYTES_MAX);
        let sure = self.complete.get() || (short && !head.expects_continue);
        head.keep_alive && sure && !client.draining()
    }

    /// Goes on with `sending`, and notes how it ended. An upstream that takes no more is no failure: it may have
    /// answered already.
    pub fn poll<F>(&self, sending: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>
    where
        F: Future<Output = Result<bool, Failure>>,
    {
        match sending.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(complete)) => {
                self.ended.set(Some(Instant::now()));
                self.complete.set(complete);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(failure)) => {
                self.ended.set(Some(Instant::now()));
                Poll::Ready(Err(failure))
            }
        }
    }
}

/// Takes what is there of a request's body, after `passed` bytes of it. Gives the bytes so far, which are within the
/// limit: what is over it never goes upstream, least of all the end that would make it look whole.
pub fn take_request(
    client: &Client,
    reader: &mut BodyReader,
    buf: &mut BytesMut,
    out: &mut Vec<u8>,
    framing: Framing,
    passed: u64,
) -> Result<u64, Failure> {
    let passed = passed + reader.take(buf, out, framing).map_err(Failure::Body)?;
    match client.body_bytes_max.get() {
        Some(max) if passed > max => Err(Failure::BodyTooLarge),
        _ => Ok(passed),
    }
}

/// How the rest of a request's body goes upstream.
pub struct Way<'a> {
    /// How it is framed.
    pub framing: Framing,
    /// How long the upstream may take none of it.
    pub wait: Duration,
    /// Where it is kept, to be sent again.
    pub kept: Option<&'a Kept<'a>>,
}

fn keep(kept: Option<&Kept<'_>>, bytes: &[u8], passed: u64, reader: &BodyReader) {
    if let Some(kept) = kept {
        kept.keep(bytes, passed, reader.remaining());
    }
}

/// Sends the rest of a request's body upstream. False: the upstream takes no more of it.
pub async fn upload(
    client: &Client,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    upstream: &Socket,
    how: &Way<'_>,
    state: &Upload,
    received: &Cell<u64>,
) -> Result<bool, Failure> {
    let worker = &client.worker;
    let &Way { framing, wait, kept } = how;
    let mut out = worker.buffers.take_write();
    let mut passed = state.passed;
    if splices(buf, reader, framing)
        // What passes inside the kernel can't be sent again.
        && kept.is_none_or(|kept| !kept.has_room(reader.remaining()))
        && !client.socket.is_watched()
        && let Some(loan) = worker.pipes.take(reader.remaining().unwrap_or(0))
        && !Box::pin(splice_up(client, upstream, reader, loan, how, (state, received))).await?
    {
        return Ok(false);
    }
    if buf.capacity() == 0 {
        *buf = worker.buffers.take_read();
    }
    while !reader.is_done() {
        make_room(buf, room(reader, passed));
        let read = match state.timer.within(client.sends(), client.socket.read(buf)).await {
            Ok(Ok(read @ 1..)) => read,
            Ok(_) => return Err(Failure::ClientGone),
            Err(_) => return Err(client.late(Failure::ClientSlow(ClientWait::RequestBody))),
        };
        received.set(received.get() + read as u64);
        client.sends().moved(read);
        let wrote = if framing == Framing::Plain && reader.plain(buf.len()) == Some(buf.len()) {
            reader.advance(buf.len());
            passed += buf.len() as u64;
            worker.counters().upstream_bytes_out.add(buf.len() as u64);
            keep(kept, buf, passed, reader);
            upstream.write_all(&state.timer, wait.into(), std::mem::take(buf)).await.map(|mut back| {
                back.clear();
                *buf = back;
            })
        } else {
            out.clear();
            passed = take_request(client, reader, buf, &mut out, framing, passed)?;
            worker.counters().upstream_bytes_out.add(out.len() as u64);
            keep(kept, &out, passed, reader);
            if out.is_empty() {
                Ok(())
            } else {
                upstream
                    .write_all(&state.timer, wait.into(), std::mem::take(&mut out))
                    .await
                    .map(|back| out = back)
            }
        };
        state.remaining.set(reader.remaining());
        match wrote {
            Ok(()) => {}
            Err(WriteError::Closed) => return Ok(false),
            Err(WriteError::Slow) => return Err(client.late(Failure::UpstreamSlow(UpstreamWait::Head))),
        }
    }
    worker.buffers.give_write(out);
    Ok(true)
}

/// Passes the rest of the body without copying it, or leaves it to be copied where the system does not splice. False: the
/// upstream takes no more of it.
async fn splice_up(
    client: &Client,
    upstream: &Socket,
    reader: &mut BodyReader,
    loan: Loan<'_>,
    how: &Way<'_>,
    (state, received): (&Upload, &Cell<u64>),
) -> Result<bool, Failure> {
    let worker = &client.worker;
    let _from = client.socket.unblocked(worker.epoll).map_err(|_| Failure::ClientGone)?;
    let Ok(_to) = upstream.unblocked(worker.epoll) else { return Ok(false) };
    if let Some(kept) = how.kept {
        kept.lose();
    }
    let way = splice::Way {
        from: &client.socket,
        from_idle: client.sends(),
        to: upstream,
        to_idle: how.wait,
        timer: &state.timer,
    };
    let note = |passed, reader: &BodyReader| {
        received.set(received.get() + passed);
        worker.counters().upstream_bytes_out.add(passed);
        state.remaining.set(reader.remaining());
    };
    match splice::pass_all(client, loan, &way, reader, &mut 0, note).await {
        Ok(()) => Ok(true),
        Err(Broken::Late(failure)) => Err(failure),
        Err(Broken::Stuck(Stuck::SenderSlow)) => {
            Err(client.late(Failure::ClientSlow(ClientWait::RequestBody)))
        }
        Err(Broken::Stuck(Stuck::SenderGone | Stuck::Refused)) => Err(Failure::ClientGone),
        Err(Broken::Stuck(Stuck::ReceiverSlow)) => {
            Err(client.late(Failure::UpstreamSlow(UpstreamWait::Head)))
        }
        Err(Broken::Stuck(Stuck::ReceiverGone)) => Ok(false),
    }
}
