//! The bare forwarder: what a proxy on this runtime costs before it does anything a proxy is for.
//!
//! Read, take a pooled upstream connection, write, read, write. A head is looked at only for where it ends and how
//! long its body is. No routes, no headers added, no timeouts, no chunked bodies; of the connection options only a
//! client's `close`, so that upstream connections outlive it. The distance of a real proxy to it is the price of being
//! one.
use std::{cell::RefCell, io, net::SocketAddr, rc::Rc};

use clap::Args;
use memchr::memchr;
use monoio::net::TcpStream;

use crate::{
    fault::Result,
    http::{fields::parse_decimal, find_head_end},
    runtime::{self, DriverChoice, Runtime},
    socket,
    stream::{read_more, write_all},
};

const REQUEST_BUFFER_BYTES: usize = 16 * 1024;
const RESPONSE_BUFFER_BYTES: usize = 64 * 1024;

/// `ringlane-bench floor`
#[derive(Args, Debug)]
pub struct FloorArgs {
    /// Address to accept on; port 0 picks a free one, which is printed
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Address to forward to
    #[arg(long, value_name = "ADDR")]
    pub upstream: SocketAddr,
    /// Core to run on; unpinned without it
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,
    /// I/O driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: DriverChoice,
}

/// Idle upstream connections, last in first out, owned by the one thread.
type Pool = Rc<RefCell<Vec<TcpStream>>>;

/// Forwards until the process is ended.
pub fn run(args: &FloorArgs) -> Result<()> {
    if let Some(core) = args.core {
        runtime::pin(core)?;
    }
    socket::raise_open_files();
    let mut runtime = Runtime::new(args.driver)?;
    let driver = runtime.driver();
    let upstream = args.upstream;
    runtime.block_on(async move {
        let listener = socket::listen(args.listen, driver)?;
        socket::announce("floor", &listener, driver)?;
        let pool = Pool::default();
        socket::accept_loop(listener, |client| {
            let pool = pool.clone();
            monoio::spawn(async move {
                // A client that goes away is the usual end; anything else shows up in the load generator's errors.
                let _ = serve(client, upstream, pool).await;
            });
        })
        .await;
        Ok(())
    })
}

async fn serve(mut client: TcpStream, upstream: SocketAddr, pool: Pool) -> io::Result<()> {
    let mut request = Vec::with_capacity(REQUEST_BUFFER_BYTES);
    let mut response = Vec::with_capacity(RESPONSE_BUFFER_BYTES);
    loop {
        let (result, buf) = read_more(&mut client, request).await;
        request = buf;
        if result? == 0 {
            return Ok(());
        }
        let pooled = pool.borrow_mut().pop();
        let mut server = match pooled {
            Some(server) => server,
            None => {
                let server = TcpStream::connect_addr(upstream).await?;
                server.set_nodelay(true)?;
                server
            }
        };
        let close;
        (request, close) = relay(&mut client, &mut server, request).await?;
        (response, _) = relay(&mut server, &mut client, response).await?;
        pool.borrow_mut().push(server);
        if close {
            return Ok(());
        }
    }
}

/// Forwards one message, of which `buf` may hold a beginning; returns the buffer, emptied, and whether the sender
/// wants to close.
async fn relay(from: &mut TcpStream, to: &mut TcpStream, mut buf: Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
    let mut searched = 0;
    let head_end = loop {
        if let Some(end) = find_head_end(&buf, searched) {
            break end;
        }
        searched = buf.len();
        if buf.len() == buf.capacity() {
            return Err(io::Error::other("a head larger than the buffer"));
        }
        buf = read_some(from, buf).await?;
    };
    let (body, close) = scan(&mut buf[..head_end]);
    let total = head_end as u64 + body;
    let mut forwarded = 0;
    loop {
        forwarded += buf.len() as u64;
        let (result, written) = write_all(to, buf).await;
        result?;
        buf = written;
        buf.clear();
        if forwarded >= total {
            return Ok((buf, close));
        }
        buf = read_some(from, buf).await?;
    }
}

async fn read_some(from: &mut TcpStream, buf: Vec<u8>) -> io::Result<Vec<u8>> {
    let (result, buf) = read_more(from, buf).await;
    if result? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buf)
}

/// Reads `Content-Length` (0 without one) and whether there is a `Connection: close`, which is made a header without
/// a meaning: it is for this connection only, and renaming it in place moves no bytes.
fn scan(head: &mut [u8]) -> (u64, bool) {
    const LENGTH: &[u8] = b"content-length:";
    const CLOSE: &[u8] = b"connection: close\r";
    let (mut length, mut close, mut at) = (0, false, 0);
    while let Some(end) = memchr(b'\n', &head[at..]) {
        let line = &mut head[at..at + end];
        match line.first() {
            Some(b'C' | b'c')
                if line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH) =>
            {
                length = parse_decimal(line[LENGTH.len()..].trim_ascii()).unwrap_or(0);
            }
            Some(b'C' | b'c') if line.eq_ignore_ascii_case(CLOSE) => {
                close = true;
                line[0] = b'X';
            }
            _ => {}
        }
        at += end + 1;
    }
    (length, close)
}

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn length_and_close_are_found_in_any_case() {
        let mut head = b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-LENGTH: 42\r\n\r\n".to_vec();
        assert_eq!(scan(&mut head), (42, false));
        let mut head = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n".to_vec();
        assert_eq!(scan(&mut head), (0, true));
        assert_eq!(head, b"GET / HTTP/1.1\r\nXonnection: close\r\nHost: a\r\n\r\n");
    }
}
