//! Ringlane's config for a load test: a person's config with the addresses of this run and one worker.
use std::net::{SocketAddr, TcpListener};

use toml::{Table, Value};

use crate::fault::{At, Fault, Result};

/// Rewrites the text of a config: the first listener to `listen`, every endpoint to `origin`, one pinned worker,
/// any other address to a free port.
pub(crate) fn rewrite(text: &str, listen: SocketAddr, origin: SocketAddr, driver: &str) -> Result<String> {
    let mut config: Table = text.parse().at("not valid TOML")?;
    let runtime = config.entry("runtime").or_insert_with(|| Value::Table(Table::new()));
    let runtime = runtime.as_table_mut().ok_or_else(|| Fault::new("runtime is not a table"))?;
    runtime.insert("workers".into(), Value::Integer(1));
    runtime.insert("pin_cores".into(), Value::Boolean(true));
    runtime.insert("driver".into(), Value::String(driver.to_owned()));

    let listeners = tables(&mut config, "listeners")?;
    for (index, listener) in listeners.into_iter().enumerate() {
        let address = if index == 0 { listen } else { free_address()? };
        listener.insert("address".into(), Value::String(address.to_string()));
    }
    for upstream in tables(&mut config, "upstreams")? {
        upstream.insert("endpoints".into(), Value::Array(vec![Value::String(origin.to_string())]));
    }
    if let Some(admin) = config.get_mut("admin").and_then(Value::as_table_mut) {
        admin.insert("address".into(), Value::String(free_address()?.to_string()));
    }
    toml::to_string(&config).at("config as TOML")
}

/// The array of tables called `key`; there must be one.
fn tables<'a>(config: &'a mut Table, key: &str) -> Result<Vec<&'a mut Table>> {
    let found: Vec<_> = config
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .map(|array| array.iter_mut().filter_map(Value::as_table_mut).collect())
        .unwrap_or_default();
    if found.is_empty() {
        return Err(Fault::new(format!("no [[{key}]] in it")));
    }
    Ok(found)
}

/// A loopback address nobody listens on. Somebody else may take it before it is used; then the child says so.
pub(crate) fn free_address() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .at("no free port on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [admin]
        address = "127.0.0.1:9901"
        [[listeners]]
        name = "web"
        address = "127.0.0.1:8080"
        [[upstreams]]
        name = "app"
        balance = "round_robin"
        endpoints = ["127.0.0.1:9000", { address = "127.0.0.1:9001", weight = 2 }]
        [[routes]]
        name = "app"
        upstream = "app"
    "#;

    #[test]
    fn addresses_and_workers_are_replaced_and_the_rest_is_kept() {
        let text =
            rewrite(CONFIG, "127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap(), "epoll").unwrap();
        let config: Table = text.parse().unwrap();
        assert_eq!(config["runtime"]["workers"].as_integer(), Some(1));
        assert_eq!(config["runtime"]["driver"].as_str(), Some("epoll"));
        assert_eq!(config["listeners"][0]["address"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(
            config["upstreams"][0]["endpoints"].as_array().unwrap(),
            &[Value::String("127.0.0.1:2".into())]
        );
        assert_eq!(config["upstreams"][0]["balance"].as_str(), Some("round_robin"));
        assert_ne!(config["admin"]["address"].as_str(), Some("127.0.0.1:9901"));
        assert_eq!(config["routes"][0]["upstream"].as_str(), Some("app"));
    }

    #[test]
    fn a_config_without_listeners_is_refused_by_name() {
        let fault =
            rewrite("[runtime]", "127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap(), "auto");
        assert!(fault.unwrap_err().to_string().contains("[[listeners]]"));
    }
}
