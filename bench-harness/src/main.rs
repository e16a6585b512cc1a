//! The command line; everything it does is in the library.
use std::process::ExitCode;

use clap::Parser;
use ringlane_bench::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("ringlane-bench: {fault}");
            ExitCode::from(fault.code())
        }
    }
}
