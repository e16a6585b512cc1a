//! What can be wrong with a head or a chunked body. Which status answers it is decided in `worker/answer.rs` alone.

/// A head that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The head, or its number of fields, is over its limit (431).
    #[error("the head is larger than its limit")]
    TooLarge,
    /// The request line alone is over the limit on the head (414).
    #[error("the request target is longer than the limit on the head")]
    TargetTooLong,
    /// Breaks a rule of RFC 9110 or 9112; the text says which (400).
    #[error("{0}")]
    Malformed(&'static str),
    /// A major version other than 1 (505).
    #[error("the HTTP version is not 1.x")]
    Version,
    /// CONNECT, which a reverse proxy does not offer (501).
    #[error("CONNECT is not offered")]
    Connect,
}

/// A chunked body that is refused. The connection it came on cannot be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Breaks RFC 9112 section 7.1; the text says how.
    #[error("{0}")]
    Malformed(&'static str),
    /// Chunk extensions or the trailer section are over their limits.
    #[error("{0}")]
    TooLarge(&'static str),
}
