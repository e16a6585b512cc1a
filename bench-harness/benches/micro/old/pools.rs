//! Pools that all threads share. A connection is a real socket, so that it costs what one costs to move and to look at.

use std::{
    collections::{HashMap, VecDeque},
    os::{fd::AsFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::sync::{Mutex, Semaphore};

/// Connections of a pool.
pub const CONNECTIONS: usize = 64;
/// Where all of them lead to: what a pool of several destinations is asked by.
const DESTINATION: &str = "10.0.0.1:9000";
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// An idle connection, and the peer that keeps it alive.
pub struct Connection {
    stream: UnixStream,
    idle_since: Instant,
    _peer: UnixStream,
}

impl Connection {
    fn new() -> Connection {
        let (stream, peer) = UnixStream::pair().unwrap_or_else(|error| panic!("{error}"));
        Connection { stream, idle_since: Instant::now(), _peer: peer }
    }

    /// Young enough, and neither closed nor sent anything meanwhile: one clock and one system call.
    fn is_good(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let fd = self.stream.as_fd();
        let peeked =
            socket2::SockRef::from(&fd).recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT);
        self.idle_since.elapsed() < IDLE_TIMEOUT
            && peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

fn connections<T: FromIterator<Connection>>() -> T {
    (0..CONNECTIONS).map(|_| Connection::new()).collect()
}

/// A pool of connections.
pub trait Pool: Send + Sync + 'static {
    /// With `CONNECTIONS` idle ones.
    fn new() -> Self;
    /// Takes one and gives it back. `in_use` is awaited in between.
    fn cycle(&self, in_use: impl Future<Output = ()> + Send) -> impl Future<Output = ()> + Send;
}

/// An async mutex around a deque.
pub struct AsyncMutex(Mutex<VecDeque<Connection>>);

impl Pool for AsyncMutex {
    fn new() -> Self {
        AsyncMutex(Mutex::new(connections()))
    }

    async fn cycle(&self, in_use: impl Future<Output = ()> + Send) {
        let taken = self.0.lock().await.pop_front();
        let Some(connection) = taken else { return };
        in_use.await;
        self.0.lock().await.push_back(connection);
    }
}

/// The same, looking at the age and the socket before a connection is trusted, which ours does.
pub struct AsyncMutexChecked(Mutex<VecDeque<Connection>>);

impl Pool for AsyncMutexChecked {
    fn new() -> Self {
        AsyncMutexChecked(Mutex::new(connections()))
    }

    async fn cycle(&self, in_use: impl Future<Output = ()> + Send) {
        let taken = self.0.lock().await.pop_front();
        let Some(mut connection) = taken.filter(Connection::is_good) else { return };
        in_use.await;
        connection.idle_since = Instant::now();
        self.0.lock().await.push_back(connection);
    }
}

/// A sharded map of destinations, each behind a mutex that nobody waits in for long.
#[allow(clippy::disallowed_types, reason = "it is what this design is about")]
pub struct Sharded(DashMap<String, std::sync::Mutex<VecDeque<Connection>>>);

impl Pool for Sharded {
    fn new() -> Self {
        Sharded([(DESTINATION.to_owned(), std::sync::Mutex::new(connections()))].into_iter().collect())
    }

    async fn cycle(&self, in_use: impl Future<Output = ()> + Send) {
        let taken = self.0.get(DESTINATION).and_then(|it| it.lock().ok()?.pop_front());
        let Some(connection) = taken else { return };
        in_use.await;
        if let Some(destination) = self.0.get(DESTINATION)
            && let Ok(mut idle) = destination.lock()
        {
            idle.push_back(connection);
        }
    }
}

/// Per destination a semaphore with as many permits as connections, where callers wait, and a queue, first in first
/// out. Which destinations there are is known from the start.
pub struct Fifo(HashMap<String, (Semaphore, Mutex<VecDeque<Connection>>)>);

impl Pool for Fifo {
    fn new() -> Self {
        let pool = (Semaphore::new(CONNECTIONS), Mutex::new(connections()));
        Fifo([(DESTINATION.to_owned(), pool)].into_iter().collect())
    }

    async fn cycle(&self, in_use: impl Future<Output = ()> + Send) {
        let Some((permits, idle)) = self.0.get(DESTINATION) else { return };
        let Ok(_permit) = permits.acquire().await else { return };
        let taken = idle.lock().await.pop_front();
        let Some(connection) = taken else { return };
        in_use.await;
        idle.lock().await.push_back(connection);
    }
}
