//! One check of an endpoint: a connection, or a GET and what is expected of its answer.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};

use crate::{
    control::raw::quantity::show_duration,
    limits::{HEALTH_CHECK_BODY_BYTES_MAX, HEALTH_CHECK_HEAD_BYTES_MAX},
    proxy_protocol::{self, Version},
    upstream::{
        Address, Endpoint,
        health::{Checks, Probe},
    },
};

/// Who asks.
const USER_AGENT: &str = concat!("ringlane/", env!("CARGO_PKG_VERSION"), " (health check)");
/// The `Host` of a unix socket, if none is set.
const UNIX_HOST: &str = "localhost";

/// A task that ends with whoever has it.
pub(super) struct Running<T>(pub(super) JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Checks an endpoint once, on a connection that begins with such a header, if with any.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) async fn check(
    endpoint: &Endpoint,
    checks: &Checks,
    greeting: Option<Version>,
) -> Result<(), String> {
    let late = |_| Err(format!("no answer within {}", show_duration(checks.timeout)));
    tokio::time::timeout(checks.timeout, ask(endpoint, &checks.probe, greeting)).await.unwrap_or_else(late)
}

async fn ask(endpoint: &Endpoint, probe: &Probe, greeting: Option<Version>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("can't connect: {error}");
    match &endpoint.address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(failed)?;
            talk(stream, &endpoint.label, probe, greeting).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(failed)?;
            talk(stream, UNIX_HOST, probe, greeting).await
        }
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    own_host: &str,
    probe: &Probe,
    greeting: Option<Version>,
) -> Result<(), String> {
    if let Some(version) = greeting {
        let mut header = Vec::new();
        proxy_protocol::write_local(&mut header, version);
        stream.write_all(&header).await.map_err(|error| format!("can't write to it: {error}"))?;
    }
    let Probe::Http { path, host, status, body } = probe else { return Ok(()) };
    let request = Request::get(&**path)
        .header(header::HOST, host.as_deref().unwrap_or(own_host))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let text = |error: hyper::Error| error.to_string();
    let builder = http1::Builder::new().max_buf_size(HEALTH_CHECK_HEAD_BYTES_MAX).to_owned();
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(text)?;
    let _connection = Running(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(text)?;
    let answered = response.status().as_u16();
    if !status.contains(&answered) {
        return Err(format!("status {answered}"));
    }
    match body {
        None => Ok(()),
        Some(needle) => find(response.into_body(), needle).await,
    }
}

/// Looks for `needle` in as much of the body as is read.
async fn find(mut body: Incoming, needle: &str) -> Result<(), String> {
    let wanted = memchr::memmem::Finder::new(needle);
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Some(data) = frame.data_ref() else { continue };
        let room = HEALTH_CHECK_BODY_BYTES_MAX.saturating_sub(read.len());
        read.extend_from_slice(data.get(..room).unwrap_or(data));
        if wanted.find(&read).is_some() {
            return Ok(());
        }
        if read.len() >= HEALTH_CHECK_BODY_BYTES_MAX {
            return Err(format!(
                "{needle:?} is not in the first {HEALTH_CHECK_BODY_BYTES_MAX} bytes of its body"
            ));
        }
    }
    Err(format!("{needle:?} is not in its body"))
}
