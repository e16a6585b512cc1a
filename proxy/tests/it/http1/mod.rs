//! HTTP/1.1 on both sides, as RFC 9110 and RFC 9112 have it.

mod accepted_heads;
mod refused_cases;
mod refused_heads;
