//! What is shown of routes and upstreams.

use std::sync::Arc;

use super::{Desired, Kind, Object, Owner, Route, Upstream};
use crate::control::in_force;

/// A route or an upstream, with whose it is. It costs little to take along, and is put into words when there is time.
#[derive(Debug, Clone)]
pub struct Listed {
    owner: Owner,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Route(Arc<Route>),
    /// Weights are those in force.
    Upstream(Arc<Upstream>),
}

impl Listed {
    /// Its name.
    pub fn name(&self) -> &str {
        match &self.what {
            What::Route(route) => &route.name,
            What::Upstream(upstream) => &upstream.name,
        }
    }

    /// As people are shown it: defaults filled in, credentials masked.
    pub fn object(&self) -> Object {
        match &self.what {
            What::Route(route) => {
                Object::new(in_force::route(&route.written), self.owner.clone(), &route.written)
            }
            What::Upstream(upstream) => {
                let shown = in_force::upstream(upstream);
                let tag = shown.to_string();
                Object::new(shown, self.owner.clone(), &tag)
            }
        }
    }
}

impl Desired {
    /// A route or an upstream.
    pub fn listed(&self, kind: Kind, name: &str) -> Option<Listed> {
        let (owner, what) = match kind {
            Kind::Route => self.route(name).map(|(owner, it)| (owner, What::Route(Arc::clone(it))))?,
            Kind::Upstream => {
                self.upstream(name).map(|(owner, it)| (owner, What::Upstream(self.weights.effective(it))))?
            }
        };
        Some(Listed { owner: owner.clone(), what })
    }

    /// The same in words.
    pub fn shown(&self, kind: Kind, name: &str) -> Option<Object> {
        self.listed(kind, name).map(|it| it.object())
    }

    /// All of a kind: the files' in their order, then the others' by name.
    pub fn all(&self, kind: Kind) -> Vec<Listed> {
        let base = &self.base.config;
        let of = |owner: &Owner, what: What| Listed { owner: owner.clone(), what };
        match kind {
            Kind::Route => {
                let base = base.routes.iter().map(|it| (&Owner::Base, it));
                let all = base.chain(self.routes.values().map(|it| (&it.owner, &it.value)));
                all.map(|(owner, it)| of(owner, What::Route(Arc::clone(it)))).collect()
            }
            Kind::Upstream => {
                let base = base.upstreams.iter().map(|it| (&Owner::Base, it));
                let all = base.chain(self.upstreams.values().map(|it| (&it.owner, &it.value)));
                all.map(|(owner, it)| of(owner, What::Upstream(self.weights.effective(it)))).collect()
            }
        }
    }

    /// How many of a kind the files, the admin API and etcd have.
    pub fn counts(&self, kind: Kind) -> [usize; 3] {
        let api = |owner: &Owner| *owner == Owner::Api;
        let (base, added, of_api) = match kind {
            Kind::Route => (
                self.base.config.routes.len(),
                self.routes.len(),
                self.routes.values().filter(|it| api(&it.owner)).count(),
            ),
            Kind::Upstream => (
                self.base.config.upstreams.len(),
                self.upstreams.len(),
                self.upstreams.values().filter(|it| api(&it.owner)).count(),
            ),
        };
        [base, of_api, added - of_api]
    }

    /// Weights that the admin API has set over those of upstreams.
    pub fn weights_set(&self) -> usize {
        self.weights.count()
    }
}
