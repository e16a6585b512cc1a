//! Listening sockets, made by hand: monoio's own share a port silently and ignore the blocking mode.
use std::{net::SocketAddr, time::Duration};

use monoio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    fault::{At, Result},
    runtime::Driver,
};

/// Connections that wait to be accepted, unless said otherwise.
pub const BACKLOG: i32 = 4096;

/// How long a listener rests after a failed accept, so that a full descriptor table does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Binds and listens. Port 0 picks a free one. Call it on the thread and inside the runtime that will accept.
pub fn listen(address: SocketAddr, driver: Driver) -> Result<TcpListener> {
    listen_with(address, driver, BACKLOG)
}

/// The same with room for so many connections that nobody has accepted yet, and one more.
pub fn listen_with(address: SocketAddr, driver: Driver, backlog: i32) -> Result<TcpListener> {
    let place = format!("cannot listen on {address}");
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP)).at(&place)?;
    socket.set_reuse_address(true).at(&place)?;
    // Accepted sockets inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true).at(&place)?;
    // The ring waits for us; epoll needs the kernel to say "not yet".
    socket.set_nonblocking(driver == Driver::Epoll).at(&place)?;
    socket.bind(&address.into()).at(&place)?;
    socket.listen(backlog).at(&place)?;
    TcpListener::from_std(socket.into()).at(&place)
}

/// Accepts for ever and hands each connection to `serve`.
pub async fn accept_loop(listener: TcpListener, mut serve: impl FnMut(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => serve(stream),
            Err(error) => {
                eprintln!("accept failed: {error}");
                monoio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Raises the limit on open files to the most this process may have.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only read or write the struct they are given. A failure leaves the limit as it was, and a
    // limit that is too low shows up as counted errors.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Prints the one line on standard output that tells a parent process where a child listens.
pub fn announce(name: &str, listener: &TcpListener, driver: Driver) -> Result<()> {
    use std::io::Write;
    let address = listener.local_addr().at("cannot read the address of a listener")?;
    // Standard output may be a pipe, which buffers; the parent waits for this line.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name} listening on {address}, driver {driver}")
        .and_then(|()| out.flush())
        .at("standard output")
}
