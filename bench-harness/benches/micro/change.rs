//! One route of many changed: from a config that shares all else with the one before to the table being published,
//! beside building the table anew. Hosts of ten routes, as tenants have them, and all routes on one host, which is the
//! worst there is: the part of a table that is built anew is then all of it.

use std::{fmt::Write, hint::black_box, sync::Arc, time::Instant};

use ringlane::{
    control::{
        Compiled, Identities, Resolved, compile,
        config::{Action, Config, Route, parse_str},
        publish::Published,
    },
    route::{HostPattern, PathPattern},
};
use ringlane_bench::resident;

use crate::{
    case::{Case, OURS},
    report::duration,
    wall,
};

const SIZES: [usize; 2] = [5_000, 50_000];
const ROUTES_PER_HOST: usize = 10;
/// Upstreams that the routes lead to.
const UPSTREAMS: usize = 50;
/// The design that makes every table anew.
const ANEW: &str = "built anew";

/// Where the routes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// Ten on each.
    Many,
    /// All on one.
    One,
}

impl Hosts {
    fn name(self) -> &'static str {
        match self {
            Hosts::Many => "10 on each host",
            Hosts::One => "all on one host",
        }
    }
}

fn upstream(i: usize) -> Arc<str> {
    format!("upstream-{}", i % UPSTREAMS).into()
}

/// The config, and route `i` with this name, which leads to upstream `to`.
struct Routes {
    template: Arc<Route>,
    hosts: Hosts,
}

impl Routes {
    fn route(&self, i: usize, name: String, to: usize) -> Arc<Route> {
        let mut route = Route::clone(&self.template);
        let host = match self.hosts {
            Hosts::Many => i / ROUTES_PER_HOST,
            Hosts::One => 0,
        };
        let path = match self.hosts {
            Hosts::Many => i % ROUTES_PER_HOST,
            Hosts::One => i,
        };
        route.name = name.into();
        route.predicates.hosts =
            HostPattern::parse(&format!("host-{host}.example.com")).into_iter().collect();
        // Half of them exact, half of them prefixes.
        let path = format!("/api/v1/part-{path}");
        let pattern =
            if i.is_multiple_of(2) { PathPattern::exact(&path) } else { PathPattern::prefix(&path) };
        route.predicates.path = pattern.unwrap();
        route.action = Action::Upstream(upstream(to));
        Arc::new(route)
    }
}

/// A control thread with a table that is published.
struct Control {
    config: Config,
    routes: Routes,
    identities: Identities,
    compiled: Compiled,
    published: Arc<Published>,
    changes: usize,
}

impl Control {
    fn new(count: usize, hosts: Hosts) -> Control {
        let mut text = "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n".to_owned();
        for i in 0..UPSTREAMS {
            let name = upstream(i);
            let _ =
                write!(text, "[[upstreams]]\nname = \"{name}\"\nendpoints = [\"127.0.0.1:{}\"]\n", 9_000 + i);
        }
        text += "[[routes]]\nname = \"route\"\nupstream = \"upstream-0\"\n";
        let mut config = parse_str("bench.toml", &text).unwrap();
        let routes = Routes { template: Arc::clone(&config.routes[0]), hosts };
        config.routes = Arc::new((0..count).map(|i| routes.route(i, format!("route-{i}"), i)).collect());
        let mut identities = Identities::new();
        let compiled = compile(&config, &Resolved::new(), &mut identities, 1, None).unwrap();
        let published = Published::new(Arc::clone(compiled.table()));
        Control { config, routes, identities, compiled, published, changes: 0 }
    }

    /// One route, far from the one before, gets another upstream; `renamed`: and another name.
    fn change(&mut self, renamed: bool) {
        self.changes += 1;
        let count = self.config.routes.len();
        let i = self.changes * 7_919 % count;
        let name = if renamed { format!("route-{i}-{}", self.changes) } else { format!("route-{i}") };
        Arc::make_mut(&mut self.config.routes)[i] = self.routes.route(i, name, i + self.changes);
    }

    /// To the table being published, as a change of the config is.
    fn publish(&mut self, anew: bool) {
        let before = if anew { None } else { Some(&self.compiled) };
        let generation = self.published.generation() + 1;
        let compiled =
            compile(&self.config, &Resolved::new(), &mut self.identities, generation, before).unwrap();
        self.published.publish(Arc::clone(compiled.table()));
        self.compiled = compiled;
        self.published.reap();
    }
}

/// One change at both sizes, by both.
pub fn cases() -> Vec<Case> {
    let kinds = [Hosts::Many, Hosts::One].into_iter().flat_map(|hosts| SIZES.map(|count| (count, hosts)));
    kinds
        .flat_map(|(count, hosts)| {
            [(OURS, false), (ANEW, true)].map(|(design, anew)| {
                let size = format!("{count} routes, {}", hosts.name());
                // What is slow is counted over few operations: each is millions of instructions.
                let counted = if anew || hosts == Hosts::One { 2 } else { 16 };
                Case::new(("change", size, design), counted, move || {
                    let mut control = Control::new(count, hosts);
                    Box::new(move |operations| {
                        for _ in 0..operations {
                            control.change(false);
                            black_box(&mut control).publish(anew);
                        }
                    })
                })
            })
        })
        .collect()
}

/// Changes in the table below.
const CHANGES: usize = 10_000;
/// Changes that are slow.
const SLOW_CHANGES: usize = 200;

/// Many changes in a row: how long each took, and what became of the memory.
pub fn report(out: &mut String) -> Result<(), String> {
    out.push_str(
        "\n## change: many in a row\n\nFrom a config with one route replaced to its table being published; no worker holds any.\n\n\
         | routes | every change brings | changes | p50 | p99 | longest | resident memory |\n|---|---|---|---|---|---|---|\n",
    );
    for count in SIZES {
        for (hosts, renamed) in [(Hosts::Many, false), (Hosts::Many, true), (Hosts::One, true)] {
            row(out, (count, hosts), renamed)?;
        }
    }
    Ok(())
}

fn row(out: &mut String, (count, hosts): (usize, Hosts), renamed: bool) -> Result<(), String> {
    let mut control = Control::new(count, hosts);
    let changes = match hosts {
        Hosts::Many if wall::is_quick() => CHANGES / 10,
        Hosts::Many => CHANGES,
        Hosts::One => SLOW_CHANGES,
    };
    let resident = || resident::process_tree(std::process::id()).map_err(|fault| fault.to_string());
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut times = Vec::with_capacity(changes);
    // The first changes spread what was built in one piece.
    (0..changes / 10).for_each(|_| {
        control.change(renamed);
        control.publish(false);
    });
    let before = resident()?;
    for _ in 0..changes {
        control.change(renamed);
        let started = Instant::now();
        control.publish(false);
        times.push(started.elapsed().as_nanos() as f64);
    }
    let after = resident()?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| duration(times[((changes as f64 * share) as usize).min(changes - 1)]);
    let _ = writeln!(
        out,
        "| {count}, {} | {} | {changes} | {} | {} | {} | {:.1} to {:.1} MiB |",
        hosts.name(),
        if renamed { "a new name" } else { "another upstream" },
        at(0.5),
        at(0.99),
        at(1.0),
        mebibytes(before),
        mebibytes(after),
    );
    Ok(())
}
