//! The designs that ours is measured against, each built as its source describes it and as well as that allows: where
//! a description leaves something open, what costs least was chosen. They do only what was described; where ours does
//! more for its time, the report says so.
#![allow(clippy::disallowed_types, reason = "locks are what these designs are about")]

pub mod bodies;
pub mod buffers;
pub mod heads;
pub mod pools;
pub mod routers;
pub mod rules;
