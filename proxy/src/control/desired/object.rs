//! Routes and upstreams one at a time: what the admin API and etcd change.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::{Map, Value as Json};

use super::{ADDED_MAX, Added, Delta, Desired, Owner, Refused, Route, Upstream};
use crate::control::{
    error::ConfigError,
    in_force::MASKED,
    raw::{
        document::Document,
        findings::{Findings, Part, Text},
        routes::Route as RawRoute,
        section::Section,
        sections::Upstream as RawUpstream,
    },
    validate::{
        Outside,
        routes::{self, Upstreams},
        upstreams,
    },
};

/// Routes that use an upstream, of those that a message lists.
const USERS_SHOWN_MAX: usize = 3;

/// What can be changed one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One of `routes`.
    Route,
    /// One of `upstreams`.
    Upstream,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 2] = [Kind::Route, Kind::Upstream];

    /// The config's list that it belongs to; also a part of keys and of paths.
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Route => "routes",
            Kind::Upstream => "upstreams",
        }
    }

    /// Of a folder's name.
    pub fn of_folder(folder: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.folder() == folder)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Route => "route",
            Kind::Upstream => "upstream",
        })
    }
}

/// A route or an upstream as people are shown it.
#[derive(Debug, Clone)]
pub struct Object {
    /// Defaults filled in, credentials masked.
    pub shown: Json,
    /// Whose it is.
    pub owner: Owner,
    /// Another one when anything of it has changed, a masked value included.
    pub tag: u64,
}

impl Object {
    pub(super) fn new(shown: Json, owner: Owner, tagged: &str) -> Object {
        let mut hasher = DefaultHasher::new();
        tagged.hash(&mut hasher);
        Object { shown, owner, tag: hasher.finish() }
    }
}

impl Desired {
    /// Adds a route or an upstream, or changes one of the same owner. `from` is where it comes from, for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it; that the name is another's.
    pub fn put(
        &mut self,
        kind: Kind,
        name: &str,
        owner: &Owner,
        json: &Json,
        from: &str,
    ) -> Result<Vec<Delta>, Refused> {
        self.may_change(kind, name, owner)?;
        let json = named(json, name, from).map_err(Refused::Invalid)?;
        not_masked(&json, from).map_err(Refused::Invalid)?;
        let delta = match kind {
            Kind::Route => self.put_route(name, owner, &json, from)?,
            Kind::Upstream => self.put_upstream(name, owner, &json, from)?,
        };
        Ok(delta.into_iter().collect())
    }

    fn put_route(
        &mut self,
        name: &str,
        owner: &Owner,
        json: &Json,
        from: &str,
    ) -> Result<Option<Delta>, Refused> {
        let before = self.routes.get(name).cloned();
        let workers = self.base.config.runtime.workers as u64;
        let known = Known(self);
        let route = read::<RawRoute, Route>(json, from, |raw, written, findings| {
            let mut upstreams = Upstreams::new(std::iter::empty(), &known);
            let route = routes::route(raw, written, workers, &mut upstreams, findings)?;
            if let Some(twin) = self.base.twins.of(&route).or_else(|| self.twins.of(&route)) {
                let place = if raw.r#match.given { raw.r#match.place } else { raw.place };
                let message =
                    format!("it can never be told apart from the route `{twin}`: both ask for the same");
                findings.error(place, message).hint("change the path, methods, headers or query of one");
                return None;
            }
            Some(route)
        })
        .map_err(Refused::Invalid)?;
        if before.as_ref().is_some_and(|it| it.value.written == route.written && it.owner == *owner) {
            return Ok(None);
        }
        let after = Some(Added { owner: owner.clone(), value: Arc::new(route) });
        let delta = Delta::route(&Arc::from(name), before, after);
        self.apply(&delta);
        Ok(Some(delta))
    }

    fn put_upstream(
        &mut self,
        name: &str,
        owner: &Owner,
        json: &Json,
        from: &str,
    ) -> Result<Option<Delta>, Refused> {
        let before = self.upstreams.get(name).cloned();
        let workers = self.base.config.runtime.workers as u64;
        let upstream = read::<RawUpstream, Upstream>(json, from, |raw, written, findings| {
            upstreams::upstream(raw, written, workers, findings)
        })
        .map_err(Refused::Invalid)?;
        if before.as_ref().is_some_and(|it| it.value.written == upstream.written && it.owner == *owner) {
            return Ok(None);
        }
        if let Some(text) = self.weights.nothing_left(&upstream) {
            return Err(Refused::Conflict(text));
        }
        let after = Some(Added { owner: owner.clone(), value: Arc::new(upstream) });
        let delta = Delta::upstream(&Arc::from(name), before, after);
        self.apply(&delta);
        Ok(Some(delta))
    }

    /// Changes some keys of a route or an upstream, as a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// As `put`; that it is not there.
    pub fn patch(
        &mut self,
        kind: Kind,
        name: &str,
        owner: &Owner,
        patch: &Json,
        from: &str,
    ) -> Result<Vec<Delta>, Refused> {
        let Some(mut json) = self.written(kind, name) else { return Err(self.not_found(kind, name)) };
        if !patch.is_object() {
            let hint = Some("the keys to change, as {\"upstream\": \"other\"}; null removes one".to_owned());
            let error = ConfigError::of_json(from, String::new(), "a patch is a JSON object", hint);
            return Err(Refused::Invalid(vec![error]));
        }
        merge(&mut json, patch);
        self.put(kind, name, owner, &json, from)
    }

    /// Removes a route, or an upstream that no route uses.
    ///
    /// # Errors
    /// That it is not there, is another's, or is in use.
    pub fn delete(&mut self, kind: Kind, name: &str, owner: &Owner) -> Result<Vec<Delta>, Refused> {
        self.may_change(kind, name, owner)?;
        let name_owned: Arc<str> = Arc::from(name);
        let delta = match kind {
            Kind::Route => self.routes.get(name).map(|it| Delta::route(&name_owned, Some(it.clone()), None)),
            Kind::Upstream => {
                self.not_in_use(name)?;
                self.upstreams.get(name).map(|it| Delta::upstream(&name_owned, Some(it.clone()), None))
            }
        };
        let Some(delta) = delta else { return Err(self.not_found(kind, name)) };
        self.apply(&delta);
        Ok(vec![delta])
    }

    fn not_in_use(&self, upstream: &str) -> Result<(), Refused> {
        let Some(uses) = self.uses.get(upstream) else { return Ok(()) };
        let base = self.base.config.routes.iter();
        let users = base
            .chain(self.routes.values().map(|it| &it.value))
            .filter(|it| it.action.upstreams().any(|name| &**name == upstream));
        let mut names: Vec<_> = users.take(USERS_SHOWN_MAX).map(|it| format!("`{}`", it.name)).collect();
        if *uses > names.len() {
            names.push(format!("{} more", uses - names.len()));
        }
        let text =
            format!("the upstream `{upstream}` is in use by routes: {}; change them first", names.join(", "));
        Err(Refused::Conflict(text))
    }

    pub(super) fn not_found(&self, kind: Kind, name: &str) -> Refused {
        Refused::NotFound(format!("there is no {kind} `{name}`"))
    }

    /// Whether `owner` may have something of this name, or has it.
    fn may_change(&self, kind: Kind, name: &str, owner: &Owner) -> Result<(), Refused> {
        let whose = match kind {
            Kind::Route => self.route(name).map(|(owner, _)| owner),
            Kind::Upstream => self.upstream(name).map(|(owner, _)| owner),
        };
        match whose {
            Some(other) if other != owner => {
                let place = self.whose(kind, name, other);
                Err(Refused::Conflict(format!("the {kind} `{name}` is of {place}: change it there")))
            }
            None if self.routes.len().max(self.upstreams.len()) >= ADDED_MAX => {
                Err(Refused::Conflict(format!("there are {ADDED_MAX} already, which is the most")))
            }
            _ => Ok(()),
        }
    }

    /// As it was written.
    pub(super) fn written(&self, kind: Kind, name: &str) -> Option<Json> {
        let written = match kind {
            Kind::Route => self.route(name).map(|(_, it)| &it.written),
            Kind::Upstream => self.upstream(name).map(|(_, it)| &it.written),
        };
        serde_json::from_str(written?).ok()
    }
}

/// Reads one object and checks it with `check`.
fn read<R: Section, T>(
    json: &Json,
    from: &str,
    check: impl FnOnce(&R, Arc<str>, &mut Findings) -> Option<T>,
) -> Result<T, Vec<ConfigError>> {
    let document = Document::from_json(json, 0);
    let mut findings = Findings::default();
    let good = R::read(document.root(), &mut findings)
        .and_then(|raw| check(&raw, json.to_string().into(), &mut findings));
    let (errors, _) = findings.report(&[Part { document: &document, text: Text::Json(from) }]);
    match good {
        Some(good) if errors.is_empty() => Ok(good),
        // As in `read.rs`: nothing is refused without a word.
        _ if errors.is_empty() => {
            Err(vec![ConfigError::of_json(from, String::new(), "it can't be used", None)])
        }
        _ => Err(errors),
    }
}

/// The object with its name, which may be left out where the address says it.
fn named(json: &Json, name: &str, from: &str) -> Result<Json, Vec<ConfigError>> {
    let Json::Object(entries) = json else {
        let message = "expected a JSON object";
        return Err(vec![ConfigError::of_json(from, String::new(), message, None)]);
    };
    if let Some(other) = entries.get("name").filter(|it| it.as_str() != Some(name)) {
        let message = format!("the name is {other}, but it is to be \"{name}\"");
        let hint = Some("leave it out: a name can't be changed; add another and delete this one".to_owned());
        return Err(vec![ConfigError::of_json(from, "/name".to_owned(), message, hint)]);
    }
    let mut whole = Map::new();
    whole.insert("name".to_owned(), name.into());
    whole.extend(entries.iter().filter(|(key, _)| *key != "name").map(|(key, it)| (key.clone(), it.clone())));
    Ok(Json::Object(whole))
}

/// What was shown masked must not come back as if it were the value.
pub(super) fn not_masked(json: &Json, from: &str) -> Result<(), Vec<ConfigError>> {
    fn find(json: &Json, pointer: &str, found: &mut Vec<String>) {
        let step = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        match json {
            // The second is how the user's part of a URL is shown.
            Json::String(text) if text == MASKED || text.contains("://***@") => {
                found.push(pointer.to_owned())
            }
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(at, it)| find(it, &step(&at.to_string()), found));
            }
            Json::Object(entries) => entries.iter().for_each(|(key, it)| find(it, &step(key), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(json, "", &mut found);
    let error = |pointer| {
        let hint = Some("what is shown as *** is a credential: write it, or PATCH other keys".to_owned());
        ConfigError::of_json(from, pointer, "this value is masked", hint)
    };
    let errors: Vec<_> = found.into_iter().map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// RFC 7396.
fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Json::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Json::Null), value);
        }
    }
}

/// What a route of anybody may name.
struct Known<'d>(&'d Desired);

impl Outside for Known<'_> {
    fn route(&self, _: &str) -> Option<String> {
        None
    }

    fn upstream(&self, name: &str) -> Option<String> {
        let known = self.0.base.upstreams.contains_key(name) || self.0.upstreams.contains_key(name);
        known.then(String::new)
    }

    fn uses(&self, _: &str) -> bool {
        true
    }

    fn upstreams(&self) -> Vec<Arc<str>> {
        self.0.base.upstreams.keys().chain(self.0.upstreams.keys()).cloned().collect()
    }

    fn is_empty(&self) -> bool {
        false
    }
}
