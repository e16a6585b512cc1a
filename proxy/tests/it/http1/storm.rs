//! Many exchanges of every shape at once, in pieces of every size: each answer is the one to its own request, whole.
//! What is drawn comes from seeds, so that a failure can be had again.

use crate::harness::{Origin, Proxy, Setup, Wire, eventually};

const CLIENTS: u64 = 8;
const EXCHANGES: u64 = 150;

/// Numbers that look random and come from a seed (xorshift64*).
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    /// Mostly small, sometimes larger than any buffer.
    fn length(&mut self) -> usize {
        let limit = [1, 20, 3_000, 20_000, 300_000][self.below(5) as usize];
        self.below(limit) as usize
    }

    fn body(&mut self) -> Vec<u8> {
        let (length, start) = (self.length(), self.below(256));
        (0..length as u64).map(|n| (start + n * 31 + (n >> 8)) as u8).collect()
    }

    /// A body in chunks of drawn sizes, with an extension or a trailer here and there.
    fn chunks(&mut self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.length()).min(rest.len()));
            let extension = if self.below(8) == 0 { ";e" } else { "" };
            out.extend(format!("{:x}{extension}\r\n", piece.len()).bytes());
            out.extend(piece);
            out.extend(b"\r\n");
            rest = after;
        }
        out.extend(if self.below(3) == 0 { &b"0\r\nX-Trailer: t\r\n\r\n"[..] } else { b"0\r\n\r\n" });
        out
    }

    /// Sends `bytes` in a few pieces.
    fn send(&mut self, wire: &mut Wire, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = if self.below(2) == 0 { rest.len() } else { 1 + self.length() };
            let (piece, after) = rest.split_at(most.min(rest.len()));
            if !wire.try_send(piece) {
                return false;
            }
            rest = after;
        }
        true
    }
}

/// Field and bytes of a body: with a length, in chunks, or (a response only) until the close.
fn framed(draw: &mut Draw, body: &[u8], kinds: u64) -> (String, Vec<u8>, bool) {
    match draw.below(kinds) {
        0 => (format!("Content-Length: {}\r\n", body.len()), body.to_vec(), false),
        1 => ("Transfer-Encoding: chunked\r\n".to_owned(), draw.chunks(body), false),
        _ => (String::new(), body.to_vec(), true),
    }
}

/// Answers each request with its name and body, in a shape drawn by the seed that it carries.
fn answer(mut wire: Wire) {
    while let Some(request) = wire.try_read_request() {
        let mut draw = Draw::new(request.field("x-seed").unwrap().parse().unwrap());
        let interim = "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n".repeat(draw.below(3) as usize);
        let (field, body, closes) = framed(&mut draw, &request.body, 3);
        // A close that comes unannounced can meet the next request on its way, which is then 502: not what is shown here.
        let close = if closes || draw.below(6) == 0 { "Connection: close\r\n" } else { "" };
        let head =
            format!("{interim}HTTP/1.1 200 OK\r\nX-Target: {}\r\n{field}{close}\r\n", request.target());
        let body = if request.method() == "HEAD" { &[] } else { &body[..] };
        if !draw.send(&mut wire, &[head.as_bytes(), body].concat()) || !close.is_empty() {
            return;
        }
    }
}

/// One client: some exchanges, pipelined a few at a time.
fn client(proxy: &Proxy, number: u64) {
    let mut draw = Draw::new(1_000 + number);
    let mut wire = proxy.connect();
    let mut done = 0;
    while done < EXCHANGES {
        let batch: Vec<_> = (0..1 + draw.below(4))
            .map(|more| {
                let seed = number * 1_000_000 + done + more;
                let method = ["GET", "POST", "PUT", "HEAD"][draw.below(4) as usize];
                let body = if matches!(method, "POST" | "PUT") { draw.body() } else { Vec::new() };
                let (field, bytes) = match method {
                    "POST" | "PUT" => {
                        let (field, bytes, _) = framed(&mut draw, &body, 2);
                        (field, bytes)
                    }
                    _ => (String::new(), Vec::new()),
                };
                let head = format!("{method} /{seed} HTTP/1.1\r\nHost: a\r\nX-Seed: {seed}\r\n{field}\r\n");
                (method, seed, body, [head.as_bytes(), &bytes].concat())
            })
            .collect();
        done += batch.len() as u64;
        let (mut writer, all) =
            (wire.second(), batch.iter().flat_map(|(.., bytes)| bytes.clone()).collect::<Vec<_>>());
        let writing = std::thread::spawn(move || Draw::new(number).send(&mut writer, &all));
        for (method, seed, body, _) in &batch {
            let mut response = wire.read_response_to(method);
            while response.status == 103 {
                response = wire.read_response_to(method);
            }
            let response = response.expect(200);
            assert_eq!(response.field("x-target"), Some(&*format!("/{seed}")), "client {number}");
            assert!(response.body == *body, "client {number}, {method} /{seed}: {response:?}");
        }
        assert!(writing.join().unwrap());
    }
}

both_drivers! {
    fn every_answer_is_the_right_one(driver) {
        let origin = Origin::serve(answer);
        let proxy = Setup::to(&origin).workers(2).start(driver);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let proxy = &proxy;
                scope.spawn(move || client(proxy, number));
            }
        });
        eventually("every exchange is counted", || {
            proxy.metric("ringlane_requests_total", "") >= CLIENTS * EXCHANGES
        });
        for class in ["4xx", "5xx"] {
            assert_eq!(proxy.metric("ringlane_responses_total", &format!("class=\"{class}\"")), 0);
        }
        proxy.await_metric("ringlane_requests_active", "", 0);
    }
}
