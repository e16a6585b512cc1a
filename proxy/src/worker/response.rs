//! Waiting for a response: its head read, interim ones passed on, the client watched meanwhile.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use http::Version;

use super::{
    connection::make_room, exchange::Progress, forward::Forward, pool::client_left, socket::Socket,
    upload::Upload,
};
use crate::{
    error::Failure,
    http::{HeadScan, ResponseHead, Scan, Spare, encode_interim},
    limits::{HEADROOM_BYTES, INTERIM_RESPONSES_MAX, READ_BUFFER_BYTES, RESPONSE_HEAD_BYTES_MAX},
    observe::UpstreamWait,
};

/// After this long without a response the client is watched for leaving.
pub const WATCH_AFTER: Duration = Duration::from_millis(40);

/// Reads heads until the final one; interim ones are passed on. `bytes` then holds, from the offset returned on, what
/// has been read of the body; before it is room to write the client's head into (`HEADROOM_BYTES` at least).
pub async fn final_head(
    this: &Forward<'_>,
    upstream: &Socket,
    bytes: &mut BytesMut,
    progress: &mut Progress,
    (sent, upload): (Instant, Option<&Upload>),
) -> Result<(ResponseHead, usize), Failure> {
    let worker = &this.client.worker;
    let mut watching = false;
    let mut at = HEADROOM_BYTES;
    let full = this.head_wait.get();
    // The clock is read again only when a head did not come at once.
    let left = || match upload.map_or(Some(sent), Upload::ended) {
        Some(since) => full.saturating_sub(worker.now().duration_since(since)),
        None => full,
    };
    let mut waited = false;
    for _ in 0..INTERIM_RESPONSES_MAX {
        let mut scan = None;
        let (head, length) = loop {
            let unread = bytes.get(at..).unwrap_or_default();
            if let Some(found) = take_head(this, unread, &mut scan)? {
                break found;
            }
            let wait = if waited { left() } else { full };
            waited = true;
            await_response(this, upstream, &mut watching, upload, wait).await?;
            if bytes.is_empty() {
                // At least 1: it is there already when the ring says that the request has gone out, and 0 is never.
                let first_us = worker.now().duration_since(sent).as_micros() as u64;
                progress.phases.first_byte_us = first_us.max(1);
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
        worker.counters().upstream_bytes_in.add(length as u64);
        at += length;
        if !head.is_interim() {
            return Ok((head, at));
        }
        Box::pin(pass_on(this, &head, progress)).await?;
        worker.buffers.give_spare(head.into_spare());
    }
    Err(Failure::UpstreamMalformed("too many interim responses"))
}

/// A head at the start of `unread`, once all of it is there, and its length. `scan` goes on where the last look ended.
fn take_head(
    this: &Forward<'_>,
    unread: &[u8],
    scan: &mut Option<HeadScan>,
) -> Result<Option<(ResponseHead, usize)>, Failure> {
    if unread.is_empty() {
        return Ok(None);
    }
    let method = &this.head.method;
    let scan = match scan {
        Some(scan) => scan,
        None => {
            let spare = this.client.worker.buffers.take_spare();
            let found = ResponseHead::at_once(unread, RESPONSE_HEAD_BYTES_MAX, method, spare);
            if found.is_some() {
                return Ok(found);
            }
            scan.insert(HeadScan::response())
        }
    };
    match scan.advance(unread, RESPONSE_HEAD_BYTES_MAX).map_err(malformed)? {
        Scan::Partial => Ok(None),
        Scan::Complete { start, end } => {
            let head = unread.get(start..end).unwrap_or_default();
            Ok(Some((ResponseHead::read(head, method, Spare::default()).map_err(malformed)?, end)))
        }
    }
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
    // The client is watched for leaving once the response has proved slow: arming its watch sooner costs a wake-up that the
    // next request, mostly there by the time it is read for, does without. While it sends its body, that is where its
    // leaving is noticed.
    let mut unwatched = upload.is_none() && !*watching;
    loop {
        let wait = if unwatched { wait.min(WATCH_AFTER) } else { wait };
        let sending = upload.is_some_and(|upload| !upload.is_over());
        let waiting = poll_fn(|cx| {
            if upstream.poll_readable(cx).is_ready() {
                return Poll::Ready(Ok(true));
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
            Err(_) if unwatched => {
                unwatched = false;
                *watching = true;
            }
            // The request is still on its way, at the client's pace.
            Err(_) if sending => {}
            Err(_) => return Err(Failure::UpstreamSlow(UpstreamWait::Head)),
        }
    }
}
