//! Accepting: one loop per door, for the life of the door.
//!
//! A poll says that somebody is there; `accept4(2)` then takes them, so that every socket is close-on-exec from its
//! first moment and its peer's address comes for nothing.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    rc::Rc,
    time::Duration,
};

use bytes::BytesMut;

use super::{
    Bound, Worker, answer,
    caught::caught,
    connection::{self, Client},
    deadline::{Rest, Timer},
    descriptors::{self, Wanted},
    doors::Door,
    socket::Socket,
};
use crate::{
    error::Failure,
    limits::{LISTEN_BACKLOG, TICK},
    route::Listener,
    upstream::{Address, share},
};

/// Connections taken before other tasks of this core have a turn.
const ACCEPT_BATCH: usize = 64;
/// Wait after an accept failed for want of something that only time brings back, such as descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Clients that are being told that the listener is full, at a time; beyond it connections are closed without a word.
const TURNED_AWAY_MAX: u32 = 64;
/// How long a client that is turned away may take to say something and read the answer.
const TURN_AWAY: Duration = Duration::from_secs(1);
/// From a socket's last SYN to its last look for a client: what is left of a handshake takes a round trip. Less than the
/// second after which a client whose SYN was dropped tries again, so that this one is refused then.
const HANDSHAKE_WAIT: Duration = Duration::from_millis(500);
/// Longer than any process lives: the wait for clients is ended by others.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A listening socket that this worker's event loop watches.
pub struct Registered {
    raw: RawFd,
    polled: monoio::net::TcpListener,
    /// How long clients may still come once it is given up.
    last_wait: Duration,
}

/// Has the event loop of this thread watch a socket.
pub fn register(bound: &Bound) -> io::Result<Registered> {
    let watch = || {
        let socket = bound.socket.try_clone()?;
        let raw = socket.as_raw_fd();
        // Carries unix sockets as well: only its readiness is asked for.
        let polled = monoio::net::TcpListener::from_std(std::net::TcpListener::from(socket))?;
        let last_wait = match bound.listener.address {
            Address::Tcp(_) => HANDSHAKE_WAIT,
            // A client is in the queue, or refused.
            Address::Unix(_) => Duration::ZERO,
        };
        Ok(Registered { raw, polled, last_wait })
    };
    watch().map_err(|error: io::Error| {
        let name = &bound.listener.name;
        let text = format!("listener {name:?} can't be watched by the event loop: {error}");
        io::Error::new(error.kind(), text)
    })
}

/// Keeps count of a listener's connections on this worker.
struct Seat {
    worker: Rc<Worker>,
    taken: Rc<Cell<u32>>,
    /// The place of its client's seat, where clients are counted.
    client: Option<u32>,
}

impl Seat {
    fn take(worker: &Rc<Worker>, taken: &Rc<Cell<u32>>) -> Seat {
        taken.set(taken.get() + 1);
        worker.connections.set(worker.connections.get() + 1);
        Seat { worker: Rc::clone(worker), taken: Rc::clone(taken), client: None }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - 1);
        self.worker.connections.set(self.worker.connections.get() - 1);
        if let Some(place) = self.client {
            self.worker.limiter.leave(place);
        }
    }
}

/// Starts accepting.
pub fn start(worker: &Rc<Worker>, door: Rc<Door>, registered: Registered) {
    worker.accepting.set(worker.accepting.get() + 1);
    door.accepting.set(true);
    let worker = Rc::clone(worker);
    monoio::spawn(async move {
        accept(&worker, &door, registered).await;
        door.accepting.set(false);
        worker.accepting.set(worker.accepting.get() - 1);
    });
}

/// What came of one round of accepting.
struct Round {
    taken: usize,
    /// Somebody waits who can't be taken now, and is to be tried again after this.
    stuck: Option<Duration>,
}

async fn accept(worker: &Rc<Worker>, door: &Rc<Door>, registered: Registered) {
    let Registered { raw, polled, last_wait } = registered;
    let timer = worker.deadlines.timer_at(door.number);
    // Taken since the last SYN. A queue holds no more than this, so a socket that goes on getting clients, because its
    // filter has no effect, does not keep the loop.
    let mut last_taken = 0;
    let (mut full, mut looked_again) = (false, false);
    loop {
        // At the end, whoever waits is taken without another wait.
        if !(full && door.is_leaving()) {
            wait_for_client(worker, door, (&timer, &polled)).await;
        }
        let Round { taken, stuck } = take_clients(worker, door, raw);
        full = taken == ACCEPT_BATCH;
        let waited = |left| worker.now().duration_since(left) >= last_wait;
        let ending = worker.draining() || door.left().is_some_and(waited);
        if ending {
            last_taken += taken;
        }
        let all = !full || last_taken > LISTEN_BACKLOG as usize;
        if worker.draining() && all {
            if !looked_again {
                // A handshake that is complete for its client may be on its way to the queue: a tick is time enough.
                looked_again = true;
                continue;
            }
            // Who has come so far is served; the next connect is refused.
            // SAFETY: `polled` keeps the descriptor open.
            let _ = unsafe { libc::shutdown(raw, libc::SHUT_RDWR) };
            return;
        }
        // Of a door that is given up, the control thread closes the socket, when all workers have taken who had come.
        if door.is_forgotten() || (ending && all && stuck.is_none()) {
            return;
        }
        if let Some(pause) = stuck {
            monoio::time::sleep(pause).await;
        } else if full || taken == 0 {
            // More may wait, or nobody: another worker that shares the socket was faster, or has ended it and this one
            // has not heard of it yet. The poll says so at once, but other tasks run first.
            monoio::time::sleep(Duration::ZERO).await;
        }
    }
}

/// Until somebody may be there, or the door is given up; then, a tick.
async fn wait_for_client(
    worker: &Rc<Worker>,
    door: &Door,
    (timer, polled): (&Timer, &monoio::net::TcpListener),
) {
    if door.is_leaving() {
        return monoio::time::sleep(TICK).await;
    }
    if let Ok(Err(error)) = timer.rest_within(Rest::Next, FOR_EVER, polled.readable(false)).await {
        // Without a pause this loop would spin. It asks the socket itself meanwhile.
        complain(worker, &door.listener(), &error);
        monoio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Takes those who wait, at most so many that others have their turn.
fn take_clients(worker: &Rc<Worker>, door: &Rc<Door>, raw: RawFd) -> Round {
    let mut taken = 0;
    let stuck = loop {
        if taken == ACCEPT_BATCH {
            break None;
        }
        match accept_one(raw, worker.epoll) {
            Ok((fd, peer)) => {
                taken += 1;
                welcome(worker, door, (fd, peer));
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => break None,
                // The client left while it waited, or its network failed: the next one may be fine.
                // Asked for a descriptor first, the kernel does not say that nobody is there to take it.
                Some(libc::EMFILE | libc::ENFILE) if !somebody_waits(raw) => break None,
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO | libc::EPERM | libc::ENETDOWN) => {}
                _ => {
                    complain(worker, &door.listener(), &error);
                    let room =
                        descriptors::are_short(&error) && descriptors::make_room(worker, Wanted::Client);
                    break Some(if room { TICK } else { ACCEPT_PAUSE });
                }
            },
        }
    };
    Round { taken, stuck }
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

fn complain(worker: &Worker, listener: &Listener, error: &io::Error) {
    worker.counters().accept_errors.inc();
    if descriptors::may_say(worker.now()) {
        tracing::warn!(listener = %listener.name, %error, "can't accept; trying again every 100 ms");
    }
}

fn welcome(worker: &Rc<Worker>, door: &Rc<Door>, (fd, peer): (OwnedFd, socket2::SockAddr)) {
    let peer = peer.as_socket();
    let address = peer.map(|peer| peer.ip());
    let Ok(socket) = Socket::from_ready_fd(fd) else { return };
    let setup = &worker.setup;
    // What is asked of the client from its first byte on is what the newest table says.
    let _ = worker.table();
    let listener = door.listener();
    let most = share(listener.max_connections, setup.workers as u32, setup.index as u32);
    let counters = worker.counters();
    let admitted = if door.taken.get() >= most {
        counters.connections_refused.inc();
        Err(Failure::ListenerFull)
    } else {
        worker.seat_connection(&listener, address).inspect_err(|_| counters.connections_refused_client.inc())
    };
    let place = match admitted {
        Ok(place) => place,
        Err(failure) => {
            if door.turned_away.get() < TURNED_AWAY_MAX {
                let seat = Seat::take(worker, &door.turned_away);
                let client = Client::new(worker, socket, Rc::clone(door), peer);
                monoio::spawn(async move {
                    turn_away(&client, failure).await;
                    drop(seat);
                });
            }
            return;
        }
    };
    counters.connections_accepted.inc();
    let mut seat = Seat::take(worker, &door.taken);
    seat.client = place;
    let mut client = Client::new(worker, socket, Rc::clone(door), peer);
    monoio::spawn(async move {
        if caught(connection::serve(&mut client)).await.is_err() {
            client.worker.counters().connection_panics.inc();
        }
        drop(seat);
    });
}

/// Tells a client why there is no room for it, once it has said something, and closes.
async fn turn_away(client: &Client, failure: Failure) {
    let mut buf = BytesMut::with_capacity(1024);
    let heard = client.timer.rest_within(Rest::Brief, TURN_AWAY, client.socket.read(&mut buf)).await;
    if matches!(heard, Ok(Ok(1..))) {
        let mut out = Vec::new();
        answer::encode_failure(&mut out, failure, &client.worker.date(), false, None, None);
        if client.socket.try_write(&out).is_ok() {
            connection::linger(client).await;
        }
    }
}
