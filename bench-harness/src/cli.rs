//! The subcommands: flags, output and exit codes. 0 good, 1 errors or a target missed, 2 bad usage.
use std::{fs, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    echo::{self, EchoArgs},
    fault::{At, Result},
    floor::{self, FloorArgs},
    guard::{self, CompareArgs},
    load::{self, options::LoadArgs, progress::Display},
    loadtest::{self, options::LoadtestArgs},
    report::{Figures, hgrm, table},
};

/// Load generator, echo origin and forwarder floor for Ringlane
#[derive(Parser, Debug)]
#[command(name = "ringlane-bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Drive requests at a URL and check every answer (closed loop)
    Load(Box<LoadArgs>),
    /// Start origin and proxy, measure both, compare, report
    Loadtest(Box<LoadtestArgs>),
    /// Hold a record of figures against an older one; exits 1 when one is worse than allowed
    Compare(CompareArgs),
    /// Run the origin whose answers can be verified
    Echo(EchoArgs),
    /// Run the bare forwarder that proxies are measured against
    Floor(FloorArgs),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Load(args) => run_load(&args),
            Command::Loadtest(args) => {
                warn_of_debug_build();
                loadtest::run(&args)
            }
            Command::Compare(args) => Ok(guard::run(&args)),
            Command::Echo(args) => echo::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Floor(args) => floor::run(&args).map(|()| ExitCode::SUCCESS),
        }
    }
}

fn run_load(args: &LoadArgs) -> Result<ExitCode> {
    warn_of_debug_build();
    let plan = args.plan()?;
    let mut display = Display::new("load");
    let result = load::run(&plan, &mut |progress| display.show(progress));
    display.finish();
    let outcome = result?;
    let figures = Figures::of(&outcome, plan.connections);
    print!("{}", describe(&figures, &args.url));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).at("figures as JSON")?;
        write_file(path, &(text + "\n"))?;
    }
    if let Some(path) = &args.hgrm {
        write_file(path, &hgrm::render(&outcome.tally.latency))?;
    }
    let mut failed = figures.errors > 0 || figures.requests == 0;
    if let Some(target) = args.target_latency {
        let p99 = figures.latency_us.p99;
        let missed = u128::from(p99) > target.as_micros();
        println!(
            "target    p99 {} of {target:?}: {}",
            table::micros(p99),
            if missed { "MISSED" } else { "met" }
        );
        failed |= missed;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).at(format!("cannot write {}", path.display()))
}

/// Says so where figures would mislead.
pub fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        eprintln!("WARNING: debug build: figures mean nothing; build with --release");
    }
}

fn describe(figures: &Figures, url: &str) -> String {
    let latency = &figures.latency_us;
    let cpu = figures.cpu_us_per_request.map_or(String::new(), |us| format!("{us:.2} us per request, "));
    let percentiles: Vec<String> =
        [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(table::micros).into();
    let mut text = format!(
        "{url}, {} connections, {:.1} s, closed loop\n\
         requests  {} ({:.0} per second), {:.1} MB\n\
         cpu       {cpu}generator {:.2} us\n\
         errors    {}\n\n",
        figures.connections,
        figures.seconds,
        figures.requests,
        figures.requests_per_second,
        figures.bytes as f64 / 1e6,
        figures.generator_cpu_us_per_request,
        figures.errors_text(),
    );
    text.push_str(&table::render(&["p50", "p90", "p99", "p99.9", "max"], &[percentiles]));
    for example in &figures.error_examples {
        text.push_str(&format!("  {example}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
