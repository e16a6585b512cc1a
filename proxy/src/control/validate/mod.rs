//! What was written to what can be used: references resolved, relations between keys held.
//!
//! Each key by itself has been read and bounded by `raw`. Here is what needs two keys or more. Checks go on where a
//! value is missing or wrong (that has been said already), so that one run finds everything.

mod headers;
mod listeners;
mod matches;
mod routes;
mod rules;
mod upstreams;

use std::collections::HashMap;

use super::{
    config::{AccessLog, Admin, Config, LogSettings, Runtime},
    raw::{
        document::Place,
        findings::Findings,
        section::Field,
        sections::{Listener, Root},
        spec::Item,
    },
};
use crate::upstream::Address;

/// Checks the whole. `None` when anything is wrong, which `findings` then has. `cores` is what `workers = "auto"`
/// stands for.
pub(crate) fn validate(root: &Root, cores: usize, findings: &mut Findings) -> Option<Config> {
    let runtime = runtime(root, cores);
    let workers = runtime.as_ref().map_or(1, |it| it.workers as u64);
    addresses_once(root, findings);
    let listeners = listeners::validate(items(&root.listeners), workers, findings);
    if root.listeners.value.as_ref().is_some_and(Vec::is_empty) {
        let made = findings.error(root.listeners.place, "there are no listeners");
        made.hint("add a [[listeners]] table with a name and an address");
    }
    let upstreams = upstreams::validate(items(&root.upstreams), workers, findings);
    let routes = routes::validate(root, findings);
    let rules = rules::validate(root, findings);
    admin_is_local(root, findings);
    if findings.has_errors() {
        return None;
    }
    let log = root.log.value.as_ref()?;
    Some(Config {
        runtime: runtime?,
        admin: admin(root),
        log: LogSettings { level: log.level.value?, format: log.format.value? },
        access_log: root
            .access_log
            .value
            .as_ref()
            .map_or(Some(AccessLog::Off), |it| it.path.value.clone())?,
        shutdown_drain: root.shutdown.value.as_ref()?.drain_timeout.value?,
        listeners: listeners?,
        upstreams: upstreams?,
        routes: routes?,
        rules: rules?,
        warnings: Vec::new(),
        in_force: serde_json::Value::Null,
    })
}

fn runtime(root: &Root, cores: usize) -> Option<Runtime> {
    let raw = root.runtime.value.as_ref()?;
    let workers = raw.workers.value?.map_or(cores.max(1), |it| it as usize);
    Some(Runtime { workers, pin_cores: raw.pin_cores.value?, driver: raw.driver.value? })
}

fn admin(root: &Root) -> Option<Admin> {
    let address = root.admin.value.as_ref()?.address.value.clone()?;
    Some(Admin { address })
}

fn items<T>(field: &Field<Vec<Item<T>>>) -> &[Item<T>] {
    field.value.as_deref().unwrap_or(&[])
}

/// The elements that were read, whatever is wrong inside them.
fn good<T>(items: &[Item<T>]) -> impl Iterator<Item = &T> {
    items.iter().filter_map(|it| it.value.as_ref())
}

/// Names that are taken, to find those given twice.
struct Names {
    kind: &'static str,
    taken: HashMap<String, Place>,
}

impl Names {
    fn of(kind: &'static str) -> Names {
        Names { kind, taken: HashMap::new() }
    }

    fn take(&mut self, name: &Field<String>, findings: &mut Findings) {
        let Some(text) = &name.value else { return };
        if let Some(other) = self.taken.get(text) {
            let made = findings.error(name.place, format!("the {} name `{text}` is given twice", self.kind));
            made.other(*other).hint("logs and metrics tell them apart by name: give it another");
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
        if let Some((other, place)) = seen.iter().find(|(other, _)| overlap(other, address)) {
            let same = if *other == address { "is in use twice" } else { "overlaps with another" };
            let made = findings.error(field.place, format!("this address {same}"));
            made.other(*place).hint(
                "each listener needs an address of its own; 0.0.0.0 takes all of IPv4, [::] all of IPv6",
            );
        }
        seen.push((address, field.place));
    }
}

fn overlap(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Unix(a), Address::Unix(b)) => a == b,
        (Address::Tcp(a), Address::Tcp(b)) => {
            // ::ffff:a.b.c.d is IPv4 in disguise.
            let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
            let any = one.is_unspecified() || other.is_unspecified();
            a.port() == b.port()
                && a.port() != 0
                && (one == other || (any && one.is_ipv4() == other.is_ipv4()))
        }
        _ => false,
    }
}

fn admin_is_local(root: &Root, findings: &mut Findings) {
    let Some(admin) = &root.admin.value else { return };
    if let Some(Address::Tcp(address)) = &admin.address.value
        && !address.ip().is_loopback()
    {
        let made =
            findings.warn(admin.address.place, "the admin listener can be reached from other machines");
        made.hint(
            "it asks for no password: use 127.0.0.1, [::1] or unix:/PATH, or keep others out by a firewall",
        );
    }
}
