//! The config as it was written: every key with its place, its bounds and its default.
//!
//! No serde here. A derived reader stops at the first error and knows no places; this one goes on, so that one run of
//! `ringlane check` shows everything, and takes any tree of values (TOML now, JSON of the admin API later).
//!
//! ```text
//! text -> document (nodes with places) -> section (tables whose keys we know) of spec (kinds of values) -> Root
//!                                                  \-> findings (what is wrong, where, what to do)
//! ```

pub(crate) mod balance;
pub(crate) mod document;
pub(crate) mod either;
pub(crate) mod etcd;
pub(crate) mod findings;
pub(crate) mod health;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod overload;
pub(crate) mod provenance;
pub(crate) mod quantity;
pub(crate) mod retries;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod section;
pub(crate) mod sections;
pub(crate) mod spec;
pub(crate) mod suggest;
pub(crate) mod text;
