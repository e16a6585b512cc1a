//! The subcommands: flags, output and exit codes. 0 good, 1 errors or a target missed, 2 bad usage.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    chaos::{self, options::ChaosArgs},
    echo::{self, EchoArgs},
    fault::{Fault, Result},
    faults::{self, options::FaultsArgs},
    floor::{self, FloorArgs},
    guard::{self, CompareArgs},
    load::{self, options::LoadArgs, progress::Display},
    loadtest::{
        self,
        notes::{self, AnnotateArgs},
        options::LoadtestArgs,
    },
    memory::{self, options::MemoryArgs},
    report::{Figures, Outputs, text},
    storm::{self, options::StormArgs},
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
    /// Drive requests at a URL, closed or open loop, and check every answer
    Load(Box<LoadArgs>),
    /// Start origin and proxy, measure both, compare, report
    Loadtest(Box<LoadtestArgs>),
    /// Drive all kinds of clients at a proxy and fail if its memory passes a bound or keeps growing
    Memory(MemoryArgs),
    /// Change routes under load: what rebuilds cost, how soon changes take effect, and whether anything is lost
    Storm(Box<StormArgs>),
    /// Put faults to a proxy under load, one by one: what clients see, how soon it is detected, and recovered from
    Faults(Box<FaultsArgs>),
    /// Put faults to a proxy at random, all at once: is any answer wrong, does anything leak?
    Chaos(Box<ChaosArgs>),
    /// Put notes by hand on missed targets into reports that a load test wrote; exits 1 while any has none
    Annotate(AnnotateArgs),
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
            Command::Loadtest(args) => loadtest::run(&args),
            Command::Memory(args) => memory::run(&args),
            Command::Storm(args) => storm::run(&args),
            Command::Faults(args) => faults::run(&args),
            Command::Chaos(args) => chaos::run(&args),
            Command::Annotate(args) => notes::annotate(&args),
            Command::Compare(args) => Ok(guard::run(&args)),
            Command::Echo(args) => echo::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Floor(args) => floor::run(&args).map(|()| ExitCode::SUCCESS),
        }
    }
}

fn run_load(args: &LoadArgs) -> Result<ExitCode> {
    args.check().map_err(|fault| Fault::refusal(fault.to_string()))?;
    args.debug.check_own()?;
    let plan = args.plan()?;
    let mut outputs = Outputs::create(args)?;
    let mut display = Display::new("load");
    let result = load::run_logged(&plan, &mut |progress| display.show(progress), &mut |interval| {
        outputs.log(interval);
    });
    display.finish();
    let outcome = result?;
    let figures = Figures::of(&outcome, plan.connections);
    print!("{}", text::render(&figures, &args.url));
    let mut failed = figures.errors > 0 || figures.requests == 0;
    if let Some(target) = args.target_latency {
        let (line, missed) = text::judge(figures.latency_us.p99, target);
        print!("{line}");
        failed |= missed;
    }
    outputs.finish(&figures, &outcome.tally.latency)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
