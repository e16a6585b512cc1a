//! Tables written out, with the route that each request gets.

use http::Method;

use super::spec::{Request, Spec, Want, any, build, exact, prefix, regex};
use crate::route::{Built, Outcome, Route};

fn table(specs: &[Spec]) -> Built {
    build(specs).expect("a table")
}

/// The position of the route that `request` gets.
fn selected(built: &Built, request: &Request) -> Option<usize> {
    built.table().select(&request.view()).map(|selected| selected.route.id as usize)
}

/// Each URL with the position of the route that a GET of it gets.
#[track_caller]
fn check(specs: &[Spec], cases: &[(&str, Option<usize>)]) {
    let table = table(specs);
    for (url, want) in cases {
        assert_eq!(selected(&table, &Request::get(url)), *want, "{url}");
    }
}

#[test]
fn nothing_matches_nothing() {
    check(&[], &[("a.test/", None), ("/", None)]);
    assert!(table(&[]).explain(&Request::get("/").view()).is_empty());
}

#[test]
fn a_route_without_predicates_matches_everything() {
    check(&[any()], &[("a.test/", Some(0)), ("/", Some(0)), ("a.test/x/y?z", Some(0))]);
    let mut options = Request::get("a.test/").method(Method::OPTIONS);
    options.path = "*".to_owned();
    assert_eq!(selected(&table(&[any()]), &options), Some(0));
    assert_eq!(selected(&table(&[prefix("/")]), &options), Some(0));
    assert_eq!(selected(&table(&[prefix("/a"), exact("/{x}")]), &options), None);
}

#[test]
fn hosts() {
    let specs = [
        any(),
        any().hosts(&["*.test"]),
        any().hosts(&["*.a.test"]),
        any().hosts(&["b.a.test", "C.test."]),
        any().hosts(&["[2001:DB8::1]"]),
    ];
    check(
        &specs,
        &[
            ("b.a.test/", Some(3)),
            ("B.A.TEST./", Some(3)),
            ("c.test/", Some(3)),
            ("x.b.a.test/", Some(2)),
            ("c.a.test/", Some(2)),
            ("a.test/", Some(1)),
            ("test/", Some(0)),
            (".test/", Some(0)),
            ("/", Some(0)),
            ("[2001:db8::1]/", Some(4)),
        ],
    );
}

#[test]
fn kinds_of_path() {
    let specs = [
        any(),
        regex("^/a"),
        prefix("/a"),
        prefix("/a/b"),
        exact("/{*rest}"),
        exact("/a/{x}"),
        exact("/a/b"),
        exact("/a/b/{x}"),
        exact("/{x}/b/c"),
    ];
    check(
        &specs[..4],
        &[("/a/b", Some(3)), ("/a/b/", Some(3)), ("/a/bc", Some(2)), ("/ab", Some(1)), ("/b", Some(0))],
    );
    check(
        &specs,
        &[
            ("/a/b", Some(6)),
            ("/a/x", Some(5)),
            ("/a/b/c", Some(7)),
            ("/x/b/c", Some(8)),
            ("/a/x/y", Some(4)),
            ("/", Some(0)),
        ],
    );
}

#[test]
fn a_prefix_of_everything_hides_no_regex() {
    check(&[prefix("/"), regex("^/a")], &[("/a", Some(1)), ("/b", Some(0))]);
}

#[test]
fn parameters_that_matchit_would_refuse_together() {
    let specs = [
        exact("/f/{*rest}"),
        exact("/f/{name}"),
        exact("/f/{name}.png"),
        exact("/f/x-{name}"),
        exact("/f/{n}/{m}"),
    ];
    check(
        &specs,
        &[
            ("/f/a", Some(1)),
            ("/f/a.png", Some(2)),
            ("/f/x-a", Some(3)),
            ("/f/a/b", Some(4)),
            ("/f/a/b/c", Some(0)),
        ],
    );
}

#[test]
fn what_fails_gives_way_to_the_next_best() {
    let specs = [
        exact("/a").hosts(&["a.test"]).method(Method::PUT),
        exact("/{x}").hosts(&["a.test"]).method(Method::POST),
        prefix("/a").hosts(&["a.test"]).method(Method::DELETE),
        any().hosts(&["*.test"]).method(Method::PATCH),
        any(),
    ];
    let table = table(&specs);
    for (method, want) in
        [(Method::PUT, 0), (Method::POST, 1), (Method::DELETE, 2), (Method::PATCH, 3), (Method::GET, 4)]
    {
        assert_eq!(selected(&table, &Request::get("a.test/a").method(method)), Some(want));
    }
}

#[test]
fn more_predicates_first() {
    let specs = [
        any(),
        any().query("q", Want::Present),
        any().header("x-a", Want::Present),
        any().header("x-a", Want::Present).query("q", Want::Exact("a b".to_owned())),
        any().header("x-a", Want::Present).header("x-b", Want::Present),
        any().method(Method::GET).header("x-b", Want::Regex("^1$".to_owned())),
    ];
    let table = table(&specs);
    for (request, want) in [
        (Request::get("/"), 0),
        (Request::get("/?q"), 1),
        (Request::get("/?q").header("x-a", "1"), 2),
        (Request::get("/?q=a+b").header("x-a", "1"), 3),
        (Request::get("/?q=a+b").header("x-a", "1").header("x-b", "2"), 4),
        (Request::get("/?q=a+b").header("x-a", "1").header("x-b", "1"), 5),
    ] {
        assert_eq!(selected(&table, &request), Some(want), "{request:?}");
    }
}

#[test]
fn prefix_lengths() {
    let table = table(&[prefix("/api/"), prefix("/"), exact("/exact")]);
    for (path, want) in [("/api", 4), ("/api/", 4), ("/api/x", 4), ("/apix", 0), ("/exact", 0)] {
        let request = Request::get(path);
        assert_eq!(
            table.table().select(&request.view()).map(|selected| selected.prefix_len),
            Some(want),
            "{path}"
        );
    }
}

#[test]
fn many_regexes_are_asked_as_a_set() {
    let specs: Vec<Spec> = (0..40).map(|i| regex(&format!("^/r{i}($|/)"))).chain([any()]).collect();
    check(&specs, &[("/r0", Some(0)), ("/r39/x", Some(39)), ("/r4", Some(4)), ("/r40", Some(40))]);
}

#[test]
fn many_hosts_with_the_same_routes() {
    let names: Vec<String> = (0..300).map(|i| format!("h{i}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let specs =
        [prefix("/a").hosts(&names), any().hosts(&names), any().hosts(&["h7.test"]).method(Method::GET)];
    check(
        &specs,
        &[("h0.test/a", Some(0)), ("h299.test/b", Some(1)), ("h7.test/b", Some(2)), ("h7.test/a", Some(0))],
    );
}

#[test]
fn twins_are_refused_with_both_names() {
    for (one, other) in [
        (any(), prefix("/")),
        (prefix("/a"), prefix("/a/")),
        (exact("/u/{id}"), exact("/u/{name}")),
        (any().hosts(&["a.test", "b.test"]), any().hosts(&["B.TEST."])),
        (any().method(Method::GET).method(Method::PUT), any().method(Method::PUT).method(Method::GET)),
    ] {
        let errors = build(&[exact("/other"), one, other]).err().expect("twins");
        let [error] = &*errors else { panic!("{errors:?}") };
        assert_eq!(error.routes, [1, 2]);
        assert!(error.message.starts_with("routes \"r1\" and \"r2\" can never be told apart"), "{error}");
    }
    for (one, other) in [
        (any().hosts(&["a.test"]), any().hosts(&["*.test"])),
        (exact("/a/{x}"), exact("/a/{*x}")),
        (any().method(Method::GET), any()),
        (any().header("x-a", Want::Present), any().header("x-a", Want::Exact(String::new()))),
    ] {
        assert!(build(&[one, other]).is_ok());
    }
}

#[test]
fn explanations() {
    let specs = [
        prefix("/api").hosts(&["*.example.com"]),
        prefix("/api").method(Method::PUT).method(Method::POST),
        prefix("/api").header("x-a", Want::Present),
        prefix("/api").query("v", Want::Exact("2".to_owned())),
        prefix("/api"),
        prefix("/other"),
        exact("/api/{id}/x"),
        exact("/api/y"),
        regex("^/v[0-9]"),
        any(),
    ];
    let table = table(&specs);
    let mut verdicts: Vec<(usize, Outcome)> = table
        .explain(&Request::get("example.com/api/x?v=1").view())
        .into_iter()
        .map(|verdict| (verdict.route.id as usize, verdict.outcome))
        .collect();
    verdicts.sort_by_key(|(id, _)| *id);
    let lost = |reason: &str| Outcome::LostOn(reason.to_owned());
    let want = [
        lost("host is not *.example.com"),
        lost("method is not PUT or POST"),
        lost("header x-a is absent"),
        lost("query parameter v is not 2"),
        Outcome::Won,
        lost("path is not below /other"),
        lost("path does not match /api/{id}/x"),
        lost("path is not /api/y"),
        lost("path does not match the regex ^/v[0-9]"),
        Outcome::Shadowed,
    ];
    assert_eq!(verdicts, want.into_iter().enumerate().collect::<Vec<_>>());
}

#[test]
fn routes_are_in_order_of_precedence() {
    let specs = [
        any(),
        prefix("/a"),
        any().hosts(&["*.test"]),
        any().hosts(&["*.a.test"]),
        any().hosts(&["*.b.test", "b.test"]),
        exact("/a").hosts(&["*.a.test"]),
    ];
    let ids: Vec<u32> = table(&specs).by_precedence().iter().map(|route: &&Route| route.id).collect();
    assert_eq!(ids, [4, 5, 3, 2, 1, 0]);
}
