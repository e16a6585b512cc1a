//! Progress for a person: a bar on a terminal, a line now and then otherwise. On standard error.
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows one run, or a series of runs as one.
pub struct Display {
    bar: Option<ProgressBar>,
    label: String,
    last_line: Instant,
    /// Length of a series; None: of the one run.
    total: Option<Duration>,
    /// What runs before this one took.
    before: Duration,
    current: Duration,
}

impl Display {
    /// A display for the one run called `label`.
    pub fn new(label: impl Into<String>) -> Self {
        Self::with(None, label.into())
    }

    /// A display for many runs that take `total` together.
    pub fn series(total: Duration) -> Self {
        Self::with(Some(total), String::new())
    }

    fn with(total: Option<Duration>, label: String) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total.map_or(1, |total| total.as_millis() as u64));
            let left = if total.is_some() { " {eta} left" } else { "" };
            if let Ok(style) =
                ProgressStyle::with_template(&format!("[{{bar:30}}]{left}  {{prefix}}: {{msg}}"))
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label.clone());
            bar
        });
        let last_line = Instant::now();
        Self { bar, label, last_line, total, before: Duration::ZERO, current: Duration::ZERO }
    }

    /// The next run of a series begins.
    pub fn next(&mut self, label: String) {
        self.before += std::mem::take(&mut self.current);
        self.label = label;
        self.last_line = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.label.clone());
        }
    }

    /// Shows where the current run is.
    pub fn show(&mut self, progress: Progress) {
        self.current = progress.total;
        let phase = if progress.warming_up { "warming up, " } else { "" };
        let backlog = match progress.backlog {
            0 => String::new(),
            n => format!(", {n} waiting"),
        };
        let message = format!(
            "{phase}{:.1} of {:.1} s, {:.0} requests/s, {} errors{backlog}",
            progress.elapsed.as_secs_f64(),
            progress.total.as_secs_f64(),
            progress.rate,
            progress.failed
        );
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.unwrap_or(progress.total).as_millis() as u64);
            bar.set_position((self.before + progress.elapsed).as_millis() as u64);
            bar.set_message(message);
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("{}: {message}", self.label);
        }
    }

    /// Tells what a run of a series found, where there is no bar to look at.
    pub fn note(&self, text: &str) {
        if self.bar.is_none() {
            eprintln!("{}: {text}", self.label);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
