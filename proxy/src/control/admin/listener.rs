//! The admin API's socket.

use std::{
    fs::{self, Permissions},
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use axum::Router;
use socket2::{Domain, Type};

use super::serve;
use crate::upstream::Address;

/// Who may use a unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A bound socket of the admin API.
#[derive(Debug)]
pub struct AdminListener(Socket);

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

impl AdminListener {
    /// Binds `127.0.0.1:9901`, `[::1]:9901`, `unix:/run/ringlane/admin.sock`, or an absolute path. Port 0 takes a free
    /// one, see `address`.
    ///
    /// # Errors
    /// When the address is not one of these, and all of `bind_address`.
    pub fn bind(address: &str) -> io::Result<Self> {
        if let Some(path) =
            address.strip_prefix("unix:").or_else(|| address.starts_with('/').then_some(address))
        {
            return Self::bind_address(&Address::Unix(path.into()));
        }
        let Ok(address) = address.parse() else {
            let text = format!("admin address {address}: neither IP:PORT nor unix:/PATH");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        Self::bind_address(&Address::Tcp(address))
    }

    /// Binds an address. The file of a unix socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// When the address is taken, is the path of something other than a socket, or cannot be bound; the text says
    /// which address and what to do.
    pub fn bind_address(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_tcp(*address),
            Address::Unix(path) => bind_unix(path),
        }
        .map(Self)
    }

    /// Where it listens, as text: the port is the real one.
    pub fn address(&self) -> String {
        match &self.0 {
            Socket::Tcp(_, address) => address.to_string(),
            Socket::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// Answers until `shutdown`, see `serve.rs`. The file of a unix socket is removed at the end.
    pub(super) async fn serve(
        self,
        router: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        match self.0 {
            Socket::Tcp(listener, _) => {
                listener.set_nonblocking(true)?;
                serve::serve(tokio::net::TcpListener::from_std(listener)?, router, shutdown).await;
            }
            Socket::Unix(listener, _file) => {
                listener.set_nonblocking(true)?;
                serve::serve(tokio::net::UnixListener::from_std(listener)?, router, shutdown).await;
            }
        }
        Ok(())
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let listener = listen(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => taken(&address.to_string()),
        _ => explained(&address.to_string(), &error),
    })?;
    let address = listener.local_addr()?;
    Ok(Socket::Tcp(listener, address))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    if let SocketAddr::V6(address) = address {
        // As every listener does: see `server/bind.rs`.
        socket.set_only_v6(address.ip().to_ipv4_mapped().is_none())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    let name = format!("unix:{}", path.display());
    remove_stale(path, &name)?;
    let listener = UnixListener::bind(path).map_err(|error| explained(&name, &error))?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
        .map_err(|error| explained(&name, &error))?;
    let inode = inode(path).map_err(|error| explained(&name, &error))?;
    Ok(Socket::Unix(listener, SocketFile { path: path.to_owned(), inode }))
}

/// Makes way for a socket at `path`, unless somebody listens there or it is something else.
fn remove_stale(path: &Path, name: &str) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explained(name, &error)),
    };
    if !file.file_type().is_socket() {
        let text = format!("admin address {name}: the file is there and is not a socket");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| explained(name, &error))
        }
        // Any other error, such as a full backlog, says that somebody may be there.
        Ok(_) | Err(_) => Err(taken(name)),
    }
}

fn taken(name: &str) -> io::Error {
    let text = format!(
        "admin address {name} is taken: stop the process that listens there, or set another [admin] address"
    );
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

fn explained(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("admin address {name}: {error}"))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// The file of a unix socket, removed when dropped unless another process has put its own there since.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // Left behind, it is stale, and the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ringlane-admin-{}-{name}", std::process::id()))
    }

    fn unix(path: &Path) -> String {
        format!("unix:{}", path.display())
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = AdminListener::bind("127.0.0.1:0").unwrap();
        let address = first.address();
        let error = AdminListener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            error.to_string(),
            format!(
                "admin address {address} is taken: stop the process that listens there, or set another [admin] address"
            )
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "localhost", "localhost:9901", "127.0.0.1", "9901", "relative/path"] {
            let error = AdminListener::bind(address).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
        }
        let error = AdminListener::bind(&format!("/{}", "long/".repeat(100))).unwrap_err();
        assert!(error.to_string().starts_with("admin address unix:/long"), "{error}");
    }

    #[test]
    fn a_live_socket_is_refused_and_a_stale_one_replaced() {
        let path = path("live");
        let first = AdminListener::bind(&unix(&path)).unwrap();
        assert_eq!(first.address(), unix(&path));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        let error = AdminListener::bind(&unix(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
        drop(first);
        assert!(!path.exists(), "removed by its owner");

        // One whose process was killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = AdminListener::bind(path.to_str().unwrap()).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let path = path("file");
        fs::write(&path, "precious").unwrap();
        let error = AdminListener::bind(&unix(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn another_process_s_socket_is_not_removed() {
        let path = path("other");
        let first = AdminListener::bind(&unix(&path)).unwrap();
        fs::rename(&path, path.with_extension("moved")).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("moved")).unwrap();
    }
}
