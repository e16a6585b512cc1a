//! What rules match equals asking each of them in the order of the file, for any rules and requests.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::reference::{Asked, deny, matches, rule};
use crate::{
    route::{HostPattern, PathPattern, ValuePattern},
    rule::{Condition, End, Network, Rule, Rules, Scratch},
};

fn value() -> impl Strategy<Value = ValuePattern> {
    let regexes = ["^[0-9]$", "2", "^$", " ", "(?i)BOT", "evil|bad", "a.*b", "[ab]", "b{2}", "(?:x|y)bot"];
    prop_oneof![
        2 => Just(ValuePattern::Present),
        2 => select(vec!["1", "2", "a b", ""]).prop_map(|text| ValuePattern::Exact(text.into())),
        3 => select(regexes.to_vec()).prop_map(|text| ValuePattern::regex(text).expect(text)),
    ]
}

fn path() -> impl Strategy<Value = PathPattern> {
    let exact = [
        "/",
        "/a",
        "/a/b",
        "/a/",
        "/{x}",
        "/a/{x}",
        "/{x}/b",
        "/{*rest}",
        "/a/{*rest}",
        "/a{x}b/c",
        "/{{a}}",
        "/A",
    ];
    let prefixes = ["/", "/a", "/a/b", "/ab", "/a/b/ab"];
    let regexes = [
        "^/a",
        "b$",
        "/ab?/",
        "^/[^/]+$",
        "aa|bb",
        "^/.*b",
        "//",
        "a.b",
        "^/$",
        "(?i)A/B",
        "^/(a|b)+$",
        "ab",
        "ba",
        "/a/",
        "/b",
        "[ab]{3}",
    ];
    prop_oneof![
        3 => select(exact.to_vec()).prop_map(|text| PathPattern::exact(text).expect(text)),
        3 => select(prefixes.to_vec()).prop_map(|text| PathPattern::prefix(text).expect(text)),
        4 => select(regexes.to_vec()).prop_map(|text| PathPattern::regex(text).expect(text)),
    ]
}

fn single() -> impl Strategy<Value = Condition> {
    let networks =
        ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1"];
    let hosts = ["a.test", "*.test", "*.a.test", "b.a.test", "[::1]"];
    prop_oneof![
        vec(select(networks.to_vec()), 1..3).prop_map(|list| Condition::Client(
            list.iter().map(|it| Network::parse(it).expect(it)).collect()
        )),
        vec(select(hosts.to_vec()), 1..3).prop_map(|list| Condition::Hosts(
            list.iter().map(|it| HostPattern::parse(it).expect(it)).collect()
        )),
        path().prop_map(Condition::Path),
        vec(select(vec![Method::GET, Method::POST, Method::PUT]), 1..3)
            .prop_map(|list| Condition::Methods(list.into())),
        (select(vec!["x-a", "x-b"]), value())
            .prop_map(|(name, value)| Condition::Header(HeaderName::from_static(name), value)),
        (select(vec!["q", "a b"]), value()).prop_map(|(name, value)| Condition::Query(name.into(), value)),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    single().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 0..4).prop_map(|list| Condition::All(list.into())),
            2 => vec(inner.clone(), 0..4).prop_map(|list| Condition::Any(list.into())),
            1 => inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// Few end a request, so that most of the others are asked.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let end = prop_oneof![20 => Just(None), 1 => Just(Some(End::Drop)), 1 => Just(Some(deny()))];
    vec((condition(), end), 0..80).prop_map(|list| {
        list.into_iter().enumerate().map(|(number, (condition, end))| rule(number, condition, end)).collect()
    })
}

fn request() -> impl Strategy<Value = Asked> {
    let clients = ["10.1.2.3", "10.1.9.9", "10.2.0.0", "192.0.2.1", "2001:db8::1", "2001:db8::2", "::1"];
    let client = option::of(select(clients.to_vec()).prop_map(|text| text.parse().expect(text)));
    let hosts = ["a.test", "A.Test.", "b.a.test", "c.b.a.test", "test", ".test", "", "[::1]", "other"];
    let segment = select(vec!["a", "b", "ab", "ba", "aab", "A", "B", "", "{a}", "aXb", "aa"]);
    let path = prop_oneof![
        30 => vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/"))),
        1 => Just("*".to_owned()),
    ];
    let pair = select(vec![
        "q=1",
        "q=2",
        "q",
        "%71=1",
        "q=%31",
        "a+b=1",
        "a%20b=a+b",
        "q=evil",
        "z=1",
        "",
        "q=XBot",
    ]);
    let line = (
        select(vec!["x-a", "x-b", "x-c"]),
        select(vec!["1", "2", "a b", "", "a goodBot", "bad", "abb", "ybot"]),
    );
    let headers = vec(line, 0..4).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    });
    let methods = vec![Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let query = option::of(vec(pair, 0..4).prop_map(|pairs| pairs.join("&")));
    (client, select(methods), select(hosts.to_vec()), path, query, headers).prop_map(
        |(client, method, host, path, query, headers)| Asked {
            client,
            method,
            host: host.to_owned(),
            path,
            query,
            headers,
        },
    )
}

proptest! {
    #[test]
    fn matching_equals_asking_each(rules in rules(), requests in vec(request(), 12)) {
        let compiled = Rules::build(rules.clone(), Vec::new()).expect("rules");
        // One for all: nothing of one request is left for the next.
        let mut scratch = Scratch::default();
        for request in &requests {
            let found: Vec<usize> = compiled.matches(&request.view(), &mut scratch).map(|(place, _)| place).collect();
            prop_assert_eq!(&found, &matches(&rules, request), "{:?}", request);
        }
    }
}
