//! Counts by names that a config gives: of rules, of tags. Plain values of one thread.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::merged::OTHER_ROUTES;
use crate::limits::RULE_COUNTERS_MAX;

/// How often each name was counted. A name that a later config lacks keeps its count.
#[derive(Debug, Clone, Default)]
pub struct NamedCounts {
    counts: HashMap<Arc<str>, u64>,
    /// Names beyond `RULE_COUNTERS_MAX`, together.
    other: u64,
}

impl NamedCounts {
    /// Counts `name` once more.
    pub fn count(&mut self, name: &Arc<str>) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < RULE_COUNTERS_MAX {
            self.counts.insert(Arc::clone(name), 1);
        } else {
            self.other += 1;
        }
    }

    /// Adds what has been counted to `sums`.
    pub fn add_to(&self, sums: &mut BTreeMap<Arc<str>, u64>) {
        for (name, count) in &self.counts {
            *sums.entry(Arc::clone(name)).or_default() += count;
        }
        if self.other > 0 {
            *sums.entry(OTHER_ROUTES.into()).or_default() += self.other;
        }
    }

    /// Adds all that another worker has counted.
    pub(super) fn absorb(&mut self, other: &NamedCounts) {
        for (name, count) in &other.counts {
            if let Some(mine) = self.counts.get_mut(name) {
                *mine += count;
            } else if self.counts.len() < RULE_COUNTERS_MAX {
                self.counts.insert(Arc::clone(name), *count);
            } else {
                self.other += count;
            }
        }
        self.other += other.other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut counts = NamedCounts::default();
        for i in 0..RULE_COUNTERS_MAX + 2 {
            counts.count(&i.to_string().into());
        }
        counts.count(&"0".into());
        let mut both = counts.clone();
        both.absorb(&counts);
        let mut sums = BTreeMap::new();
        both.add_to(&mut sums);
        assert_eq!(sums.len(), RULE_COUNTERS_MAX + 1);
        assert_eq!((sums["0"], sums["1"], sums[OTHER_ROUTES]), (4, 2, 4));
    }
}
