//! What selecting a route costs.
//!
//! `cargo bench --bench route` prints nanoseconds per selection for tables of several sizes. Time is noisy;
//! instructions are not. To count them, for 10 and 10,000 routes:
//!
//! ```text
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect='*select_all*' \
//!     BINARY count HOSTS
//! ```
//!
//! and divide what it says by the number of selections that the binary says.

use std::{hint::black_box, time::Instant};

use http::{HeaderMap, Method, StatusCode};
use ringlane::route::{
    Action, HostPattern, PathPattern, PatternError, Predicates, RequestView, Respond, Route, RouteTable,
};

/// The routes of every host, and a path that each of them serves.
const ROUTES: [(Kind, &str, &[Method], &str); 10] = [
    (PathPattern::exact, "/", &[], "/"),
    (PathPattern::exact, "/health", &[], "/health"),
    (PathPattern::exact, "/api/v1/search", &[Method::GET], "/api/v1/search"),
    (PathPattern::exact, "/api/v1/search", &[Method::POST], "/api/v1/search"),
    (PathPattern::exact, "/api/v1/users/{id}", &[], "/api/v1/users/1234567"),
    (PathPattern::exact, "/api/v1/users/{id}/posts", &[], "/api/v1/users/1234567/posts"),
    (PathPattern::prefix, "/api/v1", &[], "/api/v1/orders/2024/17"),
    (PathPattern::prefix, "/api/v2/reports", &[], "/api/v2/reports/today"),
    (PathPattern::prefix, "/static", &[], "/static/css/site.css"),
    (PathPattern::prefix, "/", &[], "/about-us"),
];

type Kind = fn(&str) -> Result<PathPattern, PatternError>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["count", hosts] => count(hosts.parse().unwrap_or(1)),
        // Not under `cargo test`, which runs benches without this.
        [.., "--bench"] => measure(),
        _ => {}
    }
}

/// Ten routes for each host, whose names are like those of a company's services.
fn table(hosts: usize) -> RouteTable {
    let routes = (0..hosts)
        .flat_map(|host| ROUTES.iter().map(move |route| (host, route)))
        .map(|(host, (kind, path, methods, _))| {
            route(Predicates {
                hosts: HostPattern::parse(&host_name(host)).into_iter().collect(),
                path: kind(path).unwrap_or_default(),
                methods: methods.to_vec().into(),
                ..Predicates::default()
            })
        })
        .collect();
    RouteTable::build(1, routes, Vec::new(), Vec::new()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// One host, all kinds of path in equal parts.
fn flat_table(routes: usize) -> RouteTable {
    let routes = (0..routes)
        .map(|i| {
            let path = match i % 3 {
                0 => PathPattern::exact(&format!("/part-{i}/index")),
                1 => PathPattern::exact(&format!("/part-{i}/{{id}}")),
                _ => PathPattern::prefix(&format!("/part-{i}/deep")),
            };
            route(Predicates { path: path.unwrap_or_default(), ..Predicates::default() })
        })
        .collect();
    RouteTable::build(1, routes, Vec::new(), Vec::new()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn route(predicates: Predicates) -> Route {
    Route {
        id: 0,
        name: "route".into(),
        predicates,
        action: Action::Respond(Respond {
            status: StatusCode::OK,
            content_type: "".into(),
            body: Default::default(),
        }),
        rewrite_path_prefix: None,
        rewrite_host: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
    }
}

fn host_name(host: usize) -> String {
    format!("service-{host:04}.example.com")
}

/// Requests for random hosts and all paths, as many as make the caches work.
fn requests(hosts: usize) -> Vec<(String, &'static str)> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize
    };
    (0..20_000)
        .map(|_| {
            (host_name(random() % hosts), ROUTES.get(random() % ROUTES.len()).map_or("/", |route| route.3))
        })
        .collect()
}

fn flat_requests(routes: usize) -> Vec<(String, String)> {
    let path = |i| match i % 3 {
        0 => format!("/part-{i}/index"),
        1 => format!("/part-{i}/4711"),
        _ => format!("/part-{i}/deep/down"),
    };
    (0..20_000).map(|i| ("a.example.com".to_owned(), path(i * 7919 % routes))).collect()
}

#[inline(never)]
fn select_all(table: &RouteTable, requests: &[(String, impl AsRef<str>)], headers: &HeaderMap) -> usize {
    let one = |(host, path): &(String, _)| {
        let request =
            RequestView { method: &Method::GET, host, path: AsRef::as_ref(path), query: None, headers };
        usize::from(black_box(table.select(&request)).is_some())
    };
    requests.iter().map(one).sum()
}

/// Nanoseconds per selection: the best of several rounds, which is the least disturbed, and the median.
fn time(name: &str, table: &RouteTable, requests: &[(String, impl AsRef<str>)]) {
    let headers = HeaderMap::new();
    let mut rounds: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(select_all(table, requests, &headers), requests.len());
            start.elapsed().as_nanos() as f64 / requests.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:45} best {:6.1} ns   median {:6.1} ns", rounds[0], rounds[rounds.len() / 2]);
}

/// How long a reload takes to compile its routes, and the table.
fn built(name: &str, build: impl FnOnce() -> RouteTable) -> RouteTable {
    let start = Instant::now();
    let table = build();
    println!("{name:45} built in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    table
}

fn measure() {
    built("1000 hosts x 10 routes", || table(1_000));
    built("1 host x 10000 routes", || flat_table(10_000));
    for hosts in [1, 100, 1_000] {
        time(&format!("{hosts} hosts x 10 routes"), &table(hosts), &requests(hosts));
    }
    // The same requests over and over, as a proxy with a few busy hosts sees them.
    let busy: Vec<_> = requests(1_000).into_iter().take(16).cycle().take(20_000).collect();
    time("1000 hosts x 10 routes, 16 busy", &table(1_000), &busy);
    for routes in [12, 10_000] {
        time(&format!("1 host x {routes} routes"), &flat_table(routes), &flat_requests(routes));
    }
}

fn count(hosts: usize) {
    let (table, requests, headers) = (table(hosts), requests(hosts), HeaderMap::new());
    let found = select_all(&table, &requests, &headers);
    println!("{found} selections among {} routes", table.routes.len());
}
