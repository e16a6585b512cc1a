//! Limits as one worker holds them: whether a request, or a client, may come in, and what it is told of that.
//!
//! A bucket is whole on every worker. What one lets pass it tells the others with its tick, and they take it out of theirs
//! with their next one; so together they let pass more than one of them would only what comes within two ticks.

use std::{
    cell::RefCell, collections::HashMap, hash::BuildHasherDefault, net::IpAddr, sync::Arc, time::Instant,
};

use super::{Worker, body::BodyReader, connection::Client, exchange::Progress, peer};
use crate::{
    error::Failure,
    http::{HeadError, RequestHead},
    limit::{Buckets, ClientNumber, Key, Kind, RateLimit, RouteLimits, Seat, Shared, Verdict},
    observe::{Counters, histogram::IdHasher},
    route::Route,
    upstream::share,
};

/// No seat.
const NONE: u32 = u32::MAX;

/// What a worker keeps of all limits. It outlives tables: limits are known by the ids of routes and listeners.
pub struct Limiter {
    shared: Arc<Shared>,
    index: usize,
    workers: usize,
    /// Where its clock begins.
    epoch: Instant,
    /// Made with the first request that needs one.
    buckets: RefCell<Option<Buckets>>,
    /// How much of each worker's journal has been read.
    heard: RefCell<Box<[u64]>>,
    /// Requests under way by route, of routes that bound them.
    routes: RefCell<HashMap<u32, u32, BuildHasherDefault<IdHasher>>>,
}

impl Limiter {
    /// For worker `index`, whose predecessor, if it had one, is gone with all that it served.
    pub fn new(shared: &Arc<Shared>, index: usize, workers: usize) -> Limiter {
        shared.counts.clear(index);
        Limiter {
            shared: Arc::clone(shared),
            index,
            workers,
            epoch: Instant::now(),
            buckets: RefCell::default(),
            heard: RefCell::new(shared.journals.iter().map(|journal| journal.end()).collect()),
            routes: RefCell::default(),
        }
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    fn take(&self, limit: &RateLimit, tag: u64, now: Instant, counters: &Counters) -> Verdict {
        let mut buckets = self.buckets.borrow_mut();
        let buckets = buckets.get_or_insert_with(|| Buckets::new(self.workers > 1));
        let taken = buckets.take(tag, limit.rate, self.nanos(now));
        if taken.evicted {
            counters.limit_evicted.inc();
        }
        if buckets.must_tell() {
            self.tell(buckets);
        }
        taken.verdict
    }

    fn tell(&self, buckets: &mut Buckets) {
        if let Some(journal) = self.shared.journals.get(self.index) {
            buckets.tell(journal);
        }
    }

    /// Every tick: tells the other workers what has passed here, and hears what has passed there.
    pub fn tick(&self, now: Instant, counters: &Counters) {
        if self.workers < 2 {
            return;
        }
        let mut place = self.buckets.borrow_mut();
        if let Some(buckets) = place.as_mut() {
            self.tell(buckets);
        }
        let mut heard = self.heard.borrow_mut();
        let others = self.shared.journals.iter().zip(heard.iter_mut()).enumerate();
        for (_, (journal, heard)) in others.filter(|(index, _)| *index != self.index) {
            if journal.end() == *heard {
                continue;
            }
            let buckets = place.get_or_insert_with(|| Buckets::new(true));
            let now = self.nanos(now);
            let mut dropped = 0;
            let missed = journal.read(heard, |told| dropped += u64::from(buckets.hear(told, now)));
            counters.limit_unheard.add(missed + dropped);
        }
    }

    /// A seat for one more of a client's, if it has not too many. `Err`: it has. `Ok(None)`: it is not counted.
    fn seat(&self, tag: u64, most: u32, counters: &Counters) -> Result<Option<u32>, ()> {
        match self.shared.counts.take(self.index, tag, most) {
            Seat::Taken(place) => Ok(Some(place)),
            Seat::Full => Err(()),
            Seat::Uncounted => {
                counters.limit_uncounted.inc();
                Ok(None)
            }
        }
    }

    /// A seat for one more connection of a client to a listener.
    pub fn seat_connection(
        &self,
        (listener, address): (u32, Option<IpAddr>),
        most: u32,
        counters: &Counters,
    ) -> Result<Option<u32>, ()> {
        self.seat(self.shared.client(address).tag(Kind::Connections, listener), most, counters)
    }

    /// What a client is known by.
    pub fn client(&self, address: Option<IpAddr>) -> ClientNumber {
        self.shared.client(address)
    }

    /// It has gone.
    pub fn leave(&self, place: u32) {
        self.shared.counts.give_back(self.index, place);
    }
}

/// What a request holds of the limits on requests under way: given back when it is dropped, however the request ends.
pub struct Held<'w> {
    limiter: Option<&'w Limiter>,
    /// The id of a route that bounds them.
    route: Option<u32>,
    /// Places of the client's seats, at the listener and at the route.
    seats: [u32; 2],
}

impl Default for Held<'_> {
    fn default() -> Self {
        Held { limiter: None, route: None, seats: [NONE; 2] }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(limiter) = self.limiter else { return };
        self.seats.iter().filter(|place| **place != NONE).for_each(|place| limiter.leave(*place));
        if let Some(id) = self.route
            && let Ok(mut routes) = limiter.routes.try_borrow_mut()
            && let Some(count) = routes.get_mut(&id)
        {
            *count -= 1;
            if *count == 0 {
                routes.remove(&id);
            }
        }
    }
}

/// Holds a request to the target's limit of its listener.
pub fn target(client: &Client, head: &RequestHead) -> Result<(), Failure> {
    let Some(max) = client.listener.limits.target_bytes else { return Ok(()) };
    // Between the method and the version, of one space each.
    let line = memchr::memchr(b'\r', &head.raw).unwrap_or(head.raw.len());
    let around = head.method.as_str().len() + " ".len() + " HTTP/1.1".len();
    if line.saturating_sub(around) > max { Err(Failure::Head(HeadError::TargetTooLong)) } else { Ok(()) }
}

/// Whether a request may go on, to this route. What it holds for as long as it is under way is noted in `held`.
#[inline]
pub fn admit<'w>(
    client: &'w Client,
    head: &RequestHead,
    route: &Route,
    reader: &BodyReader,
    (progress, held): (&mut Progress, &mut Held<'w>),
) -> Result<(), Failure> {
    if route.limits.is_none() && client.listener.limits.requests_per_client.is_none() {
        return Ok(());
    }
    admit_limited(client, head, route, reader, (progress, held))
}

/// Apart, so that a request without limits carries none of it.
#[inline(never)]
fn admit_limited<'w>(
    client: &'w Client,
    head: &RequestHead,
    route: &Route,
    reader: &BodyReader,
    (progress, held): (&mut Progress, &mut Held<'w>),
) -> Result<(), Failure> {
    let (worker, listener) = (&*client.worker, &client.listener);
    let (limiter, counters) = (&worker.limiter, worker.counters());
    if let Some(limits) = &route.limits {
        body(client, limits, reader)?;
    }
    held.limiter = Some(limiter);
    let [at_listener, at_route] = &mut held.seats;
    let seats = [
        (at_listener, Kind::ListenerClient, listener.id, listener.limits.requests_per_client),
        (
            at_route,
            Kind::RouteClient,
            route.id,
            route.limits.as_ref().and_then(|it| it.max_requests_per_client),
        ),
    ];
    for (place, kind, id, most) in seats {
        if let Some(most) = most {
            let tag = peer::number(client, head).tag(kind, id);
            let seat = limiter.seat(tag, most, counters).map_err(|()| Failure::ClientBusy)?;
            *place = seat.unwrap_or(NONE);
        }
    }
    let Some(limits) = &route.limits else { return Ok(()) };
    if let Some(max) = limits.max_requests {
        let most = share(max, limiter.workers as u32, limiter.index as u32);
        let mut routes = limiter.routes.borrow_mut();
        let count = routes.entry(route.id).or_insert(0);
        if *count >= most {
            return Err(Failure::RouteBusy);
        }
        *count += 1;
        held.route = Some(route.id);
    }
    // Last, so that only what is let in costs anything.
    let Some(rate) = &limits.rate else { return Ok(()) };
    let tag = match &rate.key {
        Key::Route => limiter.shared.tag(Kind::Rate, route.id, |_| {}),
        Key::Client => peer::number(client, head).tag(Kind::Rate, route.id),
        Key::Header(name) => limiter.shared.tag(Kind::Rate, route.id, |hasher| {
            let name = name.as_str().as_bytes();
            // All its lines: nobody knows which of them an upstream reads.
            for line in head.lines.iter().filter(|line| line.name(&head.raw).eq_ignore_ascii_case(name)) {
                hasher.write(line.value(&head.raw));
                hasher.write_u8(b'\n');
            }
        }),
    };
    let Verdict { allowed, standing } = limiter.take(rate, tag, worker.now(), counters);
    progress.standing = Some(standing);
    if allowed { Ok(()) } else { Err(Failure::RateLimited { retry_after_s: standing.seconds }) }
}

/// The route's limit on a body, beside the listener's: the lower one holds.
fn body(client: &Client, limits: &RouteLimits, reader: &BodyReader) -> Result<(), Failure> {
    let Some(max) = limits.request_body_bytes else { return Ok(()) };
    if reader.remaining().is_some_and(|length| length > max) {
        return Err(Failure::BodyTooLarge);
    }
    client.body_bytes_max.set(Some(client.body_bytes_max.get().map_or(max, |other| other.min(max))));
    Ok(())
}

/// Tells the client how it stands with the route's rate limit: `RateLimit-Policy` and `RateLimit`, put behind the last line
/// of the head that `out` begins with.
pub fn put_fields(out: &mut Vec<u8>, route: Option<&Route>, progress: &Progress) {
    if progress.standing.is_some() {
        let end = memchr::memmem::find(out, b"\r\n\r\n").map(|at| at + 2);
        put_fields_at(out, end, route, progress);
    }
}

/// As `put_fields`, where `out` is a head and nothing else.
pub fn put_fields_in_head(out: &mut Vec<u8>, route: &Route, progress: &Progress) {
    let end = out.len().checked_sub(2);
    put_fields_at(out, end, Some(route), progress);
}

/// `at` is where the empty line begins that ends the head.
fn put_fields_at(out: &mut Vec<u8>, at: Option<usize>, route: Option<&Route>, progress: &Progress) {
    if let (Some(standing), Some(at)) = (progress.standing, at)
        && let Some(rate) = route.and_then(|route| route.limits.as_ref()?.rate.as_ref())
    {
        let length = out.len();
        let (mut remaining, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
        for part in [
            "RateLimit-Policy: ",
            &rate.policy,
            "\r\nRateLimit: ",
            &rate.name,
            ";r=",
            remaining.format(standing.remaining),
            ";t=",
            seconds.format(standing.seconds),
            "\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        // What was behind the place goes behind what has come.
        let added = out.len() - length;
        if let Some(behind) = out.get_mut(at..) {
            behind.rotate_right(added);
        }
    }
}

impl Worker {
    /// Whether a client may open one more connection to a listener, and its seat.
    pub(super) fn seat_connection(
        &self,
        listener: &crate::route::Listener,
        address: Option<IpAddr>,
    ) -> Result<Option<u32>, Failure> {
        let Some(most) = listener.limits.connections_per_client else { return Ok(None) };
        self.limiter
            .seat_connection((listener.id, address), most, self.counters())
            .map_err(|()| Failure::ClientFull)
    }
}
