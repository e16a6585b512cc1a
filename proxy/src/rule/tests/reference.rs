//! The slow way: each condition by itself, as a table of one route says what it means.

use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode};

use crate::{
    route::{Action, Built, Predicates, RequestView, Respond, Route},
    rule::{Condition, End, Request, Rule},
};

/// A request that owns what it says.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Asked {
    pub(super) fn view(&self) -> Request<'_> {
        Request {
            client: self.client,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            lines: &self.headers,
        }
    }
}

/// A rule whose name is its number.
pub(super) fn rule(number: usize, condition: Condition, end: Option<End>) -> Rule {
    Rule { name: number.to_string().into(), condition, end, log: None, tag: None }
}

/// An answer as any.
pub(super) fn deny() -> End {
    End::Deny(Respond { status: StatusCode::FORBIDDEN, content_type: "".into(), body: Default::default() })
}

/// The places of the rules that match, in order, up to the first that ends the request.
pub(super) fn matches(rules: &[Rule], asked: &Asked) -> Vec<usize> {
    let mut found = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        if holds(&rule.condition, asked) {
            found.push(place);
            if rule.end.is_some() {
                break;
            }
        }
    }
    found
}

fn holds(condition: &Condition, asked: &Asked) -> bool {
    let predicates = match condition {
        Condition::All(list) => return list.iter().all(|it| holds(it, asked)),
        Condition::Any(list) => return list.iter().any(|it| holds(it, asked)),
        Condition::Not(inner) => return !holds(inner, asked),
        Condition::Client(networks) => {
            return asked.client.is_some_and(|client| networks.iter().any(|it| it.contains(client)));
        }
        Condition::Hosts(hosts) => Predicates { hosts: hosts.clone(), ..Predicates::default() },
        Condition::Path(path) => Predicates { path: path.clone(), ..Predicates::default() },
        Condition::Methods(methods) => Predicates { methods: methods.clone(), ..Predicates::default() },
        Condition::Header(name, pattern) => {
            Predicates { headers: [(name.clone(), pattern.clone())].into(), ..Predicates::default() }
        }
        Condition::Query(name, pattern) => {
            Predicates { query: [(name.clone(), pattern.clone())].into(), ..Predicates::default() }
        }
    };
    let End::Deny(respond) = deny() else { return false };
    let route = Route {
        id: 0,
        name: "one".into(),
        predicates,
        action: Action::Respond(respond),
        rewrite_path_prefix: None,
        rewrite_host: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        hedge: None,
        limits: None,
        priority: Default::default(),
    };
    let built = Built::new(1, vec![route], Vec::new(), Vec::new()).expect("one route");
    let table = built.table();
    let view = RequestView {
        method: &asked.method,
        host: &asked.host,
        path: &asked.path,
        query: asked.query.as_deref(),
        headers: &asked.headers,
    };
    table.select(&view).is_some()
}
