//! Who the client is when proxies before this one say so.

use std::{fs, path::Path};

use serde_json::Value;

use crate::harness::{
    Origin, Proxy, Setup, eventually,
    replies::{GET, OK},
};

/// Clients of the tests, which all come from 127.0.0.1, are proxies; so is 10.0.0.0/8.
fn trusting(origin: &Origin, field: &str) -> Setup {
    let trusted = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";
    Setup::to(origin)
        .listener(&format!("{trusted}\nclient_address = \"{field}\""))
        .and("[access_log]\npath = \"access.log\"")
}

/// The `client` of every line of the access log, once there are so many.
#[track_caller]
fn logged(dir: &Path, count: usize) -> Vec<String> {
    let mut clients = Vec::new();
    eventually(&format!("{count} lines"), || {
        let text = fs::read_to_string(dir.join("access.log")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        clients = lines.map(|line| line["client"].as_str().unwrap().to_owned()).collect();
        clients.len() >= count
    });
    assert_eq!(clients.len(), count);
    clients
}

fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// Sends one request per case on one connection, and expects these clients in the log.
#[track_caller]
fn check(proxy: &Proxy, cases: &[(&str, &str)]) {
    let mut client = proxy.connect();
    for (lines, _) in cases {
        client.ask(with(lines)).expect(200);
    }
    let wanted: Vec<&str> = cases.iter().map(|(_, wanted)| *wanted).collect();
    assert_eq!(logged(proxy.dir(), cases.len()), wanted);
}

both_drivers! {
    fn by_x_forwarded_for(driver) {
        let origin = Origin::replies(&[OK]);
        check(&trusting(&origin, "x-forwarded-for").start(driver), &[
            ("", "127.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            // Requests of one connection are told apart.
            ("", "127.0.0.1"),
            ("X-Forwarded-For: 192.0.2.66, 192.0.2.2, 10.0.0.1\r\n", "192.0.2.2"),
            ("X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-For: 192.0.2.3, 10.0.0.1\r\n", "192.0.2.3"),
            ("X-Forwarded-For: 192.0.2.66, unknown, 10.0.0.1\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.66, garbage\r\n", "127.0.0.1"),
            ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8:1111:2222:3333:4444:5555:6666]:80\r\n", "2001:db8:1111:2222:3333:4444:5555:6666"),
            // The other field does not count.
            ("Forwarded: for=192.0.2.4\r\n", "127.0.0.1"),
        ]);
    }

    fn by_forwarded(driver) {
        let origin = Origin::replies(&[OK]);
        check(&trusting(&origin, "forwarded").start(driver), &[
            ("", "127.0.0.1"),
            ("Forwarded: for=192.0.2.1\r\n", "192.0.2.1"),
            ("Forwarded: for=192.0.2.66, for=\"192.0.2.2:80\";proto=https, for=10.0.0.1\r\n", "192.0.2.2"),
            ("Forwarded: for=\"[2001:db8::1]:80\"\r\n", "2001:db8::1"),
            ("Forwarded: for=_hidden, for=10.0.0.1\r\n", "10.0.0.1"),
            ("Forwarded: for=\"192.0.2.66\r\n", "127.0.0.1"),
            ("X-Forwarded-For: 192.0.2.4\r\n", "127.0.0.1"),
        ]);
    }

    fn only_from_those_who_are_trusted(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin)
            .listener("trusted_proxies = [\"10.0.0.0/8\"]\nclient_address = \"x-forwarded-for\"")
            .and("[access_log]\npath = \"access.log\"");
        check(&setup.start(driver), &[("X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1")]);
        // What a stranger says of others goes no further either.
        let lines = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
        let proxy = setup.start(driver);
        proxy.asking(with(lines)).read_response().expect(200);
        let request = origin.last_request();
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!((request.field("forwarded"), request.field("x-forwarded-proto")), (None, Some("http")));
    }

    fn what_goes_upstream(driver) {
        let lines = "X-Forwarded-For: 192.0.2.66, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=x\r\n\
                     X-Forwarded-Proto: https\r\n";
        let all = Some("192.0.2.66, 192.0.2.1, 10.0.0.1, 127.0.0.1");
        let mine = Some("127.0.0.1");
        for (keys, chain, proto) in [
            ("", mine, "http"),
            ("forwarded = \"append\"", all, "https"),
            ("trusted_proxies = [\"127.0.0.1\"]", all, "https"),
            ("trusted_proxies = [\"127.0.0.1\"]\nforwarded = \"append\"", all, "https"),
            ("trusted_proxies = [\"127.0.0.1\"]\nforwarded = \"replace\"", mine, "http"),
            ("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded = \"append\"", mine, "http"),
            ("trusted_proxies = [\"127.0.0.1\"]\nclient_address = \"x-forwarded-for\"", all, "https"),
        ] {
            let origin = Origin::replies(&[OK]);
            let proxy = Setup::to(&origin).listener(keys).start(driver);
            proxy.asking(with(lines)).read_response().expect(200);
            let request = origin.request();
            assert_eq!(request.field("x-forwarded-for"), chain, "{keys}");
            assert_eq!(request.field("x-forwarded-proto"), Some(proto), "{keys}");
        }
    }

    fn rules_go_by_it(driver) {
        let origin = Origin::replies(&[OK]);
        let rule = "[[rules]]\nname = \"r\"\nmatch = { client = [\"192.0.2.0/24\"] }\ndeny = { status = 403 }";
        let proxy = trusting(&origin, "x-forwarded-for").and(rule).start(driver);
        let mut client = proxy.connect();
        for (lines, status) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", 403),
            ("X-Forwarded-For: 198.51.100.1\r\n", 200),
            ("X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n", 200),
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.1.1.1\r\n", 403),
            ("", 200),
        ] {
            client.ask(with(lines)).expect(status);
        }
        // Without the key they go by the connection.
        let proxy = Setup::to(&origin).and(rule).start(driver);
        proxy.asking(with("X-Forwarded-For: 192.0.2.1\r\n")).read_response().expect(200);
    }

    fn trust_follows_the_config(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = trusting(&origin, "x-forwarded-for").start(driver);
        let path = proxy.dir().join("ringlane.toml");
        let mut client = proxy.connect();
        let request = with("X-Forwarded-For: 192.0.2.1\r\n");
        client.ask(&request).expect(200);
        let config = fs::read_to_string(&path).unwrap();
        fs::write(&path, config.replace("\"127.0.0.1\", \"10.0.0.0/8\"", "\"10.0.0.0/8\"")).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_table_adoptions_total", "", 2);
        // A connection that has been there before is judged anew.
        client.ask(&request).expect(200);
        client.ask(GET).expect(200);
        assert_eq!(logged(proxy.dir(), 3), ["192.0.2.1", "127.0.0.1", "127.0.0.1"]);
    }
}
