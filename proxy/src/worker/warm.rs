//! A boxed future whose memory is asked for before it is polled.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// A future on the heap. With many connections its state has left the near caches by the time that it is polled again. An
/// `async fn` is polled from the outside in, and each level would wait for the line that says where it had come to;
/// asked for at once, all lines come together.
pub struct Warm<F>(Pin<Box<F>>);

impl<F: Future> Warm<F> {
    /// Moves `future` to the heap.
    pub fn new(future: F) -> Warm<F> {
        Warm(Box::pin(future))
    }
}

impl<F: Future> Future for Warm<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let start = (&raw const *self.0).cast::<u8>();
        for at in (0..size_of::<F>()).step_by(LINE_BYTES) {
            prefetch(start.wrapping_add(at));
        }
        self.0.as_mut().poll(cx)
    }
}

/// Has the processor fetch a cache line, where there is a stable way to say so.
#[inline]
fn prefetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which faults on no address and changes nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
