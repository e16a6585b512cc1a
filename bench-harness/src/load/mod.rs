//! The load generator: closed loop, every answer checked.
//!
//! ```text
//!   options (what was typed) ──► plan ──► run (threads, one window, CPU time of others)
//!                                           └─ per core: worker ──► N x client ──► receive (read and judge)
//!                                                          └── slots (stuck requests)  └──► tally
//! ```
//!
//! Closed loop: each connection sends its next request when the last one is answered, so a slow server is asked less.
//! Its latencies are those of a patient client, not of arrivals at a constant rate.
mod client;
pub mod options;
pub mod plan;
pub mod progress;
mod receive;
mod run;
mod slots;
pub mod tally;
mod worker;

pub use plan::{Expect, Plan};
pub use run::{Outcome, Progress, run};
