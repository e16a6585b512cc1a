//! The algorithms by name, and one worker's pickers over an upstream: the primary endpoints, and the backups for when none
//! of those can be asked.

use super::{
    Upstream, hash::ByHash, least_requests::LeastRequests, peak_ewma::ByLatency, power_of_two::PowerOfTwo,
    random::Random, rng::Rng, round_robin::RoundRobin, tier_weight,
};

/// The share of its weight that an endpoint has when nothing takes from it, in thousandths.
pub const SHARE_FULL: u32 = 1000;

/// With "auto", endpoints from which on two are compared instead of taking turns: of two, both would be drawn each time.
const CHOICE_ENDPOINTS_MIN: usize = 3;

/// How an upstream's endpoints share requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// `PowerOfTwo` from three endpoints on, else `RoundRobin`.
    #[default]
    Auto,
    /// Smooth weighted round robin.
    RoundRobin,
    /// The fewest requests under way for its weight.
    LeastRequests,
    /// The better of two random choices, by requests under way.
    PowerOfTwo,
    /// The better of two random choices, by latency times requests under way.
    PeakEwma,
    /// By a key of the request.
    Hash,
    /// At random, by weight.
    Random,
}

impl Balance {
    /// Every algorithm under its name in the config.
    pub const ALL: [(&'static str, Balance); 7] = [
        ("auto", Balance::Auto),
        ("round_robin", Balance::RoundRobin),
        ("least_requests", Balance::LeastRequests),
        ("power_of_two", Balance::PowerOfTwo),
        ("peak_ewma", Balance::PeakEwma),
        ("hash", Balance::Hash),
        ("random", Balance::Random),
    ];
}

/// An upstream's endpoints as they are at one pick, by their place in its list.
pub trait View {
    /// Whether it can't be asked.
    fn skips(&self, index: usize) -> bool;

    /// The part of its weight that it has at present, up to [`SHARE_FULL`].
    fn share(&self, index: usize) -> u32;

    /// Requests of this worker's that are under way there.
    fn in_flight(&self, index: usize) -> u32;

    /// Those of all endpoints together.
    fn in_flight_sum(&self) -> u64;

    /// Its time to first byte, see [`PeakEwma`](super::peak_ewma::PeakEwma); `None`: it is not known.
    fn latency_us(&self, index: usize) -> Option<f64>;
}

/// Whether an endpoint that comes back slowly lets this request pass. One that does so at random has its share of the
/// picks, whatever the algorithm makes of its weight.
pub(super) fn thinned(view: &impl View, index: usize, rng: &Rng) -> bool {
    let share = view.share(index);
    share < SHARE_FULL && rng.below(SHARE_FULL.into()) >= u64::from(share)
}

/// One algorithm at work over one tier.
#[derive(Debug, Clone)]
enum Balancer {
    RoundRobin(RoundRobin),
    LeastRequests(LeastRequests),
    PowerOfTwo(PowerOfTwo),
    PeakEwma(ByLatency),
    Hash(Box<ByHash>),
    Random(Random),
}

impl Balancer {
    /// Goes over to what `upstream` says of the primary endpoints, or of the backups. What can be kept of what was before
    /// is kept: turns belong to endpoints, not to places.
    fn adopt(before: Option<Balancer>, upstream: &Upstream, backup: bool, start_offset: u32) -> Balancer {
        let list = upstream.endpoints.iter().map(move |it| (it.id, tier_weight(it, backup)));
        let weights = list.clone().map(|(_, weight)| weight);
        let balance = match upstream.balance {
            Balance::Auto if weights.clone().filter(|it| *it > 0).count() < CHOICE_ENDPOINTS_MIN => {
                Balance::RoundRobin
            }
            Balance::Auto => Balance::PowerOfTwo,
            other => other,
        };
        match (balance, before, &upstream.hash) {
            (Balance::LeastRequests, before, _) => {
                let mut picker = match before {
                    Some(Balancer::LeastRequests(picker)) => picker,
                    _ => LeastRequests::new(start_offset),
                };
                picker.adopt(list);
                Balancer::LeastRequests(picker)
            }
            (Balance::PowerOfTwo | Balance::Auto, ..) => Balancer::PowerOfTwo(PowerOfTwo::over(weights)),
            (Balance::PeakEwma, ..) => Balancer::PeakEwma(ByLatency::over(weights)),
            (Balance::Hash, _, Some(hash)) => {
                Balancer::Hash(Box::new(ByHash::over(&hash.tables, &hash.settings, backup)))
            }
            (Balance::Random, ..) => Balancer::Random(Random::over(weights)),
            (Balance::RoundRobin | Balance::Hash, Some(Balancer::RoundRobin(mut turns)), _) => {
                turns.adopt(list);
                Balancer::RoundRobin(turns)
            }
            (Balance::RoundRobin | Balance::Hash, ..) => {
                Balancer::RoundRobin(RoundRobin::over(list, start_offset))
            }
        }
    }

    fn pick(&mut self, key: Option<u64>, view: &impl View, rng: &Rng) -> Option<usize> {
        match self {
            Balancer::RoundRobin(turns) => turns
                .pick(|index| view.skips(index) || thinned(view, index, rng))
                .or_else(|| turns.pick(|index| view.skips(index))),
            Balancer::LeastRequests(picker) => picker.pick(view, rng),
            Balancer::PowerOfTwo(picker) => picker.pick(view, rng),
            Balancer::PeakEwma(picker) => picker.pick(view, rng),
            Balancer::Hash(picker) => picker.pick(key, view, rng),
            Balancer::Random(picker) => picker.pick(view, rng),
        }
    }
}

/// One worker's pickers over one upstream.
#[derive(Debug, Clone)]
pub struct Balancers {
    primary: Balancer,
    /// Only where there are backups.
    backup: Option<Balancer>,
    /// By place: its id, its weight, whether it is a backup.
    endpoints: Box<[(u32, u32, bool)]>,
    start_offset: u32,
}

impl Balancers {
    /// Over no endpoint. `start_offset` moves the start of cycles; give each worker another one.
    pub fn new(start_offset: u32) -> Self {
        let primary = Balancer::RoundRobin(RoundRobin::new(std::iter::empty(), start_offset));
        Self { primary, backup: None, endpoints: Box::default(), start_offset }
    }

    /// Goes over to what a new table says of the upstream.
    pub fn adopt(&mut self, upstream: &Upstream) {
        let nothing = Self::new(self.start_offset);
        let Self { primary, backup, start_offset, .. } = std::mem::replace(self, nothing);
        let has_backups = upstream.endpoints.iter().any(|it| it.backup);
        *self = Self {
            primary: Balancer::adopt(Some(primary), upstream, false, start_offset),
            backup: has_backups.then(|| Balancer::adopt(backup, upstream, true, start_offset)),
            endpoints: upstream.endpoints.iter().map(|it| (it.id, it.weight, it.backup)).collect(),
            start_offset,
        };
    }

    /// The next endpoint, as an index into the upstream's list, or none: a backup only if no primary one can be asked.
    #[inline]
    pub fn pick(&mut self, key: Option<u64>, view: &impl View, rng: &Rng) -> Option<usize> {
        let picked = self.primary.pick(key, view, rng);
        if picked.is_none()
            && let Some(backup) = &mut self.backup
        {
            return backup.pick(key, view, rng);
        }
        picked
    }

    /// Gives up what belongs to the table. What is left serves those that are still under way.
    pub fn retire(&mut self) {
        for picker in [Some(&mut self.primary), self.backup.as_mut()].into_iter().flatten() {
            if let Balancer::Hash(hash) = picker {
                *picker = Balancer::PowerOfTwo(hash.keyless().clone());
            }
        }
    }

    /// Whether the endpoint in this place is a backup.
    pub fn is_backup(&self, index: usize) -> bool {
        self.endpoints.get(index).is_some_and(|(_, _, backup)| *backup)
    }

    /// Has the endpoint in the place `taker` serve the turn that was given to the one in `giver`. False: it may not. Turns
    /// are booked; who goes by load has the one whose request has just ended for the better one already; keys stay.
    pub fn swap(&mut self, giver: usize, taker: usize) -> bool {
        let (Some((giver, _, tier)), Some((taker, weight, its_tier))) =
            (self.endpoints.get(giver), self.endpoints.get(taker))
        else {
            return false;
        };
        let picker = if *tier { self.backup.as_mut() } else { Some(&mut self.primary) };
        match picker {
            Some(Balancer::RoundRobin(turns)) => turns.swap(*giver, *taker),
            Some(Balancer::Hash(_)) | None => giver == taker,
            Some(_) => tier == its_tier && *weight > 0,
        }
    }
}
