//! A whole exchange over loopback sockets: client, proxy and origin are tasks of one event loop on one thread, so that
//! no context switch and no other core has a say. The same exchange without the proxy, client and origin alone, stands
//! beside it: the difference is what the proxy adds.

use std::{
    io,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use ringlane::{
    route::{Action, Predicates},
    worker::{measure::Bench, runtime::Chosen},
};

use crate::{
    case::{Case, OURS},
    driver, tables,
};

const REQUEST: &[u8] =
    b"GET /hello HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const BODY: &[u8] = b"Hello, world!";
/// Exchanges before anything is measured.
const WARM_UP: u64 = 200;
const COUNTED: u64 = 1000;

/// A client's connection, to the proxy or straight to the origin, and the event loop that all of them run in.
pub struct Setting {
    worker: Bench,
    client: Option<Client>,
}

struct Client {
    stream: monoio::net::TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// Two connected ends.
fn connect(listener: &TcpListener, epoll: bool) -> io::Result<(TcpStream, TcpStream)> {
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for end in [&near, &far] {
        end.set_nodelay(true)?;
        // The ring waits by itself, epoll wants sockets that do not.
        end.set_nonblocking(epoll)?;
    }
    Ok((near, far))
}

/// Answers whatever comes in one piece.
async fn answer(mut stream: monoio::net::TcpStream) {
    let (mut buf, mut response) = (Vec::with_capacity(4096), RESPONSE.to_vec());
    loop {
        let (read, filled) = stream.read(buf).await;
        buf = filled;
        if !matches!(read, Ok(1..)) || !buf.ends_with(b"\r\n\r\n") {
            return;
        }
        let (written, sent) = stream.write_all(response).await;
        response = sent;
        if written.is_err() {
            return;
        }
    }
}

impl Setting {
    /// On the driver `chosen`, with the proxy in between or without.
    pub fn new(chosen: Chosen, proxied: bool) -> io::Result<Setting> {
        let origin = TcpListener::bind("127.0.0.1:0")?;
        let upstream = tables::upstream(0, &[origin.local_addr()?.into()]);
        let routes = vec![tables::route(Predicates::default(), Action::Upstream(0))];
        let mut worker = Bench::new(chosen, tables::table(1, routes, vec![upstream]))?;
        let epoll = worker.is_epoll();
        let near = if proxied {
            let (near, far) = connect(&TcpListener::bind("127.0.0.1:0")?, epoll)?;
            worker.serve(OwnedFd::from(far))?;
            worker.block_on(async move {
                origin.set_nonblocking(true)?;
                let origin = monoio::net::TcpListener::from_std(origin)?;
                monoio::spawn(async move {
                    while let Ok((stream, _)) = origin.accept().await {
                        let _ = stream.set_nodelay(true);
                        monoio::spawn(answer(stream));
                    }
                });
                io::Result::Ok(())
            })?;
            near
        } else {
            let (near, far) = connect(&origin, epoll)?;
            worker.block_on(async {
                monoio::spawn(answer(monoio::net::TcpStream::from_std(far)?));
                io::Result::Ok(())
            })?;
            near
        };
        let stream = worker.block_on(async { monoio::net::TcpStream::from_std(near) })?;
        let client = Client { stream, request: REQUEST.to_vec(), answer: Vec::with_capacity(4096) };
        let mut setting = Setting { worker, client: Some(client) };
        setting.exchange(WARM_UP, |_| {})?;
        Ok(setting)
    }

    /// So many exchanges, one after the other. Each one's length is told to `took`.
    pub fn exchange(&mut self, count: u64, mut took: impl FnMut(Duration)) -> io::Result<()> {
        let Some(mut client) = self.client.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let client = self.worker.block_on(async {
            for _ in 0..count {
                let started = Instant::now();
                client = client.exchange().await?;
                took(started.elapsed());
            }
            io::Result::Ok(client)
        })?;
        self.client = Some(client);
        Ok(())
    }
}

impl Client {
    async fn exchange(mut self) -> io::Result<Client> {
        let (written, request) = self.stream.write_all(self.request).await;
        written?;
        let (read, answer) = self.stream.read(self.answer).await;
        // Head and body are one write of the origin's, and one of the proxy's.
        if read? == 0 || !answer.starts_with(b"HTTP/1.1 200 OK\r\n") || !answer.ends_with(BODY) {
            return Err(io::Error::other(format!("not the answer: {}", answer.escape_ascii())));
        }
        Ok(Client { stream: self.stream, request, answer })
    }
}

fn setting(proxied: bool) -> Setting {
    Setting::new(driver(), proxied).unwrap_or_else(|error| panic!("{error}"))
}

fn case(design: &'static str, proxied: bool) -> Case {
    Case::new(("exchange", "13 B", design), COUNTED, move || {
        let mut setting = setting(proxied);
        Box::new(move |operations| {
            setting.exchange(operations, |_| {}).unwrap_or_else(|error| panic!("{error}"));
        })
    })
}

/// What the report subtracts from ours.
pub const WITHOUT: &str = "client and origin alone";

/// With the proxy and without it.
pub fn cases() -> Vec<Case> {
    vec![case(WITHOUT, false), case(OURS, true)]
}

/// The lengths of so many exchanges through the proxy, in nanoseconds.
pub fn histogram(count: u64) -> Histogram<u64> {
    let minute = Duration::from_secs(60).as_nanos() as u64;
    let mut lengths = Histogram::new_with_max(minute, 3).unwrap_or_else(|error| panic!("{error}"));
    let mut setting = setting(true);
    let record = |took: Duration| lengths.saturating_record(took.as_nanos() as u64);
    setting.exchange(count, record).unwrap_or_else(|error| panic!("{error}"));
    lengths
}
