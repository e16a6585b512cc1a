//! What the process may have: locked memory, open files, cores.

use super::Finding;

/// Locked memory that rings of a few workers need on kernels before 5.12, which counted rings against it.
const MEMLOCK_BYTES_MIN: u64 = 4 << 20;
/// The first kernel that does not count rings against locked memory.
const RINGS_UNCOUNTED_SINCE: (u32, u32) = (5, 12);
/// Open files below which a proxy runs out under ordinary load: two for each exchange.
const OPEN_FILES_GOOD: u64 = 65_536;
/// Open files below which it is of no use.
const OPEN_FILES_MIN: u64 = 1024;

/// A limit of the process: soft and hard; `u64::MAX`: none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) soft: u64,
    pub(super) hard: u64,
}

/// Asks the kernel for a limit.
pub(super) fn limit(resource: libc::__rlimit_resource_t) -> Option<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that the call writes to and does not keep.
    let done = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (done == 0).then_some(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

fn show(limit: u64, unit: impl Fn(u64) -> String) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { unit(limit) }
}

/// Locked memory, which rings are counted against on kernels before 5.12 alone.
pub(super) fn memlock(limit: Option<Limit>, kernel: Option<(u32, u32)>) -> Finding {
    const WHAT: &str = "locked memory";
    let Some(limit) = limit else { return Finding::ok(WHAT, "unknown") };
    let found = show(limit.soft, |bytes| format!("{} KiB", bytes >> 10));
    let counted = kernel.is_none_or(|it| it < RINGS_UNCOUNTED_SINCE);
    if limit.soft >= MEMLOCK_BYTES_MIN || !counted {
        Finding::ok(WHAT, found)
    } else {
        Finding::warn(WHAT, found, "rings count against it: ulimit -l 65536, or LimitMEMLOCK=64M of systemd")
    }
}

/// Open files. The server raises the soft limit to the hard one, so the hard one counts.
pub(super) fn open_files(limit: Option<Limit>) -> Finding {
    const WHAT: &str = "open files";
    const ADVICE: &str = "each client and each upstream connection takes one: raise the hard limit, by\n\
                          LimitNOFILE=1048576 of systemd, --ulimit nofile=1048576 of docker, or limits.conf";
    let Some(Limit { soft, hard }) = limit else { return Finding::ok(WHAT, "unknown") };
    let mut found = show(hard, |it| it.to_string());
    if soft < hard {
        found.push_str(&format!(" (raised from {soft} at start)"));
    }
    match hard {
        ..OPEN_FILES_MIN => Finding::fail(WHAT, found, ADVICE),
        OPEN_FILES_MIN..OPEN_FILES_GOOD => Finding::warn(WHAT, found, ADVICE),
        _ => Finding::ok(WHAT, found),
    }
}

/// Cores in the process's affinity mask.
pub(super) fn allowed_cores() -> usize {
    core_affinity::get_core_ids().map_or(1, |it| it.len().max(1))
}

/// Cores that may be used, and the workers that `"auto"` makes of them.
pub(super) fn cores(allowed: usize, parallelism: usize) -> Finding {
    const WHAT: &str = "cores";
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let found = format!(
        "{allowed} core{} allowed; workers = \"auto\" means {parallelism} worker{}",
        plural(allowed),
        plural(parallelism)
    );
    Finding::ok(WHAT, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn files() {
        for (hard, outcome) in [
            (256, Outcome::Fail),
            (1024, Outcome::Warn),
            (20_000, Outcome::Warn),
            (65_536, Outcome::Ok),
            (u64::MAX, Outcome::Ok),
        ] {
            assert_eq!(open_files(Some(Limit { soft: 256, hard })).outcome, outcome, "{hard}");
        }
        let raised = open_files(Some(Limit { soft: 1024, hard: u64::MAX }));
        assert_eq!(raised.found, "unlimited (raised from 1024 at start)");
    }

    #[test]
    fn locked_memory() {
        let little = Some(Limit { soft: 64 << 10, hard: 64 << 10 });
        assert_eq!(memlock(little, Some((5, 10))).outcome, Outcome::Warn);
        assert_eq!(memlock(little, Some((6, 1))).outcome, Outcome::Ok);
        assert_eq!(memlock(Some(Limit { soft: u64::MAX, hard: u64::MAX }), None).found, "unlimited");
    }
}
