//! From a request's host to the paths that are routed there.

use std::fmt;

use super::hash::ByteMap;
use crate::route::host::{HostName, HostPattern};

/// What is found at a host: the index of its paths, and where its leaves are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// Index into the list of path indexes.
    pub(super) paths: u32,
    /// Where its leaves begin; see [`super::leaf::Search::base`].
    pub(super) base: u32,
}

/// Exact hosts, wildcard hosts, and what holds for any host.
#[derive(Default)]
pub(super) struct Hosts {
    exact: ByteMap<Site>,
    /// By what follows the `*`, leading dot included.
    wildcard: ByteMap<Site>,
    /// Bytes of the longest key of `wildcard`, which bounds how many suffixes of a host are looked up.
    wildcard_bytes_max: usize,
    any: Option<Site>,
}

impl Hosts {
    /// Adds one host, `None` for the routes without hosts.
    pub(super) fn insert(&mut self, host: Option<&HostPattern>, site: Site) {
        match host {
            Some(HostPattern::Exact(name)) => {
                self.exact.insert(name.as_bytes().into(), site);
            }
            Some(HostPattern::Wildcard(suffix)) => {
                self.wildcard_bytes_max = self.wildcard_bytes_max.max(suffix.len());
                self.wildcard.insert(suffix.as_bytes().into(), site);
            }
            None => self.any = Some(site),
        }
    }

    /// Calls `find` with the paths of each pattern that `host` meets, in order of precedence, until it finds something.
    #[inline]
    pub(super) fn find<T>(&self, host: &str, find: impl Fn(Site) -> Option<T>) -> Option<T> {
        // Keys are normalised. A host that equals one as it came is so too, which saves a look at each of its bytes.
        if let Some(site) = self.exact.get(host.as_bytes()) {
            return find(*site).or_else(|| self.find_inexact(host.as_bytes(), &find));
        }
        let name = HostName::new(host);
        if name.differs(host)
            && let Some(site) = self.exact.get(name.as_bytes())
            && let Some(found) = find(*site)
        {
            return Some(found);
        }
        self.find_inexact(name.as_bytes(), &find)
    }

    /// What holds for a normalised host besides its own paths.
    fn find_inexact<T>(&self, host: &[u8], find: &impl Fn(Site) -> Option<T>) -> Option<T> {
        if !self.wildcard.is_empty()
            && let Some(found) = self.find_wildcard(host, find)
        {
            return Some(found);
        }
        find(self.any?)
    }

    fn find_wildcard<T>(&self, host: &[u8], find: &impl Fn(Site) -> Option<T>) -> Option<T> {
        // A wildcard wants something before the dot, and a longer suffix than the longest key has no equal.
        let start = host.len().saturating_sub(self.wildcard_bytes_max).max(1);
        let tail = host.get(start..)?;
        memchr::memchr_iter(b'.', tail).find_map(|dot| find(*self.wildcard.get(tail.get(dot..)?)?))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("exact", &self.exact.len())
            .field("wildcard", &self.wildcard.len())
            .field("any", &self.any)
            .finish()
    }
}
