//! All that clients do to a proxy, each kind on threads of its own: blocking sockets, a visit at a time.
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    echo::random::Random,
    http::{
        find_head_end,
        response::{self, Framing},
    },
    pattern,
};

/// How long one read or write, or a connect, may take before the visit has failed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Rest after a visit that failed, so that a server that is gone is not hammered.
const FAILURE_PAUSE: Duration = Duration::from_millis(20);
/// Connections that one thread of the kind `KeptAlive` holds.
const KEPT_CONNECTIONS: usize = 32;
/// The longest that a connection is held without a word.
const SILENCE_MAX: Duration = Duration::from_millis(50);
/// What a slow reader asks for, reads at a time, and waits between; its socket holds little.
const SLOW_BODY_BYTES: u64 = 2 << 20;
const SLOW_READ_BYTES: usize = 32 * 1024;
const SLOW_PAUSE: Duration = Duration::from_millis(10);
const SLOW_SOCKET_BYTES: usize = 16 * 1024;
/// Bodies of the kind `Large`.
const LARGE_BODY_BYTES: u64 = 16 << 20;
/// How far into a body a client gets before it leaves.
const ABORT_AFTER_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// What a visit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Small requests on connections that stay open, many of them idle at any time.
    KeptAlive,
    /// A connection for each request.
    Churn,
    /// Connects, says nothing, leaves.
    Silent,
    /// Reads more slowly than it is sent to.
    Slow,
    /// Large bodies, one way and the other.
    Large,
    /// Leaves in the middle of a head, of a request's body, of a response's body.
    Aborted,
}

pub(super) const KINDS: [Kind; 6] =
    [Kind::KeptAlive, Kind::Churn, Kind::Silent, Kind::Slow, Kind::Large, Kind::Aborted];

impl Kind {
    /// For the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KeptAlive => "kept alive",
            Self::Churn => "churn",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Large => "large",
            Self::Aborted => "aborted",
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    /// Visits of each kind that went well, and that did not.
    good: [AtomicU64; KINDS.len()],
    bad: [AtomicU64; KINDS.len()],
    failure: OnceLock<String>,
}

/// The load, under way.
pub(crate) struct Visits(Arc<Shared>);

impl Visits {
    /// Starts `clients` threads for each of `kinds`.
    pub(crate) fn start(address: SocketAddr, kinds: &[Kind], clients: usize) -> Self {
        let shared = Arc::new(Shared::default());
        for (index, kind) in KINDS.into_iter().enumerate().filter(|(_, kind)| kinds.contains(kind)) {
            for client in 0..clients {
                let shared = shared.clone();
                let random = Random::new((index * clients + client) as u64);
                let visitor = Visitor { address, random, kept: Vec::new(), turn: client };
                thread::spawn(move || visitor.run(kind, index, &shared));
            }
        }
        Self(shared)
    }

    /// Tells all threads to end, which they do when their visit is over.
    pub(crate) fn stop(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }

    /// Visits so far that went well, and that did not.
    pub(crate) fn totals(&self) -> [u64; 2] {
        [&self.0.good, &self.0.bad].map(|counts| counts.iter().map(|it| it.load(Ordering::Relaxed)).sum())
    }

    /// Visits so far for each kind; failed ones behind a plus.
    pub(super) fn counts(&self) -> impl Iterator<Item = String> {
        self.0.good.iter().zip(&self.0.bad).map(|(good, bad)| {
            let (good, bad) = (good.load(Ordering::Relaxed), bad.load(Ordering::Relaxed));
            if bad == 0 { good.to_string() } else { format!("{good}+{bad}!") }
        })
    }

    /// A kind of which no visit went well.
    pub(super) fn silent_kind(&self) -> Option<&'static str> {
        let all = KINDS.iter().zip(&self.0.good);
        all.into_iter().find(|(_, good)| good.load(Ordering::Relaxed) == 0).map(|(kind, _)| kind.name())
    }

    /// What went wrong first, if anything did.
    pub(super) fn first_failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }
}

struct Visitor {
    address: SocketAddr,
    random: Random,
    kept: Vec<TcpStream>,
    turn: usize,
}

impl Visitor {
    fn run(mut self, kind: Kind, index: usize, shared: &Shared) {
        while !shared.ended.load(Ordering::Relaxed) {
            self.turn += 1;
            match self.visit(kind) {
                Ok(()) => drop(shared.good[index].fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    shared.bad[index].fetch_add(1, Ordering::Relaxed);
                    let _ = shared.failure.set(format!("{}: {error}", kind.name()));
                    thread::sleep(FAILURE_PAUSE);
                }
            }
        }
    }

    fn visit(&mut self, kind: Kind) -> io::Result<()> {
        match kind {
            Kind::KeptAlive => self.kept_alive(),
            Kind::Churn => read_answer(&mut self.ask(&get("/bytes/1000", "close"))?, 1000, None),
            Kind::Silent => {
                let stream = self.connect(None)?;
                thread::sleep(SILENCE_MAX.mul_f64(self.random.unit()));
                drop(stream);
                Ok(())
            }
            Kind::Slow => {
                let mut stream = self.connect(Some(SLOW_SOCKET_BYTES))?;
                stream.write_all(get(&format!("/bytes/{SLOW_BODY_BYTES}"), "close").as_bytes())?;
                read_answer(&mut stream, SLOW_BODY_BYTES, Some(SLOW_PAUSE))
            }
            Kind::Large if self.turn.is_multiple_of(2) => {
                let mut stream = self.ask(&get(&format!("/bytes/{LARGE_BODY_BYTES}"), "close"))?;
                read_answer(&mut stream, LARGE_BODY_BYTES, None)
            }
            Kind::Large => {
                let mut stream = self.ask(&upload())?;
                send_body(&mut stream, LARGE_BODY_BYTES)?;
                read_head(&mut stream).map(drop)
            }
            Kind::Aborted => self.aborted(),
        }
    }

    fn connect(&self, receive_bytes: Option<usize>) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM.cloexec(), None)?;
        if let Some(bytes) = receive_bytes {
            // Before the connect, which tells the peer of the window.
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&self.address.into(), TIMEOUT)?;
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(stream)
    }

    fn ask(&self, request: &str) -> io::Result<TcpStream> {
        let mut stream = self.connect(None)?;
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    /// The next of the connections in turn: most of them are idle.
    fn kept_alive(&mut self) -> io::Result<()> {
        if self.kept.len() < KEPT_CONNECTIONS {
            self.kept.push(self.connect(None)?);
        }
        let index = self.turn % self.kept.len();
        // One that fails is replaced.
        let mut stream = self.kept.swap_remove(index);
        stream.write_all(get("/bytes/13", "keep-alive").as_bytes())?;
        read_answer(&mut stream, 13, None)?;
        self.kept.push(stream);
        Ok(())
    }

    fn aborted(&self) -> io::Result<()> {
        let stream = match self.turn % 3 {
            0 => self.ask("GET /bytes/13 HTTP/1.1\r\nHost: a\r\nX-Cut: ")?,
            1 => {
                let mut stream = self.ask(&upload())?;
                send_body(&mut stream, ABORT_AFTER_BYTES as u64)?;
                stream
            }
            _ => {
                let mut stream = self.ask(&get(&format!("/bytes/{LARGE_BODY_BYTES}"), "close"))?;
                stream.read_exact(&mut vec![0; ABORT_AFTER_BYTES])?;
                stream
            }
        };
        if self.turn.is_multiple_of(2) {
            // A reset in place of an orderly end.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

fn get(path: &str, connection: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n")
}

fn upload() -> String {
    format!(
        "POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {LARGE_BODY_BYTES}\r\n\r\n"
    )
}

fn send_body(stream: &mut TcpStream, length: u64) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut sent = 0;
    while sent < length {
        let n = (READ_BYTES as u64).min(length - sent) as usize;
        piece.clear();
        pattern::append(&mut piece, sent, n);
        stream.write_all(&piece)?;
        sent += n as u64;
    }
    Ok(())
}

/// Reads a 200 whose body is the pattern, so long and no longer; with a pause, slowly.
fn read_answer(stream: &mut TcpStream, length: u64, pause: Option<Duration>) -> io::Result<()> {
    let (framing, early) = read_head(stream)?;
    if framing != Framing::Length(length) {
        return Err(io::Error::other(format!("not a body of {length} bytes: {framing:?}")));
    }
    let mut piece = vec![0; if pause.is_some() { SLOW_READ_BYTES } else { READ_BYTES }];
    let mut at = early.len() as u64;
    if at > length || !pattern::matches(0, &early) {
        return Err(io::Error::other("a body other than the pattern"));
    }
    while at < length {
        if let Some(pause) = pause {
            thread::sleep(pause);
        }
        let room = (piece.len() as u64).min(length - at) as usize;
        let read = stream.read(&mut piece[..room])?;
        if read == 0 || !pattern::matches(at, &piece[..read]) {
            return Err(io::Error::other(format!(
                "a body that ends or changes after {at} bytes of {length}"
            )));
        }
        at += read as u64;
    }
    Ok(())
}

/// Reads the head of a 200: how its body ends, and what has come of it.
fn read_head(stream: &mut TcpStream) -> io::Result<(Framing, Vec<u8>)> {
    let (mut reply, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = find_head_end(&reply, 0) {
            let head = response::parse(&reply[..end], false).map_err(io::Error::other)?;
            if head.status != 200 {
                return Err(io::Error::other(format!("status {}", head.status)));
            }
            return Ok((head.framing, reply.split_off(end)));
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => reply.extend_from_slice(&piece[..n]),
        }
    }
}
