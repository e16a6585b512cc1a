//! How much upstreams have to do at a time, and what pool that asks for.
//!
//! Little's law: on average as many exchanges are in flight as begin in a second, times the seconds that one takes. All
//! three are measured over a window of the last 30 to 60 seconds. An exchange counts from its first byte to the end of its
//! response, its wait in line included: it is what a pool has to hold if nobody is to wait. One that is under way counts
//! with the time that it has taken so far, so that a tunnel of an hour weighs no more than its share of the window.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    merged::Merged,
    report::{human, printable},
};

/// What one worker says of one upstream, over the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFlow {
    /// The upstream's name.
    pub name: Arc<str>,
    /// Its `pool.max_connections`, for the whole process.
    pub max_connections: u32,
    /// How long the window is, in microseconds.
    pub window_us: u64,
    /// Exchanges that have ended.
    pub exchanges: u64,
    /// How long those took, added up, in microseconds.
    pub ended_us: u64,
    /// The number in flight, added up over every microsecond of the window.
    pub in_flight_us: u64,
    /// The most that were in flight at a time.
    pub peak: u32,
}

/// What all workers say of one upstream.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Its `pool.max_connections`.
    pub max_connections: u32,
    /// The longest window, in microseconds.
    pub window_us: u64,
    /// Exchanges a second.
    pub rate: f64,
    /// Exchanges in flight, on average.
    pub in_flight: f64,
    /// The sum of the workers' peaks, which need not have been at the same time.
    pub peak: u64,
    /// The peak of the worker that had most.
    pub busiest: u32,
    exchanges: u64,
    ended_us: u64,
}

impl Flow {
    /// Adds what one worker says.
    pub fn add(&mut self, flow: &UpstreamFlow) {
        let window = flow.window_us.max(1) as f64;
        self.max_connections = flow.max_connections;
        self.window_us = self.window_us.max(flow.window_us);
        self.rate += flow.exchanges as f64 * 1e6 / window;
        self.in_flight += flow.in_flight_us as f64 / window;
        self.peak += u64::from(flow.peak);
        self.busiest = self.busiest.max(flow.peak);
        self.exchanges += flow.exchanges;
        self.ended_us += flow.ended_us;
    }

    /// How long an exchange takes, on average, in microseconds; `None`: none has ended.
    pub fn latency_us(&self) -> Option<u64> {
        self.ended_us.checked_div(self.exchanges)
    }

    /// The `pool.max_connections` that the peak asks for: each worker has the same part of it, so the busiest one decides;
    /// and half as much again, because the next peak may be higher.
    pub fn suggested(&self, workers: usize) -> u64 {
        (u64::from(self.busiest) * 3).div_ceil(2).max(1) * workers as u64
    }
}

/// The rows of a report.
pub(super) fn add_table(table: &mut String, merged: &Merged) {
    let flows = &merged.flows;
    let Some(window_us) = flows.values().map(|flow| flow.window_us).max() else { return };
    let width = flows.keys().map(|name| name.chars().count()).max().unwrap_or(0).max("upstream".len());
    let _ = writeln!(table, "\nby upstream, in the last {} s", window_us.div_ceil(1_000_000));
    let _ = writeln!(
        table,
        "{:<width$} {:>11} {:>9} {:>10} {:>8} {:>10} {:>16}",
        "upstream", "rate", "latency", "in flight", "peak", "suggested", "max_connections"
    );
    for (name, flow) in flows {
        let name = printable(name);
        let latency = flow.latency_us().map_or("-".to_owned(), human);
        let Flow { rate, in_flight, peak, max_connections, .. } = flow;
        let suggested = flow.suggested(merged.workers());
        let _ = writeln!(
            table,
            "{name:<width$} {rate:>9.1}/s {latency:>9} {in_flight:>10.2} {peak:>8} {suggested:>10} {max_connections:>16}"
        );
    }
    table.push_str(
        "in flight: rate times latency; suggested: the busiest worker's peak and half as much again, times workers\n",
    );
}

/// The same for programs.
pub(super) fn json(merged: &Merged) -> Value {
    let shown: BTreeMap<_, _> = merged.flows.iter().map(|(name, flow)| (name, one(flow, merged))).collect();
    Value::Object(shown.into_iter().map(|(name, flow)| (name.to_string(), flow)).collect::<Map<_, _>>())
}

fn one(flow: &Flow, merged: &Merged) -> Value {
    json!({
        "window_us": flow.window_us,
        "rate_per_second": flow.rate,
        "latency_us": flow.latency_us(),
        "mean_in_flight": flow.in_flight,
        "peak_in_flight": flow.peak,
        "suggested_max_connections": flow.suggested(merged.workers()),
        "max_connections": flow.max_connections,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Board, Collected, Recorder};

    fn flow(name: &str, exchanges: u64, latency_us: u64, peak: u32) -> UpstreamFlow {
        let ended_us = exchanges * latency_us;
        UpstreamFlow {
            name: name.into(),
            max_connections: 64,
            window_us: 40_000_000,
            exchanges,
            ended_us,
            in_flight_us: ended_us,
            peak,
        }
    }

    /// What three workers answer, of which the last one has had nothing to do.
    fn merged() -> Merged {
        let board = Board::new(3);
        let said = [
            vec![flow("app", 4_000, 20_000, 5), flow("b\n", 10, 500, 1)],
            vec![flow("app", 8_000, 20_000, 9)],
        ];
        let mut recorders: Vec<_> = (0..3).map(|worker| Recorder::new(board.slot(worker), None)).collect();
        let asked = std::thread::scope(|scope| {
            let asking = scope.spawn(|| board.collect_blocking(std::time::Duration::from_secs(60)));
            while !asking.is_finished() {
                for (worker, recorder) in recorders.iter_mut().enumerate() {
                    recorder.tick(|| said.get(worker).cloned().unwrap_or_default());
                }
                std::thread::yield_now();
            }
            asking.join()
        });
        let Ok(Collected { snapshots, silent }) = asked else { panic!("the board") };
        Collected { snapshots, silent }.merge()
    }

    #[test]
    fn workers_are_added_up() {
        let merged = merged();
        let flow = &merged.flows["app"];
        assert_eq!((flow.rate, flow.latency_us(), flow.in_flight), (300.0, Some(20_000), 6.0));
        // 14 on three workers, but the busiest one has 9: each needs room for 13.5.
        assert_eq!((flow.peak, flow.busiest, flow.suggested(3)), (14, 9, 42));
        assert_eq!(merged.flows["b\n"].suggested(3), 6);
    }

    #[test]
    fn reports_say_it_in_words_and_in_json() {
        let merged = merged();
        let mut table = String::new();
        add_table(&mut table, &merged);
        let expected = "
by upstream, in the last 40 s
upstream        rate   latency  in flight     peak  suggested  max_connections
app          300.0/s   20.0 ms       6.00       14         42               64
b?             0.2/s    500 us       0.00        1          6               64
in flight: rate times latency; suggested: the busiest worker's peak and half as much again, times workers
";
        assert_eq!(table, expected);
        let json = json(&merged);
        assert_eq!(json["app"]["suggested_max_connections"], 42);
        assert_eq!(json["app"]["latency_us"], 20_000);
        assert_eq!(json["app"]["mean_in_flight"], 6.0);
    }

    #[test]
    fn what_has_not_ended_has_no_latency_yet() {
        let mut under_way = Flow::default();
        under_way.add(&UpstreamFlow { in_flight_us: 80_000_000, ..flow("app", 0, 0, 2) });
        assert_eq!((under_way.latency_us(), under_way.in_flight, under_way.suggested(1)), (None, 2.0, 3));
    }
}
