//! Where the control thread puts a table and workers find it: the one `ArcSwap`.

#![expect(clippy::disallowed_types, reason = "taken by the control thread alone")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use crate::route::RouteTable;

/// The table in force. Workers look at `generation` before every request; they touch the table's own reference count
/// only when it has changed.
#[repr(align(128))]
pub struct Published {
    generation: AtomicU64,
    table: ArcSwap<RouteTable>,
    /// Tables that workers may still hold. Kept so that the last reference is dropped here, not on a worker in the
    /// middle of a request.
    retired: Mutex<Vec<Arc<RouteTable>>>,
}

impl Published {
    /// With its first table.
    pub fn new(table: Arc<RouteTable>) -> Arc<Published> {
        table.prepare();
        let generation = AtomicU64::new(table.generation);
        Arc::new(Published { generation, table: ArcSwap::new(table), retired: Mutex::default() })
    }

    /// Makes `table` the one in force. Its generation must be higher than that of the one before.
    pub fn publish(&self, table: Arc<RouteTable>) {
        table.prepare();
        let generation = table.generation;
        debug_assert!(generation > self.generation(), "a table's generation must grow");
        let old = self.table.swap(table);
        // After the table: who sees the new number finds the new table, or a newer one.
        self.generation.store(generation, Ordering::Release);
        if let Ok(mut retired) = self.retired.lock() {
            retired.push(old);
        }
        self.reap();
    }

    /// Frees tables that no worker holds any more. The control thread calls it now and then.
    pub fn reap(&self) {
        if let Ok(mut retired) = self.retired.lock() {
            retired.retain(|table| Arc::strong_count(table) > 1);
        }
    }

    /// The number of the table in force.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The table in force.
    pub fn load(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }
}
