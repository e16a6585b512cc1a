//! One thread of the load: its runtime, its connections, its counts.
use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use monoio::net::TcpStream;

use super::{
    Plan, client,
    run::Shared,
    slots::Slot,
    tally::{Failure, Tally},
};
use crate::{
    fault::{At, Result},
    runtime::{self, Runtime},
};

/// How often requests in flight are looked over for stuck ones.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// What a thread shows while it runs: one writer each, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shown {
    pub(super) completed: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) plan: Rc<Plan>,
    pub(super) request: Rc<Vec<u8>>,
    pub(super) begin: Instant,
    pub(super) end: Instant,
    pub(super) slots: Vec<Slot>,
    tally: RefCell<Tally>,
    shared: std::sync::Arc<Shared>,
    index: usize,
}

impl Worker {
    /// Counts a good response.
    pub(super) fn count(&self, start: Instant, now: Instant, bytes: u64) {
        bump(&self.shown().completed);
        let mut tally = self.tally.borrow_mut();
        tally.requests_all += 1;
        if now >= self.begin && now < self.end {
            tally.record(now.duration_since(start), bytes);
        }
    }

    /// Counts a failure, whenever it happens.
    pub(super) fn fail(&self, failure: Failure) {
        bump(&self.shown().failed);
        self.tally.borrow_mut().fail(failure);
    }

    /// Counts a connection opened.
    pub(super) fn connected(&self) {
        self.tally.borrow_mut().connections += 1;
    }

    fn shown(&self) -> &Shown {
        &self.shared.shown[self.index]
    }
}

/// A counter with one writer needs no read-modify-write instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Runs one thread from the opening of its connections to their end. Every thread waits twice at the barrier, also
/// one that failed before, or the others would wait for ever.
pub(super) fn run(plan: &Plan, shared: &std::sync::Arc<Shared>, index: usize) -> Result<Tally> {
    let connections = share(plan.connections, shared.shown.len(), index);
    let prepared = prepare(plan, index);
    let mut runtime = match prepared {
        Ok(runtime) => runtime,
        Err(fault) => {
            shared.wait_for_start();
            return Err(fault);
        }
    };
    runtime.block_on(async {
        let opened = open(plan, connections).await;
        let (begin, end) = shared.wait_for_start();
        let streams = opened?;
        let worker = Rc::new(Worker {
            plan: Rc::new(plan.clone()),
            request: Rc::new(plan.request.clone()),
            begin,
            end,
            slots: (0..connections).map(|_| Slot::default()).collect(),
            tally: RefCell::new(Tally::new()?),
            shared: shared.clone(),
            index,
        });
        worker.tally.borrow_mut().connections += streams.len() as u64;
        let mut streams = streams.into_iter();
        let clients: Vec<_> = (0..connections)
            .map(|i| monoio::spawn(client::drive(worker.clone(), i, streams.next())))
            .collect();
        monoio::spawn(watch(Rc::downgrade(&worker)));
        for client in clients {
            client.await;
        }
        Ok(worker.tally.borrow().clone())
    })
}

fn prepare(plan: &Plan, index: usize) -> Result<Runtime> {
    if let Some(&core) = plan.cores.get(index) {
        runtime::pin(core)?;
    }
    Runtime::new(plan.driver)
}

/// Opens the connections before the clock starts, one after the other: a flood would only fill the accept queue.
async fn open(plan: &Plan, connections: usize) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(connections);
    let wanted = if plan.new_connection { 0 } else { connections };
    for n in 1..=wanted {
        let place = format!("connection {n} of {wanted} to {}", plan.address);
        let stream = TcpStream::connect_addr(plan.address).await.at(&place)?;
        stream.set_nodelay(true).at(&place)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Expires stuck requests for as long as the run lasts.
async fn watch(worker: std::rc::Weak<Worker>) {
    loop {
        monoio::time::sleep(WATCH_INTERVAL).await;
        let Some(worker) = worker.upgrade() else { return };
        let now = Instant::now();
        for slot in &worker.slots {
            slot.expire(now, worker.plan.timeout);
        }
    }
}

/// How many of `total` connections thread `index` of `threads` has.
fn share(total: usize, threads: usize, index: usize) -> usize {
    total / threads + usize::from(index < total % threads)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn threads_share_all_connections() {
        for (total, threads) in [(64, 2), (65, 2), (1, 2), (7, 3)] {
            assert_eq!((0..threads).map(|i| share(total, threads, i)).sum::<usize>(), total);
        }
    }
}
