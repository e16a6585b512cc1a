//! The rules that a request meets, and whether it gets past them.

use serde_json::{Value as Json, json};

use super::{describe::table, explain::Tone};
use crate::rule::{End, Request, Rule, Rules, Scratch};

/// Rules that are listed.
const SHOWN_MAX: usize = 40;

/// What rules make of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Met {
    /// The rule that ends it, how it says so and with what: `denied`, `403 Forbidden`.
    end: Option<(String, &'static str, String)>,
    /// Name, what it does, what it asks.
    rules: Vec<[String; 3]>,
    /// Rules that are met and are not among them.
    more: usize,
    /// Some rules ask for the client's address, which is not known.
    client_missing: bool,
}

/// Asks all rules.
pub(super) fn met(rules: &Rules, request: &Request<'_>) -> Met {
    let mut scratch = Scratch::default();
    let met: Vec<&Rule> = rules.matches(request, &mut scratch).map(|(_, rule)| rule).collect();
    let end = met.last().and_then(|rule| Some((rule.name.to_string(), rule.end.as_ref()?)));
    let row = |rule: &&Rule| [rule.name.to_string(), does(rules, rule), rule.condition.to_string()];
    Met {
        end: end.map(|(name, end)| match end {
            End::Deny(respond) => (name, "denied", respond.status.to_string()),
            End::Drop => (name, "dropped", "no answer".to_owned()),
        }),
        rules: met.iter().take(SHOWN_MAX).map(row).collect(),
        more: met.len().saturating_sub(SHOWN_MAX),
        client_missing: request.client.is_none() && rules.look_at_clients(),
    }
}

impl Met {
    /// For people.
    pub(super) fn text(&self, paint: &dyn Fn(Tone, &str) -> String) -> String {
        let unknown = match self.client_missing {
            true => paint(Tone::Label, "(some rules ask for the client's address: give it by --client)\n\n"),
            false => String::new(),
        };
        if self.rules.is_empty() {
            return format!("{}\n\n{unknown}", paint(Tone::Label, "no rule matches"));
        }
        let mut rows = vec![["RULE", "DOES", "MATCHES"].map(str::to_owned).to_vec()];
        rows.extend(self.rules.iter().map(|row| row.to_vec()));
        let shown = table(&rows, &|heading| paint(Tone::Label, heading));
        let more = if self.more > 0 { format!("... and {} more\n", self.more) } else { String::new() };
        match &self.end {
            Some((rule, end, with)) => {
                let end = paint(Tone::Bad, end);
                let rest = paint(Tone::Label, "without that rule:\n\n");
                format!("{end}  by rule {rule}: {with}\n\n{shown}{more}\n{unknown}{rest}")
            }
            None => format!("{shown}{more}\n{unknown}"),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Json {
        let rule =
            |[name, does, matches]: &[String; 3]| json!({ "rule": name, "does": does, "matches": matches });
        let end =
            self.end.as_ref().map(|(rule, end, with)| json!({ "rule": rule, "request": end, "with": with }));
        json!({
            "end": end,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "more_that_match": self.more,
            "client_missing": self.client_missing,
        })
    }
}

/// What a rule does, as `tag bot, deny 403 Forbidden`.
pub fn does(rules: &Rules, rule: &Rule) -> String {
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
