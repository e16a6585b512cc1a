//! From a request to the conditions that hold for it, and on to the rules that have to be asked.
//!
//! Each kind of condition has a table of its own in which a request is looked up, so the cost depends on the request and
//! on how many kinds of condition there are, not on how many rules.

mod clients;
mod fields;
mod hosts;
mod literal;
mod paths;
mod patterns;

use clients::Clients;
use fields::Names;
use hosts::Hosts;
use paths::Paths;

use super::{
    condition::Condition,
    request::Request,
    scratch::{Bits, Marks, Scratch},
};
use crate::route::index::hash::ByteMap;

/// Where to look.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// How many conditions and rules there are.
    conditions: usize,
    rules: Rules,
    clients: Clients,
    hosts: Hosts,
    paths: Paths,
    methods: ByteMap<Box<[u32]>>,
    headers: Names,
    query: Names,
}

/// From conditions to the rules that can't do without them.
#[derive(Debug, Default)]
struct Rules {
    /// Rules that are always asked.
    always: Bits,
    /// Of each condition, where its rules begin in `list`; one more, for the end of the last.
    starts: Box<[u32]>,
    list: Box<[u32]>,
}

/// The number of a condition, or of a name, in a table. A type of its own: with plain numbers these tables and those of
/// routes would share one look-up, which is then called where it was inlined, and choosing a route costs 6 % more.
#[derive(Debug, Clone, Copy)]
struct Number(u32);

/// What the tables of the index note their finds in.
pub(super) struct Found<'a> {
    marks: &'a mut Marks,
    rules: &'a Rules,
}

impl Found<'_> {
    /// A condition holds.
    #[inline]
    fn holds(&mut self, condition: u32) {
        if !self.marks.holds.add(condition) {
            return;
        }
        let place = condition as usize;
        let (start, end) = (self.rules.starts.get(place), self.rules.starts.get(place + 1));
        let Some((start, end)) = start.zip(end) else { return };
        for rule in self.rules.list.get(*start as usize..*end as usize).unwrap_or_default() {
            self.marks.asked.add(*rule);
        }
    }

    fn all_hold(&mut self, conditions: &[u32]) {
        conditions.iter().for_each(|condition| self.holds(*condition));
    }
}

impl Index {
    /// Whether any condition is about the client.
    pub(super) fn looks_at_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Finds out what holds for `request`.
    pub(super) fn mark(&self, request: &Request<'_>, scratch: &mut Scratch) {
        let Scratch { marks, seen, name, value } = scratch;
        marks.holds.clear(self.conditions);
        marks.asked.copy_from(&self.rules.always);
        let mut found = Found { marks, rules: &self.rules };
        if let Some(client) = request.client {
            self.clients.mark(client, &mut found);
        }
        self.hosts.mark(request.host, name, &mut found);
        self.paths.mark(request.path, &mut found);
        if !self.methods.is_empty()
            && let Some(conditions) = self.methods.get(request.method.as_str().as_bytes())
        {
            found.all_hold(conditions);
        }
        self.headers.mark_lines(request.lines, name, &mut found);
        if let Some(query) = request.query {
            self.query.mark_query(query, (seen, name, value), &mut found);
        }
    }
}

/// An index in the making.
pub(super) struct IndexBuilder {
    index: Index,
    always: Vec<u32>,
    /// Of each condition, its rules.
    lists: Vec<Vec<u32>>,
}

impl IndexBuilder {
    /// With a place for each condition, by its number.
    pub(super) fn new(conditions: &[Condition]) -> IndexBuilder {
        let numbered = || (0..).zip(conditions);
        let methods = numbered().filter_map(|(number, condition)| match condition {
            Condition::Methods(methods) => Some((number, methods)),
            _ => None,
        });
        let mut by_method: ByteMap<Vec<u32>> = ByteMap::default();
        for (number, methods) in methods {
            for method in methods {
                by_method.entry(method.as_str().as_bytes().into()).or_default().push(number);
            }
        }
        let index = Index {
            conditions: conditions.len(),
            rules: Rules::default(),
            clients: Clients::build(numbered()),
            hosts: Hosts::build(numbered()),
            paths: Paths::build(numbered()),
            methods: fixed(by_method),
            headers: Names::of_headers(numbered()),
            query: Names::of_query(numbered()),
        };
        IndexBuilder { index, always: Vec::new(), lists: vec![Vec::new(); conditions.len()] }
    }

    /// A rule that matches only if one of these conditions holds.
    pub(super) fn rule(&mut self, rule: u32, needs: &[u32]) {
        for condition in needs {
            if let Some(list) = self.lists.get_mut(*condition as usize) {
                list.push(rule);
            }
        }
    }

    /// A rule that may match whatever holds.
    pub(super) fn always(&mut self, rule: u32) {
        self.always.push(rule);
    }

    /// The index of so many rules.
    pub(super) fn build(self, rules: usize) -> Index {
        let mut always = Bits::default();
        always.clear(rules);
        for rule in &self.always {
            always.add(*rule);
        }
        let mut starts = vec![0];
        let mut list = Vec::new();
        for rules in self.lists {
            list.extend(rules);
            starts.push(list.len() as u32);
        }
        Index { rules: Rules { always, starts: starts.into(), list: list.into() }, ..self.index }
    }
}

/// Lists that grow no more.
fn fixed(lists: ByteMap<Vec<u32>>) -> ByteMap<Box<[u32]>> {
    lists.into_iter().map(|(key, list)| (key, list.into())).collect()
}
