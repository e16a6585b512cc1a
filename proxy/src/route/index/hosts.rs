//! From a request's host to the paths that are routed there.

use std::{fmt, sync::Arc};

use hashbrown::HashTable;

use super::{hash::hash, leaf::Leaves, paths::Paths};
use crate::route::host::{HostName, HostPattern};

/// What is found at a host: the index of its paths, which hosts that are set up alike share, and its own leaves.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// From path to slot.
    pub(super) paths: Arc<Paths>,
    /// From slot to routes.
    pub(super) leaves: Leaves,
}

/// Exact hosts, wildcard hosts, and what holds for any host.
#[derive(Clone, Default)]
pub(super) struct Hosts {
    exact: Names,
    /// By what follows the `*`, leading dot included.
    wildcard: Names,
    /// Bytes of the longest key of `wildcard`, which bounds how many suffixes of a host are looked up.
    wildcard_bytes_max: usize,
    any: Option<Site>,
}

impl Hosts {
    /// What is at one host, `None` for the routes without hosts.
    pub(super) fn get(&self, host: Option<&HostPattern>) -> Option<&Site> {
        match host {
            Some(HostPattern::Exact(name)) => self.exact.get(name.as_bytes()),
            Some(HostPattern::Wildcard(suffix)) => self.wildcard.get(suffix.as_bytes()),
            None => self.any.as_ref(),
        }
    }

    /// Puts something at one host, or takes away what is there.
    pub(super) fn set(&mut self, host: Option<&HostPattern>, site: Option<Site>) {
        match host {
            Some(HostPattern::Exact(name)) => self.exact.set(name.as_bytes(), site),
            Some(HostPattern::Wildcard(suffix)) => {
                let there = site.is_some();
                self.wildcard.set(suffix.as_bytes(), site);
                if there {
                    self.wildcard_bytes_max = self.wildcard_bytes_max.max(suffix.len());
                } else if suffix.len() == self.wildcard_bytes_max {
                    self.wildcard_bytes_max = self.wildcard.longest();
                }
            }
            None => self.any = site,
        }
    }

    /// Calls `find` with the paths of each pattern that `host` meets, in order of precedence, until it finds something.
    #[inline]
    pub(super) fn find<'t, T>(&'t self, host: &str, find: impl Fn(&'t Site) -> Option<T>) -> Option<T> {
        // Keys are normalised. A host that equals one as it came is so too, which saves a look at each of its bytes.
        if let Some(site) = self.exact.get(host.as_bytes()) {
            return find(site).or_else(|| self.find_inexact(host.as_bytes(), &find));
        }
        let name = HostName::new(host);
        if name.differs(host)
            && let Some(site) = self.exact.get(name.as_bytes())
            && let Some(found) = find(site)
        {
            return Some(found);
        }
        self.find_inexact(name.as_bytes(), &find)
    }

    /// What holds for a normalised host besides its own paths.
    fn find_inexact<'t, T>(&'t self, host: &[u8], find: &impl Fn(&'t Site) -> Option<T>) -> Option<T> {
        if self.wildcard.count > 0
            && let Some(found) = self.find_wildcard(host, find)
        {
            return Some(found);
        }
        find(self.any.as_ref()?)
    }

    fn find_wildcard<'t, T>(&'t self, host: &[u8], find: &impl Fn(&'t Site) -> Option<T>) -> Option<T> {
        // A wildcard wants something before the dot, and a longer suffix than the longest key has no equal.
        let start = host.len().saturating_sub(self.wildcard_bytes_max).max(1);
        let tail = host.get(start..)?;
        memchr::memchr_iter(b'.', tail).find_map(|dot| find(self.wildcard.get(tail.get(dot..)?)?))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("exact", &self.exact.count)
            .field("wildcard", &self.wildcard.count)
            .field("any", &self.any)
            .finish()
    }
}

/// Parts that a map of names is cut into. One change copies one of them, and tables share the others. As many as leave
/// what finds them in the caches.
const SHARDS: usize = 64;

/// A map from names to sites.
#[derive(Clone)]
struct Names {
    count: usize,
    shards: [Arc<HashTable<Named>>; SHARDS],
}

#[derive(Clone)]
struct Named {
    name: Box<[u8]>,
    site: Site,
}

impl Default for Names {
    fn default() -> Self {
        let empty = Arc::new(HashTable::new());
        Self { count: 0, shards: std::array::from_fn(|_| Arc::clone(&empty)) }
    }
}

impl Names {
    /// Which shard a hash is in. The table inside uses the low bits, and the highest seven.
    fn shard(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    #[inline]
    fn get(&self, name: &[u8]) -> Option<&Site> {
        if self.count == 0 {
            return None;
        }
        let hash = hash(name);
        self.shards[Self::shard(hash)].find(hash, |it| *it.name == *name).map(|it| &it.site)
    }

    fn set(&mut self, name: &[u8], site: Option<Site>) {
        let hash = hash(name);
        let shard = Arc::make_mut(&mut self.shards[Self::shard(hash)]);
        match (shard.find_entry(hash, |it| *it.name == *name), site) {
            (Ok(mut there), Some(site)) => there.get_mut().site = site,
            (Ok(there), None) => {
                there.remove();
                self.count -= 1;
            }
            (Err(absent), Some(site)) => {
                let named = Named { name: name.into(), site };
                absent.into_table().insert_unique(hash, named, |it| self::hash(&it.name));
                self.count += 1;
            }
            (Err(_), None) => {}
        }
    }

    /// Bytes of the longest name.
    fn longest(&self) -> usize {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|it| it.name.len()).max().unwrap_or(0)
    }
}
