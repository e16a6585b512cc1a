//! What workers are told to do, and what they say of it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What the control thread asks of all workers, and what one answers.
#[derive(Debug, Default)]
pub struct Orders {
    state: AtomicU8,
    pub(super) busy: Box<[AtomicU64]>,
}

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    /// Serve.
    Serve = 0,
    /// Accept no more, finish what is under way, close what is idle.
    Drain = 1,
    /// End everything now.
    Cut = 2,
}

impl Orders {
    /// For so many workers, all serving.
    pub fn new(workers: usize) -> Orders {
        // A worker counts as busy until it has said that it is not.
        Orders { state: AtomicU8::new(0), busy: (0..workers).map(|_| AtomicU64::new(1)).collect() }
    }

    /// Tells every worker; they hear it with their next tick.
    pub fn give(&self, order: Order) {
        self.state.store(order as u8, Ordering::Release);
    }

    /// What they were told last.
    pub fn heard(&self) -> Order {
        match self.state.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Cut,
        }
    }

    /// A worker has died, and whatever it was busy with has ended.
    pub fn died(&self, index: usize) {
        if let Some(busy) = self.busy.get(index) {
            busy.store(0, Ordering::Release);
        }
    }

    /// Whether every worker has stopped accepting and ended its connections.
    pub fn drained(&self) -> bool {
        self.busy.iter().all(|count| count.load(Ordering::Acquire) == 0)
    }
}
