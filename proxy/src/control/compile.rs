//! Config and resolved names to the table that workers read.
//!
//! A table is compiled upon the one before: what the two configs share, by identity, is not looked at again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    config::{self, Config},
    identities::Identities,
    places::{Places, Upstreams},
    resolve::Resolved,
};
use crate::route::{
    Action, BuildError, Built, Listener, Parts, Prepared, Route, RouteTable, Split,
    difference::{PointerMap, difference},
};

/// A table, with what was compiled into it. Stays with the control thread, which compiles the next one upon it.
pub struct Compiled {
    built: Built,
    /// Parallel to `built.routes()`.
    routes: Arc<Vec<Arc<config::Route>>>,
    upstreams: Upstreams,
}

impl Compiled {
    /// The table.
    pub fn table(&self) -> &Arc<RouteTable> {
        self.built.table()
    }

    /// Its routes, for lists and explanations.
    pub fn built(&self) -> &Built {
        &self.built
    }
}

/// Compiles the table of `config`, upon the one that is in force. Names that `resolved` has no answer for give no
/// endpoints; an upstream without any answers 503. What has kept its name keeps its identity.
///
/// # Errors
/// Routes that the table refuses. [`load`](config::load) has tried the same routes, so a loaded config has none.
pub fn compile(
    config: &Config,
    resolved: &Resolved,
    identities: &mut Identities,
    generation: u64,
    before: Option<&Compiled>,
) -> Result<Compiled, Vec<BuildError>> {
    let upstreams = Upstreams::compile(config, resolved, identities, before.map(|it| &it.upstreams));
    let routes = routes(config, upstreams.places(), identities, before);
    let listeners = listeners(config, identities, before);
    let parts = Parts {
        generation,
        routes,
        upstreams: Arc::clone(upstreams.list()),
        listeners,
        rules: config.rules.clone(),
        overload: config.overload,
    };
    let built = Built::upon(before.map(|it| &it.built), parts)?;
    Ok(Compiled { built, routes: Arc::clone(&config.routes), upstreams })
}

fn listeners(
    config: &Config,
    identities: &mut Identities,
    before: Option<&Compiled>,
) -> Box<[Arc<Listener>]> {
    let old = before.map_or(&[][..], |it| &it.table().listeners);
    let listener = |it: &Listener| {
        let old = old.iter().find(|old| old.name == it.name);
        let new = Listener { id: old.map_or_else(|| identities.listener(), |old| old.id), ..it.clone() };
        old.filter(|old| ***old == new).cloned().unwrap_or_else(|| Arc::new(new))
    };
    config.listeners.iter().map(listener).collect()
}

/// The routes of `config`: those of before where they are the same, and the others made anew.
fn routes(
    config: &Config,
    places: &Places,
    identities: &mut Identities,
    before: Option<&Compiled>,
) -> Vec<Arc<Prepared>> {
    let old: &[Arc<config::Route>] = before.map_or(&[], |it| it.routes.as_slice());
    let prepared = |position: usize| before.and_then(|it| it.built.routes().get(position));
    let changed = difference(old, &config.routes);
    let removed = || changed.removed.iter().filter_map(|at| Some((old.get(*at)?, prepared(*at)?)));
    let by_name: HashMap<&str, u32> = removed().map(|(route, is)| (&*route.name, is.id)).collect();
    // Those that have only moved.
    let moved: PointerMap<config::Route, _> = removed().map(|(route, is)| (Arc::as_ptr(route), is)).collect();
    let mut made = HashSet::new();
    let mut made_of = |route: &Arc<config::Route>| match moved.get(&Arc::as_ptr(route)) {
        Some(is) if made.insert(Arc::as_ptr(route)) => Arc::clone(is),
        _ => {
            let id = by_name.get(&*route.name).copied().unwrap_or_else(|| identities.route());
            Arc::new(Prepared::new(self::route(route, id, places)))
        }
    };
    let mut routes = Vec::with_capacity(config.routes.len());
    let mut added = changed.added.iter().filter_map(|at| config.routes.get(*at));
    for kept in &changed.kept {
        let before_it = kept.new.saturating_sub(routes.len());
        routes.extend(added.by_ref().take(before_it).map(&mut made_of));
        routes.extend((kept.old..kept.old + kept.length).filter_map(prepared).map(Arc::clone));
    }
    routes.extend(added.map(made_of));
    routes
}

fn route(from: &config::Route, id: u32, places: &Places) -> Route {
    Route {
        id,
        name: from.name.clone(),
        predicates: from.predicates.clone(),
        action: action(&from.action, places),
        rewrite_path_prefix: from.rewrite_path_prefix.clone(),
        rewrite_host: from.rewrite_host.clone(),
        request_headers: from.request_headers.clone(),
        response_headers: from.response_headers.clone(),
        hedge: from.hedge,
        limits: from.limits.clone(),
        priority: from.priority,
    }
}

/// With the places of upstreams for their names. One that is not there gets a place that no table has, for which the
/// table is refused.
fn action(from: &config::Action, places: &Places) -> Action {
    let place = |name: &str| places.get(name).copied().unwrap_or(usize::MAX);
    match from {
        config::Action::Upstream(name) => Action::Upstream(place(name)),
        config::Action::Split(choices) => Action::Split(Split {
            choices: choices.iter().map(|(name, weight)| (place(name), *weight)).collect(),
        }),
        config::Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
        config::Action::Respond(respond) => Action::Respond(respond.clone()),
    }
}
