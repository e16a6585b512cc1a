//! Bytes to values and back: heads, framing, chunked bodies, forwarded fields. Pure: no sockets, no clock, no config.
//!
//! ```text
//! bytes -> scan (where does the head end, is it clean) -> head (decode, strict rules, framing) -> RequestHead
//!          RequestHead + edits -> encode -> bytes for the upstream      (and the same the other way round)
//!          body bytes -> chunked (when chunked) -> data
//! ```

pub mod edits;
pub mod error;
pub mod framing;

pub use edits::HeaderEdits;
pub use error::HeadError;
pub use framing::BodyLength;
