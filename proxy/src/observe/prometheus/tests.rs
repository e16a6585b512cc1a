//! Reads the text back with a parser that forgives nothing.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::*;
use crate::observe::{Outcome, Phases, Recorder, line::tests::sample};

type Labels = BTreeMap<String, String>;
/// Suffix of the name, bound, value.
type Point<'a> = (&'a str, Option<f64>, f64);

/// One family as read.
#[derive(Debug, Default)]
struct Read {
    kind: String,
    /// Name, labels, value, in order.
    samples: Vec<(String, Labels, f64)>,
}

impl Read {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Labels =
            labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let found = self.samples.iter().find(|sample| sample.0 == name && sample.1 == labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?}")).2
    }
}

/// Parses the whole text and checks what a scraper would, and what it would silently get wrong.
fn parse(text: &str) -> BTreeMap<String, Read> {
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
    let mut families: BTreeMap<String, Read> = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let (name, help) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(!help.is_empty() && !help.contains('\\'));
        let (type_name, kind) =
            lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
        assert_eq!(name, type_name);
        let mut family = Read { kind: kind.to_owned(), samples: Vec::new() };
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample_name, labels, value) = parse_sample(line);
            let suffix =
                sample_name.strip_prefix(name).unwrap_or_else(|| panic!("{sample_name} within {name}"));
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            assert!(seen.insert((sample_name.clone(), labels.clone())), "twice: {line}");
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            family.samples.push((sample_name, labels, value));
        }
        assert!(!family.samples.is_empty(), "{name} has no samples");
        match kind {
            "counter" => assert!(name.ends_with("_total")),
            "gauge" => assert!(!name.ends_with("_total")),
            "histogram" => check_histogram(name, &family),
            _ => panic!("{kind}"),
        }
        assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
    }
    families
}

fn parse_sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            let (value, after) = parse_quoted(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => {
                    rest = after.strip_prefix('}').unwrap();
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(value.chars().all(|c| c.is_ascii_digit() || c == '.'), "{line}");
    (name.to_owned(), labels, value.parse().unwrap())
}

/// A label's value up to its closing quote, and what follows.
fn parse_quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                c => panic!("\\{c}"),
            }),
            c => value.push(c),
        }
    }
    panic!("no closing quote: {text}");
}

/// Per set of labels: bounds rise, counts never fall, `+Inf` comes last and equals the count, and there is a sum.
fn check_histogram(name: &str, family: &Read) {
    let mut groups: BTreeMap<Labels, Vec<Point<'_>>> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le").map(|le| le.replace("+Inf", "inf").parse().unwrap());
        groups.entry(labels).or_default().push((sample.strip_prefix(name).unwrap(), bound, *value));
    }
    for samples in groups.values() {
        let (buckets, rest) = samples.split_at(BOUNDS_US.len() + 1);
        assert!(buckets.is_sorted_by(|a, b| a.1 < b.1 && a.2 <= b.2), "{name}: {buckets:?}");
        let last = buckets.last().unwrap();
        assert_eq!(last.1, Some(f64::INFINITY));
        assert!(buckets.iter().all(|bucket| bucket.0 == "_bucket"));
        let [("_sum", None, _), ("_count", None, count)] = rest else { panic!("{name}: {rest:?}") };
        assert_eq!(*count, last.2);
    }
}

fn info() -> Info {
    Info {
        version: "0.1.0".into(),
        build: "release".into(),
        driver: "epoll".into(),
        driver_reason: "io_uring_setup: \"not\npermitted\" \\ seccomp".into(),
        started: UNIX_EPOCH + Duration::from_millis(1_500_000_000_250),
    }
}

#[test]
fn everything_is_there_and_well_formed() {
    let board = Board::new(2);
    let names: [Arc<str>; 2] = ["app".into(), "a \"b\"\n\\".into()];
    for worker in 0..2 {
        let mut recorder = Recorder::new(board.slot(worker), None);
        recorder.counters().connections_active.set(worker as u64 + 3);
        recorder.note_lag(Duration::from_micros(1500));
        for n in 1..=100 {
            let phases = Phases { total_us: n * 100, overhead_us: 10, ..Phases::default() };
            let id = u32::from(n % 2 == 0);
            let route = Some((id, &names[id as usize]));
            recorder.record(&Outcome { route, phases, ..sample(&names[0]) });
        }
        recorder.count_rule(&names[1]);
        recorder.count_tag(&names[0]);
        recorder.retire();
        // Dropped only at the end of the block: gauges stay as they are.
    }
    let merged = board.collect_blocking(Duration::ZERO).merge();
    let families = parse(&prometheus_text(&info(), &board, &merged));
    assert_eq!(families.len(), FAMILIES.len());

    assert_eq!(families["ringlane_requests_total"].value("ringlane_requests_total", &[]), 200.0);
    let name = "ringlane_connections_active";
    assert_eq!(families[name].value(name, &[("worker", "1")]), 4.0);
    let name = "ringlane_tick_lag_max_seconds";
    assert_eq!(families[name].value(name, &[("worker", "0")]), 0.0015);
    let name = "ringlane_responses_total";
    assert_eq!(families[name].value(name, &[("class", "2xx")]), 200.0);
    let name = "process_start_time_seconds";
    assert_eq!(families[name].value(name, &[]), 1_500_000_000.25);
    let running = &families["ringlane_info"].samples[0].1;
    assert_eq!(running["driver_reason"], info().driver_reason);

    let total = &families["ringlane_request_duration_seconds"];
    assert_eq!(total.kind, "histogram");
    for (bound, count) in
        [("0.00005", 0.0), ("0.0001", 2.0), ("0.001", 20.0), ("0.005", 100.0), ("0.01", 200.0)]
    {
        assert_eq!(
            total.value("ringlane_request_duration_seconds_bucket", &[("le", bound)]),
            count,
            "{bound}"
        );
    }
    let sum = total.value("ringlane_request_duration_seconds_sum", &[]);
    assert!((sum - 1.01).abs() < 0.001, "{sum}");
    let routes = &families["ringlane_route_duration_seconds"];
    for (name, label) in [
        ("ringlane_rule_matches_total", ("rule", "a \"b\"\n\\")),
        ("ringlane_tagged_requests_total", ("tag", "app")),
    ] {
        assert_eq!(families[name].value(name, &[label]), 2.0);
    }
    let route = ("route", "a \"b\"\n\\");
    assert_eq!(routes.value("ringlane_route_duration_seconds_count", &[route]), 100.0);
}

#[test]
fn a_process_that_has_done_nothing_shows_zeros() {
    let board = Board::new(1);
    let merged = board.collect_blocking(Duration::ZERO).merge();
    let families = parse(&prometheus_text(&info(), &board, &merged));
    assert_eq!(families.len(), FAMILIES.len() - 3, "all but routes, rules and tags, of which there are none");
    let count = families["ringlane_request_queue_seconds"].value("ringlane_request_queue_seconds_count", &[]);
    assert_eq!(count, 0.0);
}

#[test]
fn histograms_are_left_out_while_a_worker_is_silent() {
    let board = Board::new(1);
    let recorder = Recorder::new(board.slot(0), None);
    let merged = board.collect_blocking(Duration::ZERO).merge();
    let families = parse(&prometheus_text(&Info { started: SystemTime::now(), ..info() }, &board, &merged));
    drop(recorder);
    assert!(families.values().all(|family| family.kind != "histogram"));
    let name = "ringlane_report_silent_workers";
    assert_eq!(families[name].value(name, &[]), 1.0);
}
