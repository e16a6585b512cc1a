//! A door for benchmarks: one worker on the calling thread, without listeners and without its tick, so that nothing
//! but what is measured runs. Not part of the library's interface.

use std::{
    hint::black_box,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
    sync::Arc,
};

pub use super::buffers::Buffers;
use super::{
    Orders, Setup, Worker,
    connection::{self, Client},
    deadline::Timer,
    doors::Door,
    pool::Tried,
    runtime::{Chosen, Loop},
    socket::Socket,
};
use crate::{control::publish::Published, limit::Shared, observe::Board, route::RouteTable};

/// A worker that does what it is told and nothing by itself.
pub struct Bench {
    event_loop: Loop,
    worker: Rc<Worker>,
    timer: Timer,
    /// Stands for the client of a checkout, which is only asked whether it has left.
    client: Rc<Socket>,
    _other_end: UnixStream,
}

impl Bench {
    /// A worker with `table` on the driver `chosen`.
    ///
    /// # Errors
    /// The driver can't be had, or no socket.
    pub fn new(chosen: Chosen, table: Arc<RouteTable>) -> io::Result<Bench> {
        let mut event_loop = Loop::build(chosen)?;
        let setup = Setup {
            index: 0,
            workers: 1,
            epoll: chosen.is_epoll(),
            published: Published::new(table),
            orders: Arc::new(Orders::new(1)),
            handover: Arc::default(),
            limits: Arc::new(Shared::new(1)),
            slot: Board::new(1).slot(0),
        };
        let worker = Worker::new(setup, None);
        let (client, other_end) = UnixStream::pair()?;
        // A socket has to be made where the event loop runs.
        let client = event_loop.block_on(async { Socket::from_fd(OwnedFd::from(client), worker.epoll) })?;
        let timer = worker.deadlines.timer();
        Ok(Bench { event_loop, worker, timer, client: Rc::new(client), _other_end: other_end })
    }

    /// Whether sockets must not block.
    pub fn is_epoll(&self) -> bool {
        self.worker.epoll
    }

    /// Takes a connection to the table's first upstream and gives it back, `count` times.
    ///
    /// # Errors
    /// No connection can be had.
    pub fn checkouts(&mut self, count: u64) -> io::Result<()> {
        let Self { event_loop, worker, timer, client, .. } = self;
        event_loop.block_on(async {
            let adopted = worker.table();
            let pool = adopted.pool(0).ok_or_else(|| io::Error::other("the table has no upstream"))?;
            for _ in 0..count {
                let mut tried = Tried::default();
                let lease = pool
                    .checkout(worker, &mut tried, false, timer, client)
                    .await
                    .map_err(|failure| io::Error::other(format!("{failure:?}")))?;
                black_box(lease).give_back(worker);
            }
            Ok(())
        })
    }

    /// Serves a client, connected and of the table's first listener, whenever the event loop runs.
    ///
    /// # Errors
    /// The table has no listener, or the socket is of no use.
    pub fn serve(&mut self, fd: OwnedFd) -> io::Result<()> {
        let Self { event_loop, worker, .. } = self;
        event_loop.block_on(async {
            let adopted = worker.table();
            let listener = adopted.table.listeners.first().cloned();
            let listener = listener.ok_or_else(|| io::Error::other("the table has no listener"))?;
            let socket = Socket::from_fd(fd, worker.epoll)?;
            let peer = Some(([127, 0, 0, 1], 50_000).into());
            let mut client = Client::new(worker, socket, Door::new(0, listener), peer);
            monoio::spawn(async move { connection::serve(&mut client).await });
            Ok(())
        })
    }

    /// Runs the event loop until `future` is done.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.event_loop.block_on(future)
    }
}
