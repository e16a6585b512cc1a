//! Rules: what they match, what they do, and what can't be meant.

use std::{collections::HashMap, sync::Arc};

use http::header;

use super::{
    Names, good, items,
    matches::{keys_once, list, listed_once, not_empty},
    routes::fixed_response,
};
use crate::{
    control::{
        config::AccessLog,
        in_force::is_secret,
        raw::{
            document::Place,
            either::Wanted,
            findings::Findings,
            rules::{Rule as Raw, RuleLog, RuleMatch},
            section::Field,
            sections::Root,
            spec::{Item, MapEntry},
        },
    },
    limits::{RULE_CONDITIONS_MAX, RULE_LOG_HEADERS_MAX, RULE_TAGS_MAX},
    route::ValuePattern,
    rule::{Condition, End, Log, Rule, Rules, Tag},
};

/// Checks and compiles all rules. `None` when any is wrong; `Some(None)`: there are none.
pub(super) fn validate(root: &Root, findings: &mut Findings) -> Option<Option<Arc<Rules>>> {
    let mut taken = Names::of("rule", |_| None);
    let mut tags = Tags::default();
    let log_is_off =
        root.access_log.value.as_ref().is_none_or(|it| it.path.value.as_ref() == Some(&AccessLog::Off));
    let mut rules = Vec::new();
    for raw in good(items(&root.rules)) {
        taken.take(&raw.name, findings);
        if raw.log.given && log_is_off {
            let made = findings.warn(raw.log.place, "`log` has no effect: the access log is off");
            made.hint("set access_log.path, or leave out `log`");
        }
        rules.push(rule(raw, &mut tags, findings));
    }
    never_asked(root, &rules, findings);
    let rules: Vec<Rule> = rules.into_iter().collect::<Option<_>>()?;
    if rules.is_empty() {
        return Some(None);
    }
    match Rules::build(rules, tags.names) {
        Ok(rules) => Some(Some(Arc::new(rules))),
        Err(error) => {
            let place = items(&root.rules).get(error.rule).map_or(root.rules.place, |it| it.place);
            findings.error(place, error.message).hint(error.fix);
            None
        }
    }
}

/// A rule that ends every request leaves nothing for those after it.
fn never_asked(root: &Root, rules: &[Option<Rule>], findings: &mut Findings) {
    let ends_all =
        |rule: &&Option<Rule>| rule.as_ref().is_some_and(|it| it.end.is_some() && it.condition.is_always());
    let mut raw =
        good(items(&root.rules)).zip(rules).skip_while(|(_, rule)| !ends_all(rule)).map(|(raw, _)| raw);
    if let (Some(last), Some(first)) = (raw.next(), raw.next()) {
        let made = findings.warn(first.place, "no request gets as far as this rule");
        made.other(last.place)
            .hint("a rule before it ends every request: give that one a `match`, or move it to the end");
    }
}

fn rule(raw: &Raw, tags: &mut Tags, findings: &mut Findings) -> Option<Rule> {
    let condition = match &raw.r#match.value {
        Some(given) => condition(given, findings).filter(|it| few_enough(it, raw.r#match.place, findings)),
        None => (!raw.r#match.given).then(|| Condition::All(Box::default())),
    };
    let does = [raw.deny.given, raw.drop.given, raw.log.given, raw.tag.given];
    if !does.contains(&true) && !raw.misspelt {
        let made = findings.error(raw.place, "the rule does nothing");
        made.hint("add one or more of `deny`, `drop`, `log` and `tag`");
    }
    let end = end(raw, findings);
    let log = match &raw.log.value {
        Some(given) => log(given, findings).map(Some),
        None => (!raw.log.given).then_some(None),
    };
    let tag = match &raw.tag.value {
        Some(name) => tags.take(name, raw.tag.place, findings).map(Some),
        None => (!raw.tag.given).then_some(None),
    };
    Some(Rule {
        name: raw.name.value.as_deref()?.into(),
        condition: condition?,
        end: end?,
        log: log?,
        tag: tag?,
    })
}

/// `None`: something is wrong.
fn end(raw: &Raw, findings: &mut Findings) -> Option<Option<End>> {
    if raw.deny.given && raw.drop.given {
        let made = findings.error(raw.drop.place, "`drop` beside `deny`");
        made.hint("a request is answered or it is not: leave one out");
        return None;
    }
    if raw.drop.value == Some(false) {
        findings.error(raw.drop.place, "`drop = false` says nothing").hint("leave it out");
        return None;
    }
    if raw.drop.given {
        return raw.drop.value.map(|_| Some(End::Drop));
    }
    let Some(deny) = &raw.deny.value else {
        return (!raw.deny.given).then_some(None);
    };
    fixed_response(&deny.status, &deny.body, &deny.content_type, findings).map(|it| Some(End::Deny(it)))
}

fn log(raw: &RuleLog, findings: &mut Findings) -> Option<Log> {
    listed_once(&raw.headers, findings);
    let headers: Box<[http::HeaderName]> = list(&raw.headers)?;
    if headers.len() > RULE_LOG_HEADERS_MAX {
        let made = findings.error(raw.headers.place, format!("{} headers are listed", headers.len()));
        made.hint(format!("at most {RULE_LOG_HEADERS_MAX}"));
        return None;
    }
    for item in raw.headers.value.iter().flatten() {
        if item.value.as_ref().is_some_and(|name| is_secret(name.as_str())) {
            let made = findings.warn(item.place, "the values of this field are credentials");
            made.hint("they would stand in the access log for all who can read it: leave it out");
        }
    }
    Some(Log { sample: raw.sample.value?, headers })
}

/// Distinct tags, in the order in which they are first used.
#[derive(Default)]
struct Tags {
    places: HashMap<String, u8>,
    names: Vec<Arc<str>>,
}

impl Tags {
    fn take(&mut self, name: &str, place: Place, findings: &mut Findings) -> Option<Tag> {
        if let Some(tag) = self.places.get(name) {
            return Some(Tag(*tag));
        }
        if self.names.len() >= RULE_TAGS_MAX {
            let made = findings.error(place, format!("`{name}` is one tag too many"));
            made.hint(format!("at most {RULE_TAGS_MAX} different ones; several rules can give the same"));
            return None;
        }
        let tag = self.names.len() as u8;
        self.places.insert(name.to_owned(), tag);
        self.names.push(name.into());
        Some(Tag(tag))
    }
}

/// All conditions of a table. `None` when any is wrong.
fn condition(raw: &RuleMatch, findings: &mut Findings) -> Option<Condition> {
    not_empty(&raw.client, "client", "client", findings);
    not_empty(&raw.hosts, "hosts", "host", findings);
    not_empty(&raw.methods, "methods", "method", findings);
    listed_once(&raw.client, findings);
    listed_once(&raw.hosts, findings);
    listed_once(&raw.methods, findings);
    keys_once(&raw.headers, findings);
    for entry in raw.headers.value.iter().flatten() {
        if entry.key.as_ref() == Some(&header::HOST) {
            findings.error(entry.place, "the host is no header here").hint("use `hosts` beside `headers`");
        }
    }
    let nested = [nested(&raw.all, findings), nested(&raw.any, findings)];
    let not = match &raw.not.value {
        Some(given) => inner(given, raw.not.place, findings).map(|it| Some(Condition::Not(Box::new(it)))),
        None => (!raw.not.given).then_some(None),
    };
    let mut all: Vec<Condition> = Vec::new();
    all.extend(given(&raw.client, list(&raw.client)?, Condition::Client));
    all.extend(given(&raw.hosts, list(&raw.hosts)?, Condition::Hosts));
    for path in [&raw.path, &raw.path_prefix, &raw.path_regex].into_iter().filter(|it| it.given) {
        all.push(Condition::Path(path.value.clone()?));
    }
    all.extend(given(&raw.methods, list(&raw.methods)?, Condition::Methods));
    all.extend(named(&raw.headers, |name, value| Condition::Header(name.clone(), value))?);
    all.extend(named(&raw.query, |name, value| Condition::Query(name.as_str().into(), value))?);
    let [nested_all, any] = nested;
    all.extend(nested_all?.map(|list| Condition::All(list.into())));
    all.extend(any?.map(|list| Condition::Any(list.into())));
    all.extend(not?);
    Some(match <[Condition; 1]>::try_from(all) {
        Ok([one]) => one,
        Err(all) => Condition::All(all.into()),
    })
}

/// A list's condition, if there is a list.
fn given<T>(
    field: &Field<Vec<Item<T>>>,
    list: Box<[T]>,
    condition: fn(Box<[T]>) -> Condition,
) -> Option<Condition> {
    field.given.then(|| condition(list))
}

fn named<K>(
    field: &Field<Vec<MapEntry<K, Wanted>>>,
    condition: impl Fn(&K, ValuePattern) -> Condition,
) -> Option<Vec<Condition>> {
    let Some(entries) = &field.value else { return (!field.given).then(Vec::new) };
    let one = |entry: &MapEntry<K, Wanted>| {
        let name = entry.key.as_ref()?;
        Some(match entry.value.clone()? {
            Wanted::Is(value) => condition(name, value),
            Wanted::Absent(_) => Condition::Not(Box::new(condition(name, ValuePattern::Present))),
        })
    };
    entries.iter().map(one).collect()
}

/// `None`: something in the list is wrong; `Some(None)`: there is no list.
fn nested(
    field: &Field<Vec<Item<Box<RuleMatch>>>>,
    findings: &mut Findings,
) -> Option<Option<Vec<Condition>>> {
    let Some(items) = &field.value else { return (!field.given).then_some(None) };
    if items.is_empty() {
        findings
            .error(field.place, "an empty list of conditions")
            .hint("leave it out, or put tables into it");
        return None;
    }
    let each: Vec<Option<Condition>> =
        items.iter().map(|item| inner(item.value.as_deref()?, item.place, findings)).collect();
    each.into_iter().collect::<Option<Vec<_>>>().map(Some)
}

/// A table within another. One that says nothing is a slip, here.
fn inner(raw: &RuleMatch, place: Place, findings: &mut Findings) -> Option<Condition> {
    let condition = condition(raw, findings)?;
    if matches!(&condition, Condition::All(list) if list.is_empty()) && !raw.misspelt {
        findings
            .error(place, "there is no condition in it")
            .hint("add one, as { path_prefix = \"/api\" }, or leave it out");
        return None;
    }
    Some(condition)
}

/// Whether a rule has no more conditions than it may.
fn few_enough(condition: &Condition, place: Place, findings: &mut Findings) -> bool {
    let count = conditions(condition);
    if count > RULE_CONDITIONS_MAX {
        let made = findings.error(place, format!("{count} conditions in one rule"));
        made.hint(format!("at most {RULE_CONDITIONS_MAX}: use lists and regexes, or make several rules"));
    }
    count <= RULE_CONDITIONS_MAX
}

fn conditions(condition: &Condition) -> usize {
    1 + match condition {
        Condition::All(list) | Condition::Any(list) => list.iter().map(conditions).sum(),
        Condition::Not(inner) => conditions(inner),
        _ => 0,
    }
}
