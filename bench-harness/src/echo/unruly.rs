//! Answers of a port that misbehaves: late, wrong, slow or cut short.
use std::{
    num::NonZeroU64,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use socket2::SockRef;

use super::{
    answer::{self, CHUNK_BYTES, Ending, Key},
    behaviour::{Cut, Fate},
    body::Body,
    connection::{Connection, End},
    route::Route,
    stats::add,
};
use crate::{http::chunked, pattern, stream::write_range};

/// Slow writes are made in so many parts a second.
const PARTS_PER_SECOND: u64 = 50;
/// What a server sends that speaks something else, or whose memory is not its own any more.
const GARBAGE: &[u8] = b"\x16\x03\x01\x00\xa5 no HTTP at all \x00\xff\r\n\r\n";

/// What holds an answer back while it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    bytes_per_second: Option<NonZeroU64>,
    /// Where the connection is dropped; None: nowhere.
    left: Option<u64>,
    cut: bool,
}

impl Limits {
    /// Of an answer with this fate; None when it is written as any other.
    pub(super) fn of(fate: &Fate) -> Option<Limits> {
        let cut = fate.cut == Some(Cut::InBody);
        let limited = cut || fate.bytes_per_second.is_some();
        limited.then_some(Limits { bytes_per_second: fate.bytes_per_second, left: None, cut })
    }

    /// A head is in `out`, and a body of `body_bytes` is to follow: half of it does.
    pub(super) fn head_is_out(&mut self, out: &[u8], body_bytes: u64) {
        if self.cut {
            self.left = Some(out.len() as u64 + body_bytes / 2);
        }
    }
}

impl Connection {
    /// Draws what becomes of a request: waits as long as that says, and drops the connection if it says so. Returns
    /// what is to be answered.
    pub(super) async fn meet_fate(&mut self, route: Route, body: &mut Body) -> Result<Route, End> {
        let fate = self.port.draw();
        let route = fate.error.map_or(route, Route::Status);
        let answers = !matches!(fate.cut, Some(Cut::BeforeHead | Cut::Garbage));
        let reads_itself = matches!(route, Route::Echo | Route::Upload) && answers;
        self.read_rate = fate.read_bytes_per_second;
        if !reads_itself {
            // A server that fails has read what it was asked.
            while self.next_piece(body).await?.is_some() {}
        }
        // What was answered before is not late.
        self.flush().await?;
        let stats = &self.port.stats;
        add(&stats.delayed, u64::from(!fate.delay.is_zero()));
        add(&stats.errors, u64::from(fate.error.is_some() && answers));
        if !fate.delay.is_zero() {
            monoio::time::sleep(fate.delay).await;
        }
        if !answers {
            add(&self.port.stats.drops_before_head, 1);
            if fate.cut == Some(Cut::Garbage) {
                self.out.extend_from_slice(GARBAGE);
                self.flush().await?;
            }
            return Err(End::Dropped);
        }
        self.limits = Limits::of(&fate);
        Ok(route)
    }

    /// Ends an answer that was held back.
    pub(super) async fn release(&mut self) -> Result<(), End> {
        self.read_rate = None;
        let Some(limits) = self.limits else { return Ok(()) };
        self.flush().await?;
        self.limits = None;
        // The body was too short to be cut: it is whole, and the connection ends all the same.
        if limits.cut { self.dropped() } else { Ok(()) }
    }

    /// Makes sure that a dropped connection ends as the port's behaviour has it.
    pub(super) fn drop_it(&self) {
        if self.port.resets() {
            // SAFETY: the stream is open for as long as it is borrowed here, and nobody else closes it.
            let socket = unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) };
            // Without it the end is an orderly one; there is nobody here to tell.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn dropped(&self) -> Result<(), End> {
        add(&self.port.stats.drops_in_body, 1);
        Err(End::Dropped)
    }

    /// Writes an answer with a patterned body within `limits`.
    pub(super) async fn send_limited(&mut self, key: Key) -> Result<(), End> {
        answer::append_head(&mut self.out, key.status, key.ending, key.body_bytes, key.persistence);
        let body_bytes = if key.has_body() { key.body_bytes } else { 0 };
        self.head_is_out(body_bytes);
        let mut sent = 0;
        while sent < body_bytes {
            let n = (CHUNK_BYTES as u64).min(body_bytes - sent) as usize;
            match key.ending {
                Ending::Chunked => answer::append_chunks(&mut self.out, sent, n),
                Ending::Length | Ending::Close => pattern::append(&mut self.out, sent, n),
            }
            self.flush().await?;
            sent += n as u64;
        }
        if key.has_body() && key.ending == Ending::Chunked {
            self.out.extend_from_slice(chunked::LAST_CHUNK);
        }
        Ok(())
    }

    /// As [`Limits::head_is_out`], where there are limits.
    pub(super) fn head_is_out(&mut self, body_bytes: u64) {
        if let Some(limits) = &mut self.limits {
            limits.head_is_out(&self.out, body_bytes);
        }
    }

    /// Writes all that waits, as fast as `limits` allow and as far.
    pub(super) async fn flush_limited(&mut self, limits: Limits) -> Result<(), End> {
        let mut out = std::mem::take(&mut self.out);
        let end = limits.left.map_or(out.len(), |left| out.len().min(left as usize));
        let part =
            limits.bytes_per_second.map_or(end, |rate| (rate.get() / PARTS_PER_SECOND).max(1) as usize);
        let mut at = 0;
        while at < end {
            let n = part.min(end - at);
            let (result, written) = write_range(&mut self.stream, out, at, at + n).await;
            out = written;
            result?;
            add(&self.port.stats.bytes_out, n as u64);
            at += n;
            if let Some(rate) = limits.bytes_per_second {
                monoio::time::sleep(Duration::from_secs_f64(n as f64 / rate.get() as f64)).await;
            }
        }
        if end < out.len() {
            return self.dropped();
        }
        out.clear();
        self.out = out;
        if let (Some(limits), Some(left)) = (&mut self.limits, limits.left) {
            limits.left = Some(left - end as u64);
        }
        Ok(())
    }
}
