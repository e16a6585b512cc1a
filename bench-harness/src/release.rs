//! Release builds only: a debug build has fooled people before, and whoever reads its figures later can't tell.
use clap::Args;

use crate::fault::{Fault, Result};

/// What everything says that was measured of, or by, a debug build.
pub const MARK: &str = "DEBUG BUILD: figures mean nothing";

/// What release builds of Ringlane call themselves: cargo's, and that of scripts/pgo.sh.
const RELEASES: [&str; 2] = ["release", "profile-guided release"];

/// The one way round the refusal.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowDebug {
    /// Take a debug build nevertheless; reports and records then say that their figures mean nothing
    #[arg(long)]
    pub allow_debug: bool,
}

/// [`MARK`] where this very program is a debug build.
pub fn mark() -> Option<&'static str> {
    cfg!(debug_assertions).then_some(MARK)
}

/// Whether a proxy that calls its build so is none that may be measured; one that does not say is not taken for one.
pub(crate) fn is_debug(build: &str) -> bool {
    !RELEASES.contains(&build)
}

impl AllowDebug {
    /// Refuses to measure with a debug build of this program.
    pub fn check_own(self) -> Result<()> {
        self.check(cfg!(debug_assertions), "this ringlane-bench is a debug build")
    }

    /// Refuses to measure a proxy that calls its build so.
    pub(crate) fn check_proxy(self, name: &str, build: &str) -> Result<()> {
        let what = format!("the proxy {name} is a {build} build");
        self.check(is_debug(build), &what)
    }

    /// Refuses to compare figures of a debug build.
    pub(crate) fn check_record(self, name: &str, debug: bool) -> Result<()> {
        self.check(debug, &format!("{name} is of a debug build"))
    }

    fn check(self, debug: bool, what: &str) -> Result<()> {
        match (debug, self.allow_debug) {
            (false, _) => Ok(()),
            (true, true) => {
                eprintln!("WARNING: {MARK} ({what})");
                Ok(())
            }
            (true, false) => Err(Fault::refusal(format!(
                "{what}, whose figures mean nothing: build with `cargo build --release`, or take it nevertheless with \
                 --allow-debug, which every report then says"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_release_build_is_measured_unless_debug_is_allowed() {
        let strict = AllowDebug::default();
        for build in ["release", "profile-guided release"] {
            assert!(strict.check_proxy("ringlane", build).is_ok());
        }
        for build in ["debug", "", "unknown", "profile-guided"] {
            let fault = strict.check_proxy("ringlane-epoll", build).unwrap_err();
            assert_eq!(fault.code(), 2);
            let text = fault.to_string();
            for part in ["ringlane-epoll", "cargo build --release", "--allow-debug"] {
                assert!(text.contains(part), "{text}");
            }
            assert!(AllowDebug { allow_debug: true }.check_proxy("ringlane", build).is_ok());
        }
    }
}
