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
//!
//! Nothing at one host depends on another, so that indexes built one upon the other share all that has not changed.

pub(crate) mod hash;
mod hosts;
mod leaf;
mod parameters;
mod paths;
mod prefixes;
mod regexes;
mod shape;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

use hosts::{Hosts, Site};
pub(super) use leaf::Candidate;
use leaf::Leaves;
use paths::Paths;
use shape::Shape;

use super::{host::HostPattern, prepared::Prepared, table::RequestView};

/// The index of a table.
#[derive(Clone, Default)]
pub(super) struct Index {
    hosts: Hosts,
}

/// A path that cannot be indexed.
pub(super) struct Fault {
    /// The route it belongs to.
    pub(super) route: Option<Arc<Prepared>>,
    /// What is wrong.
    pub(super) what: String,
}

impl Index {
    /// The route that serves `request`, and how many bytes of the path its prefix matched.
    #[inline]
    pub(super) fn find(&self, request: &RequestView<'_>) -> Option<(&Prepared, usize)> {
        self.hosts.find(request.host, |site| site.paths.find(&site.leaves.search(request)))
    }

    /// The routes at a host, `None` for those without hosts, in no particular order.
    pub(super) fn routes<'t>(
        &'t self,
        host: Option<&HostPattern>,
    ) -> impl Iterator<Item = &'t Arc<Prepared>> + use<'t> {
        self.hosts.get(host).into_iter().flat_map(|site| site.leaves.routes())
    }

    /// Replaces the routes of some hosts, which are all the same, by these, in order of precedence; `shapes` are those
    /// of this index and of those before.
    pub(super) fn replace(
        &mut self,
        hosts: &[Option<&HostPattern>],
        routes: &[Candidate],
        shapes: &mut Shapes,
    ) -> Result<(), Fault> {
        let site = if routes.is_empty() { None } else { Some(self.site(hosts, routes, shapes)?) };
        hosts.iter().for_each(|host| self.hosts.set(*host, site.clone()));
        Ok(())
    }

    fn site(
        &self,
        hosts: &[Option<&HostPattern>],
        routes: &[Candidate],
        shapes: &mut Shapes,
    ) -> Result<Site, Fault> {
        let (shape, lists) = Shape::of(routes);
        // Most changes leave the paths of a host as they are.
        let before = hosts.first().and_then(|host| self.hosts.get(*host)).map(|site| &site.paths);
        let paths = match before {
            Some(paths) if *paths.shape() == shape => Arc::clone(paths),
            _ => shapes.paths(shape, routes, before).map_err(|(slot, error)| Fault {
                route: lists.get(slot as usize).and_then(|list| list.first()).map(|it| Arc::clone(&it.route)),
                what: format!("the path cannot be indexed: {error}"),
            })?,
        };
        Ok(Site { paths, leaves: Leaves::new(lists) })
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("hosts", &self.hosts).finish()
    }
}

/// The shapes in use, so that a host which is set up as another finds its index. Cloning it is cheap; it is copied when
/// a new shape comes in, and forgets those that no table uses any more.
#[derive(Clone, Default)]
pub(super) struct Shapes(Arc<HashMap<u64, Weak<Paths>>>);

impl Shapes {
    fn paths(
        &mut self,
        shape: Shape,
        routes: &[Candidate],
        before: Option<&Arc<Paths>>,
    ) -> Result<Arc<Paths>, paths::Fault> {
        let hash = shape.hash();
        if let Some(paths) = self.0.get(&hash).and_then(Weak::upgrade)
            && *paths.shape() == shape
        {
            return Ok(paths);
        }
        let paths = Arc::new(Paths::build(shape, routes, before.map(|it| &**it))?);
        let known = Arc::make_mut(&mut self.0);
        known.retain(|_, paths| paths.strong_count() > 0);
        known.insert(hash, Arc::downgrade(&paths));
        Ok(paths)
    }
}
