//! Which endpoint gets a request: turns, weights, unix sockets.

use std::os::{fd::OwnedFd, unix::net::UnixListener};

use crate::harness::{
    Dir, Origin, Proxy, Setup, Wire,
    replies::{GET, OK, ok},
};

/// Origins that answer with their own names, "a" and so on.
fn named(count: usize) -> Vec<Origin> {
    ["a", "b", "c", "d"][..count].iter().map(|name| Origin::replies(&[ok(name)])).collect()
}

/// Who answered each of `count` requests on one connection.
#[track_caller]
fn turns(proxy: &Proxy, count: usize) -> String {
    let mut client = proxy.connect();
    let turn = |_| {
        client.send(GET);
        client.read_response().expect(200).text()
    };
    (0..count).map(turn).collect()
}

/// A config whose endpoints have these weights.
fn weighted(origins: &[Origin], weights: &[u32]) -> String {
    let endpoints = origins.iter().zip(weights);
    let each = endpoints
        .map(|(origin, weight)| format!("{{ address = {:?}, weight = {weight} }}", origin.address()));
    format!(
        "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         [[upstreams]]\nname = \"app\"\nbalance = \"round_robin\"\nendpoints = [{}]\n\
         [[routes]]\nname = \"app\"\nupstream = \"app\"\n",
        each.collect::<Vec<_>>().join(", ")
    )
}

both_drivers! {
    fn equal_endpoints_take_turns(driver) {
        let origins = named(3);
        let addresses: Vec<_> = origins.iter().map(Origin::address).collect();
        let endpoints: Vec<_> = addresses.iter().map(String::as_str).collect();
        let proxy = Setup::to_endpoints(&endpoints).upstream("balance = \"round_robin\"").start(driver);
        assert_eq!(turns(&proxy, 9), "abcabcabc");
        // Over all clients, not for each anew.
        assert_eq!(turns(&proxy, 1), "a");
        assert_eq!(turns(&proxy, 2), "bc");
        // A turn that comes again finds its own connection.
        assert!(origins.iter().all(|origin| origin.connections() == 1));
    }

    fn weights_are_kept_exactly_and_spread(driver) {
        let origins = named(3);
        let proxy = Proxy::start(driver, &weighted(&origins, &[5, 1, 1]));
        assert_eq!(turns(&proxy, 14), "aabacaaaabacaa");
    }

    fn an_endpoint_of_weight_0_gets_nothing(driver) {
        let origins = named(3);
        let proxy = Proxy::start(driver, &weighted(&origins, &[1, 0, 2]));
        assert_eq!(turns(&proxy, 6), "caccac");
        assert_eq!(origins[1].connections(), 0);
    }

    /// Over its whole cycle the load of both workers together has the weights.
    fn weights_hold_over_all_workers(driver) {
        let origins = named(2);
        let proxy = Proxy::launch(driver).workers(2).start(&weighted(&origins, &[3, 1]));
        let turns: String = (0..40).map(|_| proxy.get("/").expect(200).text()).collect();
        let of_b = turns.matches('b').count();
        // Each worker may be within a cycle.
        assert!((9..=11).contains(&of_b), "{turns}");
    }

    fn a_unix_socket_serves(driver) {
        let dir = Dir::new();
        let listener = UnixListener::bind(dir.file("app.sock")).unwrap();
        let proxy = Setup::to_endpoints(&[&dir.unix("app.sock")]).start(driver);
        let mut client = proxy.connect();
        client.send("POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let mut upstream = Wire::new(OwnedFd::from(listener.accept().unwrap().0).into());
        for _ in 0..2 {
            let request = upstream.read_request();
            assert_eq!((request.target(), request.text().as_str()), ("/u", "hi"));
            upstream.send(OK);
            client.read_response().expect(200);
            client.send("POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        }
        upstream.read_request();
        // More than the socket holds.
        let (body, mut writer) = ("x".repeat(4 << 20), upstream.second());
        let response = ok(&body);
        let writing = std::thread::spawn(move || writer.send(response));
        assert_eq!(client.read_response().expect(200).body.len(), body.len());
        writing.join().unwrap();
        assert_eq!(proxy.upstream_connects(), 1);
        assert_eq!(proxy.metric("ringlane_upstream_reuses_total", ""), 2);
    }
}
