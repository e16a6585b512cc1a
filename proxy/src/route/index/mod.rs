//! From host and path to the few routes that ask for them, in order of precedence.
//!
//! ```text
//! host -> hosts (exact, wildcard, any) -> paths of that host: exact (matchit)
//!                                                            -> parameters (matchit, in layers)
//!                                                            -> prefixes (a look-up per length)
//!                                                            -> regexes -> any
//!      each leads to a slot, and that to one of the host's leaves: routes that differ only in method, header and
//!      query predicates
//! ```
//!
//! What stands further left or higher comes first; when nothing of a leaf is accepted the search goes on behind it.
//! The cost depends on the request and on how many kinds of path its host has, not on the number of hosts or routes.

pub(crate) mod hash;
mod hosts;
mod leaf;
mod parameters;
mod paths;
mod prefixes;
mod regexes;
mod shape;

use std::{collections::HashMap, fmt};

use hosts::{Hosts, Site};
pub(super) use leaf::Candidate;
use leaf::{Leaves, Search};
use paths::Paths;
use shape::Shape;

use super::{
    host::HostPattern,
    path::PathPattern,
    table::{RequestView, Route},
};

/// The index of a table.
#[derive(Default)]
pub(super) struct Index {
    hosts: Hosts,
    paths: Box<[Paths]>,
    leaves: Leaves,
}

/// A path that cannot be indexed.
pub(super) struct Fault {
    /// The route it belongs to.
    pub(super) route: Option<u32>,
    /// What is wrong.
    pub(super) what: String,
}

impl Index {
    /// Index of the route that serves `request`, and how many bytes of the path its prefix matched.
    #[inline]
    pub(super) fn find(&self, routes: &[Route], request: &RequestView<'_>) -> Option<(u32, usize)> {
        self.hosts.find(request.host, |site| {
            let search = Search { routes, leaves: &self.leaves, base: site.base, request };
            self.paths.get(site.paths as usize)?.find(&search)
        })
    }
}

/// Collects hosts.
#[derive(Default)]
pub(super) struct IndexBuilder {
    hosts: Hosts,
    paths: Vec<Paths>,
    leaves: Leaves,
    /// By the indexes of its routes: a route that lists a hundred names makes a hundred hosts alike.
    sites: HashMap<Vec<u32>, Site>,
    /// Index into `paths`.
    shapes: HashMap<Shape, u32>,
}

impl IndexBuilder {
    /// Adds a host, `None` for the routes without hosts, with its routes in order of precedence.
    pub(super) fn add(
        &mut self,
        host: Option<&HostPattern>,
        routes: &[(&PathPattern, Candidate)],
    ) -> Result<(), Fault> {
        let key: Vec<u32> = routes.iter().map(|(_, candidate)| candidate.route).collect();
        let site = match self.sites.get(&key) {
            Some(site) => *site,
            None => {
                let site = self.site(routes)?;
                self.sites.insert(key, site);
                site
            }
        };
        self.hosts.insert(host, site);
        Ok(())
    }

    fn site(&mut self, routes: &[(&PathPattern, Candidate)]) -> Result<Site, Fault> {
        let (shape, lists, regexes) = Shape::of(routes);
        let paths = match self.shapes.get(&shape) {
            Some(paths) => *paths,
            None => {
                let built = Paths::build(&shape, &regexes).map_err(|(slot, error)| Fault {
                    route: lists.get(slot as usize).and_then(|list| list.first()).map(|first| first.route),
                    what: format!("the path cannot be indexed: {error}"),
                })?;
                let paths = self.paths.len() as u32;
                self.paths.push(built);
                self.shapes.insert(shape, paths);
                paths
            }
        };
        Ok(Site { paths, base: self.leaves.store(&lists) })
    }

    pub(super) fn build(mut self) -> Index {
        self.leaves.shrink();
        Index { hosts: self.hosts, paths: self.paths.into(), leaves: self.leaves }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("hosts", &self.hosts).field("paths", &self.paths.len()).finish()
    }
}
