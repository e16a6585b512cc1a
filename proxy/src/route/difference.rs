//! What a list of shared things has more and less than the one before.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// Positions that are not the same in both lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// In the list of before.
    pub(crate) removed: Vec<usize>,
    /// In the list of now.
    pub(crate) added: Vec<usize>,
    /// Of what is in both, where it was and where it is, in the order of both.
    pub(crate) kept: Vec<Kept>,
}

/// A run of elements that both lists have in the same order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where it begins in the list of before.
    pub(crate) old: usize,
    /// Where it begins in the list of now.
    pub(crate) new: usize,
    /// How long it is.
    pub(crate) length: usize,
}

/// Compares two lists by identity, without touching what they share. What has moved among the rest is removed in one
/// place and added in the other. The time is that of two passes over pointers.
pub(crate) fn difference<T>(old: &[Arc<T>], new: &[Arc<T>]) -> Difference {
    let same = |(a, b): &(&Arc<T>, &Arc<T>)| Arc::ptr_eq(a, b);
    let front = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let back = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let old_middle = &old_rest[..old_rest.len() - back];
    let new_middle = &new_rest[..new_rest.len() - back];
    let mut difference = Difference::default();
    difference.keep(0, 0, front);
    // One of them is empty when something was only added or only removed; both are short when something was replaced.
    let places: PointerMap<T, usize> = match new_middle.is_empty() {
        true => PointerMap::default(),
        false => old_middle.iter().enumerate().map(|(at, it)| (Arc::as_ptr(it), at)).collect(),
    };
    let mut next = 0;
    for (at, it) in new_middle.iter().enumerate() {
        match places.get(&Arc::as_ptr(it)) {
            Some(place) if *place >= next => {
                difference.removed.extend(front + next..front + place);
                difference.keep(front + place, front + at, 1);
                next = place + 1;
            }
            _ => difference.added.push(front + at),
        }
    }
    difference.removed.extend(front + next..front + old_middle.len());
    difference.keep(front + old_middle.len(), front + new_middle.len(), back);
    difference
}

impl Difference {
    fn keep(&mut self, old: usize, new: usize, length: usize) {
        match self.kept.last_mut() {
            Some(last) if last.old + last.length == old && last.new + last.length == new => {
                last.length += length;
            }
            _ if length == 0 => {}
            _ => self.kept.push(Kept { old, new, length }),
        }
    }
}

/// A map by address.
pub(crate) type PointerMap<T, V> = HashMap<*const T, V, BuildHasherDefault<PointerHasher>>;

/// Spreads addresses, whose low bits are equal, with one multiplication.
#[derive(Default)]
pub(crate) struct PointerHasher(u64);

impl Hasher for PointerHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_and_what_is_not_are_both_lists(
            old in proptest::sample::subsequence((0..20).collect::<Vec<u8>>(), 0..20).prop_shuffle(),
            new in proptest::sample::subsequence((0..20).collect::<Vec<u8>>(), 0..20).prop_shuffle(),
        ) {
            let things: Vec<Arc<u8>> = (0..20).map(Arc::new).collect();
            let list = |of: &[u8]| of.iter().map(|it| things[usize::from(*it)].clone()).collect::<Vec<_>>();
            let (old, new) = (list(&old), list(&new));
            let found = difference(&old, &new);
            let mut was: Vec<usize> = found.removed.clone();
            let mut is: Vec<usize> = found.added.clone();
            let (mut last_old, mut last_new) = (0, 0);
            for kept in &found.kept {
                prop_assert!(kept.old >= last_old && kept.new >= last_new && kept.length > 0);
                (last_old, last_new) = (kept.old + kept.length, kept.new + kept.length);
                for at in 0..kept.length {
                    prop_assert!(Arc::ptr_eq(&old[kept.old + at], &new[kept.new + at]));
                    was.push(kept.old + at);
                    is.push(kept.new + at);
                }
            }
            was.sort_unstable();
            is.sort_unstable();
            prop_assert_eq!(was, (0..old.len()).collect::<Vec<_>>());
            prop_assert_eq!(is, (0..new.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_one_change_is_one_difference() {
        let list: Vec<Arc<u8>> = (0..9).map(Arc::new).collect();
        let mut other = list.clone();
        other[4] = Arc::new(4);
        let found = difference(&list, &other);
        assert_eq!((found.removed, found.added), (vec![4], vec![4]));
        other.insert(2, Arc::new(0));
        other.remove(8);
        let found = difference(&list, &other);
        assert_eq!((found.removed, found.added), (vec![4, 7], vec![2, 5]));
        let found = difference(&list, &list);
        assert_eq!(found.kept, [Kept { old: 0, new: 0, length: 9 }]);
    }
}
