//! HUP: a good config takes effect without a connection lost, a bad one takes none.

use std::fs;

use crate::harness::{
    Client, Origin, Proxy, Setup, Wire, eventually,
    replies::{GET, OK, get, ok},
};

/// A config in which everything goes to `origin`, with more tables at its end.
fn to(origin: &Origin, more: &str) -> String {
    Setup::to(origin).and(more).toml()
}

/// Puts `toml` in place of the proxy's config, below what the proxy was started with, and has it loaded.
#[track_caller]
pub fn reload(proxy: &Proxy, toml: &str) {
    // Workers have the one in force, so that each adopts each.
    let (workers, tables) =
        (proxy.metric("ringlane_workers", ""), proxy.metric("ringlane_config_generation", ""));
    proxy.await_metric("ringlane_table_adoptions_total", "", workers * tables);
    let path = proxy.dir().join("ringlane.toml");
    let text = fs::read_to_string(&path).unwrap();
    let head = &text[..text.find("[[listeners]]").unwrap()];
    fs::write(&path, format!("{head}{toml}")).unwrap();
    proxy.signal(libc::SIGHUP);
}

/// Waits until the n-th good config is in force with every worker.
#[track_caller]
pub fn await_adopted(proxy: &Proxy, reloads: u64, workers: u64) {
    proxy.await_metric("ringlane_config_reloads_total", "result=\"ok\"", reloads);
    proxy.await_metric("ringlane_table_adoptions_total", "", (reloads + 1) * workers);
}

/// Has `toml` loaded, as the n-th good config, and waits until it is in force with every worker.
#[track_caller]
pub fn reload_whole(proxy: &Proxy, toml: &str, nth: u64) {
    reload(proxy, toml);
    await_adopted(proxy, nth, proxy.metric("ringlane_workers", ""));
}

#[track_caller]
fn asks(client: &mut Client, path: &str) -> String {
    client.send(get(path));
    client.read_response().text()
}

/// A route that answers by itself.
fn answers(name: &str, body: &str) -> String {
    format!(
        "[[routes]]\nname = {name:?}\nmatch = {{ path = \"/{name}\" }}\nrespond = {{ body = {body:?} }}\n"
    )
}

both_drivers! {
    fn routes_change_under_open_connections(driver) {
        let origin = Origin::replies(&[ok("upstream")]);
        let proxy = Proxy::launch(driver).workers(2).start(&to(&origin, ""));
        let mut clients: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
        for client in &mut clients {
            assert_eq!(asks(client, "/new"), "upstream");
        }
        for (nth, body) in ["one", "two", "three"].into_iter().enumerate() {
            reload(&proxy, &to(&origin, &answers("new", body)));
            await_adopted(&proxy, nth as u64 + 1, 2);
            for client in &mut clients {
                assert_eq!(asks(client, "/new"), body);
                assert_eq!(asks(client, "/old"), "upstream");
            }
        }
        assert_eq!(proxy.metric("ringlane_config_generation", ""), 4);
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 8);
        proxy.await_log("reload: 2 routes in force");
        // Neither have the upstream's connections been lost.
        assert!(origin.connections() <= 2, "{}", origin.connections());
    }

    fn what_is_recorded_of_a_route_goes_with_it(driver) {
        let origin = Origin::replies(&[ok("upstream")]);
        let proxy = Proxy::start(driver, &to(&origin, &answers("gone", "soon")));
        let mut client = proxy.connect();
        assert_eq!((asks(&mut client, "/gone"), asks(&mut client, "/")), ("soon".into(), "upstream".into()));
        let count = |route: &str| {
            let name = "ringlane_route_duration_seconds_count";
            let metrics = proxy.admin_get("/metrics").expect(200).text();
            let lines: Vec<_> = metrics.lines().filter(|line| line.starts_with(name)).collect();
            let found = lines.iter().find(|line| line.contains(&format!("\"{route}\"")));
            found.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        };
        assert_eq!((count("gone"), count("app")), (Some(1), Some(1)));
        reload(&proxy, &to(&origin, ""));
        eventually("it is given up", || (count("gone"), count("app")) == (None, Some(1)));
    }

    /// Canary of one in three: reloads must not have it begin with the same upstream again and again.
    fn a_split_goes_on_with_its_cycle(driver) {
        let (one, two) = (Origin::replies(&[ok("1")]), Origin::replies(&[ok("2")]));
        let config = |order: [usize; 2], weight: u32| {
            let upstreams = [("one", &one), ("two", &two)].map(|(name, origin)| {
                format!("[[upstreams]]\nname = {name:?}\nendpoints = [{:?}]\n", origin.address())
            });
            format!(
                "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n{}{}[[routes]]\nname = \"split\"\n\
                 split = [{{ upstream = \"one\", weight = {weight} }}, {{ upstream = \"two\", weight = 1 }}]\n",
                upstreams[order[0]], upstreams[order[1]],
            )
        };
        let proxy = Proxy::start(driver, &config([0, 1], 2));
        let mut client = proxy.connect();
        let mut turns = |count| (0..count).map(|_| asks(&mut client, "/")).collect::<String>();
        assert_eq!(turns(4), "1211");
        // The order of the upstreams in the file is no change of the split.
        reload(&proxy, &config([1, 0], 2));
        await_adopted(&proxy, 1, 1);
        assert_eq!(turns(3), "211");
        // Weights are: the cycle starts anew.
        reload(&proxy, &config([1, 0], 3));
        await_adopted(&proxy, 2, 1);
        assert_eq!(turns(4), "1121");
    }

    fn a_request_under_way_ends_by_the_config_it_began_with(driver) {
        let (old, new) = (Origin::manual(), Origin::replies(&[ok("new")]));
        let proxy = Proxy::start(driver, &to(&old, ""));
        let mut client = proxy.connect();
        client.send(GET);
        let mut upstream = old.accept();
        upstream.read_request();
        reload(&proxy, &to(&new, ""));
        await_adopted(&proxy, 1, 1);
        upstream.send(ok("old"));
        assert_eq!(client.read_response().expect(200).text(), "old");
        // Its endpoint is gone: nothing is kept for it.
        upstream.expect_eof();
        assert_eq!(asks(&mut client, "/"), "new");
    }

    fn what_an_upstream_no_longer_has_is_closed(driver) {
        let (one, two) = (Origin::manual(), Origin::manual());
        let both = [&*one.address(), &two.address()].map(str::to_owned);
        let proxy = Setup::to_endpoints(&[&both[0], &both[1]]).start(driver);
        let mut client = proxy.connect();
        let mut turn = |origin: &Origin| -> Wire {
            client.send(GET);
            let mut upstream = origin.accept();
            upstream.read_request();
            upstream.send(OK);
            client.read_response().expect(200);
            upstream
        };
        let (mut removed, mut kept) = (turn(&one), turn(&two));
        reload(&proxy, &Setup::to_endpoints(&[&both[1]]).toml());
        removed.expect_eof();
        // The one that stays keeps its connection.
        client.send(GET);
        kept.read_request();
        kept.send(OK);
        client.read_response().expect(200);
        assert_eq!(proxy.upstream_connects(), 2);
    }

    fn limits_of_listeners_and_upstreams_change(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::start(driver, &to(&origin, ""));
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(600));
        let mut open = proxy.connect();
        open.send(&head);
        open.read_response().expect(200);
        reload(&proxy, &Setup::to(&origin).listener("limits.request_head_bytes = \"512\"").toml());
        await_adopted(&proxy, 1, 1);
        // For connections that come now, from their first request on.
        let mut fresh = proxy.connect();
        fresh.send(&head);
        fresh.read_response().expect(431);
        reload(&proxy, &Setup::to(&origin).listener("max_connections = 1").toml());
        await_adopted(&proxy, 2, 1);
        assert_eq!(proxy.get("/").status, 503);
        reload(&proxy, &Setup::to(&origin).upstream("pool.max_idle = 0").toml());
        await_adopted(&proxy, 3, 1);
        let connects = proxy.upstream_connects();
        for _ in 0..3 {
            proxy.get("/").expect(200);
        }
        assert!(proxy.upstream_connects() >= connects + 2);
    }

    fn timeouts_change(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::start(driver, &to(&origin, ""));
        reload(&proxy, &Setup::to(&origin).listener("timeouts.keep_alive = \"200ms\"").toml());
        await_adopted(&proxy, 1, 1);
        // Before the first request as well.
        proxy.connect().expect_eof();
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"keep_alive\"", 1);
    }

    fn a_bad_config_changes_nothing(driver) {
        let origin = Origin::replies(&[OK]);
        let good = to(&origin, &answers("new", "good"));
        let proxy = Proxy::start(driver, &good);
        let mut client = proxy.connect();
        assert_eq!(asks(&mut client, "/new"), "good");
        let lines = proxy.config_line("[[listeners]]");
        for (nth, (bad, place, words)) in [
            // A key that is not there, a reference to nothing, no TOML at all.
            (good.replace("address =", "adress ="), format!("{}:1: ", lines + 3), "did you mean `address`?"),
            (good.replace("upstream = \"app\"", "upstream = \"apq\""), String::new(), "no upstream is named `apq`"),
            (format!("{good}\n[[routes"), String::new(), "not TOML"),
            (good.replace("name = \"new\"", "name = \"app\""), String::new(), "given twice"),
        ].into_iter().enumerate() {
            reload(&proxy, &bad);
            proxy.await_metric("ringlane_config_reloads_total", "result=\"failed\"", nth as u64 + 1);
            proxy.await_log(words);
            let at = |line: &&String| line.contains(&format!("ringlane.toml:{place}"));
            let logs = proxy.logs();
            let line = logs.iter().filter(|line| line.contains("ERROR")).find(at).expect("FILE:LINE:COLUMN");
            let (_, place) = line.split_once("ringlane.toml:").unwrap();
            let mut numbers = place.split(':').map(str::parse::<u32>);
            assert!(matches!((numbers.next(), numbers.next()), (Some(Ok(1..)), Some(Ok(1..)))), "{line}");
            assert_eq!(asks(&mut client, "/new"), "good");
        }
        proxy.await_log("the config in force stays");
        assert_eq!(proxy.metric("ringlane_config_generation", ""), 1);
        assert_eq!(proxy.metric("ringlane_config_reloads_total", "result=\"ok\""), 0);
        // What is shown is what is in force.
        assert!(proxy.admin_get("/config").text().contains("\"good\""));
        // And it can still be put right.
        reload(&proxy, &to(&origin, &answers("new", "better")));
        await_adopted(&proxy, 1, 1);
        assert_eq!(asks(&mut client, "/new"), "better");
        assert!(proxy.admin_get("/config").text().contains("\"better\""));
    }

    fn a_config_that_is_gone_changes_nothing(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::start(driver, &to(&origin, ""));
        fs::remove_file(proxy.dir().join("ringlane.toml")).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_config_reloads_total", "result=\"failed\"", 1);
        proxy.await_log("the file can't be read");
        proxy.get("/").expect(200);
    }

    fn what_takes_a_restart_is_named(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::start(driver, &to(&origin, ""));
        reload(&proxy, &to(&origin, "[log]\nlevel = \"debug\"\n"));
        await_adopted(&proxy, 1, 1);
        assert!(proxy.await_log("log changed").contains("with the next start"));
        proxy.get("/").expect(200);
    }

    /// Requests all the while: none fails.
    fn many_reloads_lose_no_request(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::launch(driver).workers(2).start(&to(&origin, ""));
        let mut clients: Vec<_> = (0..4).map(|_| proxy.connect()).collect();
        for nth in 1..=20 {
            clients.iter_mut().for_each(|client| client.send(GET));
            let more = answers(&format!("route-{nth}"), "x");
            reload(&proxy, &to(&origin, &more));
            clients.iter_mut().for_each(|client| {
                client.read_response().expect(200);
            });
            proxy.await_metric("ringlane_config_reloads_total", "result=\"ok\"", nth);
        }
        assert_eq!(proxy.metric("ringlane_responses_total", "class=\"5xx\""), 0);
    }

    fn the_access_log_is_opened_again(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::start(driver, &to(&origin, "[access_log]\npath = \"access.log\"\n"));
        let (log, rotated) = (proxy.dir().join("access.log"), proxy.dir().join("access.log.1"));
        let lines = |path: &std::path::Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        proxy.get("/").expect(200);
        crate::harness::eventually("a line", || lines(&log) == 1);
        fs::rename(&log, &rotated).unwrap();
        proxy.signal(libc::SIGHUP);
        crate::harness::eventually("a new file", || log.exists());
        proxy.get("/").expect(200);
        crate::harness::eventually("a line", || lines(&log) == 1);
        assert_eq!(lines(&rotated), 1);
    }
}
