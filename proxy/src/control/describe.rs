//! Routes and limits in words, for `check`, `route` and the lines at start.

use std::{fmt::Write as _, sync::Arc};

use super::config::{Action, Config, Route};
use crate::{
    route::{HostPattern, PathPattern, Predicates, ValuePattern},
    upstream::share,
};

/// Names and hosts that one line lists.
const LISTED_MAX: usize = 6;

impl Config {
    /// What is served, one line each for listeners, upstreams and routes: a word and its text, for the start.
    pub fn summary(&self) -> [(&'static str, String); 3] {
        let listeners = self
            .listeners
            .iter()
            .map(|it| format!("{} on {}", it.name, super::config::address_text(&it.address)));
        let upstreams = self.upstreams.iter().map(|it| {
            let plural = if it.endpoints.len() == 1 { "" } else { "s" };
            format!("{} ({} endpoint{plural})", it.name, it.endpoints.len())
        });
        [
            ("listeners", counted(self.listeners.len(), listeners)),
            ("upstreams", counted(self.upstreams.len(), upstreams)),
            ("routes", counted(self.routes.len(), self.routes.iter().map(|it| it.name.to_string()))),
        ]
    }
}

impl Route {
    /// What a route does, as `-> app` or `redirect 302 https://...`.
    pub fn action_text(&self) -> String {
        match &self.action {
            Action::Upstream(name) => format!("-> {name}"),
            Action::Split(choices) => {
                let sum: u64 = choices.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let percent = |weight: u32| percent(weight.into(), sum);
                let side = |(name, weight): &(Arc<str>, u32)| format!("{name} {}", percent(*weight));
                format!("-> {}", listed(choices.iter().map(side)))
            }
            Action::Redirect(redirect) => {
                let to = |part: &Option<Box<str>>, same: &str| part.as_deref().unwrap_or(same).to_owned();
                let path = match &redirect.path_prefix {
                    Some(prefix) => format!("{}/...", prefix.trim_end_matches('/')),
                    None => to(&redirect.path, "/..."),
                };
                let (scheme, host) = (to(&redirect.scheme, ""), to(&redirect.host, ""));
                let url = match (&redirect.scheme, &redirect.host) {
                    (None, None) => path,
                    (None, Some(_)) => format!("<scheme>://{host}{path}"),
                    (Some(_), None) => format!("{scheme}://<host>{path}"),
                    (Some(_), Some(_)) => format!("{scheme}://{host}{path}"),
                };
                format!("redirect {} {url}", redirect.status.as_u16())
            }
            Action::Respond(respond) => format!("respond {}", respond.status),
        }
    }
}

/// `90%`, `0.5%`.
fn percent(part: u64, sum: u64) -> String {
    let share = part as f64 * 100.0 / sum.max(1) as f64;
    let text = format!("{share:.1}");
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// `2: a, b`.
fn counted(count: usize, names: impl Iterator<Item = String>) -> String {
    match count {
        0 => "none".to_owned(),
        1 => listed(names),
        _ => format!("{count}: {}", listed(names)),
    }
}

/// `a, b, c and 4 more`.
pub fn listed(names: impl Iterator<Item = String>) -> String {
    let (mut text, mut more) = (String::new(), 0);
    for (index, name) in names.enumerate() {
        if index >= LISTED_MAX {
            more += 1;
            continue;
        }
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// A limit and each worker's part of it: `4096 (2048 per worker)`, `5 (2 to 3 per worker)`.
pub fn divided(limit: u32, workers: usize) -> String {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
    if workers == 1 {
        return limit.to_string();
    }
    match (share(limit, workers, workers - 1), share(limit, workers, 0)) {
        (least, most) if least == most => format!("{limit} ({most} per worker)"),
        (least, most) => format!("{limit} ({least} to {most} per worker)"),
    }
}

/// The conditions of a route, as `example.com, path prefix /api, GET or POST`.
pub fn conditions(predicates: &Predicates) -> String {
    let mut parts = Vec::new();
    if !predicates.hosts.is_empty() {
        parts.push(listed(predicates.hosts.iter().map(HostPattern::to_string)));
    }
    match &predicates.path {
        PathPattern::Any => {}
        PathPattern::Exact(path) => parts.push(format!("path {path}")),
        PathPattern::Prefix(prefix) => parts.push(format!("prefix {prefix}")),
        PathPattern::Regex(regex) => parts.push(format!("regex {regex}")),
    }
    if !predicates.methods.is_empty() {
        parts.push(predicates.methods.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" or "));
    }
    parts
        .extend(predicates.headers.iter().map(|(name, value)| format!("header {name}{}", value_text(value))));
    parts.extend(predicates.query.iter().map(|(name, value)| format!("query {name}{}", value_text(value))));
    if parts.is_empty() { "any request".to_owned() } else { parts.join("; ") }
}

fn value_text(value: &ValuePattern) -> String {
    match value {
        ValuePattern::Present => String::new(),
        ValuePattern::Exact(text) => format!(" = {text}"),
        ValuePattern::Regex(regex) => format!(" ~ {regex}"),
    }
}

/// Rows in columns, two spaces apart; the first row is the heading.
pub fn table(rows: &[Vec<String>], heading: &dyn Fn(&str) -> String) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        text.push_str(&if index == 0 { heading(line) } else { line.to_owned() });
        text.push('\n');
    }
    text
}
