//! Parameterised paths, matched by matchit.
//!
//! One matchit router gives one answer for a path, by an order of its own, and refuses patterns that it cannot order.
//! Precedence here is another one, and when the best route fails on its method the next pattern must be tried. So
//! patterns are dealt out to *layers*, a router each, such that no two patterns of a layer can match the same path.
//! Then a layer's answer is the only one there is, and the layers' answers are tried in order of rank. Patterns that
//! do not overlap, as those of most hosts, make one layer; each further one holds what overlaps with those before.

use std::collections::HashMap;

use super::leaf::{Candidate, Search, Slot};
use crate::route::{
    parameters::{Segment, Segments},
    prepared::Prepared,
};

/// The layers, each opened for a pattern that did not fit into those before.
#[derive(Default)]
pub(super) struct Parameters {
    layers: Box<[Layer]>,
}

struct Layer {
    router: matchit::Router<Slot>,
    /// The least slot in it, which has its first candidate. Slots rise from layer to layer, and first candidates too.
    first: Slot,
}

impl Layer {
    #[inline]
    fn at(&self, path: &str) -> Option<Slot> {
        self.router.at(path).ok().map(|found| *found.value)
    }
}

impl Parameters {
    /// The first route whose path and other predicates are right.
    #[inline]
    pub(super) fn find<'t>(&self, search: &Search<'t, '_>) -> Option<&'t Prepared> {
        match &*self.layers {
            [] => None,
            [only] => search.first(only.at(search.request.path)?),
            layers => merge(layers, search),
        }
    }
}

/// Tries the candidates of all layers in order of rank. Layers are asked again after each failure instead of keeping
/// their answers, which would take a list of unknown length; failures are rare, and this allocates nothing.
fn merge<'t>(layers: &[Layer], search: &Search<'t, '_>) -> Option<&'t Prepared> {
    let mut rank = 0;
    loop {
        let mut best: Option<&Candidate> = None;
        for layer in layers {
            let behind = |best: &Candidate| {
                search.not_before(layer.first, 0).is_some_and(|first| best.rank < first.rank)
            };
            if best.is_some_and(behind) {
                break;
            }
            let candidate = layer.at(search.request.path).and_then(|slot| search.not_before(slot, rank));
            best = match (best, candidate) {
                (Some(best), Some(candidate)) if best.rank < candidate.rank => Some(best),
                (best, candidate) => candidate.or(best),
            };
        }
        let best = best?;
        if search.accepts(best) {
            return Some(&best.route);
        }
        rank = best.rank + 1;
    }
}

/// Deals patterns out to layers.
#[derive(Default)]
pub(super) struct ParametersBuilder {
    layers: Vec<(Layer, Places)>,
}

impl ParametersBuilder {
    /// Adds a pattern. Patterns come in the order of their slots, which is that of their first candidates, and none
    /// comes twice.
    ///
    /// # Errors
    ///
    /// Whatever matchit says of a pattern alone; what it says of two of them makes another layer.
    pub(super) fn insert(&mut self, segments: &Segments, slot: Slot) -> Result<(), matchit::InsertError> {
        for (layer, places) in &mut self.layers {
            // matchit sees conflicts in some patterns that have none, hence the second condition.
            if places.has_room(segments) && layer.router.insert(segments.normalised(), slot).is_ok() {
                places.add(segments);
                return Ok(());
            }
        }
        let mut layer = Layer { router: matchit::Router::new(), first: slot };
        layer.router.insert(segments.normalised(), slot)?;
        let mut places = Places::default();
        places.add(segments);
        self.layers.push((layer, places));
        Ok(())
    }

    pub(super) fn build(self) -> Parameters {
        Parameters { layers: self.layers.into_iter().map(|(layer, _)| layer).collect() }
    }
}

/// What the patterns of one layer have in each place, a place being the normalised pattern before it. Two patterns
/// share a place as long as they are equal; where they part, the place says whether a path could follow both.
#[derive(Default)]
struct Places(HashMap<String, Place>);

/// What may follow in one place. Within each kind no text can match two different members.
enum Place {
    /// Literal segments, any number of them.
    Literals,
    /// Parameters with text before and none after; no text begins with another.
    Before(Vec<String>),
    /// Parameters with text after and none before; no text ends with another.
    After(Vec<String>),
    /// This segment alone: a whole one, one with text on both sides, or the rest of the path.
    Only(Segment),
}

impl Place {
    fn of(segment: &Segment) -> Self {
        match segment {
            Segment::Literal(_) => Self::Literals,
            Segment::Parameter { before, after } if after.is_empty() && !before.is_empty() => {
                Self::Before(vec![before.clone()])
            }
            Segment::Parameter { before, after } if before.is_empty() && !after.is_empty() => {
                Self::After(vec![after.clone()])
            }
            segment => Self::Only(segment.clone()),
        }
    }

    fn has_room(&self, segment: &Segment) -> bool {
        match (self, Self::of(segment)) {
            (Self::Literals, Self::Literals) => true,
            (Self::Before(texts), Self::Before(new)) => apart(texts, &new, |a, b| a.starts_with(b)),
            (Self::After(texts), Self::After(new)) => apart(texts, &new, |a, b| a.ends_with(b)),
            (Self::Only(one), Self::Only(other)) => *one == other,
            _ => false,
        }
    }

    fn add(&mut self, segment: &Segment) {
        if let (Self::Before(texts), Self::Before(new)) | (Self::After(texts), Self::After(new)) =
            (self, Self::of(segment))
        {
            texts.extend(new);
            texts.sort_unstable();
            texts.dedup();
        }
    }
}

/// Whether each of `new` is one of `texts` or unlike all of them.
fn apart(texts: &[String], new: &[String], like: impl Fn(&str, &str) -> bool) -> bool {
    new.iter().all(|new| texts.iter().all(|text| text == new || !(like(text, new) || like(new, text))))
}

impl Places {
    fn has_room(&self, segments: &Segments) -> bool {
        places(segments)
            .all(|(place, segment)| self.0.get(&place).is_none_or(|place| place.has_room(segment)))
    }

    fn add(&mut self, segments: &Segments) {
        for (place, segment) in places(segments) {
            self.0.entry(place).and_modify(|place| place.add(segment)).or_insert_with(|| Place::of(segment));
        }
    }
}

/// Each segment with its place.
fn places(segments: &Segments) -> impl Iterator<Item = (String, &Segment)> {
    segments.0.iter().enumerate().map(|(i, segment)| {
        let before = segments.0.get(..i).unwrap_or_default();
        (Segments(before.to_vec()).normalised(), segment)
    })
}
