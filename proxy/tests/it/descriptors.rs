//! Out of descriptors: nothing spins, nothing is lost, and what is freed is used.

use std::{fs, time::Duration};

use crate::harness::{
    Client, Confine, Driver, Gate, Origin, Proxy, Setup, Wire, eventually,
    replies::{GET, OK},
    wait::becomes,
};

/// A proxy that may have so many files open, and answers by itself.
fn with_files(driver: Driver, files: u64) -> Proxy {
    let toml = "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
                [[routes]]\nname = \"hello\"\nrespond = { body = \"hello\" }\n";
    Proxy::launch(driver).confined(Confine::OpenFiles(files)).start(toml)
}

/// CPU time that the process has used, in clock ticks.
fn cpu_ticks(proxy: &Proxy) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", proxy.pid())).unwrap();
    // The name, which may hold spaces, ends in the last bracket.
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The limit of most tests.
const FILES: u64 = 64;

/// Descriptors that the process can still open. Some that it has inherited may lie beyond its limit.
fn free_files(proxy: &Proxy) -> u64 {
    let all = fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap();
    let numbers = all.filter_map(|file| file.ok()?.file_name().to_str()?.parse::<u64>().ok());
    FILES - numbers.filter(|number| *number < FILES).count() as u64
}

/// Sets how many files a running process may open; gives how many it could before.
fn limit_files(proxy: &Proxy, most: u64) -> u64 {
    let set = |new: *const libc::rlimit| {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads a struct of ours, if there is one, and writes another.
        assert_eq!(unsafe { libc::prlimit(proxy.pid() as i32, libc::RLIMIT_NOFILE, new, &mut old) }, 0);
        old
    };
    let old = set(std::ptr::null());
    set(&libc::rlimit { rlim_cur: most, ..old });
    old.rlim_cur
}

/// An origin that answers nobody until its gate is open.
fn gated() -> (Origin, Gate) {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::serve(move |mut wire: Wire| {
        while wire.try_read_request().is_some() {
            held.wait();
            if !wire.try_send(OK) {
                return;
            }
        }
    });
    (origin, gate)
}

/// Clients until the process has no descriptor left, all of them served.
#[track_caller]
fn fill(proxy: &Proxy) -> Vec<Client> {
    let mut clients = Vec::new();
    while free_files(proxy) > 0 {
        let mut client = proxy.connect();
        client.send(GET);
        client.read_response().expect(200);
        clients.push(client);
        assert!(clients.len() <= FILES as usize);
    }
    clients
}

/// A connection to the admin listener, which needs a descriptor as well: made while there are some.
struct Admin(Client);

impl Admin {
    #[track_caller]
    fn of(proxy: &Proxy) -> Admin {
        let mut admin = Admin(Client::connect(&proxy.admin_address()));
        // An answer says that it has been accepted.
        assert_eq!(admin.metric("ringlane_workers"), 1);
        admin
    }

    /// A series, as it is written.
    #[track_caller]
    fn metric(&mut self, series: &str) -> u64 {
        self.0.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = self.0.read_response().expect(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
        line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
    }
}

both_drivers! {
    fn a_client_waits_for_a_descriptor_and_gets_it(driver) {
        let proxy = with_files(driver, FILES);
        let mut admin = Admin::of(&proxy);
        let mut errors = || admin.metric("ringlane_accept_errors_total");
        assert_eq!(errors(), 0);
        let mut clients = fill(&proxy);
        // The last one is in use and nobody waits: that is no failure.
        assert_eq!(errors(), 0);
        let mut waiting = proxy.connect();
        waiting.send(GET);
        proxy.await_log("can't accept");
        let (before, errors_before) = (cpu_ticks(&proxy), errors());
        assert!(!waiting.stirs(Duration::from_millis(1500)));
        // A loop that does not pause uses all of this time, and fails hundreds of thousands of times.
        let (used, failed) = (cpu_ticks(&proxy) - before, errors() - errors_before);
        assert!(used < 75, "{used} ticks of CPU time");
        assert!((1..100).contains(&failed), "{failed} errors");
        // Those that are in are served meanwhile.
        clients[0].send(GET);
        clients[0].read_response().expect(200);
        clients.pop();
        waiting.read_response().expect(200);
        // One complaint a second, not one for each failure.
        let complaints = proxy.logs().iter().filter(|line| line.contains("can't accept")).count();
        assert!(complaints < 20, "{complaints}");
    }

    fn an_upstream_that_can_not_be_connected_to_is_503(driver) {
        let origin = Origin::replies(&[OK]);
        let launch = Proxy::launch(driver).confined(Confine::OpenFiles(FILES));
        let proxy = launch.start(&Setup::to(&origin).upstream("pool.max_idle = 0").toml());
        let mut first = proxy.connect();
        first.send(GET);
        first.read_response().expect(200);
        let mut idle: Vec<_> = (0..FILES).map(|_| proxy.connect()).collect();
        eventually("all are taken", || free_files(&proxy) == 0);
        first.send(GET);
        assert_eq!(first.read_response().expect(503).field("retry-after"), Some("1"));
        // With the descriptors back, so is the service.
        idle.clear();
        eventually("freed", || free_files(&proxy) > 8);
        first.send(GET);
        first.read_response().expect(200);
        assert_eq!(proxy.metric("ringlane_descriptor_shortages_total", "wanted_for=\"upstream\""), 1);
        assert_eq!(proxy.metric("ringlane_requests_refused_total", "reason=\"no_descriptor\""), 1);
    }
}

both_drivers! {
    /// Connections that nobody has needed for a second make room for who waits.
    fn idle_upstream_connections_are_given_up_for_a_client(driver) {
        let (origin, gate) = gated();
        let launch = Proxy::launch(driver).confined(Confine::OpenFiles(FILES));
        let proxy = launch.start(&Setup::to(&origin).toml());
        let mut admin = Admin::of(&proxy);
        let mut busy: Vec<_> = (0..12).map(|_| proxy.asking(GET)).collect();
        eventually("each has a connection upstream", || origin.connections() == 12);
        gate.open();
        busy.iter_mut().for_each(|client| drop(client.read_response().expect(200)));
        let mut clients: Vec<_> = (0..FILES).map(|_| proxy.connect()).collect();
        let mut dropped = || admin.metric("ringlane_upstream_idle_dropped_total{reason=\"descriptor_needed\"}");
        eventually("some are given up", || dropped() > 0);
        becomes("all of them", &12, dropped);
        assert!(admin.metric("ringlane_descriptor_shortages_total{wanted_for=\"client\"}") > 0);
        // Who is in is served as soon as there is a descriptor for it.
        clients.truncate(8);
        eventually("freed", || free_files(&proxy) > 8);
        busy[0].send(GET);
        busy[0].read_response().expect(200);
    }

    /// A request that is in waits for a connection of others, rather than fail.
    fn a_request_waits_for_a_connection_where_none_can_be_opened(driver) {
        let origin = Origin::manual();
        let launch = Proxy::launch(driver).confined(Confine::OpenFiles(FILES));
        let proxy = launch.start(&Setup::to(&origin).toml());
        let mut admin = Admin::of(&proxy);
        let mut second = proxy.connect();
        let (mut first, mut upstream) = proxy.under_way(&origin, GET);
        let _idle: Vec<_> = (0..FILES).map(|_| proxy.connect()).collect();
        eventually("all are taken", || free_files(&proxy) == 0);
        second.send(GET);
        becomes("one waits", &1, || admin.metric("ringlane_queue_length"));
        assert_eq!(admin.metric("ringlane_descriptor_shortages_total{wanted_for=\"upstream\"}"), 1);
        upstream.send(OK);
        first.read_response().expect(200);
        upstream.read_request();
        upstream.send(OK);
        second.read_response().expect(200);
        assert_eq!(origin.connections(), 1);
    }
}

both_drivers! {
    /// Each that can't connect leaves a place that another could take, which can't connect either: they must not wake each
    /// other for ever, which would keep the event loop from everything else.
    fn requests_that_wait_for_a_descriptor_leave_others_their_turn(driver) {
        let (origin, gate) = gated();
        let proxy = Proxy::start(driver, &Setup::to(&origin).upstream("timeouts.queue = \"1s\"").toml());
        let mut admin = Admin::of(&proxy);
        let mut waiting: Vec<_> = (0..6).map(|_| proxy.connect()).collect();
        let (leaves, mut stays) = (proxy.asking(GET), proxy.asking(GET));
        eventually("two are under way", || origin.connections() == 2);
        // Fewer than are open: what is closed can't be had again.
        let before = limit_files(&proxy, 8);
        waiting.iter_mut().for_each(|client| client.send(GET));
        becomes("they wait", &6, || admin.metric("ringlane_queue_length"));
        let ticks = cpu_ticks(&proxy);
        drop(leaves);
        for client in &mut waiting {
            client.read_response().expect(503);
        }
        let used = cpu_ticks(&proxy) - ticks;
        assert!(used < 50, "{used} ticks of CPU time");
        // Each once, and one that was let in as one left.
        assert_eq!(admin.metric("ringlane_descriptor_shortages_total{wanted_for=\"upstream\"}"), 2);
        limit_files(&proxy, before);
        gate.open();
        stays.read_response().expect(200);
        waiting[0].send(GET);
        waiting[0].read_response().expect(200);
    }
}

both_drivers! {
    /// Whatever is missing, and wherever: a process that says that it is ready serves, and one that does not ends.
    fn a_start_without_descriptors_fails_and_says_so(driver) {
        let origin = Origin::replies(&[OK]);
        let mut served = 0;
        for files in 5..24 {
            let launch = Proxy::launch(driver).confined(Confine::OpenFiles(files));
            let mut proxy = launch.spawn(&Setup::to(&origin).toml());
            if proxy.is_ready() {
                let mut client = proxy.connect();
                client.send(GET);
                let complains = || proxy.logs().iter().any(|line| line.contains("can't accept"));
                eventually("an answer, or a reason", || !client.is_quiet() || complains());
                served += 1;
                continue;
            }
            assert!(!proxy.wait_exit().success(), "{files}: {:#?}", proxy.logs());
            let log = proxy.logs().join(" ");
            assert!(log.contains("Too many open files"), "{files}: {log}");
        }
        assert!((4..18).contains(&served), "{served}");
    }
}

both_drivers! {
    /// The soft limit is made for programs that use select(2).
    fn the_soft_limit_is_raised_to_the_hard_one(driver) {
        let proxy = with_files(driver, 4096);
        let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.pid())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers: Vec<_> = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
        assert_eq!(numbers, [4096, 4096]);
    }
}
