//! The admin API that changes things, asked over real sockets while the proxy runs.

mod access;
mod command;
mod errors;
mod fuzz;
mod objects;
mod under_load;
mod whole;

use serde_json::{Value, json};

use crate::harness::{Client, Proxy, Response};

/// Asks with fields (each with its line end) and a body.
#[track_caller]
fn ask(address: &str, method: &str, path: &str, fields: &str, body: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.read_response_to(method)
}

/// Asks without fields or body.
#[track_caller]
fn plain(proxy: &Proxy, method: &str, path: &str) -> Response {
    ask(&proxy.admin_address(), method, path, "", "")
}

/// Asks with a JSON body.
#[track_caller]
fn send(proxy: &Proxy, method: &str, path: &str, body: &Value) -> Response {
    ask(&proxy.admin_address(), method, path, "Content-Type: application/json\r\n", &body.to_string())
}

#[track_caller]
fn json_of(response: &Response) -> Value {
    assert_eq!(response.field("content-type"), Some("application/json"));
    serde_json::from_str(&response.text()).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

/// What is there, with its tag.
#[track_caller]
fn get(proxy: &Proxy, path: &str) -> (Value, String) {
    let response = plain(proxy, "GET", path).expect(200);
    let tag = response.field("etag").unwrap_or_default().to_owned();
    (json_of(&response), tag)
}

/// A route that answers by itself.
fn answers(path: &str, body: &str) -> Value {
    json!({ "match": { "path": path }, "respond": { "body": body } })
}
