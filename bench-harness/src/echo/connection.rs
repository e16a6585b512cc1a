//! One client of the origin: requests in, answers out in the same order, one write for what can be answered at once.
use std::{io, num::NonZeroU64, rc::Rc, time::Duration};

use monoio::{io::AsyncWriteRent, net::TcpStream};

use super::{
    Origin,
    answer::{self, Ending, Key, PREBUILT_BODY_BYTES_MAX, Persistence, Prebuilt},
    asked::{Asked, key_for},
    body::Body,
    port::Port,
    route::{self, Route},
    stats::add,
    unruly::Limits,
};
use crate::{
    http::{Reason, chunked, find_head_end, request},
    pattern,
    stream::{read_more, write_all, write_range},
};

const INPUT_BUFFER_BYTES: usize = 16 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Answers wait in one buffer for their neighbours until it holds this much.
const OUTPUT_FLUSH_BYTES: usize = 64 * 1024;
/// How long the rest of a refused request is read, so that closing does not destroy the answer on its way.
const REFUSED_LINGER: Duration = Duration::from_millis(500);

/// Why a connection ended.
pub(super) enum End {
    /// Between two requests, or as both sides agreed.
    Clean,
    /// The client left in the middle of a request.
    Cut,
    /// A read or write failed.
    Broken,
    /// As the port's behaviour has it.
    Dropped,
    /// The request was malformed.
    Refused(Reason),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// The last head seen and its answer. Clients send the same head again and again; equal bytes mean the same request,
/// so nothing is parsed twice and nothing unchecked is accepted.
#[derive(Default)]
struct Memo {
    head: Vec<u8>,
    answer: Prebuilt,
    keep_alive: bool,
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    origin: Rc<Origin>,
    pub(super) port: Rc<Port>,
    input: Vec<u8>,
    /// How much of `input` is dealt with.
    start: usize,
    pub(super) out: Vec<u8>,
    memo: Memo,
    /// While an answer is written that the port's behaviour holds back.
    pub(super) limits: Option<Limits>,
    /// While a request's body is read that the port's behaviour slows down: bytes a second.
    pub(super) read_rate: Option<NonZeroU64>,
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, origin: Rc<Origin>, port: Rc<Port>) {
    add(&port.stats.connections, 1);
    add(&port.stats.open, 1);
    let mut connection = Connection {
        stream,
        origin,
        port: port.clone(),
        input: Vec::with_capacity(INPUT_BUFFER_BYTES),
        start: 0,
        out: Vec::new(),
        memo: Memo::default(),
        limits: None,
        read_rate: None,
    };
    match connection.run().await {
        End::Clean | End::Broken => {}
        End::Dropped => connection.drop_it(),
        End::Cut => add(&port.stats.cut_requests, 1),
        End::Refused(reason) => connection.refuse(reason).await,
    }
    port.stats.open.set(port.stats.open.get() - 1);
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            match self.answer_next().await {
                Ok(true) => {}
                Ok(false) => return if self.flush().await.is_ok() { End::Clean } else { End::Broken },
                Err(end) => return end,
            }
        }
    }

    /// Answers one request; says whether another may follow.
    async fn answer_next(&mut self) -> Result<bool, End> {
        let mut searched = 0;
        loop {
            let unread = &self.input[self.start..];
            if !self.memo.head.is_empty() && unread.starts_with(&self.memo.head) && !self.port.unruly.get() {
                return self.answer_again().await;
            }
            if let Some(end) = find_head_end(unread, searched) {
                return self.answer_new(end).await;
            }
            searched = unread.len();
            if searched > HEAD_BYTES_MAX {
                return Err(End::Refused("a head larger than 64 KiB"));
            }
            if self.fill().await? == 0 {
                return Err(if searched == 0 { End::Clean } else { End::Cut });
            }
        }
    }

    async fn answer_again(&mut self) -> Result<bool, End> {
        self.start += self.memo.head.len();
        let answer = self.memo.answer.clone();
        add(&self.port.stats.asked, 1);
        add(&self.port.stats.requests, 1);
        self.write_answer(answer).await?;
        Ok(self.memo.keep_alive)
    }

    async fn answer_new(&mut self, head_end: usize) -> Result<bool, End> {
        let head = self.input[self.start..self.start + head_end].to_vec();
        let request = request::parse(&head).map_err(End::Refused)?;
        self.start += head_end;
        let mut asked = Asked {
            to_head: request.method == b"HEAD",
            is_11: request.is_11,
            keep_alive: request.keep_alive(),
        };
        let mut body = Body::of(&request.fields);
        if request.fields.expect_continue && !body.is_done() {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let has_body = !body.is_done();
        let mut route = route::of(request.path);
        if route != Route::Stats {
            add(&self.port.stats.asked, 1);
        }
        let unruly = self.port.unruly.get() && route != Route::Stats;
        if unruly {
            route = Box::pin(self.meet_fate(route, &mut body)).await?;
        }
        match route {
            Route::Echo => self.echo(&asked, &mut body).await?,
            Route::Upload => self.upload(&asked, &mut body).await?,
            _ => while self.next_piece(&mut body).await?.is_some() {},
        }
        // Counted before the last byte of the answer leaves, so that who has read it finds it counted.
        if route != Route::Stats {
            add(&self.port.stats.requests, 1);
        }
        if let Some(key) = key_for(route, &mut asked) {
            self.patterned(route, key, (!has_body && !unruly).then_some(&head[..]), asked.keep_alive).await?;
        } else if !matches!(route, Route::Echo | Route::Upload) {
            self.described(route, &asked, &head);
        }
        if unruly {
            self.release().await?;
        }
        Ok(asked.keep_alive)
    }

    /// An answer whose body is the pattern. `head` is remembered with it, unless a body came with the request or it may
    /// be answered otherwise the next time.
    async fn patterned(
        &mut self,
        route: Route,
        key: Key,
        head: Option<&[u8]>,
        keep_alive: bool,
    ) -> Result<(), End> {
        if let Route::Delay(ms) = route {
            self.flush().await?;
            monoio::time::sleep(Duration::from_millis(ms)).await;
        }
        if self.limits.is_some() {
            return self.send_limited(key).await;
        }
        if key.body_bytes > PREBUILT_BODY_BYTES_MAX {
            return self.send_long(key).await;
        }
        let answer = self.origin.prebuilt(key);
        if let (Some(head), false) = (head, matches!(route, Route::Delay(_))) {
            self.memo = Memo { head: head.to_vec(), answer: answer.clone(), keep_alive };
        }
        self.write_answer(answer).await
    }

    /// An answer whose body is made for this request.
    fn described(&mut self, route: Route, asked: &Asked, head: &[u8]) {
        let (status, body) = match route {
            Route::Headers => (200, head.to_vec()),
            Route::Stats => (200, serde_json::to_vec(&self.origin.snapshot()).unwrap_or_default()),
            _ => (404, b"no such path\n".to_vec()),
        };
        self.append_answer(status, asked, &body);
    }

    fn append_answer(&mut self, status: u16, asked: &Asked, body: &[u8]) {
        answer::append_head(&mut self.out, status, Ending::Length, body.len() as u64, asked.persistence());
        self.head_is_out(body.len() as u64);
        if !asked.to_head {
            self.out.extend_from_slice(body);
        }
    }

    /// Sends the request's body back as it comes in, framed the way it came.
    async fn echo(&mut self, asked: &Asked, body: &mut Body) -> Result<(), End> {
        let chunks = matches!(body, Body::Chunked(_));
        let (ending, length) = match body {
            Body::Chunked(_) => (Ending::Chunked, 0),
            Body::Length(n) => (Ending::Length, *n),
            Body::Done => (Ending::Length, 0),
        };
        answer::append_head(&mut self.out, 200, ending, length, asked.persistence());
        self.head_is_out(length);
        while let Some(piece) = self.next_piece(body).await? {
            if chunks {
                chunked::append_chunk(&mut self.out, &self.input[piece]);
            } else {
                self.out.extend_from_slice(&self.input[piece]);
            }
        }
        if chunks {
            self.out.extend_from_slice(chunked::LAST_CHUNK);
        }
        Ok(())
    }

    /// Takes the request's body and says what it was.
    async fn upload(&mut self, asked: &Asked, body: &mut Body) -> Result<(), End> {
        let (mut hash, mut length) = (crc32fast::Hasher::new(), 0);
        while let Some(piece) = self.next_piece(body).await? {
            length += piece.len() as u64;
            hash.update(&self.input[piece]);
        }
        let report = pattern::upload_report(length, hash.finalize());
        self.append_answer(200, asked, &report);
        Ok(())
    }

    /// The next piece of the request's body, as a range of `input` that is good until the next call; None at its end.
    pub(super) async fn next_piece(
        &mut self,
        body: &mut Body,
    ) -> Result<Option<std::ops::Range<usize>>, End> {
        while !body.is_done() {
            if self.start == self.input.len() && self.fill().await? == 0 {
                return Err(End::Cut);
            }
            let at = self.start;
            let (consumed, data) = body.advance(&self.input[at..]).map_err(End::Refused)?;
            self.start += consumed;
            if !data.is_empty() {
                if let Some(rate) = self.read_rate {
                    monoio::time::sleep(Duration::from_secs_f64(data.len() as f64 / rate.get() as f64)).await;
                }
                return Ok(Some(at + data.start..at + data.end));
            }
        }
        Ok(None)
    }

    /// Sends a ready answer: at once when nothing else waits, so that its bytes are not copied.
    async fn write_answer(&mut self, answer: Prebuilt) -> Result<(), End> {
        let more_to_answer = self.start < self.input.len();
        if (more_to_answer || !self.out.is_empty()) && self.out.len() + answer.len() <= OUTPUT_FLUSH_BYTES {
            self.out.extend_from_slice(&answer);
            return Ok(());
        }
        self.flush().await?;
        add(&self.port.stats.bytes_out, answer.len() as u64);
        write_all(&mut self.stream, answer).await.0?;
        Ok(())
    }

    /// Writes a body that is too long to keep, a piece at a time.
    async fn send_long(&mut self, key: Key) -> Result<(), End> {
        answer::append_head(&mut self.out, key.status, key.ending, key.body_bytes, key.persistence);
        self.flush().await?;
        if !key.has_body() {
            return Ok(());
        }
        let mut sent = 0;
        while sent < key.body_bytes {
            // A tile is a whole number of periods, so every piece begins where the pattern does.
            let tile = self.origin.tile.clone();
            let n = (tile.len() as u64).min(key.body_bytes - sent) as usize;
            if key.ending == Ending::Chunked {
                answer::append_chunks(&mut self.out, sent, n);
                self.flush().await?;
            } else {
                write_range(&mut self.stream, tile, 0, n).await.0?;
                add(&self.port.stats.bytes_out, n as u64);
            }
            sent += n as u64;
        }
        if key.ending == Ending::Chunked {
            self.out.extend_from_slice(chunked::LAST_CHUNK);
        }
        Ok(())
    }

    /// Reads more input, after writing what waits: the client may be waiting for it.
    async fn fill(&mut self) -> Result<usize, End> {
        self.flush().await?;
        let mut input = std::mem::take(&mut self.input);
        if self.start == input.len() {
            input.clear();
        } else if self.start > 0 {
            input.drain(..self.start);
        }
        self.start = 0;
        if input.len() == input.capacity() {
            input.reserve(INPUT_BUFFER_BYTES);
        }
        let (result, input) = read_more(&mut self.stream, input).await;
        self.input = input;
        let n = result?;
        add(&self.port.stats.bytes_in, n as u64);
        Ok(n)
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        if let Some(limits) = self.limits {
            return Box::pin(self.flush_limited(limits)).await;
        }
        add(&self.port.stats.bytes_out, self.out.len() as u64);
        let (result, mut out) = write_all(&mut self.stream, std::mem::take(&mut self.out)).await;
        out.clear();
        self.out = out;
        Ok(result?)
    }

    /// Answers 400 and closes.
    async fn refuse(&mut self, reason: Reason) {
        let stats = &self.port.stats;
        add(&stats.bad_requests, 1);
        let begin = &self.input[self.start.min(self.input.len())..];
        let begin = begin[..begin.len().min(200)].escape_ascii();
        *stats.last_bad_request.borrow_mut() = format!("{reason}: {begin}");
        let body = format!("{reason}\n");
        answer::append_head(&mut self.out, 400, Ending::Length, body.len() as u64, Persistence::Close);
        self.out.extend_from_slice(body.as_bytes());
        if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let drained = async {
            self.start = self.input.len();
            while matches!(self.fill().await, Ok(1..)) {
                self.start = self.input.len();
            }
        };
        let _ = monoio::time::timeout(REFUSED_LINGER, drained).await;
    }
}
