//! Bodies on their way through, as they come: never held whole, read no faster than they can be written.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;

use super::{
    body::{BodyReader, Framing},
    connection::{Client, make_room},
    exchange::Progress,
    socket::{Socket, WriteError},
};
use crate::{
    error::Failure,
    http::{BodyLength, RequestHead},
    limits::{BODY_BUFFER_BYTES, DRAIN_BODY_BYTES_MAX, READ_BUFFER_BYTES},
    observe::{ClientWait, UpstreamWait},
    upstream::UpstreamTimeouts,
};

/// How a request's body is framed on its way upstream.
pub fn request_framing(head: &RequestHead) -> Framing {
    if head.body == BodyLength::Chunked { Framing::Chunked } else { Framing::Plain }
}

/// Room for the next read: more once a body has proved large.
fn room(reader: &BodyReader, passed: u64) -> usize {
    let large =
        reader.remaining().map_or(passed > READ_BUFFER_BYTES as u64, |rest| rest > READ_BUFFER_BYTES as u64);
    if large { BODY_BUFFER_BYTES } else { READ_BUFFER_BYTES / 2 }
}

/// Writes the response's head (in `out`) and its body to the client. `bytes` holds what has been read of the body.
pub async fn download(
    client: &Client,
    upstream: &Socket,
    (bytes, body, framing): (&mut BytesMut, &mut BodyReader, Framing),
    mut out: Vec<u8>,
    timeouts: &UpstreamTimeouts,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let worker = &client.worker;
    let mut passed = take(body, bytes, &mut out, framing)?;
    progress.response_bytes += out.len() as u64;
    let mut out = client.write(out).await?;
    if body.is_done() {
        worker.counters().upstream_bytes_in.add(passed);
        worker.buffers.give_write(out);
        return Ok(());
    }
    while !body.is_done() {
        make_room(bytes, room(body, passed));
        let read = read(client, upstream, bytes, timeouts.response_body_idle, progress).await?;
        let started = worker.now();
        out.clear();
        if read == 0 {
            if !body.end(&mut out, framing) {
                return Err(Failure::UpstreamCut);
            }
            out = client.write(out).await?;
        } else if framing == Framing::Plain && body.plain(bytes.len()) == Some(bytes.len()) {
            // All of it is body: it goes out as it stands.
            body.advance(bytes.len());
            passed += bytes.len() as u64;
            progress.response_bytes += bytes.len() as u64;
            *bytes = client.write(std::mem::take(bytes)).await?;
            bytes.clear();
        } else {
            passed += take(body, bytes, &mut out, framing)?;
            progress.response_bytes += out.len() as u64;
            if !out.is_empty() {
                out = client.write(out).await?;
            }
        }
        progress.waited_us += worker.now().duration_since(started).as_micros() as u64;
    }
    worker.counters().upstream_bytes_in.add(passed);
    worker.buffers.give_write(out);
    Ok(())
}

fn take(
    body: &mut BodyReader,
    bytes: &mut BytesMut,
    out: &mut Vec<u8>,
    framing: Framing,
) -> Result<u64, Failure> {
    body.take(bytes, out, framing)
        .map_err(|_| Failure::UpstreamMalformed("its chunked body breaks the rules"))
}

/// Reads from the upstream; a reset in the middle of a body is a cut.
async fn read(
    client: &Client,
    upstream: &Socket,
    bytes: &mut BytesMut,
    wait: Duration,
    progress: &mut Progress,
) -> Result<usize, Failure> {
    match upstream.try_read(bytes) {
        Ok(read) => return Ok(read),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(_) => return Err(Failure::UpstreamCut),
    }
    let started = client.worker.now();
    let result = client.timer.within(wait, upstream.read(bytes)).await;
    progress.waited_us += client.worker.now().duration_since(started).as_micros() as u64;
    match result {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(_)) => Err(Failure::UpstreamCut),
        Err(_) => Err(client.late(Failure::UpstreamSlow(UpstreamWait::Body))),
    }
}

/// How far a request's body has got, seen by whoever delivers the response meanwhile.
pub struct Upload {
    /// Bytes to come, where that is known, as of the last step.
    remaining: Cell<Option<u64>>,
    /// All of it has gone upstream.
    complete: Cell<bool>,
    /// Nothing more will go: complete, or the upstream takes no more.
    over: Cell<bool>,
    /// A deadline slot of its own: the response has the connection's.
    timer: super::deadline::Timer,
}

impl Upload {
    /// For a body with so many bytes to come.
    pub fn new(remaining: Option<u64>, client: &Client) -> Upload {
        let timer = client.worker.deadlines.timer();
        Upload { remaining: Cell::new(remaining), complete: Cell::new(false), over: Cell::new(false), timer }
    }

    /// Whether nothing more of it will go upstream.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Whether all of it has gone upstream.
    pub fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Whether the client's connection can go on after a response that begins now.
    pub fn keeps_open(&self, client: &Client, head: &RequestHead) -> bool {
        let short = self.remaining.get().is_some_and(|rest| rest <= DRAIN_BODY_BYTES_MAX);
        let sure = self.complete.get() || (short && !head.expects_continue);
        head.keep_alive && sure && !client.worker.draining()
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
                self.over.set(true);
                self.complete.set(complete);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(failure)) => {
                self.over.set(true);
                Poll::Ready(Err(failure))
            }
        }
    }
}

/// Sends the rest of a request's body upstream. False: the upstream takes no more of it.
pub async fn upload(
    client: &Client,
    buf: &mut BytesMut,
    reader: &mut BodyReader,
    upstream: &Socket,
    (framing, timeouts): (Framing, &UpstreamTimeouts),
    state: &Upload,
    received: &Cell<u64>,
) -> Result<bool, Failure> {
    let worker = &client.worker;
    let limit = client.listener.request_body_bytes.unwrap_or(u64::MAX);
    let mut out = worker.buffers.take_write();
    let mut passed = 0;
    while !reader.is_done() {
        make_room(buf, room(reader, passed));
        let idle = client.listener.request_body_idle_timeout;
        let read = match state.timer.within(idle, client.socket.read(buf)).await {
            Ok(Ok(read @ 1..)) => read,
            Ok(_) => return Err(Failure::ClientGone),
            Err(_) => return Err(client.late(Failure::ClientSlow(ClientWait::RequestBody))),
        };
        received.set(received.get() + read as u64);
        let wrote = if framing == Framing::Plain && reader.plain(buf.len()) == Some(buf.len()) {
            reader.advance(buf.len());
            passed += buf.len() as u64;
            worker.counters().upstream_bytes_out.add(buf.len() as u64);
            let wait = timeouts.response_head;
            upstream.write_all(&state.timer, wait, std::mem::take(buf)).await.map(|mut back| {
                back.clear();
                *buf = back;
            })
        } else {
            out.clear();
            passed += reader.take(buf, &mut out, framing).map_err(Failure::Body)?;
            worker.counters().upstream_bytes_out.add(out.len() as u64);
            if out.is_empty() {
                Ok(())
            } else {
                let wait = timeouts.response_head;
                upstream.write_all(&state.timer, wait, std::mem::take(&mut out)).await.map(|back| out = back)
            }
        };
        state.remaining.set(reader.remaining());
        if passed > limit {
            return Err(Failure::BodyTooLarge);
        }
        match wrote {
            Ok(()) => {}
            Err(WriteError::Closed) => return Ok(false),
            Err(WriteError::Slow) => return Err(client.late(Failure::UpstreamSlow(UpstreamWait::Head))),
        }
    }
    worker.buffers.give_write(out);
    Ok(true)
}
