//! What a store outside holds (etcd), as far as it can be used. What can't be is ignored by key, said, and tried again
//! with every change: the upstream that a route waits for may come later.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use serde_json::Value as Json;

use super::{Delta, Desired, Kind, Owner};

/// Times that what could not be done is tried again within one change, as long as that helps.
const ROUNDS_MAX: usize = 16;

/// What the store says of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its key in the store.
    pub key: Arc<str>,
    /// `None`: it is no more.
    pub value: Option<Json>,
}

/// A key, and why what it holds can't be used.
pub type Unusable = (Arc<str>, Vec<String>);

/// Wishes that can't be fulfilled yet, with why.
#[derive(Debug, Default)]
pub struct Unfulfilled {
    wishes: BTreeMap<(Kind, String), (Wish, Vec<String>)>,
}

impl Unfulfilled {
    /// The keys, each with what is wrong.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.wishes.values().map(|(wish, why)| (&*wish.key, why.as_slice()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }
}

impl Desired {
    /// Does what the store says as far as it can be done; `whole`: what it does not name is no more. Returns what was
    /// done, and the keys that can't be used for a reason that has not been said before.
    pub fn follow(
        &mut self,
        unfulfilled: &mut Unfulfilled,
        wishes: Vec<Wish>,
        whole: bool,
    ) -> (Vec<Delta>, Vec<Unusable>) {
        let said = std::mem::take(&mut unfulfilled.wishes);
        let mut open: BTreeMap<_, _> = BTreeMap::new();
        if !whole {
            open.extend(said.iter().map(|(id, (wish, _))| (id.clone(), wish.clone())));
        }
        open.extend(wishes.into_iter().map(|it| ((it.kind, it.name.clone()), it)));
        if whole {
            for wish in self.not_among(&open) {
                open.insert((wish.kind, wish.name.clone()), wish);
            }
        }
        let (mut deltas, mut failed) = self.fulfil(open.into_values().collect());
        // One that was done may have been in the way of another.
        for _ in 0..ROUNDS_MAX {
            let before = failed.len();
            let (more, still) = self.fulfil(failed.into_iter().map(|(wish, _)| wish).collect());
            deltas.extend(more);
            failed = still;
            if failed.is_empty() || failed.len() == before {
                break;
            }
        }
        if failed.iter().any(|(wish, _)| wish.kind == Kind::Route) {
            let (more, still) = self.exchange(failed);
            deltas.extend(more);
            failed = still;
        }
        let mut news = Vec::new();
        for (wish, why) in failed {
            let id = (wish.kind, wish.name.clone());
            if said.get(&id).is_none_or(|(_, before)| *before != why) {
                news.push((Arc::clone(&wish.key), why.clone()));
            }
            unfulfilled.wishes.insert(id, (wish, why));
        }
        (deltas, news)
    }

    /// The end of what the store had and does not name any more.
    fn not_among(&self, named: &BTreeMap<(Kind, String), Wish>) -> Vec<Wish> {
        let gone = |kind: Kind, name: &Arc<str>, owner: &Owner| match owner {
            Owner::Etcd(key) if !named.contains_key(&(kind, name.to_string())) => {
                Some(Wish { kind, name: name.to_string(), key: Arc::clone(key), value: None })
            }
            _ => None,
        };
        let routes = self.routes.iter().filter_map(|(name, it)| gone(Kind::Route, name, &it.owner));
        let upstreams = self.upstreams.iter().filter_map(|(name, it)| gone(Kind::Upstream, name, &it.owner));
        routes.chain(upstreams).collect()
    }

    /// Upstreams come before the routes that use them, and go after.
    fn fulfil(&mut self, mut wishes: Vec<Wish>) -> (Vec<Delta>, Vec<(Wish, Vec<String>)>) {
        wishes.sort_by_key(|it| match (it.kind, &it.value) {
            (Kind::Upstream, Some(_)) => 0,
            (Kind::Route, None) => 1,
            (Kind::Route, Some(_)) => 2,
            (Kind::Upstream, None) => 3,
        });
        let (mut deltas, mut failed) = (Vec::new(), Vec::new());
        for wish in wishes {
            match self.grant(&wish) {
                Ok(more) => deltas.extend(more),
                Err(why) => failed.push((wish, why)),
            }
        }
        (deltas, failed)
    }

    fn grant(&mut self, wish: &Wish) -> Result<Vec<Delta>, Vec<String>> {
        let owner = Owner::Etcd(Arc::clone(&wish.key));
        match &wish.value {
            Some(value) => {
                let from = format!("etcd {}", wish.key);
                self.put(wish.kind, &wish.name, &owner, value, &from).map_err(|refused| refused.lines())
            }
            None => {
                let there = match wish.kind {
                    Kind::Route => self.routes.get(&*wish.name).map(|it| &it.owner),
                    Kind::Upstream => self.upstreams.get(&*wish.name).map(|it| &it.owner),
                };
                // What was never taken need not be given up.
                if there != Some(&owner) {
                    return Ok(Vec::new());
                }
                self.delete(wish.kind, &wish.name, &owner).map_err(|refused| refused.lines())
            }
        }
    }

    /// Two routes that change places stand in each other's way one by one: what is there of the failed ones goes first.
    /// Unless that helps all of them, nothing of it is done.
    fn exchange(&mut self, failed: Vec<(Wish, Vec<String>)>) -> (Vec<Delta>, Vec<(Wish, Vec<String>)>) {
        let there: HashSet<&str> = failed
            .iter()
            .filter(|(it, _)| it.kind == Kind::Route && self.routes.contains_key(&*it.name))
            .map(|(it, _)| it.name.as_str())
            .collect();
        if there.len() < 2 {
            return (Vec::new(), failed);
        }
        let mut deltas = Vec::new();
        for (wish, _) in failed.iter().filter(|(it, _)| there.contains(it.name.as_str())) {
            let owner = Owner::Etcd(Arc::clone(&wish.key));
            deltas.extend(self.delete(wish.kind, &wish.name, &owner).unwrap_or_default());
        }
        let (more, still) = self.fulfil(failed.iter().map(|(wish, _)| wish.clone()).collect());
        deltas.extend(more);
        if still.iter().any(|(it, _)| it.kind == Kind::Route) {
            self.take_back(&deltas);
            return (Vec::new(), failed);
        }
        (deltas, still)
    }
}
