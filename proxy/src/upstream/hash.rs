//! The same key to the same endpoint, by a Maglev table, with a bound on what that may cost: an endpoint that would have
//! more than `overload` times its share of the requests under way leaves this one to the next (Mirrokni, Thorup and
//! Zadimoghaddam, "Consistent Hashing with Bounded Loads").

use std::sync::{Arc, OnceLock};

use super::{
    Endpoint, SHARE_FULL, View,
    digest::digest,
    maglev::{Maglev, Member},
    power_of_two::PowerOfTwo,
    rng::Rng,
    tier_weight,
};

/// What of a request is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    Client,
    /// The path, without the query.
    Path,
    /// The first header field of this name.
    Header(Box<str>),
    /// The cookie of this name.
    Cookie(Box<str>),
    /// The first query parameter of this name.
    Query(Box<str>),
}

/// What an upstream's keys are and how far they bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashSettings {
    /// Where the key is.
    pub key: HashKey,
    /// How many times its share an endpoint may have, in thousandths; `None`: no bound.
    pub overload_permille: Option<u32>,
}

/// An upstream's tables, of its primary endpoints and of its backups. Equal if they are made of the same.
#[derive(Debug, Default)]
pub struct HashTables {
    members: [Box<[Member]>; 2],
    built: OnceLock<[Maglev; 2]>,
}

impl PartialEq for HashTables {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for HashTables {}

impl HashTables {
    /// Tables to be, of these endpoints.
    pub fn of(endpoints: &[Endpoint]) -> Self {
        let tier = |backup| {
            let member =
                |it: &Endpoint| Member { name: digest(it.label.bytes()), weight: tier_weight(it, backup) };
            endpoints.iter().map(member).collect()
        };
        Self { members: [tier(false), tier(true)], built: OnceLock::new() }
    }

    /// Builds them, if nobody has yet: the control thread, before a worker can ask.
    pub fn prepare(&self) -> &[Maglev; 2] {
        self.built.get_or_init(|| self.members.each_ref().map(|members| Maglev::build(members)))
    }

    fn tier(&self, backup: bool) -> (&Maglev, &[Member]) {
        let ([primary, backups], [of_primary, of_backups]) = (self.prepare(), &self.members);
        if backup { (backups, of_backups) } else { (primary, of_primary) }
    }
}

/// What an upstream that balances by hash says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    /// Its keys and their bound.
    pub settings: HashSettings,
    /// Where they lead. The same as those of the upstream before, if that had the same endpoints.
    pub tables: Arc<HashTables>,
}

/// A picker over one tier of an upstream's endpoints. What it picks is an index into the list of all.
#[derive(Debug, Clone)]
pub struct ByHash {
    tables: Arc<HashTables>,
    backup: bool,
    overload_permille: Option<u32>,
    weights: u64,
    /// For requests without the key.
    keyless: PowerOfTwo,
}

/// How many requests an endpoint may have.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Requests under way, this one counted, times `overload`, in thousandths; `None`: no bound.
    room_permille: Option<u64>,
    /// The weights of all that they are shared among.
    weights: u64,
}

impl Bound {
    fn has_room(self, in_flight: u32, weight: u32) -> bool {
        let Some(room) = self.room_permille else { return true };
        let share = u128::from(room) * u128::from(weight);
        u128::from(in_flight) < share.div_ceil(u128::from(self.weights.max(1)) * 1000)
    }
}

impl ByHash {
    /// A picker over the primary endpoints, or over the backups.
    pub fn over(tables: &Arc<HashTables>, settings: &HashSettings, backup: bool) -> Self {
        let weights = || {
            let [primary, backups] = &tables.members;
            (if backup { backups } else { primary }).iter().map(|it| it.weight)
        };
        Self {
            backup,
            overload_permille: settings.overload_permille,
            weights: weights().map(u64::from).sum(),
            keyless: PowerOfTwo::over(weights()),
            tables: Arc::clone(tables),
        }
    }

    /// What requests without a key are picked by.
    pub fn keyless(&self) -> &PowerOfTwo {
        &self.keyless
    }

    /// The endpoint of `key`, or who takes its place; for a request without a key the better of two.
    pub fn pick(&self, key: Option<u64>, view: &impl View, rng: &Rng) -> Option<usize> {
        let Some(key) = key else { return self.keyless.pick(view, rng) };
        let (table, members) = self.tables.tier(self.backup);
        let first = table.of(key)?;
        let under_way = view.in_flight_sum() + 1;
        let bound = Bound {
            room_permille: self.overload_permille.map(|overload| under_way * u64::from(overload)),
            weights: self.weights,
        };
        let weight = |index: usize| members.get(index).map_or(0, |it| it.weight);
        let has_room = |bound: Bound, index| bound.has_room(view.in_flight(index), weight(index));
        if !view.skips(first) && in_share(view, first, key) && has_room(bound, first) {
            return Some(first);
        }
        // Shared among those that can be asked, so that one of them always has room.
        let able = |index: usize, whole: bool| !view.skips(index) && (whole || in_share(view, index, key));
        let weights_of = |whole| {
            let able = (0..members.len()).filter(|index| able(*index, whole));
            Some(able.map(|index| u64::from(weight(index))).sum::<u64>())
                .filter(|sum| *sum > 0)
                .map(|sum| (sum, whole))
        };
        let (weights, whole) = weights_of(false).or_else(|| weights_of(true))?;
        let bound = Bound { weights, ..bound };
        table.from(key).find(|index| able(*index, whole) && has_room(bound, *index))
    }
}

/// Whether a key is among those that an endpoint has already, which comes back slowly.
fn in_share(view: &impl View, index: usize, key: u64) -> bool {
    let share = view.share(index);
    // By its low bits: the high ones have led here.
    share >= SHARE_FULL || ((key & u64::from(u32::MAX)) * u64::from(SHARE_FULL)) >> 32 < u64::from(share)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::upstream::{
        digest::mix,
        rng::Rng,
        tests::{State, endpoints},
    };

    fn picker(weights: &[u32], overload: Option<u32>) -> ByHash {
        let list: Vec<_> = (0..).zip(weights.iter().copied()).collect();
        let tables = Arc::new(HashTables::of(&endpoints(&list)));
        let settings = HashSettings { key: HashKey::Path, overload_permille: overload };
        ByHash::over(&tables, &settings, false)
    }

    #[test]
    fn a_key_stays() {
        let (picker, rng, state) = (picker(&[1; 5], Some(1250)), Rng::new(1), State::idle(5));
        let homes = || (0..1000).map(|key| picker.pick(Some(mix(key)), &state, &rng)).collect::<Vec<_>>();
        assert_eq!(homes(), homes());
        let mut counts = [0_u32; 5];
        homes().into_iter().for_each(|home| counts[home.unwrap_or(0)] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(200) < 65), "{counts:?}");
    }

    /// Who can't be asked leaves its keys to all others, and nobody else's keys move.
    #[test]
    fn one_that_is_skipped_is_shared_out() {
        let (picker, rng) = (picker(&[1; 5], None), Rng::new(1));
        let (all, fewer) = (State::idle(5), State { skipped: vec![2], ..State::idle(5) });
        let mut taken_over = [0_u32; 5];
        for key in (0..5000).map(mix) {
            let (before, after) = (picker.pick(Some(key), &all, &rng), picker.pick(Some(key), &fewer, &rng));
            match before {
                Some(2) => taken_over[after.unwrap_or(2)] += 1,
                _ => assert_eq!(before, after),
            }
        }
        assert_eq!(taken_over[2], 0);
        assert!([0, 1, 3, 4].iter().all(|index| taken_over[*index].abs_diff(250) < 75), "{taken_over:?}");
        let none = State { skipped: (0..5).collect(), ..State::idle(5) };
        assert_eq!(picker.pick(Some(1), &none, &rng), None);
    }

    #[test]
    fn a_hot_key_spills_over() {
        let (picker, rng) = (picker(&[1; 4], Some(1500)), Rng::new(1));
        let mut state = State::idle(4);
        let mut order = Vec::new();
        for under_way in 0..400_u64 {
            let index = picker.pick(Some(77), &state, &rng).unwrap_or(9);
            state.in_flight[index] += 1;
            // 1.5 times a quarter of all.
            assert!(
                u64::from(state.in_flight[index]) <= ((under_way + 1) * 1500).div_ceil(4000),
                "{state:?}"
            );
            if !order.contains(&index) {
                order.push(index);
            }
        }
        // As much as may be at its own place, then at the next: always the same.
        assert_eq!(state.in_flight[order[0]], 150);
        assert!(order.len() >= 3);
        let unbound = super::tests::picker(&[1; 4], None);
        assert!((0..9).all(|_| unbound.pick(Some(77), &state, &rng) == Some(order[0])));
    }

    #[test]
    fn one_that_comes_back_slowly_has_the_same_few_keys() {
        let (picker, rng) = (picker(&[1; 2], None), Rng::new(1));
        let at = |share: u32, key: u64| {
            let state = State { shares: vec![share, 1000], ..State::idle(2) };
            picker.pick(Some(mix(key)), &state, &rng) == Some(0)
        };
        let has = |share: u32| (0..4000).filter(|key| at(share, *key)).collect::<Vec<u64>>();
        let (tenth, half, all) = (has(100), has(500), has(1000));
        assert!(tenth.len().abs_diff(200) < 70 && half.len().abs_diff(1000) < 150 && has(0).is_empty());
        assert!(tenth.iter().all(|key| half.contains(key)) && half.iter().all(|key| all.contains(key)));
        // With nobody else there it has them all.
        let state = State { shares: vec![0, 0], ..State::idle(2) };
        assert!((0..50).all(|key| picker.pick(Some(mix(key)), &state, &rng).is_some()));
    }

    #[test]
    fn without_a_key_the_less_loaded_is_taken() {
        let (picker, rng) = (picker(&[1; 2], Some(1250)), Rng::new(1));
        let state = State { in_flight: vec![5, 0], ..State::idle(2) };
        assert!((0..50).all(|_| picker.pick(None, &state, &rng) == Some(1)));
    }

    #[test]
    fn tiers_have_tables_of_their_own() {
        let mut list = endpoints(&[(0, 1), (1, 1), (2, 1)]);
        list[1].backup = true;
        let tables = Arc::new(HashTables::of(&list));
        let settings = HashSettings { key: HashKey::Client, overload_permille: None };
        let (rng, state) = (Rng::new(1), State::idle(3));
        let (primary, backup) =
            (ByHash::over(&tables, &settings, false), ByHash::over(&tables, &settings, true));
        for key in (0..50).map(mix) {
            assert_ne!(primary.pick(Some(key), &state, &rng), Some(1));
            assert_eq!(backup.pick(Some(key), &state, &rng), Some(1));
        }
        assert!(*tables == HashTables::of(&list) && *tables != HashTables::of(&list[..2]));
    }

    proptest! {
        /// Whatever is under way and whoever is skipped: the bound holds for who is picked, and somebody is.
        #[test]
        fn the_bound_holds(
            list in vec((0_u32..4, 0_u32..50), 1..9),
            skipped in vec(0_usize..9, 0..5),
            overload in 1000_u32..3000,
            key: u64,
        ) {
            let (weights, in_flight): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            let picker = picker(&weights, Some(overload));
            let state = State { in_flight: in_flight.clone(), skipped, ..State::idle(weights.len()) };
            let able: Vec<_> =
                (0..weights.len()).filter(|index| weights[*index] > 0 && !state.skips(*index)).collect();
            match picker.pick(Some(mix(key)), &state, &Rng::new(0)) {
                None => prop_assert!(able.is_empty()),
                Some(picked) => {
                    prop_assert!(able.contains(&picked));
                    let all: u32 = able.iter().map(|index| weights[*index]).sum();
                    let under_way = f64::from(in_flight.iter().sum::<u32>() + 1);
                    let fair = under_way * f64::from(weights[picked]) / f64::from(all);
                    let most = (fair * f64::from(overload) / 1000.0 + 1e-6).ceil();
                    prop_assert!(f64::from(in_flight[picked] + 1) <= most, "{in_flight:?} {weights:?} {picked}");
                }
            }
        }
    }
}
