//! Names become addresses, and keep them when nobody answers any more.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::good;
use crate::{
    control::{
        Compiled, Identities, Resolved, compile,
        config::{Config, HostPort},
        resolve::{resolve_all, update},
    },
    upstream::Upstream,
};

const TWO_NAMES: &str = "\
routes = [{ name = \"r\", upstream = \"u\" }]
listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]
upstreams = [{ name = \"u\", dns_refresh = \"10s\", endpoints = [\"a.test:1\", { address = \"b.test:1\", weight = 2 }, \"10.0.0.9:1\"] }]
";

/// What the name servers say; a name that is not there is refused.
type Answers = RefCell<HashMap<&'static str, Vec<&'static str>>>;

fn run(config: &Config, resolved: &mut Resolved, due_at: Option<Instant>, answers: &Answers) -> bool {
    let lookup = |name: HostPort| {
        let answer = match answers.borrow().get(&*name.host) {
            Some(ips) => Ok(ips
                .iter()
                .filter_map(|ip| format!("{ip}:{}", name.port).parse().ok())
                .collect::<Vec<SocketAddr>>()),
            None => Err(io::Error::other("no such name")),
        };
        std::future::ready(answer)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { panic!("no runtime") };
    runtime.block_on(update(config, resolved, due_at, lookup))
}

/// Tables, each compiled upon the one before.
#[derive(Default)]
struct Tables {
    identities: Identities,
    last: Option<Compiled>,
}

impl Tables {
    fn upstream(&mut self, config: &Config, resolved: &Resolved) -> Arc<Upstream> {
        let compiled = compile(config, resolved, &mut self.identities, 1, self.last.as_ref());
        let compiled = compiled.unwrap_or_else(|errors| panic!("{errors:?}"));
        let upstream = compiled.table().upstream(0).cloned();
        self.last = Some(compiled);
        upstream.unwrap_or_else(|| panic!("no upstream"))
    }

    fn endpoints(&mut self, config: &Config, resolved: &Resolved) -> Vec<(String, u32, u32)> {
        let upstream = self.upstream(config, resolved);
        upstream.endpoints.iter().map(|it| (it.label.to_string(), it.weight, it.id)).collect()
    }
}

#[test]
fn every_address_is_an_endpoint_and_a_failure_keeps_the_last() {
    let (config, mut resolved, mut tables) = (good(TWO_NAMES), Resolved::new(), Tables::default());
    let answers = Answers::default();
    answers
        .borrow_mut()
        .extend([("a.test", vec!["10.0.0.2", "10.0.0.1"]), ("b.test", vec!["10.0.0.2", "10.0.0.3"])]);
    assert!(run(&config, &mut resolved, None, &answers));
    let first = tables.endpoints(&config, &resolved);
    let labels: Vec<_> = first.iter().map(|(label, weight, _)| (label.as_str(), *weight)).collect();
    assert_eq!(labels, [("10.0.0.1:1", 1), ("10.0.0.2:1", 1), ("10.0.0.3:1", 2), ("10.0.0.9:1", 1)]);

    // The same addresses in another order are no change.
    answers.borrow_mut().insert("a.test", vec!["10.0.0.1", "10.0.0.2"]);
    assert!(!run(&config, &mut resolved, None, &answers));

    answers.borrow_mut().remove("a.test");
    answers.borrow_mut().insert("b.test", vec![]);
    assert!(!run(&config, &mut resolved, None, &answers));
    assert_eq!(tables.endpoints(&config, &resolved), first);
    let failures = resolved.failures();
    let told: Vec<_> = failures.iter().map(|it| (it.name.as_str(), it.reason.as_str(), it.kept)).collect();
    assert_eq!(told, [("a.test:1", "no such name", 2), ("b.test:1", "the name has no addresses", 2)]);

    answers.borrow_mut().insert("b.test", vec!["10.0.0.4"]);
    assert!(run(&config, &mut resolved, None, &answers));
    let changed = tables.endpoints(&config, &resolved);
    assert_eq!(changed[..2], first[..2], "what stays keeps its identity");
    // Another object of the same content, and the same answers: the same upstream.
    let there = tables.upstream(&config, &resolved);
    assert!(Arc::ptr_eq(&there, &tables.upstream(&good(TWO_NAMES), &resolved)));
    assert_eq!((changed[2].0.as_str(), resolved.failures().len()), ("10.0.0.4:1", 1));
}

#[test]
fn only_names_that_are_due_are_looked_up() {
    let (config, mut resolved) = (good(TWO_NAMES), Resolved::new());
    let answers = Answers::default();
    answers.borrow_mut().insert("a.test", vec!["10.0.0.1"]);
    assert!(resolved.next_refresh().is_none());
    let start = Instant::now();
    // Both are new, and so due; `b.test` fails and is tried again soon.
    assert!(run(&config, &mut resolved, Some(start), &answers));
    let next = resolved.next_refresh().map_or(Duration::MAX, |it| it - start);
    assert!(next >= Duration::from_secs(2) && next < Duration::from_secs(5), "{next:?}");

    answers.borrow_mut().extend([("a.test", vec!["10.0.0.7"]), ("b.test", vec!["10.0.0.8"])]);
    assert!(!run(&config, &mut resolved, Some(start + Duration::from_secs(1)), &answers), "nothing is due");
    assert!(run(&config, &mut resolved, Some(start + Duration::from_secs(5)), &answers));
    let labels = |resolved: &Resolved| -> Vec<String> {
        Tables::default().endpoints(&config, resolved).into_iter().map(|(label, ..)| label).collect()
    };
    assert_eq!(labels(&resolved), ["10.0.0.1:1", "10.0.0.8:1", "10.0.0.9:1"], "`a.test` was not due");
    assert!(run(&config, &mut resolved, Some(start + Duration::from_secs(60)), &answers));
    assert_eq!(labels(&resolved), ["10.0.0.7:1", "10.0.0.8:1", "10.0.0.9:1"]);
}

#[test]
fn names_that_are_gone_are_forgotten() {
    let (config, mut resolved) = (good(TWO_NAMES), Resolved::new());
    let answers = Answers::default();
    run(&config, &mut resolved, None, &answers);
    assert_eq!(resolved.failures().len(), 2);
    let without = good(super::AROUND);
    assert!(!run(&without, &mut resolved, None, &answers));
    assert!(resolved.failures().is_empty() && resolved.next_refresh().is_none());
}

#[test]
fn the_system_knows_localhost() {
    let config = good(
        &TWO_NAMES.replace("a.test", "localhost").replace("{ address = \"b.test:1\", weight = 2 }, ", ""),
    );
    let mut resolved = Resolved::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { panic!("no runtime") };
    assert!(runtime.block_on(resolve_all(&config, &mut resolved)));
    assert!(resolved.failures().is_empty(), "{:?}", resolved.failures());
}
