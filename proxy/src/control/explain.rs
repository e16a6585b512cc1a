//! `ringlane route`: which route a request takes, and why the others don't.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, uri::Authority};

use super::output::{dim, green, red, table};
use crate::{
    control::{
        compile::compile,
        config::{Action, Config, Route},
        describe::conditions,
        identities::Identities,
        resolve::Resolved,
    },
    route::{Outcome, RequestView, RouteTable, rewrite_target},
};

/// Routes that lost, of those listed: a table of thousands is cut.
const LOST_SHOWN_MAX: usize = 60;

/// The URL of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    authority: Option<Authority>,
    scheme: String,
    path: String,
    query: Option<String>,
}

/// Reads METHOD.
pub(super) fn parse_method(text: &str) -> Result<Method, String> {
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
pub(super) fn parse_url(text: &str) -> Result<Target, String> {
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
pub(super) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a colon is missing, as in 'x-version: 2'")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "not a header's name")?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| "not a header's value")?;
    Ok((name, value))
}

/// What becomes of a request.
///
/// # Errors
/// The table can't be built, which a loaded config does not do.
pub(super) fn explain(
    config: &Config,
    method: &Method,
    target: &Target,
    fields: &[(HeaderName, HeaderValue)],
) -> Result<String, String> {
    let built = compile(config, &Resolved::new(), &mut Identities::new(), 0);
    let routes =
        built.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
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

    let mut text = String::new();
    let query = target.query.as_ref().map_or(String::new(), |it| format!("?{it}"));
    let at = if authority.is_empty() { "no host".to_owned() } else { authority.clone() };
    text.push_str(&format!("{} {}{query} {}\n\n", method, target.path, dim(&format!("({at})"))));
    text.push_str(&winner(config, &routes, &request, &target.scheme, &authority));
    text.push_str(&verdicts(config, &routes, &request));
    Ok(text)
}

fn winner(
    config: &Config,
    routes: &RouteTable,
    request: &RequestView<'_>,
    scheme: &str,
    authority: &str,
) -> String {
    let Some(selected) = routes.select(request) else {
        return format!("{}  no route matches: 404\n\n", red("none"));
    };
    let name = &selected.route.name;
    let Some(route) = config.routes.iter().find(|it| it.name == *name) else { return String::new() };
    let mut text = format!("{}  {}\n", green(name), route.action_text());
    for (what, is) in details(config, route, selected.prefix_len, request, scheme, authority) {
        text.push_str(&format!("  {}  {is}\n", dim(&format!("{what:13}"))));
    }
    text.push('\n');
    text
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
        Some(("endpoints", format!("{} ({})", crate::control::describe::listed(targets), upstream.name)))
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

fn verdicts(config: &Config, routes: &RouteTable, request: &RequestView<'_>) -> String {
    let verdicts = routes.explain(request);
    let mut rows = vec![["ROUTE", "OUTCOME", "MATCHES"].map(str::to_owned).to_vec()];
    let mut lost = 0;
    for verdict in &verdicts {
        let Some(route) = routes.routes.get(verdict.route) else { continue };
        let outcome = match &verdict.outcome {
            Outcome::Won => "won".to_owned(),
            Outcome::Shadowed => "would do, but another comes first".to_owned(),
            Outcome::LostOn(reason) => {
                lost += 1;
                if lost > LOST_SHOWN_MAX {
                    continue;
                }
                reason.clone()
            }
        };
        let known = config.routes.iter().find(|it| it.name == route.name);
        let matches = known.map_or(String::new(), |it| conditions(&it.predicates));
        rows.push(vec![route.name.to_string(), outcome, matches]);
    }
    let more = lost.saturating_sub(LOST_SHOWN_MAX);
    let more = if more > 0 { format!("... and {more} more that lost\n") } else { String::new() };
    format!("{}{more}", table(&rows))
}
