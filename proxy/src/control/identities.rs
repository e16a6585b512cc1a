//! Stable identities: what keeps its name keeps its number, for the life of the process.
//!
//! A worker's pools, cursors, in-flight counts and histograms are keyed by these numbers, so they outlive a reload.
//! A number is never given to anything else, not even after its owner is gone. Lives on the control thread.

use std::collections::HashMap;

use crate::upstream::Address;

/// Numbers by name, one space of numbers per kind of thing.
#[derive(Debug, Default)]
pub struct Identities {
    listeners: HashMap<String, u32>,
    upstreams: HashMap<String, u32>,
    endpoints: HashMap<(u32, Address), u32>,
    routes: HashMap<String, u32>,
}

impl Identities {
    /// None given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the listener of this name.
    pub fn listener(&mut self, name: &str) -> u32 {
        by_name(&mut self.listeners, name)
    }

    /// The number of the upstream of this name.
    pub fn upstream(&mut self, name: &str) -> u32 {
        by_name(&mut self.upstreams, name)
    }

    /// The number of the route of this name.
    pub fn route(&mut self, name: &str) -> u32 {
        by_name(&mut self.routes, name)
    }

    /// The number of an address within the upstream that has the number `upstream`.
    pub fn endpoint(&mut self, upstream: u32, address: &Address) -> u32 {
        let next = number(self.endpoints.len());
        *self.endpoints.entry((upstream, address.clone())).or_insert(next)
    }
}

fn by_name(numbers: &mut HashMap<String, u32>, name: &str) -> u32 {
    if let Some(number) = numbers.get(name) {
        return *number;
    }
    let next = number(numbers.len());
    numbers.insert(name.to_owned(), next);
    next
}

/// Numbers are given in turn from 0 and entries never leave, so the count is the next free one. Beyond 2^32 names
/// (a control thread would have run out of memory long before) the last number is shared rather than wrapped.
fn number(given: usize) -> u32 {
    u32::try_from(given).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_kinds_do_not_mix() {
        let mut ids = Identities::new();
        assert_eq!(ids.upstream("a"), 0);
        assert_eq!(ids.upstream("b"), 1);
        assert_eq!(ids.upstream("a"), 0);
        assert_eq!(ids.route("b"), 0);
        assert_eq!(ids.listener("b"), 0);
    }

    #[test]
    fn an_endpoint_is_its_upstream_and_its_address() {
        let mut ids = Identities::new();
        let address = Address::Tcp(([127, 0, 0, 1], 9000).into());
        let first = ids.endpoint(0, &address);
        assert_ne!(
            first,
            ids.endpoint(1, &address),
            "the same address in another upstream has a pool of its own"
        );
        assert_eq!(first, ids.endpoint(0, &address));
    }
}
