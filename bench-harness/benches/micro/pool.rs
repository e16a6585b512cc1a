//! Taking a connection from a pool and giving it back.
//!
//! Ours is asked over sockets to a listener on loopback, inside its event loop: it picks an endpoint, takes the
//! connection used last, looks at its watch and its age, and on the way back arms the watch for the pool again.

use std::{
    hint::black_box,
    io,
    net::TcpListener,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use ringlane::{
    route::{Action, Predicates},
    worker::{measure::Bench, runtime::Chosen},
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    case::{Case, OURS},
    driver,
    old::pools::{AsyncMutex, AsyncMutexChecked, Fifo, Pool, Sharded},
    tables,
};

const COUNTED: u64 = 4000;
/// Tasks of a thread in the contended measurement: one that has to wait for a lock lets another one run.
const TASKS: u64 = 16;

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap_or_else(|error| panic!("{error}"))
}

fn case<P: Pool>(design: &'static str) -> Case {
    Case::new(("pool", "1 thread", design), COUNTED, || {
        let (runtime, pool) = (runtime(), P::new());
        Box::new(move |operations| {
            runtime.block_on(async {
                for _ in 0..operations {
                    black_box(&pool).cycle(async {}).await;
                }
            });
        })
    })
}

/// Our worker with one upstream on loopback, whose listener's backlog takes the connections.
fn worker(chosen: Chosen) -> io::Result<(Bench, TcpListener)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let upstream = tables::upstream(0, &[listener.local_addr()?.into()]);
    let routes = vec![tables::route(Predicates::default(), Action::Upstream(0))];
    Ok((Bench::new(chosen, tables::table(1, routes, vec![upstream]))?, listener))
}

fn ours() -> Case {
    Case::new(("pool", "1 thread", OURS), COUNTED, || {
        let (mut worker, listener) = worker(driver()).unwrap_or_else(|error| panic!("{error}"));
        Box::new(move |operations| {
            let _open = &listener;
            worker.checkouts(operations).unwrap_or_else(|error| panic!("{error}"));
        })
    })
}

/// All designs on one thread.
pub fn cases() -> Vec<Case> {
    vec![
        case::<AsyncMutex>("async mutex and deque"),
        case::<AsyncMutexChecked>("async mutex and deque, checked"),
        case::<Sharded>("DashMap of mutexes"),
        case::<Fifo>("semaphore and FIFO"),
        ours(),
    ]
}

/// Nanoseconds of one cycle with two threads at it.
pub fn contended(operations: u64) -> Vec<(&'static str, f64)> {
    vec![
        ("async mutex and deque", shared::<AsyncMutex>(operations)),
        ("async mutex and deque, checked", shared::<AsyncMutexChecked>(operations)),
        ("DashMap of mutexes", shared::<Sharded>(operations)),
        ("semaphore and FIFO", shared::<Fifo>(operations)),
        (OURS, per_worker(operations)),
    ]
}

fn shared<P: Pool>(operations: u64) -> f64 {
    let pool = Arc::new(P::new());
    two_threads(operations, |barrier| {
        let runtime = runtime();
        barrier.wait();
        let started = Instant::now();
        runtime.block_on(async {
            let tasks = (0..TASKS).map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    for _ in 0..operations / TASKS {
                        pool.cycle(tokio::task::yield_now()).await;
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap_or_else(|error| panic!("{error}"));
            }
        });
        started.elapsed()
    })
}

fn per_worker(operations: u64) -> f64 {
    two_threads(operations, |barrier| {
        let (mut worker, _listener) = worker(driver()).unwrap_or_else(|error| panic!("{error}"));
        worker.checkouts(TASKS).unwrap_or_else(|error| panic!("{error}"));
        barrier.wait();
        let started = Instant::now();
        worker.checkouts(operations).unwrap_or_else(|error| panic!("{error}"));
        started.elapsed()
    })
}

/// Nanoseconds per operation of the slower thread.
fn two_threads(operations: u64, work: impl Fn(&Barrier) -> Duration + Sync) -> f64 {
    let barrier = Barrier::new(2);
    let slowest = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| work(&barrier)));
        threads.into_iter().map(|it| it.join().unwrap_or_default()).max()
    });
    slowest.unwrap_or_default().as_nanos() as f64 / operations as f64
}
