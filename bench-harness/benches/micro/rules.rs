//! Finding the rule whose regular expression matches a path. Ours is a table whose routes are `path_regex`.

use std::hint::black_box;

use http::{HeaderMap, Method};
use regex::Regex;
use ringlane::route::{PathPattern, Predicates, RequestView};

use crate::{
    case::{Case, OURS},
    old::rules::{Cached, per_request, precompiled},
    rules_asked, tables,
};

fn pattern(i: usize) -> String {
    format!("^/service-{i:04}/v[0-9]+/(users|orders)/[0-9]+$")
}

fn size(count: usize) -> String {
    format!("{count} pattern{}", if count == 1 { "" } else { "s" })
}

/// Paths of random rules, the same for every design.
fn paths(count: usize) -> Vec<String> {
    let mut random = tables::random();
    (0..256).map(|_| format!("/service-{:04}/v2/orders/123456", random() % count)).collect()
}

fn case<F: FnMut(&str) -> bool + 'static>(
    count: usize,
    design: &'static str,
    counted: u64,
    make: impl Fn(Vec<String>) -> F + 'static,
) -> Case {
    Case::new(("rules", size(count), design), counted, move || {
        let mut find = make((0..count).map(pattern).collect());
        let paths = paths(count);
        assert!(find(&paths[0]) && !find("/elsewhere"), "{design}");
        let mut at = 0;
        Box::new(move |operations| {
            for _ in 0..operations {
                at = (at + 1) % paths.len();
                black_box(find(black_box(&paths[at])));
            }
        })
    })
}

fn ours(patterns: &[String]) -> impl FnMut(&str) -> bool + use<> {
    let routes = patterns.iter().map(|pattern| {
        let path = PathPattern::regex(pattern).unwrap_or_default();
        tables::route(Predicates { path, ..Predicates::default() }, tables::respond())
    });
    let table = tables::table(1, routes.collect(), Vec::new());
    let headers = HeaderMap::new();
    move |path| {
        let request =
            RequestView { method: &Method::GET, host: "example.com", path, query: None, headers: &headers };
        table.select(&request).is_some()
    }
}

/// All designs, with few rules and with many.
pub fn cases() -> Vec<Case> {
    let sizes = [1, 10, 1_000].into_iter().flat_map(|count| {
        let few = if count > 10 { 2 } else { 64 };
        [
            case(count, "compiled per request", few, |patterns| {
                move |path: &str| per_request(&patterns, path).is_some()
            }),
            case(count, "cached behind a lock", 512, |patterns| {
                let cached = Cached::default();
                move |path: &str| cached.find(&patterns, path).is_some()
            }),
            case(count, "precompiled, one by one", 512, |patterns| {
                let regexes: Vec<Regex> = patterns.iter().filter_map(|it| Regex::new(it).ok()).collect();
                move |path: &str| precompiled(&regexes, path).is_some()
            }),
            case(count, OURS, 512, |patterns| ours(&patterns)),
        ]
    });
    sizes.chain(rules_asked::cases()).collect()
}
