//! Bodies on their way through, as they come: never held whole, read no faster than they can be written.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};

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

/// Puts the client's head (in `out`) before what has been read of the body, which begins at `body_at` in `bytes`, so
/// that both go out with one write and the body is not copied. Chunks, which are framed anew, go into `out` instead.
///
/// Afterwards `bytes` is the piece to send if `out` is empty; else `out` is, and `bytes` holds what follows the body,
/// which nobody asked for.
pub fn join_head(
    bytes: &mut BytesMut,
    body_at: usize,
    (body, framing): (&mut BodyReader, Framing),
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let available = bytes.len().saturating_sub(body_at);
    if let Some(head_at) = body_at.checked_sub(out.len())
        && framing == Framing::Plain
        && available > 0
        && body.plain(available) == Some(available)
        && let Some(room) = bytes.get_mut(head_at..body_at)
    {
        room.copy_from_slice(out);
        out.clear();
        bytes.advance(head_at);
        body.advance(available);
        return Ok(());
    }
    bytes.advance(body_at);
    take(body, bytes, out, framing)?;
    Ok(())
}

/// Writes what `join_head` has prepared, then the rest of the body as it comes.
pub async fn download(
    client: &Client,
    upstream: &Socket,
    (bytes, body, framing): (&mut BytesMut, &mut BodyReader, Framing),
    mut out: Vec<u8>,
    timeouts: &UpstreamTimeouts,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let worker = &client.worker;
    if out.is_empty() {
        progress.response_bytes += bytes.len() as u64;
        *bytes = client.write(std::mem::take(bytes)).await?;
        bytes.clear();
    } else {
        progress.response_bytes += out.len() as u64;
        out = client.write(out).await?;
    }
    if !body.is_done() {
        let before = progress.response_bytes;
        out = Box::pin(rest(client, upstream, (bytes, body, framing), out, timeouts, progress)).await?;
        worker.counters().upstream_bytes_in.add(progress.response_bytes - before);
    }
    worker.buffers.give_write(out);
    Ok(())
}

/// Reads and writes until the body is done.
async fn rest(
    client: &Client,
    upstream: &Socket,
    (bytes, body, framing): (&mut BytesMut, &mut BodyReader, Framing),
    mut out: Vec<u8>,
    timeouts: &UpstreamTimeouts,
    progress: &mut Progress,
) -> Result<Vec<u8>, Failure> {
    let worker = &client.worker;
    let mut passed = 0;
    while !body.is_done() {
        let room = room(body, passed);
        if room > READ_BUFFER_BYTES && bytes.is_empty() && !bytes.try_reclaim(room) {
            worker.buffers.give_read(std::mem::replace(bytes, worker.buffers.take_large()));
        }
        make_room(bytes, room);
        let read = read(client, upstream, bytes, timeouts.response_body_idle, progress).await?;
        let started = worker.now();
        out.clear();
        if read == 0 {
            if !body.end(&mut out, framing) {
                return Err(Failure::UpstreamCut);
            }
            progress.response_bytes += out.len() as u64;
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
    Ok(out)
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
    match client.listener.request_body_bytes {
        Some(max) if passed > max => Err(Failure::BodyTooLarge),
        _ => Ok(passed),
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
    let mut out = worker.buffers.take_write();
    let mut passed = state.passed;
    if buf.capacity() == 0 {
        *buf = worker.buffers.take_read();
    }
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
            passed = take_request(client, reader, buf, &mut out, framing, passed)?;
            worker.counters().upstream_bytes_out.add(out.len() as u64);
            if out.is_empty() {
                Ok(())
            } else {
                let wait = timeouts.response_head;
                upstream.write_all(&state.timer, wait, std::mem::take(&mut out)).await.map(|back| out = back)
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
