//! A worker with more to do than it can turns requests away, those of low priority first, and serves the others.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread::Scope,
};

use crate::harness::{Client, Driver, Origin, Proxy, Setup, Wire, eventually, replies::OK};

/// What one client has been answered.
#[derive(Debug, Default, Clone, Copy)]
struct Answers {
    served: u64,
    shed: u64,
}

/// Answers at once, whatever it is asked.
fn quick() -> Origin {
    Origin::serve(|mut wire: Wire| while wire.try_read_request().is_some() && wire.try_send(OK) {})
}

/// Routes of each priority, and an access log.
fn setup(origin: &Origin) -> Setup {
    let route = |name: &str| {
        format!(
            "[[routes]]\nname = {name:?}\nmatch = {{ path = \"/{name}\" }}\nupstream = \"app\"\npriority = {name:?}\n"
        )
    };
    Setup::to(origin)
        .and("[access_log]\npath = \"access.log\"")
        .and(&route("low"))
        .and(&route("high"))
        .and("[[routes]]\nname = \"hello\"\nmatch = { path = \"/hello\" }\nrespond = { body = \"hello\" }\n")
}

const MAX_LAG: &str = "[overload]\nmax_lag = \"50ms\"\n";

/// A proxy whose requests are as expensive as they say: see `ask`.
fn start(driver: Driver, setup: &Setup) -> Proxy {
    Proxy::launch(driver).env("RINGLANE_FAULTS", "1").start(&setup.toml())
}

/// A request with a body that keeps a worker busy for so many milliseconds, if it is served.
fn request(path: &str, work: u32) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nX-Ringlane-Work: {work}\r\nContent-Length: 4\r\n\r\nbody")
}

/// Asks for `path` on one connection, as soon as there is an answer again, until `enough`.
fn ask(mut client: Client, path: &str, work: u32, enough: &AtomicBool) -> Answers {
    let mut answers = Answers::default();
    while !enough.load(Ordering::Acquire) {
        client.send(request(path, work));
        let response = client.read_response();
        assert!(!response.says_close(), "{response:?}");
        match response.status {
            200 => {
                assert_eq!(response.text(), "ok");
                answers.served += 1;
            }
            _ => {
                assert_eq!(response.expect(503).field("retry-after"), Some("1"));
                answers.shed += 1;
            }
        }
    }
    answers
}

/// So many clients that do; what they were answered, together, when they have had enough.
fn crowd<'scope>(
    scope: &'scope Scope<'scope, '_>,
    proxy: &'scope Proxy,
    (path, clients, work): (&'static str, usize, u32),
    enough: &'scope AtomicBool,
) -> impl FnOnce() -> Answers {
    let asking = move |_| {
        let client = proxy.connect();
        scope.spawn(move || ask(client, path, work, enough))
    };
    let threads: Vec<_> = (0..clients).map(asking).collect();
    move || {
        threads.into_iter().fold(Answers::default(), |sum, thread| {
            let Answers { served, shed } = thread.join().unwrap();
            Answers { served: sum.served + served, shed: sum.shed + shed }
        })
    }
}

#[track_caller]
fn shed(proxy: &Proxy, priority: &str) -> u64 {
    proxy.metric("ringlane_requests_shed_total", &format!("priority={priority:?}"))
}

both_drivers! {
    fn low_priority_goes_first_and_all_that_is_admitted_is_served(driver) {
        let origin = quick();
        let proxy = start(driver, &setup(&origin).and(MAX_LAG));
        let enough = AtomicBool::new(false);
        let (low, high) = std::thread::scope(|scope| {
            let low = crowd(scope, &proxy, ("/low", 100, 2), &enough);
            let high = crowd(scope, &proxy, ("/high", 2, 2), &enough);
            proxy.await_log("overloaded: shedding requests");
            eventually("many are shed", || shed(&proxy, "low") >= 500);
            assert!(proxy.metric("ringlane_overload_level", "worker=\"0\"") > 0);
            // Newcomers are accepted and answered, and what costs no more than a 503 is.
            let newcomer = proxy.connect().ask(request("/low", 0));
            assert!(matches!(newcomer.status, 200 | 503), "{newcomer:?}");
            proxy.get("/hello").expect(200);
            enough.store(true, Ordering::Release);
            let (mut low, high) = (low(), high());
            low.shed += u64::from(newcomer.status == 503);
            (low, high)
        });
        // Nearly all that is shed is of low priority, although each client asks as often as it can.
        assert!(low.served > 0 && high.served > 0, "{low:?} {high:?}");
        let part = |of: Answers| of.shed as f64 / (of.shed + of.served) as f64;
        assert!(part(high) < part(low) / 2.0, "{low:?} {high:?}");
        // All of it is accounted for.
        assert_eq!((shed(&proxy, "low"), shed(&proxy, "normal"), shed(&proxy, "high")), (low.shed, 0, high.shed));
        let refused = proxy.metric("ringlane_requests_refused_total", "reason=\"overloaded\"");
        assert_eq!(refused, low.shed + high.shed);
        let log = || fs::read_to_string(proxy.dir().join("access.log")).unwrap();
        eventually("the access log says it", || {
            let text = log();
            let line = text.lines().find(|line| line.contains("\"termination\":\"PO\""));
            line.is_some_and(|line| line.contains("\"status\":503") && line.contains("\"route\":\"low\""))
        });
        // It recovers, and then nothing is shed.
        proxy.await_log("no longer overloaded");
        proxy.await_metric("ringlane_overload_level", "", 0);
        let mut client = proxy.connect();
        for _ in 0..50 {
            client.ask(request("/low", 0)).expect(200);
        }
        assert_eq!(shed(&proxy, "low"), low.shed);
    }

    fn without_overload_nothing_is_shed(driver) {
        let origin = quick();
        let proxy = start(driver, &setup(&origin).and(MAX_LAG));
        let enough = AtomicBool::new(false);
        let answers = std::thread::scope(|scope| {
            let answers = crowd(scope, &proxy, ("/low", 20, 0), &enough);
            eventually("many are served", || proxy.metric("ringlane_responses_total", "class=\"2xx\"") > 2_000);
            // A turn that is far too long, once, and no more.
            proxy.connect().ask(request("/low", 500)).expect(200);
            let after = proxy.metric("ringlane_responses_total", "class=\"2xx\"") + 1_000;
            eventually("more are served", || {
                proxy.metric("ringlane_responses_total", "class=\"2xx\"") > after
            });
            enough.store(true, Ordering::Release);
            answers()
        });
        assert_eq!((answers.shed, shed(&proxy, "low")), (0, 0));
        assert!(!proxy.logs().iter().any(|line| line.contains("overloaded")));
    }

    /// It is switched on, and off again, while the proxy runs.
    fn what_the_config_says_now_holds(driver) {
        let origin = quick();
        let proxy = start(driver, &setup(&origin));
        let enough = AtomicBool::new(false);
        let reload = |more: &str, generation| {
            let path = proxy.dir().join("ringlane.toml");
            let text = fs::read_to_string(&path).unwrap();
            let head = &text[..text.find("[[listeners]]").unwrap()];
            fs::write(&path, format!("{head}{}", setup(&origin).and(more).toml())).unwrap();
            proxy.signal(libc::SIGHUP);
            proxy.await_metric("ringlane_config_generation", "", generation);
        };
        std::thread::scope(|scope| {
            let answers = crowd(scope, &proxy, ("/low", 40, 5), &enough);
            let served = || proxy.metric("ringlane_responses_total", "class=\"2xx\"");
            eventually("an overload, and nobody minds", || served() > 200);
            assert_eq!(shed(&proxy, "low"), 0);
            reload(MAX_LAG, 2);
            eventually("now it is", || shed(&proxy, "low") > 0);
            reload("", 3);
            proxy.await_metric("ringlane_overload_level", "", 0);
            let (before, after) = (shed(&proxy, "low"), served() + 200);
            eventually("all are served", || served() > after);
            assert_eq!(shed(&proxy, "low"), before);
            enough.store(true, Ordering::Release);
            answers();
        });
    }
}
