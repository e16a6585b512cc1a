//! What is wrong with a request, and the status that says so: the only place of the admin API with status codes of
//! failure.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json, json};

use super::answer;
use crate::control::{ask::Denied, desired::Refused, error::ConfigError};

/// Errors that an answer lists.
const ERRORS_SHOWN_MAX: usize = 100;

/// A request that is not done.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    error: String,
    errors: Vec<ConfigError>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Problem {
        Problem { status, error: error.into(), errors: Vec::new(), fields: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.fields.push((name, value));
        self
    }

    /// The request can't be understood.
    pub(super) fn malformed(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    /// Its body is not JSON.
    pub(super) fn not_json(error: ConfigError) -> Problem {
        Problem { errors: vec![error.clone()], ..Problem::malformed(error.one_line()) }
    }

    pub(super) fn no_token() -> Problem {
        let error = "a token is needed: Authorization: Bearer TOKEN, with what admin.token_file holds";
        let how = HeaderValue::from_static("Bearer realm=\"ringlane\"");
        Problem::new(StatusCode::UNAUTHORIZED, error).with(header::WWW_AUTHENTICATE, how)
    }

    pub(super) fn wrong_token() -> Problem {
        let how = HeaderValue::from_static("Bearer realm=\"ringlane\", error=\"invalid_token\"");
        let error = "the token is not the one that admin.token_file holds";
        Problem::new(StatusCode::UNAUTHORIZED, error).with(header::WWW_AUTHENTICATE, how)
    }

    /// A browser sends this for some web page.
    pub(super) fn of_a_page() -> Problem {
        let error =
            "requests with an Origin, which come from web pages, change nothing without admin.token_file";
        Problem::new(StatusCode::FORBIDDEN, error)
    }

    pub(super) fn not_found(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, error)
    }

    /// The path is there; axum says in `Allow` for which methods.
    pub(super) fn not_allowed() -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods: see Allow")
    }

    pub(super) fn too_slow() -> Problem {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
    }

    pub(super) fn too_large(bytes_max: usize) -> Problem {
        let error = format!("the body may have {} MiB", bytes_max >> 20);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    pub(super) fn not_this_type(wanted: &str) -> Problem {
        let error = format!("the body is to be {wanted}: say so in Content-Type");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
    }

    /// The process is ending.
    pub(super) fn ending() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the process is ending")
    }

    /// A fault of ours.
    pub(super) fn ours(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// A value that can't be used.
    pub(super) fn invalid(from: &str, pointer: &str, message: &str) -> Problem {
        let error = ConfigError::of_json(from, pointer.to_owned(), message, None);
        Problem::denied(Denied::Refused(Refused::Invalid(vec![error])), from)
    }

    /// Why a change was not made.
    pub(super) fn denied(denied: Denied, from: &str) -> Problem {
        match denied {
            Denied::Expectation(Some(tag)) => {
                let error = "it is not as If-Match or If-None-Match says: its tag is in ETag, with quotes";
                Problem::new(StatusCode::PRECONDITION_FAILED, error).with(header::ETAG, answer::etag(tag))
            }
            Denied::Expectation(None) => {
                let error = "it is not there, but If-Match expects it to be";
                Problem::new(StatusCode::PRECONDITION_FAILED, error)
            }
            Denied::Refused(Refused::NotFound(error)) => Problem::not_found(error),
            Denied::Refused(Refused::Conflict(error)) => Problem::new(StatusCode::CONFLICT, error),
            Denied::Refused(Refused::Invalid(errors)) => {
                let s = if errors.len() == 1 { "" } else { "s" };
                let error = format!("{} error{s} in {from}; nothing has changed", errors.len());
                Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error) }
            }
        }
    }

    fn json(&self) -> Json {
        json!({ "error": self.error, "errors": errors_json(&self.errors) })
    }

    fn text(&self) -> String {
        let shown = self.errors.iter().take(ERRORS_SHOWN_MAX).map(|it| format!("{it}\n"));
        format!("{}\n{}", self.error, shown.collect::<String>())
    }
}

/// Errors of a config for programs; the first of them where there are very many.
pub(super) fn errors_json(errors: &[ConfigError]) -> Json {
    let one = |it: &ConfigError| {
        let in_file = it.pointer.is_none();
        json!({
            "pointer": it.pointer,
            "key": Some(&it.key).filter(|it| !it.is_empty()),
            "message": it.message,
            "hint": it.hint,
            "file": in_file.then_some(&it.file),
            "line": in_file.then_some(it.line),
            "column": in_file.then_some(it.column),
        })
    };
    errors.iter().take(ERRORS_SHOWN_MAX).map(one).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = answer::json(self.status, &self.json());
        response.headers_mut().extend(self.fields.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

/// Whether a client would rather have text than JSON.
pub(super) fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or("");
    let takes = |wanted: &str| {
        accept.split(',').any(|part| part.split(';').next().is_some_and(|it| it.trim() == wanted))
    };
    takes("text/plain") && !takes("application/json")
}

/// The same problem as text.
pub(super) fn as_text(mut response: Response) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = Body::from(problem.text());
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response
}
