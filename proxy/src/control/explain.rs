//! Which route a request takes, and why the others don't: for `ringlane route` and the admin API's `/explain`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, uri::Authority};
use serde_json::{Value as Json, json};

use super::{
    compile::compile,
    config::{Action, Config, Route},
    describe::{conditions, listed, table},
    identities::Identities,
    met::{self, Met},
    resolve::Resolved,
};
use crate::{
    route::{Built, Outcome, RequestView, RouteTable, rewrite_target},
    rule,
};

/// Routes that lost, of those listed: a table of thousands is cut.
const LOST_SHOWN_MAX: usize = 60;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    authority: Option<Authority>,
    scheme: String,
    path: String,
    query: Option<String>,
}

impl std::fmt::Display for Target {
    /// As a URL that is read as the same again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(authority) = &self.authority {
            write!(f, "{}://{authority}", self.scheme)?;
        }
        f.write_str(&self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// Reads METHOD.
pub fn parse_method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    match Method::from_bytes(text.as_bytes()) {
        Ok(_) if upper != text && Method::from_bytes(upper.as_bytes()).is_ok_and(|it| is_standard(&it)) => {
            Err(format!("methods are upper case: {upper}"))
        }
        Ok(method) => Ok(method),
        Err(_) => Err("not a method, as GET".to_owned()),
    }
}

fn is_standard(method: &Method) -> bool {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"]
        .contains(&method.as_str())
}

/// Reads URL: absolute, or without a scheme, or a path alone.
pub fn parse_url(text: &str) -> Result<Target, String> {
    let text = text.split('#').next().unwrap_or("");
    let absolute = match text {
        "" => return Err("the URL is empty".to_owned()),
        path if path.starts_with('/') || path.contains("://") => path.to_owned(),
        bare => format!("http://{bare}"),
    };
    let uri: Uri =
        absolute.parse().map_err(|error| format!("{error} (percent-encode what is not plain ASCII)"))?;
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    Ok(Target {
        authority: uri.authority().cloned(),
        scheme: uri.scheme_str().unwrap_or("http").to_owned(),
        path: path.to_owned(),
        query: uri.query().map(str::to_owned),
    })
}

/// Reads `NAME: VALUE`.
pub fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a colon is missing, as in 'x-version: 2'")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "not a header's name")?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| "not a header's value")?;
    Ok((name, value))
}

/// A request to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// What it asks for.
    pub target: Target,
    /// Its header fields.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The client's address, for rules; `None`: as from a unix socket.
    pub client: Option<IpAddr>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    method: Method,
    /// With its query.
    target: String,
    /// Empty: there is none.
    host: String,
    /// `None`: there are no rules.
    met: Option<Met>,
    /// `None`: no route matches.
    winner: Option<Winner>,
    /// In the order of the table.
    verdicts: Vec<Fared>,
    /// Routes that lost and are not among them.
    more: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Winner {
    route: String,
    does: String,
    /// What the upstream or the client gets to see: what it is, and it.
    details: Vec<(&'static str, String)>,
}

/// How a route fared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fared {
    route: String,
    outcome: String,
    matches: String,
}

/// What a part of the text is, for colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The route that wins.
    Good,
    /// That there is none.
    Bad,
    /// What only names something.
    Label,
}

/// What becomes of a request.
///
/// # Errors
/// The table can't be built, which a loaded config does not do.
pub fn explain(config: &Config, asked: &Asked) -> Result<Explained, String> {
    let built = compile(config, &Resolved::new(), &mut Identities::new(), 0, None);
    let compiled =
        built.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let Asked { method, target, fields, client } = asked;
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value.clone());
    }
    // As with curl, a Host that is given counts, whatever the URL says.
    let url_host = target.authority.as_ref().map(Authority::as_str);
    let authority =
        headers.get(header::HOST).and_then(|it| it.to_str().ok()).or(url_host).unwrap_or("").to_owned();
    let host = authority.parse::<Authority>().map_or(authority.clone(), |it| it.host().to_owned());
    let request = RequestView {
        method,
        host: &host,
        path: &target.path,
        query: target.query.as_deref(),
        headers: &headers,
    };
    let query = target.query.as_ref().map_or(String::new(), |it| format!("?{it}"));
    let rules_asked = rule::Request {
        client: client.map(|it| it.to_canonical()),
        method,
        host: &host,
        path: &target.path,
        query: target.query.as_deref(),
        lines: &headers,
    };
    let (verdicts, more) = verdicts(config, compiled.built(), &request);
    Ok(Explained {
        method: method.clone(),
        target: format!("{}{query}", target.path),
        met: config.rules.as_ref().map(|rules| met::met(rules, &rules_asked)),
        winner: winner(config, compiled.table(), &request, &target.scheme, &authority),
        host: authority,
        verdicts,
        more,
    })
}

impl Explained {
    /// For people.
    pub fn text(&self, paint: &dyn Fn(Tone, &str) -> String) -> String {
        let at = if self.host.is_empty() { "no host" } else { &self.host };
        let at = paint(Tone::Label, &format!("({at})"));
        let mut text = format!("{} {} {at}\n\n", self.method, self.target);
        text.push_str(&self.met.as_ref().map_or(String::new(), |it| it.text(paint)));
        match &self.winner {
            None => text.push_str(&format!("{}  no route matches: 404\n", paint(Tone::Bad, "none"))),
            Some(winner) => {
                text.push_str(&format!("{}  {}\n", paint(Tone::Good, &winner.route), winner.does));
                for (what, is) in &winner.details {
                    text.push_str(&format!("  {}  {is}\n", paint(Tone::Label, &format!("{what:13}"))));
                }
            }
        }
        let mut rows = vec![["ROUTE", "OUTCOME", "MATCHES"].map(str::to_owned).to_vec()];
        let row = |it: &Fared| vec![it.route.clone(), it.outcome.clone(), it.matches.clone()];
        rows.extend(self.verdicts.iter().map(row));
        let more =
            if self.more > 0 { format!("... and {} more that lost\n", self.more) } else { String::new() };
        format!("{text}\n{}{more}", table(&rows, &|heading| paint(Tone::Label, heading)))
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let detail = |(what, is): &(&str, String)| json!({ "what": what, "is": is });
        let winner = |it: &Winner| {
            let details: Vec<Json> = it.details.iter().map(detail).collect();
            json!({ "route": it.route, "does": it.does, "details": details })
        };
        let fared = |it: &Fared| json!({ "route": it.route, "outcome": it.outcome, "matches": it.matches });
        json!({
            "method": self.method.as_str(),
            "target": self.target,
            "host": self.host,
            "rules": self.met.as_ref().map(Met::json),
            "winner": self.winner.as_ref().map(winner),
            "routes": self.verdicts.iter().map(fared).collect::<Vec<_>>(),
            "more_that_lost": self.more,
        })
    }
}

fn winner(
    config: &Config,
    routes: &RouteTable,
    request: &RequestView<'_>,
    scheme: &str,
    authority: &str,
) -> Option<Winner> {
    let selected = routes.select(request)?;
    let name = &selected.route.name;
    let route = config.routes.iter().find(|it| it.name == *name)?;
    let details = details(config, route, selected.prefix_len, request, scheme, authority);
    Some(Winner { route: name.to_string(), does: route.action_text(), details })
}

/// What the upstream or the client gets to see.
fn details(
    config: &Config,
    route: &Route,
    prefix_len: usize,
    request: &RequestView<'_>,
    scheme: &str,
    authority: &str,
) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let endpoints = |name: &str| {
        let upstream = config.upstream(name)?;
        let targets = upstream.endpoints.iter().map(|it| it.target.to_string());
        Some(("endpoints", format!("{} ({})", listed(targets), upstream.name)))
    };
    match &route.action {
        Action::Upstream(name) => lines.extend(endpoints(name)),
        Action::Split(choices) => lines.extend(choices.iter().filter_map(|(name, _)| endpoints(name))),
        Action::Redirect(redirect) => {
            let to = redirect.location(scheme, authority, request.path, request.query, prefix_len);
            lines.push(("location", to));
        }
        Action::Respond(respond) => lines.push(("body", format!("{} bytes", respond.body.len()))),
    }
    if let Some(prefix) = &route.rewrite_path_prefix {
        let mut target = Vec::new();
        rewrite_target(&mut target, request.path, request.query, prefix_len, prefix);
        lines.push(("sent as", String::from_utf8_lossy(&target).into_owned()));
    }
    if let Some(host) = &route.rewrite_host {
        lines.push(("sent to host", host.to_string()));
    }
    lines
}

/// Those that are shown, and how many are not.
fn verdicts(config: &Config, built: &Built, request: &RequestView<'_>) -> (Vec<Fared>, usize) {
    let (mut shown, mut lost) = (Vec::new(), 0);
    for verdict in built.explain(request) {
        let route = verdict.route;
        let outcome = match verdict.outcome {
            Outcome::Won => "won".to_owned(),
            Outcome::Shadowed => "would do, but another comes first".to_owned(),
            Outcome::LostOn(reason) => {
                lost += 1;
                if lost > LOST_SHOWN_MAX {
                    continue;
                }
                reason
            }
        };
        let known = config.routes.iter().find(|it| it.name == route.name);
        let matches = known.map_or(String::new(), |it| conditions(&it.predicates));
        shown.push(Fared { route: route.name.to_string(), outcome, matches });
    }
    (shown, lost.saturating_sub(LOST_SHOWN_MAX))
}
