//! Where clients are accepted: TCP over IPv4 and IPv6, unix sockets; who else listens there; how many may come.

use std::{
    fs,
    os::unix::{fs::FileTypeExt, net::UnixListener},
};

use crate::harness::{
    Client, Dir, Driver, Origin, Proxy, Setup,
    replies::{GET, OK},
};

/// A config that accepts at `address` and answers by itself.
fn at(address: &str) -> String {
    format!(
        "[[listeners]]\nname = \"web\"\naddress = {address:?}\n\
         [[routes]]\nname = \"hello\"\nrespond = {{ body = \"hello\" }}\n"
    )
}

/// The answer at `address`.
#[track_caller]
fn hello(address: &str) -> String {
    let mut client = Client::connect(address);
    client.send(GET);
    client.read_response().expect(200).text()
}

/// Fails unless a process with this config ends at once and its last words are about `address`.
#[track_caller]
fn is_refused(driver: Driver, workers: usize, address: &str, why: &str) {
    let mut proxy = Proxy::launch(driver).workers(workers).spawn(&at(address));
    assert!(!proxy.wait_exit().success());
    let log = proxy.logs().join("\n");
    assert!(log.contains("listener \"web\"") && log.contains(address) && log.contains(why), "{log}");
    assert!(!log.contains("ready"), "{log}");
}

both_drivers! {
    fn tcp_over_ipv4_and_ipv6(driver) {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let proxy = Proxy::start(driver, &at(address));
            let host = address.strip_suffix(":0").unwrap();
            assert!(proxy.address().starts_with(host), "{}", proxy.address());
            assert_eq!(hello(&proxy.address()), "hello");
        }
    }

    /// As in nginx: a listener for each, on the same port.
    fn the_wildcards_of_ipv4_and_ipv6_share_a_port(driver) {
        let origin = Origin::replies(&[OK]);
        // Whoever else takes the port between the two starts is not there for long.
        let port = Proxy::start(driver, &at("0.0.0.0:0")).address().rsplit_once(':').unwrap().1.to_owned();
        let setup = Setup::to(&origin).and(&format!("[[listeners]]\nname = \"six\"\naddress = \"[::]:{port}\""));
        let setup = setup.toml().replace("127.0.0.1:0", &format!("0.0.0.0:{port}"));
        let proxy = Proxy::launch(driver).workers(2).start(&setup);
        assert_eq!(proxy.address_of("six"), format!("[::]:{port}"));
        for (host, seen) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
            let mut client = Client::connect(&format!("{host}:{port}"));
            client.send(GET);
            client.read_response().expect(200);
            assert_eq!(origin.requests().last().unwrap().field("x-forwarded-for"), Some(seen));
        }
    }

    fn the_ipv6_wildcard_is_ipv6_alone(driver) {
        let proxy = Proxy::start(driver, &at("[::]:0"));
        let port = proxy.address().rsplit_once(':').unwrap().1.to_owned();
        assert_eq!(hello(&format!("[::1]:{port}")), "hello");
        let refused = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    /// Its clients go by their IPv4 addresses.
    fn an_ipv4_address_in_ipv6_is_ipv4(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).toml().replace("127.0.0.1:0", "[::ffff:127.0.0.1]:0");
        let proxy = Proxy::start(driver, &setup);
        let port = proxy.address().rsplit_once(':').unwrap().1.to_owned();
        let mut client = Client::connect(&format!("127.0.0.1:{port}"));
        client.send(GET);
        client.read_response().expect(200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("127.0.0.1"));
    }

    fn a_unix_socket(driver) {
        let dir = Dir::new();
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).toml().replace("127.0.0.1:0", &dir.unix("web.sock"));
        for workers in [1, 2] {
            let mut proxy = Proxy::launch(driver).workers(workers).start(&setup);
            let mut clients: Vec<_> = (0..8).map(|_| Client::connect(&dir.unix("web.sock"))).collect();
            for client in &mut clients {
                client.send(GET);
                client.read_response().expect(200);
            }
            proxy.signal(libc::SIGTERM);
            assert!(proxy.wait_exit().success());
            assert!(!dir.file("web.sock").exists(), "left behind");
        }
    }

    fn several_listeners(driver) {
        let dir = Dir::new();
        let toml = at("127.0.0.1:0") + &format!(
            "[[listeners]]\nname = \"six\"\naddress = \"[::1]:0\"\n\
             [[listeners]]\nname = \"local\"\naddress = {:?}\n",
            dir.unix("web.sock"),
        );
        let proxy = Proxy::start(driver, &toml);
        for name in ["web", "six", "local"] {
            assert_eq!(hello(&proxy.address_of(name)), "hello", "{name}");
        }
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 3);
    }

    /// With SO_REUSEPORT the kernel would give it half of the first one's connections.
    fn a_second_instance_is_refused(driver) {
        for workers in [1, 2] {
            let proxy = Proxy::launch(driver).workers(workers).start(&at("127.0.0.1:0"));
            for second in [1, 2] {
                is_refused(driver, second, &proxy.address(), "in use by another process");
            }
            for _ in 0..8 {
                assert_eq!(hello(&proxy.address()), "hello");
            }
        }
    }

    /// Connections that linger in TIME_WAIT, or live on in the old process, do not keep a new one from starting.
    fn a_restart_takes_the_port_again(driver) {
        let mut proxy = Proxy::launch(driver).workers(2).start(&at("127.0.0.1:0"));
        let address = proxy.address();
        let mut open = Client::connect(&address);
        open.send(GET);
        open.read_response().expect(200);
        for _ in 0..3 {
            proxy.signal(libc::SIGTERM);
            assert!(proxy.wait_exit().success());
            proxy = Proxy::launch(driver).workers(2).start(&at(&address));
            assert_eq!(hello(&address), "hello");
        }
        open.expect_eof();
    }

    fn what_can_not_be_bound_is_named(driver) {
        is_refused(driver, 1, "192.0.2.1:0", "can't listen");
        is_refused(driver, 1, "unix:/nonexistent/web.sock", "can't listen");
    }

    fn the_file_of_a_socket_that_nobody_listens_on_is_replaced(driver) {
        let dir = Dir::new();
        drop(UnixListener::bind(dir.file("web.sock")).unwrap());
        let mut proxy = Proxy::start(driver, &at(&dir.unix("web.sock")));
        assert_eq!(hello(&dir.unix("web.sock")), "hello");
        // So is one whose process was killed.
        proxy.signal(libc::SIGKILL);
        proxy.wait_exit();
        assert!(dir.file("web.sock").exists());
        let _proxy = Proxy::start(driver, &at(&dir.unix("web.sock")));
        assert_eq!(hello(&dir.unix("web.sock")), "hello");
    }

    fn a_live_unix_socket_is_left_alone(driver) {
        let dir = Dir::new();
        let _proxy = Proxy::start(driver, &at(&dir.unix("web.sock")));
        is_refused(driver, 1, &dir.unix("web.sock"), "in use by another process");
        is_refused(driver, 2, &dir.unix("web.sock"), "in use by another process");
        assert_eq!(hello(&dir.unix("web.sock")), "hello");
    }

    fn a_file_that_is_no_socket_is_left_alone(driver) {
        let dir = Dir::new();
        fs::write(dir.file("web.sock"), "precious").unwrap();
        is_refused(driver, 1, &dir.unix("web.sock"), "not a socket");
        assert_eq!(fs::read_to_string(dir.file("web.sock")).unwrap(), "precious");
        // Neither is one that a symbolic link leads to.
        fs::rename(dir.file("web.sock"), dir.file("data")).unwrap();
        std::os::unix::fs::symlink(dir.file("data"), dir.file("web.sock")).unwrap();
        is_refused(driver, 1, &dir.unix("web.sock"), "not a socket");
        assert_eq!(fs::read_to_string(dir.file("data")).unwrap(), "precious");
    }

    fn the_file_of_a_socket_is_a_socket(driver) {
        let dir = Dir::new();
        let _proxy = Proxy::start(driver, &at(&dir.unix("web.sock")));
        assert!(fs::metadata(dir.file("web.sock")).unwrap().file_type().is_socket());
    }
}
