//! Limits are the process's: workers divide them and never exceed them together.

use crate::harness::{
    Client, Origin, Setup, Wire,
    replies::{GET, OK},
};

both_drivers! {
    fn workers_divide_max_connections_of_an_upstream(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).workers(2).upstream("pool.max_connections = 4");
        let proxy = setup.start(driver);
        proxy.await_log("upstream \"app\": 1 endpoint, at most 4 connections (2 for each worker)");
        // Enough clients that the kernel gives each worker more than its share.
        let mut clients: Vec<Client> = (0..32).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        proxy.await_metric("ringlane_queue_length", "", 28);
        assert_eq!(proxy.metric("ringlane_upstream_connections", "state=\"busy\""), 4);
        let mut upstreams: Vec<Wire> = (0..4).map(|_| origin.accept()).collect();
        // Each connection serves whoever waits at its own worker.
        let answering: Vec<_> = upstreams.drain(..).map(|mut upstream| std::thread::spawn(move || {
            while upstream.try_read_request().is_some() && upstream.try_send(OK) {}
        })).collect();
        for client in &mut clients {
            client.read_response().expect(200);
        }
        assert_eq!(proxy.upstream_connects(), 4);
        drop(proxy);
        answering.into_iter().for_each(|thread| thread.join().unwrap());
    }

    fn workers_divide_max_pending(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).workers(2).upstream("pool.max_connections = 2\npool.max_pending = 4");
        let proxy = setup.start(driver);
        let mut clients: Vec<Client> = (0..32).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        proxy.await_metric("ringlane_queue_full_total", "", 26);
        assert_eq!(proxy.metric("ringlane_queue_length", ""), 4);
        let _upstreams = [origin.accept(), origin.accept()];
    }

    /// What can't be divided is refused at the start, with its place.
    fn fewer_connections_than_workers_is_an_error(driver) {
        for (setup, key) in [
            (Setup::to_endpoints(&["127.0.0.1:9"]).upstream("pool.max_connections = 1"), "pool.max_connections"),
            (Setup::to_endpoints(&["127.0.0.1:9"]).listener("max_connections = 1"), "max_connections"),
        ] {
            let mut proxy = crate::harness::Proxy::launch(driver).workers(2).spawn(&setup.toml());
            assert_eq!(proxy.wait_exit().code(), Some(1));
            let log = proxy.logs().join("\n");
            assert!(log.contains("can't be divided over 2 workers") && log.contains(key), "{log}");
        }
    }
}
