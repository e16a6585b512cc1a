//! Listening sockets: made before any worker starts, one for each worker and listener, kept by the control thread so
//! that a worker that dies leaves nobody waiting in a queue that no one reads.

use std::{
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{
    limits::{LISTEN_BACKLOG, TICK},
    route::Listener,
    upstream::Address,
    worker::Bound,
};

/// How long a start waits for an address that is in use.
const BIND_PATIENCE: Duration = Duration::from_millis(500);

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

/// The sockets of all listeners, one row per worker.
pub struct Sockets {
    rows: Vec<Vec<(Socket, Arc<Listener>)>>,
    unix_paths: Vec<PathBuf>,
}

impl Sockets {
    /// As `bind`, also where a process has the addresses that has just ended: what a ring of it held, the kernel
    /// closes a moment after its end.
    pub async fn bind_patiently(listeners: &[Arc<Listener>], workers: usize) -> Result<Sockets, BindError> {
        let deadline = Instant::now() + BIND_PATIENCE;
        loop {
            match Sockets::bind(listeners, workers) {
                Err(BindError::InUse { .. }) if Instant::now() < deadline => tokio::time::sleep(TICK).await,
                result => return result,
            }
        }
    }

    /// Binds every listener for `workers` workers.
    pub fn bind(listeners: &[Arc<Listener>], workers: usize) -> Result<Sockets, BindError> {
        let mut sockets =
            Sockets { rows: (0..workers).map(|_| Vec::new()).collect(), unix_paths: Vec::new() };
        for listener in listeners {
            let result = match &listener.address {
                Address::Tcp(address) => sockets.tcp(listener, &SockAddr::from(*address)),
                Address::Unix(path) => sockets.unix(listener, path),
            };
            result.map_err(|error| {
                let name = Arc::clone(&listener.name);
                let address = crate::control::config::address_text(&listener.address);
                match error.kind() {
                    io::ErrorKind::AddrInUse => BindError::InUse { name, address },
                    _ => BindError::Other { name, address, error },
                }
            })?;
        }
        Ok(sockets)
    }

    /// One SO_REUSEPORT socket for each worker: the kernel spreads connections over them, and no two workers ever
    /// wake for the same one.
    fn tcp(&mut self, listener: &Arc<Listener>, address: &SockAddr) -> io::Result<()> {
        let mut bound = Vec::new();
        for _ in 0..self.rows.len() {
            let socket = Socket::new(address.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
            socket.set_reuse_address(true)?;
            // Accepted sockets inherit it: no call for each.
            socket.set_tcp_nodelay(true)?;
            if let Some(address) = address.as_socket_ipv6() {
                // As in nginx, so that `0.0.0.0` and `[::]` can have the same port. ::ffff:a.b.c.d is IPv4 in disguise.
                socket.set_only_v6(address.ip().to_ipv4_mapped().is_none())?;
            }
            if bound.is_empty() {
                // The first one binds without SO_REUSEPORT: that fails when another process listens, even one that
                // would share, such as a second instance started by mistake.
                socket.bind(address)?;
                socket.set_reuse_port(true)?;
            } else {
                socket.set_reuse_port(true)?;
                // Port 0 is chosen by the first; the others share it.
                socket.bind(&first_address(&bound, address)?)?;
            }
            bound.push(socket);
        }
        for (row, socket) in self.rows.iter_mut().zip(bound) {
            socket.listen(LISTEN_BACKLOG)?;
            row.push((socket, Arc::clone(listener)));
        }
        Ok(())
    }

    /// Unix sockets can't be shared by address: all workers accept from one.
    fn unix(&mut self, listener: &Arc<Listener>, path: &Path) -> io::Result<()> {
        let address = SockAddr::unix(path)?;
        if let Ok(file) = std::fs::symlink_metadata(path) {
            // Connecting to any other file fails as connecting to a socket that was left behind does.
            if !file.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the file is there and is not a socket",
                ));
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
        socket.listen(LISTEN_BACKLOG)?;
        self.unix_paths.push(path.to_owned());
        for row in &mut self.rows {
            row.push((socket.try_clone()?, Arc::clone(listener)));
        }
        Ok(())
    }

    /// The sockets of one worker, for a worker to take over: duplicates, the originals stay here.
    pub fn for_worker(&self, index: usize) -> io::Result<Vec<Bound>> {
        let row = self.rows.get(index).map(Vec::as_slice).unwrap_or_default();
        row.iter()
            .map(|(socket, listener)| {
                Ok(Bound { socket: socket.try_clone()?, listener: Arc::clone(listener) })
            })
            .collect()
    }

    /// Where each listener really listens: what a port 0 has become.
    pub fn addresses(&self) -> Vec<(Arc<str>, String)> {
        let row = self.rows.first().map(Vec::as_slice).unwrap_or_default();
        let text = |socket: &Socket, listener: &Listener| match socket
            .local_addr()
            .ok()
            .and_then(|it| it.as_socket())
        {
            Some(address) => address.to_string(),
            None => crate::control::config::address_text(&listener.address),
        };
        row.iter().map(|(socket, listener)| (Arc::clone(&listener.name), text(socket, listener))).collect()
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in &self.unix_paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn first_address(bound: &[Socket], wanted: &SockAddr) -> io::Result<SockAddr> {
    bound.first().map_or_else(|| Ok(wanted.clone()), Socket::local_addr)
}
