//! Route tables of ours, for all that needs one, and selection from tables of many hosts.

use std::{hint::black_box, sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode};
use ringlane::{
    route::{
        Action, Built, HostPattern, Listener, PathPattern, PatternError, Predicates, RequestView, Respond,
        Route, RouteTable, listener::Forwarded,
    },
    upstream::{Address, Balance, Endpoint, PoolLimits, Upstream, UpstreamTimeouts},
};

use crate::case::{Case, OURS};

type Kind = fn(&str) -> Result<PathPattern, PatternError>;

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
const REQUESTS: usize = 4096;

/// The same numbers in every run.
pub fn random() -> impl FnMut() -> usize {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize
    }
}

/// An action where it does not matter which.
pub fn respond() -> Action {
    Action::Respond(Respond { status: StatusCode::OK, content_type: "".into(), body: Default::default() })
}

/// A route that changes nothing.
pub fn route(predicates: Predicates, action: Action) -> Route {
    Route {
        id: 0,
        name: "route".into(),
        predicates,
        action,
        rewrite_path_prefix: None,
        rewrite_host: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        hedge: None,
        limits: None,
        priority: Default::default(),
    }
}

/// An address of an endpoint.
pub struct At(Address);

impl From<std::net::SocketAddr> for At {
    fn from(address: std::net::SocketAddr) -> At {
        At(Address::Tcp(address))
    }
}

/// An upstream with the bounds that a config without any gives.
pub fn upstream(id: u32, addresses: &[At]) -> Arc<Upstream> {
    let minute = Duration::from_secs(60);
    let endpoint = |(i, At(address)): (usize, &At)| Endpoint {
        id: id * 16 + i as u32,
        address: address.clone(),
        label: "endpoint".into(),
        weight: 1,
        health: Default::default(),
        backup: false,
    };
    Arc::new(Upstream {
        id,
        name: format!("upstream-{id}").into(),
        balance: Balance::RoundRobin,
        hash: None,
        sticky: None,
        endpoints: addresses.iter().enumerate().map(endpoint).collect(),
        pool: PoolLimits {
            max_connections: 1024,
            max_idle: 256,
            max_pending: 1024,
            idle_timeout: minute,
            max_age: None,
            max_requests: None,
        },
        timeouts: UpstreamTimeouts {
            queue: minute,
            connect: minute,
            response_head: minute,
            response_body_idle: minute,
            request: None,
        },
        retries: None,
        deadline_header: None,
        health: None,
        breaker: None,
        proxy_protocol: None,
    })
}

/// A table with one listener.
pub fn table(generation: u64, routes: Vec<Route>, upstreams: Vec<Arc<Upstream>>) -> Arc<RouteTable> {
    let minute = Duration::from_secs(60);
    let listener = Listener {
        id: 0,
        name: "web".into(),
        address: Address::Tcp(([127, 0, 0, 1], 0).into()),
        max_connections: 1024,
        request_head_bytes: ringlane::limits::REQUEST_HEAD_BYTES_DEFAULT,
        request_fields: ringlane::limits::HEAD_FIELDS_MAX,
        request_body_bytes: None,
        limits: Default::default(),
        request_head_timeout: minute,
        request_body_idle_timeout: minute,
        keep_alive_timeout: minute,
        tunnel_idle_timeout: minute,
        response_write_timeout: minute,
        forwarded: Forwarded::Replace,
        provenance: Default::default(),
    };
    let built = Built::new(generation, routes, upstreams, vec![Arc::new(listener)]);
    Arc::clone(built.unwrap_or_else(|errors| panic!("{errors:?}")).table())
}

fn host(i: usize) -> String {
    format!("service-{i:04}.example.com")
}

/// Ten routes for each of so many hosts, and nothing but the selection: what the target for tables of many hosts is
/// about.
pub fn by_host_cases() -> impl Iterator<Item = Case> {
    [1, 100, 1_000].into_iter().map(|hosts| {
        let size = format!("{hosts} host{} x 10 routes", if hosts == 1 { "" } else { "s" });
        Case::new(("route", size, OURS), REQUESTS as u64, move || {
            let (table, requests, headers) = (by_host(hosts), by_host_requests(hosts), HeaderMap::new());
            let mut at = 0;
            Box::new(move |operations| {
                for _ in 0..operations {
                    at = (at + 1) % REQUESTS;
                    let (host, path) = &requests[at];
                    let request =
                        RequestView { method: &Method::GET, host, path, query: None, headers: &headers };
                    assert!(black_box(table.select(&request)).is_some());
                }
            })
        })
    })
}

fn by_host(hosts: usize) -> Arc<RouteTable> {
    let routes = (0..hosts).flat_map(|i| ROUTES.iter().map(move |route| (i, route)));
    let routes = routes.map(|(i, (kind, path, methods, _))| {
        let predicates = Predicates {
            hosts: HostPattern::parse(&host(i)).into_iter().collect(),
            path: kind(path).unwrap_or_default(),
            methods: methods.to_vec().into(),
            ..Predicates::default()
        };
        route(predicates, respond())
    });
    table(1, routes.collect(), Vec::new())
}

fn by_host_requests(hosts: usize) -> Vec<(String, &'static str)> {
    let mut random = random();
    (0..REQUESTS).map(|_| (host(random() % hosts), ROUTES[random() % ROUTES.len()].3)).collect()
}
