//! What a worker calls at the end of every exchange and on every tick.

use std::{marker::PhantomData, mem, sync::Arc, time::Duration};

use super::{
    access_log::AccessLogHandle,
    board::{Answering, Slot},
    flow::UpstreamFlow,
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
            &counters.overload_level,
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

    /// Whether there is an access log: without one, what only that says is not asked for.
    pub fn logs(&self) -> bool {
        self.log.is_some()
    }

    /// Counts a rule that has matched. Its name is cloned once per rule and worker.
    pub fn count_rule(&mut self, name: &Arc<str>) {
        self.histograms.rules.count(name);
    }

    /// Counts a request that has this tag.
    pub fn count_tag(&mut self, name: &Arc<str>) {
        self.histograms.tags.count(name);
    }

    /// Every tick of the worker: answers the board, hands over log lines that are old enough. `flows`, asked only where
    /// somebody asks the board, says what the worker's upstreams have had to do.
    pub fn tick(&mut self, flows: impl FnOnce() -> Vec<UpstreamFlow>) {
        self.answering.serve(&self.slot, &self.histograms, flows);
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

    /// Copies the histograms out when somebody asks for them; one relaxed load when not. `tick` does the same.
    #[inline]
    pub fn serve_board(&mut self) {
        self.answering.serve(&self.slot, &self.histograms, Vec::new);
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
        Termination::ClientTimeout(ClientWait::RequestRate) => &counters.timeouts_request_body_rate,
        Termination::ClientTimeout(ClientWait::ResponseRate) => &counters.timeouts_response_rate,
        Termination::RequestRefused(Refusal::Malformed) => &counters.refused_malformed,
        Termination::RequestRefused(Refusal::HeadTooLarge) => &counters.refused_head_too_large,
        Termination::RequestRefused(Refusal::TargetTooLong) => &counters.refused_target_too_long,
        Termination::RequestRefused(Refusal::Version) => &counters.refused_version,
        Termination::RequestRefused(Refusal::Connect) => &counters.refused_connect,
        Termination::RequestRefused(Refusal::BodyTooLarge) => &counters.refused_body_too_large,
        Termination::NotFound => &counters.refused_not_found,
        Termination::RateLimited => &counters.refused_rate_limited,
        Termination::ClientBusy => &counters.refused_client_busy,
        Termination::RouteBusy => &counters.refused_route_busy,
        Termination::Denied => &counters.refused_denied,
        Termination::Dropped => &counters.refused_dropped,
        Termination::Overloaded => &counters.refused_overloaded,
        Termination::OutOfDescriptors => &counters.refused_no_descriptor,
        Termination::QueueFull => &counters.queue_full,
        Termination::QueueTimeout => &counters.timeouts_queue,
        Termination::NoEndpoint => &counters.upstream_no_endpoint,
        Termination::Unhealthy => &counters.upstream_refused_unhealthy,
        Termination::CircuitOpen => &counters.upstream_refused_open,
        Termination::UpstreamFull => &counters.upstream_refused_full,
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
mod tests;
