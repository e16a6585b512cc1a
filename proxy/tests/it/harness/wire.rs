//! One end of a connection, driven by a test byte by byte: a client's, or an origin's.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use socket2::{SockAddr, Socket, Type};

use super::{
    PATIENCE,
    message::{BodyFraming, End, Head, Request, Response, text_of},
    taken,
};

/// A client's end.
pub type Client = Wire;

/// One end of a connection. Every wait has a bound, [`PATIENCE`], and fails the test when that is over.
pub struct Wire {
    socket: Socket,
    buf: Vec<u8>,
    /// The peer's end of the stream has been read, and how it came.
    end: Option<End>,
    /// Everything received, for who asks later.
    received: Arc<Mutex<Vec<u8>>>,
    /// Bytes sent.
    sent: Arc<AtomicU64>,
}

/// How much of a body came, and how it ended.
struct Body {
    bytes: Vec<u8>,
    chunks: Vec<usize>,
    trailers: Vec<String>,
    end: End,
}

impl Wire {
    /// Connects to "ADDRESS:PORT" or "unix:/PATH".
    #[track_caller]
    pub fn connect(address: &str) -> Wire {
        Wire::try_connect(address).unwrap()
    }

    /// As `connect`, where it may be that nobody listens.
    pub fn try_connect(address: &str) -> std::io::Result<Wire> {
        let address: SockAddr = match address.strip_prefix("unix:") {
            Some(path) => SockAddr::unix(path).unwrap(),
            None => address.parse::<SocketAddr>().unwrap().into(),
        };
        let socket = Socket::new(address.domain(), Type::STREAM, None).unwrap();
        socket.connect_timeout(&address, PATIENCE)?;
        Ok(Wire::new(socket))
    }

    /// Takes over a connected socket.
    pub fn new(socket: Socket) -> Wire {
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        // A unix socket has no such option, and no such delay.
        let _ = socket.set_tcp_nodelay(true);
        Wire { socket, buf: Vec::new(), end: None, received: Arc::default(), sent: Arc::default() }
    }

    /// A second handle to the same socket, to write from another thread. What has been read already stays here.
    pub fn second(&self) -> Wire {
        let socket = self.socket.try_clone().unwrap();
        let (received, sent) = (Arc::clone(&self.received), Arc::clone(&self.sent));
        Wire { socket, buf: Vec::new(), end: None, received, sent }
    }

    /// Our address.
    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// Everything received so far.
    pub fn received(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.received)
    }

    /// The socket, for options of its own.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes), "the peer takes what is sent");
    }

    /// Sends what the peer takes. False: it has closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.socket.write_all(bytes).is_ok()
    }

    /// Sends `bytes` in pieces cut at `cuts`, each read by the peer before the next one goes out. TCP only.
    #[track_caller]
    pub fn send_cut(&mut self, bytes: &[u8], cuts: &[usize]) {
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            if !self.try_send(&bytes[from..cut]) {
                return;
            }
            if cut < bytes.len() {
                self.await_taken();
            }
            from = cut;
        }
    }

    /// Waits until the peer has read everything that was sent. TCP only.
    #[track_caller]
    pub fn await_taken(&self) {
        let peer = self.socket.peer_addr().unwrap().as_socket().unwrap();
        taken::await_taken(self.local(), peer, self.sent.load(Ordering::Relaxed));
    }

    /// Sends `piece` again and again, the first time from its byte `from` on, until the peer takes nothing more for
    /// `quiet`. Gives the bytes that went out.
    #[track_caller]
    pub fn send_until_stalled(&mut self, piece: &[u8], from: usize, quiet: Duration) -> usize {
        self.socket.set_write_timeout(Some(quiet)).unwrap();
        let mut sent = 0;
        loop {
            match self.socket.write(&piece[(from + sent) % piece.len()..]) {
                Ok(count) => sent += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.socket.set_write_timeout(Some(PATIENCE)).unwrap();
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
        sent
    }

    /// Reads more into the buffer. False: the stream has ended.
    #[track_caller]
    fn fill(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut piece = [0; 64 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => self.end = Some(End::Cut),
            Ok(read) => {
                self.buf.extend_from_slice(&piece[..read]);
                self.received.lock().unwrap().extend_from_slice(&piece[..read]);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came; so far unread: {:?}", text_of(&self.buf));
            }
            Err(_) => self.end = Some(End::Reset),
        }
        false
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.buf.drain(..count).collect()
    }

    /// Exactly `count` bytes.
    #[track_caller]
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.buf.len() < count {
            let got = self.buf.len();
            let filled = self.fill();
            let seen = text_of(&self.buf[..got.min(1024)]);
            assert!(filled, "{:?} after {got} of {count} bytes: {seen:?}", self.end);
        }
        self.take(count)
    }

    /// Everything up to and with `pattern`. `None`: the stream ended before it.
    #[track_caller]
    pub fn try_read_until(&mut self, pattern: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buf[from..].windows(pattern.len()).position(|window| window == pattern) {
                return Some(self.take(from + at + pattern.len()));
            }
            from = self.buf.len().saturating_sub(pattern.len() - 1);
            if !self.fill() {
                return None;
            }
        }
    }

    /// As `try_read_until`; fails when the stream ends before it.
    #[track_caller]
    pub fn read_until(&mut self, pattern: &[u8]) -> Vec<u8> {
        let found = self.try_read_until(pattern);
        found.unwrap_or_else(|| {
            panic!("{:?} before {:?}: {:?}", self.end, text_of(pattern), text_of(&self.buf))
        })
    }

    /// Everything up to the end of the stream, and how it ended.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        while self.fill() {}
        let count = self.buf.len();
        let end = if self.end == Some(End::Reset) { End::Reset } else { End::Complete };
        (self.take(count), end)
    }

    /// What is there, at least one byte. `None`: the end of the stream.
    #[track_caller]
    pub fn read_some(&mut self) -> Option<Vec<u8>> {
        while self.buf.is_empty() {
            if !self.fill() {
                return None;
            }
        }
        Some(self.take(self.buf.len()))
    }

    /// A head.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        Head::parse(&self.read_until(b"\r\n\r\n"))
    }

    /// A head. `None`: the peer closed before one began.
    #[track_caller]
    pub fn try_read_head(&mut self) -> Option<Head> {
        (!self.buf.is_empty() || self.fill()).then(|| self.read_head())
    }

    /// A request with its body. `None`: the peer closed before one began.
    #[track_caller]
    pub fn try_read_request(&mut self) -> Option<Request> {
        self.try_read_head().map(|head| self.read_request_after(head))
    }

    /// The request that has this head.
    #[track_caller]
    pub fn read_request_after(&mut self, head: Head) -> Request {
        let Body { bytes, trailers, end, .. } = self.read_body(head.request_framing());
        Request { head, body: bytes, trailers, end }
    }

    /// A request with its body.
    #[track_caller]
    pub fn read_request(&mut self) -> Request {
        self.try_read_request().expect("a request, not the end of the connection")
    }

    /// A response to GET or another method that lets it have a body. Interim responses are responses here, too.
    #[track_caller]
    pub fn read_response(&mut self) -> Response {
        self.read_response_to("GET")
    }

    /// A response to `method`.
    #[track_caller]
    pub fn read_response_to(&mut self, method: &str) -> Response {
        let head = self.read_head();
        let framing = head.response_framing(method);
        let Body { bytes, chunks, trailers, end } = self.read_body(framing);
        Response { status: head.status(), head, framing, body: bytes, chunks, trailers, end }
    }

    #[track_caller]
    fn read_body(&mut self, framing: BodyFraming) -> Body {
        let mut body =
            Body { bytes: Vec::new(), chunks: Vec::new(), trailers: Vec::new(), end: End::Complete };
        match framing {
            BodyFraming::None => {}
            BodyFraming::Length(length) => self.read_part(length, &mut body),
            BodyFraming::Chunked => self.read_chunks(&mut body),
            BodyFraming::UntilClose => (body.bytes, body.end) = self.read_to_end(),
        }
        body
    }

    /// Appends the next `count` bytes to the body, or what there is of them.
    #[track_caller]
    fn read_part(&mut self, count: usize, body: &mut Body) {
        while self.buf.len() < count {
            if !self.fill() {
                body.end = self.end.unwrap();
                break;
            }
        }
        let part = self.take(count.min(self.buf.len()));
        body.bytes.extend_from_slice(&part);
    }

    #[track_caller]
    fn read_chunks(&mut self, body: &mut Body) {
        loop {
            let Some(line) = self.try_read_until(b"\r\n") else {
                body.end = self.end.unwrap();
                return;
            };
            let line = text_of(&line[..line.len() - 2]);
            let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("a chunk size: {line:?}"));
            if size == 0 {
                return self.read_trailers(body);
            }
            self.read_part(size, body);
            if body.end != End::Complete {
                return;
            }
            body.chunks.push(size);
            let mut crlf =
                Body { bytes: Vec::new(), chunks: Vec::new(), trailers: Vec::new(), end: End::Complete };
            self.read_part(2, &mut crlf);
            body.end = crlf.end;
            if body.end != End::Complete {
                return;
            }
            assert_eq!(crlf.bytes, b"\r\n", "a chunk ends in CRLF");
        }
    }

    #[track_caller]
    fn read_trailers(&mut self, body: &mut Body) {
        loop {
            match self.try_read_until(b"\r\n") {
                None => {
                    body.end = self.end.unwrap();
                    return;
                }
                Some(line) if line == b"\r\n" => return,
                Some(line) => body.trailers.push(text_of(&line[..line.len() - 2])),
            }
        }
    }

    /// Fails unless the peer ends the stream in order, now, without another byte.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        let (rest, end) = self.read_to_end();
        assert_eq!(
            (text_of(&rest), end),
            (String::new(), End::Complete),
            "an orderly end and nothing before it"
        );
    }

    /// Fails unless the peer ends the stream, in order or by a reset, without another byte.
    #[track_caller]
    pub fn expect_close(&mut self) {
        let (rest, _) = self.read_to_end();
        assert_eq!(text_of(&rest), "", "an end and nothing before it");
    }

    /// Fails unless the peer resets the connection.
    #[track_caller]
    pub fn expect_reset(&mut self) {
        assert_eq!(self.read_to_end().1, End::Reset);
    }

    /// Whether something can be read, or the end has come; without waiting.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = self.socket.recv_with_flags(&mut byte, libc::MSG_DONTWAIT | libc::MSG_PEEK);
        self.buf.is_empty()
            && self.end.is_none()
            && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether the peer says something, or ends the stream, within `wait`. Takes nothing.
    pub fn stirs(&self, wait: Duration) -> bool {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let peeked = loop {
            match self.socket.peek(&mut [std::mem::MaybeUninit::uninit()]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                peeked => break peeked,
            }
        };
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // A reset is an end as well.
        !peeked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Ends our direction.
    pub fn finish(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
