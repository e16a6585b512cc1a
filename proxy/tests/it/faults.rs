//! Faults of the proxy itself, injected: a panic ends the connection it happens in, a dead worker is replaced.

use crate::harness::{
    Client, Driver, Origin, Proxy, Setup, eventually,
    replies::{GET, OK, get},
};

/// A proxy that obeys `X-Ringlane-Fault`.
fn faulty(driver: Driver, workers: usize, setup: &Setup) -> Proxy {
    Proxy::launch(driver).workers(workers).env("RINGLANE_FAULTS", "1").start(&setup.toml())
}

/// A request that ends its connection, or its worker, by a panic.
fn fault(what: &str) -> String {
    format!("GET /fault HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: {what}\r\n\r\n")
}

/// Asks on a new connection until an answer comes: a worker that has died takes a moment to be replaced.
#[track_caller]
fn await_service(proxy: &Proxy) {
    let mut client = proxy.connect();
    client.send(GET);
    client.read_response().expect(200);
}

both_drivers! {
    fn a_panic_ends_its_connection_and_no_other(driver) {
        let origin = Origin::manual();
        let proxy = faulty(driver, 1, &Setup::to(&origin));
        let (mut idle, mut busy) = (proxy.connect(), proxy.connect());
        busy.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        for panics in 1..4 {
            let mut client = proxy.connect();
            client.send(fault("connection"));
            client.expect_close();
            proxy.await_metric("ringlane_connection_panics_total", "", panics);
        }
        proxy.await_log("a fault that a test asked for");
        upstream.send(OK);
        busy.read_response().expect(200);
        idle.send(GET);
        upstream.read_request();
        upstream.send(OK);
        idle.read_response().expect(200);
        assert_eq!(proxy.metric("ringlane_worker_restarts_total", ""), 0);
        // What the connections held has been given back.
        proxy.await_metric("ringlane_connections_active", "", 2);
        proxy.await_metric("ringlane_requests_active", "", 0);
    }

    fn the_fault_is_logged_with_its_place(driver) {
        let proxy = faulty(driver, 1, &Setup::to(&Origin::replies(&[OK])));
        let mut client = proxy.connect();
        client.send(fault("connection"));
        client.expect_close();
        let line = proxy.await_log("a fault that a test asked for");
        assert!(line.contains("ERROR") && line.contains("worker-0") && line.contains(".rs:"), "{line}");
    }

    fn a_dead_worker_is_started_again_and_serves(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = faulty(driver, 1, &Setup::to(&origin));
        await_service(&proxy);
        for deaths in 1..3 {
            let mut doomed = proxy.connect();
            doomed.send(fault("worker"));
            proxy.await_metric("ringlane_worker_restarts_total", "", deaths);
            await_service(&proxy);
        }
        proxy.await_log("worker died");
        // Counters and histograms go on, gauges start anew. A request that asked for the fault may still have been answered.
        let served = || proxy.metric("ringlane_responses_total", "class=\"2xx\"");
        let count = |name| proxy.metric(name, "");
        eventually("what was answered before is still counted", || {
            let requests = count("ringlane_requests_total") - count("ringlane_proxy_faults_total");
            served() >= 3 && served() == requests && count("ringlane_request_duration_seconds_count") >= 3
        });
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
        proxy.await_metric("ringlane_requests_active", "", 0);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    /// Who has connected, and perhaps already asked, waits for the new worker instead of being refused.
    fn connections_that_wait_to_be_accepted_are_not_lost(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = faulty(driver, 1, &Setup::to(&origin));
        let mut doomed = proxy.connect();
        doomed.send(fault("worker"));
        proxy.await_log("worker died");
        // The worker was started just now, so that it is not started again at once.
        let mut waiting: Vec<Client> = (0..20).map(|_| proxy.connect()).collect();
        waiting.iter_mut().for_each(|client| client.send(get("/waited")));
        for client in &mut waiting {
            client.read_response().expect(200);
        }
        assert_eq!(origin.requests().len(), 20);
    }

    /// Nobody is left behind on a connection that no worker serves.
    fn connections_of_a_dead_worker_end(driver) {
        let origin = Origin::manual();
        let proxy = faulty(driver, 1, &Setup::to(&origin));
        let (mut idle, mut busy, mut kept) = (proxy.connect(), proxy.connect(), proxy.connect());
        kept.send(GET);
        let mut resting = origin.accept();
        resting.read_request();
        resting.send(OK);
        kept.read_response().expect(200);
        busy.send(GET);
        resting.read_request();
        let mut doomed = proxy.connect();
        doomed.send(fault("worker"));
        for client in [&mut idle, &mut busy, &mut kept, &mut doomed, &mut resting] {
            client.expect_close();
        }
    }

    fn the_other_worker_goes_on(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = faulty(driver, 2, &Setup::to(&origin));
        let mut clients: Vec<Client> = (0..16).map(|_| proxy.connect()).collect();
        for client in &mut clients {
            client.send(GET);
            client.read_response().expect(200);
        }
        clients.pop().unwrap().send(fault("worker"));
        proxy.await_metric("ringlane_worker_restarts_total", "", 1);
        let served = clients.iter_mut().filter_map(|client| {
            let sent = client.try_send(GET);
            (sent && client.read_some().is_some()).then_some(())
        });
        // The kernel spreads connections over the workers by their addresses: some are the other one's.
        let served = served.count();
        assert!((1..15).contains(&served), "{served} of 15");
        await_service(&proxy);
    }

    /// It is not started again, and nobody waits for what it had under way: the deadline is far off.
    fn a_worker_that_dies_while_draining_is_drained(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).and("[shutdown]\ndrain_timeout = \"10m\"");
        let mut proxy = faulty(driver, 1, &setup);
        let (mut idle, mut busy, mut doomed) = (proxy.connect(), proxy.connect(), proxy.connect());
        busy.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        let request = fault("worker");
        let (start, rest) = request.split_at(20);
        doomed.send(start);
        doomed.await_taken();
        proxy.signal(libc::SIGTERM);
        idle.expect_eof();
        doomed.send(rest);
        busy.expect_close();
        assert!(proxy.wait_exit().success());
        proxy.await_log("worker died while draining");
        assert!(proxy.logs().pop().unwrap().contains("drained: 0 requests finished"));
    }

    fn without_the_switch_the_field_is_as_any_other(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(fault("worker"));
        client.read_response().expect(200);
        assert_eq!(origin.request().field("x-ringlane-fault"), Some("worker"));
    }
}
