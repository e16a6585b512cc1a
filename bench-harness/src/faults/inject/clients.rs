//! Clients that are slow, and clients that leave.
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use super::{Done, sleep_until};
use crate::{
    fault::{At, Result},
    memory::visits::{Kind, Visits},
    pattern,
};

/// Threads of each kind of visit.
const VISITORS: usize = 8;
/// Half of them send a byte of a request at a time, half read an answer a little at a time.
const SLOW: usize = 64;
/// From one byte, or one little, to the next.
const PAUSE: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 256;
/// What is asked for: far more than any buffer on its way.
const BODY_BYTES: u64 = 32 << 20;
const SOCKET_BYTES: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What the senders send, a byte at a time, and never to its end.
const REQUEST: &str = "POST /upload HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 100000\r\n\r\n";

/// Visits of these kinds until then.
pub(super) fn visit(address: SocketAddr, kinds: &[Kind], until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let visits = Visits::start(address, kinds, VISITORS);
    sleep_until(until);
    visits.stop();
    let [good, bad] = visits.totals();
    let note = Some(format!("{good} visits that ended early, {bad} that found nobody"));
    Ok(Done { note, ..Done::since(begin) })
}

/// One slow client.
struct Slow {
    stream: TcpStream,
    /// None: it reads.
    sends: Option<usize>,
    /// Bytes of its answer so far.
    read: u64,
    /// In the answer's head the pattern has not begun.
    head: Vec<u8>,
}

/// Slow clients, as many as that at any time; one that the proxy ends is replaced.
pub(super) fn slow(address: SocketAddr, until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let mut clients: Vec<Slow> = (0..SLOW).map(|n| Slow::connect(address, n)).collect::<Result<_>>()?;
    let (mut ended, mut refused, mut wrong) = (0_u64, 0_u64, 0_u64);
    while Instant::now() < until {
        for (n, client) in clients.iter_mut().enumerate() {
            match client.turn() {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => wrong += 1,
                Err(_) => ended += 1,
            }
            match Slow::connect(address, n) {
                Ok(another) => *client = another,
                Err(_) => refused += 1,
            }
        }
        thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
    }
    drop(clients);
    let note =
        format!("{SLOW} slow clients at a time, {ended} ended by the proxy, {refused} connects refused");
    Ok(Done { note: Some(note), wrong, ..Done::since(begin) })
}

impl Slow {
    fn connect(address: SocketAddr, n: usize) -> Result<Self> {
        let place = "a slow client";
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None).at(place)?;
        // Before the connect, which tells the peer of the window.
        socket.set_recv_buffer_size(SOCKET_BYTES).at(place)?;
        socket.connect_timeout(&address.into(), CONNECT_TIMEOUT).at(place)?;
        let mut stream = TcpStream::from(socket);
        let sends = n.is_multiple_of(2).then_some(0);
        if sends.is_none() {
            let request = format!("GET /bytes/{BODY_BYTES} HTTP/1.1\r\nHost: slow.test\r\n\r\n");
            stream.write_all(request.as_bytes()).at(place)?;
        }
        stream.set_nonblocking(true).at(place)?;
        Ok(Self { stream, sends, read: 0, head: Vec::new() })
    }

    /// A byte out, or a little in. An error: it is over; `InvalidData`: what came is not what was asked for.
    fn turn(&mut self) -> io::Result<()> {
        if let Some(at) = &mut self.sends {
            let byte = REQUEST.as_bytes().get(*at).copied().unwrap_or(b'x');
            *at += waited(self.stream.write(&[byte]))?;
            // An answer before the request's end is its end.
            return match waited(self.stream.read(&mut [0; READ_BYTES])) {
                Ok(0) => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let mut piece = [0; READ_BYTES];
        let n = waited(self.stream.read(&mut piece))?;
        self.take(piece.get(..n).unwrap_or_default())
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.read > 0 || self.head.ends_with(b"\r\n\r\n") {
            let good = pattern::matches(self.read, piece);
            self.read += piece.len() as u64;
            return if good { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
        for (at, byte) in piece.iter().enumerate() {
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") {
                if !self.head.starts_with(b"HTTP/1.1 200 ") {
                    // A refusal is the proxy's right.
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                return self.take(piece.get(at + 1..).unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// Nothing to do yet is nothing; the end is an error.
fn waited(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_slow_reader_checks_what_it_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Slow::connect(listener.local_addr().unwrap(), 1).unwrap();
        let mut body = Vec::new();
        pattern::append(&mut body, 0, 100);
        client.take(b"HTTP/1.1 200 OK\r\nContent-Length: 1").unwrap();
        client.take(&[b"00\r\n\r\n".as_slice(), &body[..40]].concat()).unwrap();
        client.take(&body[40..]).unwrap();
        assert_eq!(client.take(b"else").unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut refused = Slow::connect(listener.local_addr().unwrap(), 1).unwrap();
        let error = refused.take(b"HTTP/1.1 503 No\r\n\r\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
