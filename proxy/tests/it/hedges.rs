//! A second try beside a slow first one: who wins, and that nobody gets what was meant for another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::harness::{
    Origin, Proxy, Setup, Wire,
    replies::{GET, OK, get, ok},
};

/// A route to both that hedges so.
fn hedged(a: &Origin, b: &Origin, hedge: &str) -> Setup {
    Setup::to_endpoints(&[&a.address(), &b.address()])
        .upstream("balance = \"round_robin\"")
        .route(&format!("hedge = {{ {hedge} }}"))
}

const SOON: &str = "after = \"30ms\", budget_percent = 100";

/// Second tries, those that have won, and those that the budget did not allow.
fn counted(proxy: &Proxy) -> [u64; 3] {
    ["hedges", "hedges_won", "hedges_refused"].map(|name| proxy.metric(&format!("ringlane_{name}_total"), ""))
}

/// Answers each request with its own path, some only when there has been time for a second try.
fn slow_now_and_then(mut wire: Wire, nth: &AtomicUsize) {
    while let Some(request) = wire.try_read_request() {
        if nth.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) && wire.stirs(Duration::from_millis(60)) {
            return;
        }
        if !wire.try_send(ok(request.target())) {
            return;
        }
    }
}

both_drivers! {
    fn the_second_wins(driver) {
        let (a, b) = (Origin::manual(), Origin::replies(&[ok("b")]));
        let proxy = hedged(&a, &b, SOON).start(driver);
        let (mut client, mut first) = proxy.under_way(&a, get("/x?y"));
        assert_eq!(client.read_response().expect(200).text(), "b");
        assert_eq!(b.request().target(), "/x?y");
        // The loser's connection is closed: what it says now is nobody's.
        first.expect_close();
        assert_eq!(counted(&proxy), [1, 1, 0]);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
        // No hedge for this one, however long the answer takes.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut fresh = a.accept();
        fresh.read_request();
        fresh.send(ok("a"));
        assert_eq!(client.read_response().expect(200).text(), "a");
    }

    /// How slow it is nobody would know otherwise, as its response is never read.
    fn a_balancer_that_goes_by_latency_hears_of_who_has_lost(driver) {
        let (a, b) = (Origin::serve(|mut wire| drop(wire.read_to_end())), Origin::replies(&[ok("b")]));
        let setup = Setup::to_endpoints(&[&a.address(), &b.address()]);
        let setup = setup.upstream("balance = \"peak_ewma\"").route(&format!("hedge = {{ {SOON} }}"));
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        for _ in 0..40 {
            client.send(GET);
            assert_eq!(client.read_response().expect(200).text(), "b");
        }
        // Once, or when both were unknown; some seconds later it would be tried again.
        assert!(a.connections() <= 2, "{} tries at the slow one", a.connections());
    }

    fn the_first_wins_after_all(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = hedged(&a, &b, SOON).start(driver);
        let (mut client, mut first) = proxy.under_way(&a, GET);
        let mut second = b.accept();
        second.read_request();
        first.send(ok("a"));
        assert_eq!(client.read_response().expect(200).text(), "a");
        second.expect_close();
        assert_eq!(counted(&proxy), [1, 0, 0]);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
    }

    /// A first byte is an answer, however long the rest takes.
    fn a_response_that_has_begun_is_waited_for(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = hedged(&a, &b, SOON).start(driver);
        let (mut client, mut first) = proxy.under_way(&a, GET);
        let mut second = b.accept();
        second.read_request();
        second.send("HTTP/1.1 2");
        first.expect_close();
        second.send("00 OK\r\nContent-Length: 1\r\n\r\nb");
        assert_eq!(client.read_response().expect(200).text(), "b");
    }

    fn one_that_fails_has_lost(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = hedged(&a, &b, SOON).start(driver);
        let mut client = proxy.connect();
        for first_fails in [true, false] {
            client.send(GET);
            let (mut first, mut second) = (a.accept(), b.accept());
            first.read_request();
            second.read_request();
            let (loser, mut winner) = if first_fails { (first, second) } else { (second, first) };
            loser.reset();
            winner.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwell");
            assert_eq!(client.read_response().expect(200).text(), "well");
            // The order of turns: a second try has taken b's.
        }
        assert_eq!(counted(&proxy), [2, 1, 0]);
    }

    fn both_may_fail(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = hedged(&a, &b, SOON).start(driver);
        let (mut client, first) = proxy.under_way(&a, GET);
        let mut second = b.accept();
        second.read_request();
        second.reset();
        first.reset();
        client.read_response().expect(502);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }

    fn a_client_that_leaves_ends_both(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = hedged(&a, &b, SOON).start(driver);
        let (client, mut first) = proxy.under_way(&a, GET);
        let mut second = b.accept();
        second.read_request();
        client.reset();
        first.expect_close();
        second.expect_close();
        proxy.await_metric("ringlane_client_aborts_total", "", 1);
    }

    fn only_what_can_be_sent_twice(driver) {
        let (a, b) = (Origin::manual(), Origin::replies(&[OK]));
        for request in [
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ] {
            let proxy = hedged(&a, &b, SOON).start(driver);
            let (mut client, mut first) = proxy.under_way(&a, request);
            assert!(!first.stirs(Duration::from_millis(200)));
            first.send(OK);
            client.read_response().expect(200);
            assert_eq!(counted(&proxy), [0, 0, 0]);
        }
        assert_eq!(b.connections(), 0);
    }

    fn only_at_another_endpoint(driver) {
        let a = Origin::manual();
        let proxy = Setup::to(&a).route(&format!("hedge = {{ {SOON} }}")).start(driver);
        let (mut client, mut first) = proxy.under_way(&a, GET);
        assert!(!first.stirs(Duration::from_millis(200)));
        first.send(OK);
        client.read_response().expect(200);
        assert_eq!((counted(&proxy), a.connections()), ([0, 0, 0], 1));
    }

    /// A second try takes no place that somebody waits for, or will.
    fn only_with_a_connection_to_spare(driver) {
        let (a, b) = (Origin::manual(), Origin::replies(&[OK]));
        let proxy = hedged(&a, &b, SOON).upstream("pool.max_connections = 1").start(driver);
        let (mut client, mut first) = proxy.under_way(&a, GET);
        assert!(!first.stirs(Duration::from_millis(200)));
        first.send(ok("a"));
        assert_eq!(client.read_response().expect(200).text(), "a");
        assert_eq!((counted(&proxy), b.connections()), ([0, 0, 0], 0));
    }

    fn only_within_the_budget(driver) {
        let (a, b) = (Origin::manual(), Origin::replies(&[OK]));
        let proxy = hedged(&a, &b, "after = \"30ms\", budget_percent = 5").start(driver);
        let (mut client, mut first) = proxy.under_way(&a, GET);
        proxy.await_metric("ringlane_hedges_refused_total", "", 1);
        first.send(ok("a"));
        assert_eq!(client.read_response().expect(200).text(), "a");
        assert_eq!((counted(&proxy), b.connections()), ([0, 0, 1], 0));
    }

    /// A percentile of answers needs answers; then what is slower than most has a second try.
    fn at_a_percentile_of_the_routes_own_answers(driver) {
        let stuck = Arc::new(AtomicBool::new(false));
        let serve = |stuck: Arc<AtomicBool>| {
            Origin::serve(move |mut wire| {
                while let Some(request) = wire.try_read_request() {
                    // The first one of these to come is never answered.
                    if request.target() == "/slow" && !stuck.swap(true, Ordering::Relaxed) {
                        wire.read_to_end();
                        return;
                    }
                    if !wire.try_send(ok(request.target())) {
                        return;
                    }
                }
            })
        };
        let (a, b) = (serve(Arc::clone(&stuck)), serve(stuck));
        let proxy = hedged(&a, &b, "after = \"p95\", budget_percent = 100").start(driver);
        let mut client = proxy.connect();
        for _ in 0..99 {
            assert_eq!(client.ask(get("/quick")).expect(200).text(), "/quick");
        }
        assert_eq!(counted(&proxy)[0], 0, "too few to tell");
        for _ in 0..50 {
            assert_eq!(client.ask(get("/quick")).expect(200).text(), "/quick");
        }
        assert_eq!(client.ask(get("/slow")).expect(200).text(), "/slow");
        assert!(counted(&proxy)[1] >= 1);
    }

    /// Many at once, some of them slow: each gets its own answer, and no connection serves on that has lost.
    fn nobody_gets_what_was_meant_for_another(driver) {
        let nth = Arc::new(AtomicUsize::new(0));
        let serve = |nth: Arc<AtomicUsize>| Origin::serve(move |wire| slow_now_and_then(wire, &nth));
        let (a, b) = (serve(Arc::clone(&nth)), serve(nth));
        let proxy = hedged(&a, &b, "after = \"5ms\", budget_percent = 100").start(driver);
        let address = proxy.address();
        let clients = (0..8).map(|client| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut wire = Wire::connect(&address);
                for request in 0..40 {
                    let path = format!("/{client}/{request}");
                    assert_eq!(wire.ask(get(&path)).expect(200).text(), path);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        let [hedges, won, _] = counted(&proxy);
        assert!(hedges >= won && won > 0, "{hedges} {won}");
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }
}
