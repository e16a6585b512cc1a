//! A client that asks and waits: blocking, one request at a time on a connection that stays.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    fault::{At, Fault, Result},
    http::{
        find_head_end,
        response::{self, Framing},
    },
};

/// How long a connection, and each read, may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Heads and bodies that are taken; whoever is asked here answers with less.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A connection on which nothing takes long.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    connect_for(address, TIMEOUT)
}

fn connect_for(address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
    let place = format!("connection to {address}");
    let stream = TcpStream::connect_timeout(&address, timeout).at(&place)?;
    stream.set_read_timeout(Some(timeout)).at(&place)?;
    stream.set_nodelay(true).at(&place)?;
    Ok(stream)
}

/// Writes a request and reads its answer, which must have a Content-Length.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Answer> {
    stream.write_all(request).at("write")?;
    let (mut reply, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(answer) = complete(&reply)? {
            return Ok(answer);
        }
        if reply.len() > ANSWER_BYTES_MAX {
            return Err(Fault::new(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
        }
        match stream.read(&mut piece).at("read")? {
            0 => return Err(Fault::new(format!("closed after {} bytes", reply.len()))),
            n => reply.extend_from_slice(&piece[..n]),
        }
    }
}

/// The answer, once `reply` holds all of it.
fn complete(reply: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = find_head_end(reply, 0) else { return Ok(None) };
    let head = response::parse(&reply[..end], false).map_err(Fault::new)?;
    let Framing::Length(n) = head.framing else {
        return Err(Fault::new(format!("an answer without a Content-Length, status {}", head.status)));
    };
    let body = reply.get(end..end.saturating_add(n as usize));
    let text = |body| String::from_utf8_lossy(body).into_owned();
    Ok(body.map(|body| Answer { status: head.status, body: text(body) }))
}

/// Somebody to ask; connects when it is asked first, and again after a failure.
pub(crate) struct Client {
    address: SocketAddr,
    timeout: Duration,
    stream: Option<TcpStream>,
}

impl Client {
    /// Asks `address`, with so long for each answer.
    pub(crate) fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout, stream: None }
    }

    /// One request, with a body of JSON if there is one.
    pub(crate) fn ask(&mut self, method: &str, path: &str, json: Option<&str>) -> Result<Answer> {
        let place = || format!("{method} {path} of {}", self.address);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect_for(self.address, self.timeout)?,
        };
        let body = json.map_or(String::new(), |json| {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len())
        });
        let end = if json.is_some() { "" } else { "\r\n" };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{body}{end}", self.address);
        let answer = exchange(&mut stream, request.as_bytes()).at(place())?;
        self.stream = Some(stream);
        Ok(answer)
    }

    /// The same, where anything but success is a fault.
    pub(crate) fn ask_well(&mut self, method: &str, path: &str, json: Option<&str>) -> Result<Answer> {
        let answer = self.ask(method, path, json)?;
        match answer.status {
            200..300 => Ok(answer),
            status => Err(Fault::new(format!(
                "{method} {path} of {}: status {status}: {:.300}",
                self.address, answer.body
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn an_answer_is_whole_or_not_there_yet() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        let answer = Answer { status: 201, body: "ok".into() };
        assert_eq!(complete(whole).unwrap(), Some(answer));
        for length in 0..whole.len() {
            assert_eq!(complete(&whole[..length]).unwrap(), None, "{length}");
        }
        assert!(complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn one_connection_is_kept_and_a_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            for status in ["200 OK", "409 Conflict"] {
                let mut piece = [0; 1000];
                let n = stream.read(&mut piece).unwrap();
                heard.push(String::from_utf8_lossy(&piece[..n]).into_owned());
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nwhy").unwrap();
            }
            heard
        });
        let mut client = Client::new(address, TIMEOUT);
        client.ask_well("GET", "/a", None).unwrap();
        let fault = client.ask_well("PUT", "/b", Some("{}")).unwrap_err().to_string();
        assert!(fault.contains("PUT /b") && fault.contains("409: why"), "{fault}");
        let heard = server.join().unwrap();
        assert_eq!(heard[0], format!("GET /a HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        assert!(heard[1].ends_with("Content-Length: 2\r\n\r\n{}"), "{heard:?}");
    }
}
