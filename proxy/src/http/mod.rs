//! Bytes to values and back: heads, framing, chunked bodies, forwarded fields. Pure: no sockets, no clock, no config.
//!
//! ```text
//! bytes -> scan (where does the head end, is it clean) -> request or response (strict rules, decode, framing)
//!          head + edits -> encode -> bytes for the other side
//!          body bytes -> chunked (when chunked) -> data
//! ```
//!
//! Every rule is checked on the raw bytes by files of this folder. `decode` alone names the decoder that makes the
//! `http` crate's map of a head's fields, for whoever asks for one by name; nothing is decided by it.
//!
//! | file | what it decides |
//! |---|---|
//! | `scan` | where a head ends, without reading a byte twice |
//! | `field`, `bytes` | field lines, the names we treat specially, which bytes may stand where |
//! | `target`, `authority` | the request target and the host |
//! | `framing` | how long the body is |
//! | `cookie` | which cookies a request brings |
//! | `connection`, `upgrade` | the `Connection` options and what may become a tunnel |
//! | `forwarded` | who has sent a request, by what proxies have noted |
//! | `trace` | the ids that go along with a request |
//! | `request`, `response` | whole heads |
//! | `encode` | heads for the other side |
//! | `chunked`, `trailer` | the chunked transfer coding, both ways |

mod authority;
mod bytes;
pub mod chunked;
mod connection;
mod cookie;
mod decode;
pub mod edits;
pub mod encode;
pub mod error;
pub mod field;
pub mod forwarded;
pub mod framing;
pub mod request;
pub mod response;
pub mod scan;
mod target;
pub mod trace;
mod trailer;
pub mod upgrade;

#[cfg(test)]
mod tests;

pub use chunked::{ChunkDecoder, ChunkEvent, LAST_CHUNK, encode_chunk_size};
pub use cookie::{cookie, first_field};
pub use edits::HeaderEdits;
pub use encode::{
    BodyOut, ConnectionField, OwnField, RequestEncoding, ResponseEncoding, encode_interim, encode_request,
    encode_response,
};
pub use error::{ChunkError, HeadError};
pub use field::{FieldKind, Line, Lines, Spare};
pub use framing::BodyLength;
pub use request::RequestHead;
pub use response::ResponseHead;
pub use scan::{HeadScan, Scan};
pub use upgrade::upgrade_accepted;
