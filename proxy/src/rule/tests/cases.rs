//! Order, ends, bounds, and what a condition reads as.

use http::{HeaderMap, Method};

use super::reference::{Asked, deny, rule};
use crate::{
    limits,
    route::{HostPattern, PathPattern, ValuePattern},
    rule::{Condition, End, Network, Rules, Scratch},
};

fn prefix(text: &str) -> Condition {
    Condition::Path(PathPattern::prefix(text).expect(text))
}

fn client(text: &str) -> Condition {
    Condition::Client([Network::parse(text).expect(text)].into())
}

fn get(path: &str) -> Asked {
    Asked {
        client: None,
        method: Method::GET,
        host: "a.test".to_owned(),
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
    }
}

fn places(rules: &Rules, asked: &Asked) -> Vec<usize> {
    rules.matches(&asked.view(), &mut Scratch::default()).map(|(place, _)| place).collect()
}

#[test]
fn the_first_end_is_the_last_match() {
    let rules = vec![
        rule(0, prefix("/a"), None),
        rule(1, prefix("/b"), Some(End::Drop)),
        rule(2, Condition::All([].into()), None),
        rule(3, prefix("/a/b"), Some(deny())),
        rule(4, prefix("/a"), None),
    ];
    let rules = Rules::build(rules, Vec::new()).expect("rules");
    assert_eq!(places(&rules, &get("/a/b")), [0, 2, 3]);
    assert_eq!(places(&rules, &get("/a")), [0, 2, 4]);
    assert_eq!(places(&rules, &get("/b")), [1]);
    assert_eq!(places(&rules, &get("/c")), [2]);
}

#[test]
fn no_address_is_in_no_network() {
    let rules =
        vec![rule(0, client("0.0.0.0/0"), None), rule(1, Condition::Not(client("0.0.0.0/0").into()), None)];
    let rules = Rules::build(rules, Vec::new()).expect("rules");
    assert_eq!(places(&rules, &get("/")), [1]);
    assert_eq!(places(&rules, &Asked { client: "192.0.2.1".parse().ok(), ..get("/") }), [0]);
    assert_eq!(places(&rules, &Asked { client: "::1".parse().ok(), ..get("/") }), [1]);
}

#[test]
fn a_host_longer_than_any_name_is_none() {
    let hosts = |text: &str| Condition::Hosts([HostPattern::parse(text).expect(text)].into());
    let rules = Rules::build(vec![rule(0, hosts("*.test"), None)], Vec::new()).expect("rules");
    for (bytes, want) in [(253, [0].as_slice()), (254, &[])] {
        let host = format!("{}.TEST.", "a".repeat(bytes - 5));
        assert_eq!(places(&rules, &Asked { host, ..get("/") }), want);
    }
}

#[test]
fn a_thousand_patterns_with_and_without_a_literal() {
    let regex = |text: String| Condition::Path(PathPattern::regex(&text).expect("a regex"));
    let patterns = (0..500).map(|i| regex(format!("/t{i:03}/.*/x[0-9]+")));
    let open = (0..500).map(|i| regex(format!("^/[a-z]{{{}}}$", i % 50 + 1)));
    let rules =
        patterns.chain(open).enumerate().map(|(number, condition)| rule(number, condition, None)).collect();
    let rules = Rules::build(rules, Vec::new()).expect("rules");
    assert_eq!(places(&rules, &get("/t007/y/x1/t007/t499/x")), [7]);
    assert_eq!(places(&rules, &get("/t007/y/z/t499/a/x2")), [7, 499]);
    assert_eq!(places(&rules, &get("/abc")), (0..10).map(|i| 502 + i * 50).collect::<Vec<_>>());
}

#[test]
fn bounds() {
    let many = |count: usize| (0..count).map(|i| rule(i, prefix(&format!("/{i}")), None)).collect();
    let error = Rules::build(many(limits::RULES_MAX + 1), Vec::new()).expect_err("too many");
    assert!(error.to_string().contains("more than 10000 rules"), "{error}");
    let wide = |i: usize| (0..100).map(|j| prefix(&format!("/{i}/{j}"))).collect();
    let rules = (0..1000).map(|i| rule(i, Condition::Any(wide(i)), None)).collect();
    let error = Rules::build(rules, Vec::new()).expect_err("too many");
    assert!(error.rule == 655 && error.to_string().contains("65536 different conditions"), "{error}");
    // The same conditions again are no more conditions.
    let rules = (0..1000).map(|i| rule(i, Condition::Any(wide(0)), None)).collect();
    assert_eq!(places(&Rules::build(rules, Vec::new()).expect("rules"), &get("/0/99")).len(), 1000);
}

#[test]
fn in_words() {
    let header = |name: &'static str, value| Condition::Header(http::HeaderName::from_static(name), value);
    let hosts =
        |names: &[&str]| Condition::Hosts(names.iter().map(|it| HostPattern::parse(it).expect(it)).collect());
    let all = |list: Vec<Condition>| Condition::All(list.into());
    let any = |list: Vec<Condition>| Condition::Any(list.into());
    for (condition, want) in [
        (all(vec![]), "any request"),
        (client("10.0.0.0/8"), "client 10.0.0.0/8"),
        (hosts(&["a", "b"]), "host a or b"),
        (hosts(&["a", "b", "c", "d", "e", "f"]), "host a, b, c, d or 2 more"),
        (
            all(vec![prefix("/a"), any(vec![client("::1"), header("x", ValuePattern::Present)])]),
            "prefix /a and (client ::1 or header x)",
        ),
        (
            Condition::Not(all(vec![header("x", ValuePattern::Exact("1".into())), prefix("/a")]).into()),
            "not (header x = 1 and prefix /a)",
        ),
    ] {
        assert_eq!(condition.to_string(), want);
    }
}
