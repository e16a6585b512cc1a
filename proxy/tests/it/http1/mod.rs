//! HTTP/1.1 on both sides, as RFC 9110 and RFC 9112 have it.

mod accepted_heads;
mod bodies_cut;
mod body_limits;
mod early_responses;
mod forwarding;
mod interim;
mod keep_alive;
mod large_bodies;
mod refused_cases;
mod refused_chunks;
mod refused_heads;
mod request_bodies;
mod response_bodies;
mod returning;
mod storm;
mod upgrade;
