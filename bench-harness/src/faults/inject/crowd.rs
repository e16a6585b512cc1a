//! Many connections at once: all open, then all ask, then all stay.
use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use super::{Done, sleep_until};
use crate::{
    client::{Answer, connect, exchange},
    fault::Result,
};

/// How many a crowd is.
pub(super) const CROWD: usize = 10_000;
/// Threads that open and ask.
const THREADS: usize = 8;
const REQUEST: &[u8] = b"GET /bytes/13 HTTP/1.1\r\nHost: crowd.test\r\n\r\n";
const ANSWER: &str = "Hello, World!";

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    opened: u64,
    answered: u64,
    refused: u64,
    failed: u64,
    wrong: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.wrong += other.wrong;
    }

    fn count(&mut self, answer: Result<Answer>) {
        match answer {
            Ok(Answer { status: 200, body }) if body == ANSWER => self.answered += 1,
            Ok(Answer { status: 200, .. }) => self.wrong += 1,
            Ok(_) => self.refused += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// So many, until then.
pub(super) fn gather(address: SocketAddr, connections: usize, until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let (all, open) = of_crowd(address, connections, until);
    sleep_until(until);
    drop(open);
    let Counts { opened, answered, refused, failed, wrong } = all;
    let open_files = open_files().map_or(String::new(), |n| format!(" (each process may open {n} files)"));
    let note = format!(
        "{opened} of {connections} connections open{open_files}: {answered} answered, {refused} refused, {failed} failed"
    );
    Ok(Done { note: Some(note), wrong, ..Done::since(begin) })
}

/// What became of them, and those that are open.
fn of_crowd(address: SocketAddr, connections: usize, until: Instant) -> (Counts, Vec<TcpStream>) {
    let (mut all, mut open) = (Counts::default(), Vec::with_capacity(connections));
    thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS)
            .map(|n| connections / THREADS + usize::from(n < connections % THREADS))
            .map(|share| scope.spawn(move || part(address, share, until)))
            .collect();
        for (counts, streams) in parts.into_iter().filter_map(|part| part.join().ok()) {
            all.add(&counts);
            open.extend(streams);
        }
    });
    (all, open)
}

fn part(address: SocketAddr, share: usize, until: Instant) -> (Counts, Vec<TcpStream>) {
    let mut counts = Counts::default();
    let mut open: Vec<TcpStream> = Vec::with_capacity(share);
    for _ in 0..share {
        if Instant::now() >= until {
            break;
        }
        match connect(address) {
            Ok(stream) => open.push(stream),
            Err(_) => counts.failed += 1,
        }
    }
    counts.opened = open.len() as u64;
    // One that can't be written to says so when it is read.
    open.iter_mut().for_each(|stream| drop(stream.write_all(REQUEST)));
    for stream in &mut open {
        if Instant::now() >= until {
            break;
        }
        counts.count(exchange(stream, b""));
    }
    (counts, open)
}

/// The limit of this process, which those that it starts have too.
fn open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the struct that it is given.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener, time::Duration};

    use super::*;

    #[test]
    fn answers_refusals_and_wrong_answers_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (stream, answer) in listener.incoming().zip(["200 OK", "503 No", "200 OK"].iter().cycle()) {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1000]);
                    let body = if answer.starts_with('5') { "no" } else { ANSWER };
                    let _ =
                        write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                });
            }
        });
        let (counts, open) = of_crowd(address, 30, Instant::now() + Duration::from_secs(60));
        assert_eq!(open.len(), 30);
        assert_eq!(counts, Counts { opened: 30, answered: 20, refused: 10, ..Counts::default() });
        let mut counts = Counts::default();
        counts.count(Ok(Answer { status: 200, body: "Hello".into() }));
        assert_eq!(counts.wrong, 1);
    }
}
