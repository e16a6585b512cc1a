//! Rules in words, for `ringlane check`.

use super::output::{dim, table};
use crate::{
    control::met::does,
    rule::{Rule, Rules},
};

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

fn rows<'r>(rules: &Rules, shown: impl Iterator<Item = &'r Rule>) -> String {
    let mut rows = vec![["RULE", "DOES", "MATCHES"].map(str::to_owned).to_vec()];
    rows.extend(shown.map(|rule| vec![rule.name.to_string(), does(rules, rule), rule.condition.to_string()]));
    table(&rows)
}
