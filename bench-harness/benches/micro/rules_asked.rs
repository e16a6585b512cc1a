//! Asking all rules about a request that none of them matches: what every request pays for them. Rules are of seven kinds
//! in turn; the request has a host, a path, fields and a query that come close to some of each.

use std::{hint::black_box, net::IpAddr, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ringlane::{
    route::{HostPattern, PathPattern, ValuePattern},
    rule::{Condition, Network, Request, Rule, Rules, Scratch},
};

use crate::{
    case::{Case, OURS},
    tables,
};

const REQUESTS: usize = 256;

fn condition(i: usize) -> Condition {
    let name = HeaderName::from_static;
    let path = |pattern: Result<PathPattern, _>| Condition::Path(pattern.unwrap());
    let hosts = |text: String| Condition::Hosts([HostPattern::parse(&text).unwrap()].into());
    let networks = |text: String| Condition::Client([Network::parse(&text).unwrap()].into());
    match i % 7 {
        0 => networks(format!("10.{}.{}.0/24", i / 256, i % 256)),
        1 => Condition::All(
            [hosts(format!("*.blocked-{i}.example")), path(PathPattern::prefix("/api"))].into(),
        ),
        2 => path(PathPattern::prefix(&format!("/admin/{i:04}"))),
        3 => path(PathPattern::regex(&format!("/service-{i:04}/v[0-9]+/.*\\.(php|aspx?)$"))),
        4 => Condition::Header(
            name("user-agent"),
            ValuePattern::regex(&format!("(?i)bot{i:04}/[0-9]")).unwrap(),
        ),
        5 => Condition::All(
            [
                Condition::Methods([Method::GET].into()),
                Condition::Query(format!("debug{i}").into(), ValuePattern::Present),
                Condition::Not(Box::new(networks("192.0.2.0/24".to_owned()))),
            ]
            .into(),
        ),
        _ => Condition::Any(
            [
                Condition::Header(name("x-tenant"), ValuePattern::Exact(format!("tenant-{i}").into())),
                path(PathPattern::exact(&format!("/tenants/{{id}}/{i}"))),
            ]
            .into(),
        ),
    }
}

fn rules(count: usize) -> Rules {
    let rule = |i| Rule {
        name: format!("rule-{i}").into(),
        condition: condition(i),
        end: None,
        log: None,
        tag: None,
    };
    Rules::build((0..count).map(rule).collect(), Vec::new()).unwrap()
}

/// What the requests differ in: client, host, path, query.
type Varied = (IpAddr, String, String, String);

fn requests() -> Vec<Varied> {
    let mut random = tables::random();
    let mut one = || {
        let client = IpAddr::from([10, 200, random() as u8, random() as u8]);
        let path = format!("/api/service-{:04}/users/{}/index.html", random() % 10_000, random() % 1_000_000);
        (
            client,
            format!("www-{}.example.com", random() % 100),
            path,
            format!("page={}&sort=name", random() % 100),
        )
    };
    (0..REQUESTS).map(|_| one()).collect()
}

fn fields() -> HeaderMap {
    let lines = [
        ("host", "www.example.com"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
        ),
        ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("accept-language", "en-GB,en;q=0.7"),
        ("accept-encoding", "gzip, deflate, br"),
        ("cookie", "session=0123456789abcdef; theme=dark"),
        ("x-tenant", "tenant-unknown"),
    ];
    lines
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// Rules, and requests that none of them matches, by turns.
struct Asking {
    rules: Rules,
    requests: Vec<Varied>,
    fields: HeaderMap,
    scratch: Scratch,
    at: usize,
}

impl Asking {
    fn new(count: usize) -> Asking {
        let (rules, requests, fields) = (rules(count), requests(), fields());
        Asking { rules, requests, fields, scratch: Scratch::default(), at: 0 }
    }

    fn ask(&mut self) {
        self.at = (self.at + 1) % self.requests.len();
        let (client, host, path, query) = &self.requests[self.at];
        let request = Request {
            client: Some(*client),
            method: &Method::GET,
            host,
            path,
            query: Some(query),
            lines: &self.fields,
        };
        assert_eq!(self.rules.matches(black_box(&request), &mut self.scratch).count(), 0);
    }
}

/// With few rules and with many.
pub fn cases() -> impl Iterator<Item = Case> {
    [10, 1_000].into_iter().map(|count| {
        Case::new(("rules", format!("{count} asked, none matches"), OURS), REQUESTS as u64, move || {
            let mut asking = Asking::new(count);
            Box::new(move |operations| (0..operations).for_each(|_| asking.ask()))
        })
    })
}

/// Prints percentiles of single requests; the clock is in them.
pub fn print_tail() {
    let mut asking = Asking::new(1_000);
    (0..10_000).for_each(|_| asking.ask());
    let mut took: Vec<u128> = (0..200_000)
        .map(|_| {
            let started = Instant::now();
            asking.ask();
            started.elapsed().as_nanos()
        })
        .collect();
    took.sort_unstable();
    for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        println!("1000 rules, none matches: {name} {} ns", took[(took.len() as f64 * part) as usize]);
    }
}
