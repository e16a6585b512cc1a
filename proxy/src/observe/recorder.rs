//! What a worker calls at the end of every exchange and on every tick.

use std::{marker::PhantomData, mem, sync::Arc, time::Duration};

use super::{
    access_log::AccessLogHandle,
    board::{Answering, Slot},
    histogram::Histograms,
    metrics::Counters,
    outcome::{ClientWait, Outcome, Refusal, Termination, UpstreamWait},
};

/// Ticks over which the worst lag is kept; a full span is shown until the next one is over.
const LAG_SPAN_TICKS: u32 = 500;

/// One worker's record of what happened. Lives on the worker's thread and writes nothing that another thread writes.
///
/// ```compile_fail
/// fn moved_to_another_thread<T: Send>() {}
/// moved_to_another_thread::<ringlane::observe::Recorder>();
/// ```
#[derive(Debug)]
pub struct Recorder {
    slot: Arc<Slot>,
    histograms: Box<Histograms>,
    answering: Answering,
    log: Option<AccessLogHandle>,
    lag: Lag,
    /// Keeps it on its thread: counters have one writer.
    not_send: PhantomData<*const ()>,
}

#[derive(Debug, Default)]
struct Lag {
    ticks: u32,
    now_us: u64,
    before_us: u64,
}

impl Recorder {
    /// Takes over a worker's slot, with the counters and histograms that a worker before it may have left. `log`:
    /// when the access log is on.
    pub fn new(slot: Arc<Slot>, log: Option<AccessLogHandle>) -> Self {
        let histograms = slot.attach();
        let counters = slot.counters();
        // What the worker before had open has gone with it.
        for gauge in [
            &counters.connections_active,
            &counters.requests_active,
            &counters.upstream_connections_busy,
            &counters.upstream_connections_idle,
            &counters.queue_length,
            &counters.tunnels_active,
            &counters.tick_lag_max_us,
        ] {
            gauge.set(0);
        }
        Self {
            slot,
            histograms,
            answering: Answering::default(),
            log,
            lag: Lag::default(),
            not_send: PhantomData,
        }
    }

    /// The words that this worker counts in.
    #[inline]
    pub fn counters(&self) -> &Counters {
        self.slot.counters()
    }

    /// Counts an exchange that has ended, and logs it when the access log is on.
    ///
    /// Counts by itself: `requests`, `responses_*`, `client_bytes_*`, and what the termination says (`refused_*`,
    /// `client_aborts`, `proxy_faults`, `drain_cuts`, `queue_full`, `upstream_no_endpoint`, `upstream_cuts`,
    /// `upstream_malformed`, and `timeouts_*` but for `timeouts_keep_alive`, which ends no exchange). The access log
    /// counts its lines. Everything else is the worker's to count where it happens.
    #[inline]
    pub fn record(&mut self, outcome: &Outcome<'_>) {
        let counters = self.slot.counters();
        counters.requests.inc();
        counters.client_bytes_in.add(outcome.request_bytes);
        counters.client_bytes_out.add(outcome.response_bytes);
        match outcome.status {
            100..200 => counters.responses_1xx.inc(),
            200..300 => counters.responses_2xx.inc(),
            300..400 => counters.responses_3xx.inc(),
            400..500 => counters.responses_4xx.inc(),
            500..600 => counters.responses_5xx.inc(),
            _ => {}
        }
        if outcome.termination != Termination::Ok {
            count_termination(counters, outcome.termination);
        }
        self.histograms.record(outcome.route, &outcome.phases, outcome.termination.is_tunnel());
        if let Some(log) = &mut self.log
            && !outcome.rules.is_some_and(|noted| noted.unlogged)
        {
            log.write(outcome, counters);
        }
    }

    /// Counts a rule that has matched. Its name is cloned once per rule and worker.
    pub fn count_rule(&mut self, name: &Arc<str>) {
        self.histograms.rules.count(name);
    }

    /// Counts a request that has this tag.
    pub fn count_tag(&mut self, name: &Arc<str>) {
        self.histograms.tags.count(name);
    }

    /// Every tick of the worker: answers the board, hands over log lines that are old enough.
    pub fn tick(&mut self) {
        self.serve_board();
        if let Some(log) = &mut self.log {
            log.tick(self.slot.counters());
        }
        self.lag.ticks += 1;
        if self.lag.ticks >= LAG_SPAN_TICKS {
            self.lag = Lag { ticks: 0, now_us: 0, before_us: self.lag.now_us };
            self.slot.counters().tick_lag_max_us.set(self.lag.before_us);
        }
    }

    /// How late this tick came.
    pub fn note_lag(&mut self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.lag.now_us = self.lag.now_us.max(micros);
        self.slot.counters().tick_lag_max_us.set(self.lag.now_us.max(self.lag.before_us));
    }

    /// Copies the histograms out when somebody asks for them; one relaxed load when not. `tick` calls it.
    #[inline]
    pub fn serve_board(&mut self) {
        self.answering.serve(&self.slot, &self.histograms);
    }

    /// Gives up the histograms of routes that are not there any more. False: not now, an answer to the board is under
    /// way, which goes by their order.
    pub fn keep_routes(&mut self, is_there: impl Fn(u32) -> bool) -> bool {
        let now = !self.answering.is_under_way();
        if now {
            self.histograms.keep(is_there);
        }
        now
    }

    /// Hands over all log lines and leaves the histograms for the last report. A worker calls it when it has drained,
    /// since what its unfinished tasks own is never dropped; dropping the recorder does the same. What is recorded
    /// afterwards is in the last report only if the recorder is dropped.
    pub fn retire(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush(self.slot.counters());
        }
        self.slot.leave(mem::take(&mut self.histograms));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Counts what a termination other than `Ok` says.
#[cold]
fn count_termination(counters: &Counters, termination: Termination) {
    let counter = match termination {
        // Every failed attempt to connect is counted where it happens, this one among them.
        Termination::Ok | Termination::ConnectFailed | Termination::TunnelClosed => return,
        Termination::ClientAborted => &counters.client_aborts,
        Termination::ClientTimeout(ClientWait::RequestHead) => &counters.timeouts_request_head,
        Termination::ClientTimeout(ClientWait::RequestBody) => &counters.timeouts_request_body_idle,
        Termination::ClientTimeout(ClientWait::ResponseWrite) => &counters.timeouts_response_write,
        Termination::RequestRefused(Refusal::Malformed) => &counters.refused_malformed,
        Termination::RequestRefused(Refusal::HeadTooLarge) => &counters.refused_head_too_large,
        Termination::RequestRefused(Refusal::TargetTooLong) => &counters.refused_target_too_long,
        Termination::RequestRefused(Refusal::Version) => &counters.refused_version,
        Termination::RequestRefused(Refusal::Connect) => &counters.refused_connect,
        Termination::RequestRefused(Refusal::BodyTooLarge) => &counters.refused_body_too_large,
        Termination::NotFound => &counters.refused_not_found,
        Termination::Denied => &counters.refused_denied,
        Termination::Dropped => &counters.refused_dropped,
        Termination::QueueFull => &counters.queue_full,
        Termination::QueueTimeout => &counters.timeouts_queue,
        Termination::NoEndpoint => &counters.upstream_no_endpoint,
        Termination::Draining => &counters.drain_cuts,
        Termination::ConnectTimeout => &counters.timeouts_connect,
        Termination::UpstreamTimeout(UpstreamWait::Head) => &counters.timeouts_response_head,
        Termination::UpstreamTimeout(UpstreamWait::Body) => &counters.timeouts_response_body_idle,
        Termination::UpstreamCut => &counters.upstream_cuts,
        Termination::UpstreamMalformed => &counters.upstream_malformed,
        Termination::RequestTimeout => &counters.timeouts_request,
        Termination::TunnelIdle => &counters.timeouts_tunnel_idle,
        Termination::ProxyFault => &counters.proxy_faults,
    };
    counter.inc();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::observe::{
        Board, Phase,
        line::tests::sample,
        metrics::{FAMILIES, Source},
        outcome::TERMINATIONS,
    };

    const LONG: Duration = Duration::from_secs(20);

    /// All counters that are not zero, as `name label value`.
    fn counted(counters: &Counters) -> Vec<String> {
        let mut found = Vec::new();
        for family in FAMILIES {
            let Source::Workers { series, .. } = family.source else { continue };
            for series in series {
                let value = (series.read)(counters);
                if value > 0 {
                    let label = series.label.map_or("", |(_, value)| value);
                    found.push(format!("{} {label} {value}", family.name.trim_start_matches("ringlane_")));
                }
            }
        }
        found
    }

    #[test]
    fn an_exchange_is_counted_by_what_it_says() {
        let board = Board::new(1);
        let route: Arc<str> = "app".into();
        let mut recorder = Recorder::new(board.slot(0), None);
        recorder.record(&sample(&route));
        recorder.record(&Outcome { status: 503, termination: Termination::QueueFull, ..sample(&route) });
        recorder.record(&Outcome { status: 0, termination: Termination::ClientAborted, ..sample(&route) });
        assert_eq!(
            counted(recorder.counters()),
            [
                "requests_total  3",
                "responses_total 2xx 1",
                "responses_total 5xx 1",
                "client_bytes_total in 240",
                "client_bytes_total out 360",
                "client_aborts_total  1",
                "queue_full_total  1",
            ]
        );
    }

    #[test]
    fn every_termination_that_has_a_counter_moves_one_of_its_own() {
        let route: Arc<str> = "app".into();
        let mut seen = std::collections::HashMap::new();
        for (termination, _) in TERMINATIONS {
            let board = Board::new(1);
            let mut recorder = Recorder::new(board.slot(0), None);
            let outcome = Outcome { request_bytes: 0, response_bytes: 0, status: 0, ..sample(&route) };
            recorder.record(&Outcome { termination: *termination, ..outcome });
            let counted = counted(recorder.counters());
            assert_eq!(counted[0], "requests_total  1");
            assert!(counted.len() <= 2, "{termination:?}: {counted:?}");
            if let Some(own) = counted.get(1) {
                assert_eq!(seen.insert(own.clone(), termination), None, "{own}");
            }
        }
        assert_eq!(seen.len(), TERMINATIONS.len() - 3);
    }

    #[test]
    fn workers_answer_on_their_ticks_and_are_added_up() {
        const WORKERS: usize = 3;
        let board = Board::new(WORKERS);
        let stop = AtomicBool::new(false);
        let ready = Barrier::new(WORKERS + 1);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (slot, stop, ready) = (board.slot(worker), &stop, &ready);
                scope.spawn(move || {
                    let mut recorder = Recorder::new(slot, None);
                    // More routes than one tick copies, some of them shared by the workers.
                    for id in 0..200 + worker as u32 {
                        let name: Arc<str> = format!("route {id}").into();
                        let mut outcome = sample(&name);
                        outcome.route = Some((id, &name));
                        recorder.record(&outcome);
                    }
                    ready.wait();
                    while !stop.load(Ordering::Acquire) {
                        recorder.tick();
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            ready.wait();
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let collected = board.collect_blocking(LONG);
                        assert_eq!(collected.silent, [0_usize; 0]);
                        let merged = collected.merge();
                        assert_eq!(merged.answered, [0, 1, 2]);
                        assert_eq!(merged.process.phase(Phase::Total).len(), 603);
                        assert_eq!(merged.routes.len(), 202);
                        assert_eq!(merged.routes["route 7"].phase(Phase::Total).len(), 3);
                        assert_eq!(merged.routes["route 201"].phase(Phase::Total).len(), 1);
                    });
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let merged = runtime.block_on(board.collect(LONG)).merge();
            assert_eq!(merged.process.phase(Phase::Total).len(), 603);
            stop.store(true, Ordering::Release);
        });
        // Gone, they have left what they had.
        let merged = board.collect_blocking(Duration::ZERO).merge();
        assert_eq!(merged.process.phase(Phase::Total).len(), 603);
    }

    #[test]
    fn a_worker_that_does_not_tick_is_silent_and_one_that_never_was_is_not() {
        let board = Board::new(2);
        let mut recorder = Recorder::new(board.slot(0), None);
        let collected = board.collect_blocking(Duration::from_millis(20));
        assert_eq!(collected.silent, [0]);
        assert!(collected.snapshots.is_empty());
        // The answer to an asking that was given up does not stay behind once somebody asks again.
        recorder.tick();
        assert_eq!(board.collect_blocking(Duration::from_millis(20)).silent, [0]);
    }

    #[test]
    fn a_worker_that_is_started_again_goes_on_counting() {
        let board = Board::new(1);
        let route: Arc<str> = "app".into();
        let mut first = Recorder::new(board.slot(0), None);
        first.record(&sample(&route));
        first.counters().connections_active.inc();
        first.retire();
        first.record(&sample(&route));
        drop(first);

        let mut second = Recorder::new(board.slot(0), None);
        assert_eq!(second.counters().connections_active.get(), 0);
        assert_eq!(second.counters().requests.get(), 2);
        second.record(&sample(&route));
        drop(second);
        let merged = board.collect_blocking(Duration::ZERO).merge();
        assert_eq!(merged.process.phase(Phase::Total).len(), 3);
        assert_eq!(merged.routes["app"].phase(Phase::Total).len(), 3);
    }

    #[test]
    fn routes_that_are_gone_are_given_up_but_not_under_an_answer() {
        let board = Board::new(1);
        let mut recorder = Recorder::new(board.slot(0), None);
        for id in 0..200 {
            let name: Arc<str> = format!("route {id}").into();
            recorder.record(&Outcome { route: Some((id, &name)), ..sample(&name) });
        }
        // Asked, it copies some of them on each tick.
        assert_eq!(board.collect_blocking(Duration::ZERO).silent, [0]);
        recorder.tick();
        assert!(!recorder.keep_routes(|_| false));
        (0..10).for_each(|_| recorder.tick());
        assert!(recorder.keep_routes(|id| id == 7));
        drop(recorder);
        let merged = board.collect_blocking(Duration::ZERO).merge();
        assert_eq!(merged.routes.keys().map(|name| &**name).collect::<Vec<_>>(), ["route 7"]);
        assert_eq!(merged.process.phase(Phase::Total).len(), 200);
    }

    #[test]
    fn the_worst_lag_is_forgotten_after_two_spans() {
        let board = Board::new(1);
        let mut recorder = Recorder::new(board.slot(0), None);
        let shown = board.slot(0);
        recorder.note_lag(Duration::from_micros(300));
        recorder.note_lag(Duration::from_micros(20));
        assert_eq!(shown.counters().tick_lag_max_us.get(), 300);
        (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick());
        recorder.note_lag(Duration::from_micros(40));
        assert_eq!(shown.counters().tick_lag_max_us.get(), 300);
        (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick());
        assert_eq!(shown.counters().tick_lag_max_us.get(), 40);
        (0..LAG_SPAN_TICKS).for_each(|_| recorder.tick());
        assert_eq!(shown.counters().tick_lag_max_us.get(), 0);
    }
}
