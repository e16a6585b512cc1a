//! What becomes of connections whose listener changes or goes.

use super::{address, at, files, is_refused, listener, reload, serves};
use crate::crowd::room_for;
use crate::harness::{
    Client, Origin, Proxy, Setup, eventually,
    replies::{GET, OK, SWITCH, UPGRADE},
};

/// So many clients are more than a worker accepts between two ticks.
const CROWD: u64 = 3_000;

/// Listeners with these names and addresses, all to one origin.
fn to(origin: &Origin, listeners: &[(&str, &str)]) -> String {
    let toml = Setup::to(origin).toml();
    let listeners = listeners.iter().map(|(name, address)| listener(name, address, ""));
    listeners.collect::<String>() + &toml[toml.find("[[upstreams]]").unwrap()..]
}

/// Has the process stand still while `during` happens.
fn stopped(proxy: &Proxy, during: impl FnOnce()) {
    proxy.signal(libc::SIGSTOP);
    eventually("it stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", proxy.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    });
    during();
    proxy.signal(libc::SIGCONT);
}

both_drivers! {
    fn what_is_under_way_ends_and_says_so(driver) {
        let origin = Origin::manual();
        let (web, more) = (address(), address());
        let proxy = Proxy::start(driver, &to(&origin, &[("web", &web), ("more", &more)]));
        let begin = |request: &str| {
            let mut client = Client::connect(&more);
            client.send(request);
            let mut upstream = origin.accept();
            upstream.read_request();
            (client, upstream)
        };
        let (mut asked, mut asked_of) = begin(GET);
        let (mut loading, mut loaded_from) = begin(GET);
        loaded_from.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        loaded_from.send(vec![b'x'; 400_000]);
        assert_eq!(loading.read_head().status(), 200);
        let (mut tunnel, mut tunnel_to) = begin(UPGRADE);
        tunnel_to.send(SWITCH);
        assert_eq!(tunnel.read_head().status(), 101);
        let (mut sending, mut idle) = (Client::connect(&more), Client::connect(&more));
        sending.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n");
        sending.await_taken();
        idle.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        upstream.send(OK);
        idle.read_response().expect(200);

        reload(&proxy, &to(&origin, &[("web", &web)]), "ok");
        idle.expect_eof();
        is_refused(&more);
        proxy.await_log(&format!("{more} is closed"));
        asked_of.send(OK);
        assert!(asked.read_response().expect(200).says_close());
        asked.expect_eof();
        // On the connection that was given back last.
        sending.send("\r\nhi");
        asked_of.read_request();
        asked_of.send(OK);
        assert!(sending.read_response().expect(200).says_close());
        sending.expect_eof();
        for _ in 0..3 {
            tunnel.send("ping");
            assert_eq!(tunnel_to.read_exact(4), b"ping");
        }
        loaded_from.send(vec![b'x'; 600_000]);
        assert_eq!(loading.read_exact(1_000_000).len(), 1_000_000);
        loading.expect_eof();
        drop(tunnel);
        tunnel_to.expect_close();
        drop(tunnel_to);
        proxy.await_metric("ringlane_connections_active", "", 0);
        assert_eq!(proxy.metric("ringlane_timeouts_total", "timeout=\"keep_alive\""), 0);
    }

    /// What a client has asked in one go is answered, and its end is in order.
    fn a_request_behind_the_one_under_way_is_answered(driver) {
        let origin = Origin::manual();
        let (web, more) = (address(), address());
        let proxy = Proxy::start(driver, &to(&origin, &[("web", &web), ("more", &more)]));
        let mut client = Client::connect(&more);
        client.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        assert_eq!(client.read_head().status(), 200);
        client.send(GET);
        reload(&proxy, &to(&origin, &[("web", &web)]), "ok");
        is_refused(&more);
        upstream.send("ha");
        assert_eq!(client.read_exact(4), b"haha");
        upstream.read_request();
        upstream.send(OK);
        assert!(client.read_response().expect(200).says_close());
        client.expect_eof();
    }

    fn limits_change_from_the_next_request_on(driver) {
        let web = address();
        let routes = at(&[]);
        let proxy = Proxy::start(driver, &(listener("web", &web, "") + &routes));
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(600));
        let mut clients: Vec<_> = (0..3).map(|_| Client::connect(&web)).collect();
        for client in &mut clients {
            client.ask(&long).expect(200);
        }
        let config = listener("web", &web, "max_connections = 3\nlimits.request_head_bytes = 512") + &routes;
        reload(&proxy, &config, "ok");
        // A tick later: the table is looked for before each request, but its head is read by then.
        proxy.await_metric("ringlane_table_adoptions_total", "", 2);
        // Nobody is closed for a limit, and nobody else comes in.
        let mut fourth = Client::connect(&web);
        fourth.ask(GET).expect(503);
        clients[0].ask(GET).expect(200);
        clients[1].ask(&long).expect(431);
        clients[2].ask(&long).expect(431);
    }

    /// More than a worker takes at a time, and all of them there before it hears of the end.
    fn a_queue_full_of_clients_is_served(driver) {
        let (_alone, crowd) = room_for(CROWD);
        for drains in [false, true] {
            let (web, more) = (address(), address());
            let with = at(&[("web", &web), ("more", &more)]);
            let mut proxy = Proxy::start(driver, &with);
            let mut clients = Vec::new();
            let path = proxy.dir().join("ringlane.toml");
            stopped(&proxy, || {
                clients.extend((0..crowd).map(|_| Client::connect(&more)));
                clients.iter_mut().for_each(|client| client.send(GET));
                if drains {
                    return proxy.signal(libc::SIGTERM);
                }
                let config = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, config.replace(&listener("more", &more, ""), "")).unwrap();
                proxy.signal(libc::SIGHUP);
            });
            for client in &mut clients {
                client.read_response().expect(200);
                client.expect_eof();
            }
            if drains {
                assert!(proxy.wait_exit().success());
            }
        }
    }

    fn nothing_stays_behind(driver) {
        let (web, more) = (address(), address());
        let (with, without) = (at(&[("web", &web), ("more", &more)]), at(&[("web", &web)]));
        let proxy = Proxy::launch(driver).workers(2).start(&without);
        let mut open = Client::connect(&web);
        open.ask(GET).expect(200);
        let closed = || proxy.logs().iter().filter(|line| line.contains("is closed")).count();
        let mut before = 0;
        for nth in 0..50 {
            reload(&proxy, &with, "ok");
            serves(&more);
            reload(&proxy, &without, "ok");
            // Some are closed before they come back, most come back before they are closed.
            if nth < 3 {
                eventually("it is closed", || closed() > nth);
            }
            if nth == 0 {
                before = files(&proxy);
            }
        }
        is_refused(&more);
        eventually("the last one is closed", || files(&proxy) <= before);
        open.ask(GET).expect(200);
    }

    fn a_worker_that_is_started_again_has_them(driver) {
        let (web, more) = (address(), address());
        let launch = Proxy::launch(driver).env("RINGLANE_FAULTS", "1");
        let proxy = launch.start(&at(&[("gone", &web), ("web", &more)]));
        let added = address();
        reload(&proxy, &at(&[("web", &more), ("added", &added)]), "ok");
        serves(&added);
        let mut killer = Client::connect(&more);
        killer.send("GET / HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: worker\r\n\r\n");
        proxy.await_metric("ringlane_worker_restarts_total", "", 1);
        serves(&added);
        serves(&more);
        is_refused(&web);
        reload(&proxy, &at(&[("web", &web)]), "ok");
        serves(&web);
        is_refused(&added);
    }

    fn the_process_ends_while_a_listener_is_leaving(driver) {
        let origin = Origin::manual();
        let (web, more) = (address(), address());
        let mut proxy = Proxy::start(driver, &to(&origin, &[("web", &web), ("more", &more)]));
        let mut client = Client::connect(&more);
        client.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        reload(&proxy, &to(&origin, &[("web", &web)]), "ok");
        // The worker hears of it within a tick: whoever is idle is told at once.
        let mut idle = Client::connect(&web);
        proxy.signal(libc::SIGTERM);
        idle.expect_eof();
        upstream.send(OK);
        assert!(client.read_response().expect(200).says_close());
        assert!(proxy.wait_exit().success());
    }
}
