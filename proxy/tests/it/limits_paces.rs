//! Clients that send or read too slowly, and those that only look it.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use socket2::{SockAddr, Socket, Type};

use crate::{
    harness::{
        Client, Driver, End, Origin, Proxy, Setup,
        replies::{GET, OK},
    },
    limits::{LOG, logs},
};

/// Longer than a client is judged over.
const LONG: Duration = Duration::from_secs(7);
const MIB: usize = 1024 * 1024;

/// Lets time pass: slowness is what these tests are about.
fn dawdle(time: Duration) {
    let (_never, pause) = mpsc::channel::<()>();
    let _ = pause.recv_timeout(time);
}

fn slow_senders(driver: Driver) -> (Origin, Proxy) {
    let origin = Origin::serve(|mut wire| {
        while wire.try_read_request().is_some_and(|request| request.end == End::Complete) && wire.try_send(OK)
        {
        }
    });
    let setup = Setup::to(&origin).listener("timeouts.request_body_rate_min = \"1KiB\"").and(LOG);
    (origin, setup.start(driver))
}

/// Sends a byte now and then until the proxy says something.
#[track_caller]
fn drip(client: &mut Client, byte: &[u8]) {
    let start = Instant::now();
    while client.try_send(byte) && !client.stirs(Duration::from_millis(20)) {
        assert!(start.elapsed() < Duration::from_secs(25), "it may go on for ever");
    }
}

/// A client whose socket holds little that it has not read.
#[track_caller]
fn narrow(proxy: &Proxy) -> Client {
    let to: SockAddr = proxy.address().parse::<std::net::SocketAddr>().unwrap().into();
    let socket = Socket::new(to.domain(), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(&to).unwrap();
    Client::new(socket)
}

/// An origin whose responses have so long a body, of stated length or in chunks.
fn large(length: usize, chunked: bool) -> Origin {
    Origin::serve(move |mut wire| {
        while wire.try_read_request().is_some() {
            let head = if chunked {
                "Transfer-Encoding: chunked".into()
            } else {
                format!("Content-Length: {length}")
            };
            let mut sent = wire.try_send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
            let piece = vec![b'x'; MIB / 4];
            for _ in 0..length / piece.len() {
                if chunked {
                    sent = sent && wire.try_send(format!("{:x}\r\n", piece.len()));
                }
                sent = sent && wire.try_send(&piece);
                if chunked {
                    sent = sent && wire.try_send("\r\n");
                }
            }
            if chunked {
                sent = sent && wire.try_send("0\r\n\r\n");
            }
            if !sent {
                return;
            }
        }
    })
}

both_drivers! {
    fn a_body_in_drips(driver) {
        let (_origin, proxy) = slow_senders(driver);
        let mut length = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        let mut chunked = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let other = std::thread::spawn(move || {
            drip(&mut chunked, b"1\r\nx\r\n");
            chunked.read_response().expect(408).says_close()
        });
        drip(&mut length, b"x");
        assert!(length.read_response().expect(408).says_close());
        assert!(other.join().unwrap());
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"request_body_rate_min\"", 2);
        assert_eq!(proxy.metric("ringlane_timeouts_total", "timeout=\"request_body_idle\""), 0);
        logs(&proxy, "CR");
    }

    /// Of a long body, which is spliced; and much of it at the beginning buys no time later.
    fn a_spliced_body_in_drips(driver) {
        let (_origin, proxy) = slow_senders(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
        client.send(vec![b'x'; MIB]);
        drip(&mut client, b"x");
        client.read_response().expect(408);
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"request_body_rate_min\"", 1);
    }

    /// One that keeps to the rate is served, however long it takes.
    fn a_sender_that_is_quick_enough(driver) {
        let (_origin, proxy) = slow_senders(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40960\r\n\r\n");
        for _ in 0..40 {
            client.send([b'x'; 1024]);
            dawdle(Duration::from_millis(200));
        }
        client.read_response().expect(200);
    }

    /// A client that waits for an upstream, be it for 100 or because nobody takes its body, is not slow.
    fn a_slow_upstream_is_not_the_clients_fault(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).listener("timeouts.request_body_rate_min = \"1MiB\"").start(driver);
        let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n";
        let mut polite = proxy.asking(head);
        let mut upstream = origin.accept();
        upstream.read_head();
        let mut sender = proxy.asking(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 32 * MIB));
        let mut deaf = origin.accept();
        deaf.read_head();
        let mut second = sender.second();
        let sending = std::thread::spawn(move || second.try_send(vec![b'x'; 32 * MIB]));
        assert!(!polite.stirs(LONG), "{:?}", polite.read_head());
        upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(polite.read_head().status(), 100);
        polite.send([b'x'; 20]);
        upstream.read_exact(20);
        upstream.send(OK);
        polite.read_response().expect(200);
        deaf.read_exact(32 * MIB);
        deaf.send(OK);
        assert!(sending.join().unwrap());
        sender.read_response().expect(200);
    }

    fn a_reader_that_does_not_read(driver) {
        for chunked in [false, true] {
            let origin = large(64 * MIB, chunked);
            let setup = Setup::to(&origin).listener("timeouts.response_rate_min = \"100KiB\"").and(LOG);
            let proxy = setup.start(driver);
            let mut client = narrow(&proxy);
            client.send(GET);
            proxy.await_metric("ringlane_timeouts_total", "timeout=\"response_rate_min\"", 1);
            assert_eq!(proxy.metric("ringlane_timeouts_total", ""), 1);
            logs(&proxy, "CS");
            let (got, _) = client.read_to_end();
            assert!(got.len() < 64 * MIB, "it was cut");
            proxy.await_metric("ringlane_connections_active", "", 0);
        }
    }

    /// One that reads now and then, above the rate, gets all of it; also where the kernel holds so much that nothing can be
    /// written for longer than it is judged over.
    fn a_reader_that_is_quick_enough(driver) {
        for chunked in [false, true] {
            let origin = large(8 * MIB, chunked);
            let proxy = Setup::to(&origin).listener("timeouts.response_rate_min = \"4KiB\"").start(driver);
            let mut client = narrow(&proxy);
            client.send(GET);
            client.read_head();
            for _ in 0..40 {
                client.read_exact(16 * 1024);
                dawdle(Duration::from_millis(250));
            }
            client.read_exact(7 * MIB);
            assert_eq!(proxy.metric("ringlane_timeouts_total", ""), 0);
        }
    }

    /// An upstream that sends now and then, to a client that takes it at once.
    fn a_slow_response_is_not_the_readers_fault(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).listener("timeouts.response_rate_min = \"1MiB\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
        client.read_head();
        client.read_exact(1);
        assert!(!client.stirs(LONG));
        upstream.send("bc");
        assert_eq!(client.read_exact(2), b"bc");
    }
}
