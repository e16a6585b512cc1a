//! Connections that are closed for want of a good header, without a word.

use super::{Trusting, V1, v2, v2_of_client};
use crate::harness::{
    Origin, Setup,
    replies::{GET, OK},
};

const REFUSED: &str = "ringlane_proxy_protocol_refused_total";

both_drivers! {
    fn what_is_no_header(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).trusting("require").start(driver);
        let mut bad_signature = v2_of_client();
        bad_signature[11] = 0;
        let sum = [&v2_of_client()[16..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        let cases = [
            Vec::new(),
            b"PROXY TCP4 192.0.2.7 198.51.100.9 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.07 198.51.100.9 56324 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.9 56324 443\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 56324 443\r\n".to_vec(),
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).into_bytes(),
            bad_signature,
            v2(0x31, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x51, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x11, &[0; 14]),
            v2(0x20, 0, &[0; 4081]),
            v2(0x21, 0x11, &sum),
            b"\x16\x03\x01".to_vec(),
        ];
        for (count, case) in (1..).zip(&cases) {
            let mut client = proxy.asking([&case[..], GET.as_bytes()].concat());
            client.expect_close();
            proxy.await_metric(REFUSED, "reason=\"malformed\"", count);
        }
        assert!(origin.requests().is_empty());
        assert_eq!(proxy.metric("ringlane_requests_total", ""), 0);
        // It still serves.
        proxy.asking([V1, GET.as_bytes()].concat()).read_response().expect(200);
    }

    fn a_trusted_proxy_has_to_bring_one(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).trusting("accept").start(driver);
        proxy.asking(GET).expect_close();
        assert_eq!(proxy.metric(REFUSED, "reason=\"malformed\""), 1);
        assert_eq!(origin.connections(), 0);
    }

    fn nobody_else_comes_in_where_all_have_to(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).listener("trusted_proxies = [\"192.0.2.0/24\"]\nproxy_protocol = \"require\"");
        let proxy = setup.start(driver);
        // Closed before it has said anything.
        proxy.connect().expect_close();
        let mut client = proxy.connect();
        client.try_send([V1, GET.as_bytes()].concat());
        client.expect_close();
        assert_eq!(proxy.metric(REFUSED, "reason=\"untrusted\""), 2);
        assert_eq!(origin.connections(), 0);
        proxy.await_metric("ringlane_connections_active", "", 0);
    }

    fn too_late(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).trusting("require").listener("timeouts.request_head = \"100ms\"");
        let proxy = setup.start(driver);
        let headers = [Vec::new(), V1[..20].to_vec(), v2_of_client()[..13].to_vec(), v2_of_client()[..27].to_vec()];
        for (count, part) in (1..).zip(&headers) {
            let mut client = proxy.connect();
            client.send(part);
            client.expect_close();
            proxy.await_metric(REFUSED, "reason=\"late\"", count);
        }
        // Between a header and the request the wait is that of any connection.
        let mut client = proxy.asking(V1);
        assert!(!client.stirs(std::time::Duration::from_millis(300)));
        client.ask(GET).expect(200);
        assert_eq!(proxy.metric("ringlane_timeouts_total", "timeout=\"request_head\""), 0);
    }

    fn connections_that_end_early(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).trusting("require").start(driver);
        // Opened and closed, as checks of health do it: nothing is wrong with that.
        let client = proxy.connect();
        client.finish();
        drop(client);
        proxy.await_metric("ringlane_connections_accepted_total", "", 1);
        proxy.await_metric("ringlane_connections_active", "", 0);
        assert_eq!(proxy.metric(REFUSED, ""), 0);
        let mut client = proxy.asking(&V1[..9]);
        client.finish();
        client.expect_close();
        proxy.await_metric(REFUSED, "reason=\"malformed\"", 1);
    }

    fn a_wait_for_a_header_ends_with_the_process(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Setup::to(&origin).trusting("require").start(driver);
        let mut silent = proxy.connect();
        let mut half = proxy.asking(&V1[..9]);
        half.await_taken();
        proxy.await_metric("ringlane_connections_active", "", 2);
        proxy.signal(libc::SIGTERM);
        silent.expect_close();
        half.expect_close();
        assert!(proxy.wait_exit().success());
    }
}
