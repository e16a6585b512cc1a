//! The proxy's allocator, counting what each thread takes. Counting is one addition to a word of the thread's own, so
//! designs that allocate are not made to look slow.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    hint::black_box,
};

use mimalloc::MiMalloc;

use crate::case::Case;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// mimalloc, counted.
pub struct Counting;

fn count() {
    TAKEN.set(TAKEN.get() + 1);
}

// SAFETY: every call goes to mimalloc as it came; the count is a word without a destructor, which neither allocates
// nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.realloc(place, layout, size) }
    }
}

/// Allocations of one operation, once it has warmed up.
pub fn per_operation(case: &Case) -> f64 {
    let mut run = (case.prepare)();
    run(case.counted);
    let before = TAKEN.get();
    run(case.counted);
    let taken = black_box(TAKEN.get() - before);
    taken as f64 / case.counted as f64
}
