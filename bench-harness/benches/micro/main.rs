//! Where the time goes: each part of the proxy beside the design that it replaces.
//!
//! ```text
//! cargo bench -p ringlane-bench --bench micro                 everything, and target/bench/report.md   (make bench)
//! cargo bench -p ringlane-bench --bench micro -- guard        ours against the baselines               (make guard)
//! cargo bench -p ringlane-bench --bench micro -- baseline     writes the baselines anew                (make baseline)
//! cargo bench -p ringlane-bench --bench micro -- list         the names of all cases
//! cargo bench -p ringlane-bench --bench micro -- wall NAME    one case by criterion, or all that contain NAME
//! cargo bench -p ringlane-bench --bench micro -- instructions NAME    the same, counted
//! cargo bench -p ringlane-bench --bench micro -- changes              many changes of one route: time and memory
//! cargo bench -p ringlane-bench --bench micro -- tail         percentiles of asking a thousand rules
//! ```
//!
//! Three measures: nanoseconds (criterion; they depend on the machine and on who else uses it), instructions (valgrind;
//! they repeat), allocations (counted here; they repeat). `QUICK=1` measures time for a fraction as long.
//!
//! A case (`case.rs`) is prepared once and then run by whichever of them is at work. `old/` has the designs that ours is
//! measured against.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that fails has to stop"
)]

mod allocations;
mod bodies;
mod buffers;
mod case;
mod change;
mod exchange;
mod figures;
mod guard;
mod heads;
mod instructions;
mod old;
mod pool;
mod report;
mod route;
mod rules;
mod rules_asked;
mod sources;
mod tables;
mod wall;

use std::process::ExitCode;

use case::Case;
use ringlane::{control::config::Driver, worker::runtime};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // `cargo test --all-targets` runs benches as well, without `--bench`.
    let asked = std::env::args().any(|it| it == "--bench") || !words.is_empty();
    let result = match words[..] {
        _ if !asked => Ok(()),
        _ if cfg!(debug_assertions) => {
            Err("a debug build, whose figures mean nothing: use `cargo bench`, which builds for release"
                .into())
        }
        [] => report::everything(&cases()),
        ["list"] => {
            cases().iter().for_each(|case| println!("{}", case.name()));
            Ok(())
        }
        ["wall", part] => wall::print(&matching(part)),
        ["changes"] => {
            let mut text = String::new();
            change::report(&mut text).map(|()| println!("{text}"))
        }
        ["instructions", part] => instructions::print(&matching(part)),
        // What valgrind runs.
        ["counted", part] => {
            instructions::run(&matching(part));
            Ok(())
        }
        ["tail"] => {
            rules_asked::print_tail();
            Ok(())
        }
        ["guard"] => guard::check(&ours()),
        ["baseline"] => guard::write(&ours()),
        _ => Err(format!("not understood: {}", words.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> Vec<Case> {
    [
        route::cases(),
        change::cases(),
        pool::cases(),
        heads::cases(),
        rules::cases(),
        buffers::cases(),
        bodies::cases(),
        exchange::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn matching(part: &str) -> Vec<Case> {
    cases().into_iter().filter(|case| case.name().contains(part)).collect()
}

fn ours() -> Vec<Case> {
    matching(case::OURS)
}

/// The driver that the proxy would choose here; to be counted epoll, so that counts are the same on machines that refuse
/// io_uring.
fn driver() -> runtime::Chosen {
    let wanted = if instructions::is_counted() { Driver::Epoll } else { Driver::Auto };
    runtime::choose(wanted).map_or(runtime::Chosen::Epoll, |(chosen, _)| chosen)
}
