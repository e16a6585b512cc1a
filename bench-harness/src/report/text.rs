//! The report of one run as a person reads it on a terminal.
use std::{fmt::Write, time::Duration};

use super::{
    Figures,
    figures::{Latency, OpenLoop},
    table,
};
use crate::release;

/// Renders the figures of a run against `url`.
pub fn render(figures: &Figures, url: &str) -> String {
    let mut text = release::mark().map_or(String::new(), |mark| format!("{mark}\n"));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{url}, {} connections, {:.1} s, {}\n\
         requests  {} ({:.0} per second), {:.1} MB\n",
        figures.connections,
        figures.seconds,
        pace(figures),
        figures.requests,
        figures.requests_per_second,
        figures.bytes as f64 / 1e6,
    );
    if let Some(open) = &figures.open_loop {
        text.push_str(&open_loop(open));
    }
    let _ = write!(text, "cpu       {}\nerrors    {}\n\n", cpu(figures), figures.errors_text());
    text.push_str(&table::render(&Latency::HEADER, &[figures.latency_us.cells().into()]));
    if !figures.targets.is_empty() {
        let rows: Vec<_> =
            figures.targets.iter().map(|it| vec![it.request.clone(), it.requests_all.to_string()]).collect();
        let _ = write!(text, "\n{}", table::render(&["target", "responses"], &rows));
    }
    for example in &figures.error_examples {
        let _ = writeln!(text, "  {example}");
    }
    if figures.intervals_lost > 0 {
        let _ =
            writeln!(text, "WARNING: {} parts of intervals are missing in the logs", figures.intervals_lost);
    }
    text
}

fn pace(figures: &Figures) -> String {
    match (&figures.open_loop, figures.pipeline) {
        (Some(_), _) => "open loop, latency from when a request was due".into(),
        (None, 0 | 1) => "closed loop".into(),
        (None, depth) => format!("closed loop, {depth} requests under way on each"),
    }
}

fn cpu(figures: &Figures) -> String {
    if figures.requests_all == 0 {
        return "unknown: there were no responses".into();
    }
    let others = figures.cpu_us_per_request.map_or(String::new(), |us| format!("{us:.2} us per request, "));
    format!("{others}generator {:.2} us", figures.generator_cpu_us_per_request)
}

fn open_loop(open: &OpenLoop) -> String {
    let arrivals = format!("{:?}", open.arrivals).to_lowercase();
    let late = &open.lateness_us;
    format!(
        "due       {:.0} per second ({arrivals}); sent late by p50 {}, p99 {} where a connection was free\n\
         backlog   {} at its peak, of at most {}\n",
        open.rate,
        table::micros(late.p50),
        table::micros(late.p99),
        open.backlog_peak,
        open.backlog_max
    )
}

/// The line that holds a 99th percentile against its target, and whether that was missed.
pub fn judge(p99_us: u64, target: Duration) -> (String, bool) {
    let missed = u128::from(p99_us) > target.as_micros();
    let verdict = if missed { "MISSED" } else { "met" };
    (format!("target    p99 {} of {target:?}: {verdict}\n", table::micros(p99_us)), missed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::Arrivals,
        report::figures::{Latency, TargetCount},
    };

    #[test]
    fn an_open_loop_shows_what_was_due_and_what_waited() {
        let latency = Latency { p50: 10, p90: 20, p99: 30, p999: 40, max: 50, mean: 15.0 };
        let open = OpenLoop {
            arrivals: Arrivals::Poisson,
            rate: 1000.0,
            backlog_peak: 7,
            backlog_max: 100,
            lateness_us: latency,
        };
        let mut figures = Figures {
            connections: 8,
            seconds: 2.0,
            requests: 1990,
            requests_all: 2100,
            generator_cpu_us_per_request: 4.567,
            requests_per_second: 995.0,
            latency_us: latency,
            open_loop: Some(open),
            targets: vec![TargetCount { request: "GET /a".into(), requests_all: 5 }],
            ..Figures::default()
        };
        let text = render(&figures, "http://a/");
        for part in [
            "8 connections, 2.0 s, open loop",
            "requests  1990 (995 per second)",
            "1000 per second (poisson); sent late by p50 10 us, p99 30 us",
            "backlog   7 at its peak, of at most 100",
            "cpu       generator 4.57 us",
            "GET /a          5",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        figures.open_loop = None;
        figures.pipeline = 16;
        figures.requests_all = 0;
        let text = render(&figures, "");
        assert!(text.contains("closed loop, 16 requests under way"), "{text}");
        assert!(text.contains("no responses"), "{text}");
    }

    #[test]
    fn a_target_is_missed_above_it_only() {
        let target = Duration::from_millis(1);
        assert_eq!(judge(1000, target), ("target    p99 1000 us of 1ms: met\n".into(), false));
        assert_eq!(judge(1001, target), ("target    p99 1001 us of 1ms: MISSED\n".into(), true));
    }
}
