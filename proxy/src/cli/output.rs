//! Text for a terminal: colour only where there is one, tables, errors.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use clap::builder::styling::{AnsiColor, Style};

use super::EXIT_OURS;
use crate::{
    control::{
        config::Config,
        describe,
        error::{ConfigError, Part},
        explain::Tone,
    },
    doctor::{Finding, Outcome, Report},
};

/// Errors that are shown at once; a broken file can have thousands.
const ERRORS_SHOWN_MAX: usize = 50;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

/// Whether a stream shows colours: a terminal that is not dumb, and nobody said NO_COLOR (<https://no-color.org>).
fn colour(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !dumb
}

fn painted(on: bool, style: Style, text: &str) -> String {
    if on { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Dim on standard output, where that is a terminal.
pub(super) fn dim(text: &str) -> String {
    painted(colour(&io::stdout()), DIM, text)
}

/// Green on standard output, where that is a terminal.
pub(super) fn green(text: &str) -> String {
    painted(colour(&io::stdout()), GREEN, text)
}

/// Red on standard output, where that is a terminal.
pub(super) fn red(text: &str) -> String {
    painted(colour(&io::stdout()), RED, text)
}

/// Writes to standard output. A reader that leaves early (`| head`) is no error.
pub(super) fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => super::fail(EXIT_OURS, &format!("standard output: {error}")),
    }
}

/// Shows what is wrong with a config, and how much.
pub(super) fn report_errors(path: &Path, errors: &[ConfigError]) {
    let on = colour(&io::stderr());
    let mut text = String::new();
    for error in errors.iter().take(ERRORS_SHOWN_MAX) {
        text.push_str(&error_text(error, on, RED));
        text.push('\n');
    }
    let more = errors.len().saturating_sub(ERRORS_SHOWN_MAX);
    if more > 0 {
        text.push_str(&format!("... and {more} more\n"));
    }
    let plural = if errors.len() == 1 { "" } else { "s" };
    let count = format!("{} error{plural} in {}", errors.len(), path.display());
    eprintln!("{text}\n{}", painted(on, RED, &count));
}

/// Shows what is probably not meant in a config that is otherwise good.
pub(super) fn report_warnings(config: &Config) {
    let warnings = &config.warnings;
    let on = colour(&io::stderr());
    for warning in warnings {
        eprintln!("{}", error_text(warning, on, YELLOW));
    }
    if !warnings.is_empty() {
        eprintln!();
    }
}

fn error_text(error: &ConfigError, on: bool, strong: Style) -> String {
    let mut text = String::new();
    let paint = |part: Part, text: &str| {
        let style = match part {
            Part::Place | Part::Message => BOLD,
            Part::Severity | Part::Caret => strong,
            Part::Key => CYAN,
            Part::Margin => BLUE,
            Part::Hint => GREEN,
        };
        painted(on, style, text)
    };
    // Writing to a String does not fail.
    let _ = error.write(&mut text, &paint);
    text
}

/// Rows in columns; the first row is the heading.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    describe::table(rows, &dim)
}

/// Colours of an explanation.
pub(super) fn tone(tone: Tone, text: &str) -> String {
    match tone {
        Tone::Good => green(text),
        Tone::Bad => red(text),
        Tone::Label => dim(text),
    }
}

/// The doctor's findings, one a line, with what to do below.
pub(super) fn doctor(report: &Report) -> String {
    let on = colour(&io::stdout());
    let mut text = String::new();
    let width = report.findings.iter().map(|it| it.what.chars().count()).max().unwrap_or(0);
    for Finding { outcome, what, found, advice } in &report.findings {
        let (word, style) = match outcome {
            Outcome::Ok => ("ok  ", GREEN),
            Outcome::Warn => ("warn", YELLOW),
            Outcome::Fail => ("fail", RED),
        };
        text.push_str(&format!("{}  {what:width$}  {found}\n", painted(on, style, word)));
        for line in advice.iter().flat_map(|it| it.lines()) {
            text.push_str(&format!("      {:width$}  {}\n", "", painted(on, CYAN, line)));
        }
    }
    text.push('\n');
    text.push_str(&report.verdict());
    text.push('\n');
    text
}
