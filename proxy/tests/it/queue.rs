//! Requests that wait for an upstream connection when all are busy.

use crate::harness::{
    Client, End, Origin, Proxy, Setup, Wire,
    replies::{GET, OK, get},
};

/// Waits until so many requests wait.
#[track_caller]
fn await_waiting(proxy: &Proxy, count: u64) {
    proxy.await_metric("ringlane_queue_length", "", count);
}

/// A client whose request has the only connection, and that connection.
#[track_caller]
fn busy(proxy: &Proxy, origin: &Origin) -> (Client, Wire) {
    let mut client = proxy.connect();
    client.send(get("/busy"));
    let mut upstream = origin.accept();
    assert_eq!(upstream.read_request().target(), "/busy");
    (client, upstream)
}

/// A client whose request waits.
#[track_caller]
fn waiting(proxy: &Proxy, path: &str, place: u64) -> Client {
    let mut client = proxy.connect();
    client.send(get(path));
    await_waiting(proxy, place);
    client
}

/// The next request on `upstream`, answered, and its client has the answer.
#[track_caller]
fn serve(upstream: &mut Wire, path: &str, client: &mut Client) {
    assert_eq!(upstream.read_request().target(), path);
    upstream.send(OK);
    client.read_response().expect(200);
}

both_drivers! {
    fn requests_wait_in_line_and_are_served_in_order(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 1").start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        let mut second = waiting(&proxy, "/second", 1);
        let mut third = waiting(&proxy, "/third", 2);
        upstream.send(OK);
        first.read_response().expect(200);
        serve(&mut upstream, "/second", &mut second);
        serve(&mut upstream, "/third", &mut third);
        await_waiting(&proxy, 0);
        assert_eq!(proxy.metric("ringlane_queue_waits_total", ""), 2);
        assert_eq!(proxy.metric("ringlane_request_queue_seconds_count", ""), 2);
        assert_eq!(proxy.upstream_connects(), 1);
    }

    /// A request that has waited takes the connection that was given back, whosever turn it is: none is closed for it.
    fn who_waits_takes_what_is_given_back(driver) {
        let (one, two) = (Origin::manual(), Origin::manual());
        let setup = Setup::to_endpoints(&[&one.address(), &two.address()]).upstream("pool.max_connections = 2");
        let proxy = setup.start(driver);
        let (mut first, mut a) = busy(&proxy, &one);
        let (mut second, mut b) = busy(&proxy, &two);
        // Their turns are those of a, b, a.
        let mut waiting: Vec<_> = (1..4).map(|place| waiting(&proxy, &format!("/{place}"), place)).collect();
        a.send(OK);
        first.read_response().expect(200);
        serve(&mut a, "/1", &mut waiting[0]);
        assert_eq!(a.read_request().target(), "/2");
        b.send(OK);
        second.read_response().expect(200);
        serve(&mut b, "/3", &mut waiting[2]);
        a.send(OK);
        waiting[1].read_response().expect(200);
        assert_eq!(proxy.upstream_connects(), 2);
    }

    /// One that answers at once may not take all of the turns of one that does not.
    fn shares_hold_while_requests_wait(driver) {
        let (slow, quick) = (Origin::manual(), Origin::replies(&[OK]));
        let setup = Setup::to_endpoints(&[&slow.address(), &quick.address()]).upstream("pool.max_connections = 2");
        let proxy = setup.start(driver);
        let (_first, _held) = busy(&proxy, &slow);
        let mut clients: Vec<_> = (0..60).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        // With one of its two connections held, the other one is its as well, at last.
        let mut late = slow.accept();
        late.read_request();
        assert!(quick.requests().len() < 40, "{}", quick.requests().len());
    }

    /// The place is freed by the end of a connection as well, not only by its return.
    fn a_connection_that_ends_lets_the_next_one_in(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 1").start(driver);
        let (mut first, upstream) = busy(&proxy, &origin);
        let mut second = waiting(&proxy, "/second", 1);
        upstream.reset();
        assert_eq!(first.read_response().status, 502);
        serve(&mut origin.accept(), "/second", &mut second);
    }

    fn nobody_overtakes_who_waits(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 2").start(driver);
        let (mut first, mut one) = busy(&proxy, &origin);
        let (mut second, mut two) = busy(&proxy, &origin);
        let mut third = waiting(&proxy, "/third", 1);
        // The clients that were served ask again at once.
        one.send(OK);
        first.read_response().expect(200);
        first.send(get("/late"));
        serve(&mut one, "/third", &mut third);
        serve(&mut one, "/late", &mut first);
        two.send(OK);
        second.read_response().expect(200);
    }

    fn beyond_max_pending_the_answer_is_503(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).upstream("pool.max_connections = 1\npool.max_pending = 1");
        let proxy = setup.start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        let mut second = waiting(&proxy, "/second", 1);
        let mut third = proxy.connect();
        third.send(GET);
        let refused = third.read_response().expect(503);
        assert_eq!(refused.field("retry-after"), Some("1"));
        assert!(!refused.says_close(), "{refused:?}");
        assert_eq!(proxy.metric("ringlane_queue_full_total", ""), 1);
        upstream.send(OK);
        first.read_response().expect(200);
        serve(&mut upstream, "/second", &mut second);
        // The connection of the client that was refused goes on.
        third.send(get("/third"));
        serve(&mut upstream, "/third", &mut third);
    }

    fn with_max_pending_0_nobody_waits(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).upstream("pool.max_connections = 1\npool.max_pending = 0");
        let proxy = setup.start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        assert_eq!(proxy.get("/").expect(503).field("retry-after"), Some("1"));
        upstream.send(OK);
        first.read_response().expect(200);
        assert_eq!(proxy.metric("ringlane_queue_waits_total", ""), 0);
    }

    fn a_wait_that_is_too_long_ends_in_503(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).upstream("pool.max_connections = 1\ntimeouts.queue = \"150ms\"");
        let proxy = setup.start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        let mut second = proxy.connect();
        second.send(GET);
        let refused = second.read_response().expect(503);
        assert_eq!(refused.field("retry-after"), Some("1"));
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"queue\"", 1);
        await_waiting(&proxy, 0);
        upstream.send(OK);
        first.read_response().expect(200);
        second.send(get("/again"));
        serve(&mut upstream, "/again", &mut second);
    }

    fn a_client_that_leaves_frees_its_place(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).upstream("pool.max_connections = 1\npool.max_pending = 1");
        let proxy = setup.start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        drop(waiting(&proxy, "/left", 1));
        await_waiting(&proxy, 0);
        waiting(&proxy, "/reset", 1).reset();
        await_waiting(&proxy, 0);
        proxy.await_metric("ringlane_client_aborts_total", "", 2);
        let mut third = waiting(&proxy, "/third", 1);
        upstream.send(OK);
        first.read_response().expect(200);
        // Those that left were never sent.
        serve(&mut upstream, "/third", &mut third);
        assert_eq!(proxy.metric("ringlane_queue_full_total", ""), 0);
    }

    /// With its next request, or a part of it, in the socket it is still there.
    fn a_client_that_pipelines_has_not_left(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 1").start(driver);
        let (mut first, mut upstream) = busy(&proxy, &origin);
        let mut second = waiting(&proxy, "/second", 1);
        second.send(get("/pipelined"));
        upstream.send(OK);
        first.read_response().expect(200);
        serve(&mut upstream, "/second", &mut second);
        serve(&mut upstream, "/pipelined", &mut second);
    }

    /// A connection stays within the bound while its response is on its way, however slow its client.
    fn never_more_than_max_connections(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 3").start(driver);
        let mut clients: Vec<_> = (0..16).map(|_| proxy.connect()).collect();
        for _ in 0..8 {
            clients.iter_mut().for_each(|client| client.send(GET));
            for client in &mut clients {
                assert_eq!(client.read_response().expect(200).end, End::Complete);
            }
        }
        assert!(origin.connections() <= 3, "{}", origin.connections());
        assert_eq!(origin.requests().len(), 128);
    }
}
