//! Tests of whole tables: tables written out, and random ones against a reference that knows no index.

mod property;
mod random;
mod reference;
mod spec;
mod tables;
mod upon;
