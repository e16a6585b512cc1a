//! Origin, floor and load generator over real sockets: their counts agree to the request.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use ringlane_bench::load::tally::Kind;
use server::{Server, assert_clean, drive, raw};

#[test]
fn counts_agree_for_every_kind_of_body() {
    for (path, options) in [
        ("/", "-c 4"),
        ("/bytes/13", "-c 4"),
        ("/bytes/1000000", "-c 2"),
        ("/bytes/6000000", "-c 1"),
        ("/chunked/100000", "-c 2"),
        ("/chunked/6000000", "-c 1"),
        ("/close/5000", "-c 2"),
        ("/bytes/13", "-c 2 --new-connection"),
        ("/bytes/13", "-c 1 --method HEAD"),
        ("/echo", "-c 2 --method POST --body-bytes 3000000"),
        ("/upload", "-c 2 --method POST --body-bytes 100000"),
        ("/status/503", "-c 1 --status 503"),
        ("/status/204", "-c 1 --status 204"),
        ("/delay/5", "-c 3"),
        ("/headers", "-c 1 --header X-A:b"),
    ] {
        let echo = Server::echo();
        let outcome = drive(&echo, path, options);
        assert_clean(&outcome);
        let stats = echo.stats();
        assert_eq!(stats.requests, outcome.tally.requests_all, "{path} {options}");
        assert_eq!((stats.bad_requests, stats.cut_requests), (0, 0), "{path} {options}");
        // The probe before the run and the request for the counters are two more.
        assert_eq!(stats.connections, outcome.tally.connections + 2, "{path} {options}");
    }
}

#[test]
fn epoll_and_two_threads_count_the_same() {
    let echo = Server::start(&["echo", "--listen", "127.0.0.1:0", "--driver", "epoll"]);
    let outcome = drive(&echo, "/bytes/100", "-c 4 --driver epoll --cores 0,0");
    assert_clean(&outcome);
    assert_eq!(echo.stats().requests, outcome.tally.requests_all);
}

#[test]
fn the_floor_changes_nothing() {
    for driver in ["io_uring", "epoll"] {
        let echo = Server::echo();
        let upstream = echo.address.to_string();
        let floor =
            Server::start(&["floor", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--driver", driver]);
        let small = drive(&floor, "/bytes/13", &format!("-c 4 --pid {}", floor.pid()));
        let large = drive(&floor, "/bytes/1000000", "-c 2");
        let fresh = drive(&floor, "/bytes/13", "-c 2 --new-connection");
        let mut requests = 0;
        for outcome in [&small, &large, &fresh] {
            assert_clean(outcome);
            requests += outcome.tally.requests_all;
        }
        let stats = echo.stats();
        assert_eq!(stats.requests, requests);
        assert!(stats.connections <= 4 + 2, "the floor keeps its upstream connections: {stats:?}");
        assert!(small.cpu_us.is_some_and(|us| us > 0.0));
    }
}

#[test]
fn what_is_wrong_is_found_and_named() {
    let echo = Server::echo();
    for (path, options, kind) in [
        ("/bytes/13", "--expect-bytes 12", Kind::Length),
        ("/chunked/13", "--expect-bytes 12", Kind::Length),
        ("/status/500", "", Kind::Status),
        ("/delay/10000", "--timeout 100ms", Kind::Timeout),
    ] {
        let outcome = drive(&echo, path, &format!("-c 1 {options}"));
        assert_eq!(outcome.tally.errors_total(), outcome.tally.errors[kind as usize], "{path}");
        assert!(outcome.tally.errors_total() > 0 && !outcome.tally.examples.is_empty(), "{path}");
    }
    let floor = Server::floor(&echo);
    drop(echo);
    let outcome = drive(&floor, "/bytes/13", "-c 1");
    assert!(outcome.tally.errors[Kind::Closed as usize] > 0, "{:?}", outcome.tally.examples);
    assert_eq!(outcome.tally.requests_all, 0);
}

#[test]
fn the_origin_judges_what_it_is_sent() {
    let echo = Server::echo();
    let reply = raw(
        echo.address,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    let stats = echo.stats();
    assert_eq!((stats.requests, stats.bad_requests), (0, 1));
    assert!(stats.last_bad_request.contains("Transfer-Encoding"), "{}", stats.last_bad_request);
}

#[test]
fn the_origin_answers_in_order_and_continues_when_asked() {
    let echo = Server::echo();
    let reply = raw(
        echo.address,
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\n\r\n\
         GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nHello\
         GET /headers HTTP/1.0\r\n\r\n",
    );
    let places: Vec<_> = [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "\r\n\r\nHello",
        "{\"bytes\":5,\"crc32\":\"f7d18982\"}",
        "Connection: close\r\n\r\nGET /headers HTTP/1.0\r\n\r\n",
    ]
    .iter()
    .map(|part| reply.find(part).unwrap_or_else(|| panic!("{part:?} is missing in {reply}")))
    .collect();
    assert!(places.is_sorted(), "{places:?} in {reply}");
    assert_eq!(echo.stats().requests, 4);
}
