//! Asking a running proxy through its admin listener.

use std::{fs, path::Path};

use serde_json::Value as Json;

use crate::control::{
    admin::client::{self, query},
    explain::Asked,
};

/// What becomes of a request, in words.
pub(super) fn explained(admin: &str, token_file: Option<&Path>, asked: &Asked) -> Result<String, String> {
    let mut pairs = vec![("method", asked.method.to_string()), ("url", asked.target.to_string())];
    for (name, value) in &asked.fields {
        pairs.push(("header", format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))));
    }
    pairs.extend(asked.client.map(|it| ("client", it.to_string())));
    let token = token(token_file)?;
    let body = client::get(admin, &format!("/explain?{}", query(&pairs)), token.as_deref(), "text/plain")?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The config in force.
pub(super) fn config(admin: &str, token_file: Option<&Path>) -> Result<Json, String> {
    let token = token(token_file)?;
    let body = client::get(admin, "/config", token.as_deref(), "application/json")?;
    serde_json::from_slice(&body).map_err(|error| format!("{admin}: not what an admin API says: {error}"))
}

fn token(file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(file) = file else { return Ok(None) };
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Some(text.trim().to_owned()))
}
