//! The histograms of all workers, added up.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    board::Collected,
    flow::Flow,
    histogram::{PROCESS_DIGITS, PhaseHistograms, ROUTE_DIGITS},
};

/// The name under which routes beyond the bound on histograms are shown together.
pub const OTHER_ROUTES: &str = "(other)";

/// The histograms of all workers that answered, added up.
#[derive(Debug)]
pub struct Merged {
    /// Over all exchanges.
    pub process: PhaseHistograms<u64>,
    /// By the route's name, in alphabetical order; `OTHER_ROUTES` is there when it was needed.
    pub routes: BTreeMap<Arc<str>, PhaseHistograms<u64>>,
    /// Matches by rule.
    pub rules: BTreeMap<Arc<str>, u64>,
    /// Requests by tag.
    pub tags: BTreeMap<Arc<str>, u64>,
    /// What upstreams have had to do, by name: of those that had anything.
    pub flows: BTreeMap<Arc<str>, Flow>,
    /// Workers that are in it.
    pub answered: Vec<usize>,
    /// Workers that did not answer in time.
    pub silent: Vec<usize>,
}

impl Merged {
    /// Adds up what was collected.
    pub fn of(collected: &Collected) -> Self {
        let mut merged = Self {
            process: PhaseHistograms::new(PROCESS_DIGITS),
            routes: BTreeMap::new(),
            rules: BTreeMap::new(),
            tags: BTreeMap::new(),
            flows: BTreeMap::new(),
            answered: collected.snapshots.iter().map(|snapshot| snapshot.worker).collect(),
            silent: collected.silent.clone(),
        };
        for snapshot in &collected.snapshots {
            merged.process.absorb(&snapshot.process);
            for route in &snapshot.routes {
                merged.route(&route.name).absorb(&route.phases);
            }
            snapshot.rules.add_to(&mut merged.rules);
            snapshot.tags.add_to(&mut merged.tags);
            for flow in &snapshot.flows {
                merged.flows.entry(Arc::clone(&flow.name)).or_default().add(flow);
            }
            if !snapshot.other.is_empty() {
                merged.route(&OTHER_ROUTES.into()).absorb(&snapshot.other);
            }
        }
        merged.answered.sort_unstable();
        merged
    }

    /// Workers that there are.
    pub fn workers(&self) -> usize {
        self.answered.len() + self.silent.len()
    }

    fn route(&mut self, name: &Arc<str>) -> &mut PhaseHistograms<u64> {
        self.routes.entry(Arc::clone(name)).or_insert_with(|| PhaseHistograms::new(ROUTE_DIGITS))
    }
}
