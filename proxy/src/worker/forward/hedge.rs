//! A second try beside a first one that is slow: whichever answers first is taken, and the connection of the other is
//! closed. Its response, should there be one, is never read, and so never taken for another's.
//!
//! The first to have a byte of a response wins. One that fails while the other is under way has lost.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Forward, encode::encode};
use crate::{
    error::Failure,
    observe::UpstreamWait,
    route::Hedge,
    worker::{
        deadline::Timer,
        exchange::Progress,
        pool::{Ended, EndpointState, Lease, Tried, client_left},
        response::WATCH_AFTER,
        socket::Socket,
    },
};

/// A try that has been sent.
pub struct Sent {
    /// Its connection.
    pub lease: Option<Lease>,
    /// Its connection's socket.
    pub upstream: Rc<Socket>,
    /// Where it was sent.
    pub endpoint: Rc<EndpointState>,
    /// When.
    pub at: Instant,
}

/// What can be seen of a try that has been sent.
enum Seen {
    Nothing,
    /// Bytes of a response.
    Answer,
    /// An end, or a reset, before any.
    End,
}

/// Waits until a try has answered or failed, the one in `first` or a second one, which takes its place if it wins. True: it
/// has.
pub async fn race(
    this: &Forward<'_>,
    hedge: &Hedge,
    first: &mut Sent,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let worker = &this.client.worker;
    let route = this.route.id;
    if progress.attempts == 1 {
        worker.hedges.note_request(route, hedge, worker.deadlines.uptime());
    }
    let after = worker.hedges.after(route, hedge);
    let Some(after) = after.filter(|_| this.pool.has_another(&first.endpoint)) else { return Ok(false) };
    let whole = this.head_wait.get();
    if !is_slow(this, first, after, whole).await? {
        return Ok(false);
    }
    if !this.allows_more_tries() {
        return Ok(false);
    }
    if !worker.hedges.take(route, hedge, worker.deadlines.uptime()) {
        worker.counters().hedges_refused.inc();
        return Ok(false);
    }
    let Some(won) = beside(this, first, whole.saturating_sub(after), progress).await? else {
        return Ok(false);
    };
    let Won { second, first_ended } = won;
    worker.counters().hedges_won.inc();
    if first_ended {
        this.pool.note(&first.endpoint, Ended::Failed(Failure::UpstreamClosed));
    }
    // How long it would have taken nobody knows: at least so long.
    let elapsed = worker.now().saturating_duration_since(first.at).as_micros() as u64;
    this.pool.outrun(&first.endpoint, elapsed);
    worker.hedges.record(route, hedge, elapsed);
    let passed = second.at.saturating_duration_since(first.at);
    progress.waited_us += passed.as_micros() as u64;
    progress.endpoint = second.lease.as_ref().map(|lease| Rc::clone(lease.label()));
    // The first one's lease is not given back: its connection closes.
    *first = second;
    Ok(true)
}

/// Waits until the first try is to be called slow. False: something has come of it.
async fn is_slow(
    this: &Forward<'_>,
    first: &Sent,
    after: Duration,
    whole: Duration,
) -> Result<bool, Failure> {
    let client = this.client;
    // An hour at most (`HEDGE_AFTER_MAX`), or a time that answers have taken.
    let until = monoio::time::Instant::from_std(first.at + after);
    let mut timer = client.worker.hedges.timer(until);
    // As for any response: see `await_response`.
    let mut watching = after > WATCH_AFTER;
    let waiting = poll_fn(|cx| {
        if first.upstream.poll_readable(cx).is_ready() {
            return Poll::Ready(Ok(false));
        }
        if watching && client_left(&client.socket, cx, &mut watching) {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        timer.as_mut().poll(cx).map(|()| Ok(true))
    });
    let result = client.timer.within(whole, waiting).await;
    client.worker.hedges.give_timer(timer);
    result.unwrap_or_else(|_| Err(client.late(Failure::UpstreamSlow(UpstreamWait::Head))))
}

/// A second try that has answered before the first one.
struct Won {
    second: Sent,
    /// The first one has failed.
    first_ended: bool,
}

/// Makes a second try beside the first, and waits until either has answered, for `wait` at most. `None`: the first one has,
/// or both have failed.
async fn beside(
    this: &Forward<'_>,
    first: &Sent,
    wait: Duration,
    progress: &mut Progress,
) -> Result<Option<Won>, Failure> {
    let client = this.client;
    let timer = client.worker.deadlines.timer();
    let attempts = Cell::new(0);
    let mut both = Both {
        first_ended: false,
        starting: Some(Box::pin(second(this, first, &timer, &attempts))),
        second: None,
    };
    let mut watching = true;
    let racing = poll_fn(|cx| {
        if watching && client_left(&client.socket, cx, &mut watching) {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        both.poll(this, first, cx).map(Ok)
    });
    let won = client.timer.within(wait, racing).await;
    progress.attempts += attempts.get();
    match won {
        Ok(Ok(won)) => {
            let first_ended = both.first_ended;
            Ok(both.second.take().filter(|_| won).map(|second| Won { second, first_ended }))
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(client.late(Failure::UpstreamSlow(UpstreamWait::Head))),
    }
}

/// Two tries under way.
struct Both<F> {
    first_ended: bool,
    /// The second one, until it is sent.
    starting: Option<Pin<Box<F>>>,
    second: Option<Sent>,
}

impl<F: Future<Output = Option<Sent>>> Both<F> {
    /// Ready with true when the second one has won, with false when the first one has, or both have failed.
    fn poll(&mut self, this: &Forward<'_>, first: &Sent, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.first_ended {
            match look(&first.upstream, cx) {
                Seen::Answer => return Poll::Ready(false),
                Seen::End => self.first_ended = true,
                Seen::Nothing => {}
            }
        }
        if let Some(starting) = &mut self.starting
            && let Poll::Ready(sent) = starting.as_mut().poll(cx)
        {
            self.starting = None;
            self.second = sent;
        }
        if let Some(second) = &self.second {
            match look(&second.upstream, cx) {
                Seen::Answer => return Poll::Ready(true),
                Seen::End => {
                    this.pool.note(&second.endpoint, Ended::Failed(Failure::UpstreamClosed));
                    self.second = None;
                }
                Seen::Nothing => {}
            }
        }
        if self.first_ended && self.starting.is_none() && self.second.is_none() {
            return Poll::Ready(false);
        }
        Poll::Pending
    }
}

fn look(upstream: &Socket, cx: &mut Context<'_>) -> Seen {
    while upstream.poll_readable(cx).is_ready() {
        match upstream.peek() {
            Ok(1..) => return Seen::Answer,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return Seen::End,
        }
    }
    Seen::Nothing
}

/// Sends the request to another endpoint, if one has a connection to spare.
async fn second(this: &Forward<'_>, first: &Sent, timer: &Timer, attempts: &Cell<u32>) -> Option<Sent> {
    let worker = &this.client.worker;
    let mut tried = Tried::default();
    tried.failed(&first.endpoint, Failure::UpstreamSlow(UpstreamWait::Head));
    let lease = this.pool.spare(worker, &mut tried, timer).await?;
    let (upstream, endpoint) = (lease.socket_handle()?, Rc::clone(lease.endpoint()));
    let mut out = worker.buffers.take_write();
    lease.greet(this.client, this.head, &mut out);
    encode(this, &mut out, this.deadline.map(|_| worker.now()));
    worker.counters().upstream_bytes_out.add(out.len() as u64);
    worker.counters().hedges.inc();
    attempts.set(attempts.get() + 1);
    match upstream.write_all(timer, this.head_wait.get().into(), out).await {
        Ok(out) => worker.buffers.give_write(out),
        Err(_) => {
            this.pool.note(&endpoint, Ended::Failed(Failure::UpstreamClosed));
            return None;
        }
    }
    Some(Sent { lease: Some(lease), upstream, endpoint, at: worker.now() })
}
