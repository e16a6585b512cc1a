//! Words that one thread writes and any thread reads.
//!
//! A counter is an atomic, which is otherwise kept out of this code, because the control thread reads it while its
//! owner writes it. There is one writer by construction, so an addition is a plain load and a plain store, never a
//! locked read-modify-write; and all words of a worker lie on cache lines that nobody else writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows, until the process ends. One writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the thread that owns the counter may.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one. Only the thread that owns the counter may.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// The number as it stands.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down. One writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the number. Only the thread that owns the gauge may.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Adds one. Only the thread that owns the gauge may.
    #[inline]
    pub fn inc(&self) {
        self.set(self.get().wrapping_add(1));
    }

    /// Takes one away; at zero it stays there, which only a mistake of ours can reach. Only the thread that owns the
    /// gauge may.
    #[inline]
    pub fn dec(&self) {
        let value = self.get();
        debug_assert!(value > 0, "a gauge went below zero");
        self.set(value.saturating_sub(1));
    }

    /// The number as it stands.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_and_gauges_move_both_ways() {
        let counter = Counter::default();
        counter.inc();
        counter.add(41);
        assert_eq!(counter.get(), 42);

        let gauge = Gauge::default();
        gauge.inc();
        gauge.inc();
        gauge.dec();
        assert_eq!(gauge.get(), 1);
        gauge.set(7);
        assert_eq!(gauge.get(), 7);
    }
}
