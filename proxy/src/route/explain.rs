//! Why a request goes where it goes, for `ringlane route`; and all routes in their order, for lists.

use std::{ptr, sync::Arc};

use super::{
    build::Built,
    precedence::HostRank,
    prepared::Prepared,
    table::{RequestView, Route},
};

/// What became of one route.
#[derive(Debug, Clone)]
pub struct Verdict<'t> {
    /// The route.
    pub route: &'t Route,
    /// What became of it.
    pub outcome: Outcome,
}

/// How a route fared with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It serves the request.
    Won,
    /// A condition is not met; the text says which, like `method is not GET or POST`.
    LostOn(String),
    /// All its conditions are met, but one that comes first won.
    Shadowed,
}

impl Built {
    /// All routes in order of precedence, each at the best of its hosts. Sorted when it is asked for: slow.
    pub fn by_precedence(&self) -> Vec<&Route> {
        let mut routes: Vec<&Arc<Prepared>> = self.routes().iter().collect();
        // Stable: equals stay in the order of the config.
        routes.sort_by_key(|route| (HostRank::first(&route.predicates), route.rank));
        routes.into_iter().map(|route| &***route).collect()
    }

    /// What became of every route, in order of precedence. Each is asked by itself, without the index: slow.
    pub fn explain(&self, request: &RequestView<'_>) -> Vec<Verdict<'_>> {
        let won = self.table().select(request).map(|selected| selected.route);
        let verdict = |route: &'_ Route| match route.predicates.lost_on(request) {
            Some(reason) => Outcome::LostOn(reason),
            None if won.is_some_and(|won| ptr::eq(won, route)) => Outcome::Won,
            None => Outcome::Shadowed,
        };
        self.by_precedence().into_iter().map(|route| Verdict { route, outcome: verdict(route) }).collect()
    }
}
