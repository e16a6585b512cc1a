//! Requests with ever new keys for a rate limit, pipelined, on a route that needs no upstream.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use super::{Done, sleep_until};
use crate::{
    client::connect,
    fault::{At, Fault, Result},
    http::{
        find_head_end,
        response::{self, Framing},
    },
};

/// How many there are at most.
const KEYS: u64 = 1_000_000;
const THREADS: usize = 4;
/// Requests in one write. They fit into the sockets' buffers, as do their answers.
const BATCH: u64 = 64;
const ANSWER: &[u8] = b"k";
const READ_BYTES: usize = 16 * 1024;

/// What came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    limited: u64,
    other: u64,
    wrong: u64,
}

/// Sends keys until all are sent, or until then.
pub(super) fn flood(address: SocketAddr, until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    let mut all = Counts::default();
    let mut lost = 0_u64;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| part(address, &next, until))).collect();
        for part in parts {
            let Ok((counts, fault)) = part.join() else { continue };
            all = all.plus(counts);
            lost += u64::from(fault.is_some());
        }
    });
    let keys = all.passed + all.limited + all.other + all.wrong;
    let took = begin.elapsed().as_secs_f64();
    let Counts { passed, limited, other, wrong } = all;
    let note = format!(
        "{keys} keys in {took:.1} s: {passed} passed, {limited} limited, {other} answered otherwise, {lost} connections lost"
    );
    sleep_until(until);
    Ok(Done { note: Some(note), wrong, ..Done::since(begin) })
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            limited: self.limited + other.limited,
            other: self.other + other.other,
            wrong: self.wrong + other.wrong,
        }
    }

    fn count(&mut self, status: u16, body: &[u8]) {
        match status {
            200 if body == ANSWER => self.passed += 1,
            200 => self.wrong += 1,
            429 => self.limited += 1,
            _ => self.other += 1,
        }
    }
}

/// One connection; what it counted, and why it ended if it did.
fn part(address: SocketAddr, next: &AtomicU64, until: Instant) -> (Counts, Option<Fault>) {
    let mut counts = Counts::default();
    let fault = connect(address).and_then(|mut stream| {
        while Instant::now() < until {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= KEYS {
                break;
            }
            let batch: String = (first..first + BATCH).map(request).collect();
            stream.write_all(batch.as_bytes()).at("write")?;
            answers(&mut stream, &mut counts)?;
        }
        Ok(())
    });
    (counts, fault.err())
}

fn request(key: u64) -> String {
    format!("GET /keys HTTP/1.1\r\nHost: keys.test\r\nX-Key: key-{key}\r\n\r\n")
}

/// Reads the answers to one batch.
fn answers(stream: &mut TcpStream, counts: &mut Counts) -> Result<()> {
    let (mut reply, mut piece) = (Vec::new(), vec![0; READ_BYTES]);
    let (mut at, mut left) = (0, BATCH);
    while left > 0 {
        let unread = reply.get(at..).unwrap_or_default();
        if let Some(length) = one(unread, counts)? {
            (at, left) = (at + length, left - 1);
            continue;
        }
        match stream.read(&mut piece).at("read")? {
            0 => return Err(Fault::new("closed")),
            n => reply.extend_from_slice(&piece[..n]),
        }
    }
    Ok(())
}

/// Counts the first answer of `unread`; its length, once it is whole.
fn one(unread: &[u8], counts: &mut Counts) -> Result<Option<usize>> {
    let Some(end) = find_head_end(unread, 0) else { return Ok(None) };
    let head = response::parse(unread.get(..end).unwrap_or_default(), false).map_err(Fault::new)?;
    let Framing::Length(n) = head.framing else { return Err(Fault::new("an answer without a length")) };
    let whole = end.saturating_add(n as usize);
    let Some(body) = unread.get(end..whole) else { return Ok(None) };
    counts.count(head.status, body);
    Ok(Some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_one_by_one() {
        let mut counts = Counts::default();
        let two =
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nkHTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno";
        let first = one(two, &mut counts).unwrap().unwrap();
        assert_eq!(one(&two[first..], &mut counts).unwrap(), Some(two.len() - first));
        assert_eq!(counts, Counts { passed: 1, limited: 1, ..Counts::default() });
        assert_eq!(one(&two[..first - 1], &mut counts).unwrap(), None);
        let other = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        one(other, &mut counts).unwrap();
        assert_eq!(counts.wrong, 1);
        assert_ne!(request(1), request(2));
    }
}
