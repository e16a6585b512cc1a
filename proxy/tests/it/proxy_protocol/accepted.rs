//! Headers that are taken, however they come, and what counts afterwards.

use super::{Trusting, V1, v2, v2_of_client};
use crate::harness::{
    Client, Dir, Origin, Proxy, Setup, eventually,
    replies::{GET, OK, get, ok},
};

/// Sends a request after `header` and gives the `X-Forwarded-For` that the origin sees.
#[track_caller]
fn forwarded_for(proxy: &Proxy, origin: &Origin, header: &[u8]) -> String {
    proxy.asking([header, GET.as_bytes()].concat()).read_response().expect(200);
    origin.last_request().field("x-forwarded-for").expect("X-Forwarded-For").to_owned()
}

both_drivers! {
    fn a_header_says_who_the_client_is(driver) {
        let origin = Origin::replies(&[OK]);
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        let mut mapped = [0; 36];
        mapped[..16].copy_from_slice(&"::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        let vectors = [&v2_of_client()[16..], &[4, 0, 3, 1, 2, 3]].concat();
        for mode in ["accept", "require"] {
            let proxy = Setup::to(&origin).trusting(mode).start(driver);
            for (header, address) in [
                (V1.to_vec(), "192.0.2.7"),
                (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
                (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n".to_vec(), "192.0.2.7"),
                // Whose connection it is can't be said, or it is the load balancer's own: it counts as what it is.
                (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
                (v2(0x20, 0, &[]), "127.0.0.1"),
                (v2(0x20, 0x11, &[7; 12]), "127.0.0.1"),
                (v2(0x21, 0, &[]), "127.0.0.1"),
                (v2_of_client(), "192.0.2.7"),
                (v2(0x21, 0x11, &vectors), "192.0.2.7"),
                (v2(0x21, 0x21, &v6), "2001:db8::7"),
                (v2(0x21, 0x21, &mapped), "192.0.2.7"),
                // A client of a unix socket has no address.
                (v2(0x21, 0x31, &[b'/'; 216]), "unknown"),
            ] {
                assert_eq!(forwarded_for(&proxy, &origin, &header), address, "{}", header.escape_ascii());
            }
            assert_eq!(proxy.metric("ringlane_proxy_protocol_refused_total", ""), 0);
        }
    }

    fn cut_at_every_byte(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).trusting("require").start(driver);
        for header in [V1.to_vec(), v2_of_client()] {
            let bytes = [&header[..], GET.as_bytes()].concat();
            for cut in 1..header.len() + 4 {
                let mut client = proxy.connect();
                client.send_cut(&bytes, &[cut]);
                client.read_response().expect(200);
                assert_eq!(origin.last_request().field("x-forwarded-for"), Some("192.0.2.7"), "cut at {cut}");
            }
            let mut client = proxy.connect();
            client.send_cut(&bytes, &(1..bytes.len()).collect::<Vec<_>>());
            client.read_response().expect(200);
            assert_eq!(origin.last_request().field("x-forwarded-for"), Some("192.0.2.7"));
        }
    }

    fn what_follows_a_header_is_not_lost(driver) {
        let origin = Origin::replies(&[ok("one"), ok("two"), ok("three")]);
        let proxy = Setup::to(&origin).trusting("require").start(driver);
        // More than what a waiting connection takes at once, and more than one request.
        let body = "x".repeat(3000);
        let post = format!("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut client = proxy.asking([V1, post.as_bytes(), get("/2").as_bytes()].concat());
        assert_eq!(client.read_response().expect(200).text(), "one");
        assert_eq!(client.read_response().expect(200).text(), "two");
        // The address holds for as long as the connection does.
        assert_eq!(client.ask(get("/3")).expect(200).text(), "three");
        let requests = origin.requests();
        assert_eq!(requests.iter().map(|it| it.target()).collect::<Vec<_>>(), ["/1", "/2", "/3"]);
        assert_eq!(requests[0].text(), body);
        assert!(requests.iter().all(|it| it.field("x-forwarded-for") == Some("192.0.2.7")), "{requests:?}");
    }

    fn others_are_clients_of_their_own(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).listener("trusted_proxies = [\"192.0.2.0/24\"]\nproxy_protocol = \"accept\"");
        let proxy = setup.start(driver);
        assert_eq!(forwarded_for(&proxy, &origin, b""), "127.0.0.1");
        // Who need not bring a header must not: it is a request that is none.
        proxy.asking([V1, GET.as_bytes()].concat()).read_response().expect(400);
        assert_eq!(origin.requests().len(), 1);
    }

    fn rules_and_the_access_log_go_by_it(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin)
            .trusting("require")
            .and("[access_log]\npath = \"access.log\"")
            .and("[[rules]]\nname = \"r\"\nmatch = { client = [\"192.0.2.0/24\"] }\ndeny = { status = 403 }")
            .start(driver);
        proxy.asking([V1, GET.as_bytes()].concat()).read_response().expect(403);
        proxy.asking([&v2(0x20, 0, &[])[..], GET.as_bytes()].concat()).read_response().expect(200);
        let mut clients = Vec::new();
        eventually("two lines", || {
            let text = std::fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            clients = lines.map(|line| line["client"].as_str().unwrap_or_default().to_owned()).collect();
            clients.len() == 2
        });
        assert_eq!(clients, ["192.0.2.7", "127.0.0.1"]);
    }

    fn a_client_behind_a_trusted_proxy_is_not_trusted_for_it(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).trusting("require").listener("client_address = \"x-forwarded-for\"");
        let proxy = setup.start(driver);
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
        let seen = |header: &[u8]| {
            proxy.asking([header, request.as_bytes()].concat()).read_response().expect(200);
            origin.last_request().field("x-forwarded-for").unwrap_or_default().to_owned()
        };
        // The load balancer itself may say so, its client may not, and one on a unix socket is nobody.
        assert_eq!(seen(&v2(0x20, 0, &[])), "198.51.100.1, 127.0.0.1");
        assert_eq!(seen(V1), "192.0.2.7");
        assert_eq!(seen(&v2(0x21, 0x31, &[0; 216])), "unknown");
        // It may if it is a proxy that is trusted as well.
        assert_eq!(seen(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"), "198.51.100.1, 127.0.0.1");
    }

    fn by_a_unix_socket(driver) {
        let dir = Dir::new();
        let origin = Origin::replies(&[OK]);
        let address = dir.unix("front.sock");
        let listener = |trusted: &str| format!(
            "[[listeners]]\nname = \"front\"\naddress = \"{address}\"\ntrusted_proxies = [\"{trusted}\"]\n\
             proxy_protocol = \"require\""
        );
        let proxy = Setup::to(&origin).and(&listener("unix")).start(driver);
        let mut client = Client::connect(&address);
        client.send([V1, GET.as_bytes()].concat());
        client.read_response().expect(200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("192.0.2.7"));
        drop(proxy);
        let proxy = Setup::to(&origin).and(&listener("127.0.0.1")).start(driver);
        Client::connect(&address).expect_close();
        assert_eq!(proxy.metric("ringlane_proxy_protocol_refused_total", "reason=\"untrusted\""), 1);
    }
}
