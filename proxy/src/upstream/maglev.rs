//! Maglev's table (Eisenbud et al., NSDI 2016): keys to endpoints, so that each endpoint has its weight's share of the keys
//! almost exactly, and few keys move when an endpoint comes or goes.
//!
//! Every endpoint has an order of its own over all entries, given by a hash of its address; in turns, each as often as
//! its weight says, they take the first entry of their order that is free. The place of an endpoint in the list, and
//! so its number, has no say.

use super::digest::mix;

/// Entries of a table, prime numbers; a table has the first that gives each endpoint `ENTRIES_EACH` on average. Nearly
/// every list has the first: were the size to follow the number of endpoints more closely, all keys would move whenever it does.
const SIZES: [usize; 3] = [65_537, 262_139, 1_048_573];

/// So that one entry is a hundredth of an endpoint's share.
const ENTRIES_EACH: usize = 100;

/// Endpoints that a table can have; those beyond it in the list get no keys.
pub const HASH_ENDPOINTS_MAX: usize = 10_000;

const _: () = assert!(HASH_ENDPOINTS_MAX * ENTRIES_EACH < SIZES[SIZES.len() - 1]);
const _: () = assert!(HASH_ENDPOINTS_MAX < u16::MAX as usize);

/// An endpoint as the table sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// A hash of its address.
    pub name: u64,
    /// Its share of the keys; 0: none.
    pub weight: u32,
}

/// The table. Empty when nobody has a weight.
#[derive(Debug, Clone, Default)]
pub struct Maglev {
    /// Places in the list of endpoints.
    entries: Box<[u16]>,
}

/// A member's way through the table.
struct Walk {
    place: u16,
    next: usize,
    step: usize,
    weight: u32,
    /// What it is owed, in entries times the largest weight.
    credit: u32,
}

impl Maglev {
    /// The table of `members`, which are in the order of the list. Takes milliseconds: none of a worker's business.
    pub fn build(members: &[Member]) -> Self {
        let mut members: Vec<(usize, &Member)> =
            members.iter().take(HASH_ENDPOINTS_MAX).enumerate().filter(|(_, it)| it.weight > 0).collect();
        members.sort_by_key(|(_, it)| it.name);
        let Some(most) = members.iter().map(|(_, it)| it.weight).max() else { return Self::default() };
        let wanted = members.len() * ENTRIES_EACH;
        let [first, ..] = SIZES;
        let size = SIZES.into_iter().find(|size| *size >= wanted).unwrap_or(first);
        let walk = |(place, it): &(usize, &Member)| Walk {
            place: *place as u16,
            next: (mix(it.name ^ 0x0ff5e7) % size as u64) as usize,
            step: (mix(it.name ^ 0x57e9) % (size as u64 - 1)) as usize + 1,
            weight: it.weight,
            // Each has its first turn in the first round, so that nobody goes without.
            credit: most - it.weight,
        };
        let mut walks: Vec<Walk> = members.iter().map(walk).collect();
        let mut entries: Box<[Option<u16>]> = vec![None; size].into();
        let mut free = size;
        while free > 0 {
            for walk in &mut walks {
                walk.credit += walk.weight;
                if walk.credit >= most && free > 0 {
                    walk.credit -= most;
                    walk.take(&mut entries);
                    free -= 1;
                }
            }
        }
        Self { entries: entries.into_iter().flatten().collect() }
    }

    /// The place of a key among the entries, as even as the key's high bits are.
    pub fn place(&self, key: u64) -> usize {
        ((u128::from(key) * self.entries.len() as u128) >> 64) as usize
    }

    /// The endpoint of a key.
    pub fn of(&self, key: u64) -> Option<usize> {
        self.entries.get(self.place(key)).map(|place| usize::from(*place))
    }

    /// The endpoints of all entries, from that of a key on: whoever can't take the key leaves it to the next. As entries
    /// are mixed, so are those who take over from one that is gone.
    pub fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let (before, rest) = self.entries.split_at_checked(self.place(key)).unwrap_or_default();
        rest.iter().chain(before).map(|place| usize::from(*place))
    }
}

impl Walk {
    /// Takes the first entry on its way that is free. There is one: a step and a prime number of entries lead everywhere.
    fn take(&mut self, entries: &mut [Option<u16>]) {
        for _ in 0..entries.len() {
            let at = self.next;
            self.next = (at + self.step) % entries.len();
            if let Some(entry @ None) = entries.get_mut(at) {
                *entry = Some(self.place);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::upstream::digest::digest;

    fn members(weights: &[u32]) -> Vec<Member> {
        let member = |(index, weight): (usize, &u32)| {
            let name = digest(format!("10.0.{}.{}:80", index / 256, index % 256).bytes());
            Member { name, weight: *weight }
        };
        weights.iter().enumerate().map(member).collect()
    }

    /// Entries of each.
    fn counts(table: &Maglev, endpoints: usize) -> Vec<usize> {
        let mut counts = vec![0; endpoints];
        table.entries.iter().for_each(|place| counts[usize::from(*place)] += 1);
        counts
    }

    /// The address of every 37th key's endpoint.
    fn homes(members: &[Member]) -> Vec<u64> {
        let table = Maglev::build(members);
        (0..100_000_u64).map(|key| table.of(mix(key)).map_or(0, |index| members[index].name)).collect()
    }

    #[test]
    fn equal_weights_have_equal_shares() {
        for count in [1, 2, 3, 7, 100, 600] {
            let counts = counts(&Maglev::build(&members(&vec![3; count])), count);
            let (least, most) = (counts.iter().min(), counts.iter().max());
            assert!(least.zip(most).is_some_and(|(least, most)| most - least <= 1), "{count}: {counts:?}");
        }
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        for weights in [&[1, 2, 3][..], &[10, 1], &[100, 1, 50, 7], &[1, 0, 1]] {
            let table = Maglev::build(&members(weights));
            let all: u32 = weights.iter().sum();
            for (count, weight) in counts(&table, weights.len()).iter().zip(weights) {
                let fair = f64::from(*weight) * 65_537.0 / f64::from(all);
                assert!(
                    (*count as f64 - fair).abs() <= (fair * 0.01).max(2.0),
                    "{count}, fair {fair}: {weights:?}"
                );
            }
        }
        // Nobody with a weight goes without.
        let mut weights = vec![1000; 600];
        weights[5] = 1;
        assert!(counts(&Maglev::build(&members(&weights)), 600)[5] >= 1);
    }

    #[test]
    fn many_endpoints_have_a_larger_table() {
        for (count, size) in [(655, 65_537), (656, 262_139), (3000, 1_048_573), (20_000, 1_048_573)] {
            let table = Maglev::build(&members(&vec![1; count]));
            assert_eq!(table.entries.len(), size);
            let counts = counts(&table, count);
            assert!(counts.iter().take(HASH_ENDPOINTS_MAX).all(|it| *it >= 100), "{count}");
            assert!(counts.iter().skip(HASH_ENDPOINTS_MAX).all(|it| *it == 0));
        }
        assert!(Maglev::build(&[]).of(7).is_none() && Maglev::build(&members(&[0])).from(7).next().is_none());
    }

    /// When one of n goes, its 1/n of the keys have to move; few others do.
    #[test]
    fn few_keys_move() {
        for count in [3_u32, 10, 100] {
            let all = members(&vec![1; count as usize]);
            let mut fewer = all.clone();
            let gone = fewer.remove(1).name;
            let (before, after) = (homes(&all), homes(&fewer));
            let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count() as f64 / 100_000.0;
            let (must, may) = (1.0 / f64::from(count), 1.0 / f64::from(count) + 0.03);
            assert!(moved >= must * 0.95 && moved <= may, "{count}: {moved}");
            assert!(!after.contains(&gone));
            // Drained is gone, and coming back all is as it was.
            let mut drained = all.clone();
            drained[1].weight = 0;
            assert_eq!(homes(&drained), after);
        }
    }

    proptest! {
        /// Neither the order of the list nor what stands in it without a weight matters.
        #[test]
        fn the_order_of_the_list_has_no_say(weights in vec(0_u32..4, 1..8), turn in 0_usize..8) {
            let all = members(&weights);
            let mut other = all.clone();
            other.rotate_left(turn % weights.len());
            other.retain(|it| it.weight > 0);
            let (a, b) = (Maglev::build(&all), Maglev::build(&other));
            for key in (0..500).map(mix) {
                let of = |table: &Maglev, list: &[Member]| table.of(key).map(|index| list[index].name);
                prop_assert_eq!(of(&a, &all), of(&b, &other));
            }
        }
    }
}
