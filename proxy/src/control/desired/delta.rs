//! One step of a change, with what was before it.

use std::sync::Arc;

use super::{Added, Base, Kind, Route, Upstream};

/// One step of a change.
#[derive(Debug, Clone)]
pub enum Delta {
    /// Other files, or a whole config in their place.
    Base {
        /// What was.
        before: Arc<Base>,
        /// What is to be.
        after: Arc<Base>,
    },
    /// A route that is not of the base.
    Route {
        /// Its name.
        name: Arc<str>,
        /// `None`: it was not there.
        before: Option<Added<Route>>,
        /// `None`: it goes.
        after: Option<Added<Route>>,
    },
    /// An upstream that is not of the base.
    Upstream {
        /// Its name.
        name: Arc<str>,
        /// `None`: it was not there.
        before: Option<Added<Upstream>>,
        /// `None`: it goes.
        after: Option<Added<Upstream>>,
    },
    /// The weight of an endpoint, whatever its upstream says.
    Weight {
        /// The upstream's name.
        upstream: Arc<str>,
        /// The endpoint's address as it is written.
        target: Arc<str>,
        /// `None`: that of the upstream held.
        before: Option<u32>,
        /// `None`: that of the upstream is to hold.
        after: Option<u32>,
    },
}

impl Delta {
    pub(super) fn route(name: &Arc<str>, before: Option<Added<Route>>, after: Option<Added<Route>>) -> Delta {
        Delta::Route { name: Arc::clone(name), before, after }
    }

    pub(super) fn upstream(
        name: &Arc<str>,
        before: Option<Added<Upstream>>,
        after: Option<Added<Upstream>>,
    ) -> Delta {
        Delta::Upstream { name: Arc::clone(name), before, after }
    }

    /// What takes it back.
    pub fn inverse(&self) -> Delta {
        match self {
            Delta::Base { before, after } => {
                Delta::Base { before: Arc::clone(after), after: Arc::clone(before) }
            }
            Delta::Route { name, before, after } => Delta::route(name, after.clone(), before.clone()),
            Delta::Upstream { name, before, after } => Delta::upstream(name, after.clone(), before.clone()),
            Delta::Weight { upstream, target, before, after } => Delta::Weight {
                upstream: Arc::clone(upstream),
                target: Arc::clone(target),
                before: *after,
                after: *before,
            },
        }
    }

    /// Whether upstreams are others afterwards.
    pub fn concerns_upstreams(&self) -> bool {
        !matches!(self, Delta::Route { .. })
    }

    /// What it changes, in a few words.
    pub fn text(&self) -> String {
        let change = |was: bool, is: bool| match (was, is) {
            (false, _) => "added",
            (true, true) => "changed",
            (true, false) => "removed",
        };
        match self {
            Delta::Base { after, .. } => {
                format!("config of {} routes", after.config.routes.len())
            }
            Delta::Route { name, before, after } => {
                format!("{} {name} {}", Kind::Route, change(before.is_some(), after.is_some()))
            }
            Delta::Upstream { name, before, after } => {
                format!("{} {name} {}", Kind::Upstream, change(before.is_some(), after.is_some()))
            }
            Delta::Weight { upstream, target, after: Some(0), .. } => {
                format!("endpoint {target} of {upstream} drained")
            }
            Delta::Weight { upstream, target, after: Some(weight), .. } => {
                format!("endpoint {target} of {upstream} has weight {weight}")
            }
            Delta::Weight { upstream, target, after: None, .. } => {
                format!("endpoint {target} of {upstream} has its own weight again")
            }
        }
    }
}
