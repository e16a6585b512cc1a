//! The kernel and its io_uring.

use std::io;

use io_uring::{IoUring, cqueue, squeue};

use super::Finding;

/// The first kernel with all ring flags that we use.
const FLAGS_SINCE: (u32, u32) = (6, 1);
/// The first kernel with SO_REUSEPORT, without which workers can't share a port.
const REUSEPORT_SINCE: (u32, u32) = (3, 9);
/// Entries of a ring that is only tried.
const ENTRIES: u32 = 8;

/// What became of building a ring.
pub(super) struct Tried {
    /// With SINGLE_ISSUER, COOP_TASKRUN and DEFER_TASKRUN.
    pub(super) with_flags: Result<(), i32>,
    /// Without flags; only tried where the flags were refused.
    pub(super) plain: Result<(), i32>,
}

impl Tried {
    /// Builds rings and drops them.
    pub(super) fn now() -> Tried {
        let mut builder = IoUring::<squeue::Entry, cqueue::Entry>::builder();
        builder.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
        let code = |error: io::Error| error.raw_os_error().unwrap_or(0);
        let with_flags = builder.build(ENTRIES).map(drop).map_err(code);
        let plain = if with_flags.is_ok() { Ok(()) } else { IoUring::new(ENTRIES).map(drop).map_err(code) };
        Tried { with_flags, plain }
    }
}

/// Major and minor number, from `uname -r`.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']).map(|it| it.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The kernel.
pub(super) fn kernel(release: &str) -> Finding {
    const WHAT: &str = "kernel";
    let Some(version) = version(release) else {
        return Finding::warn(
            WHAT,
            format!("{release:?} is no version we know"),
            "Linux 6.1 or later is best",
        );
    };
    match version {
        version if version < REUSEPORT_SINCE => {
            Finding::fail(WHAT, release, "too old for SO_REUSEPORT: Linux 6.1 or later is best")
        }
        version if version < FLAGS_SINCE => {
            Finding::warn(WHAT, release, "Linux 6.1 or later has the ring flags that make io_uring fastest")
        }
        _ => Finding::ok(WHAT, release),
    }
}

/// The sysctl that forbids io_uring; it exists since Linux 6.6.
pub(super) fn sysctl(value: Option<&str>) -> Finding {
    const WHAT: &str = "io_uring sysctl";
    const ADVICE: &str = "sysctl -w kernel.io_uring_disabled=0";
    match value {
        None => Finding::ok(WHAT, "there is none: not forbidden"),
        Some("0") => Finding::ok(WHAT, "kernel.io_uring_disabled = 0: allowed"),
        Some("1") => Finding::warn(
            WHAT,
            "kernel.io_uring_disabled = 1: for the privileged alone",
            format!("{ADVICE}, or add this user's group to kernel.io_uring_group"),
        ),
        Some(other) => Finding::warn(WHAT, format!("kernel.io_uring_disabled = {other}: forbidden"), ADVICE),
    }
}

/// Whether a seccomp filter is in force, from `/proc/self/status`.
pub(super) fn seccomp_filters(status: Option<&str>) -> bool {
    status.is_some_and(|it| it.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])))
}

/// Which driver `driver = "auto"` will choose, and why not a better one.
pub(super) fn ring(tried: Tried, seccomp: bool) -> Finding {
    const WHAT: &str = "io_uring";
    let (flags, plain) = match (tried.with_flags, tried.plain) {
        (Ok(()), _) => return Finding::ok(WHAT, "works with SINGLE_ISSUER, COOP_TASKRUN and DEFER_TASKRUN"),
        (Err(flags), plain) => (flags, plain),
    };
    let reason = |code: i32| io::Error::from_raw_os_error(code).to_string();
    match plain {
        Ok(()) => Finding::warn(
            WHAT,
            format!("works, without the flags that make it fastest ({})", reason(flags)),
            "Linux 6.1 or later has them; until then driver = \"epoll\" may be faster",
        ),
        Err(code) => {
            let advice = match code {
                libc::EPERM | libc::EACCES | libc::ENOSYS if seccomp => {
                    "a seccomp filter refuses io_uring_setup, as containers' default profiles do: allow io_uring_setup,\n\
                     io_uring_enter and io_uring_register (docker run --security-opt seccomp=PROFILE)"
                }
                libc::EPERM | libc::EACCES => {
                    "forbidden: see kernel.io_uring_disabled, or the sandbox's policy"
                }
                libc::ENOSYS => "this kernel is built without io_uring, or a sandbox hides it",
                libc::ENOMEM => "raise the limit on locked memory (ulimit -l, LimitMEMLOCK= of systemd)",
                libc::EMFILE | libc::ENFILE => "raise the limit on open files",
                _ => "driver = \"epoll\" works everywhere",
            };
            Finding::warn(WHAT, format!("refused ({}): epoll will be used", reason(code)), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn kernels() {
        for (release, outcome) in [
            ("6.18.44-fc", Outcome::Ok),
            ("6.1.0-13-amd64", Outcome::Ok),
            ("5.15.0-1-generic", Outcome::Warn),
            ("3.8.0", Outcome::Fail),
            ("unknown", Outcome::Warn),
            ("", Outcome::Warn),
        ] {
            assert_eq!(kernel(release).outcome, outcome, "{release}");
        }
    }

    #[test]
    fn the_sysctl() {
        for (value, outcome) in [
            (None, Outcome::Ok),
            (Some("0"), Outcome::Ok),
            (Some("1"), Outcome::Warn),
            (Some("2"), Outcome::Warn),
        ] {
            assert_eq!(sysctl(value).outcome, outcome, "{value:?}");
        }
    }

    #[test]
    fn rings() {
        let found = |with_flags, plain, seccomp| ring(Tried { with_flags, plain }, seccomp);
        assert_eq!(found(Ok(()), Ok(()), true).outcome, Outcome::Ok);
        let plain = found(Err(libc::EINVAL), Ok(()), false);
        assert_eq!((plain.outcome, plain.found.starts_with("works, without")), (Outcome::Warn, true));
        let refused = found(Err(libc::EPERM), Err(libc::EPERM), true);
        assert!(refused.advice.is_some_and(|it| it.contains("seccomp")));
        let forbidden = found(Err(libc::EPERM), Err(libc::EPERM), false);
        assert!(forbidden.advice.is_some_and(|it| it.contains("io_uring_disabled")));
    }

    #[test]
    fn seccomp_of_a_status_file() {
        assert!(seccomp_filters(Some("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1")));
        assert!(!seccomp_filters(Some("Seccomp:\t0\nSeccomp_filters:\t2")));
        assert!(!seccomp_filters(None));
    }
}
