//! Change over time.

pub mod admin;
