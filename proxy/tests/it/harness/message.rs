//! Messages as tests see them, and the rules by which they are read: strict, because what is read is our own output.

use std::fmt::Write;

/// How a message's body came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its framing says; for a body until close, by an orderly close.
    Complete,
    /// By an orderly close before it was complete.
    Cut,
    /// By a reset.
    Reset,
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// Start line and fields.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// All of it, with the empty line.
    pub raw: Vec<u8>,
    /// The start line.
    pub start: String,
    /// Names and values, in order.
    pub fields: Vec<(String, String)>,
}

/// A request as an origin received it.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<String>,
    pub end: End,
}

/// A response as a client received it.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub framing: BodyFraming,
    pub body: Vec<u8>,
    /// Lengths of the chunks; empty when it was not chunked.
    pub chunks: Vec<usize>,
    pub trailers: Vec<String>,
    pub end: End,
}

/// Each byte as the character of its number: heads need not be UTF-8.
pub fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

impl Head {
    /// Reads a head that ends in an empty line.
    #[track_caller]
    pub fn parse(raw: &[u8]) -> Head {
        let text = text_of(raw);
        let inner = text.strip_suffix("\r\n\r\n").expect("a head ends in an empty line");
        let mut lines = inner.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        assert!(!start.contains(['\r', '\n']), "bare CR or LF: {text:?}");
        let fields = lines.map(|line| {
            assert!(!line.contains(['\r', '\n']), "bare CR or LF: {line:?}");
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon: {line:?}"));
            assert!(!name.is_empty() && !name.contains([' ', '\t']), "a bad name: {line:?}");
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        });
        Head { raw: raw.to_vec(), start: start.clone(), fields: fields.collect() }
    }

    /// The value of the field with this name; fails when it is there more than once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} more than once: {self:?}");
        values.first().copied()
    }

    /// The values of all fields with this name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(its, _)| its.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// All lines as they came, without the empty one.
    pub fn lines(&self) -> Vec<String> {
        text_of(&self.raw).trim_end().split("\r\n").map(str::to_owned).collect()
    }

    /// Whether a comma-separated field has this element, whatever its case.
    pub fn lists(&self, name: &str, element: &str) -> bool {
        let values = self.values(name);
        values.iter().flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(element))
    }

    /// What the framing fields say; `None` when there are none.
    #[track_caller]
    fn declared(&self) -> Option<BodyFraming> {
        match (self.field("content-length"), self.field("transfer-encoding")) {
            (None, None) => None,
            (Some(length), None) => Some(BodyFraming::Length(length.parse().unwrap())),
            (None, Some("chunked")) => Some(BodyFraming::Chunked),
            _ => panic!("framing fields that contradict each other: {self:?}"),
        }
    }

    /// How the body of a request with this head is framed.
    #[track_caller]
    pub fn request_framing(&self) -> BodyFraming {
        self.declared().unwrap_or(BodyFraming::None)
    }

    /// How the body of a response with this head to `method` is framed.
    #[track_caller]
    pub fn response_framing(&self, method: &str) -> BodyFraming {
        let bodiless = matches!(self.status(), 100..200 | 204 | 304) || method == "HEAD";
        if bodiless { BodyFraming::None } else { self.declared().unwrap_or(BodyFraming::UntilClose) }
    }

    /// The status of a response.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let rest =
            self.start.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("a status line: {}", self.start));
        assert_eq!(rest.as_bytes().get(3), Some(&b' '), "{}", self.start);
        rest[..3].parse().unwrap()
    }
}

impl Request {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap()
    }

    /// The target as received.
    pub fn target(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap()
    }

    /// The value of a field that is there at most once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        text_of(&self.body)
    }
}

impl Response {
    /// The value of a field that is there at most once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        text_of(&self.body)
    }

    /// Whether it says that its connection closes.
    pub fn says_close(&self) -> bool {
        self.head.lists("connection", "close")
    }

    /// Fails unless it has this status and is complete. Gives itself back.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!((self.status, self.end), (status, End::Complete), "{self:?}");
        self
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", text_of(&self.raw))
    }
}

/// A body for messages of failing tests: its beginning, and how long it is.
fn shown(body: &[u8]) -> String {
    let mut text = format!("{:?}", text_of(&body[..body.len().min(400)]));
    if body.len() > 400 {
        let _ = write!(text, ".. ({} bytes)", body.len());
    }
    text
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Request { head, body, trailers, end } = self;
        write!(f, "Request {{ {head:?}, body: {}, trailers: {trailers:?}, {end:?} }}", shown(body))
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Response { head, framing, body, trailers, end, .. } = self;
        write!(
            f,
            "Response {{ {head:?}, {framing:?}, body: {}, trailers: {trailers:?}, {end:?} }}",
            shown(body)
        )
    }
}
