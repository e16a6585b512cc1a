//! What all sources ask for together: the files, what the admin API added, what etcd holds.
//!
//! The files are the base; the others add routes and upstreams by name, and a name belongs to whoever had it first: a
//! clash is an error. Every change is checked here, against everything else, before anything is built. A change is a
//! list of [`Delta`]s, each with what was before, so that it can be taken back.

mod delta;
mod endpoints;
pub mod follow;
pub mod history;
mod listed;
mod object;
pub(super) mod twins;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use serde_json::Value as Json;

use super::{
    base::{Base, Nothing},
    config::{Action, Config, Route, Upstream},
    error::ConfigError,
    files::Found,
    validate::Outside,
};
pub use delta::Delta;
pub use endpoints::Weight;
use endpoints::Weights;
pub use listed::Listed;
pub use object::{Kind, Object};
use twins::Twins;

/// Routes, and upstreams, that the admin API and etcd may add.
const ADDED_MAX: usize = 200_000;

/// Whose a route or an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The files', or the config's that was PUT in their place.
    Base,
    /// The admin API's.
    Api,
    /// That of this key in etcd.
    Etcd(Arc<str>),
}

/// A route or an upstream that is not of the base.
#[derive(Debug, Clone)]
pub struct Added<T> {
    /// Whose it is.
    pub owner: Owner,
    /// It.
    pub value: Arc<T>,
}

/// Why a change is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Something is wrong with it.
    Invalid(Vec<ConfigError>),
    /// What it is about is not there.
    NotFound(String),
    /// It is not this source's to change, or something else needs it.
    Conflict(String),
}

impl Refused {
    /// What is wrong, a line each.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Refused::Invalid(errors) => errors.iter().map(ConfigError::one_line).collect(),
            Refused::NotFound(text) | Refused::Conflict(text) => vec![text.clone()],
        }
    }
}

/// What all sources ask for.
#[derive(Debug)]
pub struct Desired {
    base: Arc<Base>,
    routes: BTreeMap<Arc<str>, Added<Route>>,
    upstreams: BTreeMap<Arc<str>, Added<Upstream>>,
    weights: Weights,
    /// How many routes use an upstream.
    uses: HashMap<Arc<str>, usize>,
    /// What the added routes ask of a request; the base knows its own.
    twins: Twins,
}

impl Desired {
    /// What the file at `path` asks for, and those it includes.
    ///
    /// # Errors
    /// As [`super::config::load`].
    pub fn load(path: &Path) -> Result<Desired, Vec<ConfigError>> {
        Ok(Desired::of(Base::load(Found::now(path), None, &Nothing)?))
    }

    /// What the text of one file asks for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of_text(name: &str, text: &str) -> Result<Desired, Vec<ConfigError>> {
        Ok(Desired::of(Base::of_text(name, text)?))
    }

    /// What `base` asks for.
    pub(super) fn of(base: Base) -> Desired {
        let mut desired = Desired {
            base: Arc::new(base),
            routes: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            weights: Weights::default(),
            uses: HashMap::new(),
            twins: Twins::default(),
        };
        desired.index();
        desired
    }

    /// The base.
    pub fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// All of it as one config: the base's routes in the order of its files, then the others' by name.
    pub fn config(&self) -> Config {
        let base = &self.base.config;
        let mut config = base.without_objects();
        config.routes = match self.routes.is_empty() {
            true => Arc::clone(&base.routes),
            false => {
                let added = self.routes.values().map(|it| &it.value);
                Arc::new(base.routes.iter().chain(added).cloned().collect())
            }
        };
        config.upstreams.reserve(base.upstreams.len() + self.upstreams.len());
        let added = self.upstreams.values().map(|it| &it.value);
        config.upstreams.extend(base.upstreams.iter().chain(added).map(|it| self.weights.effective(it)));
        config
    }

    /// The files again. Whatever is wrong with them, nothing has changed.
    ///
    /// # Errors
    /// Every error.
    pub fn reload(&mut self, found: &Found) -> Result<Vec<Delta>, Refused> {
        let base = Base::load(found.clone(), Some(&self.base), &Others(self)).map_err(Refused::Invalid)?;
        self.replace_base(base)
    }

    /// A whole config in place of the files and of all that the admin API added, until the files change.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn put_config(&mut self, json: &Json, from: &str) -> Result<Vec<Delta>, Refused> {
        object::not_masked(json, from).map_err(Refused::Invalid)?;
        let mut deltas = Vec::new();
        let of_api = |owner: &Owner| *owner == Owner::Api;
        let routes = self.routes.iter().filter(|(_, it)| of_api(&it.owner));
        deltas.extend(routes.map(|(name, it)| Delta::route(name, Some(it.clone()), None)));
        let upstreams = self.upstreams.iter().filter(|(_, it)| of_api(&it.owner));
        deltas.extend(upstreams.map(|(name, it)| Delta::upstream(name, Some(it.clone()), None)));
        deltas.extend(self.weights.clear());
        deltas.iter().for_each(|it| self.apply(it));
        let base = Base::of_json(json, from, &Others(self)).map_err(Refused::Invalid);
        match base.and_then(|base| self.replace_base(base)) {
            Ok(more) => deltas.extend(more),
            Err(refused) => {
                self.take_back(&deltas);
                return Err(refused);
            }
        }
        Ok(deltas)
    }

    fn replace_base(&mut self, mut base: Base) -> Result<Vec<Delta>, Refused> {
        base.share(&self.base);
        self.holds_with(&base)?;
        let delta = Delta::Base { before: Arc::clone(&self.base), after: Arc::new(base) };
        self.apply(&delta);
        Ok(vec![delta])
    }

    /// What others added must still stand on a new base: the upstreams they use, and no route that is like theirs.
    fn holds_with(&self, base: &Base) -> Result<(), Refused> {
        let mut lines = Vec::new();
        for (name, added) in &self.routes {
            let whose = added.owner.text();
            for upstream in added.value.action.upstreams() {
                if !base.upstreams.contains_key(upstream) && !self.upstreams.contains_key(upstream) {
                    lines.push(format!(
                        "the upstream `{upstream}` can't go: the route `{name}` of {whose} uses it"
                    ));
                }
            }
            if let Some(twin) = base.twins.of(&added.value) {
                lines.push(format!("the route `{twin}` can never be told apart from `{name}` of {whose}"));
            }
        }
        let drained = base.config.upstreams.iter().filter_map(|it| self.weights.nothing_left(it));
        lines.extend(drained);
        if lines.is_empty() { Ok(()) } else { Err(Refused::Conflict(lines.join("; "))) }
    }

    /// Makes a change that has been checked.
    pub fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::Base { after, .. } => {
                self.base = Arc::clone(after);
                self.index();
            }
            Delta::Route { name, before, after } => {
                if let Some(before) = before {
                    self.count(&before.value, false);
                    self.routes.remove(name);
                }
                if let Some(after) = after {
                    self.count(&after.value, true);
                    self.routes.insert(Arc::clone(name), after.clone());
                }
            }
            Delta::Upstream { name, after, .. } => {
                match after {
                    Some(after) => self.upstreams.insert(Arc::clone(name), after.clone()),
                    None => self.upstreams.remove(name),
                };
                let now = self.upstream(name).map(|(_, it)| Arc::clone(it));
                self.weights.follow(name, now.as_ref());
            }
            Delta::Weight { upstream, target, after, .. } => {
                let now = self.upstream(upstream).map(|(_, it)| Arc::clone(it));
                self.weights.set(upstream, target, *after, now.as_ref());
            }
        }
    }

    /// Takes changes back, the last one first.
    pub fn take_back(&mut self, deltas: &[Delta]) {
        deltas.iter().rev().for_each(|it| self.apply(&it.inverse()));
    }

    /// What is derived from the base, anew.
    fn index(&mut self) {
        self.uses.clear();
        let base = Arc::clone(&self.base);
        base.config.routes.iter().for_each(|it| self.count_uses(it, true));
        let added: Vec<_> = self.routes.values().map(|it| Arc::clone(&it.value)).collect();
        added.iter().for_each(|it| self.count_uses(it, true));
        for name in self.weights.names() {
            let now = self.upstream(&name).map(|(_, it)| Arc::clone(it));
            self.weights.follow(&name, now.as_ref());
        }
    }

    /// Takes an added route into account, or out of it.
    fn count(&mut self, route: &Route, comes: bool) {
        match comes {
            true => self.twins.add(route),
            false => self.twins.remove(route),
        }
        self.count_uses(route, comes);
    }

    fn count_uses(&mut self, route: &Route, comes: bool) {
        for upstream in route.action.upstreams() {
            let uses = self.uses.entry(Arc::clone(upstream)).or_default();
            *uses = if comes { *uses + 1 } else { uses.saturating_sub(1) };
            if *uses == 0 {
                self.uses.remove(upstream);
            }
        }
    }

    /// The route of this name, and whose it is.
    pub fn route(&self, name: &str) -> Option<(&Owner, &Arc<Route>)> {
        let added = || self.routes.get(name).map(|it| (&it.owner, &it.value));
        self.base.route(name).map(|it| (&Owner::Base, it)).or_else(added)
    }

    /// The upstream of this name, weights as they were written, and whose it is.
    pub fn upstream(&self, name: &str) -> Option<(&Owner, &Arc<Upstream>)> {
        let added = || self.upstreams.get(name).map(|it| (&it.owner, &it.value));
        self.base.upstream(name).map(|it| (&Owner::Base, it)).or_else(added)
    }

    /// Where the base has it, for a sentence.
    fn whose(&self, kind: Kind, name: &str, owner: &Owner) -> String {
        let place = match kind {
            Kind::Route => self.base.place_of_route(name),
            Kind::Upstream => self.base.place_of_upstream(name),
        };
        place.filter(|_| *owner == Owner::Base).unwrap_or_else(|| owner.text())
    }
}

impl Owner {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Owner::Base => "files",
            Owner::Api => "api",
            Owner::Etcd(_) => "etcd",
        }
    }

    /// For a sentence.
    pub fn text(&self) -> String {
        match self {
            Owner::Base => "the files".to_owned(),
            Owner::Api => "the admin API".to_owned(),
            Owner::Etcd(key) => format!("etcd, key {key}"),
        }
    }
}

impl Action {
    /// The upstreams it names.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<str>> {
        let (one, more) = match self {
            Action::Upstream(name) => (Some(name), None),
            Action::Split(choices) => (None, Some(choices.iter().map(|(name, _)| name))),
            Action::Redirect(_) | Action::Respond(_) => (None, None),
        };
        one.into_iter().chain(more.into_iter().flatten())
    }
}

/// What the base of a `Desired` has to live with.
struct Others<'d>(&'d Desired);

impl Outside for Others<'_> {
    fn route(&self, name: &str) -> Option<String> {
        self.0.routes.get(name).map(|it| it.owner.text())
    }

    fn upstream(&self, name: &str) -> Option<String> {
        self.0.upstreams.get(name).map(|it| it.owner.text())
    }

    fn uses(&self, upstream: &str) -> bool {
        self.0.routes.values().any(|it| it.value.action.upstreams().any(|name| &**name == upstream))
    }

    fn upstreams(&self) -> Vec<Arc<str>> {
        self.0.upstreams.keys().cloned().collect()
    }

    fn is_empty(&self) -> bool {
        self.0.routes.is_empty()
    }
}
