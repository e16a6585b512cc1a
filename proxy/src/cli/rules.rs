//! Rules in words: all of them for `ringlane check`, those that a request meets for `ringlane route`.

use super::output::{dim, red, table};
use crate::rule::{End, Request, Rule, Rules, Scratch};

/// Rules that are listed.
const SHOWN_MAX: usize = 40;

/// All rules, in the order in which they are asked.
pub(super) fn listed(rules: &Rules) -> String {
    let count = rules.rules.len();
    let more = count.saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!("... and {more} more\n") } else { String::new() };
    let order =
        if count > 1 { ", asked in this order: the first that denies or drops is the last" } else { "" };
    let s = if count == 1 { "" } else { "s" };
    format!(
        "{}{more}{}\n\n",
        rows(rules, rules.rules.iter().take(SHOWN_MAX)),
        dim(&format!("({count} rule{s}{order})"))
    )
}

/// The rules that a request meets, and whether it gets past them.
pub(super) fn met(rules: &Rules, request: &Request<'_>) -> String {
    let mut scratch = Scratch::default();
    let met: Vec<&Rule> = rules.matches(request, &mut scratch).map(|(_, rule)| rule).collect();
    let unknown = match request.client {
        None if rules.look_at_clients() => {
            dim("(some rules ask for the client's address: give it by --client)\n\n")
        }
        _ => String::new(),
    };
    if met.is_empty() {
        return format!("{}\n\n{unknown}", dim("no rule matches"));
    }
    let shown = rows(rules, met.iter().take(SHOWN_MAX).copied());
    let more = met.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!("... and {more} more\n") } else { String::new() };
    let end = met.last().and_then(|rule| Some((&rule.name, rule.end.as_ref()?)));
    let end = end.map(|(name, end)| match end {
        End::Deny(respond) => format!("{}  by rule {name}: {}\n", red("denied"), respond.status),
        End::Drop => format!("{}  by rule {name}: no answer\n", red("dropped")),
    });
    match end {
        Some(end) => format!("{end}\n{shown}{more}\n{unknown}{}", dim("without that rule:\n\n")),
        None => format!("{shown}{more}\n{unknown}"),
    }
}

fn rows<'r>(rules: &Rules, shown: impl Iterator<Item = &'r Rule>) -> String {
    let mut rows = vec![["RULE", "DOES", "MATCHES"].map(str::to_owned).to_vec()];
    rows.extend(shown.map(|rule| vec![rule.name.to_string(), does(rules, rule), rule.condition.to_string()]));
    table(&rows)
}

/// What a rule does, as `tag bot, deny 403 Forbidden`.
fn does(rules: &Rules, rule: &Rule) -> String {
    let mut words = Vec::new();
    if let Some(name) = rule.tag.and_then(|tag| rules.tags.get(usize::from(tag.0))) {
        words.push(format!("tag {name}"));
    }
    if let Some(log) = &rule.log {
        let names: Vec<&str> = log.headers.iter().map(|name| name.as_str()).collect();
        let with = if names.is_empty() { String::new() } else { format!(" with {}", names.join(" ")) };
        words.push(format!("log {}%{with}", (log.sample.part() * 1e6).round() / 1e4));
    }
    match &rule.end {
        Some(End::Deny(respond)) => words.push(format!("deny {}", respond.status)),
        Some(End::Drop) => words.push("drop".to_owned()),
        None => {}
    }
    words.join(", ")
}
