//! Change over time.
