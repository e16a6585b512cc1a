//! One client's connection: wait for a request, serve it, again. While it waits it holds a socket, a timer slot and
//! nothing else; what serving needs is boxed for as long as requests keep coming.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};

use super::{
    GIVE_BACK_ROUNDS, Worker, answer,
    deadline::{Patience, Rest, Timer},
    doors::Door,
    exchange, header, limited,
    pace::{Paces, Takes},
    peer::{Asked, Ends},
    relay::Piece,
    socket::{Socket, WriteError},
    warm::Warm,
};
use crate::{
    error::Failure,
    http::{HeadScan, RequestHead, Scan, Spare},
    limits::READ_BUFFER_BYTES,
    observe::{ClientWait, Outcome, Phases},
    route::Listener,
};

/// A connection without a request for this long gives up all that serving needs, and keeps only what waiting does.
const REST_AFTER: Duration = Duration::from_millis(500);
/// How long a client that was refused may take to read the answer before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read and dropped meanwhile.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// A client, as long as it is connected.
pub struct Client {
    /// Its socket.
    pub socket: Socket,
    /// Its deadlines.
    pub timer: Timer,
    /// What its listener asks of it, as of `revision`.
    pub listener: Arc<Listener>,
    /// Its address, without port, as text.
    pub peer: Box<str>,
    /// Both ends of its connection.
    pub ends: Ends,
    /// What has been found out about the request that it is served, where its listener asks for that.
    pub asked: Option<Box<Asked>>,
    /// Its worker.
    pub worker: Rc<Worker>,
    /// The most that the body of its request may be, in bytes.
    pub body_bytes_max: Cell<Option<u64>>,
    /// Whether it is fast enough, where it has to be.
    pub paces: Option<Box<Paces>>,
    door: Rc<Door>,
    revision: u64,
}

impl Client {
    /// A client that has just come by `door`.
    pub fn new(
        worker: &Rc<Worker>,
        socket: Socket,
        door: Rc<Door>,
        peer: Option<std::net::SocketAddr>,
    ) -> Client {
        let listener = door.listener();
        let ends = Ends::new(peer, &listener);
        Client {
            socket,
            timer: worker.deadlines.timer_at(door.number),
            body_bytes_max: Cell::new(listener.request_body_bytes),
            paces: Paces::of(&listener),
            listener,
            peer: ends.text(),
            ends,
            asked: None,
            worker: Rc::clone(worker),
            revision: worker.doors.revision(),
            door,
        }
    }

    /// Takes over what is asked of clients now. One comparison when nothing has changed.
    pub fn adopt(&mut self) {
        let revision = self.worker.doors.revision();
        if self.revision != revision {
            self.revision = revision;
            self.listener = self.door.listener();
            if self.listener.limits.has_rates() != self.paces.is_some() {
                self.paces = Paces::of(&self.listener);
            }
            self.ends.judge(&self.listener.provenance.trusted_proxies);
        }
    }

    /// Whether the connection is to end with the exchange it is in: the worker drains, or the listener is gone.
    pub fn draining(&self) -> bool {
        self.worker.draining() || self.door.is_leaving()
    }

    /// Writes all of `out`.
    pub async fn write<B: monoio::buf::IoBuf>(&self, out: B) -> Result<B, Failure> {
        self.socket.write_all(&self.timer, Takes::Client(self.reads()), out).await.map_err(
            |error| match error {
                WriteError::Closed => Failure::ClientGone,
                WriteError::Slow => self.late(Failure::ClientSlow(ClientWait::ResponseWrite)),
            },
        )
    }

    /// Writes a response that is all there.
    pub async fn deliver(&self, piece: Piece) -> Result<(), Failure> {
        match piece {
            Piece::Own(out) => self.worker.buffers.give_write(self.write(out).await?),
            Piece::Joined(bytes) => self.worker.buffers.give_read(self.write(bytes).await?),
        }
        Ok(())
    }

    /// What a wait that was too long means: `failure`, unless the bound on the whole request or the end of the
    /// process ended it.
    pub fn late(&self, failure: Failure) -> Failure {
        if self.worker.cutting() {
            Failure::Draining
        } else if self.timer.cap_passed() {
            Failure::RequestTimeout
        } else {
            self.paces.as_ref().map_or(failure, |paces| paces.say(failure))
        }
    }

    /// Ends an exchange whose time is up although it never has to wait.
    pub fn in_time(&self) -> Result<(), Failure> {
        if self.worker.cutting() || self.timer.cap_passed() {
            return Err(self.late(Failure::RequestTimeout));
        }
        Ok(())
    }

    /// Reads more of its request's body into `buf`; 0 is its end.
    async fn read_body(&self, buf: &mut BytesMut) -> Result<usize, Failure> {
        match self.timer.within(self.sends(), self.socket.read(buf)).await {
            Ok(Ok(read)) => {
                self.sends().moved(read);
                Ok(read)
            }
            Ok(Err(_)) => Err(Failure::ClientGone),
            Err(_) => Err(self.late(Failure::ClientSlow(ClientWait::RequestBody))),
        }
    }
}

/// Serves a connection until it ends.
pub async fn serve(client: &mut Client) {
    if !header::pass(client).await {
        return;
    }
    let mut rest = Rest::First;
    loop {
        let mut wait = client.listener.keep_alive_timeout;
        if rest == Rest::First {
            wait = client.door.first_request_within(wait);
        }
        match client.timer.rest_within(rest, wait, client.socket.stirs()).await {
            Ok(()) => client.timer.cap(None),
            Err(_) => return count_idle(client),
        }
        rest = Rest::Next;
        if !Warm::new(busy(client)).await {
            return;
        }
        client.asked = None;
    }
}

/// Counts a client that was idle for too long, unless it is the drain, or its listener's end, that ends the wait.
fn count_idle(client: &Client) {
    if !client.draining() {
        client.worker.counters().timeouts_keep_alive.inc();
    }
}

/// Serves requests as long as they keep coming. False: the connection is to be closed.
async fn busy(client: &mut Client) -> bool {
    let worker = Rc::clone(&client.worker);
    let mut buf = worker.buffers.take_read();
    let mut fresh = true;
    let mut refused = None;
    let keep = loop {
        if !fresh && buf.is_empty() {
            // Between requests no buffer is held; after a while, not even this future.
            worker.buffers.give_read(std::mem::take(&mut buf));
            // The rest, should it come to that, is part of the same wait.
            client.timer.cap(Some(client.listener.keep_alive_timeout));
            // When the end has come while a response that did not say so was on its way, one look for what is there.
            let wait = if client.draining() { Duration::ZERO } else { REST_AFTER };
            match client.timer.rest_within(Rest::Next, wait, client.socket.readable()).await {
                Ok(()) => buf = worker.buffers.take_read(),
                Err(_) if client.draining() || client.timer.cap_passed() => {
                    count_idle(client);
                    return false;
                }
                Err(_) => {
                    worker.give_back.set(GIVE_BACK_ROUNDS);
                    return true;
                }
            }
            client.timer.cap(None);
        }
        fresh = false;
        client.adopt();
        let started = worker.now();
        let head = match request_head(client, &mut buf).await {
            Ok(Some(head)) => head,
            Ok(None) => break false,
            Err(failure) => {
                refused = Some((failure, started));
                break false;
            }
        };
        if buf.is_empty() {
            // The next request that this core reads finds the same, warm buffer.
            worker.buffers.give_read(std::mem::take(&mut buf));
        }
        let keep = exchange::exchange(client, &mut buf, &head, started).await;
        worker.buffers.give_spare(head.into_spare());
        if !keep {
            break false;
        }
    };
    if let Some((failure, started)) = refused {
        Box::pin(refuse(client, failure, started, buf.len() as u64)).await;
    }
    worker.buffers.give_read(buf);
    keep
}

/// Reads one request's head. `None`: the client has closed where a request would have begun.
async fn request_head(client: &Client, buf: &mut BytesMut) -> Result<Option<RequestHead>, Failure> {
    let mut scan = HeadScan::request();
    // The way of nearly every request: all of its head is there already, and no deadline is ever armed.
    if buf.is_empty() {
        match client.socket.try_read(buf) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Ok(None),
            _ => {}
        }
    }
    let listener = &client.listener;
    let spare = client.worker.buffers.take_spare();
    let at_once = RequestHead::at_once(buf, listener.request_head_bytes, listener.request_fields, spare);
    if let Some(head) = &at_once {
        limited::target(client, head)?;
        return Ok(at_once);
    }
    if let Some(head) = try_head(client, &mut scan, buf)? {
        return Ok(Some(head));
    }
    let reading = Box::pin(async {
        loop {
            make_room(buf, READ_BUFFER_BYTES / 2);
            match client.socket.read(buf).await {
                Ok(0) if buf.is_empty() => return Ok(None),
                Ok(0) | Err(_) => return Err(Failure::ClientGone),
                Ok(_) => {}
            }
            if let Some(head) = try_head(client, &mut scan, buf)? {
                return Ok(Some(head));
            }
        }
    });
    match client.timer.within(client.listener.request_head_timeout, reading).await {
        Ok(result) => result,
        Err(_) => Err(client.late(Failure::ClientSlow(ClientWait::RequestHead))),
    }
}

fn try_head(
    client: &Client,
    scan: &mut HeadScan,
    buf: &mut BytesMut,
) -> Result<Option<RequestHead>, Failure> {
    if buf.is_empty() {
        return Ok(None);
    }
    let (bytes_max, fields_max) = (client.listener.request_head_bytes, client.listener.request_fields);
    match scan.advance(buf, bytes_max).map_err(Failure::Head)? {
        Scan::Partial => Ok(None),
        Scan::Complete { start, end } => {
            let head = RequestHead::parse(buf, start, end, fields_max, Spare::default());
            let head = head.map_err(Failure::Head)?;
            limited::target(client, &head)?;
            Ok(Some(head))
        }
    }
}

/// Makes sure that at least `room` bytes can be read into `buf`.
pub fn make_room(buf: &mut BytesMut, room: usize) {
    if buf.capacity() - buf.len() < room {
        buf.reserve(room.max(READ_BUFFER_BYTES));
    }
}

/// Answers what could not be read as a request, and closes.
async fn refuse(client: &Client, failure: Failure, started: std::time::Instant, read: u64) {
    let worker = &client.worker;
    let mut status = 0;
    let mut written = 0;
    let silent = failure.is_silent();
    if !silent {
        let mut out = worker.buffers.take_write();
        answer::encode_failure(&mut out, failure, &worker.date(), false, None, None);
        written = out.len() as u64;
        if client.write(out).await.is_ok() {
            status = answer::status(failure).as_u16();
        }
    }
    let total_us = worker.now().duration_since(started).as_micros() as u64;
    worker.record(&Outcome {
        listener: &client.listener.name,
        route: None,
        upstream: None,
        endpoint: None,
        client: &client.peer,
        method: "",
        host: "",
        path: "",
        version: http::Version::HTTP_11,
        status,
        termination: failure.termination(),
        request_bytes: read,
        response_bytes: written,
        attempts: 0,
        phases: Phases { total_us, overhead_us: total_us, ..Phases::default() },
        rules: None,
        ids: None,
    });
    if !silent {
        linger(client).await;
    }
}

/// Ends our side and reads on for a while: closing with bytes unread would reset the connection, and the client would
/// lose the answer.
pub async fn linger(client: &Client) {
    if client.socket.shutdown_write().is_err() {
        return;
    }
    let mut buf = client.worker.buffers.take_read();
    let reading = async {
        let mut total = 0;
        while total < LINGER_BYTES_MAX {
            buf.clear();
            make_room(&mut buf, 4096);
            match client.socket.read(&mut buf).await {
                Ok(0) | Err(_) => return,
                Ok(read) => total += read,
            }
        }
    };
    let _ = client.timer.rest_within(Rest::Brief, LINGER, reading).await;
    buf.clear();
    client.worker.buffers.give_read(buf);
}

/// Reads and drops what is left of a request body, so that the next request can follow.
pub async fn drain(
    client: &Client,
    buf: &mut BytesMut,
    reader: &mut super::body::BodyReader,
) -> Result<(), Failure> {
    loop {
        let Some(count) = reader.plain(buf.len()) else { return Err(Failure::ClientGone) };
        buf.advance(count);
        reader.advance(count);
        if reader.is_done() {
            return Ok(());
        }
        make_room(buf, READ_BUFFER_BYTES / 2);
        if client.read_body(buf).await? == 0 {
            return Err(Failure::ClientGone);
        }
    }
}
