//! A table as a worker uses it, and what passes from one to the next. What has not changed is not looked at: the cost of
//! adopting a table is that of the change.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    hash::BuildHasherDefault,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::pool::{Bell, Pool};
use crate::{
    observe::{UpstreamFlow, histogram::IdHasher},
    route::{RouteTable, Shares, Split, SplitState},
    upstream::Upstream,
};

/// A table as this worker uses it: with its own pools beside the table's upstreams.
pub struct Adopted {
    /// The table. The only reference to anything of it that a worker holds, so that nothing of it is freed here.
    pub table: Arc<RouteTable>,
    /// By the upstream's place in `table.upstreams`.
    pools: Rc<[Option<Rc<Pool>>]>,
}

impl Adopted {
    /// The pool of the upstream in one place.
    pub fn pool(&self, place: usize) -> Option<&Rc<Pool>> {
        self.pools.get(place)?.as_ref()
    }

    /// What upstreams have had to do, of those that had anything.
    pub(super) fn flows(&self, now: Instant) -> Vec<UpstreamFlow> {
        let flow = |(upstream, pool): (&Option<Arc<Upstream>>, &Option<Rc<Pool>>)| {
            pool.as_ref()?.flow().report(upstream.as_ref()?, now)
        };
        self.table.upstreams.iter().zip(self.pools.iter()).filter_map(flow).collect()
    }
}

/// All pools of a worker, by the identity of the upstream.
pub(super) struct Pools {
    by_id: HashMap<u32, Rc<Pool>>,
    bell: Arc<Bell>,
    index: u32,
    workers: u32,
}

impl Pools {
    /// None yet, for worker `index` of `workers`; `bell` is its own.
    pub(super) fn new(bell: &Arc<Bell>, index: u32, workers: u32) -> Self {
        Self { by_id: HashMap::new(), bell: Arc::clone(bell), index, workers }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.by_id.values()
    }

    /// Goes over to `table`: pools of upstreams that have changed are told, those of upstreams that are gone retired.
    pub(super) fn adopt(&mut self, table: Arc<RouteTable>, before: Option<&Adopted>) -> Adopted {
        let Some(before) = before else {
            let pools = table.upstreams.iter().map(|it| it.as_ref().map(|it| self.pool(it))).collect();
            return Adopted { table, pools };
        };
        let old = &before.table.upstreams;
        if Arc::ptr_eq(old, &table.upstreams) {
            return Adopted { table, pools: Rc::clone(&before.pools) };
        }
        let (mut gone, mut there) = (Vec::new(), HashSet::new());
        let pools = table.upstreams.iter().enumerate().map(|(place, upstream)| {
            let was = old.get(place).and_then(Option::as_ref);
            if let (Some(was), Some(upstream)) = (was, upstream)
                && Arc::ptr_eq(was, upstream)
            {
                return before.pool(place).cloned();
            }
            gone.extend(was.map(|it| it.id));
            there.extend(upstream.as_ref().map(|it| it.id));
            upstream.as_ref().map(|it| self.pool(it))
        });
        let pools = pools.collect();
        gone.extend(old.iter().skip(table.upstreams.len()).flatten().map(|it| it.id));
        for id in gone.iter().filter(|id| !there.contains(*id)) {
            if let Some(pool) = self.by_id.remove(id) {
                pool.retire();
            }
        }
        Adopted { table, pools }
    }

    /// The pool of `upstream`, told what the table says of it.
    fn pool(&mut self, upstream: &Upstream) -> Rc<Pool> {
        let Self { by_id, bell, index, workers } = self;
        if let Some(pool) = by_id.get(&upstream.id) {
            pool.update(upstream, bell, *index, *workers);
            return Rc::clone(pool);
        }
        let pool = Pool::new(upstream, bell, *index, *workers);
        by_id.insert(upstream.id, Rc::clone(&pool));
        pool
    }
}

/// Which upstream of a split is next, for each route that splits and has been used.
#[derive(Default)]
pub(super) struct Splits(RefCell<HashMap<u32, SplitState, BuildHasherDefault<IdHasher>>>);

impl Splits {
    /// The place of the upstream that is next.
    pub(super) fn pick(&self, route: u32, split: &Split) -> usize {
        split.pick(self.0.borrow_mut().entry(route).or_default())
    }

    /// Goes over to another table: a split goes on where it was if it shares as it did, and else begins anew.
    pub(super) fn adopt(&self, now: &Arc<[Shares]>, before: &Arc<[Shares]>) {
        if Arc::ptr_eq(now, before) {
            return;
        }
        let find = |list: &Arc<[Shares]>, route: u32| {
            let place = list.binary_search_by_key(&route, |it| it.route).ok()?;
            Some(Arc::clone(&list.get(place)?.shares))
        };
        self.0
            .borrow_mut()
            .retain(|route, _| find(now, *route).is_some_and(|shares| Some(shares) == find(before, *route)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(of: &[(u32, &[(u32, u32)])]) -> Arc<[Shares]> {
        let shares = |all: &[(u32, u32)]| all.iter().map(|(id, weight)| (Some(*id), *weight)).collect();
        of.iter().map(|(route, all)| Shares { route: *route, shares: shares(all) }).collect()
    }

    #[test]
    fn a_split_goes_on_if_it_shares_as_before() {
        let splits = Splits::default();
        let half = Split { choices: [(0, 1), (1, 1)].into() };
        for route in [1, 2, 3] {
            assert_eq!(splits.pick(route, &half), 0);
        }
        let equal: &[(u32, u32)] = &[(7, 1), (8, 1)];
        let before = list(&[(1, equal), (2, equal), (3, equal)]);
        splits.adopt(&list(&[(1, equal), (2, &[(7, 1), (9, 1)])]), &before);
        assert_eq!(splits.0.borrow().len(), 1, "the state of what is gone is given up");
        assert_eq!((splits.pick(1, &half), splits.pick(2, &half)), (1, 0));
    }
}
