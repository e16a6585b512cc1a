//! How many clients a listener takes, and what the others are told.

use crate::harness::{
    Client, Origin, Proxy, Setup,
    replies::{GET, OK},
};

/// A client that has a seat: it has been served and stays.
#[track_caller]
fn seated(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    client.send(GET);
    client.read_response().expect(200);
    client
}

/// Fails unless a new client is turned away, with 503.
#[track_caller]
fn turned_away(proxy: &Proxy) {
    let mut client = proxy.connect();
    client.send(GET);
    let response = client.read_response().expect(503);
    assert!(response.says_close(), "{response:?}");
    assert_eq!(response.field("retry-after"), Some("1"));
    client.expect_eof();
}

both_drivers! {
    fn beyond_max_connections_the_answer_is_503_and_close(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("max_connections = 2").start(driver);
        let (mut first, _second) = (seated(&proxy), seated(&proxy));
        for _ in 0..3 {
            turned_away(&proxy);
        }
        assert_eq!(proxy.metric("ringlane_connections_refused_total", ""), 3);
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 2);
        // Who has a seat keeps it.
        first.send(GET);
        first.read_response().expect(200);
        // Nothing of those that were turned away went upstream.
        assert_eq!(origin.requests().len(), 3);
    }

    fn a_seat_that_is_given_up_can_be_taken(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("max_connections = 1").start(driver);
        for _ in 0..5 {
            let client = seated(&proxy);
            turned_away(&proxy);
            drop(client);
            proxy.await_metric("ringlane_connections_active", "", 0);
        }
        let client = seated(&proxy);
        client.reset();
        proxy.await_metric("ringlane_connections_active", "", 0);
        seated(&proxy);
    }

    /// A client that says nothing is not told anything, and does not stay either.
    fn a_silent_client_is_turned_away_as_well(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("max_connections = 1").start(driver);
        let _first = seated(&proxy);
        proxy.connect().expect_eof();
        assert_eq!(proxy.metric("ringlane_connections_refused_total", ""), 1);
    }

    /// However many they are, those that are turned away cost nobody a seat, and none is left without an end.
    fn a_crowd_is_turned_away(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("max_connections = 1").start(driver);
        let mut first = seated(&proxy);
        let mut crowd: Vec<_> = (0..300).map(|_| proxy.connect()).collect();
        proxy.await_metric("ringlane_connections_refused_total", "", 300);
        first.send(GET);
        first.read_response().expect(200);
        for client in &mut crowd {
            client.try_send(GET);
        }
        for client in &mut crowd {
            let (answer, _) = client.read_to_end();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 "), "{answer:?}");
        }
        drop(first);
        proxy.await_metric("ringlane_connections_active", "", 0);
        seated(&proxy);
    }

    fn each_listener_counts_its_own(driver) {
        let toml = "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nmax_connections = 1\n\
                    [[listeners]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\nmax_connections = 1\n\
                    [[routes]]\nname = \"hello\"\nrespond = { body = \"hello\" }\n";
        let proxy = Proxy::start(driver, toml);
        let _first = seated(&proxy);
        turned_away(&proxy);
        let mut other = Client::connect(&proxy.address_of("other"));
        other.send(GET);
        other.read_response().expect(200);
    }

    /// The limit is the process's: workers share it out.
    fn workers_share_the_seats(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).workers(2).listener("max_connections = 4").start(driver);
        proxy.await_log("at most 4 connections (2 for each worker)");
        let mut clients: Vec<_> = (0..64).map(|_| proxy.connect()).collect();
        let mut seats = 0;
        for client in &mut clients {
            client.send(GET);
            match client.read_response().status {
                200 => seats += 1,
                status => assert_eq!(status, 503),
            }
        }
        assert_eq!(seats, 4);
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 4);
    }
}
