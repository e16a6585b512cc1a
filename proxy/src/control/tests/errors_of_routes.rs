//! What is said about routes that are wrong.

use super::check;

/// A config with upstreams `app` and `next` and these routes, the first of which begins on line 4.
fn routes(text: &str) -> String {
    format!(
        "listeners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n\
         upstreams = [{{ name = \"app\", endpoints = [\"a:1\"] }}, {{ name = \"next\", endpoints = [\"b:1\"] }}]\n\n{text}\n"
    )
}

/// A route of these lines, the first of which is line 6.
fn route(lines: &str) -> String {
    routes(&format!("[[routes]]\nname = \"r\"\n{lines}"))
}

#[test]
fn a_route_does_one_thing() {
    check(
        &route(""),
        &["4:1 routes[0]: the route does nothing | add one of `upstream`, `split`, `redirect` and `respond`"],
    );
    check(
        &route("upstream = \"app\"\nrespond = {}\nsplit = []"),
        &[
            "7:11 routes[0].respond: `respond` beside `upstream` | a route does one thing: leave out the other, or make two routes",
            "8:9 routes[0].split: `split` beside `upstream` | a route does one thing: leave out the other, or make two routes",
        ],
    );
}

#[test]
fn a_misspelt_key_is_one_error() {
    check(&route("upstrem = \"app\""), &["6:1 routes[0].upstrem: unknown key | did you mean `upstream`?"]);
    check(
        &route("redirect = { schem = \"https\" }"),
        &["6:14 routes[0].redirect.schem: unknown key | did you mean `scheme`?"],
    );
    check(
        &route("respond = {}\nmatch.headers.x = { regx = \"a\" }"),
        &["7:21 routes[0].match.headers.x.regx: unknown key | did you mean `regex`?"],
    );
}

#[test]
fn upstreams_that_are_not_there() {
    check(
        &route("upstream = \"ap\""),
        &["6:12 routes[0].upstream: no upstream is named `ap` | did you mean `app`?"],
    );
    check(
        &route("upstream = \"xyz\""),
        &["6:12 routes[0].upstream: no upstream is named `xyz` | there are app, next"],
    );
    check(
        "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\nroutes = [{ name = \"r\", upstream = \"x\" }]",
        &["2:36 routes[0].upstream: no upstream is named `x` | add an [[upstreams]] table of this name"],
    );
}

#[test]
fn an_upstream_without_a_name_may_be_the_one_that_is_meant() {
    check(
        "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n\
         upstreams = [{ nam = \"app\", endpoints = [\"a:1\"] }]\nroutes = [{ name = \"r\", upstream = \"app\" }]",
        &["2:16 upstreams[0].nam: unknown key | did you mean `name`?"],
    );
}

#[test]
fn splits() {
    check(
        &route("split = []"),
        &[
            "6:9 routes[0].split: the split has no sides | list upstreams with weights: [{ upstream = \"a\", weight = 90 }, { upstream = \"b\", weight = 10 }]",
        ],
    );
    check(
        &route("split = [{ upstream = \"app\", weight = 0 }, { upstream = \"nxt\", weight = 0 }]"),
        &[
            "6:9 routes[0].split: every side of the split has weight 0 | give at least one a weight above 0",
            "6:57 routes[0].split[1].upstream: no upstream is named `nxt` | did you mean `next`?",
        ],
    );
    check(
        &route("split = [{ upstream = \"app\" }, { upstream = \"app\" }]"),
        &[
            "6:45 routes[0].split[1].upstream: this upstream is in the split twice | add up its weights (the other is on line 6)",
        ],
    );
}

#[test]
fn conditions() {
    check(
        &route("respond = {}\nmatch = { path = \"/a\", path_prefix = \"/b\", path_regex = \"c\" }"),
        &[
            "7:38 routes[0].match.path_prefix: `path_prefix` beside `path` | a route has one kind of path: leave out the others, or make two routes",
            "7:57 routes[0].match.path_regex: `path_regex` beside `path` | a route has one kind of path: leave out the others, or make two routes",
        ],
    );
    check(
        &route("respond = {}\nmatch = { hosts = [], methods = [] }"),
        &[
            "7:19 routes[0].match.hosts: an empty list would match nothing | leave out `hosts` to match any host",
            "7:33 routes[0].match.methods: an empty list would match nothing | leave out `methods` to match any method",
        ],
    );
    check(
        &route(
            "respond = {}\nmatch = { hosts = [\"a.b\", \"A.b\"], methods = [\"GET\", \"get\", \"CONNECT\"] }",
        ),
        &[
            "7:27 routes[0].match.hosts[1]: it is in this list twice | leave one out (the other is on line 7)",
            "7:53 routes[0].match.methods[1]: \"get\" is not a method | case matters: \"GET\"",
            "7:60 routes[0].match.methods[2]: CONNECT never gets as far as routes | a reverse proxy offers no CONNECT: it answers 501",
        ],
    );
    check(
        &route("respond = {}\nmatch = { path_regex = \"(\" }"),
        &["7:24 routes[0].match.path_regex: `(` is not a regular expression | error: unclosed group"],
    );
    check(
        &route("respond = {}\nmatch = { host = \"a.b\", method = \"GET\", prefix = \"/x\" }"),
        &[
            "7:11 routes[0].match.host: unknown key | did you mean `hosts`?",
            "7:25 routes[0].match.method: unknown key | did you mean `methods`?",
            "7:41 routes[0].match.prefix: unknown key | did you mean `path_prefix`?",
        ],
    );
    check(
        &route("respond = {}\nhosts = [\"a.b\"]"),
        &["7:1 routes[0].hosts: unknown key | put it into [routes.match]"],
    );
}

#[test]
fn conditions_on_values() {
    check(
        &route(
            "respond = {}\nmatch.headers = { x-a = 2, x-b = { present = false }, x-c = { regex = \"[\" }, x-d = {} }",
        ),
        &[
            "7:25 routes[0].match.headers.x-a: expected a string, { present = true } or { regex = \"...\" }, found an integer | quote it: \"2\"",
            "7:46 routes[0].match.headers.x-b.present: absence is not a condition | give the requests that have it a route of their own; it is tried first",
            "7:71 routes[0].match.headers.x-c.regex: `[` is not a regular expression | error: unclosed character class",
            "7:84 routes[0].match.headers.x-d: neither `present` nor `regex` | write { present = true } or { regex = \"^a\" }",
        ],
    );
    check(
        &route("respond = {}\nmatch.headers = { \"x y\" = \"1\", host = \"a\", X-Z = \"1\", x-z = \"2\" }"),
        &[
            "7:19 routes[0].match.headers.\"x y\": \"x y\" is not a header's name | letters, digits and - _ and a few other signs; no spaces",
            "7:32 routes[0].match.headers.host: the host is no header here | use match.hosts",
            "7:55 routes[0].match.headers.x-z: `x-z` is there twice (case does not matter) | leave one out (the other is on line 7)",
        ],
    );
}

#[test]
fn redirects_and_responses() {
    check(
        &route("redirect = { status = 200, scheme = \"ftp\", host = \"http://x\", path = \"x\" }"),
        &[
            "6:23 routes[0].redirect.status: 200 can't be used here | one of 301, 302, 303, 307, 308",
            "6:37 routes[0].redirect.scheme: expected \"http\" or \"https\", found \"ftp\"",
            "6:51 routes[0].redirect.host: \"http://x\" is not a host | the host alone, without a scheme",
            "6:70 routes[0].redirect.path: \"x\" is not a path | begin it with `/`",
        ],
    );
    check(
        &route("redirect = { host = \"A.example\" }\nmatch = { hosts = [\"a.example\"] }"),
        &[
            "6:12 routes[0].redirect: the redirect points back at the request | change at least one of `scheme`, `host`, `path` and `path_prefix`",
        ],
    );
    check(
        &route("redirect = { path = \"/a\", path_prefix = \"/b\" }"),
        &[
            "6:41 routes[0].redirect.path_prefix: `path_prefix` beside `path` | `path` replaces the whole path, `path_prefix` its start: leave one out",
        ],
    );
    check(
        &route("respond = { status = 204, body = \"x\" }"),
        &["6:34 routes[0].respond.body: a 204 response has no body | leave out `body`"],
    );
    check(
        &route("respond = { status = 101 }"),
        &["6:22 routes[0].respond.status: 101 is out of range | from 200 to 599"],
    );
    check(
        &route("respond = {}\nrewrite = { host = \"x\" }\nrequest_headers = { remove = [\"x\"] }"),
        &[
            "7:11 routes[0].rewrite: `rewrite` has no effect beside `respond` | no request is forwarded: leave it out",
            "8:19 routes[0].request_headers: `request_headers` has no effect beside `respond` | no request is forwarded: leave it out",
        ],
    );
}

#[test]
fn rewrites() {
    check(
        &route("upstream = \"app\"\nrewrite = { path_prefix = \"/v2\" }\nmatch = { path = \"/x\" }"),
        &[
            "7:27 routes[0].rewrite.path_prefix: there is no prefix to replace | it replaces what match.path_prefix matched, which this route does not have",
        ],
    );
    check(
        &route("upstream = \"app\"\nrewrite = {}"),
        &[
            "7:11 routes[0].rewrite: there is nothing to rewrite | add `path_prefix` or `host`, or leave it out",
        ],
    );
    check(
        &route(
            "upstream = \"app\"\nrewrite = { path_prefix = \"/v2?x\", host = \"a b\" }\nmatch = { path_prefix = \"/x\" }",
        ),
        &[
            "7:27 routes[0].rewrite.path_prefix: '?' can't be in a path | the request's query is kept as it is",
            "7:43 routes[0].rewrite.host: \"a b\" is not a host | a name or an address, perhaps with a port",
        ],
    );
}

#[test]
fn fields_that_no_route_can_change() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
    ] {
        for edit in [
            format!("set = {{ {name} = \"x\" }}"),
            format!("add = {{ {name} = \"x\" }}"),
            format!("remove = [\"{name}\"]"),
        ] {
            for message in ["request_headers", "response_headers"] {
                let found =
                    super::errors_of(&route(&format!("upstream = \"app\"\n{message} = {{ {edit} }}")));
                let expected = format!("`{}` can't be changed by a route", name.to_ascii_lowercase());
                assert!(found.len() == 1 && found[0].contains(&expected), "{message} {edit}: {found:?}");
            }
        }
    }
    check(
        &route("upstream = \"app\"\nrequest_headers.set.host = \"x\""),
        &["7:21 routes[0].request_headers.set.host: `host` can't be changed by a route | use rewrite.host"],
    );
    check(&route("upstream = \"app\"\nresponse_headers.set.host = \"x\""), &[]);
    check(
        &route("upstream = \"app\"\nrequest_headers.set = { \"x:\" = \"a\", x-a = \" b\", x-b = \"c\\nd\" }"),
        &[
            "7:25 routes[0].request_headers.set.\"x:\": \"x:\" is not a header's name | without the colon: \"x\"",
            "7:43 routes[0].request_headers.set.x-a: the value has white space around it | the receiver would not see it; leave it out",
            "7:55 routes[0].request_headers.set.x-b: a control character can't be in a header's value | write it on one line",
        ],
    );
}

#[test]
fn routes_that_can_not_be_told_apart() {
    check(
        &routes(
            "[[routes]]\nname = \"a\"\nmatch = { path = \"/u/{id}\" }\nrespond = {}\n\
             [[routes]]\nname = \"b\"\nmatch = { path = \"/u/{name}\" }\nrespond = {}\n",
        ),
        &[
            "10:9 routes[1].match: routes \"a\" and \"b\" can never be told apart: on any host both ask for the same path (/u/{name}), methods, headers and query | change one or remove it (the other is on line 6)",
        ],
    );
    check(
        &routes("[[routes]]\nname = \"a\"\nrespond = {}\n[[routes]]\nname = \"a\"\nupstream = \"app\"\n"),
        &[
            "8:8 routes[1].name: the route name `a` is given twice | logs and metrics tell them apart by name: give it another (the other is on line 5)",
        ],
    );
}
