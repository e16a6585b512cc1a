//! Profiles of one scenario side by side: microseconds per request by part and by function.
use super::{Part, Profile};
use crate::page::{Block, Cell, Table};

/// Functions in a table.
const ROWS_MAX: usize = 20;

/// The blocks of a scenario's profiles, Ringlane's first and the floor's next; none without any.
pub(in crate::loadtest) fn blocks(profiles: &[&Profile]) -> Vec<Block> {
    let Some(first) = profiles.first() else { return Vec::new() };
    let samples: Vec<_> = profiles.iter().map(|one| format!("{} of {}", one.samples, one.subject)).collect();
    vec![
        Block::Text(format!(
            "Profile of {}: CPU microseconds per request in one more run, with perf beside it (cpu-clock; samples: {}). \
             What the kernel does with interrupts switched off counts where it switches them on again.",
            first.scenario,
            samples.join(", ")
        )),
        Block::Table(by_part(profiles)),
        Block::Table(by_function(profiles)),
    ]
}

fn header(what: &str, profiles: &[&Profile]) -> Vec<String> {
    let mut header = vec![what.to_owned()];
    header.extend(profiles.iter().map(|one| one.subject.clone()));
    header.extend(profiles.iter().skip(1).map(|one| format!("above {}", one.subject)));
    header
}

/// A row of what each has of something; the first of them is held against the others.
fn row(what: String, us: &[f64]) -> Vec<Cell> {
    let mut row: Vec<Cell> = vec![what.into()];
    row.extend(us.iter().map(|us| Cell::from(if *us > 0.0 { format!("{us:.2}") } else { "-".into() })));
    let ours = us.first().copied().unwrap_or_default();
    row.extend(us.iter().skip(1).map(|theirs| Cell::from(above(ours - theirs))));
    row
}

/// A difference with its sign, unless rounding leaves none.
fn above(us: f64) -> String {
    let text = format!("{us:+.2}");
    if text.trim_start_matches(['+', '-']) == "0.00" { "0.00".into() } else { text }
}

fn by_part(profiles: &[&Profile]) -> Table {
    let us = |part: Part| -> Vec<f64> {
        let share = |one: &Profile| one.parts.iter().find(|it| it.0 == part).map_or(0.0, |it| it.1);
        profiles.iter().map(|one| share(one) * one.cpu_us_per_request).collect()
    };
    let parts = [(Part::Kernel, "kernel"), (Part::Program, "program"), (Part::Libraries, "libraries")];
    let mut rows: Vec<_> = parts.iter().map(|(part, name)| row((*name).to_owned(), &us(*part))).collect();
    let all: Vec<f64> = profiles.iter().map(|one| one.cpu_us_per_request).collect();
    rows.push(row("all".into(), &all));
    let mut shares = row("share of the kernel".into(), &[]);
    shares.extend(
        us(Part::Kernel).iter().zip(&all).map(|(us, all)| Cell::from(format!("{:.0} %", us / all * 100.0))),
    );
    shares.resize(profiles.len() * 2, Cell::default());
    rows.push(shares);
    Table { header: header("part", profiles), rows, prose: false }
}

fn by_function(profiles: &[&Profile]) -> Table {
    let us = |part: Part, symbol: &str| -> Vec<f64> {
        let share = |one: &Profile| {
            one.costs
                .iter()
                .find(|cost| cost.part == part && cost.symbol == symbol)
                .map_or(0.0, |it| it.share)
        };
        profiles.iter().map(|one| share(one) * one.cpu_us_per_request).collect()
    };
    let mut found: Vec<(Part, &str, Vec<f64>)> = Vec::new();
    for cost in profiles.iter().flat_map(|one| &one.costs) {
        if !found.iter().any(|(part, symbol, _)| *part == cost.part && *symbol == cost.symbol) {
            found.push((cost.part, &cost.symbol, us(cost.part, &cost.symbol)));
        }
    }
    // By what is Ringlane's or the floor's; a peer stands beside.
    let largest = |us: &[f64]| us.iter().take(2).copied().fold(0.0, f64::max);
    found.sort_by(|a, b| largest(&b.2).total_cmp(&largest(&a.2)));
    let name = |part: Part, symbol: &str| match part {
        Part::Kernel => format!("{symbol} (kernel)"),
        Part::Program | Part::Libraries => symbol.to_owned(),
    };
    let rows = found.iter().take(ROWS_MAX).map(|(part, symbol, us)| row(name(*part, symbol), us)).collect();
    Table { header: header("costliest functions", profiles), rows, prose: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::profile::Cost;

    fn profile(subject: &str, us: f64, costs: &[(&str, Part, f64)]) -> Profile {
        let cost = |&(symbol, part, share): &(&str, Part, f64)| Cost { symbol: symbol.into(), part, share };
        Profile {
            scenario: "13b-64".into(),
            subject: subject.into(),
            samples: 100,
            cpu_us_per_request: us,
            parts: vec![(Part::Kernel, 0.75), (Part::Program, 0.25)],
            costs: costs.iter().map(cost).collect(),
        }
    }

    fn texts(table: &Table) -> Vec<String> {
        table
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn shares_become_microseconds_side_by_side_and_the_costliest_comes_first() {
        let ours =
            profile("ringlane", 20.0, &[("read", Part::Program, 0.25), ("tcp_ack", Part::Kernel, 0.5)]);
        let floor = profile("floor", 10.0, &[("tcp_ack", Part::Kernel, 0.6), ("read", Part::Kernel, 0.1)]);
        let profiles = [&ours, &floor];
        let table = by_function(&profiles);
        assert_eq!(table.header, ["costliest functions", "ringlane", "floor", "above floor"]);
        let rows = texts(&table);
        assert_eq!(
            rows,
            ["tcp_ack (kernel) 10.00 6.00 +4.00", "read 5.00 - +5.00", "read (kernel) - 1.00 -1.00"]
        );
        let parts = texts(&by_part(&profiles));
        assert_eq!(parts[0], "kernel 15.00 7.50 +7.50");
        assert_eq!(parts[3], "all 20.00 10.00 +10.00");
        assert_eq!(parts[4], "share of the kernel 75 % 75 % ");
        assert_eq!([above(0.004), above(-0.004), above(-0.01)], ["0.00", "0.00", "-0.01"]);
        assert_eq!(blocks(&profiles).len(), 3);
        assert!(blocks(&[]).is_empty());
    }
}
