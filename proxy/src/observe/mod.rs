//! What happened: counters, latency histograms and the access log.
//!
//! ```text
//! worker:   exchange ends -> Outcome -> Recorder -> Counters    (words with one writer, read at any time)
//!                                                -> Histograms  (plain; copied out when the board asks)
//!                                                -> access log  (a buffer; handed to the writer thread when large or old)
//! control:  Board::collect -> Merged -> latency table, JSON, HdrHistogram log, Prometheus text
//! ```
//!
//! In reading order: `outcome` is what is recorded of an exchange; `recorder` is what a worker calls; `metrics` is the
//! one list of metrics, over the words of `counter`; `histogram`, `board` and `merged` carry latencies from the workers
//! to whoever asks, `flow` how much upstreams had to do at a time; `report` and `prometheus` write them down; `line` and `access_log` write lines.
//!
//! Invariant: a request writes to no cache line that another thread writes, takes no lock and allocates nothing here.

pub mod access_log;
pub mod board;
pub mod counter;
pub mod flow;
pub mod histogram;
pub mod ids;
pub mod info;
pub mod line;
pub mod merged;
pub mod metrics;
mod named_counts;
pub mod noted;
pub mod outcome;
pub mod prometheus;
pub mod recorder;
pub mod report;

pub use access_log::{AccessLog, AccessLogHandle, LogTarget};
pub use board::{Board, Collected, Slot, Snapshot};
pub use counter::{Counter, Gauge};
pub use flow::{Flow, UpstreamFlow};
pub use histogram::{Phase, PhaseHistograms};
pub use ids::Ids;
pub use info::Info;
pub use line::{log_fields_markdown, rfc3339};
pub use merged::Merged;
pub use metrics::{Counters, Process, metrics_markdown};
pub use named_counts::NamedCounts;
pub use noted::{Noted, RequestFields};
pub use outcome::{ClientWait, Outcome, Phases, Refusal, Termination, UpstreamWait, terminations_markdown};
pub use prometheus::prometheus_text;
pub use recorder::Recorder;
pub use report::{latency_hlog, latency_json, latency_table};
