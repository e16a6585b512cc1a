//! The order in which routes are tried.
