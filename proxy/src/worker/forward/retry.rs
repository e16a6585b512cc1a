//! Whether a request is tried again, and how long that waits. See `docs/retries.md`.

use std::{cell::Cell, future::poll_fn, pin::pin, task::Poll, time::Duration};

use http::StatusCode;

use super::{Forward, is_idempotent, kept::Kept};
use crate::{
    error::Failure,
    observe::UpstreamWait,
    upstream::{Retries, backoff::pause, budget::Allowance, retries::Reason, share},
    worker::{
        connection::Client,
        exchange::Progress,
        pool::{Pool, Tried, client_left},
    },
};

/// What the tries of one request have in common. Only where the upstream has `retries`.
pub struct Retrying<'a> {
    rules: &'a Retries,
    /// What has gone of the request's body.
    pub kept: Kept<'a>,
    allowance: Allowance,
    /// Further tries made or decided on.
    again: Cell<u32>,
    /// What the next try is made for, and the wait before it.
    next: Cell<Option<(Reason, Duration)>>,
}

impl<'a> Retrying<'a> {
    /// For a request that has just come, which earns its part of the budget.
    pub fn new(client: &'a Client, pool: &Pool, rules: &'a Retries) -> Self {
        let worker = &*client.worker;
        let (workers, index) = (worker.setup.workers as u32, worker.setup.index as u32);
        let allowance = Allowance {
            percent: rules.budget_percent,
            per_second: share(rules.budget_min, workers.max(1), index),
        };
        pool.budget.borrow_mut().note_request(worker.deadlines.uptime(), allowance);
        Retrying {
            rules,
            kept: Kept::new(&worker.buffers, rules.buffer_bytes),
            allowance,
            again: Cell::new(0),
            next: Cell::new(None),
        }
    }

    /// Whether clients are told how many tries there were.
    pub fn tells(&self) -> bool {
        self.rules.header
    }

    /// What is left of a try's time for its response head, after so long a connect; `wait` is the upstream's own bound.
    pub fn head_within(&self, wait: Duration, connect: Duration) -> Duration {
        self.rules.try_timeout.map_or(wait, |each| wait.min(each.saturating_sub(connect)))
    }

    /// How endpoints are tried.
    pub fn tried(&self) -> Tried {
        Tried::counted(self.rules.try_timeout)
    }

    /// Whether there is another try after one that came to nothing for `reason`. If there is, the budget has paid for it.
    pub fn wants(&self, this: &Forward<'_>, reason: Reason, progress: &Progress) -> bool {
        let rules = self.rules;
        // Once the client has a byte of a response, an interim one included, that response is its.
        if !rules.on.has(reason) || self.again.get() >= rules.max || progress.response_bytes > 0 {
            return false;
        }
        // What was not sent can't be done twice.
        let harmless = reason == Reason::Connect || rules.all_methods || is_idempotent(&this.head.method);
        let client = this.client;
        if !harmless || !self.kept.is_whole() || client.worker.cutting() || !this.allows_more_tries() {
            return false;
        }
        let wait = pause(self.again.get() + 1, rules.backoff, rules.backoff_max, this.pool.rng.draw());
        // An answer now is better than none after a wait that can't be finished.
        if client.timer.left().is_some_and(|left| left <= wait) {
            return false;
        }
        let now = client.worker.deadlines.uptime();
        if !this.pool.budget.borrow_mut().take(now, self.allowance) {
            client.worker.counters().retries_refused.inc();
            return false;
        }
        self.again.set(self.again.get() + 1);
        self.next.set(Some((reason, wait)));
        true
    }

    /// Waits for the time of the next try, after one that `ended` so. A failure is given back if there is no next one.
    pub async fn next(
        &self,
        this: &Forward<'_>,
        ended: Result<StatusCode, Failure>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        if let Err(failure) = ended
            && !reason(failure).is_some_and(|reason| self.wants(this, reason, progress))
        {
            return Err(failure);
        }
        let client = this.client;
        let started = client.worker.now();
        let Some((reason, wait)) = self.next.take() else { return Err(Failure::UpstreamClosed) };
        rest(client, wait).await?;
        // What was spent on a try that came to nothing is waiting, not work of the proxy's.
        let waited = client.worker.now().duration_since(this.try_began.take().unwrap_or(started));
        progress.waited_us += waited.as_micros() as u64;
        progress.phases.first_byte_us = 0;
        let counters = client.worker.counters();
        match reason {
            Reason::Connect => &counters.retries_connect,
            Reason::Reset => &counters.retries_reset,
            Reason::Timeout => &counters.retries_timeout,
            Reason::Status(_) => &counters.retries_status,
        }
        .inc();
        Ok(())
    }
}

/// What a failed try can be made again for.
fn reason(failure: Failure) -> Option<Reason> {
    match failure {
        Failure::ConnectRefused | Failure::ConnectTimeout => Some(Reason::Connect),
        Failure::UpstreamClosed => Some(Reason::Reset),
        Failure::UpstreamSlow(UpstreamWait::Head) => Some(Reason::Timeout),
        _ => None,
    }
}

/// Waits before the next try, as long as the client stays and the request has time.
async fn rest(client: &Client, wait: Duration) -> Result<(), Failure> {
    if wait.is_zero() {
        return Ok(());
    }
    // A timer of its own: the connection's counts in ticks, as long as most of these waits are.
    let mut sleep = pin!(monoio::time::sleep(wait));
    let mut watching = true;
    let resting = poll_fn(|cx| {
        if watching && client_left(&client.socket, cx, &mut watching) {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        sleep.as_mut().poll(cx).map(Ok)
    });
    match client.timer.within(wait, resting).await {
        Ok(result) => result,
        Err(_) if client.worker.cutting() || client.timer.cap_passed() => {
            Err(client.late(Failure::RequestTimeout))
        }
        Err(_) => Ok(()),
    }
}
