//! Who may ask: the bearer token of `admin.token_file`.

use std::{fs::File, io::Read, path::Path};

use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::control::config;

/// A token's bytes: fewer can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
/// More is no token.
const TOKEN_BYTES_MAX: usize = 4096;
/// Paths that need no token: a probe has none.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Whoever has the token, or everybody where there is none.
#[derive(Debug, Clone)]
pub struct Access {
    admin: config::Admin,
}

impl Access {
    /// As the config says.
    ///
    /// # Errors
    /// The token can't be read, or is none.
    pub fn new(admin: &config::Admin) -> Result<Access, String> {
        if let Some(file) = &admin.token_file {
            token(file)?;
        }
        Ok(Access { admin: admin.clone() })
    }

    /// Whether a token is asked for.
    pub(super) fn is_guarded(&self) -> bool {
        self.admin.token_file.is_some()
    }

    /// Why a request is not let in.
    pub(super) fn refuses(&self, request: &Request) -> Option<Problem> {
        let path = request.uri().path();
        let Some(file) = &self.admin.token_file else {
            // Scripts of a web page reach our loopback address from their reader's browser, which tells on them.
            let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            return (changes && request.headers().contains_key(header::ORIGIN)).then(Problem::of_a_page);
        };
        if OPEN.contains(&path) || (self.admin.metrics_open && path == "/metrics") {
            return None;
        }
        let Some(given) = bearer(request.headers()) else { return Some(Problem::no_token()) };
        match token(file) {
            Ok(token) if bool::from(token.as_bytes().ct_eq(given)) => None,
            Ok(_) => Some(Problem::wrong_token()),
            Err(error) => {
                tracing::error!("admin.token_file: {error}; nobody is let in");
                Some(Problem::wrong_token())
            }
        }
    }
}

/// What a request brings.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let at = value.iter().position(|it| *it == b' ')?;
    let (scheme, token) = value.split_at(at);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

/// The token that is in the file now. It is read each time: it is small, and so another one counts at once.
fn token(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    // What is no plain file, a pipe say, may never come to an end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(TOKEN_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
        return Err(format!(
            "{} holds {} bytes; a token has {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX}, as of `openssl rand -hex 32`",
            path.display(),
            token.len(),
        ));
    }
    if !token.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(format!("{}: a token is one word of printable ASCII", path.display()));
    }
    Ok(token.to_owned())
}
