//! Values of options: URLs, times, rates.
use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use crate::fault::{At, Fault, Result};

/// The most requests per second that can be asked for; beyond any machine this runs on.
const RATE_MAX: f64 = 10_000_000.0;

/// The two parts of a URL that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host` or `host:port`, as typed.
    pub host: String,
    /// Path and query, at least `/`.
    pub path: String,
}

/// Splits `http://host:port/path?query`.
pub fn parse_url(url: &str) -> Result<Target> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Fault::new(format!("{url:?} is not an http URL: write http://host:port/path")))?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if host.is_empty() || url.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
        return Err(Fault::new(format!(
            "{url:?} names no host or holds white space: write http://host:port/path"
        )));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Target { host: host.to_owned(), path: format!("{slash}{path}") })
}

/// The first address of `host` or `host:port`; port 80 without one.
pub fn resolve(host: &str) -> Result<SocketAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
    with_port
        .to_socket_addrs()
        .at(format!("cannot resolve {host}"))?
        .next()
        .ok_or_else(|| Fault::new(format!("{host} has no address")))
}

/// Reads `250ms`, `10s`, `2m`, `500us`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("unknown unit {unit:?}: write us, ms, s or m, as in 10s")),
    };
    let number: f64 =
        number.parse().map_err(|_| "not a time: write a number and a unit, as in 10s".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// Reads `5000` or `5000/s`: requests per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .strip_suffix("/s")
        .unwrap_or(text)
        .parse()
        .map_err(|_| "not a rate: write requests per second, as in 5000/s".to_owned())?;
    if rate > 0.0 && rate <= RATE_MAX {
        return Ok(rate);
    }
    Err(format!(
        "a rate is above 0 and at most {RATE_MAX} requests per second; for as many as the server answers, leave --rate \
         out"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, micros) in
            [("10s", 10_000_000), ("1.5ms", 1_500), ("250us", 250), ("2", 2_000_000), ("1m", 60_000_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "s", "1h", "-1s", "1.2.3s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_split() {
        for (url, host, path) in [
            ("http://a", "a", "/"),
            ("http://a:80/x?y=1", "a:80", "/x?y=1"),
            ("http://a?y", "a", "/?y"),
            ("http://[::1]:80/", "[::1]:80", "/"),
        ] {
            assert_eq!(parse_url(url).unwrap(), Target { host: host.into(), path: path.into() });
        }
        for url in ["https://a/", "a:80", "http://", "http:///x", "http://a/b c"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn rates_are_per_second_and_above_zero() {
        assert_eq!((parse_rate("5000/s"), parse_rate("0.5")), (Ok(5000.0), Ok(0.5)));
        for text in ["0", "0/s", "-1", "NaN", "inf", "1e9", "5000/m", "many"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
