//! Ways to find the backend for a path: locks and a cache, a sharded map, a vector, a snapshot with a radix tree.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
    sync::{Arc, Mutex, RwLock},
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use lru::LruCache;

use crate::route::{Backend, Design, Reader, backends, path};

/// Entries of the cache: more than there are requests to remember, so that it is at its best.
const CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(64 * 1024).unwrap();

type Key = u64;

fn key(path: &str) -> Key {
    // FNV-1a, which needs no state.
    path.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A route of the designs that keep routes in a map by the hash of their path.
#[derive(Clone)]
struct Route {
    pattern: Arc<str>,
    backends: Vec<Backend>,
}

type Routes = HashMap<Key, Route>;
type Health = HashMap<u32, bool>;

fn routes(count: usize) -> Routes {
    (0..count)
        .map(|i| (key(&path(i)), Route { pattern: path(i).into(), backends: backends(i).into() }))
        .collect()
}

fn health(count: usize) -> Health {
    (0..count).flat_map(backends).map(|backend| (backend.address, true)).collect()
}

/// Every path as it is, and everything below it. The root would need a catch-all of its own.
fn tree(routes: &Routes) -> matchit::Router<Key> {
    let mut tree = matchit::Router::new();
    for (key, route) in routes {
        for pattern in [route.pattern.to_string(), format!("{}/{{*rest}}", route.pattern)] {
            tree.insert(pattern, *key).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    tree
}

/// The first healthy backend from where the flow's hash points.
fn choose(route: &Route, flow: Key, health: &Health) -> Option<(Backend, Arc<str>)> {
    let count = route.backends.len();
    let start = flow as usize % count.max(1);
    let healthy = |backend: &&Backend| health.get(&backend.address).copied().unwrap_or(true);
    let backend = route.backends.iter().cycle().skip(start).take(count).find(healthy)?;
    Some((*backend, Arc::clone(&route.pattern)))
}

/// Three read-write locks (routes, radix tree, health) and an LRU cache in front of them.
pub struct Locks {
    routes: RwLock<Routes>,
    tree: RwLock<matchit::Router<Key>>,
    health: RwLock<Health>,
    /// To look something up moves it to the front: a write.
    cache: Mutex<LruCache<Key, Key>>,
}

fn poisoned<T, E>(_: E) -> T {
    panic!("another thread has panicked")
}

impl Locks {
    fn route_key(&self, path: &str, asked: Key) -> Option<Key> {
        if let Some(found) = self.cache.lock().unwrap_or_else(poisoned).get(&asked) {
            return Some(*found);
        }
        let found = match self.routes.read().unwrap_or_else(poisoned).contains_key(&asked) {
            true => asked,
            false => *self.tree.read().unwrap_or_else(poisoned).at(path).ok()?.value,
        };
        self.cache.lock().unwrap_or_else(poisoned).put(asked, found);
        Some(found)
    }
}

impl Design for Locks {
    type Reader = Arc<Self>;

    fn build(count: usize) -> Arc<Self> {
        let routes = routes(count);
        Arc::new(Locks {
            tree: RwLock::new(tree(&routes)),
            routes: RwLock::new(routes),
            health: RwLock::new(health(count)),
            cache: Mutex::new(LruCache::new(CACHE_ENTRIES)),
        })
    }

    fn reader(self: &Arc<Self>) -> Self::Reader {
        Arc::clone(self)
    }

    /// The tree takes no changes: a new one is made from what was read, and swapped in under the lock.
    fn change(&self, count: usize, round: usize) {
        let i = round % count;
        let route = Route { pattern: path(i).into(), backends: backends(i + round).into() };
        self.routes.write().unwrap_or_else(poisoned).insert(key(&path(i)), route);
        let new = tree(&self.routes.read().unwrap_or_else(poisoned));
        *self.tree.write().unwrap_or_else(poisoned) = new;
        self.cache.lock().unwrap_or_else(poisoned).clear();
    }
}

impl Reader for Arc<Locks> {
    fn select(&mut self, path: &str) -> Option<Backend> {
        let asked = key(path);
        let found = self.route_key(path, asked)?;
        let routes = self.routes.read().unwrap_or_else(poisoned);
        let health = self.health.read().unwrap_or_else(poisoned);
        choose(routes.get(&found)?, asked, &health).map(|(backend, _)| backend)
    }
}

/// A sharded map by prefix. A path that is not a key itself is looked for among all of them.
pub struct Sharded(DashMap<String, Vec<Backend>>);

impl Design for Sharded {
    type Reader = Arc<Self>;

    fn build(count: usize) -> Arc<Self> {
        Arc::new(Sharded((0..count).map(|i| (path(i), backends(i).into())).collect()))
    }

    fn reader(self: &Arc<Self>) -> Self::Reader {
        Arc::clone(self)
    }

    fn change(&self, count: usize, round: usize) {
        self.0.insert(path(round % count), backends(round).into());
    }
}

impl Reader for Arc<Sharded> {
    fn select(&mut self, path: &str) -> Option<Backend> {
        if let Some(found) = self.0.get(path) {
            return pick(&found, path);
        }
        let below = self.0.iter().filter(|entry| is_below(path, entry.key()));
        below.max_by_key(|entry| entry.key().len()).and_then(|entry| pick(&entry, path))
    }
}

/// An immutable vector, longest prefix first, made at the start. It never changes.
pub struct Scanned(Vec<(String, Vec<Backend>)>);

impl Design for Scanned {
    type Reader = Arc<Self>;

    fn build(count: usize) -> Arc<Self> {
        let mut routes: Vec<_> = (0..count).map(|i| (path(i), backends(i).into())).collect();
        routes.sort_by_key(|(prefix, _): &(String, _)| std::cmp::Reverse(prefix.len()));
        Arc::new(Scanned(routes))
    }

    fn reader(self: &Arc<Self>) -> Self::Reader {
        Arc::clone(self)
    }

    fn change(&self, _: usize, _: usize) {}
}

impl Reader for Arc<Scanned> {
    fn select(&mut self, path: &str) -> Option<Backend> {
        self.0
            .iter()
            .find(|(prefix, _)| is_below(path, prefix))
            .and_then(|(_, backends)| pick(backends, path))
    }
}

/// One snapshot of routes and radix tree, one of health, each loaded once per selection.
pub struct Snapshot {
    current: ArcSwap<Current>,
    health: ArcSwap<Health>,
}

/// What one load gives.
struct Current {
    routes: Routes,
    tree: matchit::Router<Key>,
}

impl Current {
    fn new(routes: Routes) -> Current {
        Current { tree: tree(&routes), routes }
    }

    fn find(&self, path: &str, asked: Key) -> Option<&Route> {
        self.routes.get(&asked).or_else(|| self.routes.get(self.tree.at(path).ok()?.value))
    }
}

impl Design for Snapshot {
    type Reader = Arc<Self>;

    fn build(count: usize) -> Arc<Self> {
        Arc::new(Snapshot {
            current: ArcSwap::from_pointee(Current::new(routes(count))),
            health: ArcSwap::from_pointee(health(count)),
        })
    }

    fn reader(self: &Arc<Self>) -> Self::Reader {
        Arc::clone(self)
    }

    /// Clone, modify, swap.
    fn change(&self, count: usize, round: usize) {
        let mut routes = self.current.load().routes.clone();
        let i = round % count;
        routes.insert(key(&path(i)), Route { pattern: path(i).into(), backends: backends(i + round).into() });
        self.current.store(Arc::new(Current::new(routes)));
    }
}

impl Reader for Arc<Snapshot> {
    fn select(&mut self, path: &str) -> Option<Backend> {
        let asked = key(path);
        let current = self.current.load();
        let route = current.find(path, asked)?;
        choose(route, asked, &self.health.load()).map(|(backend, _)| backend)
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pick(backends: &[Backend], path: &str) -> Option<Backend> {
    let mut hash = DefaultHasher::new();
    path.hash(&mut hash);
    backends.get(hash.finish() as usize % backends.len().max(1)).copied()
}
