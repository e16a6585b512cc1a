//! Asks the admin API of another process, for the command line.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// A whole answer may take this long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Its bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A query string.
pub fn query(pairs: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The body of the answer to a GET of `path` at `address`, `ADDRESS:PORT` or `unix:/PATH`.
///
/// # Errors
/// It can't be asked, or refuses; in words for people.
pub fn get(address: &str, path: &str, token: Option<&str>, accept: &str) -> Result<Bytes, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut request = Request::get(path).header(header::HOST, "ringlane").header(header::ACCEPT, accept);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let asked = async {
        let failed = |error: std::io::Error| format!("can't connect: {error}");
        match address.strip_prefix("unix:").or_else(|| address.starts_with('/').then_some(address)) {
            Some(path) => exchange(UnixStream::connect(path).await.map_err(failed)?, request).await,
            None => exchange(TcpStream::connect(address).await.map_err(failed)?, request).await,
        }
    };
    let answered = runtime.block_on(async { tokio::time::timeout(TIMEOUT, asked).await });
    // A look-up of a name that hangs can't be ended.
    runtime.shutdown_background();
    answered
        .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
        .map_err(|error| format!("{address}: {error}"))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<Bytes, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // It ends with the exchange, which says what went wrong.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(text)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let said = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let said = said.as_ref().and_then(|it| it["error"].as_str().map(str::to_owned));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
    Err(format!("{status}: {said}"))
}
