//! Random routes and requests, from alphabets so small that they often meet.

use http::{HeaderMap, HeaderValue, Method};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::spec::{PathSpec, Request, Spec, Want};

/// Routes of one table.
pub(super) fn specs() -> impl Strategy<Value = Vec<Spec>> {
    prop_oneof![
        3 => vec(spec(hosts(), path()), 1..30),
        // Many paths of one host, so that they overlap in every way.
        2 => vec(spec(Just(Vec::new()), exact()), 1..30),
        1 => vec(spec(Just(Vec::new()), prop_oneof![4 => prefix(), 1 => regex(), 1 => Just(PathSpec::Any)]), 5..30),
        1 => vec(spec(Just(Vec::new()), path()), 1..10).prop_map(alike),
        1 => vec(spec(Just(Vec::new()), regex()), 10..30),
    ]
}

/// Two hosts and none with the same paths, so that they share an index, and with other routes in another order.
fn alike(specs: Vec<Spec>) -> Vec<Spec> {
    let at = |host: &'static str| move |spec: &Spec| Spec { hosts: vec![host.to_owned()], ..spec.clone() };
    let first = specs.iter().map(at("a.x.test"));
    let second = specs.iter().rev().map(at("b.x.test"));
    first.chain(second).chain(specs.iter().cloned()).collect()
}

/// Requests, of which one in two or so meets some route of such a table.
pub(super) fn requests() -> impl Strategy<Value = Vec<Request>> {
    vec(request(), 40)
}

fn spec(
    hosts: impl Strategy<Value = Vec<String>>,
    path: impl Strategy<Value = PathSpec>,
) -> impl Strategy<Value = Spec> {
    let rarely = |strategy| prop_oneof![1 => Just(Vec::new()), 1 => strategy];
    (hosts, path, rarely(methods().boxed()), wants("x-a", "x-b"), wants("q", "a b"))
        .prop_map(|(hosts, path, methods, headers, query)| Spec { hosts, path, methods, headers, query })
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    vec(select(vec![Method::GET, Method::POST, Method::PUT]), 1..3)
}

fn wants(one: &'static str, other: &'static str) -> impl Strategy<Value = Vec<(String, Want)>> {
    let want = prop_oneof![
        2 => Just(Want::Present),
        2 => select(vec!["1", "2", "a b"]).prop_map(|text| Want::Exact(text.to_owned())),
        1 => select(vec!["^[0-9]$", "2", "^$", " "]).prop_map(|text| Want::Regex(text.to_owned())),
    ];
    let wants = vec((select(vec![one.to_owned(), other.to_owned()]), want), 1..3);
    prop_oneof![3 => Just(Vec::new()), 1 => wants]
}

fn hosts() -> impl Strategy<Value = Vec<String>> {
    let names =
        ["a.x.test", "b.x.test", "x.test", "*.x.test", "*.test", "*.a.x.test", "B.A.X.test.", "[::1]"];
    vec(select(names.map(str::to_owned).to_vec()), 0..4)
}

fn path() -> impl Strategy<Value = PathSpec> {
    prop_oneof![
        1 => Just(PathSpec::Any),
        4 => exact(),
        3 => prefix(),
        1 => regex(),
    ]
}

fn exact() -> impl Strategy<Value = PathSpec> {
    let segment = prop_oneof![
        4 => select(vec!["a", "b", "ab", "ba", "aab", ""]),
        3 => select(vec!["{x}", "{y}", "{long-name}"]),
        2 => select(vec!["a{x}", "ab{x}", "{x}b", "{x}ab", "a{x}b", "b{x}", "{x}a"]),
        1 => select(vec!["{{", "a}}", "{{a}}", "{{{x}"]),
    ];
    let rest = prop_oneof![5 => Just(""), 1 => Just("/{*rest}"), 1 => Just("/a{*rest}"), 1 => Just("/")];
    (vec(segment, 0..4), rest).prop_map(|(segments, rest)| {
        let path: String = segments.iter().flat_map(|segment| ["/", segment]).chain([rest]).collect();
        PathSpec::Exact(if path.is_empty() { "/".to_owned() } else { path })
    })
}

fn prefix() -> impl Strategy<Value = PathSpec> {
    let segments = vec(select(vec!["a", "b", "ab"]), 0..4);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let mut path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
        if slash || path.is_empty() {
            path.push('/');
        }
        PathSpec::Prefix(path)
    })
}

fn regex() -> impl Strategy<Value = PathSpec> {
    let texts = [
        "^/a",
        "^/b/",
        "a$",
        "b$",
        "^/[^/]+$",
        "aa|bb",
        "^/.*b",
        "//",
        "^/a/b/?$",
        "a.b",
        "^/$",
        "b/a",
        "^/(a|b)+$",
    ];
    select(texts.to_vec()).prop_map(|text| PathSpec::Regex(text.to_owned()))
}

fn request() -> impl Strategy<Value = Request> {
    let methods = select(vec![Method::GET, Method::GET, Method::POST, Method::PUT, Method::DELETE]);
    let hosts = select(vec![
        "a.x.test",
        "A.X.Test",
        "a.x.test.",
        "b.x.test",
        "x.test",
        "c.x.test",
        "b.a.x.test",
        "c.b.a.x.test",
        ".x.test",
        "test",
        "y.test",
        "other",
        "",
        ".",
        "[::1]",
        "a.x.test..",
    ]);
    let segment = prop_oneof![
        6 => select(vec!["a", "b", "ab", "ba"]),
        3 => select(vec!["aab", "abb", "c", "bab", "abab", ""]),
        1 => select(vec!["{", "a}", "{a}", "{{", "{a", "%61", "A"]),
    ];
    let path = (vec(segment, 0..5), prop_oneof![5 => Just(""), 1 => Just("/"), 1 => Just("//")]).prop_map(
        |(segments, end)| {
            let path: String = segments.iter().flat_map(|segment| ["/", segment]).chain([end]).collect();
            if path.is_empty() { "/".to_owned() } else { path }
        },
    );
    let path = prop_oneof![40 => path, 1 => Just("*".to_owned())];
    (methods, hosts, path, query(), headers()).prop_map(|(method, host, path, query, headers)| Request {
        method,
        host: host.to_owned(),
        path,
        query,
        headers,
    })
}

fn query() -> impl Strategy<Value = Option<String>> {
    let pair = select(vec![
        "q=1", "q=2", "q", "q=", "%71=1", "q=%31", "a+b=1", "a%20b=2", "q=a+b", "q=a%20b", "z=1", "", "q=%",
        "q=%zz",
    ]);
    option::of(vec(pair, 0..4).prop_map(|pairs| pairs.join("&")))
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let line = (select(vec!["x-a", "x-b"]), select(vec!["1", "2", "a b", "", "x"]));
    vec(line, 0..4).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    })
}
