//! Tables built upon others, change by change, are as those built at once: same selections, same explanations, same
//! errors.

use std::sync::Arc;

use proptest::{
    arbitrary::any as number,
    collection::vec,
    prelude::{Strategy, prop_assert_eq, prop_oneof, proptest},
};

use super::{
    random,
    spec::{Request, Spec, any, exact, prefix},
};
use crate::route::{BuildError, Built, Outcome, Parts, Prepared};

/// A change of the list of routes. Places are taken modulo the length of the list.
#[derive(Debug, Clone)]
enum Change {
    Add(usize, Spec),
    Remove(usize),
    Replace(usize, Spec),
    Move(usize, usize),
    /// The same route, made anew.
    Again(usize),
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let spec = || random::specs().prop_map(|mut specs| specs.swap_remove(0));
    let change = prop_oneof![
        3 => (number::<usize>(), spec()).prop_map(|(at, spec)| Change::Add(at, spec)),
        2 => number::<usize>().prop_map(Change::Remove),
        3 => (number::<usize>(), spec()).prop_map(|(at, spec)| Change::Replace(at, spec)),
        1 => number::<(usize, usize)>().prop_map(|(from, to)| Change::Move(from, to)),
        1 => number::<usize>().prop_map(Change::Again),
    ];
    vec(vec(change, 1..4), 1..12)
}

/// The routes of a table, each with the spec that it was made of.
#[derive(Clone, Default)]
struct Routes {
    list: Vec<(Spec, Arc<Prepared>)>,
    made: usize,
}

impl Routes {
    fn make(&mut self, spec: &Spec) -> (Spec, Arc<Prepared>) {
        self.made += 1;
        (spec.clone(), Arc::new(Prepared::new(spec.route(self.made))))
    }

    fn push(&mut self, spec: &Spec) {
        let route = self.make(spec);
        self.list.push(route);
    }

    fn change(&mut self, change: &Change) {
        let length = self.list.len();
        match change {
            Change::Add(at, spec) => {
                let route = self.make(spec);
                self.list.insert(at % (length + 1), route);
            }
            _ if length == 0 => {}
            Change::Remove(at) => drop(self.list.remove(at % length)),
            Change::Replace(at, spec) => self.list[at % length] = self.make(spec),
            Change::Move(from, to) => {
                let route = self.list.remove(from % length);
                self.list.insert(to % length, route);
            }
            Change::Again(at) => {
                let spec = self.list[at % length].0.clone();
                self.list[at % length] = self.make(&spec);
            }
        }
    }

    fn build(&self, before: Option<&Built>) -> Result<Built, Vec<BuildError>> {
        let routes = self.list.iter().map(|(_, route)| Arc::clone(route)).collect();
        let parts = Parts {
            generation: 1,
            routes,
            upstreams: Arc::default(),
            listeners: Box::default(),
            rules: None,
            overload: None,
        };
        Built::upon(before, parts)
    }
}

fn explained(built: &Built, request: &Request) -> Vec<(u32, Outcome)> {
    let verdicts = built.explain(&request.view());
    verdicts.into_iter().map(|verdict| (verdict.route.id, verdict.outcome)).collect()
}

fn selected(built: &Built, request: &Request) -> Option<(u32, usize)> {
    built.table().select(&request.view()).map(|selected| (selected.route.id, selected.prefix_len))
}

fn check(built: &Built, alone: &Built, requests: &[Request]) {
    assert_eq!(built.table().route_ids, alone.table().route_ids);
    for request in requests {
        assert_eq!(selected(built, request), selected(alone, request), "{request:?}");
        assert_eq!(explained(built, request), explained(alone, request), "{request:?}");
    }
}

proptest! {
    #[test]
    fn building_upon_another_equals_building_at_once(
        first in random::specs(),
        changes in changes(),
        requests in random::requests(),
    ) {
        let mut routes = Routes::default();
        for spec in &first {
            routes.push(spec);
        }
        let mut built = loop {
            match routes.build(None) {
                Ok(built) => break built,
                // Of two that can't stand together the later one is left out.
                Err(errors) => routes.change(&Change::Remove(*errors[0].routes.last().expect("a route"))),
            }
        };
        for step in &changes {
            let before = routes.clone();
            step.iter().for_each(|change| routes.change(change));
            match (routes.build(Some(&built)), routes.build(None)) {
                (Ok(upon), Ok(alone)) => {
                    check(&upon, &alone, &requests);
                    built = upon;
                }
                (Err(upon), Err(alone)) => {
                    prop_assert_eq!(upon, alone);
                    // What is refused changes nothing.
                    routes = Routes { made: routes.made, ..before };
                }
                (upon, alone) => panic!("{:?}\n{:?}", upon.err(), alone.err()),
            }
        }
    }
}

#[test]
fn what_has_not_changed_is_shared() {
    let mut routes = Routes::default();
    for host in ["a.test", "b.test", "*.c.test"] {
        for spec in [any(), prefix("/p"), exact("/e/{x}")] {
            routes.push(&spec.hosts(&[host]));
        }
    }
    let before = routes.build(None).expect("a table");
    routes.change(&Change::Again(4));
    let after = routes.build(Some(&before)).expect("a table");
    let route = |built: &Built, url: &str| {
        let selected = built.table().select(&Request::get(url).view()).expect("a route").route;
        std::ptr::from_ref(selected)
    };
    for (url, same) in [("a.test/p", true), ("b.test/p", false), ("b.test/x", true), ("x.c.test/e/1", true)] {
        assert_eq!(route(&before, url) == route(&after, url), same, "{url}");
    }
    assert!(Arc::ptr_eq(&before.table().splits, &after.table().splits));
    assert!(!Arc::ptr_eq(&before.table().route_ids, &after.table().route_ids), "it has another identity");
}

#[test]
fn a_host_whose_last_route_goes_is_gone() {
    let mut routes = Routes::default();
    for host in ["a.test", "*.b.test"] {
        routes.push(&any().hosts(&[host]));
    }
    let mut built = routes.build(None).expect("a table");
    for left in [1, 0] {
        routes.change(&Change::Remove(0));
        built = routes.build(Some(&built)).expect("a table");
        assert_eq!(built.table().route_ids.len(), left);
        assert!(selected(&built, &Request::get("a.test/")).is_none());
        assert_eq!(selected(&built, &Request::get("x.b.test/")).is_some(), left == 1);
    }
}
