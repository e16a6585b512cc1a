//! Responses on their way to the client, as they come: never held whole, read no faster than they can be written.

use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::{
    Worker,
    body::{BodyReader, Framing},
    connection::{Client, make_room},
    exchange::Progress,
    socket::Socket,
    splice::{self, Broken, Loan, Stuck, Way},
};
use crate::{
    error::Failure,
    limits::{BODY_BUFFER_BYTES, READ_BUFFER_BYTES},
    observe::{ClientWait, UpstreamWait},
    upstream::UpstreamTimeouts,
};

/// Room for the next read: more once a body has proved large.
pub fn room(reader: &BodyReader, passed: u64) -> usize {
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

/// A response that has come in one piece, as it goes to the client.
pub enum Piece {
    /// The head, and of the body what had to be framed anew.
    Own(Vec<u8>),
    /// The head put before a body that goes out as it came.
    Joined(BytesMut),
}

impl Piece {
    /// What `join_head` has prepared.
    pub fn new(worker: &Worker, out: Vec<u8>, bytes: BytesMut) -> Piece {
        if out.is_empty() {
            worker.buffers.give_write(out);
            return Piece::Joined(bytes);
        }
        worker.buffers.give_read(bytes);
        Piece::Own(out)
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        match self {
            Piece::Own(out) => out.len(),
            Piece::Joined(bytes) => bytes.len(),
        }
    }
}

/// Writes what `join_head` has prepared, then the rest of the body, of which more is to come, as it comes.
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
    let before = progress.response_bytes;
    let out = rest(client, upstream, (bytes, body, framing), out, timeouts, progress).await?;
    worker.counters().upstream_bytes_in.add(progress.response_bytes - before);
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
    if splices(bytes, body, framing)
        && !upstream.is_watched()
        && let Some(loan) = worker.pipes.take(body.remaining().unwrap_or(0))
    {
        worker.buffers.give_read(std::mem::take(bytes));
        Box::pin(splice_down(client, upstream, body, loan, timeouts, progress)).await?;
    }
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
        client.in_time()?;
    }
    Ok(out)
}

/// Whether what is to come of a body can pass as it is: its length is known, it keeps it, and nothing was read ahead.
pub fn splices(bytes: &BytesMut, body: &BodyReader, framing: Framing) -> bool {
    bytes.is_empty() && framing == Framing::Plain && matches!(body, BodyReader::Length(_))
}

/// Passes the rest of a response's body without copying it. Leaves it to be copied where the system does not splice.
async fn splice_down(
    client: &Client,
    upstream: &Socket,
    body: &mut BodyReader,
    loan: Loan<'_>,
    timeouts: &UpstreamTimeouts,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let worker = &client.worker;
    let _from = upstream.unblocked(worker.epoll).map_err(|_| Failure::UpstreamCut)?;
    let _to = client.socket.unblocked(worker.epoll).map_err(|_| Failure::ClientGone)?;
    let way = Way {
        from: upstream,
        from_idle: timeouts.response_body_idle,
        to: &client.socket,
        to_idle: client.reads(),
        timer: &client.timer,
    };
    let mut waited_us = 0;
    let note = |passed, _: &BodyReader| progress.response_bytes += passed;
    let result = splice::pass_all(client, loan, &way, body, &mut waited_us, note).await;
    progress.waited_us += waited_us;
    result.map_err(|broken| match broken {
        Broken::Late(failure) => failure,
        Broken::Stuck(Stuck::SenderSlow) => client.late(Failure::UpstreamSlow(UpstreamWait::Body)),
        Broken::Stuck(Stuck::SenderGone | Stuck::Refused) => Failure::UpstreamCut,
        Broken::Stuck(Stuck::ReceiverSlow) => client.late(Failure::ClientSlow(ClientWait::ResponseWrite)),
        Broken::Stuck(Stuck::ReceiverGone) => Failure::ClientGone,
    })
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
