//! What was written to what can be used: references resolved, relations between keys held.
//!
//! Each key by itself has been read and bounded by `raw`. Here is what needs two keys or more. Checks go on where a
//! value is missing or wrong (that has been said already), so that one run finds everything.

mod balance;
mod etcd;
mod headers;
mod health;
mod limits;
mod listeners;
mod matches;
mod overload;
mod provenance;
mod retries;
pub(crate) mod routes;
mod rules;
pub(crate) mod upstreams;

use std::{collections::HashMap, sync::Arc};

use super::{
    config::{AccessLog, Admin, Config, Control, LogSettings, Runtime},
    raw::{
        document::Place,
        findings::Findings,
        routes::Route,
        section::Field,
        sections::{Included, Listener, Root, Upstream},
        spec::Item,
    },
};
use crate::upstream::Address;

/// What the files say, read.
pub(crate) struct Files<'r> {
    pub(crate) root: &'r Root,
    pub(crate) included: Vec<&'r Included>,
    /// The JSON of the table at a place, as it was written.
    pub(crate) written: &'r dyn Fn(Place) -> Arc<str>,
}

impl Files<'_> {
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Item<Upstream>> {
        let more = self.included.iter().flat_map(|it| items(&it.upstreams));
        items(&self.root.upstreams).iter().chain(more)
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = &Item<Route>> {
        let more = self.included.iter().flat_map(|it| items(&it.routes));
        items(&self.root.routes).iter().chain(more)
    }
}

/// Routes and upstreams that come from elsewhere than the files, by name.
pub(crate) trait Outside {
    /// Where the route of this name comes from, if there is one.
    fn route(&self, name: &str) -> Option<String>;
    /// Where the upstream of this name comes from, if there is one.
    fn upstream(&self, name: &str) -> Option<String>;
    /// Whether a route from elsewhere uses this upstream.
    fn uses(&self, upstream: &str) -> bool;
    /// The names of all upstreams.
    fn upstreams(&self) -> Vec<Arc<str>>;
    /// Whether there are no routes, nor will be.
    fn is_empty(&self) -> bool;
}

/// Checks the whole. `None` when anything is wrong, which `findings` then has. `cores` is what `workers = "auto"`
/// stands for.
pub(crate) fn validate(
    files: &Files<'_>,
    outside: &dyn Outside,
    cores: usize,
    findings: &mut Findings,
) -> Option<Config> {
    let root = files.root;
    let runtime = runtime(root, cores);
    let workers = runtime.as_ref().map_or(1, |it| it.workers as u64);
    addresses_once(root, findings);
    let listeners = listeners::validate(items(&root.listeners), workers, findings);
    if root.listeners.value.as_ref().is_some_and(Vec::is_empty) {
        let made = findings.error(root.listeners.place, "there are no listeners");
        made.hint("add a [[listeners]] table with a name and an address");
    }
    let upstreams = upstreams::validate(files, outside, workers, findings);
    let routes = routes::validate(files, outside, workers, findings);
    pace(root, findings);
    for pattern in items(&root.include).iter().filter(|it| it.value.as_deref() == Some("")) {
        findings.error(pattern.place, "the pattern is empty").hint("as \"routes.d/*.toml\"");
    }
    let rules = rules::validate(root, findings);
    admin_is_local(root, findings);
    let etcd = root.etcd.value.as_ref().map(|it| etcd::validate(it, findings));
    if findings.has_errors() {
        return None;
    }
    let log = root.log.value.as_ref()?;
    Some(Config {
        runtime: runtime?,
        admin: match root.admin.given {
            true => Some(admin(root)?),
            false => None,
        },
        etcd: match etcd {
            Some(settings) => Some(settings?),
            None => None,
        },
        log: LogSettings { level: log.level.value?, format: log.format.value? },
        access_log: root
            .access_log
            .value
            .as_ref()
            .map_or(Some(AccessLog::Off), |it| it.path.value.clone())?,
        shutdown_drain: root.shutdown.value.as_ref()?.drain_timeout.value?,
        listeners: listeners?,
        upstreams: upstreams?,
        routes: Arc::new(routes?),
        control: control(root)?,
        rules: rules?,
        overload: overload::validate(root)?,
        warnings: Vec::new(),
        written: "{}".into(),
    })
}

fn control(root: &Root) -> Option<Control> {
    let raw = root.control.value.as_ref()?;
    Some(Control {
        watch: raw.watch.value?,
        rebuild_min_interval: raw.rebuild_min_interval.value?,
        rebuild_max_delay: raw.rebuild_max_delay.value?,
    })
}

/// A bound that is never reached is a mistake.
fn pace(root: &Root, findings: &mut Findings) {
    let Some(raw) = &root.control.value else { return };
    if let (Some(interval), Some(Some(delay))) = (raw.rebuild_min_interval.value, raw.rebuild_max_delay.value)
        && raw.rebuild_max_delay.given
        && delay > interval
    {
        let made = findings.warn(raw.rebuild_max_delay.place, "no change ever waits that long");
        made.hint("with rebuild_min_interval alone a change waits for that long at most");
    }
}

fn runtime(root: &Root, cores: usize) -> Option<Runtime> {
    let raw = root.runtime.value.as_ref()?;
    let workers = raw.workers.value?.map_or(cores.max(1), |it| it as usize);
    Some(Runtime { workers, pin_cores: raw.pin_cores.value?, driver: raw.driver.value? })
}

fn admin(root: &Root) -> Option<Admin> {
    let raw = root.admin.value.as_ref()?;
    let token_file = raw.token_file.value.clone();
    Some(Admin { address: raw.address.value.clone()?, token_file, metrics_open: raw.metrics_open.value? })
}

fn items<T>(field: &Field<Vec<Item<T>>>) -> &[Item<T>] {
    field.value.as_deref().unwrap_or(&[])
}

/// The elements that were read, whatever is wrong inside them.
fn good<T>(items: &[Item<T>]) -> impl Iterator<Item = &T> {
    items.iter().filter_map(|it| it.value.as_ref())
}

/// Names that are taken, to find those given twice.
struct Names<F> {
    kind: &'static str,
    taken: HashMap<String, Place>,
    /// Who else has a name.
    elsewhere: F,
}

impl<F: Fn(&str) -> Option<String>> Names<F> {
    fn of(kind: &'static str, elsewhere: F) -> Names<F> {
        Names { kind, taken: HashMap::new(), elsewhere }
    }

    fn take(&mut self, name: &Field<String>, findings: &mut Findings) {
        let Some(text) = &name.value else { return };
        if let Some(other) = self.taken.get(text) {
            let made = findings.error(name.place, format!("the {} name `{text}` is given twice", self.kind));
            made.other(*other).hint("logs and metrics tell them apart by name: give it another");
        } else if let Some(owner) = (self.elsewhere)(text) {
            let made = findings.error(name.place, format!("the {} name `{text}` is taken", self.kind));
            made.hint(format!("{owner} has one of this name: change its name here, or remove that one"));
        } else {
            self.taken.insert(text.clone(), name.place);
        }
    }
}

/// Two listeners, or a listener and the admin listener, can't have the same address. 0.0.0.0 takes a port of every
/// IPv4 address, `[::]` of every IPv6 address; port 0 is any free port and never the same twice.
fn addresses_once(root: &Root, findings: &mut Findings) {
    let admin = root.admin.value.as_ref().map(|it| &it.address);
    let all = good(items(&root.listeners)).map(|it: &Listener| &it.address).chain(admin);
    let mut seen: Vec<(&Address, Place)> = Vec::new();
    for field in all {
        let Some(address) = &field.value else { continue };
        if let Some((other, place)) = seen.iter().find(|(other, _)| other.overlaps(address)) {
            let same = if *other == address { "is in use twice" } else { "overlaps with another" };
            let made = findings.error(field.place, format!("this address {same}"));
            made.other(*place).hint(
                "each listener needs an address of its own; 0.0.0.0 takes all of IPv4, [::] all of IPv6",
            );
        }
        seen.push((address, field.place));
    }
}

fn admin_is_local(root: &Root, findings: &mut Findings) {
    let Some(admin) = &root.admin.value else { return };
    if let Some(Address::Tcp(address)) = &admin.address.value
        && !address.ip().to_canonical().is_loopback()
        && !admin.token_file.given
    {
        let message = "whoever reaches this address could change everything";
        let made = findings.error(admin.address.place, message);
        made.hint("set admin.token_file, or listen on 127.0.0.1, [::1] or unix:/PATH");
    }
}
