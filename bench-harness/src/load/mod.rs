//! The load generator: closed loop or open loop, every answer checked.
//!
//! ```text
//!   options, targets (what was typed) ──► plan ──► run (threads, one window, CPU time of others, intervals)
//!                                                    └─ per core: worker ──► N x client or pipeline ──► receive
//!                       open loop: arrivals ──► gate ────────┘   │  └── slots (stuck requests)       (read, judge)
//!                                  (when)   (who, and what waits) └──► tally, interval
//! ```
//!
//! *Closed loop*: each connection sends its next request when the last one is answered, so a slow server is asked less.
//! Its latencies are those of a patient client. *Open loop* (`--rate`): requests are due at times fixed beforehand, and
//! latency counts from then; a server that stalls is late for everything that was due meanwhile, and the figures say so.
mod arrivals;
mod client;
mod gate;
mod interval;
pub mod options;
mod order;
mod pipeline;
pub mod plan;
pub mod progress;
mod random;
mod receive;
mod run;
mod slots;
pub mod tally;
mod targets;
mod timer;
mod values;
mod worker;

pub use arrivals::Arrivals;
pub use interval::Interval;
pub use plan::{Expect, Open, Pace, Plan, Request};
pub use run::{Outcome, Progress, run, run_logged};
