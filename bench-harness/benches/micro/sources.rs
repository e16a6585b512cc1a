//! The headlines of the systems that the design comes from: what they say of themselves, and what is measured here.

use std::fmt::Write;

use crate::{
    case::OURS,
    exchange::WITHOUT,
    report::{Measured, duration, times},
};

/// Bounds that a plan for a proxy's overhead set itself, in nanoseconds, with the case that stands for each.
const BOUNDS: [(&str, f64, &str); 4] = [
    ("regex match", 100e3, "rules/1 pattern"),
    ("rules", 50e3, "rules/1000 patterns"),
    ("headers", 50e3, "heads/browser"),
    ("body", 30e3, "bodies/16 KiB"),
];

/// One table: what a source says, its design measured here, ours.
pub fn table(out: &mut String, measured: &Measured) {
    out.push_str("## Beside the sources' own figures\n\n");
    out.push_str("| what | the source says | its design, here | ringlane, here | ringlane is |\n|---|---|---|---|---|\n");
    selection(out, measured);
    bounds(out, measured);
    exchanges(out, measured);
    culprits(out, measured);
    out.push_str(
        "\nOur pool looks at the age and the socket of what it hands out, which none of the others does unless it says \
         `checked`: that is the one to compare it with. Not measured here: rebuilds under a storm of changes, throughput beside the origin alone, and memory \
         (`scripts/loadtest.sh`).\n",
    );
}

fn wall(measured: &Measured, case: &str, design: &str) -> f64 {
    measured.wall.get(&format!("{case}/{design}")).copied().unwrap_or(f64::NAN)
}

fn less(before: f64, after: f64) -> String {
    let percent = (1.0 - after / before) * 100.0;
    if percent < 0.0 { format!("{:.0} % more", -percent) } else { format!("{percent:.0} % less") }
}

fn row(out: &mut String, cells: [&str; 5]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn selection(out: &mut String, measured: &Measured) {
    for size in ["10 routes, own paths", "10 routes", "1000 routes", "10000 routes"] {
        let case = format!("route/{size}");
        let [locks, swap, ours] =
            ["three locks and LRU", "ArcSwap and matchit", OURS].map(|it| wall(measured, &case, it));
        let before = format!("{} to {}", duration(locks), duration(swap));
        let than = format!("{} than the locks", less(locks, ours));
        let says = "locks to ArcSwap: 40 ns to 33 ns, 17.5 % less";
        row(out, [&format!("selection, {size}"), says, &before, &duration(ours), &than]);
    }
    let contended = |design| measured.route_contended.get(design).copied().unwrap_or(f64::NAN);
    let [locks, swap, ours] =
        [contended("three locks and LRU"), contended("ArcSwap and matchit"), contended(OURS)];
    let before = format!("{} to {}", duration(locks), duration(swap));
    let than = format!("{} than the locks", less(locks, ours));
    row(out, ["selection under change, 2 threads", "-", &before, &duration(ours), &than]);
}

fn bounds(out: &mut String, measured: &Measured) {
    let before = ["compiled per request", "compiled per request", "string maps", "collected and copied"];
    for ((what, bound, case), design) in BOUNDS.into_iter().zip(before) {
        let ours = wall(measured, case, OURS);
        let below = format!("{} below the bound", times(bound / ours));
        let [before, now] = [wall(measured, case, design), ours].map(duration);
        row(out, [&format!("{what} ({case})"), &format!("< {}", duration(bound)), &before, &now, &below]);
    }
}

fn exchanges(out: &mut String, measured: &Measured) {
    let whole = wall(measured, "exchange/13 B", OURS);
    let added = whole - wall(measured, "exchange/13 B", WITHOUT);
    let below = |bound: f64, ours: f64| format!("{} below the bound", times(bound / ours));
    row(out, ["what the proxy adds to an exchange", "< 1 ms", "-", &duration(added), &below(1e6, added)]);
    let p99 = measured.exchanges.value_at_quantile(0.99) as f64;
    row(
        out,
        ["p99 of exchanges, client and origin included", "< 800 us", "-", &duration(p99), &below(800e3, p99)],
    );
    let rate = 1e9 / whole;
    let above = format!("{} above it", times(rate / 10e3));
    let now = format!("{rate:.0}/s");
    row(out, ["one after the other, one core for all three", "> 10,000/s", "-", &now, &above]);
    let name = format!("exchange/13 B/{OURS}");
    let allocated = measured.allocations.get(&name).copied().unwrap_or(f64::NAN);
    row(out, ["allocations per exchange", "our own bound: 4", "-", &format!("{allocated:.3}"), "asserted"]);
    if let Some(counted) = measured.instructions.get(&name) {
        let alone =
            measured.instructions.get(&format!("exchange/13 B/{WITHOUT}")).copied().unwrap_or(f64::NAN);
        row(
            out,
            ["instructions the proxy adds to an exchange", "-", "-", &format!("{:.0}", counted - alone), "-"],
        );
    }
}

fn culprits(out: &mut String, measured: &Measured) {
    let pool = |design| measured.pool_contended.get(design).copied().unwrap_or(f64::NAN);
    let parts = [
        ("pool of a destination, FIFO", "Little's law sizes it", "semaphore and FIFO", "pool/1 thread"),
        ("pool, 1 thread", "culprit: async mutex", "async mutex and deque", "pool/1 thread"),
        ("the same, looking at age and socket", "-", "async mutex and deque, checked", "pool/1 thread"),
        ("router, 1000 routes", "culprit: sharded map", "DashMap and scan", "route/1000 routes"),
        ("router, 1000 routes", "cure: immutable vector", "vector scan", "route/1000 routes"),
        ("heads, small", "culprit: general-purpose client", "string maps", "heads/small"),
    ];
    for (what, says, design, case) in parts {
        let [before, ours] = [design, OURS].map(|it| wall(measured, case, it));
        row(out, [what, says, &duration(before), &duration(ours), &less(before, ours)]);
    }
    for design in ["async mutex and deque", "async mutex and deque, checked"] {
        let what = format!("pool, 2 threads: {design}");
        let [before, ours] = [pool(design), pool(OURS)];
        row(out, [&what, "culprit: async mutex", &duration(before), &duration(ours), &less(before, ours)]);
    }
}
