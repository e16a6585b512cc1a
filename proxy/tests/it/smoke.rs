//! The harness itself: a request goes through, on both drivers, and what was asked for is what runs.

use crate::harness::{Origin, Setup, Step};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

both_drivers! {
    fn a_request_goes_through(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Setup::to(&origin).start(driver);
        assert_eq!(proxy.get("/a?b").expect(200).text(), "ok");
        assert_eq!(origin.request().target(), "/a?b");
        assert_eq!(proxy.upstream_connects(), 1);
        proxy.await_metric("ringlane_responses_total", "class=\"2xx\"", 1);
        proxy.await_metric("ringlane_connections_active", "", 0);
        assert_eq!(proxy.admin_get("/healthz").status, 200);
        let asked_for = proxy.await_log("driver: ");
        assert!(asked_for.contains(driver.name()), "{asked_for}");
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    fn an_origin_follows_its_script(driver) {
        let origin =
            Origin::scripts(&[&[Step::Request, Step::reply(OK), Step::Request, Step::Reset], &[Step::Close]]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for expected in [200, 502] {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.read_response().status, expected);
        }
        assert_eq!((origin.connections(), origin.requests().len()), (2, 2));
    }

    fn a_test_can_be_the_origin(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send_cut(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &[1, 20, 49]);
        let mut upstream = origin.accept();
        assert_eq!(upstream.read_request().text(), "abc");
        upstream.send(OK);
        assert_eq!(client.read_response().expect(200).text(), "ok");
        client.finish();
        client.expect_eof();
        assert!(upstream.is_quiet());
    }
}
