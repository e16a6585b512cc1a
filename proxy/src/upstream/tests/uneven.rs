//! How uneven a whole process can be: workers share nothing, so what each does adds up. The bounds are those of
//! docs/balancing.md.
//!
//! Seeds are fixed: a test passes always or never. A change of the algorithms or of the generator draws anew, and fails by
//! chance once in a million per case.

use super::{State, balancers::upstream, endpoints};
use crate::upstream::{Balance, Balancers, rng::Rng};

const WORKERS: [usize; 3] = [1, 2, 8];
const ENDPOINTS: [usize; 6] = [3, 4, 7, 16, 50, 100];

/// The quantile of the standard normal distribution for one in a million.
const ONE_IN_A_MILLION: f64 = 4.753;

/// One worker: its pickers, its random numbers, what it has under way.
struct Worker {
    balancers: Balancers,
    rng: Rng,
    state: State,
    under_way: Vec<usize>,
}

/// Workers as a process starts them.
fn workers(count: usize, balance: Balance, weights: &[u32]) -> Vec<Worker> {
    let list: Vec<_> = (0..).zip(weights.iter().copied()).collect();
    let upstream = upstream(balance, &endpoints(&list));
    let worker = |index: usize| {
        let mut balancers = Balancers::new(index as u32);
        balancers.adopt(&upstream);
        let rng = Rng::new(0x5eed << 8 | index as u64);
        Worker { balancers, rng, state: State::idle(weights.len()), under_way: Vec::new() }
    };
    (0..count).map(worker).collect()
}

impl Worker {
    fn pick(&mut self) -> usize {
        self.balancers.pick(None, &self.state, &self.rng).expect("there are endpoints")
    }

    /// Begins a request and, when `most` are under way, ends one at random first.
    fn begin(&mut self, most: usize) -> usize {
        if self.under_way.len() == most {
            let ends = self.rng.below(most as u64) as usize;
            let endpoint = self.under_way.swap_remove(ends);
            self.state.in_flight[endpoint] -= 1;
        }
        let endpoint = self.pick();
        self.state.in_flight[endpoint] += 1;
        self.under_way.push(endpoint);
        endpoint
    }
}

/// Weights that differ: 1 to 5 in turn.
fn mixed(count: usize) -> Vec<u32> {
    (0..count as u32).map(|index| 1 + index % 5).collect()
}

/// Sum over endpoints of (seen - expected)^2 / expected.
fn chi_squared(counts: &[u64], weights: &[u32]) -> f64 {
    let (all, sum) = (counts.iter().sum::<u64>() as f64, f64::from(weights.iter().sum::<u32>()));
    let one = |(count, weight): (&u64, &u32)| {
        let expected = all * f64::from(*weight) / sum;
        (*count as f64 - expected).powi(2) / expected
    };
    counts.iter().zip(weights).map(one).sum()
}

/// What chi-squared exceeds once in a million with so many degrees of freedom, by Wilson and Hilferty: too high by a
/// tenth at 2 degrees, by a hundredth from 10 on.
fn chi_squared_max(freedom: usize) -> f64 {
    let k = freedom as f64;
    k * (1.0 - 2.0 / (9.0 * k) + ONE_IN_A_MILLION * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

/// How often each endpoint is picked in `each` rounds over all workers.
fn counts(workers: &mut [Worker], each: usize, mut pick: impl FnMut(&mut Worker) -> usize) -> Vec<u64> {
    let mut counts = vec![0; workers[0].state.in_flight.len()];
    for _ in 0..each {
        for worker in workers.iter_mut() {
            counts[pick(worker)] += 1;
        }
    }
    counts
}

#[test]
fn the_bound_on_chi_squared_is_right() {
    // From tables of the distribution, p = 1e-6.
    for (freedom, exact) in [(2, 27.63), (10, 48.31), (100, 181.8)] {
        let ours = chi_squared_max(freedom);
        assert!(ours >= exact * 0.99 && ours <= exact * 1.11, "{freedom}: {ours}, exactly {exact}");
    }
}

/// After any number of requests no endpoint is further from its share than one request for each worker.
#[test]
fn round_robin_is_within_one_per_worker() {
    for count in WORKERS {
        for endpoints in ENDPOINTS {
            let mut workers = workers(count, Balance::RoundRobin, &vec![1; endpoints]);
            let mut seen = vec![0_u64; endpoints];
            for step in 1..=endpoints * 3 {
                for worker in &mut workers {
                    seen[worker.pick()] += 1;
                }
                let fair = (step * count) as f64 / endpoints as f64;
                let most = seen.iter().map(|it| (*it as f64 - fair).abs()).fold(0.0, f64::max);
                assert!(most < count as f64 + 1e-9, "{count} workers, {endpoints} endpoints, {step}: {most}");
            }
        }
    }
}

/// By weights: exact after whole cycles of all workers; in between within two requests for each worker.
#[test]
fn round_robin_with_weights_is_exact_over_a_cycle() {
    for count in WORKERS {
        for endpoints in ENDPOINTS {
            let weights = mixed(endpoints);
            let cycle: u32 = weights.iter().sum();
            let mut workers = workers(count, Balance::RoundRobin, &weights);
            let mut seen = vec![0_u64; endpoints];
            for step in 1..=cycle * 2 {
                for worker in &mut workers {
                    seen[worker.pick()] += 1;
                }
                let fair = |weight: u32| f64::from(step * weight) * count as f64 / f64::from(cycle);
                let off = seen.iter().zip(&weights).map(|(it, weight)| (*it as f64 - fair(*weight)).abs());
                let most = off.fold(0.0, f64::max);
                let may = if step % cycle == 0 { 1e-6 } else { 2.0 * count as f64 };
                assert!(most <= may, "{count} workers, {endpoints} endpoints, step {step}: {most}");
            }
        }
    }
}

/// Without load, draws are independent whoever draws: their counts are as uneven as chance, and no more.
#[test]
fn random_choices_are_as_even_as_chance() {
    for balance in [Balance::Random, Balance::PowerOfTwo, Balance::Auto] {
        for count in WORKERS {
            for endpoints in ENDPOINTS {
                for weights in [vec![1; endpoints], mixed(endpoints)] {
                    let mut workers = workers(count, balance, &weights);
                    let counts = counts(&mut workers, endpoints * 400 / count, Worker::pick);
                    let (is, may) = (chi_squared(&counts, &weights), chi_squared_max(endpoints - 1));
                    assert!(is < may, "{balance:?}, {count} workers, {endpoints} endpoints: {is} of {may}");
                }
            }
        }
    }
}

/// Under load, whoever compares is more even than chance; the process as a whole is, too.
#[test]
fn those_that_compare_are_more_even_under_load() {
    for balance in [Balance::PowerOfTwo, Balance::LeastRequests] {
        for count in WORKERS {
            for endpoints in ENDPOINTS {
                let weights = vec![1; endpoints];
                let mut workers = workers(count, balance, &weights);
                let under_way = endpoints * 2;
                let counts = counts(&mut workers, endpoints * 200 / count, |worker| worker.begin(under_way));
                let (is, may) = (chi_squared(&counts, &weights), chi_squared_max(endpoints - 1));
                assert!(is < may, "{balance:?}, {count} workers, {endpoints} endpoints: {is} of {may}");
                for worker in &workers {
                    let most = worker.state.in_flight.iter().max().copied().unwrap_or(0);
                    // Two each on average; at random the most of a hundred would be near eight.
                    let bound = if balance == Balance::LeastRequests { 4 } else { 6 };
                    assert!(most <= bound, "{balance:?}, {count} workers, {endpoints} endpoints: {most}");
                }
            }
        }
    }
}

/// The test itself can fail: a picker that favours one endpoint by a tenth is found out.
#[test]
fn a_bias_is_found() {
    let mut weights = vec![10; 16];
    let fair = weights.clone();
    weights[3] = 12;
    let mut workers = workers(2, Balance::Random, &weights);
    let counts = counts(&mut workers, 16_000, Worker::pick);
    assert!(chi_squared(&counts, &fair) > chi_squared_max(15), "{counts:?}");
}
