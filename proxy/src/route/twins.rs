//! Routes that no request can tell apart.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{build::BuildError, host::HostPattern, prepared::Prepared};

/// Pairs of routes that ask the same of a request on the same host: the later one could never win.
#[derive(Default)]
pub(super) struct Twins {
    /// By the later one and the place of the host among its hosts: the earlier one.
    found: BTreeMap<(usize, usize), usize>,
}

impl Twins {
    /// Looks for pairs among the routes at `hosts`, which all have the same: `positions` in `routes`, in order. Only
    /// pairs with one that is new are looked for.
    pub(super) fn look(
        &mut self,
        routes: &[Arc<Prepared>],
        hosts: &[Option<&HostPattern>],
        positions: &[u32],
        is_new: impl Fn(u32) -> bool,
    ) {
        let hash = |position: &u32| routes.get(*position as usize).map(|it| it.asked_hash);
        // First by hash, because nearly always there are no twins; how many have each hash that a new one has.
        let mut asked: HashMap<u64, u32> = HashMap::new();
        for position in positions.iter().filter(|it| is_new(**it)) {
            asked.extend(hash(position).map(|hash| (hash, 0)));
        }
        let mut alike = Vec::new();
        for position in positions {
            if let Some(hash) = hash(position)
                && let Some(count) = asked.get_mut(&hash)
            {
                *count += 1;
                alike.push((*position, hash));
            }
        }
        alike.retain(|(_, hash)| asked.get(hash).is_some_and(|count| *count > 1));
        let mut first: HashMap<String, usize> = HashMap::new();
        for (position, _) in alike {
            let position = position as usize;
            let Some(route) = routes.get(position) else { continue };
            let other = *first.entry(route.asked()).or_insert(position);
            if other == position {
                continue;
            }
            for host in hosts {
                let place = route.hosts().position(|it| it == *host).unwrap_or(0);
                self.found.insert((position, place), other);
            }
        }
    }

    /// What is wrong, each pair once.
    pub(super) fn errors(&self, routes: &[Arc<Prepared>]) -> Vec<BuildError> {
        let mut told = HashSet::new();
        let error = |((later, place), first): (&(usize, usize), &usize)| {
            let (one, other) = (routes.get(*first)?, routes.get(*later)?);
            if !told.insert((*first, *later)) {
                return None;
            }
            let host = other.hosts().nth(*place).flatten();
            let place = host.map_or_else(|| "any host".to_owned(), |host| format!("host {host}"));
            Some(BuildError {
                routes: vec![*first, *later],
                message: format!(
                    "routes \"{}\" and \"{}\" can never be told apart: on {place} both ask for the same path ({}), \
                     methods, headers and query; change one or remove it",
                    one.name, other.name, other.predicates.path,
                ),
            })
        };
        self.found.iter().filter_map(error).collect()
    }
}
