//! Reads one response and judges it: framing, status, length, content, nothing behind it.
use monoio::io::AsyncReadRent;

use super::{
    plan::Expect,
    tally::{Failure, Kind},
};
use crate::{
    http::{
        chunked, find_head_end,
        response::{self, Framing, Response},
    },
    pattern,
    stream::read_more,
};

const BUFFER_BYTES: usize = 64 * 1024;

/// The reading side of a connection; its buffer outlives the connection.
pub(super) struct Receiver {
    buf: Vec<u8>,
    /// The last head and what it said. Servers repeat themselves; equal bytes are not parsed twice.
    known: Option<(Vec<u8>, Response)>,
    to_head: bool,
}

/// A response that was all it had to be.
pub(super) struct Received {
    /// The connection can carry another request.
    pub(super) keep_alive: bool,
    /// Length of head and body on the wire.
    pub(super) bytes: u64,
}

/// A body being read.
struct Progress<'a> {
    expect: &'a Expect,
    /// Body bytes seen.
    body: u64,
    /// All bytes seen.
    wire: u64,
}

impl Receiver {
    pub(super) fn new(to_head: bool) -> Self {
        Self { buf: Vec::with_capacity(BUFFER_BYTES), known: None, to_head }
    }

    /// Reads a response, interim ones skipped.
    pub(super) async fn receive<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        expect: &Expect,
    ) -> Result<Received, Failure> {
        self.buf.clear();
        loop {
            let (head_end, response) = self.head(stream).await?;
            if response.status < 200 {
                self.buf.drain(..head_end);
                continue;
            }
            if response.status != expect.status {
                let body = &self.buf[head_end..];
                let begin = body[..body.len().min(100)].escape_ascii();
                let detail = format!("{} instead of {}: {begin}", response.status, expect.status);
                return Err(Failure::new(Kind::Status, detail));
            }
            let wire = self.body(stream, head_end, response.framing, expect).await?;
            return Ok(Received { keep_alive: response.keep_alive, bytes: wire });
        }
    }

    /// Reads until the server closes, after a response that announced it.
    pub(super) async fn closed<S: AsyncReadRent>(&mut self, stream: &mut S) -> Result<(), Failure> {
        self.buf.clear();
        if self.fill(stream).await? > 0 { Err(surplus(&self.buf)) } else { Ok(()) }
    }

    async fn head<S: AsyncReadRent>(&mut self, stream: &mut S) -> Result<(usize, Response), Failure> {
        let mut searched = 0;
        loop {
            if let Some((head, response)) = &self.known
                && self.buf.starts_with(head)
            {
                return Ok((head.len(), *response));
            }
            if let Some(end) = find_head_end(&self.buf, searched) {
                let head = &self.buf[..end];
                let response = response::parse(head, self.to_head).map_err(|reason| {
                    Failure::new(Kind::Malformed, format!("{reason}: {}", head.escape_ascii()))
                })?;
                self.known = Some((head.to_vec(), response));
                return Ok((end, response));
            }
            searched = self.buf.len();
            if searched == BUFFER_BYTES {
                return Err(Failure::new(Kind::Malformed, "a head larger than 64 KiB"));
            }
            if self.fill(stream).await? == 0 {
                return Err(match searched {
                    0 => Failure::new(Kind::Closed, "before the response"),
                    n => Failure::new(Kind::Cut, format!("after {n} bytes of the head")),
                });
            }
        }
    }

    async fn body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        head_end: usize,
        framing: Framing,
        expect: &Expect,
    ) -> Result<u64, Failure> {
        let mut progress = Progress { expect, body: 0, wire: head_end as u64 };
        match framing {
            Framing::Length(length) => {
                if let Some(expected) = expect.body_bytes.filter(|&n| n != length && !self.to_head) {
                    return Err(Failure::new(Kind::Length, format!("{length} bytes instead of {expected}")));
                }
                self.length_body(stream, head_end, length, &mut progress).await?;
            }
            Framing::Chunked => self.chunked_body(stream, head_end, &mut progress).await?,
            Framing::UntilClose => self.until_close(stream, head_end, &mut progress).await?,
        }
        if !self.to_head {
            progress.check_length()?;
        }
        Ok(progress.wire)
    }

    async fn length_body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        head_end: usize,
        length: u64,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut from = head_end;
        loop {
            let piece = &self.buf[from..];
            if progress.body + piece.len() as u64 > length {
                return Err(surplus(piece));
            }
            progress.take(piece)?;
            progress.wire += piece.len() as u64;
            if progress.body == length {
                return Ok(());
            }
            self.refill(stream, progress).await?;
            from = 0;
        }
    }

    async fn chunked_body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        head_end: usize,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut decoder = chunked::Decoder::default();
        let mut at = head_end;
        loop {
            while at < self.buf.len() {
                let rest = &self.buf[at..];
                let step = decoder.advance(rest).map_err(|reason| Failure::new(Kind::Malformed, reason))?;
                progress.take(&rest[step.data])?;
                progress.wire += step.consumed as u64;
                at += step.consumed;
                if step.done {
                    let rest = &self.buf[at..];
                    return if rest.is_empty() { Ok(()) } else { Err(surplus(rest)) };
                }
            }
            self.refill(stream, progress).await?;
            at = 0;
        }
    }

    async fn until_close<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        head_end: usize,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut from = head_end;
        loop {
            progress.take(&self.buf[from..])?;
            progress.wire += (self.buf.len() - from) as u64;
            self.buf.clear();
            from = 0;
            if self.fill(stream).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads the next piece of a body whose end is not here yet.
    async fn refill<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        progress: &Progress<'_>,
    ) -> Result<(), Failure> {
        self.buf.clear();
        if self.fill(stream).await? == 0 {
            return Err(Failure::new(Kind::Cut, format!("after {} bytes of the body", progress.body)));
        }
        Ok(())
    }

    async fn fill<S: AsyncReadRent>(&mut self, stream: &mut S) -> Result<usize, Failure> {
        let (result, buf) = read_more(stream, std::mem::take(&mut self.buf)).await;
        self.buf = buf;
        result.map_err(|error| Failure::new(Kind::Read, error))
    }
}

impl Progress<'_> {
    fn take(&mut self, piece: &[u8]) -> Result<(), Failure> {
        if self.expect.pattern && !pattern::matches(self.body, piece) {
            let detail = format!("wrong bytes within {} of byte {}", piece.len(), self.body);
            return Err(Failure::new(Kind::Content, detail));
        }
        self.body += piece.len() as u64;
        Ok(())
    }

    fn check_length(&self) -> Result<(), Failure> {
        match self.expect.body_bytes {
            Some(expected) if expected != self.body => {
                Err(Failure::new(Kind::Length, format!("{} bytes instead of {expected}", self.body)))
            }
            _ => Ok(()),
        }
    }
}

fn surplus(bytes: &[u8]) -> Failure {
    let begin = bytes[..bytes.len().min(100)].escape_ascii();
    Failure::new(Kind::Surplus, format!("{} bytes behind the response: {begin}", bytes.len()))
}
