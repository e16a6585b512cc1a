//! How long a body is, RFC 9112 section 6. Strict: anything two parsers could read differently is an error.

/// The length of a message's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// No body at all.
    Empty,
    /// Exactly so many bytes (may be 0, when the message says so).
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Until the sender closes: responses only.
    UntilClose,
}
