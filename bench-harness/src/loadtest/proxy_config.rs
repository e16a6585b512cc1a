//! Ringlane's config for a load test: a person's config with the addresses of this run and one worker.
use std::net::{SocketAddr, TcpListener};

use toml::{Table, Value};

use super::routes::{Entrance, Routes};
use crate::fault::{At, Fault, Result};

/// What a config is rewritten for.
pub(crate) struct Place<'a> {
    /// Where the first listener is to listen.
    pub(crate) listen: SocketAddr,
    /// Where the admin listener is.
    pub(crate) admin: SocketAddr,
    /// Where every upstream goes.
    pub(crate) origin: SocketAddr,
    /// The driver.
    pub(crate) driver: &'a str,
    /// They take the place of the config's own; none: the config's own stay.
    pub(crate) routes: Routes,
    /// Pinned workers.
    pub(crate) workers: u32,
}

/// Rewrites the text of a config for a place: pinned workers, its addresses, and any other address to a free port.
pub(crate) fn rewrite(text: &str, place: &Place<'_>) -> Result<String> {
    let mut config: Table = text.parse().at("not valid TOML")?;
    let runtime = config.entry("runtime").or_insert_with(|| Value::Table(Table::new()));
    let runtime = runtime.as_table_mut().ok_or_else(|| Fault::new("runtime is not a table"))?;
    runtime.insert("workers".into(), Value::Integer(place.workers.into()));
    runtime.insert("pin_cores".into(), Value::Boolean(true));
    runtime.insert("driver".into(), Value::String(place.driver.to_owned()));

    let listeners = tables(&mut config, "listeners")?;
    for (index, listener) in listeners.into_iter().enumerate() {
        let address = if index == 0 { place.listen } else { free_address()? };
        listener.insert("address".into(), Value::String(address.to_string()));
    }
    for upstream in tables(&mut config, "upstreams")? {
        upstream.insert("endpoints".into(), Value::Array(vec![Value::String(place.origin.to_string())]));
    }
    // Its histograms are part of the report, so there is one even where the config has none.
    let admin = config.entry("admin").or_insert_with(|| Value::Table(Table::new()));
    let admin = admin.as_table_mut().ok_or_else(|| Fault::new("admin is not a table"))?;
    admin.insert("address".into(), Value::String(place.admin.to_string()));
    if !place.routes.is_none() {
        let routes = many_routes(&mut config, place.routes)?;
        config.insert("routes".into(), routes);
    }
    toml::to_string(&config).at("config as TOML")
}

/// A route for each path of each host, to the first upstream.
fn many_routes(config: &mut Table, routes: Routes) -> Result<Value> {
    let upstreams = tables(config, "upstreams")?;
    let upstream = upstreams.first().and_then(|first| first.get("name")).cloned();
    let upstream = upstream.ok_or_else(|| Fault::new("the first of [[upstreams]] has no name"))?;
    let route = |Entrance { host, prefix }: Entrance| {
        let host = host.unwrap_or_default();
        let matches = [
            ("hosts".to_owned(), Value::Array(vec![Value::String(host.clone())])),
            ("path_prefix".to_owned(), Value::String(prefix.clone())),
        ];
        Value::Table(Table::from_iter([
            ("name".to_owned(), Value::String(host + &prefix)),
            ("match".to_owned(), Value::Table(Table::from_iter(matches))),
            ("upstream".to_owned(), upstream.clone()),
        ]))
    };
    Ok(Value::Array(routes.entrances().into_iter().map(route).collect()))
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

    fn place(routes: Routes) -> Place<'static> {
        let [listen, admin, origin] =
            ["127.0.0.1:1", "127.0.0.1:3", "127.0.0.1:2"].map(|text| text.parse().unwrap());
        Place { listen, admin, origin, driver: "epoll", routes, workers: 1 }
    }

    #[test]
    fn addresses_and_workers_are_replaced_and_the_rest_is_kept() {
        let config: Table = rewrite(CONFIG, &place(Routes::NONE)).unwrap().parse().unwrap();
        assert_eq!(config["runtime"]["workers"].as_integer(), Some(1));
        assert_eq!(config["runtime"]["driver"].as_str(), Some("epoll"));
        assert_eq!(config["listeners"][0]["address"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(
            config["upstreams"][0]["endpoints"].as_array().unwrap(),
            &[Value::String("127.0.0.1:2".into())]
        );
        assert_eq!(config["upstreams"][0]["balance"].as_str(), Some("round_robin"));
        assert_eq!(config["admin"]["address"].as_str(), Some("127.0.0.1:3"));
        assert_eq!(config["routes"][0]["upstream"].as_str(), Some("app"));
    }

    #[test]
    fn each_path_of_each_host_becomes_a_route_to_the_first_upstream() {
        let config: Table = rewrite(CONFIG, &place(Routes { hosts: 2, paths: 3 })).unwrap().parse().unwrap();
        let routes = config["routes"].as_array().unwrap();
        assert_eq!(routes.len(), 6);
        assert_eq!(routes[5]["match"]["hosts"][0].as_str(), Some("site-1.example"));
        assert_eq!(routes[5]["match"]["path_prefix"].as_str(), Some("/app-2"));
        assert_eq!(routes[5]["upstream"].as_str(), Some("app"));
    }

    #[test]
    fn a_config_without_listeners_is_refused_by_name() {
        assert!(
            rewrite("[runtime]", &place(Routes::NONE)).unwrap_err().to_string().contains("[[listeners]]")
        );
    }
}
