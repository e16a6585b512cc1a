//! Which endpoint gets a request, beyond turns (`endpoints.rs`): load, keys, cookies, backups.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{
    harness::{
        Client, Dir, Driver, Origin, Proxy, Setup, Step, Wire, eventually,
        replies::{GET, OK, SWITCH, UPGRADE, get, ok},
    },
    reload::{await_adopted, reload},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Origins that answer with their own names, "a" and so on.
fn named(count: usize) -> Vec<Origin> {
    ["a", "b", "c", "d"][..count].iter().map(|name| Origin::replies(&[ok(name)])).collect()
}

fn setup(origins: &[Origin], upstream: &str) -> Setup {
    let addresses: Vec<_> = origins.iter().map(Origin::address).collect();
    Setup::to_endpoints(&addresses.iter().map(String::as_str).collect::<Vec<_>>()).upstream(upstream)
}

/// A setup whose endpoints are tables: an address and what else there is to say.
fn tables(endpoints: &[(&str, &str)], upstream: &str) -> String {
    let each = endpoints.iter().map(|(address, more)| format!("{{ address = {address:?}{more} }}"));
    let list = format!("endpoints = [{}]", each.collect::<Vec<_>>().join(", "));
    Setup::to_endpoints(&[]).upstream(upstream).toml().replace("endpoints = []", &list)
}

/// Who answers a request with these fields.
#[track_caller]
fn who(client: &mut Client, target: &str, fields: &str) -> String {
    client.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).expect(200).text()
}

/// A config with a sticky cookie `at`, whose secret is in `dir`.
fn sticky(dir: &Dir, more: &str) -> String {
    let file = dir.file("secret");
    fs::write(&file, SECRET).unwrap();
    format!("balance = \"round_robin\"\nsticky = {{ cookie = \"at\", secret_file = {file:?}{more} }}")
}

/// Asks with a cookie; who answered, and the value of the cookie that came with it.
#[track_caller]
fn visit(client: &mut Client, cookie: Option<&str>) -> (String, Option<String>) {
    let field = cookie.map_or(String::new(), |value| format!("Cookie: x=1; at={value}\r\n"));
    let response = client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n")).expect(200);
    let set = response.field("set-cookie").map(|line| {
        let (pair, attributes) = line.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        pair.strip_prefix("at=").unwrap().to_owned()
    });
    (response.text(), set)
}

/// Waits until nobody listens there any more.
fn close(origin: Origin) {
    let address = origin.address();
    drop(origin);
    eventually("its port is closed", || Wire::try_connect(&address).is_err());
}

/// Starts with two endpoints, one of which has a request that it does not answer. Who gets the next ones.
fn beside_a_busy_one(driver: Driver, balance: &str) -> BTreeSet<String> {
    let (busy, idle) = (Origin::manual(), Origin::replies(&[ok("idle")]));
    let upstream = format!("balance = {balance:?}");
    let proxy = Setup::to_endpoints(&[&busy.address(), &idle.address()]).upstream(&upstream).start(driver);
    let mut client = proxy.connect();
    let mut held = None;
    // Whoever is first; one of the two is chosen at random.
    for answered in 0..100 {
        let mut first = proxy.asking(GET);
        eventually("it comes to somebody", || busy.connections() > 0 || idle.requests().len() > answered);
        if busy.connections() > 0 {
            held = Some(first);
            break;
        }
        first.read_response().expect(200);
    }
    assert!(held.is_some());
    (0..20).map(|_| who(&mut client, "/", "")).collect()
}

both_drivers! {
    fn each_algorithm_uses_all_endpoints(driver) {
        for balance in ["auto", "round_robin", "least_requests", "power_of_two", "peak_ewma", "hash", "random"] {
            let origins = named(4);
            let upstream = format!("balance = {balance:?}\nhash = {{ key = \"path\" }}");
            let upstream = if balance == "hash" { upstream } else { format!("balance = {balance:?}") };
            let proxy = setup(&origins, &upstream).start(driver);
            let mut client = proxy.connect();
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for number in 0..200 {
                *counts.entry(who(&mut client, &format!("/{number}"), "")).or_default() += 1;
            }
            // By latency one may be the slowest of all, and is then left alone after its first answer.
            let least = if balance == "peak_ewma" { 1 } else { 15 };
            assert!(counts.len() == 4 && counts.values().all(|it| *it >= least), "{balance}: {counts:?}");
            if ["round_robin", "least_requests"].contains(&balance) {
                assert!(counts.values().all(|it| *it == 50), "{balance}: {counts:?}");
            }
        }
    }

    fn who_is_busy_is_left_alone(driver) {
        for balance in ["least_requests", "power_of_two"] {
            assert_eq!(beside_a_busy_one(driver, balance), ["idle".to_owned()].into(), "{balance}");
        }
    }

    /// A failure is no quick answer.
    fn latency_is_not_judged_by_failures(driver) {
        let failing = Origin::script(&[Step::Request, Step::Close]);
        let good = Origin::replies(&[OK]);
        let setup = Setup::to_endpoints(&[&failing.address(), &good.address()]);
        let proxy = setup.upstream("balance = \"peak_ewma\"").start(driver);
        let mut client = proxy.connect();
        let statuses: Vec<_> = (0..30).map(|_| client.ask(GET).status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 1, "{statuses:?}");
    }

    fn a_cookie_brings_a_client_back(driver) {
        let dir = Dir::new();
        let origins = named(3);
        let proxy = setup(&origins, &sticky(&dir, "")).workers(2).start(driver);
        let mut cookies = BTreeMap::new();
        let mut client = proxy.connect();
        for _ in 0..3 {
            let (name, cookie) = visit(&mut client, None);
            cookies.insert(name, cookie.expect("a client without a cookie gets one"));
        }
        assert_eq!(cookies.values().collect::<BTreeSet<_>>().len(), 3);
        for (name, cookie) in &cookies {
            for _ in 0..4 {
                // On connections of their own, so that both workers are asked.
                assert_eq!(visit(&mut proxy.connect(), Some(cookie)), (name.clone(), None));
            }
        }
        // Another process with the same secret knows them.
        let other = setup(&origins, &sticky(&dir, "")).start(driver);
        for (name, cookie) in &cookies {
            assert_eq!(visit(&mut other.connect(), Some(cookie)), (name.clone(), None));
        }
    }

    fn an_age_and_a_tunnel(driver) {
        let dir = Dir::new();
        let origin = Origin::script(&[Step::Request, Step::reply(SWITCH), Step::ReadToEnd]);
        let proxy = Setup::to(&origin).upstream(&sticky(&dir, ", max_age = \"1h\"")).start(driver);
        let response = proxy.connect().ask(UPGRADE);
        assert_eq!(response.status, 101);
        let line = response.field("set-cookie").unwrap();
        assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"), "{line}");
    }

    fn what_is_forged_is_ignored(driver) {
        let dir = Dir::new();
        let origins = named(2);
        let proxy = setup(&origins, &sticky(&dir, "")).start(driver);
        let mut client = proxy.connect();
        let (_, cookie) = visit(&mut client, None);
        let cookie = cookie.unwrap();
        let flipped = if cookie.starts_with('0') { "1" } else { "0" }.to_owned() + &cookie[1..];
        for forged in [
            "", "a", &flipped, &cookie[1..], &format!("{cookie}0"), &cookie.to_uppercase().replace(['A', 'B'], "C"),
            "00000000000000000000000000000000", "127.0.0.1:9000", &origins[0].address(),
        ] {
            let names: BTreeSet<_> = (0..2)
                .map(|_| {
                    let (name, set) = visit(&mut client, Some(forged));
                    assert!(set.is_some(), "{forged:?}");
                    name
                })
                .collect();
            // Turns go on.
            assert_eq!(names.len(), 2, "{forged:?}");
        }
        // The address is not in it, and one of another secret is none.
        let other = Dir::new();
        let settings = sticky(&other, "");
        fs::write(other.file("secret"), SECRET.replace('0', "9")).unwrap();
        let other = setup(&origins, &settings).start(driver);
        assert!(visit(&mut other.connect(), Some(&cookie)).1.is_some_and(|it| it != cookie));
    }

    fn an_endpoint_that_is_gone_leaves_its_clients_to_others(driver) {
        let dir = Dir::new();
        let once = Origin::script(&[Step::Request, Step::reply(ok("once")), Step::Close]);
        let stays = Origin::replies(&[ok("stays")]);
        let settings = sticky(&dir, "");
        let proxy = Setup::to_endpoints(&[&once.address(), &stays.address()]).upstream(&settings).start(driver);
        let mut client = proxy.connect();
        let visits: BTreeMap<_, _> = (0..2).map(|_| visit(&mut client, None)).collect();
        let cookie = visits["once"].as_deref();
        assert_eq!(visit(&mut client, cookie), ("once".to_owned(), None));
        // It refuses: another takes over, and says so.
        let address = once.address();
        close(once);
        assert_eq!(visit(&mut client, cookie), ("stays".to_owned(), visits["stays"].clone()));
        assert_eq!(visit(&mut client, visits["stays"].as_deref()), ("stays".to_owned(), None));
        // It is no more.
        let without = Setup::to_endpoints(&[&stays.address()]).upstream(&settings).toml();
        reload(&proxy, &without);
        await_adopted(&proxy, 1, 1);
        assert_eq!(visit(&mut client, cookie), ("stays".to_owned(), visits["stays"].clone()));
        // Its address comes back: so do those who have its cookie still.
        let again = std::net::TcpListener::bind(&address).unwrap();
        reload(&proxy, &Setup::to_endpoints(&[&stays.address(), &address]).upstream(&settings).toml());
        await_adopted(&proxy, 2, 1);
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: at={}\r\n\r\n", cookie.unwrap()));
        let mut upstream = Wire::new(std::os::fd::OwnedFd::from(again.accept().unwrap().0).into());
        upstream.read_request();
        upstream.send(OK);
        assert_eq!(client.read_response().expect(200).field("set-cookie"), None);
    }

    /// Another secret counts from the next reload on, although no word of the config has changed.
    fn a_secret_is_read_again(driver) {
        let dir = Dir::new();
        let origins = named(1);
        let config = setup(&origins, &sticky(&dir, "")).toml();
        let proxy = Proxy::start(driver, &config);
        let mut client = proxy.connect();
        let (_, first) = visit(&mut client, None);
        assert_eq!(visit(&mut client, first.as_deref()).1, None);
        fs::write(dir.file("secret"), SECRET.replace('0', "9")).unwrap();
        reload(&proxy, &config);
        await_adopted(&proxy, 1, 1);
        let (_, second) = visit(&mut client, first.as_deref());
        assert!(second.is_some() && second != first);
        // One that can't be read changes nothing.
        fs::write(dir.file("secret"), "short").unwrap();
        reload(&proxy, &config);
        proxy.await_metric("ringlane_config_reloads_total", "result=\"failed\"", 1);
        proxy.await_log("holds 5 bytes");
        assert_eq!(visit(&mut client, second.as_deref()).1, None);
    }

    fn backups_serve_when_no_other_can(driver) {
        let origins = named(3);
        let [a, b, c] = [0, 1, 2].map(|index| origins[index].address());
        let backup = ", backup = true";
        let config = tables(&[(&a, ""), (&b, backup), (&c, backup)], "balance = \"round_robin\"");
        let proxy = Proxy::start(driver, &config);
        let mut client = proxy.connect();
        assert!((0..6).all(|_| who(&mut client, "/", "") == "a"));
        assert_eq!((origins[1].connections(), origins[2].connections()), (0, 0));
        // The only one that is none refuses.
        let closed = Origin::replies(&[OK]);
        let address = closed.address();
        close(closed);
        reload(&proxy, &tables(&[(&address, ""), (&b, backup), (&c, backup)], "balance = \"round_robin\""));
        await_adopted(&proxy, 1, 1);
        assert_eq!((0..4).map(|_| who(&mut client, "/", "")).collect::<String>(), "bcbc");
        // It is drained: then it is not even tried.
        let refused = proxy.metric("ringlane_upstream_connect_failures_total", "");
        assert_eq!(refused, 4);
        reload(&proxy, &tables(&[(&address, ", weight = 0"), (&b, backup), (&c, backup)], ""));
        await_adopted(&proxy, 2, 1);
        assert!((0..4).all(|_| ["b", "c"].contains(&&*who(&mut client, "/", ""))));
        assert_eq!(proxy.metric("ringlane_upstream_connect_failures_total", ""), refused);
    }

    /// New clients go elsewhere, those who have been there stay until they leave.
    fn weight_0_drains(driver) {
        let dir = Dir::new();
        let origins = named(2);
        let [a, b] = [0, 1].map(|index| origins[index].address());
        let settings = sticky(&dir, "");
        let proxy = Proxy::start(driver, &tables(&[(&a, ""), (&b, "")], &settings));
        let mut client = proxy.connect();
        let visits: BTreeMap<_, _> = (0..2).map(|_| visit(&mut client, None)).collect();
        reload(&proxy, &tables(&[(&a, ", weight = 0"), (&b, "")], &settings));
        await_adopted(&proxy, 1, 1);
        assert!((0..4).all(|_| visit(&mut client, None).0 == "b"));
        assert_eq!(visit(&mut client, visits["a"].as_deref()), ("a".to_owned(), None));
    }

    fn the_same_key_goes_to_the_same_endpoint(driver) {
        for (key, request) in [
            ("path", (|key| (format!("/{key}?x={key}&y"), String::new())) as fn(usize) -> (String, String)),
            ("header:X-User", |key| ("/".to_owned(), format!("x-user: {key}\r\n"))),
            ("cookie:id", |key| ("/".to_owned(), format!("Cookie: a=b; id={key}\r\n"))),
            ("query:id", |key| (format!("/?x=%20&id=k{key}"), String::new())),
        ] {
            let origins = named(4);
            let upstream = format!("balance = \"hash\"\nhash = {{ key = {key:?} }}");
            let proxy = setup(&origins, &upstream).workers(2).start(driver);
            let homes = |fields: &str| -> Vec<String> {
                let home = |number| {
                    let (target, field) = request(number);
                    who(&mut proxy.connect(), &target, &format!("{field}{fields}"))
                };
                (0..24).map(home).collect()
            };
            let first = homes("");
            assert_eq!(first, homes("X-Other: 1\r\n"), "{key}");
            assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4, "{key}: {first:?}");
        }
        let origins = named(4);
        let proxy = setup(&origins, "balance = \"hash\"\nhash = { key = \"query:id\" }").start(driver);
        let mut client = proxy.connect();
        // However it is encoded.
        assert_eq!(who(&mut client, "/?id=a%62+", ""), who(&mut client, "/?x&%69d=%61b%20", ""));
        // One without a key goes anywhere.
        let seen: BTreeSet<_> = (0..200).map(|_| who(&mut client, "/", "")).collect();
        assert_eq!(seen.len(), 4);
    }

    fn clients_are_told_apart_by_address(driver) {
        let origins = named(4);
        let proxy = setup(&origins, "balance = \"hash\"").start(driver);
        let from = |last: u8| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&std::net::SocketAddr::from(([127, 0, 3, last], 0)).into()).unwrap();
            socket.connect(&proxy.address().parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
            who(&mut Client::new(socket), "/", "")
        };
        let first: Vec<_> = (1..30).map(from).collect();
        assert_eq!(first, (1..30).map(from).collect::<Vec<_>>());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4, "{first:?}");
    }

    /// Neither the order of the endpoints nor a new one moves the keys of those that stay, but for those that it takes.
    fn placement_outlives_reloads(driver) {
        let mut origins = named(4);
        let new = origins.pop().unwrap();
        let upstream = "balance = \"hash\"\nhash = { key = \"path\" }";
        let config = |list: &[&Origin]| {
            let addresses: Vec<_> = list.iter().map(|it| it.address()).collect();
            let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
            Setup::to_endpoints(&addresses).upstream(upstream).toml()
        };
        let [a, b, c] = &origins[..] else { panic!("three") };
        let proxy = Proxy::start(driver, &config(&[a, b, c]));
        let mut client = proxy.connect();
        let mut homes = || (0..60).map(|key| who(&mut client, &format!("/{key}"), "")).collect::<Vec<_>>();
        let first = homes();
        reload(&proxy, &config(&[c, a, b]));
        await_adopted(&proxy, 1, 1);
        assert_eq!(homes(), first);
        reload(&proxy, &config(&[&new, c, a, b]));
        await_adopted(&proxy, 2, 1);
        let (moved, elsewhere): (Vec<_>, Vec<_>) =
            homes().into_iter().zip(&first).filter(|(now, before)| now != *before).partition(|(now, _)| now == "d");
        // A quarter is its own.
        assert!((3..=30).contains(&moved.len()) && elsewhere.len() <= 3, "{moved:?} {elsewhere:?}");
        reload(&proxy, &config(&[a, b, c]));
        await_adopted(&proxy, 3, 1);
        assert_eq!(homes(), first);
    }

    fn a_hot_key_spills_over(driver) {
        let origins: Vec<_> = (0..4).map(|_| Origin::manual()).collect();
        let proxy = setup(&origins, "balance = \"hash\"\nhash = { key = \"path\", overload = 1 }").start(driver);
        let mut clients: Vec<_> = (0..4).map(|_| proxy.asking(get("/hot"))).collect();
        // Each holds one, as many as there are.
        let mut upstreams: Vec<_> = origins.iter().map(Origin::accept).collect();
        for upstream in &mut upstreams {
            assert_eq!(upstream.read_request().target(), "/hot");
            upstream.send(OK);
        }
        clients.iter_mut().for_each(|client| drop(client.read_response().expect(200)));
    }

    fn secrets_that_can_not_be_used(driver) {
        let dir = Dir::new();
        for (content, says) in [(None, "can't be read"), (Some("0123456789"), "holds 10 bytes")] {
            let file = dir.file("other");
            if let Some(content) = content {
                fs::write(&file, content).unwrap();
            }
            let upstream = format!("sticky = {{ cookie = \"at\", secret_file = {file:?} }}");
            let mut proxy =
                Proxy::launch(driver).spawn(&Setup::to_endpoints(&["127.0.0.1:9"]).upstream(&upstream).toml());
            assert_eq!(proxy.wait_exit().code(), Some(1));
            let log = proxy.logs().join("\n");
            assert!(log.contains(says) && log.contains("sticky.secret_file"), "{log}");
        }
    }
}
