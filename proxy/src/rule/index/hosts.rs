//! From a request's host to the conditions that name it, or a domain above it.

use super::{Found, fixed};
use crate::{
    route::{HostPattern, host::NAME_BYTES_MAX, index::hash::ByteMap},
    rule::condition::Condition,
};

#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: ByteMap<Box<[u32]>>,
    /// By what follows the `*`, leading dot included.
    wildcard: ByteMap<Box<[u32]>>,
    /// Bytes of the longest key of `wildcard`, which bounds how many ends of a host are looked up.
    wildcard_bytes_max: usize,
}

impl Hosts {
    pub(super) fn build<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Hosts {
        let (mut exact, mut wildcard) = (ByteMap::<Vec<u32>>::default(), ByteMap::<Vec<u32>>::default());
        for (number, condition) in conditions {
            let Condition::Hosts(hosts) = condition else { continue };
            for host in hosts {
                let (lists, text) = match host {
                    HostPattern::Exact(name) => (&mut exact, name),
                    HostPattern::Wildcard(suffix) => (&mut wildcard, suffix),
                };
                lists.entry(text.as_bytes().into()).or_default().push(number);
            }
        }
        let wildcard_bytes_max = wildcard.keys().map(|suffix| suffix.len()).max().unwrap_or(0);
        Hosts { exact: fixed(exact), wildcard: fixed(wildcard), wildcard_bytes_max }
    }

    #[inline]
    pub(super) fn mark(&self, host: &str, lowered: &mut Vec<u8>, found: &mut Found<'_>) {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return;
        }
        let host = host.as_bytes();
        let host = host.strip_suffix(b".").unwrap_or(host);
        lowered.clear();
        // What is longer than any name has no equal.
        if host.len() <= NAME_BYTES_MAX {
            lowered.extend(host.iter().map(u8::to_ascii_lowercase));
        }
        let host = lowered.as_slice();
        if let Some(conditions) = self.exact.get(host) {
            found.all_hold(conditions);
        }
        if self.wildcard.is_empty() {
            return;
        }
        // A wildcard wants something before the dot, and what is longer than the longest key has no equal.
        let start = host.len().saturating_sub(self.wildcard_bytes_max).max(1);
        let tail = host.get(start..).unwrap_or_default();
        for dot in memchr::memchr_iter(b'.', tail) {
            if let Some(conditions) = tail.get(dot..).and_then(|suffix| self.wildcard.get(suffix)) {
                found.all_hold(conditions);
            }
        }
    }
}
