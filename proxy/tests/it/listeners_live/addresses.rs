//! What listens where after a change, and that nobody who connects meanwhile is lost.

use std::{fs, net::TcpListener, os::unix::net::UnixListener};

use super::{address, at, is_refused, listener, reload, serves, under_load};
use crate::harness::{Client, Dir, Proxy, Wire, eventually, replies::GET};

both_drivers! {
    fn one_is_added(driver) {
        let (web, more) = (address(), address());
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &web)]));
        let mut open = proxy.connect();
        open.ask(GET).expect(200);
        is_refused(&more);
        reload(&proxy, &at(&[("web", &web), ("more", &more)]), "ok");
        proxy.await_log(&format!("listener \"more\" added: {more}, at most 100000 connections"));
        // By both workers.
        for _ in 0..16 {
            serves(&more);
        }
        open.ask(GET).expect(200);
    }

    fn one_is_removed_under_load(driver) {
        let (web, more) = (address(), address());
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &web), ("more", &more)]));
        let mut open = Client::connect(&web);
        open.ask(GET).expect(200);
        for _ in 0..3 {
            assert!(under_load(&more, true, || reload(&proxy, &at(&[("web", &web)]), "ok")));
            proxy.await_log(&format!("listener \"more\" removed: {more}"));
            reload(&proxy, &at(&[("web", &web), ("more", &more)]), "ok");
            serves(&more);
        }
        open.ask(GET).expect(200);
    }

    /// Taken out and put back before its last client has come in: it is open again, and nobody is refused.
    fn one_comes_back_at_once(driver) {
        let (web, more) = (address(), address());
        let with = at(&[("web", &web), ("more", &more)]);
        let proxy = Proxy::launch(driver).workers(2).start(&with);
        assert!(!under_load(&more, false, || for _ in 0..3 {
            reload(&proxy, &at(&[("web", &web)]), "ok");
            reload(&proxy, &with, "ok");
        }));
    }

    fn one_moves_under_load(driver) {
        let (old, new) = (address(), address());
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &old)]));
        let (mut unused, mut idle) = (Client::connect(&old), Client::connect(&old));
        idle.ask(GET).expect(200);
        assert!(under_load(&old, true, || {
            reload(&proxy, &at(&[("web", &new)]), "ok");
            serves(&new);
        }));
        idle.expect_eof();
        unused.expect_eof();
        proxy.await_log(&format!("listener \"web\" moved: {new}, at most 100000 connections; it was at {old}"));
        proxy.await_log(&format!("{old} is closed"));
    }

    fn ipv6_is_no_exception(driver) {
        let web = address();
        let more = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().to_string();
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &web), ("more", &more)]));
        assert!(under_load(&more, true, || reload(&proxy, &at(&[("web", &web)]), "ok")));
        reload(&proxy, &at(&[("web", &web), ("more", &more)]), "ok");
        serves(&more);
    }

    /// From everywhere to one address, and back: both at once would not be allowed.
    fn one_moves_within_its_port(driver) {
        let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let (all, one) = (format!("0.0.0.0:{port}"), format!("127.0.0.1:{port}"));
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &all)]));
        for (to, other) in [(&one, false), (&all, true), (&one, false)] {
            reload(&proxy, &at(&[("web", to)]), "ok");
            serves(&one);
            eventually("it moves", || Wire::try_connect(&format!("127.0.0.2:{port}")).is_ok() == other);
        }
    }

    fn two_swap_addresses(driver) {
        let (one, two) = (address(), address());
        let config = |strict: &str, lax: &str| {
            listener("strict", strict, "limits.request_head_bytes = 512") + &at(&[("lax", lax)])
        };
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(600));
        let proxy = Proxy::launch(driver).workers(2).start(&config(&one, &two));
        // Who is refused is closed: as many as one may have to ask.
        let mut first: Vec<_> = (0..200).map(|_| Client::connect(&one)).collect();
        let mut second = Client::connect(&two);
        first.iter_mut().for_each(|client| drop(client.ask(GET).expect(200)));
        second.ask(&long).expect(200);
        let swap = || reload(&proxy, &config(&two, &one), "ok");
        assert!(!under_load(&one, false, swap));
        proxy.await_log(&format!("listener \"strict\" moved: {two}, "));
        proxy.await_log(&format!("listener \"lax\" moved: {one}, "));
        // Connections are of an address, and whoever has it now says what holds for them: on each worker from its next tick.
        eventually("refused by strict", || second.ask(&long).status == 431);
        eventually("served by lax", || first.pop().unwrap().ask(&long).status == 200);
        eventually("newcomers are refused", || Client::connect(&two).ask(&long).status == 431);
        eventually("newcomers are served", || Client::connect(&one).ask(&long).status == 200);
    }

    fn one_is_renamed(driver) {
        let web = address();
        let log = "[access_log]\npath = \"access.log\"\n";
        let proxy = Proxy::launch(driver).workers(2).start(&(at(&[("old", &web)]) + log));
        let mut open = Client::connect(&web);
        open.ask(GET).expect(200);
        let rename = || reload(&proxy, &(at(&[("new", &web)]) + log), "ok");
        assert!(!under_load(&web, false, rename));
        proxy.await_log(&format!("listener \"new\" added: {web}, at most 100000 connections; it was \"old\""));
        eventually("the connection goes by the new name", || {
            open.ask("GET /open HTTP/1.1\r\nHost: a\r\n\r\n").expect(200);
            let log = fs::read_to_string(proxy.dir().join("access.log")).unwrap();
            log.lines().any(|line| line.contains("/open") && line.contains("\"new\""))
        });
    }

    fn a_chosen_port_is_kept(driver) {
        let proxy = Proxy::start(driver, &at(&[("web", "127.0.0.1:0")]));
        let web = proxy.address();
        let mut open = Client::connect(&web);
        let more = at(&[("more", "127.0.0.1:0"), ("web", "127.0.0.1:0")]);
        reload(&proxy, &more, "ok");
        proxy.await_log("listener \"more\" added");
        assert_ne!(proxy.address_of("more"), web);
        reload(&proxy, &at(&[("web", "127.0.0.1:0")]), "ok");
        is_refused(&proxy.address_of("more"));
        open.ask(GET).expect(200);
        serves(&web);
    }

    fn unix_sockets_come_and_go(driver) {
        let (dir, web) = (Dir::new(), address());
        let [one, two] = ["one.sock", "two.sock"].map(|name| dir.unix(name));
        let proxy = Proxy::launch(driver).workers(2).start(&at(&[("web", &web)]));
        reload(&proxy, &at(&[("web", &web), ("local", &one)]), "ok");
        serves(&one);
        let mut open = Client::connect(&one);
        open.ask(GET).expect(200);
        // Another listener has it now.
        assert!(!under_load(&one, false, || reload(&proxy, &at(&[("web", &web), ("other", &one)]), "ok")));
        open.ask(GET).expect(200);
        assert!(under_load(&one, true, || reload(&proxy, &at(&[("web", &web), ("other", &two)]), "ok")));
        open.expect_eof();
        serves(&two);
        assert!(!dir.file("one.sock").exists());
        for _ in 0..3 {
            assert!(under_load(&two, true, || reload(&proxy, &at(&[("web", &web)]), "ok")));
            assert!(!dir.file("two.sock").exists());
            reload(&proxy, &at(&[("web", &web), ("other", &two)]), "ok");
            serves(&two);
        }
    }

    fn the_file_that_took_the_place_of_a_socket_stays(driver) {
        let (dir, web) = (Dir::new(), address());
        let proxy = Proxy::start(driver, &at(&[("web", &web), ("local", &dir.unix("web.sock"))]));
        let _another = UnixListener::bind(dir.file("new.sock")).unwrap();
        fs::rename(dir.file("new.sock"), dir.file("web.sock")).unwrap();
        reload(&proxy, &at(&[("web", &web)]), "ok");
        proxy.await_log("is closed");
        assert!(dir.file("web.sock").exists());
    }

    /// All or nothing: not the listeners that could be had, not the routes.
    fn what_can_not_be_bound_changes_nothing(driver) {
        let (web, more, taken, dir) = (address(), address(), address(), Dir::new());
        let _other = TcpListener::bind(&taken).unwrap();
        let file = dir.unix("file");
        fs::write(dir.file("file"), "precious").unwrap();
        let proxy = Proxy::start(driver, &at(&[("web", &web)]));
        let mut open = Client::connect(&web);
        for (address, why) in [
            (&*taken, format!("{taken} is in use by another process")),
            ("192.0.2.1:80", "can't listen on 192.0.2.1:80".to_owned()),
            (&file, format!("can't listen on {file}: the file is there and is not a socket")),
            ("unix:/nonexistent/x", "can't listen on unix:/nonexistent/x".to_owned()),
        ] {
            let config = at(&[("renamed", &web), ("more", &more), ("bad", address)]);
            reload(&proxy, &config.replace("body = \"ok\"", "body = \"no\""), "failed");
            let line = proxy.await_log(&format!("listener \"bad\": {why}"));
            assert!(line.contains("the config in force stays"), "{line}");
            is_refused(&more);
            assert_eq!(open.ask(GET).expect(200).text(), "ok");
            serves(&web);
        }
        assert!(!proxy.admin_get("/config").text().contains("renamed"));
        assert_eq!(fs::read_to_string(dir.file("file")).unwrap(), "precious");
        reload(&proxy, &at(&[("web", &web), ("more", &more)]), "ok");
        serves(&more);
    }
}
