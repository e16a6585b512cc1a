//! Which driver runs the workers, why, and on which cores.

use std::{collections::BTreeSet, fs, path::Path};

use crate::harness::{Confine, Driver, Origin, Proxy, Setup, replies::OK};

/// The labels of `ringlane_info`.
fn info(proxy: &Proxy) -> String {
    let text = proxy.admin_get("/metrics").expect(200).text();
    text.lines().find(|line| line.starts_with("ringlane_info{")).expect("ringlane_info").to_owned()
}

both_drivers! {
    fn driver_and_reason_are_named(driver) {
        let proxy = Setup::to(&Origin::replies(&[OK])).start(driver);
        let (name, reason) = match driver {
            Driver::IoUring => ("io_uring (", "the kernel"),
            Driver::Epoll => ("epoll", "the config asks for it"),
        };
        let line = proxy.await_log("driver: ");
        assert!(line.contains(&format!("driver: {name}")) && line.contains(reason), "{line}");
        let info = info(&proxy);
        assert!(info.contains(&format!("driver=\"{name}")), "{info}");
        assert!(info.contains("driver_reason=\"") && info.contains(reason), "{info}");
        assert!(info.ends_with("} 1"), "{info}");
    }

    fn a_start_says_what_runs(driver) {
        let proxy = Setup::to(&Origin::replies(&[OK])).workers(2).start(driver);
        let version = format!("ringlane {}", env!("CARGO_PKG_VERSION"));
        for wanted in [
            version.as_str(), "driver: ", "workers: 2, not pinned", "listener \"web\": 127.0.0.1:",
            "at most 100000 connections (50000 for each worker)", "upstream \"app\": 1 endpoint, at most 4096",
            "routes: 1", "config: ", "ringlane.toml", "admin: 127.0.0.1:",
        ] {
            proxy.await_log(wanted);
        }
        proxy.await_metric("ringlane_workers", "", 2);
    }
}

/// The number by which a proxy's worker has its listening socket in epoll.
fn watched_listener(proxy: &Proxy) -> i32 {
    let dir = format!("/proc/{}", proxy.pid());
    let port: u16 = proxy.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let table = fs::read_to_string(format!("{dir}/net/tcp")).unwrap();
    let listening = |line: &&str| line.contains(&format!(":{port:04X} 00000000:0000 0A "));
    let line = table.lines().find(listening).expect("a listening socket");
    let socket = format!("socket:[{}]", line.split_whitespace().nth(9).unwrap());
    let files = fs::read_dir(format!("{dir}/fdinfo")).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default());
    let watched = texts.flat_map(|text| {
        let targets = text
            .lines()
            .filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok());
        targets.collect::<Vec<i32>>()
    });
    let is_it =
        |file: &i32| fs::read_link(format!("{dir}/fd/{file}")).is_ok_and(|it| it == Path::new(&socket));
    watched.filter(is_it).last().expect("a listening socket in epoll")
}

/// Not a process that is ready and accepts nobody.
#[test]
fn a_listener_that_the_event_loop_does_not_take_ends_the_start() {
    let toml = Setup::to(&Origin::replies(&[OK])).toml();
    // Every start numbers its files alike.
    let listener = watched_listener(&Proxy::start(Driver::Epoll, &toml));
    let launch = Proxy::launch(Driver::Epoll).confined(Confine::NoEpollOf(listener, libc::ENOSPC));
    let mut proxy = launch.spawn(&toml);
    assert_eq!(proxy.wait_exit().code(), Some(1));
    let log = proxy.logs().join("\n");
    assert!(
        log.contains("worker 0 can't start: listener \"web\" can't be watched by the event loop"),
        "{log}"
    );
    assert!(log.contains("No space left") && !log.contains("ready"), "{log}");
}

#[test]
fn io_uring_that_is_asked_for_and_refused_ends_the_start() {
    for (errno, reason) in [(libc::EPERM, "seccomp"), (libc::ENOSYS, "kernel"), (libc::ENOMEM, "ulimit -l")] {
        let origin = Origin::replies(&[OK]);
        let launch = Proxy::launch(Driver::IoUring).confined(Confine::NoIoUring(errno));
        let mut proxy = launch.spawn(&Setup::to(&origin).toml());
        assert!(!proxy.wait_exit().success());
        let log = proxy.logs().join("\n");
        assert!(log.contains("runtime.driver is \"io_uring\", but io_uring can't be had"), "{log}");
        assert!(log.contains(reason), "{log}");
    }
}

#[test]
fn auto_falls_back_to_epoll_and_says_why() {
    let origin = Origin::replies(&[OK]);
    let launch = Proxy::launch(Driver::Epoll).auto().confined(Confine::NoIoUring(libc::EPERM));
    let proxy = launch.start(&Setup::to(&origin).toml());
    let line = proxy.await_log("driver: ");
    assert!(line.contains("driver: epoll (io_uring can't be had: "), "{line}");
    assert!(
        line.contains("refused by a seccomp profile or by the sysctl kernel.io_uring_disabled"),
        "{line}"
    );
    let info = info(&proxy);
    assert!(info.contains("driver=\"epoll\"") && info.contains("seccomp profile"), "{info}");
    assert_eq!(proxy.get("/").expect(200).text(), "ok");
}

#[test]
fn epoll_needs_no_io_uring() {
    let origin = Origin::replies(&[OK]);
    let launch = Proxy::launch(Driver::Epoll).confined(Confine::NoIoUring(libc::ENOSYS));
    let proxy = launch.start(&Setup::to(&origin).toml());
    assert_eq!(proxy.get("/").expect(200).text(), "ok");
}

fn auto_takes_io_uring(_: Driver) {
    let origin = Origin::replies(&[OK]);
    let proxy = Proxy::launch(Driver::IoUring).auto().start(&Setup::to(&origin).toml());
    proxy.await_log("driver: io_uring (");
    assert_eq!(proxy.get("/").expect(200).text(), "ok");
}

#[test]
fn auto_takes_io_uring_where_it_can_be_had() {
    crate::harness::driver::with_io_uring(auto_takes_io_uring);
}

/// `Cpus_allowed_list` of the worker threads, by name, in order.
fn cores_of_workers(proxy: &Proxy) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
    let mut found: Vec<_> = tasks
        .filter_map(|task| {
            let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let field =
                |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
            Some((field("Name:")?, field("Cpus_allowed_list:")?))
                .filter(|(name, _)| name.starts_with("worker-"))
        })
        .collect();
    found.sort();
    found
}

fn own_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect()
}

both_drivers! {
    /// The mask of the process is all that it may use: a worker outside of it would run on somebody else's core.
    fn workers_are_pinned_within_the_mask_of_the_process(driver) {
        let origin = Origin::replies(&[OK]);
        for core in own_cores() {
            let launch = Proxy::launch(driver).workers(2).pinned().confined(Confine::Cores(vec![core]));
            let proxy = launch.start(&Setup::to(&origin).toml());
            assert_eq!(proxy.get("/").expect(200).text(), "ok");
            proxy.await_log(&format!("workers: 2, on cores [{core}, {core}]"));
            let pinned = (0..2).map(|index| (format!("worker-{index}"), core.to_string()));
            crate::harness::wait::becomes("pinned", &pinned.collect(), || cores_of_workers(&proxy));
        }
    }

    fn each_worker_has_a_core_of_its_own(driver) {
        let cores = own_cores();
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::launch(driver).workers(cores.len()).pinned().start(&Setup::to(&origin).toml());
        let wanted: BTreeSet<_> = cores.iter().map(ToString::to_string).collect();
        crate::harness::wait::becomes("one core each", &wanted, || {
            cores_of_workers(&proxy).into_iter().map(|(_, core)| core).collect()
        });
    }

    fn workers_are_left_alone_when_asked(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Proxy::launch(driver).workers(2).start(&Setup::to(&origin).toml());
        let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
        let all = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
        let wanted: Vec<_> = (0..2).map(|index| (format!("worker-{index}"), all.to_owned())).collect();
        crate::harness::wait::becomes("the mask of the process", &wanted, || cores_of_workers(&proxy));
    }
}
