//! Headers that upstreams are sent, and what becomes of their connections.

use std::net::SocketAddr;

use super::{SIGNATURE, Trusting, V1, v2, v2_between};
use crate::harness::{
    Client, Dir, Origin, Proxy, Setup, Wire,
    replies::{GET, OK, SWITCH, UPGRADE},
};

/// A line of version 1.
fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY TCP4 {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// Has `client` ask, and expects a new connection that begins with `header` before the request.
#[track_caller]
fn greeted(client: &mut Client, origin: &Origin, header: &[u8]) -> Wire {
    client.send(GET);
    let mut upstream = origin.accept();
    assert_eq!(
        upstream.read_exact(header.len()).escape_ascii().to_string(),
        header.escape_ascii().to_string()
    );
    upstream.read_request();
    upstream.send(OK);
    client.read_response().expect(200);
    upstream
}

fn proxy_to(origin: &Origin, version: &str) -> Setup {
    Setup::to(origin).upstream(&format!("proxy_protocol = \"{version}\""))
}

fn near(proxy: &Proxy) -> SocketAddr {
    proxy.address().parse().unwrap()
}

both_drivers! {
    fn each_connection_begins_with_it_and_serves_one_request(driver) {
        for (version, header) in [("v1", v1 as fn(_, _) -> _), ("v2", v2_between)] {
            let origin = Origin::manual();
            let proxy = proxy_to(&origin, version).start(driver);
            let (mut one, mut other) = (proxy.connect(), proxy.connect());
            let mut before: Option<Wire> = None;
            for client in [&mut one, &mut other] {
                for _ in 0..2 {
                    let header = header(client.local(), near(&proxy));
                    let upstream = greeted(client, &origin, &header);
                    // The one before served one request, and nothing else is said on it.
                    if let Some(mut before) = before.replace(upstream) {
                        before.expect_close();
                    }
                }
            }
            assert_eq!(proxy.upstream_connects(), 4);
            assert_eq!(proxy.metric("ringlane_upstream_reuses_total", ""), 0);
            proxy.await_metric("ringlane_upstream_connections", "", 0);
        }
    }

    fn the_client_of_a_header_is_passed_on(driver) {
        let origin = Origin::manual();
        let proxy = proxy_to(&origin, "v1").trusting("require").start(driver);
        let mut client = proxy.asking(V1);
        greeted(&mut client, &origin, V1);
        // Of whom no address is known none is said.
        let mut client = proxy.asking(v2(0x21, 0x31, &[0; 216]));
        greeted(&mut client, &origin, b"PROXY UNKNOWN\r\n");
        // The load balancer's own connection is its own.
        let mut client = proxy.asking(b"PROXY UNKNOWN\r\n");
        let header = v1(client.local(), near(&proxy));
        greeted(&mut client, &origin, &header);
    }

    fn a_client_that_a_field_names_has_no_port(driver) {
        let origin = Origin::manual();
        let setup = proxy_to(&origin, "v2");
        let setup = setup.listener("trusted_proxies = [\"127.0.0.1\"]\nclient_address = \"x-forwarded-for\"");
        let proxy = setup.start(driver);
        let mut client = proxy.asking("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        let mut upstream = origin.accept();
        let header = v2_between("192.0.2.7:0".parse().unwrap(), near(&proxy));
        assert_eq!(upstream.read_exact(header.len()), header);
        upstream.read_request();
        upstream.send(OK);
        client.read_response().expect(200);
    }

    fn a_client_of_a_unix_socket_has_no_address(driver) {
        let dir = Dir::new();
        let address = dir.unix("front.sock");
        for (version, header) in
            [("v1", b"PROXY UNKNOWN\r\n".to_vec()), ("v2", [SIGNATURE, &[0x21, 0, 0, 0]].concat())]
        {
            let origin = Origin::manual();
            let setup = proxy_to(&origin, version);
            let _proxy = setup
                .and(&format!("[[listeners]]\nname = \"front\"\naddress = \"{address}\""))
                .start(driver);
            greeted(&mut Client::connect(&address), &origin, &header);
        }
    }

    fn bodies_and_tunnels_come_behind_it(driver) {
        let origin = Origin::manual();
        let proxy = proxy_to(&origin, "v1").start(driver);
        let body = "x".repeat(300_000);
        let mut client = proxy.asking(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        let mut upstream = origin.accept();
        assert_eq!(upstream.read_until(b"\r\n"), v1(client.local(), near(&proxy)));
        assert_eq!(upstream.read_request().text(), body);
        upstream.send(OK);
        client.read_response().expect(200);

        let mut client = proxy.asking(UPGRADE);
        let mut upstream = origin.accept();
        assert_eq!(upstream.read_until(b"\r\n"), v1(client.local(), near(&proxy)));
        upstream.read_request();
        upstream.send(SWITCH);
        assert_eq!(client.read_head().status(), 101);
        client.send("ping");
        assert_eq!(upstream.read_exact(4), b"ping");
        upstream.send("pong");
        assert_eq!(client.read_exact(4), b"pong");
    }

    fn a_config_that_changes_its_mind(driver) {
        let origin = Origin::manual();
        let plain = Setup::to(&origin);
        let proxy = plain.start(driver);
        let config = std::fs::read_to_string(proxy.dir().join("ringlane.toml")).unwrap();
        let path = proxy.dir().join("ringlane.toml");
        let mut client = proxy.connect();
        let idle = origin.serves(&mut client);
        let mut busy = proxy.connect();
        busy.send(GET);
        drop(idle);
        // Whichever connection it is on; the origin sees a whole request either way.
        let mut under_way = origin.accept();
        under_way.read_request();

        std::fs::write(&path, config.replace("[[routes]]", "proxy_protocol = \"v1\"\n[[routes]]")).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_table_adoptions_total", "", 2);
        // One that began without a header is not used again.
        under_way.send(OK);
        busy.read_response().expect(200);
        under_way.expect_close();
        let header = v1(busy.local(), near(&proxy));
        drop(greeted(&mut busy, &origin, &header));

        std::fs::write(&path, config).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_table_adoptions_total", "", 3);
        let mut upstream = origin.serves(&mut busy);
        busy.send(GET);
        upstream.read_request();
        upstream.send(OK);
        busy.read_response().expect(200);
    }
}
