//! Load generators of others, a second each: every response good, no connection lost.

use crate::harness::{Origin, Setup, Tool, Wire};

/// An origin that answers every request the same.
fn origin() -> Origin {
    Origin::serve(|mut wire: Wire| {
        while wire.try_read_request().is_some() {
            if !wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!") {
                return;
            }
        }
    })
}

/// The number right before `what` in a text.
#[track_caller]
fn number_before(text: &str, what: &str) -> u64 {
    let before = text.split(what).next().filter(|before| before.len() < text.len());
    let word = before.and_then(|before| before.split_whitespace().last());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number before {what:?}: {text}"))
}

both_drivers! {
    fn wrk(driver) {
        let origin = origin();
        let proxy = Setup::to(&origin).workers(2).start(driver);
        let url = format!("http://{}/", proxy.address());
        let Some(ran) = Tool::run("wrk", &["-t", "1", "-c", "16", "-d", "1s", &url]) else { return };
        let said = ran.expect_success();
        assert!(number_before(&said, " requests in") > 0);
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
        assert_eq!(proxy.metric("ringlane_responses_total", "class=\"5xx\""), 0);
        assert_eq!(proxy.metric("ringlane_responses_total", "class=\"4xx\""), 0);
    }

    fn h2load(driver) {
        let origin = origin();
        let proxy = Setup::to(&origin).workers(2).start(driver);
        let url = format!("http://{}/", proxy.address());
        let Some(ran) = Tool::run("h2load", &["--h1", "-t", "1", "-c", "16", "-D", "1", &url]) else {
            return;
        };
        let said = ran.expect_success();
        let good = number_before(&said, " succeeded");
        assert!(good > 0 && number_before(&said, " 2xx") == good, "{said}");
        for bad in [" failed", " errored", " timeout", " 3xx", " 4xx", " 5xx"] {
            assert_eq!(number_before(&said, bad), 0, "{said}");
        }
    }
}
