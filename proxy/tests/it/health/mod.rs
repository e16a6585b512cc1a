//! Which endpoints are used: checks, ejection, circuit breakers, and what is shown of them.

mod breaker;
mod checks;
mod ejection;
mod site;

use std::fs;

use serde_json::Value;

use self::site::Site;
use crate::{
    harness::{Client, Proxy, Setup, eventually, replies::GET},
    reload::reload_whole as reload,
};

/// Everything goes to these.
fn to(sites: &[&Site]) -> Setup {
    let addresses: Vec<String> = sites.iter().map(|it| it.address()).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    Setup::to_endpoints(&addresses)
}

/// What is shown of the upstream.
#[track_caller]
fn shown(proxy: &Proxy) -> Value {
    let response = proxy.admin_get("/upstreams/app/endpoints").expect(200);
    serde_json::from_str(&response.text()).unwrap()
}

/// What is shown of the n-th endpoint.
#[track_caller]
fn endpoint(proxy: &Proxy, nth: usize) -> Value {
    shown(proxy)["endpoints"][nth].clone()
}

/// Waits until the n-th endpoint is in this state; what is shown of it then.
#[track_caller]
fn await_state(proxy: &Proxy, nth: usize, state: &str) -> Value {
    let mut last = Value::Null;
    eventually(&format!("endpoint {nth} is {state}"), || {
        last = endpoint(proxy, nth);
        last["state"] == state
    });
    last
}

/// Has clients ask, all at once, until something is so.
#[track_caller]
fn asking_until(clients: &mut [Client], what: &str, status: Option<u16>, mut holds: impl FnMut() -> bool) {
    eventually(what, || {
        ask_all(clients, status);
        holds()
    });
}

/// All clients ask at once, and are answered, with this status if it is given.
#[track_caller]
fn ask_all(clients: &mut [Client], status: Option<u16>) {
    clients.iter_mut().for_each(|it| it.send(GET));
    for client in clients {
        let response = client.read_response();
        if let Some(status) = status {
            response.expect(status);
        }
    }
}

/// The codes of the lines of `access.log`, once there are so many.
#[track_caller]
fn terminations(proxy: &Proxy, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    eventually("lines in the access log", || {
        let text = fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
        let line = |it: &str| serde_json::from_str::<Value>(it).ok();
        found =
            text.lines().filter_map(line).map(|it| it["termination"].as_str().unwrap().to_owned()).collect();
        found.len() >= count
    });
    found
}

/// The access log that `terminations` reads.
const LOG: &str = "[access_log]\npath = \"access.log\"";
