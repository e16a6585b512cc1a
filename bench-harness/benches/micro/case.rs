//! A case: one design doing one thing, prepared once and then run as often as whoever measures wants.

/// Does the operation so many times.
pub type Run = Box<dyn FnMut(u64)>;

/// One line of the report.
pub struct Case {
    /// What is done: `route`, `pool`, ...
    pub group: &'static str,
    /// How much of it: `1000 routes`, `64 KiB`, ...
    pub size: String,
    /// Who does it.
    pub design: &'static str,
    /// Operations counted under valgrind. Enough that starting and stopping do not show.
    pub counted: u64,
    /// Builds what the operation needs, outside of every measurement.
    pub prepare: Box<dyn Fn() -> Run>,
}

/// The design whose cases have a baseline.
pub const OURS: &str = "ringlane";

impl Case {
    /// A case that is counted over `counted` operations.
    pub fn new(
        (group, size, design): (&'static str, impl Into<String>, &'static str),
        counted: u64,
        prepare: impl Fn() -> Run + 'static,
    ) -> Case {
        Case { group, size: size.into(), design, counted, prepare: Box::new(prepare) }
    }

    /// As it stands in files and is asked for on the command line.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.group, self.size, self.design)
    }
}
