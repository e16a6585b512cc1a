//! Why a request goes where it goes, for `ringlane route`.

use super::table::{RequestView, RouteTable};

/// What became of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Index into `RouteTable::routes`.
    pub route: usize,
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

impl RouteTable {
    /// What became of every route, in the order of the table. Each is asked by itself, without the index: slow.
    pub fn explain(&self, request: &RequestView<'_>) -> Vec<Verdict> {
        let won = self.index.find(&self.routes, request).map(|(route, _)| route as usize);
        let verdict = |(route, candidate): (usize, &super::table::Route)| Verdict {
            route,
            outcome: match candidate.predicates.lost_on(request) {
                Some(reason) => Outcome::LostOn(reason),
                None if won == Some(route) => Outcome::Won,
                None => Outcome::Shadowed,
            },
        };
        self.routes.iter().enumerate().map(verdict).collect()
    }
}
