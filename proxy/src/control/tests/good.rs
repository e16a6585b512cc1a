//! Good configs become what they say.

use std::{path::PathBuf, time::Duration};

use super::{AROUND, good};
use crate::{
    control::{
        Compiled, Identities, Resolved,
        base::{Base, Nothing},
        compile,
        config::{AccessLog, Action, Config, Driver, LogFormat, Route, Target, Upstream},
    },
    limits,
    route::{PathPattern, RouteTable, ValuePattern, listener::Forwarded},
    upstream::Address,
};

#[test]
fn defaults() {
    let config = good(AROUND);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!((config.runtime.workers, config.runtime.driver), (cores, Driver::Auto));
    assert_eq!((config.admin.is_none(), &config.access_log), (true, &AccessLog::Off));
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.shutdown_drain, Duration::from_secs(30));
    let listener = &config.listeners[0];
    assert_eq!(listener.request_head_bytes, limits::REQUEST_HEAD_BYTES_DEFAULT);
    assert_eq!(listener.request_fields, limits::HEAD_FIELDS_MAX);
    assert_eq!((listener.request_body_bytes, listener.forwarded), (None, Forwarded::Replace));
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.pool.max_connections, 4096);
    assert_eq!((upstream.pool.max_age, upstream.timeouts.request), (None, None));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn values_that_are_written() {
    let config = good(
        "runtime = { workers = 3, pin_cores = false, driver = \"epoll\" }\n\
         access_log.path = \"/var/log/x.jsonl\"\n\
         [[listeners]]\nname = \"a\"\naddress = \"unix:/run/a.sock\"\nforwarded = \"append\"\n\
         limits = { request_body_bytes = 10, headers = 5 }\n\
         timeouts = { keep_alive = \"1m30s\", tunnel_idle = \"1.5s\" }\n\
         [[upstreams]]\nname = \"u\"\ndns_refresh = \"1m\"\n\
         endpoints = [\"[::1]:80\", \"unix:/x\", { address = \"App.Internal:81\", weight = 3 }]\n\
         pool = { max_age = \"1h\", max_requests = 7 }\ntimeouts.request = \"5s\"\n\
         [[routes]]\nname = \"r\"\nupstream = \"u\"\n",
    );
    assert_eq!((config.runtime.workers, config.runtime.pin_cores), (3, false));
    assert_eq!(config.access_log, AccessLog::File(PathBuf::from("/var/log/x.jsonl")));
    let listener = &config.listeners[0];
    assert_eq!(listener.address, Address::Unix("/run/a.sock".into()));
    assert_eq!((listener.request_body_bytes, listener.request_fields), (Some(10), 5));
    assert_eq!(listener.keep_alive_timeout, Duration::from_secs(90));
    assert_eq!(listener.tunnel_idle_timeout, Duration::from_millis(1500));
    let upstream = &config.upstreams[0];
    let targets: Vec<String> = upstream.endpoints.iter().map(|it| it.target.to_string()).collect();
    assert_eq!(targets, ["[::1]:80", "unix:/x", "app.internal:81"]);
    assert_eq!(upstream.endpoints[2].weight, 3);
    assert!(matches!(&upstream.endpoints[2].target, Target::Name(name) if name.port == 81));
    assert_eq!(
        (upstream.pool.max_age, upstream.pool.max_requests),
        (Some(Duration::from_secs(3600)), Some(7))
    );
    assert_eq!(upstream.timeouts.request, Some(Duration::from_secs(5)));
}

#[test]
fn routes_that_are_written() {
    let config = good(&format!(
        "{AROUND}\
         [[routes]]\nname = \"api\"\nsplit = [{{ upstream = \"app\", weight = 3 }}]\n\
         match = {{ hosts = [\"*.Example.com\"], path_prefix = \"/api/\", methods = [\"GET\", \"PURGE\"], \
         headers = {{ X-A = \"1\", x-b = {{ regex = \"^a\" }} }}, query = {{ q = {{ present = true }} }} }}\n\
         rewrite = {{ path_prefix = \"/v2\", host = \"Internal:81\" }}\n\
         request_headers = {{ remove = [\"x-c\"], set = {{ x-d = \"1\" }}, add = {{ x-e = [\"1\", \"2\"], x-f = \"3\" }} }}\n"
    ));
    let route = &config.routes[1];
    assert!(matches!(&route.action, Action::Split(choices) if **choices == [("app".into(), 3)]));
    let predicates = &route.predicates;
    assert_eq!(predicates.hosts[0].to_string(), "*.example.com");
    assert!(matches!(&predicates.path, PathPattern::Prefix(prefix) if &**prefix == "/api"));
    assert_eq!(predicates.methods.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["GET", "PURGE"]);
    assert!(matches!(&predicates.headers[..], [(_, ValuePattern::Exact(_)), (_, ValuePattern::Regex(_))]));
    assert!(matches!(&predicates.query[..], [(name, ValuePattern::Present)] if &**name == "q"));
    assert_eq!(route.rewrite_path_prefix.as_deref(), Some("/v2"));
    assert_eq!(route.rewrite_host.as_deref(), Some("internal:81"));
    let added: Vec<_> =
        route.request_headers.add.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(added, [("x-e", b"1" as &[u8]), ("x-e", b"2"), ("x-f", b"3")]);
    assert!(route.response_headers.is_empty());
}

#[test]
fn fields_keep_the_order_in_which_they_were_written() {
    let config =
        good(&format!("{AROUND}[routes.response_headers.set]\nzz = \"1\"\naa = \"2\"\nmm = \"3\"\n"));
    let names: Vec<_> = config.routes[0].response_headers.set.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["zz", "aa", "mm"]);
}

#[test]
fn warnings() {
    let config = good(
        "[[listeners]]\nname = \"a\"\naddress = \"127.0.0.1:80\"\n\
         [[upstreams]]\nname = \"u\"\nendpoints = [\"a:1\"]\n",
    );
    let found: Vec<String> =
        config.warnings.iter().map(|it| it.to_string().lines().next().unwrap_or("").to_owned()).collect();
    assert_eq!(
        found,
        [
            "test.toml:1:1: warning: routes: there are no routes: every request will be answered 404",
            "test.toml:5:8: warning: upstreams[0].name: no route uses the upstream `u`",
        ]
    );
}

#[test]
fn credentials_are_masked_and_nothing_else() {
    let config = good(&format!(
        "{AROUND}[routes.request_headers.set]\nauthorization = \"Basic abc\"\nx-api-key = \"k\"\nx-plain = \"p\"\n\
         [[routes]]\nname = \"b\"\nrespond = {{}}\n\
         match = {{ headers = {{ cookie = {{ regex = \"s3cret\" }}, x-auth-token = {{ present = true }} }}, query = {{ token = \"t0k\" }} }}\n"
    ));
    let shown = config.masked();
    let set = &shown["routes"][0]["request_headers"]["set"];
    assert_eq!(
        (&set["authorization"], &set["x-api-key"], &set["x-plain"]),
        (&"***".into(), &"***".into(), &"p".into())
    );
    let conditions = &shown["routes"][1]["match"];
    assert_eq!(conditions["headers"]["cookie"]["regex"], "***");
    assert_eq!(conditions["headers"]["x-auth-token"]["present"], true);
    assert_eq!(conditions["query"]["token"], "***");
    let text = shown.to_string();
    assert!(!text.contains("abc") && !text.contains("s3cret") && !text.contains("t0k"), "{text}");
}

/// What is shown as in force is a config itself, and means the same.
#[test]
fn what_is_in_force_reads_back() {
    for name in super::files::names() {
        let config = good(&super::files::text(&name));
        let read = Base::of_json(&config.masked(), "in force", &Nothing).map(|it| it.config);
        let read = read.unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(plain(&config), plain(&read), "{name}");
    }
}

fn plain(config: &Config) -> String {
    let Config { runtime, admin, log, access_log, shutdown_drain, listeners, rules, overload, .. } = config;
    let upstreams: Vec<_> =
        config.upstreams.iter().map(|it| Upstream { written: "".into(), ..(**it).clone() }).collect();
    let routes: Vec<_> =
        config.routes.iter().map(|it| Route { written: "".into(), ..(**it).clone() }).collect();
    let rules = rules.as_ref().map(|it| &it.rules);
    format!(
        "{runtime:?} {admin:?} {log:?} {access_log:?} {shutdown_drain:?} {listeners:#?} {upstreams:#?} {routes:#?} {rules:#?} {overload:?}"
    )
}

#[test]
fn what_keeps_its_name_keeps_its_identity() {
    let mut ids = Identities::new();
    let mut compiled = |text: &str, generation, before: Option<&Compiled>| {
        let compiled = compile(&good(text), &Resolved::new(), &mut ids, generation, before);
        compiled.unwrap_or_else(|errors| panic!("{errors:?}"))
    };
    let before = compiled(AROUND, 1, None);
    let changed = AROUND
        .replace("127.0.0.1:9000\"", "127.0.0.1:9001\", \"127.0.0.1:9000\"")
        .replace("\"web\"", "\"www\"");
    let after = compiled(&changed, 2, Some(&before));
    let (first, second) = (before.table(), after.table());
    let upstream = |table: &RouteTable| table.upstream(0).cloned().unwrap_or_else(|| panic!("no upstream"));
    assert_eq!((first.generation, second.generation), (1, 2));
    assert_eq!(upstream(first).id, upstream(second).id);
    assert_eq!(first.route_ids, second.route_ids);
    assert_ne!(first.listeners[0].id, second.listeners[0].id);
    let (old, new) = (&upstream(first).endpoints, &upstream(second).endpoints);
    assert_eq!((old[0].id, &*old[0].label), (new[1].id, "127.0.0.1:9000"));
    assert_ne!(old[0].id, new[0].id);
}

#[test]
fn summary_lines() {
    let config = good(AROUND);
    let lines = config.summary().map(|(what, is)| format!("{what}: {is}"));
    assert_eq!(lines, ["listeners: web on 127.0.0.1:8080", "upstreams: app (1 endpoint)", "routes: app"]);
}
