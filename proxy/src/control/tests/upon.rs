//! Tables compiled upon others, change by change, are as those compiled at once: the same routes lead to the same
//! upstreams, with the same errors. What keeps its name keeps its identity, and its place.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, Method};
use proptest::{collection::vec, prelude::*, sample::select};

use super::good;
use crate::{
    control::{Compiled, Identities, Resolved, compile, config::Config},
    route::{Action, RequestView, RouteTable},
};

const HOSTS: [&str; 4] = ["a.test", "b.test", "*.b.test", "c.test"];
const PATHS: [&str; 4] = ["/", "/x", "/x/y", "/z"];
const NAMES: [&str; 5] = ["u0", "u1", "u2", "u3", "u4"];

/// A config in few words: ports of upstreams and routes by name, the latter in order.
#[derive(Debug, Clone, Default)]
struct Model {
    upstreams: HashMap<&'static str, u16>,
    routes: Vec<(u8, Route)>,
}

#[derive(Debug, Clone)]
struct Route {
    host: &'static str,
    path: &'static str,
    /// To these, with weights when there are several.
    to: Vec<(&'static str, u8)>,
}

#[derive(Debug, Clone)]
enum Change {
    Upstream(&'static str, Option<u16>),
    Route(u8, Option<Route>),
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let name = || select(NAMES.to_vec());
    let route = (select(HOSTS.to_vec()), select(PATHS.to_vec()), vec((name(), 1..3_u8), 1..3))
        .prop_map(|(host, path, to)| Route { host, path, to });
    let change = prop_oneof![
        1 => (name(), proptest::option::weighted(0.7, 1..4_u16)).prop_map(|(name, port)| Change::Upstream(name, port)),
        3 => (0..12_u8, proptest::option::weighted(0.7, route)).prop_map(|(name, route)| Change::Route(name, route)),
    ];
    vec(vec(change, 1..4), 1..25)
}

impl Model {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Upstream(name, Some(port)) => drop(self.upstreams.insert(name, *port)),
            Change::Upstream(name, None) => drop(self.upstreams.remove(name)),
            Change::Route(name, route) => {
                let place = self.routes.iter().position(|(other, _)| other == name);
                match (place, route) {
                    (Some(place), Some(route)) => self.routes[place].1 = route.clone(),
                    (Some(place), None) => drop(self.routes.remove(place)),
                    // Not always at the end.
                    (None, Some(route)) => {
                        let place = usize::from(*name).min(self.routes.len());
                        self.routes.insert(place, (*name, route.clone()));
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// As text, to be read as a config. Upstreams that are not there are, so that it can be read.
    fn text(&self) -> String {
        let mut text = "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n".to_owned();
        for name in NAMES {
            let port = self.upstreams.get(name).unwrap_or(&9);
            text += &format!("[[upstreams]]\nname = \"{name}\"\nendpoints = [\"127.0.0.1:{port}\"]\n");
        }
        for (name, Route { host, path, to }) in &self.routes {
            text += &format!(
                "[[routes]]\nname = \"r{name}\"\nmatch = {{ hosts = [\"{host}\"], path_prefix = \"{path}\" }}\n"
            );
            let sides: HashMap<&str, u8> = to.iter().copied().collect();
            let mut sides: Vec<String> = sides
                .iter()
                .map(|(name, weight)| format!("{{ upstream = \"{name}\", weight = {weight} }}"))
                .collect();
            sides.sort();
            match &sides[..] {
                [_] => text += &format!("upstream = \"{}\"\n", to[0].0),
                sides => text += &format!("split = [{}]\n", sides.join(", ")),
            }
        }
        text
    }
}

/// What the model says, with all that is as in `before` taken from there. `None`: it can't be read, for twins.
fn config(model: &Model, before: &Config) -> Option<Config> {
    let mut config = super::parse_str("test.toml", &model.text()).ok()?;
    config.upstreams.retain(|it| model.upstreams.contains_key(&*it.name));
    for upstream in &mut config.upstreams {
        let same = before.upstreams.iter().find(|it| format!("{it:?}") == format!("{upstream:?}"));
        *upstream = Arc::clone(same.unwrap_or(upstream));
    }
    for route in Arc::make_mut(&mut config.routes) {
        let same = before.routes.iter().find(|it| format!("{it:?}") == format!("{route:?}"));
        *route = Arc::clone(same.unwrap_or(route));
    }
    Some(config)
}

/// Where every host and path leads: the route, and the names and endpoints of its upstreams.
fn leads(table: &RouteTable) -> Vec<String> {
    let headers = HeaderMap::new();
    let upstream =
        |place: usize| table.upstream(place).map(|it| format!("{} {}", it.name, it.endpoints[0].label));
    let to = |host: &str, path: &str| {
        let request = RequestView { method: &Method::GET, host, path, query: None, headers: &headers };
        let Some(selected) = table.select(&request) else { return "none".to_owned() };
        let upstreams: Vec<_> = match &selected.route.action {
            Action::Upstream(place) => vec![(upstream(*place), 1)],
            Action::Split(split) => {
                split.choices.iter().map(|(place, weight)| (upstream(*place), *weight)).collect()
            }
            _ => Vec::new(),
        };
        format!("{host}{path}: {} to {upstreams:?}", selected.route.name)
    };
    ["a.test", "b.test", "d.b.test", "c.test", "e.test"]
        .iter()
        .flat_map(|host| ["/", "/x", "/x/y/w", "/z"].map(|path| to(host, path)))
        .collect()
}

/// Identities and places by name.
fn identities(compiled: &Compiled) -> (HashMap<String, u32>, HashMap<String, (usize, u32)>) {
    let routes = compiled.built().routes().iter().map(|it| (it.name.to_string(), it.id)).collect();
    let upstreams = compiled.table().upstreams.iter().enumerate();
    let upstreams =
        upstreams.filter_map(|(place, it)| Some((it.as_ref()?.name.to_string(), (place, it.as_ref()?.id))));
    (routes, upstreams.collect())
}

fn kept<V: PartialEq + std::fmt::Debug>(before: &HashMap<String, V>, after: &HashMap<String, V>) {
    for (name, is) in after {
        assert!(before.get(name).is_none_or(|was| was == is), "{name}: {:?}, {is:?}", before.get(name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn compiling_upon_another_equals_compiling_at_once(changes in changes()) {
        let (mut model, mut identities) = (Model::default(), Identities::new());
        model.change(&Change::Upstream("u0", Some(1)));
        let mut last = good(&model.text());
        last.upstreams.truncate(1);
        let mut compiled = compile(&last, &Resolved::new(), &mut identities, 1, None).expect("a table");
        for step in &changes {
            let before = model.clone();
            step.iter().for_each(|change| model.change(change));
            let Some(config) = config(&model, &last) else { model = before; continue };
            let upon = compile(&config, &Resolved::new(), &mut identities, 1, Some(&compiled));
            let alone = compile(&config, &Resolved::new(), &mut Identities::new(), 1, None);
            match (upon, alone) {
                (Ok(upon), Ok(alone)) => {
                    prop_assert_eq!(leads(upon.table()), leads(alone.table()));
                    prop_assert_eq!(upon.table().splits.len(), alone.table().splits.len());
                    let (old, new) = (self::identities(&compiled), self::identities(&upon));
                    kept(&old.0, &new.0);
                    kept(&old.1, &new.1);
                    (compiled, last) = (upon, config);
                }
                (Err(upon), Err(alone)) => {
                    prop_assert_eq!(upon, alone);
                    model = before;
                }
                (upon, alone) => panic!("{:?}\n{:?}", upon.err(), alone.err()),
            }
        }
    }
}

#[test]
fn a_name_that_comes_back_has_another_number_and_an_old_place_goes_to_another() {
    let text = |names: &[&str]| {
        let upstream =
            |name: &&str| format!("[[upstreams]]\nname = \"{name}\"\nendpoints = [\"127.0.0.1:9\"]\n");
        let listeners = "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n".to_owned();
        listeners + &names.iter().map(upstream).collect::<String>()
    };
    let mut ids = Identities::new();
    let mut compiled: Option<Compiled> = None;
    let mut next = |names: &[&str]| {
        let made =
            compile(&good(&text(names)), &Resolved::new(), &mut ids, 1, compiled.as_ref()).expect("a table");
        let (_, upstreams) = identities(&made);
        compiled = Some(made);
        upstreams
    };
    let first = next(&["a", "b"]);
    let second = next(&["b", "c"]);
    assert_eq!(second["b"], first["b"]);
    assert_eq!(second["c"].0, 2, "the place of `a` is not taken in the table in which it goes");
    let third = next(&["b", "c", "a"]);
    assert_eq!((third["a"].0, third["a"].1), (0, 3), "now it is, and the name has another number");
}
