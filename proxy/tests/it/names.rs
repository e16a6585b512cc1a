//! Endpoints that are names: looked up at the start, again and again, and kept when a look-up fails.

use std::{fs, net::TcpListener};

use crate::harness::{
    Confine, Dir, Driver, Origin, Proxy, Setup, Wire, driver,
    replies::{GET, OK, get, ok},
};

/// A /etc/hosts for a proxy alone.
struct Hosts(Dir);

impl Hosts {
    /// `None`, and the test is skipped, where a process can't have its own.
    fn new(text: &str) -> Option<Hosts> {
        let hosts = Hosts(Dir::new());
        hosts.write(text);
        if hosts.confine().is_possible() {
            return Some(hosts);
        }
        driver::skip("no mount namespace is to be had");
        None
    }

    fn write(&self, text: &str) {
        fs::write(self.0.file("hosts"), text).unwrap();
    }

    fn confine(&self) -> Confine {
        Confine::hosts(&self.0.file("hosts"))
    }

    fn start(&self, driver: Driver, port: u16) -> Proxy {
        let setup = Setup::to_endpoints(&[&format!("app.test:{port}")]).upstream("dns_refresh = \"1s\"");
        Proxy::launch(driver).confined(self.confine()).start(&setup.toml())
    }
}

fn port_of(origin: &Origin) -> u16 {
    origin.address().parse::<std::net::SocketAddr>().unwrap().port()
}

/// Two servers with one port at two addresses. The port may be somebody else's at the second: then another one is tried.
fn twins(origin: impl Fn() -> Origin) -> (Origin, TcpListener) {
    for _ in 0..20 {
        let one = origin();
        if let Ok(other) = TcpListener::bind(("127.0.0.2", port_of(&one))) {
            return (one, other);
        }
    }
    panic!("no port is free at both addresses");
}

both_drivers! {
    fn a_name_is_looked_up(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to_endpoints(&[&format!("localhost:{}", port_of(&origin))]).start(driver);
        proxy.get("/").expect(200);
        assert_eq!(origin.requests().len(), 1);
    }

    fn each_address_of_a_name_is_an_endpoint(driver) {
        let (one, two) = twins(|| Origin::replies(&[ok("one")]));
        let Some(hosts) = Hosts::new("127.0.0.1 app.test\n127.0.0.2 app.test\n") else { return };
        let proxy = hosts.start(driver, port_of(&one));
        let mut client = proxy.connect();
        client.send(GET);
        assert_eq!(client.read_response().expect(200).text(), "one");
        client.send(GET);
        let mut upstream = Wire::new(two.accept().unwrap().0.into());
        upstream.read_request();
        upstream.send(ok("two"));
        assert_eq!(client.read_response().expect(200).text(), "two");
    }

    fn a_new_address_is_taken_up_and_the_old_one_given_up(driver) {
        let (old, new) = twins(Origin::manual);
        let Some(hosts) = Hosts::new("127.0.0.1 app.test\n") else { return };
        let proxy = hosts.start(driver, port_of(&old));
        let (mut idle, mut busy) = (proxy.connect(), proxy.connect());
        busy.send(get("/busy"));
        let mut old_busy = old.accept();
        old_busy.read_request();
        idle.send(GET);
        let mut old_idle = old.accept();
        old_idle.read_request();
        old_idle.send(OK);
        idle.read_response().expect(200);

        hosts.write("127.0.0.2 app.test\n");
        proxy.await_log("names resolve to new addresses");
        // Nothing is kept for an address that is gone; what is under way is finished there.
        old_idle.expect_eof();
        idle.send(get("/new"));
        let mut upstream = Wire::new(new.accept().unwrap().0.into());
        assert_eq!(upstream.read_request().target(), "/new");
        upstream.send(OK);
        idle.read_response().expect(200);
        old_busy.send(ok("old"));
        assert_eq!(busy.read_response().expect(200).text(), "old");
        old_busy.expect_eof();
        assert_eq!(proxy.metric("ringlane_config_generation", ""), 2);
    }

    fn a_failed_look_up_keeps_the_last_answer(driver) {
        let origin = Origin::replies(&[OK]);
        let Some(hosts) = Hosts::new("127.0.0.1 app.test\n") else { return };
        let proxy = hosts.start(driver, port_of(&origin));
        proxy.get("/").expect(200);
        hosts.write("# gone\n");
        let line = proxy.await_log("app.test");
        assert!(line.contains("can't be looked up") && line.contains("1 addresses of before stay in use"), "{line}");
        proxy.get("/").expect(200);
        assert_eq!(origin.requests().len(), 2);
    }

    /// Whoever opens a pipe waits for somebody at its other end: so does the resolver.
    fn a_look_up_that_hangs_does_not_keep_the_process(driver) {
        let Some(hosts) = Hosts::new("") else { return };
        let path = hosts.0.file("hosts");
        fs::remove_file(&path).unwrap();
        let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
        // SAFETY: a string that ends in NUL and outlives the call.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let mut proxy = hosts.start(driver, 80);
        proxy.await_log("no answer within");
        proxy.get("/").expect(503);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    /// A proxy that starts before its upstream's name is known finds it as soon as it is.
    fn a_name_that_comes_to_be_is_found(driver) {
        let origin = Origin::replies(&[OK]);
        let Some(hosts) = Hosts::new("# not yet\n") else { return };
        let proxy = hosts.start(driver, port_of(&origin));
        proxy.get("/").expect(503);
        hosts.write("127.0.0.1 app.test\n");
        proxy.await_log("names resolve to new addresses");
        proxy.get("/").expect(200);
    }
}
