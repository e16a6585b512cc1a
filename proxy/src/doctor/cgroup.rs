//! What the cgroup allows: a CPU quota and memory. Version 2 is looked at from the process's group up to the root;
//! of version 1, the group itself.

use std::{fs, path::Path};

use super::Finding;

const ROOT: &str = "/sys/fs/cgroup";
/// Memory below which buffers of a few thousand connections are tight.
const MEMORY_BYTES_GOOD: u64 = 128 << 20;

/// The tightest limits that hold.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Limits {
    /// Cores' worth of time.
    cpus: Option<f64>,
    memory_bytes: Option<u64>,
}

/// Findings about CPU and memory. `cores`: how many the process may run on.
pub(super) fn examine(cores: usize) -> [Finding; 2] {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limits(Path::new(ROOT), &groups);
    [cpu(limits.cpus, cores), memory(limits.memory_bytes)]
}

/// The limits of the groups that `/proc/self/cgroup` names.
fn limits(root: &Path, groups: &str) -> Limits {
    let mut limits = Limits::default();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let group = group.trim_start_matches('/');
        if controllers.is_empty() {
            for directory in root.join(group).ancestors().take_while(|it| it.starts_with(root)) {
                limits.add(version_2(directory));
            }
        }
        for controller in controllers.split(',').filter(|it| matches!(*it, "cpu" | "memory")) {
            limits.add(version_1(&root.join(controller).join(group)));
            limits.add(version_1(&root.join(controllers).join(group)));
        }
    }
    limits
}

impl Limits {
    fn add(&mut self, other: Limits) {
        self.cpus = self.cpus.into_iter().chain(other.cpus).reduce(f64::min);
        self.memory_bytes = self.memory_bytes.into_iter().chain(other.memory_bytes).min();
    }
}

fn version_2(directory: &Path) -> Limits {
    let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
    let cpu = read("cpu.max");
    let mut words = cpu.split_whitespace().map(|it| it.parse::<f64>().ok());
    let cpus = match (words.next().flatten(), words.next().flatten()) {
        (Some(quota), Some(period)) if period > 0.0 => Some(quota / period),
        _ => None,
    };
    Limits { cpus, memory_bytes: read("memory.max").trim().parse().ok() }
}

fn version_1(directory: &Path) -> Limits {
    let read =
        |file: &str| -> Option<f64> { fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok() };
    let cpus = match (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us")) {
        (Some(quota), Some(period)) if quota > 0.0 && period > 0.0 => Some(quota / period),
        _ => None,
    };
    // No limit is a number near 2^63 here.
    let memory = read("memory.limit_in_bytes").filter(|it| *it < (1_u64 << 60) as f64).map(|it| it as u64);
    Limits { cpus, memory_bytes: memory }
}

fn cpu(cpus: Option<f64>, cores: usize) -> Finding {
    const WHAT: &str = "cgroup CPU";
    match cpus {
        None => Finding::ok(WHAT, "no quota"),
        Some(cpus) if cpus + 0.01 < cores as f64 => Finding::warn(
            WHAT,
            format!("a quota of {cpus:.2} cores, on {cores}"),
            "when the quota is used up every worker stands still for tens of milliseconds: give whole cores\n\
             (cpuset), or set runtime.workers to the quota, rounded down",
        ),
        Some(cpus) => Finding::ok(WHAT, format!("a quota of {cpus:.2} cores")),
    }
}

fn memory(bytes: Option<u64>) -> Finding {
    const WHAT: &str = "cgroup memory";
    match bytes {
        None => Finding::ok(WHAT, "no limit"),
        Some(bytes) if bytes < MEMORY_BYTES_GOOD => Finding::warn(
            WHAT,
            format!("{} MiB", bytes >> 20),
            "tight for thousands of connections: lower max_connections of listeners, or raise memory.max",
        ),
        Some(bytes) => Finding::ok(WHAT, format!("{} MiB", bytes >> 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn the_tightest_group_counts() -> std::io::Result<()> {
        let root = std::env::temp_dir().join(format!("ringlane-cgroup-{}", std::process::id()));
        let inner = root.join("outer/inner");
        fs::create_dir_all(&inner)?;
        fs::create_dir_all(root.join("cpu"))?;
        fs::write(root.join("outer/cpu.max"), "150000 100000\n")?;
        fs::write(inner.join("cpu.max"), "max 100000\n")?;
        fs::write(inner.join("memory.max"), "104857600\n")?;
        fs::write(root.join("cpu/cpu.cfs_quota_us"), "-1\n")?;
        fs::write(root.join("cpu/cpu.cfs_period_us"), "100000\n")?;
        let found = limits(&root, "1:cpu:/\n0::/outer/inner\n");
        fs::remove_dir_all(&root)?;
        assert_eq!(found, Limits { cpus: Some(1.5), memory_bytes: Some(100 << 20) });
        Ok(())
    }

    #[test]
    fn a_quota_below_the_cores_is_a_warning() {
        assert_eq!(cpu(Some(1.5), 2).outcome, Outcome::Warn);
        assert_eq!(cpu(Some(2.0), 2).outcome, Outcome::Ok);
        assert_eq!(cpu(None, 2).outcome, Outcome::Ok);
        assert_eq!(memory(Some(64 << 20)).outcome, Outcome::Warn);
    }
}
