//! Reads responses and judges them: framing, status, length, content, nothing behind the last one.
//!
//! A wrong answer (status, length, content) is read to its end and costs its connection nothing; one that breaks the
//! framing ends it.
use monoio::io::AsyncReadRent;

use super::{
    plan::{Content, Expect, Request},
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
/// How much of what was wrong is shown.
const SHOWN_BYTES: usize = 100;

/// The reading side of a connection; its buffer outlives the connection.
pub(super) struct Receiver {
    buf: Vec<u8>,
    /// How much of `buf` is dealt with.
    at: usize,
    known: Known,
}

/// The last head and what it said. Servers repeat themselves; equal bytes are not parsed twice.
struct Known {
    head: Vec<u8>,
    to_head: bool,
    response: Response,
}

/// A response that came to its end.
pub(super) struct Received {
    /// The connection can carry another request.
    pub(super) keep_alive: bool,
    /// Length of head and body on the wire.
    pub(super) bytes: u64,
    /// What it should not have been.
    pub(super) wrong: Option<Box<Failure>>,
}

/// A body being read.
struct Progress<'a> {
    expect: &'a Expect,
    /// Body bytes seen.
    body: u64,
    /// All bytes seen.
    wire: u64,
    wrong: Option<Box<Failure>>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        let response = Response { status: 0, framing: Framing::UntilClose, keep_alive: false };
        let known = Known { head: Vec::new(), to_head: false, response };
        Self { buf: Vec::with_capacity(BUFFER_BYTES), at: 0, known }
    }

    /// Forgets what was read: the next response comes from another connection.
    pub(super) fn reset(&mut self) {
        self.buf.clear();
        self.at = 0;
    }

    /// No bytes of another response are at hand.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.buf.len()
    }

    /// Reads the response to `request`, interim ones skipped. After the `last` one asked for nothing may follow.
    pub(super) async fn receive<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        request: &Request,
        last: bool,
    ) -> Result<Received, Failure> {
        let response = self.final_head(stream, request.to_head).await?;
        let expect = &request.expect;
        let mut progress =
            Progress { expect, body: 0, wire: self.known.head.len() as u64, wrong: self.judge(request) };
        match response.framing {
            Framing::Length(length) => self.length_body(stream, length, &mut progress).await?,
            // A future is as large as its largest branch and is moved when it is awaited: the rare ones are boxed.
            Framing::Chunked => Box::pin(self.chunked_body(stream, &mut progress)).await?,
            Framing::UntilClose => Box::pin(self.until_close(stream, &mut progress)).await?,
        }
        if !request.to_head {
            progress.check_length();
        }
        if last && !self.is_empty() {
            return Err(self.surplus());
        }
        Ok(Received { keep_alive: response.keep_alive, bytes: progress.wire, wrong: progress.wrong })
    }

    /// Reads until the server closes, after a response that announced it.
    pub(super) async fn closed<S: AsyncReadRent>(&mut self, stream: &mut S) -> Result<(), Failure> {
        if self.fill(stream).await? > 0 { Err(self.surplus()) } else { Ok(()) }
    }

    async fn final_head<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        to_head: bool,
    ) -> Result<Response, Failure> {
        loop {
            let response = self.head(stream, to_head).await?;
            self.at += self.known.head.len();
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    /// Finds the next head, which is known from then on; it is not yet dealt with.
    async fn head<S: AsyncReadRent>(&mut self, stream: &mut S, to_head: bool) -> Result<Response, Failure> {
        let mut searched = 0;
        loop {
            let unread = &self.buf[self.at..];
            let known = &mut self.known;
            if known.to_head == to_head && !known.head.is_empty() && unread.starts_with(&known.head) {
                return Ok(known.response);
            }
            if let Some(end) = find_head_end(unread, searched) {
                let head = &unread[..end];
                known.response = response::parse(head, to_head).map_err(|reason| {
                    Failure::new(Kind::Malformed, format!("{reason}: {}", begin_of(head)))
                })?;
                known.to_head = to_head;
                known.head.clear();
                known.head.extend_from_slice(head);
                return Ok(known.response);
            }
            searched = unread.len();
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

    /// What the head alone shows to be wrong.
    fn judge(&self, request: &Request) -> Option<Box<Failure>> {
        let (response, expect) = (self.known.response, &request.expect);
        if response.status != expect.status {
            let detail = format!(
                "{} instead of {} for {}: {}",
                response.status,
                expect.status,
                request.name,
                begin_of(&self.buf[self.at..])
            );
            let status = response.status;
            return Some(Box::new(Failure { status, ..Failure::new(Kind::Status, detail) }));
        }
        match (response.framing, expect.body_bytes) {
            (Framing::Length(length), Some(expected)) if length != expected && !request.to_head => {
                Some(Box::new(wrong_length(length, expected)))
            }
            _ => None,
        }
    }

    async fn length_body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        length: u64,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        loop {
            let unread = &self.buf[self.at..];
            let n = (unread.len() as u64).min(length - progress.body) as usize;
            progress.take(&unread[..n], n);
            self.at += n;
            if progress.body == length {
                return Ok(());
            }
            self.fill_body(stream, progress).await?;
        }
    }

    async fn chunked_body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut decoder = chunked::Decoder::default();
        loop {
            while !self.is_empty() {
                let unread = &self.buf[self.at..];
                let step = decoder.advance(unread).map_err(|reason| Failure::new(Kind::Malformed, reason))?;
                progress.take(&unread[step.data], step.consumed);
                self.at += step.consumed;
                if step.done {
                    return Ok(());
                }
            }
            self.fill_body(stream, progress).await?;
        }
    }

    async fn until_close<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        loop {
            let unread = &self.buf[self.at..];
            progress.take(unread, unread.len());
            self.at = self.buf.len();
            if self.fill(stream).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads the next piece of a body whose end is not here yet.
    async fn fill_body<S: AsyncReadRent>(
        &mut self,
        stream: &mut S,
        progress: &Progress<'_>,
    ) -> Result<(), Failure> {
        if self.fill(stream).await? == 0 {
            return Err(Failure::new(Kind::Cut, format!("after {} bytes of the body", progress.body)));
        }
        Ok(())
    }

    /// Reads more behind what is not dealt with.
    async fn fill<S: AsyncReadRent>(&mut self, stream: &mut S) -> Result<usize, Failure> {
        if self.is_empty() {
            self.buf.clear();
        } else if self.at > 0 {
            self.buf.drain(..self.at);
        }
        self.at = 0;
        let (result, buf) = read_more(stream, std::mem::take(&mut self.buf)).await;
        self.buf = buf;
        result.map_err(|error| Failure::io(Kind::Read, &error))
    }

    fn surplus(&self) -> Failure {
        let bytes = &self.buf[self.at..];
        let detail = format!("{} bytes behind the response: {}", bytes.len(), begin_of(bytes));
        Failure::new(Kind::Surplus, detail)
    }
}

impl Progress<'_> {
    /// Takes a piece of the body that was `wire` bytes long on its way.
    fn take(&mut self, piece: &[u8], wire: usize) {
        let from = self.body;
        self.body += piece.len() as u64;
        self.wire += wire as u64;
        if self.wrong.is_none() && !self.expect.content.has(from, piece) {
            let detail = format!(
                "wrong bytes within {} of byte {from} (--any-body if this is no echo origin)",
                piece.len()
            );
            self.wrong = Some(Box::new(Failure::new(Kind::Body, detail)));
        }
    }

    fn check_length(&mut self) {
        if let Some(expected) = self.expect.body_bytes
            && expected != self.body
            && self.wrong.is_none()
        {
            self.wrong = Some(Box::new(wrong_length(self.body, expected)));
        }
    }
}

impl Content {
    /// Whether a body may hold `piece` from its byte `from` on. Its length is judged elsewhere.
    fn has(&self, from: u64, piece: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Pattern(_) => pattern::matches(from, piece),
            Self::Exactly(bytes) => {
                let expected = usize::try_from(from).ok().and_then(|from| bytes.get(from..));
                expected.is_some_and(|expected| expected.starts_with(piece))
            }
        }
    }
}

fn wrong_length(length: u64, expected: u64) -> Failure {
    Failure::new(Kind::Length, format!("{length} bytes instead of {expected}"))
}

fn begin_of(bytes: &[u8]) -> impl std::fmt::Display + '_ {
    bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii()
}
