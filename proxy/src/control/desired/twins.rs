//! Routes that no request could tell apart.

use std::{collections::HashMap, sync::Arc};

use crate::{control::config::Route, route::asked_of};

/// Who asks what of a request.
#[derive(Debug, Clone, Default)]
pub(in crate::control) struct Twins {
    asked: HashMap<Arc<str>, Arc<str>>,
}

impl Twins {
    pub(in crate::control) fn of_all(routes: &[Arc<Route>]) -> Twins {
        let mut twins = Twins::default();
        routes.iter().for_each(|it| twins.add(it));
        twins
    }

    pub(in crate::control) fn add(&mut self, route: &Route) {
        for asked in asked_of(&route.predicates) {
            self.asked.entry(asked.into()).or_insert_with(|| Arc::clone(&route.name));
        }
    }

    pub(in crate::control) fn remove(&mut self, route: &Route) {
        for asked in asked_of(&route.predicates) {
            if self.asked.get(&*asked).is_some_and(|name| *name == route.name) {
                self.asked.remove(&*asked);
            }
        }
    }

    /// Another route that asks the same as `route`.
    pub(in crate::control) fn of(&self, route: &Route) -> Option<&Arc<str>> {
        let twin = |asked: String| self.asked.get(&*asked).filter(|name| **name != route.name);
        asked_of(&route.predicates).find_map(twin)
    }

    /// All of it, in an order.
    #[cfg(test)]
    pub(in crate::control) fn sorted(&self) -> std::collections::BTreeMap<&str, &str> {
        self.asked.iter().map(|(asked, name)| (&**asked, &**name)).collect()
    }
}
