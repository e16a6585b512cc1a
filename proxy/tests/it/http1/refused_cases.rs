//! Heads that are refused, as data. Each character of a text stands for the byte of its number.

/// A head, and the status that refuses it.
pub struct Case {
    pub head: Vec<u8>,
    pub status: u16,
}

/// Values of `Content-Length`.
const CONTENT_LENGTHS: &[&str] = &[
    "",
    " ",
    "\t",
    "3, 3",
    "3,4",
    "3,",
    ",3",
    "3 3",
    "+3",
    "-3",
    "-0",
    "+0",
    "0x3",
    "3.0",
    "3e1",
    "3;",
    "\"3\"",
    "three",
    "3\u{b2}",
    "\u{a0}3",
    "3_0",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551619",
    "99999999999999999999999999999999",
];

/// Values of `Transfer-Encoding`.
const TRANSFER_ENCODINGS: &[&str] = &[
    "",
    " ",
    "identity",
    "gzip",
    "gzip, chunked",
    "gzip,chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked,chunked",
    "chunked, identity",
    "identity, chunked",
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked;",
    "chunked;q=1",
    "chunked; a=b",
    "\"chunked\"",
    "'chunked'",
    "xchunked",
    "chunkedx",
    "chun ked",
    "chunked chunked",
    "trailers, chunked",
    "chunked\u{a0}",
    "\u{a0}chunked",
    "chunked/1",
    "c\u{17f}",
];

/// Values of `Host`.
const HOSTS: &[&str] = &[
    "",
    " ",
    "a b",
    "a/b",
    "/",
    "a,b",
    "a, a",
    "a@b",
    "user:pw@a",
    "a:b",
    "a:65536",
    "a:-1",
    "a:+1",
    "a:",
    ":80",
    ":",
    "a:80:80",
    "[::1",
    "::1",
    "[::1]x",
    "[::g]",
    "[]",
    "[::1%25eth0]",
    "[v1.a]",
    "a%2eb",
    "a?b",
    "a#b",
    "a\\b",
    "<a>",
    "\u{e4}",
    "http://a",
    "a\tb",
    "a:8 0",
];

/// Targets of GET, all with `Host: a`.
const TARGETS: &[&str] = &[
    "",
    "foo",
    "foo/bar",
    "*",
    "**",
    "*/",
    "a:80",
    "?",
    "http:/a",
    "http:a",
    "http://",
    "http:///",
    "http://?",
    "http://a@b/",
    "http://:80/",
    "http://a:99999/",
    "http://a:b/",
    "http://a,b/",
    "http://[::1/",
    "ftp://a/",
    "ws://a/",
    "://a/",
    "urn:a",
    "/a#b",
    "/#",
    "/a\u{7f}",
    "/a\tb",
    "/\u{e4}",
    "/\u{ff}",
    "/%",
    "/%0",
    "/%zz",
    "/%0g/",
    "/a%",
    "/a\\b",
    "/\"",
    "/<",
    "/>",
    "/{a}",
    "/|",
    "/^",
    "/`",
    "http://a/%g0",
];

/// Whole request lines, without the CRLF.
const REQUEST_LINES: &[(&str, u16)] = &[
    ("GET  / HTTP/1.1", 400),
    ("GET /  HTTP/1.1", 400),
    ("GET / HTTP/1.1 ", 400),
    (" GET / HTTP/1.1", 400),
    ("\tGET / HTTP/1.1", 400),
    ("GET\t/ HTTP/1.1", 400),
    ("GET /\tHTTP/1.1", 400),
    ("GET / HTTP/1.1\t", 400),
    ("GET / a HTTP/1.1", 400),
    ("GET /", 400),
    ("GET", 400),
    ("GET /HTTP/1.1", 400),
    ("GET / http/1.1", 400),
    ("GET / Http/1.1", 400),
    ("GET / HTTP/1", 400),
    ("GET / HTTP/1.", 400),
    ("GET / HTTP/.1", 400),
    ("GET / HTTP/1.10", 400),
    ("GET / HTTP/01.1", 400),
    ("GET / HTTP/11", 400),
    ("GET / HTTP/1,1", 400),
    ("GET / HTTP 1.1", 400),
    ("GET / HTTP/", 400),
    ("GET / HTTPS/1.1", 400),
    ("GET / XTTP/1.1", 400),
    ("GET / HTTP/a.b", 400),
    ("GET / HTTP/1.a", 400),
    ("/ HTTP/1.1", 400),
    ("G(T / HTTP/1.1", 400),
    ("G\u{c4}T / HTTP/1.1", 400),
    ("GET: / HTTP/1.1", 400),
    ("HTTP/1.1 200 OK", 400),
    ("\u{16}\u{3}\u{1}\u{2}", 400),
    ("GET / HTTP/2.0", 505),
    ("GET / HTTP/3.0", 505),
    ("GET / HTTP/0.9", 505),
    ("GET / HTTP/0.0", 505),
    ("GET / HTTP/9.9", 505),
    ("PRI * HTTP/2.0", 505),
    ("CONNECT a:80 HTTP/1.1", 501),
    ("CONNECT a HTTP/1.1", 501),
    ("CONNECT / HTTP/1.1", 501),
    ("CONNECT a:80 HTTP/1.0", 501),
];

/// Field lines, each with its CRLF if it has one, after a request line and `Host: a`.
const FIELD_LINES: &[&str] = &[
    // White space where none may be, folding.
    "A : b\r\n",
    "A\t: b\r\n",
    "A b: c\r\n",
    "A: b\r\n c\r\n",
    "A: b\r\n\tc\r\n",
    "A: b\r\n \r\n",
    "A: b\r\n\t\r\n",
    " A: b\r\n",
    "\tA: b\r\n",
    "Content-Length : 3\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\u{b}: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Content-Length:\r\n 3\r\n",
    // Names.
    ": b\r\n",
    "A\r\n",
    "A;b\r\n",
    "A(b): c\r\n",
    "A\u{e4}: c\r\n",
    "A\": c\r\n",
    "A,B: c\r\n",
    "A/b: c\r\n",
    "[A]: c\r\n",
    "A@b: c\r\n",
    "{A}: c\r\n",
    "A\\b: c\r\n",
    "A=b\r\n",
    "\u{a0}A: b\r\n",
    // Bare CR, bare LF, NUL, other control bytes.
    "A: b\rc\r\n",
    "A: b\r\r\n",
    "A\r: b\r\n",
    "\rA: b\r\n",
    "A: \r b\r\n",
    "A: b\n",
    "A: b\nB: c\r\n",
    "A\n: b\r\n",
    "\nA: b\r\n",
    "A:\nb\r\n",
    "A: b\n\r\n",
    "A: b\0c\r\n",
    "A\0: b\r\n",
    "\0A: b\r\n",
    "A: \0\r\n",
    "A: \u{1}\r\n",
    "A: b\u{7f}\r\n",
    "A: \u{b}b\r\n",
    "A: \u{c}b\r\n",
    "A: \u{8}b\r\n",
    "A: b\u{1b}[m\r\n",
    "A\u{1}: b\r\n",
    // Framing twice over, and fields that may come once.
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nContent-Length: 4\r\n",
    "Content-Length: 3\r\nA: b\r\ncontent-length: 3\r\n",
    "Content-Length: 0\r\nContent-Length: 0\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "content-length: 0\r\ntransfer-encoding: chunked\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
    "Content-Length: \r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n",
    "Host: a\r\n",
    "host: b\r\n",
    "HOST:\r\n",
    // `Connection` that would take away what the message is framed or routed by.
    "Connection: Host\r\n",
    "Connection: close, host\r\n",
    "Connection: Content-Length\r\nContent-Length: 3\r\n",
    "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
    "Connection: a b\r\n",
    "Connection: \"a\"\r\n",
];

/// Whole heads.
const HEADS: &[(&str, u16)] = &[
    // Host: needed once in 1.1, at most once in 1.0.
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
    ("GET http://a/ HTTP/1.1\r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400),
    ("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET / HTTP/1.2\r\n\r\n", 400),
    // White space before the first field.
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    // Line ends.
    ("GET / HTTP/1.1\nHost: a\n\n", 400),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400),
    ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GE\rT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\0\r\nHost: a\r\n\r\n", 400),
    ("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    // Empty lines before the request line: two at most, and they are CRLF.
    ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    // Transfer-Encoding in 1.0.
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    // Max-Forwards, where it is looked at.
    ("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: \r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n", 400),
];

/// Every head that is refused whatever the limits are.
pub fn all() -> Vec<Case> {
    let mut texts = Vec::new();
    let mut add = |text: String, status: u16| texts.push((text, status));
    for value in CONTENT_LENGTHS {
        add(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {value}\r\n\r\nabc"), 400);
        add(format!("GET / HTTP/1.0\r\nContent-Length:{value}\r\n\r\n"), 400);
    }
    for value in TRANSFER_ENCODINGS {
        add(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n"), 400);
    }
    for value in HOSTS {
        add(format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"), 400);
    }
    for target in TARGETS {
        add(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    for (line, status) in REQUEST_LINES {
        add(format!("{line}\r\nHost: a\r\n\r\n"), *status);
    }
    for lines in FIELD_LINES {
        add(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"), 400);
    }
    for (head, status) in HEADS {
        add((*head).to_owned(), *status);
    }
    // More options than are looked for among the fields.
    let options: Vec<_> = (0..33).map(|n| format!("o{n}")).collect();
    add(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", options.join(",")), 400);
    let bytes = |text: &str| text.chars().map(|byte| byte as u32 as u8).collect();
    texts.into_iter().map(|(text, status)| Case { head: bytes(&text), status }).collect()
}
