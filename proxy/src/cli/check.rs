//! `ringlane check`: what a good config says, so that it can be compared with what was meant.

use std::path::Path;

use super::{
    output::{dim, green, table},
    rules,
};
use crate::control::{
    compile::compile,
    config::{AccessLog, Config, Driver, Target, address_text},
    describe::{conditions, divided, listed},
    identities::Identities,
    raw::quantity::show_duration,
    resolve::Resolved,
};

/// Routes that are listed.
const ROUTES_SHOWN_MAX: usize = 40;

/// The summary of a good config.
pub(super) fn summary(path: &Path, config: &Config) -> String {
    let mut text = format!("{} {}\n\n", green("ok"), path.display());
    text.push_str(&process(config));
    text.push_str(&listeners(config));
    text.push_str(&upstreams(config));
    text.push_str(&config.rules.as_ref().map_or(String::new(), |it| rules::listed(it)));
    text.push_str(&routes(config));
    text
}

fn process(config: &Config) -> String {
    let runtime = &config.runtime;
    let driver = match runtime.driver {
        Driver::Auto => "io_uring where the kernel allows it, else epoll",
        Driver::IoUring => "io_uring",
        Driver::Epoll => "epoll",
    };
    let pinned = if runtime.pin_cores { "each on its core" } else { "not pinned" };
    let access_log = match &config.access_log {
        AccessLog::Off => "off".to_owned(),
        AccessLog::Stdout => "stdout".to_owned(),
        AccessLog::File(path) => path.display().to_string(),
    };
    let rows = [
        ("workers", format!("{}, {pinned}, {driver}", runtime.workers)),
        ("admin", config.admin.as_ref().map_or("none".to_owned(), |it| address_text(&it.address))),
        ("access log", access_log),
        ("drain", format!("at most {}", show_duration(config.shutdown_drain))),
    ];
    let rows: String =
        rows.iter().map(|(what, is)| format!("{}  {is}\n", dim(&format!("{what:10}")))).collect();
    format!("{rows}\n")
}

fn listeners(config: &Config) -> String {
    let mut rows = vec![row(["LISTENER", "ADDRESS", "CONNECTIONS"])];
    for it in &config.listeners {
        let connections = divided(it.max_connections, config.runtime.workers);
        rows.push(vec![it.name.to_string(), address_text(&it.address), connections]);
    }
    format!("{}\n", table(&rows))
}

fn upstreams(config: &Config) -> String {
    if config.upstreams.is_empty() {
        return String::new();
    }
    let workers = config.runtime.workers;
    let mut rows = vec![row(["UPSTREAM", "CONNECTIONS", "IDLE", "PENDING", "ENDPOINTS"])];
    for it in &config.upstreams {
        let endpoints = it.endpoints.iter().map(|endpoint| {
            let name = if matches!(endpoint.target, Target::Name(_)) { " (looked up)" } else { "" };
            let weight =
                if endpoint.weight == 1 { String::new() } else { format!(" weight {}", endpoint.weight) };
            let backup = if endpoint.backup { " backup" } else { "" };
            format!("{}{weight}{backup}{name}", endpoint.target)
        });
        let pool = &it.pool;
        let mut row = vec![it.name.to_string()];
        row.extend(
            [pool.max_connections, pool.max_idle, pool.max_pending].map(|limit| divided(limit, workers)),
        );
        row.push(listed(endpoints));
        rows.push(row);
    }
    format!("{}\n", table(&rows))
}

/// In the order of the table, which is not that of the file.
fn routes(config: &Config) -> String {
    let Ok(compiled) = compile(config, &Resolved::new(), &mut Identities::new(), 0, None) else {
        return String::new();
    };
    let sorted = compiled.built().by_precedence();
    if sorted.is_empty() {
        return String::new();
    }
    let mut rows = vec![row(["ROUTE", "DOES", "MATCHES"])];
    for route in sorted.iter().take(ROUTES_SHOWN_MAX) {
        let Some(it) = config.routes.iter().find(|it| it.name == route.name) else { continue };
        rows.push(vec![it.name.to_string(), it.action_text(), conditions(&it.predicates)]);
    }
    let more = sorted.len().saturating_sub(ROUTES_SHOWN_MAX);
    let more = if more > 0 { format!("... and {more} more\n") } else { String::new() };
    let order = if sorted.len() > 1 {
        dim("(the more exact first; `ringlane route` explains a request)\n")
    } else {
        String::new()
    };
    format!("{}{more}{order}", table(&rows))
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}
