//! Which route a request would take.

use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{
    AdminState, answer,
    problem::{Problem, wants_text},
    request::parameters,
};
use crate::control::explain::{Asked, explain, parse_header, parse_method, parse_url};

/// `?url=http://example.com/api`, and if it matters `&method=POST` and `&header=x-version: 2`, as often as needed, and
/// `&client=192.0.2.1` for rules.
pub(super) async fn get(
    State(state): State<AdminState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (mut method, mut url, mut fields, mut client) = (Method::GET, None, Vec::new(), None);
    for (name, value) in parameters(&uri, &["method", "url", "client"], &["header"])? {
        let wrong = |error: String| Problem::malformed(format!("{name}: {error}"));
        match name.as_str() {
            "method" => method = parse_method(&value).map_err(wrong)?,
            "url" => url = Some(parse_url(&value).map_err(wrong)?),
            "client" => {
                let wrong = |_| Problem::malformed("client: not an IP address, as 192.0.2.1 or 2001:db8::1");
                client = Some(value.parse().map_err(wrong)?);
            }
            _ => fields.push(parse_header(&value).map_err(wrong)?),
        }
    }
    let Some(target) = url else {
        return Err(Problem::malformed("url is missing: ?url=http://example.com/path"));
    };
    let config = state.live(|live| live.desired.config());
    let asked = Asked { method, target, fields, client };
    let explained = state.off_loop(move || explain(&config, &asked)).await?.map_err(Problem::ours)?;
    if wants_text(&headers) {
        return Ok(explained.text(&|_, text| text.to_owned()).into_response());
    }
    Ok(answer::json(StatusCode::OK, &explained.json()))
}
