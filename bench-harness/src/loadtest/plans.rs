//! From a scenario and a subject to a run of the load generator.
use std::{net::SocketAddr, time::Duration};

use super::{
    Cores,
    measured::Kind,
    options::LoadtestArgs,
    routes::Entrance,
    scenario::{Ask, Scenario},
    subject::Subject,
};
use crate::{
    fault::Result,
    load::{
        Arrivals, Expect, Open, Pace, Plan, Request,
        options::{Target, parse_url},
        plan::{build_request, known_body},
    },
};

/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests of an open loop that may wait for a connection.
const BACKLOG_MAX: usize = 100_000;
/// A peer this close to the quickest one counts as fast.
const FAST_SHARE: f64 = 0.5;
/// An open loop runs at this share of the slowest fast peer's maximum.
const OPEN_SHARE: f64 = 0.5;
/// What a subject's maximum must be above an open loop's rate, or it would measure nothing but its own backlog.
const HEADROOM: f64 = 1.2;

/// One run of `subject`, in closed loop or at `rate` requests per second.
pub(super) fn plan(
    args: &LoadtestArgs,
    scenario: &Scenario,
    subject: &Subject,
    cores: Cores,
    rate: Option<f64>,
) -> Result<Plan> {
    let requests = match &subject.url {
        Some(url) => vec![Request::get(&parse_url(url)?, scenario.new_connection)],
        None => requests(scenario, subject.address),
    };
    // A scenario has at least one; the first stands in while the plan is made.
    let first = requests.first().cloned().unwrap_or_else(|| {
        let ask = Ask::get(scenario.body_bytes);
        request(&ask, &Entrance::default(), subject.address, scenario.new_connection)
    });
    Ok(Plan {
        requests,
        connections: scenario.connections,
        new_connection: scenario.new_connection,
        pace: rate.map_or(Pace::Closed, |rate| {
            Pace::Open(Open { rate, arrivals: Arrivals::Constant, backlog_max: BACKLOG_MAX })
        }),
        duration: args.duration,
        warmup: args.warmup,
        timeout: REQUEST_TIMEOUT,
        cores: cores.load.into_iter().collect(),
        pids: subject.pid.into_iter().collect(),
        ..Plan::of(subject.address, first)
    })
}

/// Each kind of request by each route.
fn requests(scenario: &Scenario, address: SocketAddr) -> Vec<Request> {
    let asks = scenario.asks();
    let by = |by: &Entrance| {
        let of_ask = |ask| request(ask, by, address, scenario.new_connection);
        asks.iter().map(of_ask).collect::<Vec<_>>()
    };
    scenario.routes.entrances().iter().flat_map(by).collect()
}

/// One of them, with what its answer must be.
pub(crate) fn request(ask: &Ask, by: &Entrance, address: SocketAddr, close: bool) -> Request {
    let host = by.host.clone().unwrap_or_else(|| address.to_string());
    let target = Target { host, path: format!("{}{}", by.prefix, ask.path) };
    let known = known_body(&target.path, 200, ask.upload_bytes);
    Request {
        weight: ask.weight,
        name: format!("{} {}{}", ask.method(), by.host.as_deref().unwrap_or_default(), target.path),
        bytes: build_request(ask.method(), &target, &[], ask.upload_bytes, close),
        to_head: false,
        expect: Expect { status: 200, body_bytes: known.length(), content: known },
    }
}

/// The rate of an open loop: half of what the slowest fast peer can do, or where there is none, the slowest proxy.
/// `maxima` are the rates of closed loops.
pub(super) fn open_rate(maxima: &[(Kind, f64)]) -> f64 {
    let of = |wanted: &[Kind]| {
        maxima.iter().filter(|(kind, _)| wanted.contains(kind)).map(|&(_, rate)| rate).collect::<Vec<_>>()
    };
    let peers = of(&[Kind::Peer]);
    let proxies = if peers.is_empty() { of(&[Kind::Ringlane, Kind::Floor]) } else { peers };
    let candidates = if proxies.is_empty() { of(&[Kind::Direct, Kind::External]) } else { proxies };
    let quickest = candidates.iter().copied().fold(0.0, f64::max);
    let slowest =
        candidates.into_iter().filter(|&rate| rate >= FAST_SHARE * quickest).fold(quickest, f64::min);
    (OPEN_SHARE * slowest).max(1.0).floor()
}

/// Whether a subject with this maximum can be asked at `rate`.
pub(super) fn carries(maximum: f64, rate: f64) -> bool {
    maximum >= HEADROOM * rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_runs_at_half_of_the_slowest_peer_that_is_not_slow() {
        let peers = [(Kind::Direct, 90e3), (Kind::Peer, 40e3), (Kind::Peer, 30e3), (Kind::Peer, 10e3)];
        assert_eq!(open_rate(&peers), 15e3);
        assert_eq!(open_rate(&[(Kind::Direct, 90e3), (Kind::Ringlane, 50e3), (Kind::Floor, 60e3)]), 25e3);
        assert_eq!(open_rate(&[(Kind::Direct, 90e3)]), 45e3);
        assert_eq!(open_rate(&[]), 1.0);
    }

    #[test]
    fn who_cannot_keep_up_is_not_asked() {
        assert!(carries(20e3, 15e3) && !carries(16e3, 15e3));
    }
}
