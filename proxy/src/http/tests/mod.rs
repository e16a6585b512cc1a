//! Tests of the whole module as tables of bytes: one line a case.

mod chunked;
mod connection;
mod encode_request;
mod encode_response;
mod forwarded;
mod framing;
mod properties;
mod request;
mod response;
mod reuse;
mod scan;
mod support;
mod trace;
mod trailer;
mod upgrade;
