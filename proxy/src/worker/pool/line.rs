//! The line: requests that wait for a connection, first come first served, each with a place that it may leave.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{Pool, Tried};
use crate::{
    error::Failure,
    worker::{Worker, deadline::Timer, socket::Socket},
};

/// A request that waits for a connection.
#[derive(Default)]
pub(super) struct Waiter {
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Pool {
    /// Waits for a turn. `since` is when the request waited first, kept for it: however often it must, it has
    /// `timeouts.queue` for all of it.
    pub(super) async fn wait_in_line(
        &self,
        worker: &Worker,
        tried: &mut Tried,
        since: &mut Option<Instant>,
        timer: &Timer,
        client: &Socket,
    ) -> Result<(), Failure> {
        if self.waiters.borrow().len() >= self.pending_max.get() as usize {
            return Err(Failure::QueueFull);
        }
        let started = Instant::now();
        let waited = started.duration_since(*since.get_or_insert(started));
        let wait = self.settings.borrow().timeouts.queue.saturating_sub(waited);
        if wait.is_zero() {
            return Err(Failure::QueueTimeout);
        }
        worker.counters().queue_waits.inc();
        let mut place = Place { pool: self, waiter: Rc::default(), used: false };
        self.waiters.borrow_mut().push_back(Rc::clone(&place.waiter));
        // Where descriptors are short, one may have been given back while nobody was in line.
        if self.idle.get() > 0 && self.promised.get() == 0 {
            self.grant();
        }
        let mut watch_client = true;
        let granted = timer
            .within(
                wait,
                poll_fn(|cx| {
                    if place.waiter.granted.get() {
                        return Poll::Ready(Ok(()));
                    }
                    *place.waiter.waker.borrow_mut() = Some(cx.waker().clone());
                    if watch_client && client_left(client, cx, &mut watch_client) {
                        return Poll::Ready(Err(Failure::ClientGone));
                    }
                    Poll::Pending
                }),
            )
            .await;
        tried.queue_us += started.elapsed().as_micros() as u64;
        match granted {
            Ok(result) => {
                place.used = result.is_ok();
                result
            }
            Err(_) => Err(Failure::QueueTimeout),
        }
    }

    /// Lets the next request in line try again: a connection has become idle, or a place free.
    pub(super) fn grant(&self) {
        while let Some(waiter) = self.waiters.borrow_mut().pop_front() {
            // A place that was left is only here when its owner could not take it out: skip it.
            if Rc::strong_count(&waiter) > 1 {
                waiter.granted.set(true);
                self.promised.set(self.promised.get() + 1);
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
                return;
            }
        }
    }
}

/// Whether the client has closed its side: nobody is left to answer. Bytes there are the next request, pipelined;
/// then nothing more is to be learnt from the watch and `watching` is cleared.
pub fn client_left(client: &Socket, cx: &mut Context<'_>, watching: &mut bool) -> bool {
    while client.poll_readable(cx).is_ready() {
        match client.peek() {
            Ok(0) => return true,
            Ok(_) => {
                *watching = false;
                return false;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

/// A place in the line. Left without having been used, it is taken out, and what it was granted is passed on.
struct Place<'a> {
    pool: &'a Pool,
    waiter: Rc<Waiter>,
    used: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let granted = self.waiter.granted.get();
        if granted {
            self.pool.promised.set(self.pool.promised.get() - 1);
        }
        if self.used {
            return;
        }
        self.pool.waiters.borrow_mut().retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
        if granted {
            self.pool.grant();
        }
    }
}
