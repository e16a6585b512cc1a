//! Selecting a backend for a path, by five designs over the same routes and the same requests. Half of them ask for a
//! route's own path, half for something below it; with few routes also the former alone, which is the best case of the
//! designs that keep a map of paths.
//!
//! Ours looks whether a newer table is there, selects the route, and picks the endpoint: what a worker does.

use std::{
    cell::RefCell,
    hint::black_box,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use ringlane::{
    control::publish::Published,
    route::{Action, PathPattern, Predicates, RequestView, RouteTable},
    upstream::round_robin::RoundRobin,
};

use crate::{
    case::{Case, OURS},
    old::routers::{Locks, Scanned, Sharded, Snapshot},
    tables,
};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// An IPv4 address.
    pub address: u32,
    /// A port.
    pub port: u16,
}

/// A way to keep routes.
pub trait Design: Send + Sync + 'static {
    /// How one thread reads it.
    type Reader: Reader;
    /// With `count` routes.
    fn build(count: usize) -> Arc<Self>;
    /// For one thread.
    fn reader(self: &Arc<Self>) -> Self::Reader;
    /// Publishes one changed route, as the design does that.
    fn change(&self, count: usize, round: usize);
}

/// One thread's access.
pub trait Reader {
    /// The backend for a request.
    fn select(&mut self, path: &str) -> Option<Backend>;
}

const KINDS: [&str; 10] =
    ["users", "orders", "items", "search", "carts", "invoices", "images", "reports", "sessions", "events"];
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Requests that are asked over and over.
const REQUESTS: usize = 4096;

/// The path of route `i`.
pub fn path(i: usize) -> String {
    format!("/service-{:04}/{}", i / KINDS.len(), KINDS[i % KINDS.len()])
}

/// The two backends of route `i`, which it shares with the other routes of its service.
pub fn backends(i: usize) -> [Backend; 2] {
    let first = 0x0a00_0000 + 2 * (i / KINDS.len()) as u32;
    [Backend { address: first, port: 8080 }, Backend { address: first + 1, port: 8080 }]
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A route's own path, which a map finds at once.
    Exact,
    /// In turns that and something below it.
    Mixed,
}

fn requests(count: usize, asked: Asked) -> Vec<String> {
    let mut random = tables::random();
    let below = |i| asked == Asked::Mixed && i % 2 == 1;
    (0..REQUESTS).map(|i| path(random() % count) + if below(i) { "/1234567/details" } else { "" }).collect()
}

/// Our table, published and adopted as a worker does it.
pub struct Ours {
    published: Arc<Published>,
}

/// A worker's view: its own reference to the table, its own pickers.
pub struct Worker {
    published: Arc<Published>,
    table: Arc<RouteTable>,
    pickers: Box<[RefCell<RoundRobin>]>,
    headers: HeaderMap,
}

fn table(generation: u64, count: usize) -> Arc<RouteTable> {
    let services = count.div_ceil(KINDS.len());
    let upstreams = (0..services).map(|service| {
        let address = |backend: Backend| SocketAddr::from((backend.address.to_be_bytes(), backend.port));
        tables::upstream(service as u32, &backends(service * KINDS.len()).map(|it| address(it).into()))
    });
    let routes = (0..count).map(|i| {
        let path = PathPattern::prefix(&path(i)).unwrap_or_default();
        tables::route(Predicates { path, ..Predicates::default() }, Action::Upstream(i / KINDS.len()))
    });
    tables::table(generation, routes.collect(), upstreams.collect())
}

impl Design for Ours {
    type Reader = Worker;

    fn build(count: usize) -> Arc<Self> {
        Arc::new(Ours { published: Published::new(table(1, count)) })
    }

    fn reader(self: &Arc<Self>) -> Worker {
        let mut worker = Worker {
            published: Arc::clone(&self.published),
            table: self.published.load(),
            pickers: Box::default(),
            headers: HeaderMap::new(),
        };
        worker.adopt();
        worker
    }

    fn change(&self, count: usize, _: usize) {
        self.published.publish(table(self.published.generation() + 1, count));
    }
}

impl Worker {
    #[cold]
    fn adopt(&mut self) {
        self.table = self.published.load();
        let picker = |upstream: &Arc<ringlane::upstream::Upstream>| {
            RoundRobin::over(upstream.endpoints.iter().map(|it| (it.id, it.weight)), 0)
        };
        self.pickers = self.table.upstreams.iter().flatten().map(|it| RefCell::new(picker(it))).collect();
    }
}

impl Reader for Worker {
    fn select(&mut self, path: &str) -> Option<Backend> {
        if self.published.generation() != self.table.generation {
            self.adopt();
        }
        let request = RequestView {
            method: &Method::GET,
            host: "shop.example.com",
            path,
            query: None,
            headers: &self.headers,
        };
        let Action::Upstream(upstream) = self.table.select(&request)?.route.action else { return None };
        let endpoint = self.pickers.get(upstream)?.borrow_mut().pick(|_| false)?;
        match self.table.upstream(upstream)?.endpoints.get(endpoint)?.address {
            ringlane::upstream::Address::Tcp(SocketAddr::V4(address)) => {
                Some(Backend { address: (*address.ip()).into(), port: address.port() })
            }
            _ => None,
        }
    }
}

fn case<D: Design>((count, asked): (usize, Asked), design: &'static str) -> Case {
    // What looks at every route is counted over fewer requests.
    let counted = if design.contains("scan") && count > 100 { 256 } else { REQUESTS as u64 };
    let of = if asked == Asked::Exact { ", own paths" } else { "" };
    Case::new(("route", format!("{count} routes{of}"), design), counted, move || {
        let mut reader = D::build(count).reader();
        let requests = requests(count, asked);
        for request in requests.iter().take(64) {
            assert!(reader.select(request).is_some_and(|found| found.port == 8080), "{request}");
        }
        let mut at = 0;
        Box::new(move |operations| {
            for _ in 0..operations {
                at = (at + 1) % REQUESTS;
                black_box(reader.select(black_box(&requests[at])));
            }
        })
    })
}

/// All designs at all sizes.
pub fn cases() -> Vec<Case> {
    let mixed = SIZES.into_iter().map(|count| (count, Asked::Mixed));
    let sizes = [(10, Asked::Exact)].into_iter().chain(mixed).flat_map(|size| {
        [
            case::<Locks>(size, "three locks and LRU"),
            case::<Sharded>(size, "DashMap and scan"),
            case::<Scanned>(size, "vector scan"),
            case::<Snapshot>(size, "ArcSwap and matchit"),
            case::<Ours>(size, OURS),
        ]
    });
    sizes.chain(tables::by_host_cases()).collect()
}

/// Routes in the contended measurement.
const CONTENDED_ROUTES: usize = 1_000;
/// Between two changes: 50 a second.
const CHANGE_EVERY: Duration = Duration::from_millis(20);

/// Nanoseconds of one selection with two threads that select and a third that publishes 50 changes a second, by each
/// design that can change, and how many changes were published in `length`.
pub fn contended(length: Duration) -> Vec<(&'static str, f64, u64)> {
    vec![
        under_change::<Locks>("three locks and LRU", length),
        under_change::<Sharded>("DashMap and scan", length),
        under_change::<Snapshot>("ArcSwap and matchit", length),
        under_change::<Ours>(OURS, length),
    ]
}

fn under_change<D: Design>(name: &'static str, length: Duration) -> (&'static str, f64, u64) {
    let design = D::build(CONTENDED_ROUTES);
    let (stop, selected) = (AtomicBool::new(false), AtomicU64::new(0));
    let changes = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = design.reader();
                let requests = requests(CONTENDED_ROUTES, Asked::Mixed);
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    for request in requests.iter().take(256) {
                        black_box(reader.select(request));
                    }
                    count += 256;
                }
                selected.fetch_add(count, Ordering::Relaxed);
            });
        }
        let started = Instant::now();
        let mut changes = 0;
        while started.elapsed() < length {
            design.change(CONTENDED_ROUTES, changes as usize);
            changes += 1;
            let next = CHANGE_EVERY * changes as u32;
            thread::sleep(next.saturating_sub(started.elapsed()));
        }
        stop.store(true, Ordering::Relaxed);
        changes
    });
    let nanoseconds = 2.0 * length.as_nanos() as f64 / selected.into_inner() as f64;
    (name, nanoseconds, changes)
}
