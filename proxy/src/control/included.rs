//! The base when only included files have changed: what the others hold is taken as it was, not read again, so that
//! the cost follows the size of the change. Whatever is not plainly good is left to the reader of the whole, whose
//! messages name every place.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use toml::de::DeTable;

use super::{
    base::{Base, Spot},
    config::{Config, Route, Upstream},
    desired::twins::Twins,
    error::SourceText,
    files::FileText,
    raw::{
        document::{Document, Place},
        findings::{Findings, Part, Text},
        section::Section,
        sections::Included,
    },
    read::Read,
    validate::{
        Outside,
        routes::{self, Upstreams},
        upstreams,
    },
};

/// What an included file holds, each with its line.
struct Held {
    routes: Vec<(Arc<Route>, usize)>,
    upstreams: Vec<(Arc<Upstream>, usize)>,
}

/// Those of `before` with what the included files of `texts` say now. `None`: all must be read.
pub(super) fn read(before: &Base, texts: &[FileText], outside: &dyn Outside) -> Option<Read> {
    let same_files = before.files.len() == texts.len()
        && before.files.iter().zip(texts).all(|(old, new)| old.path == new.path && old.name == new.name);
    // A warning may be about what two files say together.
    // A secret may be another without a word of the config changing.
    let has_secrets = before.config.upstreams.iter().any(|it| it.sticky.is_some());
    if !same_files || has_secrets || !before.config.warnings.is_empty() {
        return None;
    }
    let pairs = before.files.iter().zip(texts).enumerate();
    let others: Vec<usize> = pairs.filter(|(_, (old, new))| old.text != new.text).map(|(at, _)| at).collect();
    if others.first() == Some(&0) {
        return None;
    }
    let mut changed = HashMap::with_capacity(others.len());
    for at in others {
        changed.insert(at, held(before, at, texts.get(at)?)?);
    }
    let routes_before = ranges(&before.routes, texts.len())?;
    let twins = twins(before, &routes_before, &changed)?;
    let (old, new) =
        (List { items: &before.config.routes, ranges: &routes_before }, |at| Some(&changed.get(&at)?.routes));
    let (routes, route_spots) = merged(old, &before.routes, new, |it| &it.name)?;
    let ranges = ranges(&before.upstreams, texts.len())?;
    let (old, new) =
        (List { items: &before.config.upstreams, ranges: &ranges }, |at| Some(&changed.get(&at)?.upstreams));
    let (upstreams, upstream_spots) = merged(old, &before.upstreams, new, |it| &it.name)?;
    let held = changed.values();
    let clashes = held.clone().flat_map(|it| &it.routes).any(|(it, _)| outside.route(&it.name).is_some())
        || held.flat_map(|it| &it.upstreams).any(|(it, _)| outside.upstream(&it.name).is_some());
    let config = Config { routes: Arc::new(routes), upstreams, ..before.config.without_objects() };
    let good = !clashes && !config.routes.is_empty() && holds_together(&config, &upstream_spots, outside);
    good.then_some(Read { config, routes: route_spots, upstreams: upstream_spots, twins })
}

/// What the file says; `None`: something is to be said about it.
fn held(before: &Base, at: usize, file: &FileText) -> Option<Held> {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        return None;
    }
    let document = Document::from_toml(table.get_ref(), at);
    let part = Part { document: &document, text: Text::File(SourceText::new(&file.name, &file.text)) };
    let mut findings = Findings::default();
    let raw = Included::read(document.root(), &mut findings)?;
    let written = |place: Place| -> Arc<str> { document.at(place).to_json().to_string().into() };
    let workers = before.config.runtime.workers as u64;
    let mut held = Held { routes: Vec::new(), upstreams: Vec::new() };
    for item in raw.upstreams.value.iter().flatten() {
        let made = upstreams::upstream(item.value.as_ref()?, written(item.place), workers, &mut findings)?;
        let same = before.upstream(&made.name).filter(|it| it.written == made.written).cloned();
        held.upstreams.push((same.unwrap_or_else(|| Arc::new(made)), part.spot(item.place).line));
    }
    let mut upstreams = Upstreams::new(std::iter::empty(), &Whoever);
    for item in raw.routes.value.iter().flatten() {
        let made =
            routes::route(item.value.as_ref()?, written(item.place), workers, &mut upstreams, &mut findings)?;
        let same = before.route(&made.name).filter(|it| it.written == made.written).cloned();
        held.routes.push((same.unwrap_or_else(|| Arc::new(made)), part.spot(item.place).line));
    }
    findings.is_empty().then_some(held)
}

/// Where the objects of each file are in the list of all.
fn ranges(spots: &HashMap<Arc<str>, Spot>, files: usize) -> Option<Vec<Range<usize>>> {
    let mut counts = vec![0; files];
    for spot in spots.values() {
        *counts.get_mut(spot.file)? += 1;
    }
    let mut end = 0;
    let range = |count: usize| {
        end += count;
        end - count..end
    };
    Some(counts.into_iter().map(range).collect())
}

/// Who asks what of a request. `None`: two routes can't be told apart.
fn twins(before: &Base, ranges: &[Range<usize>], changed: &HashMap<usize, Held>) -> Option<Twins> {
    let mut twins = before.twins.clone();
    for at in changed.keys() {
        let gone = before.config.routes.get(ranges.get(*at)?.clone())?;
        gone.iter().for_each(|it| twins.remove(it));
    }
    for (route, _) in changed.values().flat_map(|it| &it.routes) {
        if twins.of(route).is_some() {
            return None;
        }
        twins.add(route);
    }
    Some(twins)
}

/// The objects of all files, by file.
struct List<'l, T> {
    items: &'l [Arc<T>],
    ranges: &'l [Range<usize>],
}

/// All of a kind, and where they are.
type Merged<T> = (Vec<Arc<T>>, HashMap<Arc<str>, Spot>);

/// All objects in the order of the files, and where they are. `None`: a name is there twice.
fn merged<'c, T: 'c>(
    old: List<'_, T>,
    spots: &HashMap<Arc<str>, Spot>,
    changed: impl Fn(usize) -> Option<&'c Vec<(Arc<T>, usize)>>,
    name: impl Fn(&T) -> &Arc<str>,
) -> Option<Merged<T>> {
    let mut all = Vec::with_capacity(old.items.len());
    let mut places = HashMap::with_capacity(spots.len());
    let mut starts = Vec::with_capacity(old.ranges.len());
    for (file, range) in old.ranges.iter().enumerate() {
        starts.push(all.len());
        let Some(new) = changed(file) else {
            all.extend(old.items.get(range.clone())?.iter().cloned());
            continue;
        };
        for (it, line) in new {
            let spot = Spot { file, line: *line, at: all.len() };
            if places.insert(Arc::clone(name(it)), spot).is_some() {
                return None;
            }
            all.push(Arc::clone(it));
        }
    }
    for (name, spot) in spots.iter().filter(|(_, it)| changed(it.file).is_none()) {
        let at = spot.at - old.ranges.get(spot.file)?.start + starts.get(spot.file)?;
        if places.insert(Arc::clone(name), Spot { at, ..spot.clone() }).is_some() {
            return None;
        }
    }
    Some((all, places))
}

/// Whether there is every upstream that routes name, and each is named.
fn holds_together(config: &Config, known: &HashMap<Arc<str>, Spot>, outside: &dyn Outside) -> bool {
    let used: HashSet<&str> =
        config.routes.iter().flat_map(|it| it.action.upstreams()).map(|name| &**name).collect();
    used.iter().all(|name| known.contains_key(*name) || outside.upstream(name).is_some())
        && (config.etcd.is_some() || known.keys().all(|name| used.contains(&**name) || outside.uses(name)))
}

/// Any upstream may be named for now: whether it is there is looked at in the end.
struct Whoever;

impl Outside for Whoever {
    fn route(&self, _: &str) -> Option<String> {
        None
    }

    fn upstream(&self, _: &str) -> Option<String> {
        Some(String::new())
    }

    fn uses(&self, _: &str) -> bool {
        true
    }

    fn upstreams(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn is_empty(&self) -> bool {
        false
    }
}
