//! Routes: what they do, and with which upstreams.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::{
    Files, Names, Outside, good,
    headers::{Message, edits},
    limits::route_limits,
    matches::predicates,
    retries,
};
use crate::{
    control::{
        config::{Action, Choices, Route},
        raw::{
            document::Place,
            findings::Findings,
            routes::{Match, Redirect as RawRedirect, Respond as RawRespond, Route as Raw, SplitChoice},
            section::Field,
            sections::Upstream as RawUpstream,
            spec::Item,
            suggest,
        },
    },
    overload::Priority,
    route::{Redirect, Respond, host::HostPattern},
};

/// Names that a hint lists.
const HINT_NAMES_MAX: usize = 8;

/// Upstreams that routes may name, and which of them some route does.
pub(crate) struct Upstreams<'r> {
    known: HashSet<&'r str>,
    /// What comes from elsewhere.
    outside: &'r dyn Outside,
    used: HashSet<String>,
    /// One has no name, or a wrong one, which has been said.
    nameless: bool,
}

impl<'r> Upstreams<'r> {
    /// Those of `raw`, and those of elsewhere.
    pub(crate) fn new(raw: impl Iterator<Item = &'r RawUpstream>, outside: &'r dyn Outside) -> Self {
        let (mut known, mut nameless) = (HashSet::new(), false);
        for it in raw {
            match it.name.value.as_deref() {
                Some(name) => drop(known.insert(name)),
                None => nameless = true,
            }
        }
        Upstreams { known, outside, used: HashSet::new(), nameless }
    }
}

/// Checks the routes of all files. `None` when any is wrong.
pub(super) fn validate(
    files: &Files<'_>,
    outside: &dyn Outside,
    workers: u64,
    findings: &mut Findings,
) -> Option<Vec<Arc<Route>>> {
    let mut upstreams = Upstreams::new(files.upstreams().filter_map(|it| it.value.as_ref()), outside);
    let mut taken = Names::of("route", |name| outside.route(name));
    let mut routes = Vec::new();
    for item in files.routes() {
        let Some(raw) = &item.value else { continue };
        taken.take(&raw.name, findings);
        let written = (files.written)(item.place);
        routes.push(route(raw, written, workers, &mut upstreams, findings).map(Arc::new));
    }
    let root = files.root;
    if files.routes().next().is_none()
        && root.routes.value.is_some()
        && outside.is_empty()
        && !root.etcd.given
    {
        let message = "there are no routes: every request will be answered 404";
        let made = findings.warn(root.routes.place, message);
        let made = if root.routes.given { made } else { made.below("routes") };
        made.hint("add a [[routes]] table");
    }
    for raw in files.upstreams().filter_map(|it| it.value.as_ref()) {
        if let Some(name) = &raw.name.value
            && !upstreams.used.contains(name)
            && !outside.uses(name)
            && !root.etcd.given
        {
            let made = findings.warn(raw.name.place, format!("no route uses the upstream `{name}`"));
            made.hint("leave it out, or route to it");
        }
    }
    routes.into_iter().collect()
}

/// Checks one route, which was written as `written`.
pub(crate) fn route(
    raw: &Raw,
    written: Arc<str>,
    workers: u64,
    upstreams: &mut Upstreams<'_>,
    findings: &mut Findings,
) -> Option<Route> {
    let predicates = predicates(&raw.r#match, findings);
    let request_headers = edits(&raw.request_headers, Message::Request, findings);
    let response_headers = edits(&raw.response_headers, Message::Response, findings);
    one_action(raw, findings);
    check_rewrite(raw, findings);
    let action = action(raw, upstreams, findings);
    let hedge = retries::hedge(&raw.hedge);
    let limits = route_limits(raw, workers, findings);
    let rewrite = raw.rewrite.value.as_ref();
    Some(Route {
        name: raw.name.value.as_deref()?.into(),
        predicates: predicates?,
        action: action?,
        rewrite_path_prefix: rewrite.and_then(|it| it.path_prefix.value.as_deref()).map(Into::into),
        rewrite_host: rewrite.and_then(|it| it.host.value.as_deref()).map(Into::into),
        request_headers: request_headers?,
        response_headers: response_headers?,
        hedge: hedge?,
        limits: limits?,
        priority: match raw.priority.given {
            true => raw.priority.value?,
            false => Priority::default(),
        },
        written,
    })
}

fn actions(raw: &Raw) -> [(&'static str, bool, Place); 4] {
    [
        ("upstream", raw.upstream.given, raw.upstream.place),
        ("split", raw.split.given, raw.split.place),
        ("redirect", raw.redirect.given, raw.redirect.place),
        ("respond", raw.respond.given, raw.respond.place),
    ]
}

fn one_action(raw: &Raw, findings: &mut Findings) {
    let mut given = actions(raw).into_iter().filter(|(_, given, _)| *given);
    let Some((first, ..)) = given.next() else {
        if raw.misspelt {
            return;
        }
        let made = findings.error(raw.place, "the route does nothing");
        made.hint("add one of `upstream`, `split`, `redirect` and `respond`");
        return;
    };
    for (second, _, place) in given {
        let made = findings.error(place, format!("`{second}` beside `{first}`"));
        made.hint("a route does one thing: leave out the other, or make two routes");
    }
}

/// Rewrites and request headers need a request that is forwarded; a prefix can only be replaced where one matched.
fn check_rewrite(raw: &Raw, findings: &mut Findings) {
    let answers = [("redirect", raw.redirect.given), ("respond", raw.respond.given)];
    let forwards = raw.upstream.given || raw.split.given;
    if let Some((action, _)) = answers.into_iter().find(|(_, given)| *given && !forwards) {
        let fields = [("rewrite", raw.rewrite.given, raw.rewrite.place)];
        let headers = [("request_headers", raw.request_headers.given, raw.request_headers.place)];
        let more = [
            ("hedge", raw.hedge.given, raw.hedge.place),
            ("priority", raw.priority.given, raw.priority.place),
        ];
        for (key, given, place) in fields.into_iter().chain(headers).chain(more) {
            if given {
                let made = findings.error(place, format!("`{key}` has no effect beside `{action}`"));
                made.hint("no request is forwarded: leave it out");
            }
        }
    }
    let Some(rewrite) = &raw.rewrite.value else { return };
    needs_prefix(&rewrite.path_prefix, &raw.r#match, findings);
    if !rewrite.path_prefix.given && !rewrite.host.given && !rewrite.misspelt {
        let made = findings.error(raw.rewrite.place, "there is nothing to rewrite");
        made.hint("add `path_prefix` or `host`, or leave it out");
    }
}

fn needs_prefix(new: &Field<String>, matched: &Field<Match>, findings: &mut Findings) {
    let has_prefix = matched.value.as_ref().is_some_and(|it| it.path_prefix.given);
    if new.given && !has_prefix && (matched.value.is_some() || !matched.given) {
        let made = findings.error(new.place, "there is no prefix to replace");
        made.hint("it replaces what match.path_prefix matched, which this route does not have");
    }
}

fn action(raw: &Raw, upstreams: &mut Upstreams<'_>, findings: &mut Findings) -> Option<Action> {
    if raw.upstream.given {
        let name = raw.upstream.value.as_deref()?;
        return upstreams.find(name, raw.upstream.place, findings).then(|| Action::Upstream(name.into()));
    }
    if raw.split.given {
        let choices = split(raw.split.value.as_ref()?, raw.split.place, upstreams, findings)?;
        return Some(Action::Split(choices));
    }
    if raw.redirect.given {
        return redirect(raw.redirect.value.as_ref()?, raw, findings).map(Action::Redirect);
    }
    respond(raw.respond.value.as_ref()?, findings).map(Action::Respond)
}

impl Upstreams<'_> {
    /// Whether there is one of this name.
    fn find(&mut self, name: &str, place: Place, findings: &mut Findings) -> bool {
        if self.known.contains(name) || self.outside.upstream(name).is_some() {
            self.used.insert(name.to_owned());
            return true;
        }
        // One whose name is missing or wrong may be the one that is meant; that has been said.
        if self.nameless {
            return false;
        }
        let outside = self.outside.upstreams();
        let mut named: Vec<&str> = self.known.iter().copied().chain(outside.iter().map(|it| &**it)).collect();
        named.sort_unstable();
        let made = findings.error(place, format!("no upstream is named `{name}`"));
        match suggest::nearest(name, &named) {
            Some(nearest) => made.hint(format!("did you mean `{nearest}`?")),
            None if named.is_empty() => made.hint("add an [[upstreams]] table of this name"),
            None => {
                let more = if named.len() > HINT_NAMES_MAX { ", ..." } else { "" };
                let shown = named.iter().take(HINT_NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
                made.hint(format!("there are {shown}{more}"));
            }
        }
        false
    }
}

fn split(
    items: &[Item<SplitChoice>],
    place: Place,
    upstreams: &mut Upstreams<'_>,
    findings: &mut Findings,
) -> Option<Choices> {
    if items.is_empty() {
        let made = findings.error(place, "the split has no sides");
        made.hint("list upstreams with weights: [{ upstream = \"a\", weight = 90 }, { upstream = \"b\", weight = 10 }]");
        return None;
    }
    let mut seen: HashMap<&str, Place> = HashMap::new();
    let mut choices = Vec::with_capacity(items.len());
    for raw in good(items) {
        let name = raw.upstream.value.as_deref();
        let found = name.filter(|it| upstreams.find(it, raw.upstream.place, findings));
        if let Some(name) = found
            && let Some(other) = seen.insert(name, raw.upstream.place)
        {
            let made = findings.error(raw.upstream.place, "this upstream is in the split twice");
            made.other(other).hint("add up its weights");
        }
        let weight = raw.weight.value.and_then(|it| u32::try_from(it).ok());
        choices.push(found.map(Arc::from).zip(weight));
    }
    if good(items).count() == items.len() && good(items).all(|it| it.weight.value == Some(0)) {
        findings
            .error(place, "every side of the split has weight 0")
            .hint("give at least one a weight above 0");
    }
    choices.into_iter().collect()
}

fn redirect(raw: &RawRedirect, route: &Raw, findings: &mut Findings) -> Option<Redirect> {
    if raw.path.given && raw.path_prefix.given {
        let made = findings.error(raw.path_prefix.place, "`path_prefix` beside `path`");
        made.hint("`path` replaces the whole path, `path_prefix` its start: leave one out");
    } else {
        needs_prefix(&raw.path_prefix, &route.r#match, findings);
    }
    let changes_host_only = !raw.scheme.given && !raw.path.given && !raw.path_prefix.given && !raw.misspelt;
    let hosts = route.r#match.value.iter().flat_map(|it| it.hosts.value.iter().flatten());
    let to_itself = |it: &Item<HostPattern>| match (&it.value, &raw.host.value) {
        (Some(HostPattern::Exact(from)), Some(to)) => **from == **to,
        _ => false,
    };
    if changes_host_only && (!raw.host.given || hosts.into_iter().any(to_itself)) {
        let made = findings.error(route.redirect.place, "the redirect points back at the request");
        made.hint("change at least one of `scheme`, `host`, `path` and `path_prefix`");
    }
    Some(Redirect {
        status: status(raw.status.value?)?,
        scheme: raw.scheme.value.map(Into::into),
        host: raw.host.value.as_deref().map(Into::into),
        path: raw.path.value.as_deref().map(Into::into),
        path_prefix: raw.path_prefix.value.as_deref().map(Into::into),
    })
}

fn respond(raw: &RawRespond, findings: &mut Findings) -> Option<Respond> {
    fixed_response(&raw.status, &raw.body, &raw.content_type, findings)
}

/// A response of our own as it is written.
pub(super) fn fixed_response(
    code: &Field<u64>,
    body: &Field<String>,
    content_type: &Field<HeaderValue>,
    findings: &mut Findings,
) -> Option<Respond> {
    let (status_code, text) = (code.value?, body.value.as_ref()?);
    if matches!(status_code, 204 | 205 | 304) && !text.is_empty() {
        findings.error(body.place, format!("a {status_code} response has no body")).hint("leave out `body`");
    }
    let Ok(value) = content_type.value.as_ref()?.to_str() else {
        findings
            .error(content_type.place, "the content type is not ASCII")
            .hint("as \"text/html; charset=utf-8\"");
        return None;
    };
    Some(Respond {
        status: status(status_code)?,
        content_type: value.into(),
        body: Bytes::from(text.clone().into_bytes()),
    })
}

fn status(code: u64) -> Option<StatusCode> {
    StatusCode::from_u16(u16::try_from(code).ok()?).ok()
}
