//! Accepting: one loop per listener and worker, for the life of the listener.
//!
//! A poll says that somebody is there; `accept4(2)` then takes them, so that every socket is close-on-exec from its
//! first moment and its peer's address comes for nothing.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;

use super::{
    Worker, answer,
    caught::caught,
    connection::{self, Client},
    socket::{Socket, peer_text},
};
use crate::{error::Failure, route::Listener, upstream::share};

/// Connections taken before other tasks of this core have a turn.
const ACCEPT_BATCH: usize = 64;
/// Wait after an accept failed for want of something that only time brings back, such as descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Clients that are being told that the listener is full, at a time; beyond it connections are closed without a word.
const TURNED_AWAY_MAX: u32 = 64;
/// How long a client that is turned away may take to say something and read the answer.
const TURN_AWAY: Duration = Duration::from_secs(1);
/// Longer than any process lives: the wait for clients ends by draining only.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A listening socket for one worker, and what is asked of its clients.
pub struct Bound {
    /// Not blocking, already listening.
    pub socket: socket2::Socket,
    /// Its settings at the start.
    pub listener: Arc<Listener>,
}

/// A listening socket that this worker's event loop watches.
pub struct Registered {
    raw: RawFd,
    polled: monoio::net::TcpListener,
    listener: Arc<Listener>,
}

/// Has the event loop of this thread watch a socket.
pub fn register(bound: Bound) -> io::Result<Registered> {
    let Bound { socket, listener } = bound;
    let raw = socket.as_raw_fd();
    // Carries unix sockets as well: only its readiness is asked for.
    match monoio::net::TcpListener::from_std(std::net::TcpListener::from(socket)) {
        Ok(polled) => Ok(Registered { raw, polled, listener }),
        Err(error) => {
            let text = format!("listener {:?} can't be watched by the event loop: {error}", listener.name);
            Err(io::Error::new(error.kind(), text))
        }
    }
}

/// Keeps count of a listener's connections on this worker.
struct Seat {
    worker: Rc<Worker>,
    taken: Rc<Cell<u32>>,
}

impl Seat {
    fn take(worker: &Rc<Worker>, taken: &Rc<Cell<u32>>) -> Seat {
        taken.set(taken.get() + 1);
        worker.connections.set(worker.connections.get() + 1);
        Seat { worker: Rc::clone(worker), taken: Rc::clone(taken) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - 1);
        self.worker.connections.set(self.worker.connections.get() - 1);
    }
}

/// Starts accepting.
pub fn start(worker: &Rc<Worker>, registered: Registered) {
    worker.accepting.set(worker.accepting.get() + 1);
    let worker = Rc::clone(worker);
    monoio::spawn(async move {
        accept(&worker, registered).await;
        worker.accepting.set(worker.accepting.get() - 1);
    });
}

async fn accept(worker: &Rc<Worker>, registered: Registered) {
    let Registered { raw, polled, listener } = registered;
    let timer = worker.deadlines.timer();
    let taken = Rc::new(Cell::new(0));
    let turned_away = Rc::new(Cell::new(0));
    let mut complained = None;
    loop {
        if let Ok(Err(error)) = timer.idle_within(FOR_EVER, polled.readable(false)).await {
            // Without a pause this loop would spin. It asks the socket itself meanwhile.
            complain(worker, &listener, &error, &mut complained);
            monoio::time::sleep(ACCEPT_PAUSE).await;
        }
        let mut batch = 0;
        let pause = loop {
            if batch == ACCEPT_BATCH {
                break false;
            }
            match accept_one(raw, worker.epoll) {
                Ok((fd, peer)) => {
                    batch += 1;
                    welcome(worker, &listener, (fd, peer), &taken, &turned_away);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => break false,
                    // The client left while it waited, or its network failed: the next one may be fine.
                    // Asked for a descriptor first, the kernel does not say that nobody is there to take it.
                    Some(libc::EMFILE | libc::ENFILE) if !somebody_waits(raw) => break false,
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO | libc::EPERM | libc::ENETDOWN) => {}
                    _ => {
                        complain(worker, &listener, &error, &mut complained);
                        break true;
                    }
                },
            }
        };
        if worker.draining() {
            // Who has come so far is served; the next connect is refused.
            // SAFETY: `polled` keeps the descriptor open.
            let _ = unsafe { libc::shutdown(raw, libc::SHUT_RDWR) };
            return;
        }
        if pause {
            monoio::time::sleep(ACCEPT_PAUSE).await;
        } else if batch == ACCEPT_BATCH || batch == 0 {
            // More may wait, or nobody: another worker that shares the socket was faster, or has ended it and this one
            // has not heard of it yet. The poll says so at once, but other tasks run first.
            monoio::time::sleep(Duration::ZERO).await;
        }
    }
}

fn accept_one(listener: i32, epoll: bool) -> io::Result<(OwnedFd, socket2::SockAddr)> {
    let flags = libc::SOCK_CLOEXEC | if epoll { libc::SOCK_NONBLOCK } else { 0 };
    // SAFETY: `try_init` hands out room for any address and its size; the kernel fills both before it returns a
    // descriptor, which is ours alone from then on.
    unsafe {
        socket2::SockAddr::try_init(|address, len| {
            let fd = libc::accept4(listener, address.cast(), len, flags);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
        })
    }
}

/// Whether a client waits to be accepted.
fn somebody_waits(listener: i32) -> bool {
    let mut poll = libc::pollfd { fd: listener, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which is ours; a timeout of 0 does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

fn complain(worker: &Worker, listener: &Listener, error: &io::Error, last: &mut Option<std::time::Instant>) {
    worker.counters().accept_errors.inc();
    let now = worker.now();
    if last.is_none_or(|last| now.duration_since(last) > Duration::from_secs(1)) {
        *last = Some(now);
        tracing::warn!(listener = %listener.name, %error, "can't accept; trying again every 100 ms");
    }
}

fn welcome(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    (fd, peer): (OwnedFd, socket2::SockAddr),
    taken: &Rc<Cell<u32>>,
    turned_away: &Rc<Cell<u32>>,
) {
    let peer = peer_text(&peer);
    let Ok(socket) = Socket::from_ready_fd(fd) else { return };
    let setup = &worker.setup;
    // What is asked of the client from its first byte on is what the newest table says.
    let adopted = worker.table();
    let listener = adopted.table.listeners.iter().find(|it| it.id == listener.id).unwrap_or(listener);
    if taken.get() >= share(listener.max_connections, setup.workers as u32, setup.index as u32) {
        worker.counters().connections_refused.inc();
        if turned_away.get() < TURNED_AWAY_MAX {
            let seat = Seat::take(worker, turned_away);
            let client = Client::new(worker, socket, Arc::clone(listener), peer);
            monoio::spawn(async move {
                turn_away(&client).await;
                drop(seat);
            });
        }
        return;
    }
    worker.counters().connections_accepted.inc();
    let seat = Seat::take(worker, taken);
    let mut client = Client::new(worker, socket, Arc::clone(listener), peer);
    monoio::spawn(async move {
        if caught(connection::serve(&mut client)).await.is_err() {
            client.worker.counters().connection_panics.inc();
        }
        drop(seat);
    });
}

/// Tells a client that there is no room, once it has said something, and closes.
async fn turn_away(client: &Client) {
    let mut buf = BytesMut::with_capacity(1024);
    let heard = client.timer.idle_within(TURN_AWAY, client.socket.read(&mut buf)).await;
    if matches!(heard, Ok(Ok(1..))) {
        let mut out = Vec::new();
        answer::encode_failure(&mut out, Failure::ListenerFull, &client.worker.date(), false, None);
        if client.socket.try_write(&out).is_ok() {
            connection::linger(client).await;
        }
    }
}
