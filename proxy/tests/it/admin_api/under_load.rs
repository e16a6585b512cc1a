//! Changes while requests flow: none is lost, no connection closed.

use std::sync::{
    Barrier,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use super::{answers, get, json_of, plain, send};
use crate::harness::{
    Origin, Setup, Wire,
    replies::{OK, get as request, ok},
};

/// Connections that ask without pause.
const CLIENTS: usize = 8;
/// Rounds of changes.
const ROUNDS: usize = 12;

/// Ends the clients, however a test ends.
struct End<'e>(&'e AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// An origin that answers every request the same, on however many connections.
fn origin() -> Origin {
    Origin::serve(|mut wire: Wire| {
        while wire.try_read_request().is_some() {
            if !wire.try_send(OK) {
                return;
            }
        }
    })
}

both_drivers! {
    fn nothing_is_lost(driver) {
        let (one, two) = (origin(), origin());
        let setup = Setup::to_endpoints(&[&one.address(), &two.address()]).workers(2);
        let proxy = setup.start(driver);
        let (ended, answered, started) = (AtomicBool::new(false), AtomicUsize::new(0), Barrier::new(CLIENTS + 1));
        std::thread::scope(|scope| {
            let end = End(&ended);
            let ask = |number: usize| {
                let mut client = proxy.connect();
                let path = format!("/changing/{number}");
                started.wait();
                while !ended.load(Ordering::Acquire) {
                    client.send(request(&path));
                    client.read_response().expect(200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || ask(number))).collect();
            started.wait();
            let drain = format!("/upstreams/app/endpoints/{}", one.address());
            for round in 0..ROUNDS {
                let before = answered.load(Ordering::Relaxed);
                let revision = &get(&proxy, "/config/status").0["revision"];
                send(&proxy, "PUT", "/upstreams/more", &json!({ "endpoints": [two.address()] }));
                let split = json!([{ "upstream": "app", "weight": round }, { "upstream": "more", "weight": 2 }]);
                send(&proxy, "PUT", "/routes/changing", &json!({ "match": { "path_prefix": "/changing" }, "split": split }));
                send(&proxy, "PUT", &drain, &json!({ "drain": round % 2 == 0 })).expect(200);
                send(&proxy, "PATCH", "/upstreams/more", &json!({ "timeouts": { "connect": format!("{}s", round + 1) } })).expect(200);
                send(&proxy, "PUT", "/routes/unrelated", &answers("/unrelated", &round.to_string()));
                plain(&proxy, "DELETE", "/routes/changing").expect(200);
                plain(&proxy, "DELETE", "/upstreams/more").expect(200);
                plain(&proxy, "POST", "/config/reload").expect(200);
                assert_eq!(json_of(&plain(&proxy, "POST", &format!("/config/rollback/{revision}")))["in_force"], json!(true));
                // Requests were answered meanwhile.
                crate::harness::eventually("requests flow", || answered.load(Ordering::Relaxed) > before);
            }
            drop(end);
            clients.into_iter().for_each(|it| it.join().unwrap());
        });
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), CLIENTS as u64, "none was closed");
        proxy.await_metric("ringlane_responses_total", "class=\"2xx\"", answered.load(Ordering::Relaxed) as u64);
        for class in ["4xx", "5xx"] {
            assert_eq!(proxy.metric("ringlane_responses_total", &format!("class={class:?}")), 0);
        }
    }

    /// A response that has begun ends as its upstream ends it, whatever becomes of its route, upstream and endpoint.
    fn what_has_begun_ends(driver) {
        let (origin, kept) = (Origin::manual(), Origin::replies(&[ok("kept")]));
        let proxy = Setup::to(&kept).start(driver);
        send(&proxy, "PUT", "/upstreams/b", &json!({ "endpoints": [origin.address()] })).expect(201);
        send(&proxy, "PUT", "/routes/b", &json!({ "match": { "path": "/b" }, "upstream": "b" })).expect(201);
        let mut client = proxy.connect();
        client.send(request("/b"));
        let mut upstream = origin.accept();
        upstream.read_request();
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
        client.read_until(b"01234");
        plain(&proxy, "DELETE", "/routes/b").expect(200);
        plain(&proxy, "DELETE", "/upstreams/b").expect(200);
        assert_eq!(proxy.get("/b").text(), "kept");
        upstream.send("56789");
        assert_eq!(client.read_exact(5), b"56789");
        client.send(request("/b"));
        assert_eq!(client.read_response().expect(200).text(), "kept");
    }
}
