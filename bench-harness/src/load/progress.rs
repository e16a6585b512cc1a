//! Progress for a person: a bar on a terminal, a line now and then otherwise.
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows one run, on standard error.
pub struct Display {
    bar: Option<ProgressBar>,
    label: String,
    last_line: Instant,
}

impl Display {
    /// A display for the run called `label`.
    pub fn new(label: impl Into<String>) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label.clone());
            bar
        });
        Self { bar, label, last_line: Instant::now() }
    }

    /// Shows where the run is.
    pub fn show(&mut self, progress: Progress) {
        let phase = if progress.warming_up { "warming up, " } else { "" };
        let message = format!(
            "{phase}{:.0} of {:.0} s, {:.0} requests/s, {} errors",
            progress.elapsed.as_secs_f64(),
            progress.total.as_secs_f64(),
            progress.rate,
            progress.failed
        );
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total.as_millis() as u64);
            bar.set_position(progress.elapsed.as_millis() as u64);
            bar.set_message(message);
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("{}: {message}", self.label);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
