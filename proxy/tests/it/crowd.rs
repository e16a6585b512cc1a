//! Ten thousand clients that are silent and a few that are not: nobody notices the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::harness::{
    Client, Origin, Proxy, Setup, eventually,
    replies::{GET, OK},
};

/// Clients that rest.
const IDLE: u64 = 10_000;
/// Memory of one of them, buffers of its socket in the kernel left aside.
const KIB_PER_IDLE_MAX: u64 = 2;
/// Clients that ask all the time, and how often each.
const BUSY: usize = 64;
const ROUNDS: usize = 20;
/// Descriptors beside those of the idle clients: other tests run in this process as well.
const OTHERS: u64 = 2_000;

/// One at a time: both ends of every connection are descriptors of this machine.
static CROWD: Mutex<()> = Mutex::new(());

/// Room for as many of the `wanted` clients as this machine's limit allows, to oneself as long as it is held.
#[track_caller]
pub fn room_for(wanted: u64) -> (MutexGuard<'static, ()>, u64) {
    let alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let clients = wanted.min(raise_open_files().saturating_sub(OTHERS));
    assert!(clients >= 1_000 || std::env::var_os("CI").is_none(), "room for {clients} clients only");
    (alone, clients)
}

/// Raises the limit on open files to the hard one, and gives it.
fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the calls fill, then read, a struct of ours.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    limit.rlim_max
}

/// One request of each of `clients`, all under way at once.
#[track_caller]
fn round(clients: &mut [Client]) {
    clients.iter_mut().for_each(|client| client.send(GET));
    for client in clients {
        client.read_response().expect(200);
    }
}

/// Clients that have each asked once.
#[track_caller]
fn arrive(proxy: &Proxy, count: u64) -> Vec<Client> {
    let arrive = |_| {
        let mut client = proxy.connect();
        client.send(GET);
        client.read_response().expect(200);
        client
    };
    (0..count).map(arrive).collect()
}

both_drivers! {
    fn ten_thousand_rest_and_a_few_work(driver) {
        let (_alone, idle) = room_for(IDLE);
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).listener("timeouts.keep_alive = \"1h\"").workers(2);
        let proxy = setup.start(driver);
        let mut resting = arrive(&proxy, idle);
        let mut busy = arrive(&proxy, BUSY as u64);
        proxy.await_metric("ringlane_connections_active", "", idle + BUSY as u64);
        for _ in 0..ROUNDS {
            round(&mut busy);
        }
        // Those that rested are all still there.
        assert!(resting.iter().all(Client::is_quiet));
        for client in &mut resting {
            client.send(GET);
            client.read_response().expect(200);
        }
        let requests = 2 * idle + (BUSY * (ROUNDS + 1)) as u64;
        proxy.await_metric("ringlane_requests_total", "", requests);
        proxy.await_metric("ringlane_responses_total", "class=\"2xx\"", requests);
        for (name, labels) in [
            ("ringlane_accept_errors_total", ""), ("ringlane_connections_refused_total", ""),
            ("ringlane_client_aborts_total", ""), ("ringlane_timeouts_total", ""),
            ("ringlane_connection_panics_total", ""),
        ] {
            assert_eq!(proxy.metric(name, labels), 0, "{name}");
        }
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), idle + BUSY as u64);
        drop(resting);
        proxy.await_metric("ringlane_connections_active", "", BUSY as u64);
        round(&mut busy);
    }

    /// What serving needed goes back to the system although nobody asks for anything any more.
    fn those_who_rest_give_memory_back(driver) {
        let (_alone, idle) = room_for(IDLE);
        let origin = Origin::replies(&[OK]);
        // Nothing else happens meanwhile.
        let setup = Setup::to(&origin).listener("timeouts.keep_alive = \"1h\"");
        let proxy = setup.upstream("pool.idle_timeout = \"1h\"").start(driver);
        let first = arrive(&proxy, 1);
        let before = proxy.resident_kib();
        let mut resting: Vec<_> = (0..idle).map(|_| proxy.connect()).collect();
        let grown = || proxy.resident_kib().saturating_sub(before);
        resting.chunks_mut(2_000).for_each(round);
        // While they are served it is up to twice as much.
        eventually("memory goes back", || grown() < idle * KIB_PER_IDLE_MAX);
        drop((first, resting));
    }
}
