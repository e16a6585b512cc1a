//! Smooth weighted round robin, as nginx does it: over a cycle (as many picks as the weights add up to) each endpoint
//! gets exactly its weight, and the picks of a heavy one are spread instead of bunched.
//!
//! The state is one worker's. It is keyed by the identity of the endpoints, so that it outlives a change of the list.

use std::collections::HashMap;

/// Picks taken at the start so that workers do not march in step, at most. Bounds the work of a large offset.
const START_PICKS_MAX: u32 = 256;

/// Turns that one endpoint may take in place of another and that are still to be made good.
const SWAPS_MAX: i32 = 16;

/// One picker over one list of endpoints. What it picks is an index into that list.
#[derive(Debug, Clone, Default)]
pub struct RoundRobin {
    slots: Vec<Slot>,
    /// Indexes into `slots` of those with the one weight there is, or nothing when weights differ. With equal weights
    /// the order is simply that of the list.
    equal: Vec<u32>,
    /// Index into `equal`: where the next pick starts.
    cursor: usize,
    /// Where a cycle over endpoints that are all new starts.
    start_offset: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    id: u32,
    weight: u32,
    /// nginx's `current_weight`: what the slot is owed, in picks times the sum of weights.
    credit: i64,
    /// Turns given away less turns taken over by `swap`.
    given_away: i32,
}

impl RoundRobin {
    /// A picker over endpoints with these weights and the ids 0, 1, 2, ... Weight 0 gets nothing. `start_offset` moves
    /// the start of the cycle; give each worker another one.
    pub fn new(weights: impl Iterator<Item = u32>, start_offset: u32) -> Self {
        Self::over((0..).zip(weights), start_offset)
    }

    /// A picker over endpoints with these ids and weights; see [`RoundRobin::new`].
    pub fn over(endpoints: impl Iterator<Item = (u32, u32)>, start_offset: u32) -> Self {
        let slots = endpoints.map(Slot::fresh).collect();
        let mut this = Self { slots, equal: Vec::new(), cursor: 0, start_offset };
        this.find_equal();
        this.offset();
        this
    }

    /// Goes to the start of this picker's cycle, which is not every picker's.
    fn offset(&mut self) {
        self.cursor = 0;
        for slot in &mut self.slots {
            slot.credit = 0;
        }
        if let Some(cursor) = (self.start_offset as usize).checked_rem(self.equal.len()) {
            self.cursor = cursor;
            return;
        }
        let cycle: u64 = self.slots.iter().map(|slot| u64::from(slot.weight)).sum();
        let picks = u64::from(self.start_offset).checked_rem(cycle).unwrap_or(0) % u64::from(START_PICKS_MAX);
        for _ in 0..picks {
            self.pick(|_| false);
        }
    }

    /// Takes on a new list of ids and weights. Endpoints that were in the old one keep their place in the cycle, whatever
    /// their position now; new ones start without credit, and a list of new ones alone at the start offset. Costs nothing
    /// to speak of when nothing changed.
    pub fn adopt(&mut self, endpoints: impl Iterator<Item = (u32, u32)> + Clone) {
        if self.slots.iter().map(|slot| (slot.id, slot.weight)).eq(endpoints.clone()) {
            return;
        }
        // Whose turn it is, and whose after that, should the first be gone.
        let (done, due) = self.equal.split_at_checked(self.cursor).unwrap_or_default();
        let turns: Vec<u32> = due
            .iter()
            .chain(done)
            .filter_map(|index| self.slots.get(*index as usize))
            .map(|slot| slot.id)
            .collect();
        let old: HashMap<u32, Slot> = self.slots.iter().map(|slot| (slot.id, *slot)).collect();
        let slot = |(id, weight): (u32, u32)| match old.get(&id) {
            Some(slot) => Slot { weight, ..*slot },
            None => Slot::fresh((id, weight)),
        };
        self.slots = endpoints.map(slot).collect();
        self.find_equal();
        if !self.slots.iter().any(|slot| old.contains_key(&slot.id)) {
            self.offset();
            return;
        }
        self.settle_credits();
        let places: HashMap<u32, usize> = self
            .equal
            .iter()
            .enumerate()
            .filter_map(|(place, index)| Some((self.slots.get(*index as usize)?.id, place)))
            .collect();
        self.cursor = turns.iter().find_map(|id| places.get(id)).copied().unwrap_or(0);
    }

    /// The next endpoint that `skip` does not refuse, as an index into the list, or none. One that is skipped loses
    /// its turn to the others and is not owed for it later.
    pub fn pick(&mut self, skip: impl Fn(usize) -> bool) -> Option<usize> {
        if self.equal.is_empty() {
            return pick_smooth(self.slots.iter_mut().map(|slot| (&mut slot.credit, slot.weight)), skip);
        }
        let (done, due) = self.equal.split_at_checked(self.cursor)?;
        let turns = due.iter().chain(done);
        let (passed, index) =
            turns.map(|index| *index as usize).enumerate().find(|(_, index)| !skip(*index))?;
        self.cursor += passed + 1;
        if self.cursor >= self.equal.len() {
            self.cursor -= self.equal.len();
        }
        Some(index)
    }

    /// Has the endpoint with the id `taker` serve the turn that `pick` gave to `giver`. False: it may not, or has taken
    /// so many turns more than it gave (or the giver given) that shares would no longer be what the weights say.
    pub fn swap(&mut self, giver: u32, taker: u32) -> bool {
        if giver == taker {
            return true;
        }
        let find = |id| self.slots.iter().position(|slot| slot.id == id && slot.weight > 0);
        let (Some(giver), Some(taker)) = (find(giver), find(taker)) else { return false };
        let Ok([giver, taker]) = self.slots.get_disjoint_mut([giver, taker]) else { return false };
        if giver.given_away >= SWAPS_MAX || taker.given_away <= -SWAPS_MAX {
            return false;
        }
        giver.given_away += 1;
        taker.given_away -= 1;
        true
    }

    /// Endpoints in the list.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn find_equal(&mut self) {
        let mut weights = self.slots.iter().map(|slot| slot.weight).filter(|weight| *weight > 0);
        let first = weights.next();
        let equal = weights.all(|weight| Some(weight) == first);
        self.equal.clear();
        if equal {
            let used = self.slots.iter().zip(0..).filter(|(slot, _)| slot.weight > 0);
            self.equal.extend(used.map(|(_, index)| index));
        }
    }

    /// Credits add up to 0 and none exceeds a cycle: what endpoints that are gone had is shared out, or the newcomers
    /// would be behind the others for ever.
    fn settle_credits(&mut self) {
        let cycle: i64 = self.slots.iter().map(|slot| i64::from(slot.weight)).sum();
        for slot in &mut self.slots {
            slot.credit = if slot.weight == 0 { 0 } else { slot.credit.clamp(-cycle, cycle) };
        }
        let mut excess: i64 = self.slots.iter().map(|slot| slot.credit).sum();
        let mut left = self.slots.iter().filter(|slot| slot.weight > 0).count() as i64;
        for slot in self.slots.iter_mut().filter(|slot| slot.weight > 0) {
            let part = excess / left;
            slot.credit -= part;
            excess -= part;
            left -= 1;
        }
    }
}

impl Slot {
    fn fresh((id, weight): (u32, u32)) -> Self {
        Self { id, weight, credit: 0, given_away: 0 }
    }
}

/// One step of the algorithm over credits (which start at 0) with their weights: every candidate earns its weight, and
/// the richest, the first of equals, is picked and pays what all have earned.
pub fn pick_smooth<'a>(
    candidates: impl Iterator<Item = (&'a mut i64, u32)>,
    skip: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut earned = 0;
    let mut richest: Option<(usize, &mut i64)> = None;
    for (index, (credit, weight)) in candidates.enumerate() {
        if weight == 0 || skip(index) {
            continue;
        }
        earned += i64::from(weight);
        *credit += i64::from(weight);
        if richest.as_ref().is_none_or(|(_, most)| *credit > **most) {
            richest = Some((index, credit));
        }
    }
    let (index, credit) = richest?;
    *credit -= earned;
    Some(index)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn endpoints(list: &[(u32, u32)]) -> impl Iterator<Item = (u32, u32)> + Clone {
        list.iter().copied()
    }

    fn picks(picker: &mut RoundRobin, count: usize) -> Vec<Option<usize>> {
        (0..count).map(|_| picker.pick(|_| false)).collect()
    }

    #[track_caller]
    fn check(weights: &[u32], start_offset: u32, want: &[usize]) {
        let mut picker = RoundRobin::new(weights.iter().copied(), start_offset);
        let want: Vec<_> = want.iter().copied().map(Some).collect();
        assert_eq!(picks(&mut picker, want.len()), want);
    }

    #[test]
    fn cycles() {
        check(&[1, 1, 1], 0, &[0, 1, 2, 0]);
        check(&[7, 7, 7], 1, &[1, 2, 0, 1]);
        check(&[7, 7, 7], 5, &[2, 0, 1]);
        check(&[0, 2, 0, 2], 0, &[1, 3, 1]);
        // The sequence that nginx's own description gives.
        check(&[5, 1, 1], 0, &[0, 0, 1, 0, 2, 0, 0, 0, 0, 1]);
        check(&[5, 1, 1], 2, &[1, 0, 2, 0, 0, 0, 0]);
        check(&[3, 0, 1], 0, &[0, 0, 2, 0]);
    }

    #[test]
    fn nothing_to_pick() {
        for weights in [&[][..], &[0], &[0, 0]] {
            let mut picker = RoundRobin::new(weights.iter().copied(), 3);
            assert_eq!(picker.pick(|_| false), None);
            picker.adopt(endpoints(&[]));
            assert_eq!(picker.pick(|_| false), None);
        }
        assert_eq!(RoundRobin::new([1, 1].into_iter(), 0).pick(|_| true), None);
        assert_eq!(RoundRobin::new([1, 2].into_iter(), 0).pick(|_| true), None);
    }

    #[test]
    fn those_left_share_what_is_skipped() {
        for weights in [[2, 2, 2], [1, 1, 2]] {
            let mut picker = RoundRobin::new(weights.into_iter(), 0);
            let mut counts = [0; 3];
            for _ in 0..60 {
                counts[picker.pick(|index| index == 2).unwrap_or(2)] += 1;
            }
            assert_eq!(counts, [30, 30, 0]);
        }
    }

    #[test]
    fn a_list_adopted_keeps_the_turn() {
        let mut picker = RoundRobin::over(endpoints(&[(10, 1), (11, 1), (12, 1), (13, 1)]), 0);
        assert_eq!(picks(&mut picker, 2), [Some(0), Some(1)]);
        // 12 was next and is gone, so it is 13's turn.
        picker.adopt(endpoints(&[(20, 1), (13, 1), (11, 1), (10, 1)]));
        assert_eq!(picks(&mut picker, 4), [Some(1), Some(2), Some(3), Some(0)]);
        picker.adopt(endpoints(&[(20, 1), (13, 1), (11, 1), (10, 1)]));
        assert_eq!(picks(&mut picker, 1), [Some(1)]);
        picker.adopt(endpoints(&[(30, 1), (31, 1)]));
        assert_eq!(picks(&mut picker, 3), [Some(0), Some(1), Some(0)]);
        assert_eq!((picker.len(), picker.is_empty()), (2, false));
    }

    #[test]
    fn credits_outlive_a_change() {
        let mut picker = RoundRobin::over(endpoints(&[(1, 5), (2, 1), (3, 1)]), 0);
        assert_eq!(picks(&mut picker, 3), [Some(0), Some(0), Some(1)]);
        picker.adopt(endpoints(&[(3, 1), (2, 1), (1, 5)]));
        assert_eq!(picks(&mut picker, 4), [Some(2), Some(0), Some(2), Some(2)]);
    }

    #[test]
    fn turns_are_swapped_within_bounds() {
        let mut picker = RoundRobin::over(endpoints(&[(1, 1), (2, 1), (3, 0)]), 0);
        assert!(picker.swap(1, 1));
        // One of weight 0, or one that is gone, has no turn to give and gets none.
        assert!(!picker.swap(1, 3) && !picker.swap(3, 1) && !picker.swap(1, 9) && !picker.swap(9, 1));
        for _ in 0..SWAPS_MAX {
            assert!(picker.swap(1, 2));
        }
        assert!(!picker.swap(1, 2));
        // What was taken is known in a new list, and can be given back.
        picker.adopt(endpoints(&[(2, 1), (1, 1), (4, 1)]));
        assert!(!picker.swap(1, 2) && !picker.swap(4, 2) && !picker.swap(1, 4));
        assert!(picker.swap(2, 1) && picker.swap(1, 2) && !picker.swap(1, 2));
    }

    #[test]
    fn workers_are_out_of_step() {
        for weights in [[1, 1, 1], [1, 2, 3]] {
            let sequence = |offset| picks(&mut RoundRobin::new(weights.into_iter(), offset), 6);
            assert_ne!(sequence(0), sequence(1));
            assert_ne!(sequence(1), sequence(2));
        }
        // The offset holds for lists that come later, as when a name is resolved.
        for list in [[(7, 1), (8, 1)], [(5, 1), (6, 2)]] {
            let first = |offset| {
                let mut picker = RoundRobin::new(std::iter::empty(), offset);
                picker.adopt(endpoints(&list));
                picker.pick(|_| false)
            };
            assert_ne!(first(0), first(1));
        }
        // However large the offset, the start is quick.
        RoundRobin::new((1..1000).map(|_| 1000).chain([1]), u32::MAX);
    }

    proptest! {
        #[test]
        fn a_cycle_gives_each_its_weight(weights in vec(0_u32..20, 1..9), start_offset: u32) {
            let mut picker = RoundRobin::new(weights.iter().copied(), start_offset);
            let cycle = weights.iter().sum::<u32>();
            for _ in 0..2 {
                let mut counts = vec![0; weights.len()];
                for _ in 0..cycle {
                    let picked = picker.pick(|_| false);
                    counts[picked.ok_or_else(|| TestCaseError::fail("nothing picked"))?] += 1;
                }
                prop_assert_eq!(&counts, &weights);
            }
        }

        #[test]
        fn shares_hold_after_changes(
            lists in vec(vec(0_u32..12, 1..8), 2..5),
            steps in 0_usize..50,
        ) {
            let list = |weights: &Vec<u32>| -> Vec<(u32, u32)> {
                // Ids differ in order from list to list, and lists share some of them.
                weights.iter().enumerate().map(|(i, weight)| (i as u32 * 5 % 8, *weight)).collect()
            };
            let mut picker = RoundRobin::default();
            for weights in &lists {
                picker.adopt(endpoints(&list(weights)));
                let cycle: u32 = weights.iter().sum();
                let mut counts = vec![0_i64; weights.len()];
                for index in picks(&mut picker, cycle as usize * 5).into_iter().flatten() {
                    counts[index] += 1;
                }
                for (count, weight) in counts.iter().zip(weights) {
                    prop_assert!((count - i64::from(*weight) * 5).abs() <= 2, "{counts:?} {weights:?}");
                }
                picks(&mut picker, steps);
            }
        }
    }
}
