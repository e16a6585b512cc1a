//! `ringlane doctor`: what this machine gives a proxy, and what to change.
//!
//! Looks and tries, changes nothing. Each finding is made by a function of what was read, so that machines we don't
//! have can be tested.

mod cgroup;
mod network;
mod process;
mod ring;

use std::fs;

/// All findings, in the order in which they are shown.
#[derive(Debug, Clone)]
pub struct Report {
    /// One per line.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How good it is.
    pub outcome: Outcome,
    /// What was looked at.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What to change, where that would help.
    pub advice: Option<String>,
}

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// The proxy can't run like this.
    Fail,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Ok, what, found: found.into(), advice: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Warn, what, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Fail, ..Finding::warn(what, found, advice) }
    }
}

impl Report {
    /// The proxy can't run on this machine as it is.
    pub fn has_failed(&self) -> bool {
        self.count(Outcome::Fail) > 0
    }

    /// The last line: what it comes to.
    pub fn verdict(&self) -> String {
        let plural =
            |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        match (self.count(Outcome::Fail), self.count(Outcome::Warn)) {
            (0, 0) => "ringlane will run well here".to_owned(),
            (0, warnings) => format!("ringlane will run here; {} could be better", plural(warnings, "thing")),
            (failures, _) => format!("ringlane can't run here: {}", plural(failures, "failure")),
        }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|it| it.outcome == outcome).count()
    }
}

/// Looks at everything.
pub fn examine() -> Report {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut findings = vec![
        ring::kernel(&release),
        ring::sysctl(read("/proc/sys/kernel/io_uring_disabled").as_deref()),
        ring::ring(ring::Tried::now(), ring::seccomp_filters(read("/proc/self/status").as_deref())),
        process::memlock(process::limit(libc::RLIMIT_MEMLOCK), ring::version(&release)),
        process::open_files(process::limit(libc::RLIMIT_NOFILE)),
        process::cores(process::allowed_cores(), std::thread::available_parallelism().map_or(1, usize::from)),
    ];
    findings.extend(cgroup::examine(process::allowed_cores()));
    findings.push(network::somaxconn(read("/proc/sys/net/core/somaxconn").as_deref()));
    findings.push(network::ports(read("/proc/sys/net/ipv4/ip_local_port_range").as_deref()));
    Report { findings }
}

/// A file of `/proc` or `/sys`, trimmed; `None` where it isn't there or can't be read.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|it| it.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_examined() {
        let report = examine();
        assert!(report.findings.len() >= 8);
        assert!(report.findings.iter().all(|it| !it.found.is_empty()));
        assert!(report.findings.iter().all(|it| it.advice.is_some() == (it.outcome != Outcome::Ok)));
    }

    #[test]
    fn the_verdict_counts() {
        let of = |findings: &[Finding]| Report { findings: findings.to_vec() };
        let (ok, warn) = (Finding::ok("a", "b"), Finding::warn("a", "b", "c"));
        let fail = Finding::fail("a", "b", "c");
        assert_eq!(of(std::slice::from_ref(&ok)).verdict(), "ringlane will run well here");
        assert_eq!(of(&[ok, warn.clone()]).verdict(), "ringlane will run here; 1 thing could be better");
        assert_eq!(of(&[warn, fail]).verdict(), "ringlane can't run here: 1 failure");
    }
}
