//! Tests of all algorithms together, and what tests of each are told.

pub mod balancers;
mod uneven;

use super::{Address, Endpoint, SHARE_FULL, View};

/// What a picker is told, as plain lists by place.
#[derive(Debug, Clone)]
pub struct State {
    pub skipped: Vec<usize>,
    pub shares: Vec<u32>,
    pub in_flight: Vec<u32>,
    pub latencies: Vec<Option<f64>>,
}

impl State {
    /// So many endpoints that can all be asked and have nothing to do.
    pub fn idle(count: usize) -> State {
        State {
            skipped: Vec::new(),
            shares: vec![SHARE_FULL; count],
            in_flight: vec![0; count],
            latencies: vec![None; count],
        }
    }
}

impl View for State {
    fn skips(&self, index: usize) -> bool {
        self.skipped.contains(&index)
    }

    fn share(&self, index: usize) -> u32 {
        self.shares[index]
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.in_flight[index]
    }

    fn in_flight_sum(&self) -> u64 {
        self.in_flight.iter().copied().map(u64::from).sum()
    }

    fn latency_us(&self, index: usize) -> Option<f64> {
        self.latencies[index]
    }
}

/// Endpoints with these ids and weights.
pub fn endpoints(list: &[(u32, u32)]) -> Vec<Endpoint> {
    let endpoint = |(id, weight): &(u32, u32)| Endpoint {
        id: *id,
        address: Address::Unix(format!("/{id}").into()),
        label: format!("unix:/{id}").into(),
        weight: *weight,
        health: Default::default(),
        backup: false,
    };
    list.iter().map(endpoint).collect()
}
