//! How a process ends: what is idle is closed, what is under way is finished or cut, and the last lines say so.

use std::time::Duration;

use crate::harness::{
    Client, Dir, End, Origin, PATIENCE, Proxy, Setup, eventually,
    replies::{GET, OK, SWITCH, UPGRADE, ok},
};

/// Has the proxy drain, and waits until its worker has heard of it, which closes who is idle.
#[track_caller]
fn drain(proxy: &Proxy) {
    let mut idle = proxy.connect();
    proxy.signal(libc::SIGTERM);
    proxy.await_log("draining: ");
    idle.expect_eof();
}

/// Fails unless the process ends well, with these figures in its last line.
#[track_caller]
fn ends(proxy: &mut Proxy, finished: u64, cut: u64) {
    assert!(proxy.wait_exit().success(), "{:#?}", proxy.logs());
    let last = proxy.logs().pop().unwrap();
    assert!(last.contains(&format!("drained: {finished} requests finished, {cut} cut")), "{last}");
}

/// With a drain that is over before a slow test is.
fn impatient(origin: &Origin, drain: &str) -> Setup {
    Setup::to(origin).and(&format!("[shutdown]\ndrain_timeout = {drain:?}"))
}

both_drivers! {
    fn an_idle_process_ends_at_once(driver) {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let origin = Origin::replies(&[OK]);
            let mut proxy = Setup::to(&origin).workers(2).start(driver);
            let (mut used, mut unused) = (proxy.connect(), proxy.connect());
            used.ask(GET).expect(200);
            proxy.await_metric("ringlane_requests_active", "", 0);
            proxy.signal(signal);
            used.expect_eof();
            unused.expect_eof();
            ends(&mut proxy, 0, 0);
        }
    }

    fn what_is_under_way_is_finished_and_its_connection_closed(driver) {
        let origin = Origin::manual();
        let mut proxy = Setup::to(&origin).start(driver);
        let address = proxy.address();
        let mut idle = proxy.connect();
        let (mut first, mut one) = proxy.under_way(&origin, GET);
        let (mut second, mut two) = proxy.under_way(&origin, GET);
        drain(&proxy);
        // When this one is told to go, all workers have heard.
        idle.expect_eof();
        one.send(OK);
        assert!(first.read_response().expect(200).says_close());
        first.expect_eof();
        two.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        two.send("0\r\n\r\n");
        let response = second.read_response().expect(200);
        assert!(response.says_close() && response.text() == "ok", "{response:?}");
        second.expect_eof();
        ends(&mut proxy, 2, 0);
        // Nobody listens any more.
        let refused = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    /// The order to drain may come before the workers have told of a request that has just begun.
    fn a_request_that_has_just_begun_is_finished(driver) {
        let origin = Origin::manual();
        let mut proxy = Setup::to(&origin).workers(2).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        drain(&proxy);
        assert!(!client.stirs(Duration::from_millis(200)));
        upstream.send(OK);
        client.read_response().expect(200);
        ends(&mut proxy, 1, 0);
    }

    fn a_request_on_its_way_in_is_finished(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Setup::to(&origin).start(driver);
        let (mut idle, mut client) = (proxy.connect(), proxy.connect());
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n");
        client.await_taken();
        drain(&proxy);
        idle.expect_eof();
        assert!(client.ask("\r\nhi").expect(200).says_close());
        client.expect_eof();
        assert_eq!(origin.request().text(), "hi");
        assert!(proxy.wait_exit().success());
    }

    /// Who has connected before the end is served, even when no worker has accepted yet.
    fn who_waits_to_be_accepted_is_served(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Setup::to(&origin).start(driver);
        let mut clients: Vec<_> = (0..40).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        proxy.signal(libc::SIGTERM);
        for client in &mut clients {
            client.read_response().expect(200);
        }
        assert!(proxy.wait_exit().success());
    }

    fn pipelined_requests_end_with_the_one_that_says_close(driver) {
        let origin = Origin::manual();
        let mut proxy = Setup::to(&origin).start(driver);
        let (mut idle, (mut client, mut upstream)) = (proxy.connect(), proxy.under_way(&origin, GET));
        client.send(GET);
        drain(&proxy);
        idle.expect_eof();
        upstream.send(OK);
        assert!(client.read_response().expect(200).says_close());
        client.expect_close();
        ends(&mut proxy, 1, 0);
    }

    fn not_ready_while_draining(driver) {
        let origin = Origin::manual();
        let mut proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        assert_eq!(proxy.admin_get("/readyz").status, 200);
        drain(&proxy);
        assert_eq!(proxy.admin_get("/readyz").status, 503);
        assert_eq!(proxy.admin_get("/healthz").status, 200);
        upstream.send(OK);
        client.read_response().expect(200);
        ends(&mut proxy, 1, 0);
    }

    fn the_deadline_cuts_what_is_left(driver) {
        let origin = Origin::manual();
        let mut proxy = impatient(&origin, "300ms").start(driver);
        let (mut waiting, _upstream) = proxy.under_way(&origin, GET);
        let (mut reading, mut half) = proxy.under_way(&origin, GET);
        half.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        reading.read_until(b"half");
        let (mut done, mut whole) = proxy.under_way(&origin, GET);
        drain(&proxy);
        whole.send(OK);
        done.read_response().expect(200);
        // Nothing of its response is out: it can be told.
        assert!(waiting.read_response().expect(503).says_close());
        let (rest, _) = reading.read_to_end();
        assert!(rest.is_empty());
        ends(&mut proxy, 1, 2);
    }

    fn a_tunnel_is_cut_at_the_deadline(driver) {
        let origin = Origin::manual();
        let mut proxy = impatient(&origin, "300ms").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, UPGRADE);
        upstream.send(SWITCH);
        assert_eq!(client.read_head().status(), 101);
        drain(&proxy);
        // Until then it works.
        client.send("ping");
        assert_eq!(upstream.read_exact(4), b"ping");
        client.expect_close();
        upstream.expect_close();
        ends(&mut proxy, 0, 1);
    }

    fn a_tunnel_that_ends_in_time_is_no_cut(driver) {
        let origin = Origin::manual();
        let mut proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, UPGRADE);
        upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbye");
        client.read_until(b"bye");
        drain(&proxy);
        drop(upstream);
        client.expect_eof();
        drop(client);
        ends(&mut proxy, 1, 0);
    }

    fn a_second_signal_ends_it_at_once(driver) {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let origin = Origin::manual();
            let mut proxy = impatient(&origin, "1h").workers(2).start(driver);
            let (mut client, _upstream) = proxy.under_way(&origin, GET);
            drain(&proxy);
            proxy.signal(signal);
            proxy.await_log("a second signal");
            let (_, end) = client.read_to_end();
            assert_eq!(end, End::Complete);
            ends(&mut proxy, 0, 1);
        }
    }

    /// Cutting is not waiting: nothing that a client or an upstream does, or does not do, holds the process.
    fn nobody_can_hold_the_process(driver) {
        let origin = Origin::serve(|mut wire| {
            wire.read_request();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            while wire.try_send([b'x'; 64 * 1024]) {}
        });
        let mut proxy = impatient(&origin, "100ms").start(driver);
        let mut never_reads = proxy.asking(GET);
        never_reads.read_until(b"\r\n\r\n");
        let _half_a_head = proxy.asking("GET / HT");
        let half_a_body = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
        half_a_body.await_taken();
        proxy.await_metric("ringlane_requests_active", "", 2);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    fn a_log_that_nobody_reads_does_not_hold_the_process(driver) {
        let dir = Dir::new();
        let fifo = std::ffi::CString::new(dir.file("log").to_str().unwrap()).unwrap();
        // SAFETY: a system call on a string that ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        let _reader = std::fs::OpenOptions::new().read(true).write(true).open(dir.file("log")).unwrap();
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).and(&format!("[access_log]\npath = {:?}", dir.file("log")));
        let mut proxy = setup.start(driver);
        let mut client = proxy.connect();
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2000));
        for _ in 0..100 {
            client.ask(&long).expect(200);
        }
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    fn usr1_prints_the_latency_report(driver) {
        let origin = Origin::replies(&[&ok("x")]);
        let mut proxy = Setup::to(&origin).workers(2).start(driver);
        for _ in 0..3 {
            proxy.get("/").expect(200);
        }
        proxy.signal(libc::SIGUSR1);
        let line = |text: &str| {
            let find = |line: &str| line.contains(text).then(|| line.to_owned());
            proxy.stdout().find(PATIENCE, find).unwrap_or_else(|| panic!("no {text}"))
        };
        for wanted in ["p99.99", "total", "overhead", "by route", "app total"] {
            line(wanted);
        }
        proxy.get("/").expect(200);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    /// As under `ringlane ... | head`.
    fn a_report_that_nobody_reads_is_no_fault(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Proxy::launch(driver).without_stdout().start(&Setup::to(&origin).toml());
        // More than once: a test next to this one that is just starting a process holds the pipe's other end a moment longer.
        eventually("it says so", || {
            proxy.signal(libc::SIGUSR1);
            proxy.logs().iter().any(|line| line.contains("can't be written"))
        });
        proxy.get("/").expect(200);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    /// As when the terminal that a proxy was started from is closed.
    fn a_log_that_can_not_be_written_is_no_fault(driver) {
        let dir = Dir::new();
        let origin = Origin::replies(&[OK]);
        let toml = Setup::to(&origin).toml().replace("127.0.0.1:0", &dir.unix("web.sock"));
        let mut proxy = Proxy::launch(driver).workers(2).without_stdout().deaf_after_start().start(&toml);
        let get = || {
            let mut client = Client::connect(&dir.unix("web.sock"));
            client.ask(GET).expect(200);
        };
        get();
        // Each of these is a line in the log.
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_config_reloads_total", "result=\"ok\"", 1);
        proxy.signal(libc::SIGUSR1);
        get();
        std::fs::write(proxy.dir().join("ringlane.toml"), "nonsense").unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_config_reloads_total", "result=\"failed\"", 1);
        get();
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }
}
