//! Config and resolved names to the table that workers read.

use std::{collections::HashSet, sync::Arc};

use super::{
    config::{self, Config, Target},
    identities::Identities,
    resolve::Resolved,
};
use crate::{
    route::{BuildError, Listener, Route, RouteTable},
    upstream::{Address, Endpoint, Upstream},
};

/// Builds the table of `config`. Names that `resolved` has no answer for give no endpoints; an upstream without any
/// answers 503. What had an identity keeps it.
///
/// # Errors
/// Routes that the table refuses. [`load`](config::load) has tried the same routes, so a loaded config has none.
pub fn compile(
    config: &Config,
    resolved: &Resolved,
    identities: &mut Identities,
    generation: u64,
) -> Result<RouteTable, Vec<BuildError>> {
    let upstreams = config.upstreams.iter().map(|it| Arc::new(upstream(it, resolved, identities))).collect();
    let listeners = config
        .listeners
        .iter()
        .map(|it| Arc::new(Listener { id: identities.listener(&it.name), ..it.clone() }))
        .collect();
    let routes = config.routes.iter().map(|it| route(it, identities)).collect();
    let mut table = RouteTable::build(generation, routes, upstreams, listeners)?;
    table.rules = config.rules.clone();
    Ok(table)
}

fn upstream(from: &config::Upstream, resolved: &Resolved, identities: &mut Identities) -> Upstream {
    let id = identities.upstream(&from.name);
    let mut endpoints = Vec::with_capacity(from.endpoints.len());
    let mut seen = HashSet::new();
    for endpoint in &from.endpoints {
        for address in addresses(&endpoint.target, resolved) {
            // Two names may lead to one address. The first one counts, as the first of two lines in a file would.
            if seen.insert(address.clone()) {
                endpoints.push(Endpoint {
                    id: identities.endpoint(id, &address),
                    label: config::address_text(&address).into(),
                    address,
                    weight: endpoint.weight,
                });
            }
        }
    }
    Upstream {
        id,
        name: from.name.clone(),
        balance: from.balance,
        endpoints: endpoints.into(),
        pool: from.pool,
        timeouts: from.timeouts,
    }
}

fn addresses(target: &Target, resolved: &Resolved) -> Vec<Address> {
    match target {
        Target::Address(address) => vec![address.clone()],
        Target::Name(name) => resolved.addresses(name).iter().copied().map(Address::Tcp).collect(),
    }
}

fn route(from: &config::Route, identities: &mut Identities) -> Route {
    Route {
        id: identities.route(&from.name),
        name: from.name.clone(),
        predicates: from.predicates.clone(),
        action: from.action.clone(),
        rewrite_path_prefix: from.rewrite_path_prefix.clone(),
        rewrite_host: from.rewrite_host.clone(),
        request_headers: from.request_headers.clone(),
        response_headers: from.response_headers.clone(),
    }
}
