//! Deadlines without a timer each: one coarse tick per worker looks over one flat array.
//!
//! A timer future per read costs about two percent of a request (see ARCHITECTURE.md). Here a connection owns a
//! *slot*; arming a deadline stores one word, and the tick compares the words of all slots with its own count. A
//! timeout ends between its length and one tick more.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::limits::TICK;

const NEVER: u32 = u32::MAX;
const FIRED: u32 = u32::MAX - 1;
const TICKS_PER_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;

const _: () = assert!(TICK.as_secs() == 0 && 1_000_000_000 % TICK.subsec_nanos() == 0);

/// The slots of one worker.
#[derive(Default)]
pub struct Deadlines {
    now: Cell<u32>,
    due: RefCell<Vec<u32>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    /// What each slot's owner waits for.
    rests: RefCell<Vec<Rest>>,
    /// The door that each slot's owner came by; 0: none.
    doors: RefCell<Vec<u32>>,
    free: RefCell<Vec<u32>>,
}

/// What somebody waits for, and so who may end the wait before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Something under way: nobody.
    Busy,
    /// Something that is soon over: draining.
    Brief,
    /// The first request of a connection: draining, and the end of its listener after a while.
    First,
    /// The next request, or the next client: draining, and the end of its listener.
    Next,
}

/// How long a wait may be. A `Duration` is the plain case.
pub trait Patience {
    /// The wait begins: this long. `None`: there was too much waiting already.
    fn begin(&self) -> Option<Duration>;

    /// That time is over: so much more, or none.
    fn more(&self) -> Option<Duration> {
        None
    }

    /// It has ended by what was waited for.
    fn end(&self) {}

    /// So many bytes have moved, after a wait or without one.
    fn moved(&self, _bytes: usize) {}
}

impl Patience for Duration {
    fn begin(&self) -> Option<Duration> {
        Some(*self)
    }
}

/// The wait was longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadlines {
    /// A slot of one's own.
    pub fn timer(self: &Rc<Self>) -> Timer {
        self.timer_at(0)
    }

    /// A slot for who came by the door of this number.
    pub fn timer_at(self: &Rc<Self>, door: u32) -> Timer {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.due.borrow_mut().push(NEVER);
            self.wakers.borrow_mut().push(None);
            self.rests.borrow_mut().push(Rest::Busy);
            self.doors.borrow_mut().push(0);
            (self.due.borrow().len() - 1) as u32
        });
        if let Some(place) = self.doors.borrow_mut().get_mut(slot as usize) {
            *place = door;
        }
        Timer { deadlines: Rc::clone(self), slot, cap: Cell::new(NEVER) }
    }

    /// How long it has been counting, to a tick.
    pub fn uptime(&self) -> Duration {
        TICK * self.now.get()
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

    /// Ends every wait that is no part of an exchange: the worker drains.
    pub fn fire_idle(&self) {
        self.fire(|rest, _| rest != Rest::Busy);
    }

    /// Ends the waits of this kind that belong to a door.
    pub fn fire_at(&self, door: u32, wanted: Rest) {
        self.fire(|rest, its| its == door && rest == wanted);
    }

    /// Ends every wait there is.
    pub fn fire_all(&self) {
        self.fire(|_, _| true);
    }

    fn fire(&self, ends: impl Fn(Rest, u32) -> bool) {
        let (rests, doors) = (self.rests.borrow(), self.doors.borrow());
        let (mut due, mut wakers) = (self.due.borrow_mut(), self.wakers.borrow_mut());
        let slots = due.iter_mut().zip(wakers.iter_mut()).zip(rests.iter().zip(doors.iter()));
        for ((due, waker), (rest, door)) in slots {
            if *due != FIRED && ends(*rest, *door) {
                *due = FIRED;
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn ticks(&self, wait: Duration) -> u32 {
        let ticks = wait.as_secs().saturating_mul(TICKS_PER_SECOND)
            + u64::from(wait.subsec_nanos().div_ceil(TICK.subsec_nanos()));
        // One more: the current tick is already partly over.
        let ticks = ticks.min(u64::from(NEVER / 2)) as u32 + 1;
        self.now.get().saturating_add(ticks).min(FIRED - 1)
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

    /// What is left of the bound set by `cap`, or up to a tick less. `None`: there is none.
    pub fn left(&self) -> Option<Duration> {
        let cap = self.cap.get();
        (cap != NEVER).then(|| TICK * cap.saturating_sub(self.deadlines.now.get()).saturating_sub(1))
    }

    /// Whether the bound set by `cap` has passed.
    pub fn cap_passed(&self) -> bool {
        self.cap.get() <= self.deadlines.now.get()
    }

    /// Runs `future` for at most `wait`.
    pub fn within<P: Patience, F: Future>(&self, wait: P, future: F) -> Within<'_, P, F> {
        self.rest_within(Rest::Busy, wait, future)
    }

    /// As `within`, for a wait that may be ended before.
    pub fn rest_within<P: Patience, F: Future>(&self, rest: Rest, wait: P, future: F) -> Within<'_, P, F> {
        Within { timer: self, wait, rest, armed: false, future }
    }

    fn mark(&self, rest: Rest) {
        if let Some(slot) = self.deadlines.rests.borrow_mut().get_mut(self.slot as usize) {
            *slot = rest;
        }
    }

    /// Begins a wait: from now on the slot's fate is this wait's.
    fn arm(&self, wait: Duration, rest: Rest) {
        self.set(self.deadlines.ticks(wait).min(self.cap.get()));
        self.mark(rest);
    }

    fn disarm(&self) {
        self.set(NEVER);
        self.mark(Rest::Busy);
    }

    /// Has `cx` woken when the slot fires. A slot is one task's, so this clones a waker once and then only compares.
    fn register(&self, cx: &Context<'_>) {
        let mut wakers = self.deadlines.wakers.borrow_mut();
        if let Some(slot) = wakers.get_mut(self.slot as usize)
            && !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *slot = Some(cx.waker().clone());
        }
    }
}

pin_project_lite::pin_project! {
    /// A future with a deadline. Written out, not an `async fn`, which would hold the inner future twice: futures of
    /// connections are what a worker's caches are full of.
    pub struct Within<'a, P, F> {
        timer: &'a Timer,
        wait: P,
        rest: Rest,
        armed: bool,
        #[pin]
        future: F,
    }
}

impl<P: Patience, F: Future> Future for Within<'_, P, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = this.future.poll(cx);
        if !*this.armed && output.is_pending() {
            // What is done at once never arms anything.
            let Some(wait) = this.wait.begin() else { return Poll::Ready(Err(Elapsed)) };
            *this.armed = true;
            this.timer.arm(wait, *this.rest);
        } else if *this.armed && output.is_pending() && this.timer.fired() {
            match this.wait.more() {
                Some(more) if !this.timer.cap_passed() => this.timer.arm(more, *this.rest),
                _ => {
                    this.timer.disarm();
                    return Poll::Ready(Err(Elapsed));
                }
            }
        }
        match output {
            Poll::Pending => {
                this.timer.register(cx);
                Poll::Pending
            }
            Poll::Ready(output) => {
                if *this.armed {
                    this.timer.disarm();
                    this.wait.end();
                }
                Poll::Ready(Ok(output))
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
        if let Some(waker) = self.deadlines.wakers.borrow_mut().get_mut(self.slot as usize) {
            *waker = None;
        }
        self.deadlines.free.borrow_mut().push(self.slot);
    }
}
