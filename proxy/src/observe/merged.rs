//! The histograms of all workers, added up.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    board::Collected,
    histogram::{PROCESS_DIGITS, PhaseHistograms, ROUTE_DIGITS},
};

/// The histograms of all workers that answered, added up.
#[derive(Debug)]
pub struct Merged {
    /// Over all exchanges.
    pub process: PhaseHistograms<u64>,
    /// By the route's name, in alphabetical order.
    pub routes: BTreeMap<Arc<str>, PhaseHistograms<u64>>,
    /// Routes beyond the bound on histograms.
    pub other: PhaseHistograms<u64>,
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
            other: PhaseHistograms::new(ROUTE_DIGITS),
            answered: collected.snapshots.iter().map(|snapshot| snapshot.worker).collect(),
            silent: collected.silent.clone(),
        };
        for snapshot in &collected.snapshots {
            merged.process.absorb(&snapshot.process);
            merged.other.absorb(&snapshot.other);
            for route in &snapshot.routes {
                let phases = merged.routes.entry(Arc::clone(&route.name));
                phases.or_insert_with(|| PhaseHistograms::new(ROUTE_DIGITS)).absorb(&route.phases);
            }
        }
        merged.answered.sort_unstable();
        merged
    }
}
