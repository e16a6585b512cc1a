//! Taking a connection from a pool and giving it back.
//!
//! Ours is asked over sockets to a listener on loopback, inside its event loop: it picks an endpoint, takes the
//! connection used last, looks at its watch and its age, and on the way back arms the watch for the pool again.

use std::{
    hint::black_box,
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
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

/// Nanoseconds of one cycle with two threads at it for `length`.
pub fn contended(length: Duration) -> Vec<(&'static str, f64)> {
    vec![
        ("async mutex and deque", shared::<AsyncMutex>(length)),
        ("async mutex and deque, checked", shared::<AsyncMutexChecked>(length)),
        ("DashMap of mutexes", shared::<Sharded>(length)),
        ("semaphore and FIFO", shared::<Fifo>(length)),
        (OURS, two_threads(length, per_worker)),
    ]
}

fn shared<P: Pool>(length: Duration) -> f64 {
    let pool = Arc::new(P::new());
    two_threads(length, |stop| {
        runtime().block_on(async {
            let tasks = (0..TASKS).map(|_| {
                let (pool, stop) = (Arc::clone(&pool), Arc::clone(stop));
                tokio::spawn(async move {
                    let mut cycles = 0;
                    while !stop.load(Ordering::Relaxed) {
                        pool.cycle(tokio::task::yield_now()).await;
                        cycles += 1;
                    }
                    cycles
                })
            });
            let mut cycles = 0;
            for task in tasks.collect::<Vec<_>>() {
                cycles += task.await.unwrap_or_else(|error| panic!("{error}"));
            }
            cycles
        })
    })
}

fn per_worker(stop: &Arc<AtomicBool>) -> u64 {
    let (mut worker, _listener) = worker(driver()).unwrap_or_else(|error| panic!("{error}"));
    let mut cycles = 0;
    while !stop.load(Ordering::Relaxed) {
        worker.checkouts(TASKS).unwrap_or_else(|error| panic!("{error}"));
        cycles += TASKS;
    }
    cycles
}

/// Nanoseconds of a thread per cycle, while two of them are at it for `length`.
fn two_threads(length: Duration, work: impl Fn(&Arc<AtomicBool>) -> u64 + Sync) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let cycles: u64 = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| work(&stop)));
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|it| it.join().unwrap_or_default()).sum()
    });
    2.0 * length.as_nanos() as f64 / cycles as f64
}
