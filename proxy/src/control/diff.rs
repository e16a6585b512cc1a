//! What one config would change against another: `ringlane diff`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use serde_json::Value as Json;

use super::{config::Config, in_force};

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 100;
/// Settings that take effect with the next start.
const AT_START: [&str; 4] = ["runtime.", "admin.", "log.", "access_log."];

/// One of two configs.
#[derive(Debug, Clone)]
pub struct Side {
    /// By kind and name: `route`, `app`. Settings have the kind `settings` and no name.
    objects: BTreeMap<(String, String), Values>,
    /// Kinds and names in the order of the config.
    order: Vec<(String, String)>,
}

/// Values by their paths, as `endpoints[127.0.0.1:9000].weight`.
type Values = BTreeMap<String, Value>;

#[derive(Debug, Clone)]
struct Value {
    /// `None`: it was masked by whoever told us.
    is: Option<Json>,
    shown: Json,
}

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// A line each; those of an object's keys are indented.
    lines: Vec<String>,
    added: usize,
    removed: usize,
    changed: usize,
    /// Values that could not be compared.
    masked: usize,
}

impl Side {
    /// A config that was read.
    pub fn of(config: &Config) -> Side {
        Side::new(&in_force::unmasked(config), &in_force::of(config), false)
    }

    /// What an admin API shows of one.
    pub fn shown(config: &Json) -> Side {
        Side::new(config, config, true)
    }

    fn new(is: &Json, shown: &Json, masked: bool) -> Side {
        let mut side = Side { objects: BTreeMap::new(), order: Vec::new() };
        let mut settings = Values::new();
        for (key, is) in is.as_object().into_iter().flatten() {
            let shown = &shown[key];
            match is.as_array() {
                Some(items) if items.iter().all(|it| it["name"].is_string()) => {
                    for (at, is) in items.iter().enumerate() {
                        let mut values = Values::new();
                        flatten(is, &shown[at], "", masked, &mut values);
                        let name = is["name"].as_str().unwrap_or("").to_owned();
                        side.add(key.strip_suffix('s').unwrap_or(key), name, values);
                    }
                }
                _ => flatten(is, shown, key, masked, &mut settings),
            }
        }
        side.add("settings", String::new(), settings);
        side
    }

    fn add(&mut self, kind: &str, name: String, values: Values) {
        let key = (kind.to_owned(), name);
        self.order.push(key.clone());
        self.objects.insert(key, values);
    }
}

/// Collects the values below `path`. A list of tables is one by what tells its tables apart.
fn flatten(is: &Json, shown: &Json, path: &str, masked: bool, values: &mut Values) {
    match is {
        Json::Object(entries) => {
            for (key, is) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(is, &shown[key], &path, masked, values);
            }
        }
        Json::Array(items) if items.iter().any(Json::is_object) => {
            for (at, is) in items.iter().enumerate() {
                let id = ["address", "upstream", "name"].iter().find_map(|key| is[key].as_str());
                let id = id.map_or_else(|| at.to_string(), str::to_owned);
                flatten(is, &shown[at], &format!("{path}[{id}]"), masked, values);
            }
        }
        _ => {
            let text = shown.to_string();
            let unknown = masked && (text.contains("\"***\"") || text.contains("://***@"));
            let value = Value { is: (!unknown).then(|| is.clone()), shown: shown.clone() };
            values.insert(path.to_owned(), value);
        }
    }
}

/// What `b` would change where `a` is in force.
pub fn diff(a: &Side, b: &Side) -> Diff {
    let mut diff = Diff::default();
    let at: HashMap<_, _> = b.order.iter().enumerate().map(|(at, key)| (key, at)).collect();
    let gone = a.order.iter().filter(|key| !at.contains_key(key));
    for (kind, name) in gone {
        diff.removed += 1;
        diff.lines.push(format!("- {kind} {name}"));
    }
    for key in &b.order {
        let (kind, name) = key;
        match (a.objects.get(key), b.objects.get(key)) {
            (None, Some(_)) => {
                diff.added += 1;
                diff.lines.push(format!("+ {kind} {name}"));
            }
            (Some(before), Some(after)) => {
                let lines = diff.compare(before, after);
                if !lines.is_empty() {
                    diff.changed += 1;
                    diff.lines.push(format!("~ {kind} {name}").trim_end().to_owned());
                    diff.lines.extend(lines);
                }
            }
            _ => {}
        }
    }
    diff
}

impl Diff {
    /// Whether nothing differs, as far as can be seen.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        let Diff { added, removed, changed, masked, .. } = self;
        let sum = if self.is_empty() {
            "no difference".to_owned()
        } else {
            format!("\n{added} added, {removed} removed, {changed} changed")
        };
        let _ = writeln!(text, "{sum}");
        if *masked > 0 {
            let _ = writeln!(text, "{masked} credentials are masked and were not compared");
        }
        text
    }

    fn compare(&mut self, before: &Values, after: &Values) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, old) in before.iter().filter(|(path, _)| !after.contains_key(*path)) {
            lines.push(format!("    {path}: {} -> none{}", text(&old.shown), when(path)));
        }
        for (path, new) in after {
            let Some(old) = before.get(path) else {
                lines.push(format!("    {path}: none -> {}{}", text(&new.shown), when(path)));
                continue;
            };
            match (&old.is, &new.is) {
                (Some(is), Some(will)) if is == will => {}
                (Some(_), Some(_)) if old.shown == new.shown => {
                    lines.push(format!("    {path}: {} -> another{}", text(&old.shown), when(path)));
                }
                (Some(_), Some(_)) => {
                    let (old, new) = (text(&old.shown), text(&new.shown));
                    lines.push(format!("    {path}: {old} -> {new}{}", when(path)));
                }
                _ => self.masked += 1,
            }
        }
        lines.sort();
        lines
    }
}

/// For settings that wait for a start.
fn when(path: &str) -> &'static str {
    if AT_START.iter().any(|it| path.starts_with(it)) { " (with the next start)" } else { "" }
}

fn text(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
        None => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::control::config::parse_str;

    const A: &str = "\
[[listeners]]
name = \"web\"
address = \"127.0.0.1:8080\"
[[upstreams]]
name = \"app\"
endpoints = [\"127.0.0.1:9000\", \"127.0.0.1:9001\"]
[[routes]]
name = \"app\"
upstream = \"app\"
request_headers = { set = { cookie = \"one\", x-a = \"1\" } }
[[routes]]
name = \"old\"
match = { path = \"/old\" }
respond = {}
";

    const B: &str = "\
[runtime]
workers = 3
[log]
level = \"debug\"
[[listeners]]
name = \"web\"
address = \"127.0.0.1:8080\"
max_connections = 100
[[upstreams]]
name = \"app\"
endpoints = [\"127.0.0.1:9002\", { address = \"127.0.0.1:9000\", weight = 5 }]
[[routes]]
name = \"app\"
upstream = \"app\"
match = { hosts = [\"a.test\"] }
request_headers = { set = { cookie = \"two\", x-a = \"1\" } }
[[routes]]
name = \"new\"
match = { path = \"/new\" }
respond = {}
";

    #[test]
    fn what_differs_is_said_by_name_and_key() {
        let [a, b] = [A, B].map(|text| parse_str("t", text).unwrap());
        let diff_ab = diff(&Side::of(&a), &Side::of(&b));
        let wanted = "\
- route old
~ listener web
    max_connections: 100000 -> 100
~ upstream app
    endpoints[127.0.0.1:9000].weight: 1 -> 5
    endpoints[127.0.0.1:9001].address: \"127.0.0.1:9001\" -> none
    endpoints[127.0.0.1:9001].backup: false -> none
    endpoints[127.0.0.1:9001].weight: 1 -> none
    endpoints[127.0.0.1:9002].address: none -> \"127.0.0.1:9002\"
    endpoints[127.0.0.1:9002].backup: none -> false
    endpoints[127.0.0.1:9002].weight: none -> 1
~ route app
    match.hosts: none -> [\"a.test\"]
    request_headers.set.cookie: \"***\" -> another
+ route new
~ settings
    log.level: \"info\" -> \"debug\" (with the next start)
";
        let text = diff_ab.text();
        // The number of workers by default is that of this machine's cores.
        let text: String =
            text.lines().filter(|it| !it.contains("runtime.workers")).map(|it| format!("{it}\n")).collect();
        assert_eq!(text, format!("{wanted}\n1 added, 1 removed, 4 changed\n"));
        assert!(!diff_ab.is_empty());
        assert_eq!(diff(&Side::of(&b), &Side::of(&b)).text(), "no difference\n");
    }

    #[test]
    fn what_is_masked_is_not_compared() {
        let a = parse_str("t", A).unwrap();
        let same = diff(&Side::shown(&a.masked()), &Side::of(&a));
        assert!(same.is_empty());
        assert_eq!(same.text(), "no difference\n1 credentials are masked and were not compared\n");
    }
}
