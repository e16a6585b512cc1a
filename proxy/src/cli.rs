//! The command line: flags, exit codes, and what a person sees. Knows no HTTP.
//!
//! Exit codes: 0 good; 1 the config is bad, or can't be served or asked for; 2 bad usage; 3 `diff` found differences;
//! 70 a fault of ours.

mod ask;
mod check;
mod output;
mod rules;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use http::{HeaderName, HeaderValue, Method};

use crate::{
    control::{
        config,
        desired::Desired,
        diff::{Side, diff},
        explain, schema,
    },
    doctor,
    server::{self, ServerError},
};
use output::{print, report_errors, report_warnings};

/// The config is bad, or can't be served here.
const EXIT_CONFIG: u8 = 1;
/// Bad usage: clap's own.
const EXIT_USAGE: u8 = 2;
/// `diff` found differences. (diff(1) says 1, which is a bad config here.)
const EXIT_DIFFERENT: u8 = 3;
/// A fault of ours (`EX_SOFTWARE` of sysexits.h).
const EXIT_OURS: u8 = 70;

const EXAMPLES: &str = "\
Examples:
  ringlane run --config configs/quickstart.toml
  ringlane check --config ringlane.toml
  ringlane route --config ringlane.toml GET http://example.com/api/users
  ringlane route --admin 127.0.0.1:9901 GET http://example.com/api/users
  ringlane diff --admin 127.0.0.1:9901 new.toml
  ringlane schema > ringlane.schema.json

Exit codes: 0 good, 1 bad config, 2 bad usage, 3 `diff` found differences, 70 a fault of ours.";

const SIGNALS: &str = "\
Signals:
  TERM, INT  stop accepting, let exchanges end (at most shutdown.drain_timeout), exit; a second one exits at once
  HUP        read the config again; a bad one is reported and the running one stays
  USR1       print the latency report";

/// A thread-per-core HTTP/1.1 reverse proxy on io_uring
#[derive(Debug, Parser)]
#[command(
    name = "ringlane",
    version,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    /// The config file; without a command the same as `run`
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    #[command(after_help = SIGNALS)]
    Run(ConfigFile),
    /// Check a config without running it: every error with its line, or a summary
    Check(ConfigFile),
    /// Show which rules a request meets, which route it takes, and why the others don't
    Route(RouteArgs),
    /// Show what a config would change against another, or against what a running proxy has in force
    Diff(DiffArgs),
    /// Check this machine: kernel, io_uring, limits, cores; and what to change
    Doctor,
    /// Print the config's JSON schema, for editors
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  ringlane completions bash > /etc/bash_completion.d/ringlane")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The config file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// A running proxy.
#[derive(Debug, clap::Args)]
struct Running {
    /// Ask the proxy whose admin listener has this address: ADDRESS:PORT or unix:/PATH
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The file that holds the token of its admin API
    #[arg(long, value_name = "FILE", requires = "admin")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ringlane route -c ringlane.toml GET http://example.com/api -H 'x-version: 2'"
)]
struct RouteArgs {
    /// The config file
    #[arg(short, long, value_name = "FILE", required_unless_present = "admin", conflicts_with_all = ["admin", "token_file"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
    /// The request's method, as GET
    #[arg(value_parser = explain::parse_method)]
    method: Method,
    /// The request's URL, or its path alone
    #[arg(value_parser = explain::parse_url)]
    url: explain::Target,
    /// A header field of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = explain::parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address, for rules that ask for it; without it as from a unix socket
    #[arg(long, value_name = "ADDRESS")]
    client: Option<std::net::IpAddr>,
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ringlane diff A B\n       ringlane diff --admin ADDRESS [--token-file FILE] B",
    after_help = "Exit codes: 0 no difference, 1 a config is bad or can't be had, 3 there are differences."
)]
struct DiffArgs {
    #[command(flatten)]
    running: Running,
    /// The config files: A, unless a running proxy's is asked for, and B
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    files: Vec<PathBuf>,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    // The panic's own message is on stderr already.
    catch_unwind(AssertUnwindSafe(|| dispatch(Cli::parse()))).unwrap_or(ExitCode::from(EXIT_OURS))
}

fn dispatch(cli: Cli) -> ExitCode {
    let command = match (cli.command, cli.config) {
        (Some(command), _) => command,
        (None, Some(config)) => Command::Run(ConfigFile { config }),
        // clap has shown the help already where nothing at all was given.
        (None, None) => return ExitCode::from(EXIT_USAGE),
    };
    match command {
        Command::Run(ConfigFile { config }) => serve(&config),
        Command::Check(ConfigFile { config }) => {
            with_config(&config, |config_read| print(&check::summary(&config, &config_read)))
        }
        Command::Route(RouteArgs { config, running, method, url, headers, client }) => {
            let asked = explain::Asked { method, target: url, fields: headers, client };
            match (config, running.admin) {
                (Some(path), _) => with_config(&path, |config| match explain::explain(&config, &asked) {
                    Ok(explained) => print(&explained.text(&output::tone)),
                    Err(message) => fail(EXIT_OURS, &message),
                }),
                (None, Some(admin)) => match ask::explained(&admin, running.token_file.as_deref(), &asked) {
                    Ok(text) => print(&text),
                    Err(message) => fail(EXIT_CONFIG, &message),
                },
                // clap has refused that.
                (None, None) => ExitCode::from(EXIT_USAGE),
            }
        }
        Command::Diff(args) => differences(&args),
        Command::Doctor => {
            let report = doctor::examine();
            let code = print(&output::doctor(&report));
            if report.has_failed() { ExitCode::from(EXIT_CONFIG) } else { code }
        }
        Command::Schema => print(&format!("{:#}\n", schema::schema())),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ringlane", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Loads a config and does `then` with it; errors are shown and end with 1.
fn with_config(path: &Path, then: impl FnOnce(config::Config) -> ExitCode) -> ExitCode {
    match config::load(path) {
        Ok(config) => {
            report_warnings(&config);
            then(config)
        }
        Err(errors) => {
            report_errors(path, &errors);
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

/// What B would change, and by the exit code whether it would.
fn differences(args: &DiffArgs) -> ExitCode {
    let token = args.running.token_file.as_deref();
    let (a, path) = match (&args.running.admin, args.files.as_slice()) {
        (Some(admin), [b]) => match ask::config(admin, token) {
            Ok(config) => (Side::shown(&config), b),
            Err(message) => return fail(EXIT_CONFIG, &message),
        },
        (None, [a, b]) => match config::load(a) {
            Ok(config) => (Side::of(&config), b),
            Err(errors) => {
                report_errors(a, &errors);
                return ExitCode::from(EXIT_CONFIG);
            }
        },
        (Some(_), _) => return fail(EXIT_USAGE, "with --admin give one file"),
        (None, _) => return fail(EXIT_USAGE, "give two files, or --admin and one"),
    };
    with_config(path, |config| {
        let diff = diff(&a, &Side::of(&config));
        match print(&diff.text()) {
            code if code != ExitCode::SUCCESS => code,
            _ if diff.is_empty() => ExitCode::SUCCESS,
            _ => ExitCode::from(EXIT_DIFFERENT),
        }
    })
}

/// The one place where the command line meets the server.
fn serve(path: &Path) -> ExitCode {
    let desired = match Desired::load(path) {
        Ok(desired) => desired,
        Err(errors) => {
            report_errors(path, &errors);
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    report_warnings(&desired.base().config);
    match server::run(path, desired) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ServerError::Compile(_)) => fail(EXIT_OURS, &error.to_string()),
        Err(error) => fail(EXIT_CONFIG, &error.to_string()),
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("ringlane: {message}");
    ExitCode::from(code)
}
