//! From host and path to the few routes that ask for them, in order of precedence.
//!
//! ```text
//! host -> hosts (exact, wildcard, any) -> paths of that host: exact (matchit)
//!                                                            -> parameters (matchit, in layers)
//!                                                            -> prefixes (a look-up per depth)
//!                                                            -> regexes -> any
//!      each leads to a leaf: routes that differ only in method, header and query predicates
//! ```
//!
//! What stands further left or higher comes first; when nothing of a leaf is accepted the search goes on behind it.
//! The cost depends on the request and on how many kinds of path its host has, not on the number of hosts or routes.

mod hash;
mod hosts;
mod leaf;
mod parameters;
mod paths;
mod prefixes;
mod regexes;

use std::{collections::HashMap, fmt};

use hosts::Hosts;
pub(super) use leaf::Candidate;
use leaf::Search;
pub(super) use paths::Fault;
use paths::Paths;

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
    /// Candidates of all leaves, except their first ones.
    candidates: Box<[Candidate]>,
}

impl Index {
    /// Index of the route that serves `request`, and how many bytes of the path its prefix matched.
    #[inline]
    pub(super) fn find(&self, routes: &[Route], request: &RequestView<'_>) -> Option<(u32, usize)> {
        let search = Search { routes, candidates: &self.candidates, request };
        self.hosts.find(request.host, |paths| self.paths.get(paths as usize)?.find(search))
    }
}

/// Collects hosts. Those with the same routes, as when a route lists a hundred names, share the index of their paths.
#[derive(Default)]
pub(super) struct IndexBuilder {
    hosts: Hosts,
    paths: Vec<Paths>,
    candidates: Vec<Candidate>,
    known: HashMap<Vec<u32>, u32>,
}

impl IndexBuilder {
    /// Adds a host, `None` for the routes without hosts, with its routes in order of precedence.
    pub(super) fn add(
        &mut self,
        host: Option<&HostPattern>,
        routes: &[(&PathPattern, Candidate)],
    ) -> Result<(), Fault> {
        let key: Vec<u32> = routes.iter().map(|(_, candidate)| candidate.route).collect();
        let id = match self.known.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.paths.len() as u32;
                self.paths.push(Paths::build(routes, &mut self.candidates)?);
                self.known.insert(key, id);
                id
            }
        };
        self.hosts.insert(host, id);
        Ok(())
    }

    pub(super) fn build(self) -> Index {
        Index { hosts: self.hosts, paths: self.paths.into(), candidates: self.candidates.into() }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("hosts", &self.hosts)
            .field("paths", &self.paths.len())
            .field("candidates", &self.candidates.len())
            .finish()
    }
}
