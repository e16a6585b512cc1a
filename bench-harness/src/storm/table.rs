//! Storms through the admin API at each pace and each interval, beside quiet times: the source's table, measured here.
use std::{path::Path, time::Duration};

use serde_json::json;

use super::{
    TITLE,
    cell::{self, Cell},
    changes::{Series, Source},
    noise,
    options::StormArgs,
    site::{Setup, Site},
    window::{self, SENDERS, Storm, Window},
};
use crate::{
    fault::{Fault, Result},
    loadtest::{Cores, environment::Environment},
    report::sheet::Sheet,
};

/// Routes that are changed, in turn; the rest forward.
const CHANGED_MAX: usize = 100;
/// Quiet times, as a share of a storm's.
const QUIET_SHARE: u32 = 3;
/// What is asked for.
const SIZES: [(u64, u32); 1] = [(13, 1)];

/// Measures all of it. True: nothing went wrong.
pub(super) fn run(args: &StormArgs, cores: Cores, dir: &Path, mut environment: Environment) -> Result<bool> {
    let mut cells = Vec::new();
    for (at, interval) in args.intervals.iter().enumerate() {
        let changed = changed(args.routes());
        let setup = Setup {
            name: format!("interval-{at}"),
            forwarding: args.routes() - changed,
            interval: *interval,
            included: None,
            etcd: None,
        };
        let site = Site::start(args, &setup, cores, dir)?;
        environment.drivers = vec![("ringlane".into(), site.info.words())];
        environment.debug_build |= site.is_debug();
        cells.extend(of_interval(args, &site, *interval, changed, cores)?);
    }
    let quiet: Vec<&Window> = cells.iter().flat_map(|it| &it.quiet).collect();
    let noise = noise::sentences(cells.iter().flat_map(|it| [&it.storm, &it.quiet[0], &it.quiet[1]]), &quiet);
    let good = cells.iter().all(|it| it.wrong().is_none());
    let sheet = Sheet {
        title: TITLE,
        environment,
        noise,
        parts: cell::parts(args, &cells),
        figures: cells.iter().flat_map(Cell::figures).collect(),
        results: json!({ "cells": cells }),
    };
    sheet.publish(dir)?;
    Ok(good)
}

/// How many routes are changed: whole turns of all senders, and at most half.
fn changed(routes: usize) -> usize {
    let step = SENDERS * 5;
    (routes / 2 / step * step).min(CHANGED_MAX)
}

fn of_interval(
    args: &StormArgs,
    site: &Site,
    interval: Duration,
    changed: usize,
    cores: Cores,
) -> Result<Vec<Cell>> {
    let series = Series { source: Source::Api(site.admin), routes: changed };
    let storm = |first: u64, count: u64, every: Duration| Storm {
        series: &series,
        first,
        count,
        every,
        offset: Duration::ZERO,
        interval,
    };
    // The routes that will be changed, and then rest: the first change of a storm finds no table that is just built.
    let added = changed as u64;
    let setup = window::run(site, None, Duration::ZERO, &[storm(0, added, Duration::ZERO)], |_| Ok(()))?;
    if setup.changes.refused + setup.changes.lost > 0 {
        let example = setup.changes.examples.first().cloned().unwrap_or_default();
        return Err(Fault::new(format!("the routes to change could not be added: {example}")));
    }
    let quiet_time = (args.storm() / QUIET_SHARE).max(interval);
    let quiet_plan = site.plan(args, cores, &SIZES, quiet_time)?;
    let plan = site.plan(args, cores, &SIZES, args.storm())?;
    let quiet = || {
        let none = storm(0, 0, Duration::ZERO);
        window::run(site, Some(&quiet_plan), quiet_time, &[none], |_| Ok(()))
    };
    let mut before = quiet()?;
    let mut first = added;
    let mut cells = Vec::new();
    for &every in &args.every {
        let count = (args.storm().as_secs_f64() / every.as_secs_f64()).ceil().max(1.0) as u64;
        println!("{}, interval {}, {:?} ...", cell::pace(every), cell::interval(interval), args.storm());
        let stormy = window::run(site, Some(&plan), args.storm(), &[storm(first, count, every)], |_| Ok(()))?;
        first += count;
        let after = quiet()?;
        cells.push(Cell { every, interval, storm: stormy, quiet: [before, after.clone()] });
        before = after;
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sender_has_whole_turns() {
        assert_eq!([40, 200, 5_000].map(changed), [20, 100, 100]);
        assert!([40, 200, 5_000].iter().all(|n| changed(*n).is_multiple_of(SENDERS)));
    }
}
