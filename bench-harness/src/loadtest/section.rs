//! The part of a report that is about one scenario: its table, its charts, and where Ringlane's time went.
use super::{
    document::{or_dash, range},
    measured::{Figure, Kind, Measured, Second, Spread},
    phases::Phase,
};
use crate::{
    fault::Result,
    page::{
        Block, Cell, Chart, Series, Table,
        chart::{self, Bar, Line},
    },
    report::{figures::Latency, table},
};

const HEADER: [&str; 5] = ["subject", "requests/s", "/ direct", "CPU us/req", "min to max"];
const HEADER_END: [&str; 3] = ["idle MiB", "after MiB", "errors"];

/// The blocks of one scenario, of which `measured` are the subjects.
pub(super) fn blocks(measured: &[Measured]) -> Result<Vec<Block>> {
    let Some(first) = measured.first() else { return Ok(Vec::new()) };
    let header = header(&[&HEADER, &Latency::HEADER, &HEADER_END]);
    let rows = measured.iter().map(|one| row(one, measured)).collect();
    let mut blocks = vec![
        Block::Section(first.scenario.title.clone()),
        Block::Text(how(first) + &spread_over(measured)),
        Block::Table(Table { header, rows, prose: false }),
        Block::Charts(charts(measured)?),
    ];
    for one in measured.iter().filter(|one| one.phases.iter().any(|phase| phase.count > 0)) {
        blocks.push(Block::Heading(format!("What {} saw of it, beside what the client saw", one.subject)));
        blocks.push(Block::Table(phases(one)));
    }
    Ok(blocks)
}

fn header(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(String::from).collect()
}

fn how(one: &Measured) -> String {
    let rounds = one.rounds.len();
    let seconds = one.rounds.first().map_or(0.0, |round| round.seconds);
    let asks: Vec<_> = one
        .scenario
        .asks()
        .iter()
        .map(|ask| match ask.upload_bytes {
            Some(bytes) => format!("{} {} of {bytes} bytes", ask.method(), ask.path),
            None => format!("{} {}", ask.method(), ask.path),
        })
        .collect();
    let what = if one.kind == Kind::External { "The URL given".into() } else { asks.join(", ") };
    let pace = match one.rounds.first().and_then(|round| round.open_loop.as_ref()) {
        Some(open) => format!("open loop, {} requests due each second", grouped(open.rate)),
        None => "closed loop".into(),
    };
    format!("{what}; {pace}; {rounds} rounds of {seconds:.1} s. Scenario {}.", one.scenario.name)
}

/// How far requests were spread over many routes.
fn spread_over(measured: &[Measured]) -> String {
    let routes = measured.first().map_or(0, |one| one.scenario.routes.entrances().len());
    let fewest = measured.iter().min_by_key(|one| one.kinds_answered);
    match fewest.filter(|_| routes > 1) {
        Some(fewest) => format!(
            " By {} routes in turn, each client from another one on; of the subject that was asked least, {}, {} of them \
             were used.",
            grouped(routes as f64),
            fewest.subject,
            grouped(fewest.kinds_answered as f64)
        ),
        None => String::new(),
    }
}

fn row(one: &Measured, all: &[Measured]) -> Vec<Cell> {
    let direct = all.iter().find(|other| other.kind == Kind::Direct);
    let ratio = direct.and_then(|direct| one.ratio(direct, Figure::Rate));
    let cpu = one.spread(Figure::Cpu);
    let mut row = vec![
        one.subject.clone().into(),
        or_dash(one.spread(Figure::Rate).map(|rate| grouped(rate.median))),
        or_dash(ratio.map(|ratio| format!("{:.2}", ratio.median))),
        or_dash(cpu.map(|cpu| format!("{:.2}", cpu.median))),
        or_dash(cpu.map(range)),
    ];
    row.extend(Latency::of(&one.latency).cells().map(Cell::from));
    row.extend([one.memory_idle, one.memory_after].map(|bytes| or_dash(bytes.map(mib))));
    row.push(one.errors().to_string().into());
    row
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// `12,345`
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn charts(measured: &[Measured]) -> Result<Vec<Chart>> {
    // Contenders first: they are drawn above the references, and Ringlane above all.
    let mut ordered: Vec<&Measured> = measured.iter().collect();
    ordered.sort_by_key(|one| match one.kind {
        Kind::Ringlane | Kind::External => 0,
        Kind::Peer => 1,
        Kind::Floor => 2,
        Kind::Direct => 3,
    });
    let legend: Vec<Series> = ordered.iter().map(|one| series(one)).collect();
    let curves: Vec<_> = ordered.iter().map(|one| (series(one), &one.latency)).collect();
    let lines: Vec<_> =
        ordered.iter().map(|one| Line { series: series(one), parts: parts(&one.seconds) }).collect();
    let with_legend = |title: &str, svg| Chart { title: title.into(), svg, legend: legend.clone() };
    let mut charts = vec![
        with_legend("Latency by percentile (both axes logarithmic)", chart::percentiles(&curves)?),
        with_legend("p99 latency second by second, rounds one after the other", chart::over_time(&lines)?),
    ];
    let cpu = ordered.iter().filter_map(|one| Some(bar(one, one.spread(Figure::Cpu)?, "us")));
    push_bars(&mut charts, "CPU time per request, median with min and max", cpu.collect())?;
    let direct = measured.iter().find(|one| one.kind == Kind::Direct);
    if let Some(direct) = direct.filter(|one| !one.scenario.open) {
        let ratio = ordered.iter().filter_map(|one| Some(bar(one, one.ratio(direct, Figure::Rate)?, "")));
        push_bars(&mut charts, "Throughput against direct, median with min and max", ratio.collect())?;
    }
    push_bars(
        &mut charts,
        "Resident memory after the run",
        ordered.iter().filter_map(|one| memory(one)).collect(),
    )?;
    Ok(charts)
}

fn push_bars(charts: &mut Vec<Chart>, title: &str, bars: Vec<Bar>) -> Result<()> {
    if !bars.is_empty() {
        charts.push(Chart { title: title.into(), svg: chart::bars(&bars)?, legend: Vec::new() });
    }
    Ok(())
}

fn bar(one: &Measured, spread: Spread, unit: &str) -> Bar {
    let label = format!("{:.2} {unit}", spread.median).trim_end().to_owned();
    Bar { series: series(one), value: spread.median, range: Some((spread.min, spread.max)), label }
}

fn memory(one: &Measured) -> Option<Bar> {
    let after = one.memory_after?;
    let label = format!("{} MiB", mib(after));
    Some(Bar { series: series(one), value: after as f64, range: None, label })
}

/// p99 of each second; rounds are parts of the line, unless they are too short to be one.
fn parts(seconds: &[Second]) -> Vec<Vec<(f64, f64)>> {
    // A last interval may hold what was still under way when the round was over.
    let counted = |second: &&Second| second.requests > 0 && second.length > 0.0;
    let length = seconds.iter().map(|second| second.from + second.length).fold(0.0, f64::max);
    let parts: Vec<Vec<_>> = seconds
        .chunk_by(|a, b| a.round == b.round)
        .map(|round| {
            let point = |second: &Second| {
                let before = second.round.saturating_sub(1) as f64 * length;
                (before + second.from + second.length / 2.0, second.latency_us.p99 as f64)
            };
            round.iter().filter(counted).map(point).collect()
        })
        .collect();
    if parts.iter().all(|part| part.len() < 2) { vec![parts.concat()] } else { parts }
}

/// The same colour in every chart and every report.
fn series(one: &Measured) -> Series {
    const PALETTE: [&str; 9] = [
        "ringlane",
        "ringlane-epoll",
        "floor",
        "direct",
        "nginx",
        "haproxy",
        "haproxy-splice",
        "envoy",
        "caddy",
    ];
    // Ringlane with more workers has the colour of that on epoll, beside which it is never measured.
    let other = usize::from(one.scenario.workers > 1);
    let colour = PALETTE.iter().position(|name| *name == one.subject).unwrap_or(other);
    let reference = matches!(one.kind, Kind::Direct | Kind::Floor);
    Series { name: one.subject.clone(), colour, reference }
}

fn phases(one: &Measured) -> Table {
    let client = Latency::of(&one.latency);
    let row = |name: &str, count: u64, latency: &Latency| -> Vec<Cell> {
        let mut row: Vec<Cell> = vec![name.into(), grouped(count as f64).into()];
        if count == 0 {
            row.extend(["-"; 6].map(Cell::from));
            return row;
        }
        row.push(table::micros(latency.mean.round() as u64).into());
        row.extend(latency.cells().map(Cell::from));
        row
    };
    let mut rows = vec![row("client", one.latency.len(), &client)];
    rows.extend(one.phases.iter().map(|phase: &Phase| row(&phase.name, phase.count, &phase.latency_us)));
    let header = header(&[&["phase", "requests", "mean"], &Latency::HEADER]);
    Table { header, rows, prose: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_read_in_groups() {
        assert_eq!([0.0, 999.0, 1000.0, 1234567.4].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn rounds_are_parts_of_a_line_unless_they_are_points() {
        let second = |round, from| Second {
            round,
            from,
            length: 1.0,
            requests: 1,
            latency_us: Latency { p99: 7, ..Latency::default() },
        };
        let two = [second(1, 0.0), second(1, 1.0), second(2, 0.0), second(2, 1.0)];
        assert_eq!(parts(&two), [vec![(0.5, 7.0), (1.5, 7.0)], vec![(2.5, 7.0), (3.5, 7.0)]]);
        assert_eq!(parts(&[second(1, 0.0), second(2, 0.0)]), [vec![(0.5, 7.0), (1.5, 7.0)]]);
    }
}
