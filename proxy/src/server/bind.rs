//! One listening address: its sockets, and how it is closed so that nobody who has connected is lost.

use std::{
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use socket2::{Domain, SockAddr, SockFilter, Socket, Type};

use crate::{
    control::config::address_text, limits::LISTEN_BACKLOG, route::Listener, upstream::Address, worker::Bound,
};

/// Why a listener can't be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there: perhaps another instance of this program.
    #[error("listener {name:?}: {address} is in use by another process; stop it, or choose another address")]
    InUse {
        /// The listener.
        name: Arc<str>,
        /// Its address.
        address: String,
    },
    /// Anything else.
    #[error("listener {name:?}: can't listen on {address}: {error}")]
    Other {
        /// The listener.
        name: Arc<str>,
        /// Its address.
        address: String,
        /// What the system said.
        error: io::Error,
    },
}

/// An address that is listened to.
pub struct Entrance {
    /// See `Bound::number`.
    pub number: u32,
    /// Whose it is, or was last.
    pub listener: Arc<Listener>,
    /// Where it really is: what a port 0 has become.
    pub address: Arc<str>,
    /// Nobody new is to be accepted.
    pub leaving: bool,
    /// One for each worker, or one for all.
    sockets: Vec<Arc<Socket>>,
    file: Option<SocketFile>,
}

impl Entrance {
    /// Binds an address for so many workers. `shares`: one of ours is still there that is about to go, and takes in some of
    /// it (`0.0.0.0` and `127.0.0.1` on the same port).
    pub fn bind(listener: &Arc<Listener>, workers: usize, shares: bool) -> io::Result<Entrance> {
        let (sockets, file) = match &listener.address {
            Address::Tcp(address) => (tcp(&SockAddr::from(*address), workers, shares)?, None),
            Address::Unix(path) => {
                let (socket, file) = unix(path)?;
                (vec![Arc::new(socket)], Some(file))
            }
        };
        let bound = sockets.first().and_then(|socket: &Arc<Socket>| socket.local_addr().ok()?.as_socket());
        let address = bound.map_or_else(|| address_text(&listener.address), |address| address.to_string());
        let listener = Arc::clone(listener);
        Ok(Entrance { number: 0, listener, address: address.into(), leaving: false, sockets, file })
    }

    /// What a worker gets of it.
    pub fn for_worker(&self, index: usize) -> Option<Bound> {
        let socket = self.sockets.get(index % self.sockets.len().max(1))?;
        let (socket, listener) = (Arc::clone(socket), Arc::clone(&self.listener));
        Some(Bound { number: self.number, socket, listener, leaving: self.leaving })
    }

    /// Lets nobody in who has not begun to connect. Who waits in a queue stays there; closing the socket now, or shutting it
    /// down, would reset them.
    pub fn refuse_newcomers(&self) -> io::Result<()> {
        self.sockets.iter().try_for_each(|socket| match &self.listener.address {
            Address::Tcp(_) => socket.attach_filter(&NO_SYN),
            Address::Unix(_) => socket.shutdown(std::net::Shutdown::Both),
        })
    }

    /// Removes the file of a unix socket: another may have its path.
    pub fn remove_file(&mut self) {
        self.file = None;
    }

    /// Takes `refuse_newcomers` back. TCP alone: a unix socket that was shut down stays so.
    pub fn welcome_newcomers(&self) -> io::Result<()> {
        self.sockets.iter().try_for_each(|socket| socket.detach_filter())
    }

    /// Whether it can be used again although it is leaving.
    pub fn can_return(&self) -> bool {
        matches!(self.listener.address, Address::Tcp(address) if address.port() != 0)
    }

    /// Frees the address, also if a worker that has died, or a ring, still holds a duplicate.
    pub fn close(self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Drops a TCP segment that wants to open a connection (SYN without ACK) and lets all others pass: the last segment of
/// a handshake, and what comes for the connections made of it, which inherit the filter. A client whose SYN was dropped
/// tries again after a second, and is refused, or taken by whoever listens there by then.
const NO_SYN: [SockFilter; 5] = [
    // The flags: byte 13 of the TCP header. LD+B+ABS
    SockFilter::new(0x30, 0, 0, 13),
    // Of them ACK and SYN. ALU+AND+K
    SockFilter::new(0x54, 0, 0, 0x12),
    // SYN alone: the next instruction; else the one after it. JMP+JEQ+K
    SockFilter::new(0x15, 0, 1, 0x02),
    // None of it passes. RET+K
    SockFilter::new(0x06, 0, 0, 0),
    // All of it does.
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// One SO_REUSEPORT socket for each worker: the kernel spreads connections over them, and no two workers ever
/// wake for the same one.
fn tcp(address: &SockAddr, workers: usize, shares: bool) -> io::Result<Vec<Arc<Socket>>> {
    let mut bound: Vec<Arc<Socket>> = Vec::new();
    for _ in 0..workers {
        let socket = Socket::new(address.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it: no call for each.
        socket.set_tcp_nodelay(true)?;
        if let Some(address) = address.as_socket_ipv6() {
            // As in nginx, so that `0.0.0.0` and `[::]` can have the same port. ::ffff:a.b.c.d is IPv4 in disguise.
            socket.set_only_v6(address.ip().to_ipv4_mapped().is_none())?;
        }
        match bound.first() {
            None if !shares => {
                // The first one binds without SO_REUSEPORT: that fails when another process listens, even one that
                // would share, such as a second instance started by mistake.
                socket.bind(address)?;
                socket.set_reuse_port(true)?;
            }
            first => {
                socket.set_reuse_port(true)?;
                // Port 0 is chosen by the first; the others share it.
                socket.bind(&first.map_or_else(|| Ok(address.clone()), |first| first.local_addr())?)?;
            }
        }
        bound.push(Arc::new(socket));
    }
    bound.iter().try_for_each(|socket| socket.listen(LISTEN_BACKLOG))?;
    Ok(bound)
}

/// Unix sockets can't be shared by address: all workers accept from one.
fn unix(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    if let Ok(file) = std::fs::symlink_metadata(path) {
        // Connecting to any other file fails as connecting to a socket that was left behind does.
        if !file.file_type().is_socket() {
            let what = "the file is there and is not a socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        match probe.connect(&address) {
            // Left behind by a process that is gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&address)?;
    let file = SocketFile::at(path);
    socket.listen(LISTEN_BACKLOG)?;
    Ok((socket, file))
}

/// The file of a unix socket, removed when it goes, unless somebody has put another in its place.
struct SocketFile {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), id: file_id(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && file_id(&self.path) == self.id {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What tells a file from another that took its name.
fn file_id(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
