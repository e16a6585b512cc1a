//! HAProxy before the proxy and behind it.

use std::net::{SocketAddr, TcpListener};

use super::Trusting;
use crate::harness::{
    Client, Dir, Origin, Setup, Tool, eventually,
    replies::{GET, OK},
};

/// Tries to find a port that nobody takes in the moment between the look and the start.
const TRIES: usize = 5;

/// An HAProxy with this section, in which `ADDRESS` is where it listens, and that address. `None`: it is not installed,
/// and the test is skipped.
fn haproxy(dir: &Dir, section: &str) -> Option<(Tool, SocketAddr)> {
    for _ in 0..TRIES {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = dir.file("haproxy.cfg");
        let timeouts = "defaults\n  timeout connect 30s\n  timeout client 30s\n  timeout server 30s\n";
        std::fs::write(&config, format!("{timeouts}{}", section.replace("ADDRESS", &address.to_string())))
            .unwrap();
        let mut tool = Tool::start("haproxy", &["-db", "-f", config.to_str().unwrap()])?;
        let mut ended = false;
        eventually("HAProxy listens, or has ended", || {
            ended = tool.has_ended();
            ended || Client::try_connect(&address.to_string()).is_ok()
        });
        if !ended {
            return Some((tool, address));
        }
        assert!(tool.errors().contains("cannot bind socket"), "{}", tool.errors());
    }
    panic!("no free port in {TRIES} tries");
}

both_drivers! {
    fn before_it(driver) {
        let origin = Origin::replies(&[OK]);
        let dir = Dir::new();
        for send in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
            let proxy = Setup::to(&origin).trusting("require").and("[access_log]\npath = \"access.log\"").start(driver);
            let section = format!(
                "frontend front\n  mode tcp\n  bind ADDRESS\n  unique-id-format %[uuid]\n  default_backend back\n\
                 backend back\n  mode tcp\n  server proxy {} {send}\n",
                proxy.address()
            );
            let Some((_haproxy, address)) = haproxy(&dir, &section) else { return };
            // An address that only HAProxy can have told us of.
            let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            client.bind(&"127.0.0.77:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            client.connect(&address.into()).unwrap();
            Client::new(client).ask(GET).expect(200);
            assert_eq!(origin.last_request().field("x-forwarded-for"), Some("127.0.0.77"), "{send}");
            assert_eq!(proxy.metric("ringlane_proxy_protocol_refused_total", "reason=\"untrusted\""), 0);
            assert_eq!(proxy.metric("ringlane_proxy_protocol_refused_total", "reason=\"malformed\""), 0);
        }
    }

    fn behind_it(driver) {
        let origin = Origin::replies(&[OK]);
        let dir = Dir::new();
        let section = format!(
            "frontend front\n  mode http\n  bind ADDRESS accept-proxy\n  http-request set-header X-Source %[src]:%[src_port]\n  \
             http-request set-header X-Destination %[dst]:%[dst_port]\n  default_backend back\n\
             backend back\n  mode http\n  server origin {}\n",
            origin.address()
        );
        let Some((_haproxy, address)) = haproxy(&dir, &section) else { return };
        for version in ["v1", "v2"] {
            let setup = Setup::to_endpoints(&[&address.to_string()]);
            let proxy = setup.upstream(&format!("proxy_protocol = \"{version}\"")).start(driver);
            let mut clients = [proxy.connect(), proxy.connect()];
            for _ in 0..2 {
                for client in &mut clients {
                    client.ask(GET).expect(200);
                    let request = origin.last_request();
                    assert_eq!(request.field("x-source"), Some(&*client.local().to_string()), "{version}");
                    assert_eq!(request.field("x-destination"), Some(&*proxy.address()), "{version}");
                }
            }
        }
    }
}
