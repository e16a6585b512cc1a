//! What a figure is, which way of it is bad, and how far it may go there.
use serde::{Deserialize, Serialize};

/// What a figure counts. One bound holds for all figures of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Instructions, counted by callgrind or the like.
    Instructions,
    /// CPU time per request as a ratio to the bare forwarder's of the same run.
    CpuToFloor,
    /// The 99th percentile of latency as a ratio to a peer's of the same run.
    P99ToPeer,
    /// Resident memory in bytes.
    Memory,
    /// Heap allocations per request.
    Allocations,
    /// A latency in microseconds.
    Latency,
    /// Requests per second.
    Rate,
    /// The share of lookups, or of requests, that found what they hoped for; 0 to 1.
    HitRate,
}

/// How much worse a figure may be than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// It may rise by this share of what it was.
    RiseByShare(f64),
    /// It may rise by this much.
    RiseBy(f64),
    /// It may fall by this share of what it was.
    FallByShare(f64),
}

/// The bounds of a comparison. None: figures of that kind are shown and not judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Share.
    pub instructions: Option<f64>,
    /// Share.
    pub cpu_to_floor: Option<f64>,
    /// Share.
    pub p99_to_peer: Option<f64>,
    /// Share.
    pub memory: Option<f64>,
    /// Number of allocations.
    pub allocations: Option<f64>,
    /// Share.
    pub latency: Option<f64>,
    /// Share, of rates and hit rates.
    pub rate: Option<f64>,
}

impl Bounds {
    /// For figures that are not from the same quiet machine.
    pub const LOOSE: Self = Self {
        instructions: None,
        cpu_to_floor: None,
        p99_to_peer: Some(1.0),
        memory: Some(1.0),
        allocations: None,
        latency: Some(1.0),
        rate: Some(0.1),
    };

    /// The bound of a kind.
    pub fn of(&self, kind: Kind) -> Option<Bound> {
        match kind {
            Kind::Instructions => self.instructions.map(Bound::RiseByShare),
            Kind::CpuToFloor => self.cpu_to_floor.map(Bound::RiseByShare),
            Kind::P99ToPeer => self.p99_to_peer.map(Bound::RiseByShare),
            Kind::Memory => self.memory.map(Bound::RiseByShare),
            Kind::Allocations => self.allocations.map(Bound::RiseBy),
            Kind::Latency => self.latency.map(Bound::RiseByShare),
            Kind::Rate | Kind::HitRate => self.rate.map(Bound::FallByShare),
        }
    }
}

/// Shares are read from text and come out of divisions: what is equal on paper must not fail by a last bit.
const ROUNDING: f64 = 1e-9;

impl Bound {
    /// Whether `new` is worse than `base` by more than this.
    pub fn is_broken(self, base: f64, new: f64) -> bool {
        let slack = ROUNDING * base;
        match self {
            Self::RiseByShare(share) => new > base * (1.0 + share) + slack,
            Self::RiseBy(n) => new > base + n + slack,
            Self::FallByShare(share) => new < base * (1.0 - share) - slack,
        }
    }

    /// Whether `new` is better than `base` by more than it might have been worse.
    pub fn is_surpassed(self, base: f64, new: f64) -> bool {
        match self {
            Self::RiseByShare(share) | Self::FallByShare(share) if share >= 1.0 => {
                Self::RiseByShare(share).is_broken(new, base)
            }
            Self::RiseByShare(share) => Self::FallByShare(share).is_broken(base, new),
            Self::RiseBy(n) => base > new + n,
            Self::FallByShare(share) => Self::RiseByShare(share).is_broken(base, new),
        }
    }

    /// `+5 %`, `-10 %`, `+0`.
    pub fn describe(self) -> String {
        match self {
            Self::RiseByShare(share) => format!("+{} %", trimmed(share * 100.0)),
            Self::RiseBy(n) => format!("+{}", trimmed(n)),
            Self::FallByShare(share) => format!("-{} %", trimmed(share * 100.0)),
        }
    }
}

/// A number without the digits that rounding adds.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edge_and_break_behind_it() {
        for (bound, base, edge, behind) in [
            (Bound::RiseByShare(0.05), 1.1, 1.155, 1.156),
            (Bound::RiseByShare(0.02), 0.0, 0.0, 1.0),
            (Bound::RiseBy(0.0), 4.0, 4.0, 4.01),
            (Bound::FallByShare(0.1), 100.0, 90.0, 89.9),
        ] {
            assert!(!bound.is_broken(base, edge), "{bound:?}");
            assert!(bound.is_broken(base, behind), "{bound:?}");
        }
    }

    #[test]
    fn better_is_the_other_way() {
        assert!(Bound::RiseByShare(0.05).is_surpassed(1.0, 0.94));
        assert!(!Bound::RiseByShare(0.05).is_surpassed(1.0, 0.96));
        assert!(Bound::FallByShare(0.1).is_surpassed(100.0, 111.0));
        assert!(Bound::RiseBy(0.0).is_surpassed(4.0, 3.0));
        assert!(Bound::RiseByShare(1.0).is_surpassed(100.0, 49.0));
        assert!(!Bound::RiseByShare(1.0).is_surpassed(100.0, 51.0));
    }

    #[test]
    fn bounds_read_as_people_write_them() {
        let texts =
            [Bound::RiseByShare(0.05), Bound::RiseBy(0.0), Bound::FallByShare(0.1)].map(Bound::describe);
        assert_eq!(texts, ["+5 %", "+0", "-10 %"]);
    }
}
