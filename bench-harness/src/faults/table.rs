//! The tables of a run. Pure.
use super::{
    injection::Injection,
    run::{Change, Measured},
    series::Seen,
};
use crate::{
    guard::{kind::Kind, record::Figure},
    memory::megabytes,
    report::{sheet::Part, table::micros},
};

/// What another upstream's p99 may become of that of quiet times.
const CALM_RATIO_MAX: f64 = 1.2;

const CLIENTS: [&str; 11] = [
    "fault",
    "proxy",
    "requests",
    "errors",
    "of kinds",
    "p99 before",
    "during",
    "after",
    "detected",
    "avoided",
    "recovered",
];
const OTHERS: [&str; 8] =
    ["fault", "proxy", "other p99", "rest's load", "tries", "memory", "descriptors", "wrong"];

/// Both tables.
pub(super) fn parts(measured: &[Measured], features: Vec<String>) -> Vec<Part> {
    let rows = |row: fn(&Measured) -> Vec<String>| measured.iter().map(row).collect();
    let mut about = features;
    about.push(
        "Requests and errors: of those that were under way or due while the fault was there (of kinds: a number is the status that came \
         instead). Detected: from the fault's begin to the last error or slow request before the first second without any; \
         `never`: there was no such second; in brackets the last of all, where it came later. Avoided: from the fault's begin \
         until next to nothing came to the endpoint any more, whatever clients noticed, to 100 ms; of endpoints that count. \
         Recovered: from the fault's \
         end until the endpoint had its share of requests again; in brackets the last request that suffered, counted from \
         the fault's end."
            .to_owned(),
    );
    let mut about_others = vec![format!(
        "Other p99: of the upstream that is not hurt, during to before (target {CALM_RATIO_MAX}). Rest's load: requests a \
         second at the endpoints that are well, during to before. Tries: requests that came to endpoints for each of a \
         client's. Memory and descriptors: right before the fault, the most from then on, at the end. Wrong: answers, to \
         anybody, that were not what was asked for."
    )];
    let notes = measured
        .iter()
        .filter_map(|it| Some(format!("{}, {}: {}.", it.injection.title(), it.subject, it.note.as_ref()?)));
    about_others.extend(notes);
    about_others.extend(measured.iter().filter_map(wrong));
    vec![
        Part {
            title: "What clients of the hurt upstream saw".into(),
            header: CLIENTS.to_vec(),
            rows: rows(clients),
            sentences: about,
        },
        Part {
            title: "What others saw, and what it took".into(),
            header: OTHERS.to_vec(),
            rows: rows(others),
            sentences: about_others,
        },
    ]
}

fn clients(it: &Measured) -> Vec<String> {
    let [before, during, after] = &it.hurt;
    let mut row = vec![
        it.injection.title().to_owned(),
        it.subject.to_owned(),
        during.requests.to_string(),
        during.errors.to_string(),
        kinds(during),
    ];
    row.extend([before, during, after].map(|seen| micros(seen.latency_us.p99)));
    let avoided = match (it.injection.behaviour(), it.avoided_us) {
        (None, _) => "-".into(),
        (Some(_), None) => "never".into(),
        (Some(_), Some(us)) => micros(us),
    };
    row.extend([detected(it), avoided, recovered(it)]);
    row
}

fn others(it: &Measured) -> Vec<String> {
    let verdict = if it.calm_ratio() <= CALM_RATIO_MAX { "" } else { " MISSED" };
    let ratio = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let held = |change: &Change, text: fn(u64) -> String| {
        [change.before, change.peak, change.after].map(text).join(" / ")
    };
    vec![
        it.injection.title().to_owned(),
        it.subject.to_owned(),
        format!("{:.2}{verdict}", it.calm_ratio()),
        ratio(it.rest),
        ratio(it.tries),
        held(&it.resident, megabytes),
        held(&it.descriptors, |n| n.to_string()),
        it.wrong.to_string(),
    ]
}

fn kinds(seen: &Seen) -> String {
    let kinds: Vec<_> = seen.kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    if kinds.is_empty() { "-".into() } else { kinds.join(", ") }
}

fn detected(it: &Measured) -> String {
    let found = &it.detection;
    if found.touched == 0 {
        return "not felt".into();
    }
    if !it.injection.is_steady() && it.injection != Injection::Dns {
        return format!("({} touched)", found.touched);
    }
    let last = found.last_us.filter(|last| found.detected_us.is_some_and(|at| at < *last));
    let last = last.map_or(String::new(), |last| format!(" ({})", micros(last)));
    found.detected_us.map_or("never".into(), |at| micros(at) + &last)
}

fn recovered(it: &Measured) -> String {
    let suffered = match it.aftermath_us {
        0 => String::new(),
        us => format!(" ({})", micros(us)),
    };
    if !it.injection.is_steady() {
        return if suffered.is_empty() { "at once".into() } else { suffered.trim().to_owned() };
    }
    it.recovery_us.map_or_else(|| "not in time".to_owned(), micros) + &suffered
}

/// What must not be, in a sentence.
fn wrong(it: &Measured) -> Option<String> {
    let example = it.examples.first().map_or(String::new(), |example| format!(" ({example})"));
    let title = it.injection.title();
    (it.wrong > 0).then(|| format!("WRONG: {title}, {}: {} wrong answers{example}", it.subject, it.wrong))
}

/// What two runs are compared by.
pub(super) fn figures(measured: &[Measured]) -> Vec<Figure> {
    let figure = |it: &Measured, what: &str, kind, value: f64| Figure {
        name: format!("fault {}, {}: {what}", it.injection.name(), it.subject),
        kind,
        value,
        min: None,
        max: None,
    };
    let of = |it: &Measured| {
        let detected = it.detection.detected_us.filter(|_| it.injection.is_steady());
        let detected = detected.map(|us| figure(it, "detected", Kind::Latency, us as f64));
        let recovered = it.recovery_us.map(|us| figure(it, "recovered", Kind::Latency, us as f64));
        let after = figure(it, "memory after", Kind::Memory, it.resident.after as f64);
        [detected, recovered, Some(after)].into_iter().flatten().collect::<Vec<_>>()
    };
    measured.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::series::{Detection, Span},
        report::figures::Latency,
    };

    fn measured(injection: Injection) -> Measured {
        let seen = |p99| Seen { latency_us: Latency { p99, ..Latency::default() }, ..Seen::default() };
        Measured {
            injection,
            subject: "ringlane",
            fault: Span { begin: 0, end: 1 },
            hurt: [100, 200, 100].map(seen),
            calm: [100, 121, 100].map(seen),
            detection: Detection { touched: 5, detected_us: Some(20_000), last_us: Some(4_000_000) },
            avoided_us: None,
            recovery_us: Some(1_200_000),
            aftermath_us: 0,
            rest: Some(1.5),
            tries: None,
            resident: Change { before: 1_000_000, peak: 2_000_000, after: 1_000_000 },
            descriptors: Change::default(),
            wrong: 0,
            examples: Vec::new(),
            note: Some("as asked".into()),
            foreign_cores: 0.0,
        }
    }

    #[test]
    fn a_row_says_what_came_of_a_fault() {
        let mut one = measured(Injection::Killed);
        assert_eq!((clients(&one).len(), others(&one).len()), (CLIENTS.len(), OTHERS.len()));
        assert_eq!((detected(&one), recovered(&one)), ("20.0 ms (4000.0 ms)".into(), "1200.0 ms".into()));
        assert_eq!(others(&one)[2..6], ["1.21 MISSED", "1.50", "-", "1.0 MB / 2.0 MB / 1.0 MB"]);
        one.detection.detected_us = None;
        (one.recovery_us, one.aftermath_us) = (None, 9_000);
        assert_eq!((detected(&one), recovered(&one)), ("never".into(), "not in time (9000 us)".into()));
        one.detection = Detection::default();
        assert_eq!(detected(&one), "not felt");
        let crowd = measured(Injection::Crowd);
        assert_eq!((detected(&crowd), recovered(&crowd)), ("(5 touched)".into(), "at once".into()));
        assert_eq!(figures(&[one, crowd]).len(), 3);
    }

    #[test]
    fn wrong_answers_are_said_and_what_was_reached() {
        let mut one = measured(Injection::Cut);
        one.wrong = 2;
        let parts = parts(&[one], vec!["Ringlane with nothing.".into()]);
        assert_eq!(parts[0].sentences[0], "Ringlane with nothing.");
        let sentences = &parts[1].sentences;
        assert!(sentences.iter().any(|it| it == "resets in mid-body, ringlane: as asked."), "{sentences:?}");
        assert!(sentences.iter().any(|it| it.contains("WRONG") && it.contains("2 wrong answers")));
    }
}
