//! Which driver a test runs on, and the macro that runs it on both.

use std::{io::Write, sync::OnceLock};

/// `runtime.driver` of a test's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    IoUring,
    Epoll,
}

impl Driver {
    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        }
    }
}

/// Runs `test` with io_uring where the kernel has it; says that it was skipped where not, which CI does not allow.
pub fn with_io_uring(test: impl FnOnce(Driver)) {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    match REFUSED.get_or_init(|| io_uring::IoUring::new(8).err().map(|error| error.to_string())) {
        None => test(Driver::IoUring),
        Some(error) => skip(&format!("this kernel refuses io_uring: {error}")),
    }
}

/// A test that can't run here. Under CI everything has to.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI is set, and a test can't run: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of a test's output, which hides what a test that passes has to say.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// `fn name(driver) { .. }` becomes two tests, `name::io_uring` and `name::epoll`.
#[macro_export]
macro_rules! both_drivers {
    ($($(#[doc = $doc:literal])* fn $name:ident($driver:ident) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test names something of its file")]
            use super::*;

            $(#[doc = $doc])*
            fn run($driver: $crate::harness::Driver) $body

            #[test]
            fn io_uring() {
                $crate::harness::driver::with_io_uring(run);
            }

            #[test]
            fn epoll() {
                run($crate::harness::Driver::Epoll);
            }
        }
    )+};
}
