//! Requests that are tried again: for which reasons, where, how often, and who is told.

use std::net::TcpListener;

use crate::harness::{
    Origin, Proxy, Setup, Step,
    replies::{GET, OK, get, ok},
};

pub const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// An upstream at these addresses in turn, whose tries follow each other at once.
pub fn at(addresses: &[&str]) -> Setup {
    resting(addresses, "0s")
}

/// As `at`, with a wait of up to `backoff` before each further try.
fn resting(addresses: &[&str], backoff: &str) -> Setup {
    let waits = format!("retries.backoff = {backoff:?}\nretries.backoff_max = {backoff:?}");
    let each = "balance = \"round_robin\"\nretries.header = true";
    Setup::to_endpoints(addresses).upstream(each).upstream(&waits)
}

/// As `at`, for two origins.
pub fn between(a: &Origin, b: &Origin) -> Setup {
    at(&[&a.address(), &b.address()])
}

/// Further tries that were made for this reason.
pub fn retries(proxy: &Proxy, reason: &str) -> u64 {
    proxy.metric("ringlane_retries_total", &format!("reason=\"{reason}\""))
}

/// Fails unless this is the only reason for which a further try was made, and it was one.
#[track_caller]
fn only(proxy: &Proxy, reason: &str) {
    assert_eq!((retries(proxy, reason), proxy.metric("ringlane_retries_total", "")), (1, 1), "{reason}");
}

/// An address that nobody listens on.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

both_drivers! {
    fn after_a_status_at_another_endpoint(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
        let proxy = between(&a, &b).start(driver);
        let response = proxy.connect().ask(get("/x?y")).expect(200);
        assert_eq!((response.text().as_str(), response.field("x-ringlane-attempts")), ("b", Some("2")));
        assert_eq!(a.request().head, b.request().head);
        only(&proxy, "status");
        // All of the discarded response had come: its connection serves on.
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 2);
    }

    fn after_a_reset_before_a_response(driver) {
        for end in [Step::Reset, Step::Close] {
            let a = Origin::script(&[Step::Request, end]);
            let b = Origin::replies(&[ok("b")]);
            let proxy = between(&a, &b).start(driver);
            assert_eq!(proxy.get("/").expect(200).text(), "b");
            only(&proxy, "reset");
        }
    }

    fn after_too_long_without_a_head(driver) {
        for bound in ["retries.try_timeout = \"100ms\"", "timeouts.response_head = \"100ms\""] {
            let (a, b) = (Origin::manual(), Origin::replies(&[ok("b")]));
            let proxy = between(&a, &b).upstream(bound).start(driver);
            let (mut client, mut upstream) = proxy.under_way(&a, GET);
            assert_eq!(client.read_response().expect(200).text(), "b");
            upstream.expect_close();
            only(&proxy, "timeout");
        }
    }

    /// Nothing was sent, so nothing can come of it twice.
    fn after_a_connection_that_was_not_taken_whatever_the_method(driver) {
        for request in [GET, POST] {
            let b = Origin::replies(&[ok("b")]);
            let proxy = at(&[&nobody(), &b.address()]).start(driver);
            let response = proxy.connect().ask(request).expect(200);
            assert_eq!(response.text(), "b");
            // It was sent once.
            assert_eq!(response.field("x-ringlane-attempts"), Some("1"));
            only(&proxy, "connect");
        }
    }

    fn only_for_reasons_in_the_list(driver) {
        let b = Origin::replies(&[ok("b")]);
        for (on, a) in [
            ("[502, \"connect\", \"timeout\"]", Origin::replies(&[BUSY])),
            ("[503, \"connect\", \"timeout\"]", Origin::script(&[Step::Request, Step::Reset])),
            ("[503, \"connect\", \"reset\"]", Origin::replies(&["HTTP/1.1 200 OK\r\nbad\r\n\r\n"])),
        ] {
            let proxy = between(&a, &b).upstream(&format!("retries.on = {on}")).start(driver);
            let response = proxy.get("/");
            assert!(response.status >= 502, "{response:?}");
            assert_eq!(response.field("x-ringlane-attempts"), Some("1"));
        }
        let proxy = at(&[&nobody(), &b.address()]).upstream("retries.on = [503]").start(driver);
        proxy.get("/").expect(502);
        assert_eq!(b.connections(), 0);
    }

    /// Without the table a response is a response.
    fn not_unless_asked_to(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[OK]));
        let proxy = Setup::to_endpoints(&[&a.address(), &b.address()])
            .upstream("balance = \"round_robin\"")
            .start(driver);
        let response = proxy.get("/").expect(503);
        assert_eq!((response.text().as_str(), response.field("x-ringlane-attempts")), ("busy", None));
        assert_eq!(b.connections(), 0);
    }

    /// The upstream may have done what it was asked to.
    fn what_may_have_had_an_effect_is_never_sent_twice(driver) {
        let b = Origin::replies(&[OK]);
        for request in [POST, "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            for (a, status) in [
                (Origin::replies(&[BUSY]), 503),
                (Origin::script(&[Step::Request, Step::Reset]), 502),
                (Origin::script(&[Step::Request, Step::ReadToEnd]), 504),
            ] {
                let proxy = between(&a, &b).upstream("retries.try_timeout = \"100ms\"").start(driver);
                proxy.connect().ask(request).expect(status);
                assert_eq!(proxy.metric("ringlane_retries_total", ""), 0);
            }
        }
        assert_eq!(b.connections(), 0);
    }

    fn unless_all_methods_are_allowed(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
        let proxy = between(&a, &b).upstream("retries.methods = \"all\"").start(driver);
        assert_eq!(proxy.connect().ask(POST).expect(200).text(), "b");
        assert_eq!((a.request().text(), b.request().text()), ("hi".to_owned(), "hi".to_owned()));
    }

    fn the_last_answer_is_the_clients(driver) {
        let a = Origin::replies(&[BUSY]);
        let b = Origin::replies(&["HTTP/1.1 502 Bad Gateway\r\nX: b\r\nContent-Length: 4\r\n\r\nlast"]);
        let proxy = between(&a, &b).upstream("retries.max = 1").start(driver);
        let response = proxy.get("/").expect(502);
        assert_eq!((response.text().as_str(), response.field("x")), ("last", Some("b")));
        // Or what became of the last try.
        let b = Origin::script(&[Step::Request, Step::Reset]);
        let proxy = between(&a, &b).upstream("retries.max = 1").start(driver);
        assert_eq!(proxy.get("/").expect(502).field("x-ringlane-attempts"), Some("2"));
    }

    /// All endpoints before any of them again; then not the one that was tried last.
    fn in_turn_when_all_have_been_tried(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[BUSY]));
        let proxy = between(&a, &b).upstream("retries.max = 5").start(driver);
        assert_eq!(proxy.get("/").expect(503).field("x-ringlane-attempts"), Some("6"));
        assert_eq!((a.requests().len(), b.requests().len()), (3, 3));
    }

    fn at_the_only_endpoint_there_is(driver) {
        let a = Origin::replies(&[BUSY, BUSY, OK]);
        let proxy = at(&[&a.address()]).start(driver);
        assert_eq!(proxy.get("/").expect(200).field("x-ringlane-attempts"), Some("3"));
        assert_eq!(a.connections(), 1, "the discarded responses were whole");
    }

    /// A connection is not read to the end of a response that nobody wants.
    fn a_discarded_response_that_is_not_whole_ends_its_connection(driver) {
        for head in [
            "HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\nthe first of it",
            "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
            "HTTP/1.1 503 Busy\r\n\r\nuntil the end",
            "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        ] {
            let (a, b) = (Origin::manual(), Origin::replies(&[ok("b")]));
            let proxy = between(&a, &b).start(driver);
            let (mut client, mut upstream) = proxy.under_way(&a, GET);
            upstream.send(head);
            assert_eq!(client.read_response().expect(200).text(), "b", "{head}");
            upstream.expect_close();
            client.send(GET);
            let mut fresh = a.accept();
            fresh.read_request();
            fresh.send(ok("a"));
            assert_eq!(client.read_response().expect(200).text(), "a", "{head}");
        }
    }

    fn not_after_a_byte_of_the_response(driver) {
        let b = Origin::replies(&[OK]);
        for begun in ["H", "HTTP/1.1 503 Busy\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"] {
            let a = Origin::script(&[Step::Request, Step::reply(begun), Step::Reset]);
            let proxy = between(&a, &b).start(driver);
            let mut client = proxy.asking(GET);
            let mut response = client.read_response();
            if response.status == 103 {
                response = client.read_response();
            }
            response.expect(502);
        }
        assert_eq!(b.connections(), 0);
    }

    fn a_response_that_is_cut_is_not_made_again(driver) {
        let b = Origin::replies(&[OK]);
        let a = Origin::script(&[
            Step::Request,
            Step::reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            Step::Reset,
        ]);
        let proxy = between(&a, &b).start(driver);
        let response = proxy.connect().ask(GET);
        assert_eq!((response.status, response.end == crate::harness::End::Complete), (200, false));
        assert_eq!(b.connections(), 0);
    }

    /// An interim response belongs to a response: what follows it is the client's, whatever its status.
    fn a_status_after_an_interim_response_is_the_clients(driver) {
        let b = Origin::replies(&[OK]);
        let a = Origin::replies(&[format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{BUSY}")]);
        let proxy = between(&a, &b).start(driver);
        let mut client = proxy.asking(GET);
        assert_eq!(client.read_response().status, 103);
        client.read_response().expect(503);
        assert_eq!(b.connections(), 0);
    }

    /// The load on an upstream that answers nothing but errors grows by the budget and no more.
    fn the_budget_bounds_what_errors_multiply(driver) {
        const REQUESTS: usize = 200;
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[BUSY]));
        let proxy = between(&a, &b)
            .upstream("retries.max = 10\nretries.budget_percent = 20\nretries.budget_min = 0")
            .start(driver);
        let mut client = proxy.connect();
        for _ in 0..REQUESTS {
            client.ask(GET).expect(503);
        }
        let sent = a.requests().len() + b.requests().len();
        // What ten seconds do not use is gone: on a machine that pauses there may be fewer.
        assert!((REQUESTS + 1..=REQUESTS + REQUESTS / 5).contains(&sent), "{sent}");
        assert_eq!(retries(&proxy, "status") as usize, sent - REQUESTS);
        // Each request wanted another try at its end and was refused it.
        assert_eq!(proxy.metric("ringlane_retries_refused_total", ""), REQUESTS as u64);
    }

    fn nobody_is_asked_for_a_client_that_has_left(driver) {
        let a = Origin::manual();
        let proxy = resting(&[&a.address()], "1d").start(driver);
        let (client, mut upstream) = proxy.under_way(&a, GET);
        upstream.send(BUSY);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        client.reset();
        proxy.await_metric("ringlane_client_aborts_total", "", 1);
        assert_eq!(proxy.metric("ringlane_retries_total", ""), 0);
        assert!(upstream.is_quiet());
    }
}
