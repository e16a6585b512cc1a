//! The program's own log, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::fmt;

use crate::control::config::{LogFormat, LogSettings};

/// Sends log events to stderr from now on. The level is a filter that callsites cache: what is off costs one load.
pub fn start(settings: &LogSettings) {
    let builder = fmt().with_writer(std::io::stderr).with_max_level(settings.level).with_target(false);
    // It would say so on stderr as well, and panic when it can't: the terminal that we were started from may be gone.
    let builder = builder.log_internal_errors(false);
    let started = match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        eprintln!("ringlane: the log can't be started: {error}");
    }
    // A panic is a fault of ours: it goes where everything else is reported.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        tracing::error!(thread, place, "fault: {text}");
    }));
}
