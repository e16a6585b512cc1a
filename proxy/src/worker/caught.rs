//! Panics end what they happen in, and nothing else.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// A future that may panic. Written out, not an `async fn`, which would hold it twice: there is one for every connection.
    pub struct Caught<F> {
        #[pin]
        future: F,
    }
}

/// Runs `future`; a panic in it ends it alone, with `Err`.
pub fn caught<F: Future<Output = ()>>(future: F) -> Caught<F> {
    Caught { future }
}

impl<F: Future<Output = ()>> Future for Caught<F> {
    type Output = Result<(), ()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // Whatever the future holds is dropped right after and seen by nobody in between.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(())),
        }
    }
}
