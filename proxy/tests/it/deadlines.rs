//! The time that a whole request has: over all its tries, and as upstreams are told of it.

use crate::{
    harness::{
        Origin, Setup, Step,
        replies::{GET, OK},
    },
    retries::{BUSY, at},
    timeouts::only,
};

/// An upstream that is told what time is left, with these lines more.
fn told(origin: &Origin, lines: &str) -> Setup {
    Setup::to(origin).upstream("deadline_header = \"X-Request-Timeout\"").upstream(lines)
}

fn asking_for(millis: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nx-request-timeout: {millis}\r\n\r\n")
}

/// What the upstream was told last, in milliseconds.
#[track_caller]
fn left(origin: &Origin) -> Option<u64> {
    origin.last_request().field("x-request-timeout").map(|value| value.parse().unwrap())
}

both_drivers! {
    fn it_spans_all_tries(driver) {
        let origin = Origin::script(&[Step::Request, Step::ReadToEnd]);
        let proxy = at(&[&origin.address()])
            .upstream("retries.max = 10\nretries.try_timeout = \"100ms\"\ntimeouts.request = \"700ms\"")
            .start(driver);
        proxy.get("/").expect(504);
        only(&proxy, "request");
        let tries = origin.connections();
        assert!((2..=8).contains(&tries), "{tries}");
    }

    /// It would be over before the wait is: an answer now is better than none then.
    fn no_wait_that_it_does_not_allow(driver) {
        let origin = Origin::replies(&[BUSY]);
        let proxy = Setup::to(&origin)
            .upstream("retries.backoff = \"1d\"\nretries.backoff_max = \"1d\"\ntimeouts.request = \"10s\"")
            .start(driver);
        assert_eq!(proxy.get("/").expect(503).text(), "busy");
        assert_eq!((proxy.metric("ringlane_retries_total", ""), origin.requests().len()), (0, 1));
    }

    fn upstreams_are_told_what_is_left(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = told(&origin, "timeouts.request = \"30s\"").start(driver);
        let mut client = proxy.connect();
        client.ask(GET).expect(200);
        assert!(left(&origin).is_some_and(|left| (1..=30_000).contains(&left)));
        // Ours, in place of what the client says.
        client.ask(asking_for("3600000")).expect(200);
        assert!(left(&origin).is_some_and(|left| (1..=30_000).contains(&left)));
    }

    /// Each try is told what the ones before it have left.
    fn later_tries_are_told_less(driver) {
        let origin = Origin::script(&[Step::Request, Step::ReadToEnd]);
        let proxy = told(&origin, "retries.try_timeout = \"100ms\"\ntimeouts.request = \"30s\"").start(driver);
        proxy.get("/").expect(504);
        let told = origin.requests().into_iter().map(|request| {
            request.field("x-request-timeout").unwrap().parse::<u64>().unwrap()
        });
        let told: Vec<u64> = told.collect();
        assert!(told.len() == 3 && told.windows(2).all(|pair| pair[1] + 100 <= pair[0]), "{told:?}");
    }

    /// A client may give up sooner than the config says.
    fn a_client_can_have_less_time(driver) {
        let origin = Origin::manual();
        for bound in ["", "timeouts.request = \"1h\""] {
            let proxy = told(&origin, bound).start(driver);
            let (mut client, mut upstream) = proxy.under_way(&origin, asking_for("200"));
            client.read_response().expect(504);
            upstream.expect_close();
            only(&proxy, "request");
        }
    }

    fn a_client_is_believed_only_where_that_is_asked_for(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        proxy.connect().ask(asking_for("0")).expect(200);
        // To us it is a field like any other.
        assert_eq!(left(&origin), Some(0));
    }

    fn what_is_no_time_is_dropped(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = told(&origin, "").start(driver);
        let mut client = proxy.connect();
        for nonsense in ["soon", "-1", "1s", ""] {
            client.ask(asking_for(nonsense)).expect(200);
            assert_eq!(left(&origin), None, "{nonsense}");
        }
    }
}
