//! Rate limits: what passes, what is refused and what clients are told.

use std::fs;

use socket2::{SockAddr, Socket, Type};

use crate::harness::{
    Client, Origin, PATIENCE, Proxy, Response, Setup, eventually,
    replies::{GET, OK, get},
};

/// A client with this address.
#[track_caller]
pub fn connect_from(proxy: &Proxy, address: &str) -> Client {
    let to: SockAddr = proxy.address().parse::<std::net::SocketAddr>().unwrap().into();
    let from: SockAddr = std::net::SocketAddr::new(address.parse().unwrap(), 0).into();
    let socket = Socket::new(to.domain(), Type::STREAM, None).unwrap();
    socket.bind(&from).unwrap();
    socket.connect(&to).unwrap();
    Client::new(socket)
}

/// To the end of a config: a line for each exchange.
pub const LOG: &str = "[access_log]\npath = \"stdout\"";

/// Waits for a line of an exchange that ended so.
#[track_caller]
pub fn logs(proxy: &Proxy, termination: &str) {
    let wanted = format!("\"termination\":\"{termination}\"");
    let found = |line: &str| line.contains(&wanted).then_some(());
    assert!(proxy.stdout().find(PATIENCE, found).is_some(), "{:?}", proxy.stdout().lines());
}

/// How the last `count` of so many requests on one connection are answered.
#[track_caller]
fn statuses(client: &mut Client, request: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| client.ask(request).status).collect()
}

/// What a response of the route of `three` says: requests that are left, and hours, rounded up, until the bucket is full or to
/// stay away.
#[track_caller]
fn told(response: &Response) -> (u64, u64, Option<u64>) {
    assert_eq!(response.field("ratelimit-policy"), Some("\"app\";q=1;w=3600"));
    let (name, numbers) = response.field("ratelimit").unwrap().split_once(";r=").unwrap();
    let (left, seconds) = numbers.split_once(";t=").unwrap();
    let hours = |seconds: &str| seconds.parse::<u64>().unwrap().div_ceil(3600);
    assert_eq!(name, "\"app\"");
    (left.parse().unwrap(), hours(seconds), response.field("retry-after").map(hours))
}

/// A route that takes three at once, and another every hour.
fn three(key: &str) -> String {
    format!("rate_limit = {{ requests = 1, per = \"1h\", burst = 3, key = {key:?} }}")
}

both_drivers! {
    fn a_burst_passes_and_no_more(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).route(&three("route")).and(LOG);
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        for nth in 1..4 {
            let response = client.ask(GET).expect(200);
            assert_eq!(told(&response), (3 - nth, nth, None));
            assert_eq!(response.text(), "ok");
        }
        for _ in 0..5 {
            // The connection stays open.
            let response = client.ask(GET).expect(429);
            assert_eq!(told(&response), (0, 1, Some(1)));
            assert_eq!(response.text(), "429 Too Many Requests: too many requests\n");
        }
        assert_eq!(origin.requests().len(), 3);
        assert_eq!(proxy.metric("ringlane_requests_refused_total", "reason=\"rate_limit\""), 5);
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 1);
        logs(&proxy, "PA");
    }

    fn it_fills_again(driver) {
        let origin = Origin::replies(&[OK]);
        let rate = "rate_limit = { requests = 10, burst = 1 }";
        let proxy = Setup::to(&origin).route(rate).start(driver);
        let mut client = proxy.connect();
        client.ask(GET).expect(200);
        eventually("another passes", || client.ask(GET).status == 200);
    }

    /// Whatever the length of the body, if it can be read past.
    fn a_body_is_read_past(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).route(&three("route")).start(driver);
        let mut client = proxy.connect();
        assert_eq!(statuses(&mut client, GET, 4), [200, 200, 200, 429]);
        let body = "b".repeat(100_000);
        let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
        assert_eq!(statuses(&mut client, &post, 3), [429; 3]);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(client.read_response().expect(429).says_close());
        assert_eq!(origin.requests().len(), 3);
    }

    fn each_client_has_a_bucket(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).route(&three("client")).start(driver);
        for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            assert_eq!(statuses(&mut connect_from(&proxy, address), GET, 2), [200, 200], "{address}");
            // The address counts, not the connection.
            assert_eq!(statuses(&mut connect_from(&proxy, address), GET, 3), [200, 429, 429], "{address}");
        }
    }

    fn each_value_of_a_field_has_a_bucket(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).route(&three("header:x-api-key")).start(driver);
        let mut client = proxy.connect();
        for lines in ["X-Api-Key: one\r\n", "x-api-key: two\r\n", "", "X-Api-Key: one\r\nX-Api-Key: two\r\n"] {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            assert_eq!(statuses(&mut client, &request, 4), [200, 200, 200, 429], "{lines:?}");
        }
        // The name in any case, the value byte for byte.
        assert_eq!(statuses(&mut client, "GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: two\r\n\r\n", 1), [429]);
        assert_eq!(statuses(&mut client, "GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: Two\r\n\r\n", 1), [200]);
    }

    /// Limits of one route are none of another's, and what a route answers itself is limited as well.
    fn each_route_has_its_own(driver) {
        let route = |name: &str| format!(
            "[[routes]]\nname = {name:?}\nmatch = {{ path = \"/{name}\" }}\nrespond = {{ body = \"here\" }}\n{}\n",
            three("client")
        );
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).and(&(route("one") + &route("two"))).start(driver);
        let mut client = proxy.connect();
        for path in ["/one", "/two"] {
            let response = client.ask(get(path)).expect(200);
            let name = &path[1..];
            assert_eq!(response.text(), "here");
            assert_eq!(response.field("ratelimit"), Some(format!("\"{name}\";r=2;t=3600").as_str()));
            assert_eq!(statuses(&mut client, &get(path), 3), [200, 200, 429]);
        }
        let free = client.ask(GET).expect(200);
        assert_eq!((free.field("ratelimit"), free.field("ratelimit-policy")), (None, None));
    }

    /// A hundred thousand keys cost a fixed amount, and nobody's empty bucket is forgotten for them.
    fn many_keys_cost_a_fixed_amount(driver) {
        let toml = "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
                    [[routes]]\nname = \"app\"\nrespond = { body = \"ok\" }\n\
                    rate_limit = { requests = 1, per = \"1h\", burst = 3, key = \"header:x-key\" }\n";
        let proxy = Proxy::start(driver, toml);
        let asking = |key: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n");
        let mut client = proxy.connect();
        for key in ["first", "second", "third"] {
            assert_eq!(statuses(&mut client, &asking(key), 4), [200, 200, 200, 429]);
        }
        let before = proxy.resident_kib();
        for batch in 0..500 {
            let requests: String = (0..200).map(|nth| asking(&format!("k{batch}-{nth}"))).collect();
            client.send(requests);
            (0..200).for_each(|_| drop(client.read_response().expect(200)));
        }
        for key in ["first", "second", "third"] {
            assert_eq!(statuses(&mut client, &asking(key), 1), [429], "{key}");
        }
        assert_eq!(statuses(&mut client, &asking("new"), 4), [200, 200, 200, 429]);
        let grown = proxy.resident_kib().saturating_sub(before);
        assert!(grown < 8 * 1024, "{grown} KiB more for 100,000 keys");
        // More keys than there are places: some have been forgotten, and that is told.
        assert!(proxy.metric("ringlane_limit_gaps_total", "kind=\"evicted\"") > 30_000);
    }

    fn a_reload_keeps_buckets(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).route(&three("client"));
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        assert_eq!(statuses(&mut client, GET, 3), [200, 200, 200]);
        let path = proxy.dir().join("ringlane.toml");
        let text = fs::read_to_string(&path).unwrap();
        // Another route comes, and this one changes: it takes four at once now.
        let more = "[[routes]]\nname = \"more\"\nmatch = { path = \"/more\" }\nrespond = { body = \"more\" }\n";
        fs::write(&path, format!("{}{more}", text.replace("burst = 3", "burst = 4"))).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_config_reloads_total", "result=\"ok\"", 1);
        eventually("the new route is there", || client.ask(get("/more")).text() == "more");
        assert_eq!(statuses(&mut client, GET, 3), [200, 429, 429]);
    }

    /// A client of one worker has all of its limit there, and nothing more at the others once they have heard of it.
    fn workers_hold_a_limit_together(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).workers(2).route(&three("client")).start(driver);
        proxy.await_log("rate limits: on 1 route, each of the whole process; workers tell each other every 20 ms");
        let mut first = connect_from(&proxy, "127.0.0.2");
        assert_eq!(statuses(&mut first, GET, 4), [200, 200, 200, 429]);
        // What the other worker lets pass before it has heard is at most a bucket more.
        let mut passed = 0;
        let mut clients: Vec<Client> = (0..16).map(|_| connect_from(&proxy, "127.0.0.2")).collect();
        eventually("both have heard", || {
            let now = clients.iter_mut().filter_map(|client| (client.ask(GET).status == 200).then_some(())).count();
            passed += now;
            now == 0
        });
        assert!(passed <= 3, "{passed}");
        assert_eq!(proxy.metric("ringlane_limit_gaps_total", ""), 0);
        // A second client has been slowed down by nothing of this.
        assert_eq!(statuses(&mut connect_from(&proxy, "127.0.0.3"), GET, 4), [200, 200, 200, 429]);
    }

    /// A flood of one client at all workers: no more than a bucket each.
    fn a_flood_at_all_workers(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).workers(2).route(&three("route")).start(driver);
        let mut clients: Vec<Client> = (0..32).map(|_| proxy.connect()).collect();
        let mut passed = 0;
        for _ in 0..20 {
            clients.iter_mut().for_each(|client| client.send(GET));
            passed += clients.iter_mut().map(Client::read_response).filter(|it| it.status == 200).count();
        }
        assert!((3..=6).contains(&passed), "{passed}");
        assert_eq!(origin.requests().len(), passed);
    }
}
