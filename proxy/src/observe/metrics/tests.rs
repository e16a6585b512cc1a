//! Names, labels and words of the one list.

use std::collections::HashSet;

use super::*;

fn series(family: &Family) -> Vec<Option<(&'static str, &'static str)>> {
    match family.source {
        Source::Workers { series, .. } => series.iter().map(|series| series.label).collect(),
        Source::Process { series, .. } => series.iter().map(|series| series.label).collect(),
        Source::Written(..) => Vec::new(),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn no_name_and_no_series_is_there_twice() {
    let mut names = HashSet::new();
    for family in FAMILIES {
        assert!(names.insert(family.name), "{} twice", family.name);
        let mut seen = HashSet::new();
        for label in series(family) {
            assert!(seen.insert(label), "{} {label:?} twice", family.name);
        }
    }
}

#[test]
fn names_follow_the_conventions() {
    for family in FAMILIES {
        let Family { name, help, kind, .. } = family;
        assert!(is_name(name), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(kind != &Kind::Histogram || name.ends_with("_seconds"), "{name}");
        assert!(help.ends_with('.') && !help.contains(['\n', '|', '\\']), "{name}: {help}");
        let labels = series(family);
        assert!(labels.len() < 2 || labels.iter().all(Option::is_some), "{name}: a series lacks its label");
        let label_names: HashSet<_> = labels.iter().flatten().map(|(name, _)| name).collect();
        assert!(label_names.len() <= 1, "{name}: more than one label");
        assert!(label_names.iter().all(|name| is_name(name)), "{name}");
    }
}

#[test]
fn every_word_is_read_by_its_own_series() {
    let counters = Counters::default();
    counters.responses_5xx.add(5);
    counters.timeouts_connect.add(7);
    let mut found = Vec::new();
    for family in FAMILIES {
        if let Source::Workers { series, .. } = family.source {
            for series in series {
                if (series.read)(&counters) > 0 {
                    found.push((family.name, series.label, (series.read)(&counters)));
                }
            }
        }
    }
    assert_eq!(
        found,
        [
            ("ringlane_responses_total", Some(("class", "5xx")), 5),
            ("ringlane_timeouts_total", Some(("timeout", "connect")), 7),
        ]
    );
}

#[test]
fn a_worker_shares_no_cache_line() {
    assert_eq!(align_of::<Counters>(), 128);
    assert_eq!(size_of::<Counters>() % 128, 0);
}

#[test]
fn the_documentation_names_every_metric() {
    let text = metrics_markdown();
    assert_eq!(text.lines().count(), FAMILIES.len() + 2);
    assert!(text.contains("| `ringlane_responses_total` | counter | `class`: 1xx, 2xx, 3xx, 4xx, 5xx |"));
    assert!(text.contains("| `ringlane_connections_active` | gauge | `worker` |"));
    assert!(text.contains("| `ringlane_route_duration_seconds` | histogram | `route` |"));
}
