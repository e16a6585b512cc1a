//! Deadlines without a timer each: one coarse tick per worker looks over one flat array.
//!
//! A timer future per read costs about two percent of a request (see ARCHITECTURE.md). Here a connection owns a
//! *slot*; arming a deadline stores one word, and the tick compares the words of all slots with its own count. A
//! timeout ends between its length and one tick more.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use crate::limits::TICK;

const NEVER: u32 = u32::MAX;
const FIRED: u32 = u32::MAX - 1;

/// The slots of one worker.
#[derive(Default)]
pub struct Deadlines {
    now: Cell<u32>,
    due: RefCell<Vec<u32>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Slots whose owner waits for nothing but its next request: they end first when the worker drains.
    idle: RefCell<Vec<bool>>,
    free: RefCell<Vec<u32>>,
}

/// The wait was longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadlines {
    /// A slot of one's own.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.due.borrow_mut().push(NEVER);
            self.wakers.borrow_mut().push(None);
            self.idle.borrow_mut().push(false);
            (self.due.borrow().len() - 1) as u32
        });
        Timer { deadlines: Rc::clone(self), slot, cap: Cell::new(NEVER) }
    }

    /// One tick has passed (or `ticks` of them, when the loop was busy): wakes every slot that is due.
    pub fn advance(&self, ticks: u32) {
        // Wraps after 2.7 years at 20 ms; `NEVER` and `FIRED` stay above any count of a process's life.
        let now = self.now.get().saturating_add(ticks);
        self.now.set(now);
        let mut wakers = self.wakers.borrow_mut();
        for (due, waker) in self.due.borrow_mut().iter_mut().zip(wakers.iter_mut()) {
            if *due <= now {
                *due = FIRED;
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Ends the wait of every connection that is idle: the worker drains.
    pub fn fire_idle(&self) {
        let mut wakers = self.wakers.borrow_mut();
        let idle = self.idle.borrow();
        for ((due, waker), idle) in self.due.borrow_mut().iter_mut().zip(wakers.iter_mut()).zip(idle.iter()) {
            if *idle && *due != FIRED {
                *due = FIRED;
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Ends every wait there is.
    pub fn fire_all(&self) {
        self.idle.borrow_mut().fill(true);
        self.fire_idle();
    }

    fn ticks(&self, wait: Duration) -> u32 {
        let ticks = wait.as_nanos().div_ceil(TICK.as_nanos()).min(u128::from(NEVER / 2)) as u32;
        // One more: the current tick is already partly over.
        self.now.get().saturating_add(ticks).saturating_add(1).min(FIRED - 1)
    }
}

/// A connection's slot. One wait at a time.
pub struct Timer {
    deadlines: Rc<Deadlines>,
    slot: u32,
    /// No deadline of this slot lies behind this one: the limit of a whole request.
    cap: Cell<u32>,
}

impl Timer {
    fn set(&self, due: u32) {
        if let Some(slot) = self.deadlines.due.borrow_mut().get_mut(self.slot as usize) {
            *slot = due;
        }
    }

    fn fired(&self) -> bool {
        self.deadlines.due.borrow().get(self.slot as usize).is_none_or(|due| *due == FIRED)
    }

    /// Bounds all waits from now on to end within `wait`; `None` takes the bound away.
    pub fn cap(&self, wait: Option<Duration>) {
        self.cap.set(wait.map_or(NEVER, |wait| self.deadlines.ticks(wait)));
    }

    /// Moves the end of the wait that is under way to `wait` from now.
    pub fn extend(&self, wait: Duration) {
        if !self.fired() {
            self.set(self.deadlines.ticks(wait).min(self.cap.get()));
        }
    }

    /// Whether the bound set by `cap` has passed.
    pub fn cap_passed(&self) -> bool {
        self.cap.get() <= self.deadlines.now.get()
    }

    /// Runs `future` for at most `wait`.
    pub async fn within<F: Future>(&self, wait: Duration, future: F) -> Result<F::Output, Elapsed> {
        let due = self.deadlines.ticks(wait).min(self.cap.get());
        self.set(due);
        let mut future = pin!(future);
        let result = poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.fired() {
                return Poll::Ready(Err(Elapsed));
            }
            let mut wakers = self.deadlines.wakers.borrow_mut();
            if let Some(slot) = wakers.get_mut(self.slot as usize)
                && !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                *slot = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
        self.set(NEVER);
        result
    }

    /// As `within`, and marks the slot as idle meanwhile, so that draining ends the wait.
    pub async fn idle_within<F: Future>(&self, wait: Duration, future: F) -> Result<F::Output, Elapsed> {
        self.mark_idle(true);
        let result = self.within(wait, future).await;
        self.mark_idle(false);
        result
    }

    fn mark_idle(&self, idle: bool) {
        if let Some(slot) = self.deadlines.idle.borrow_mut().get_mut(self.slot as usize) {
            *slot = idle;
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.set(NEVER);
        self.mark_idle(false);
        if let Some(waker) = self.deadlines.wakers.borrow_mut().get_mut(self.slot as usize) {
            *waker = None;
        }
        self.deadlines.free.borrow_mut().push(self.slot);
    }
}
