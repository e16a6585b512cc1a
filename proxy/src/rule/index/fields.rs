//! From names and values, of fields or of query parameters, to the conditions on them.

use super::{
    Found, Number,
    patterns::{Patterns, Text, Verify},
};
use crate::{
    route::{
        ValuePattern,
        index::hash::ByteMap,
        query::{Decoded, pairs},
    },
    rule::{condition::Condition, request::Lines, scratch::Bits},
};

/// All names that are asked about.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Index into `values`.
    names: ByteMap<Number>,
    values: Box<[Values]>,
    /// Bytes of the longest name.
    name_bytes_max: usize,
}

/// What is asked about the values of one name.
#[derive(Debug, Default)]
struct Values {
    present: Option<u32>,
    exact: ByteMap<Number>,
    patterns: Patterns,
}

impl Values {
    fn mark(&self, value: &[u8], found: &mut Found<'_>) {
        if let Some(condition) = self.present {
            found.holds(condition);
        }
        if !self.exact.is_empty()
            && let Some(condition) = self.exact.get(value)
        {
            found.holds(condition.0);
        }
        self.patterns.mark(Text::Value(value), found);
    }
}

impl Names {
    pub(super) fn of_headers<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Names {
        Names::build(conditions.filter_map(|(number, condition)| match condition {
            Condition::Header(name, pattern) => Some((number, name.as_str(), pattern)),
            _ => None,
        }))
    }

    pub(super) fn of_query<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Names {
        Names::build(conditions.filter_map(|(number, condition)| match condition {
            Condition::Query(name, pattern) => Some((number, &**name, pattern)),
            _ => None,
        }))
    }

    fn build<'c>(asked: impl Iterator<Item = (u32, &'c str, &'c ValuePattern)>) -> Names {
        let mut names = Names::default();
        let mut values: Vec<(Values, Vec<(Verify, u32)>)> = Vec::new();
        for (number, name, pattern) in asked {
            let next = values.len() as u32;
            let place = *names.names.entry(name.as_bytes().into()).or_insert(Number(next));
            if place.0 == next {
                values.push(Default::default());
                names.name_bytes_max = names.name_bytes_max.max(name.len());
            }
            let Some((values, patterns)) = values.get_mut(place.0 as usize) else { continue };
            match pattern {
                ValuePattern::Present => values.present = Some(number),
                ValuePattern::Exact(text) => {
                    values.exact.insert(text.as_bytes().into(), Number(number));
                }
                ValuePattern::Regex(_) => patterns.push((Verify::Value(pattern.clone()), number)),
            }
        }
        names.values = values
            .into_iter()
            .map(|(values, patterns)| Values { patterns: Patterns::build(patterns), ..values })
            .collect();
        names
    }

    /// Looks at every line: a field with several matches if one of them does.
    pub(super) fn mark_lines(&self, lines: &dyn Lines, lowered: &mut Vec<u8>, found: &mut Found<'_>) {
        if self.values.is_empty() {
            return;
        }
        lines.each(&mut |name, value| {
            if name.len() > self.name_bytes_max {
                return;
            }
            lowered.clear();
            lowered.extend(name.iter().map(u8::to_ascii_lowercase));
            if let Some(values) =
                self.names.get(lowered.as_slice()).and_then(|place| self.values.get(place.0 as usize))
            {
                values.mark(value, found);
            }
        });
    }

    /// Looks at the first parameter of each name.
    pub(super) fn mark_query(
        &self,
        query: &str,
        (seen, name, value): (&mut Bits, &mut Vec<u8>, &mut Vec<u8>),
        found: &mut Found<'_>,
    ) {
        if self.values.is_empty() {
            return;
        }
        seen.clear(self.values.len());
        for (raw_name, raw_value) in pairs(query) {
            name.clear();
            name.extend(Decoded(raw_name));
            let Some(place) = self.names.get(name.as_slice()) else { continue };
            let Some(values) = self.values.get(place.0 as usize).filter(|_| seen.add(place.0)) else {
                continue;
            };
            value.clear();
            value.extend(Decoded(raw_value));
            values.mark(value, found);
        }
    }
}
