//! Numbers for what a worker keeps state of: pools, cursors, in-flight counts and histograms are keyed by them, and so
//! outlive a change of the config.
//!
//! What keeps its name keeps its number from table to table: `compile` finds it in the table before. A name that is gone
//! is forgotten with the last table that had it, and comes back under a new number. A number is never given twice.

/// The next number of each kind of thing. Lives on the control thread, for the life of the process.
#[derive(Debug, Default)]
pub struct Identities {
    listeners: u32,
    upstreams: u32,
    endpoints: u32,
    routes: u32,
    workers: Option<usize>,
}

impl Identities {
    /// None given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A number for a new listener.
    pub fn listener(&mut self) -> u32 {
        next(&mut self.listeners)
    }

    /// A number for a new upstream.
    pub fn upstream(&mut self) -> u32 {
        next(&mut self.upstreams)
    }

    /// A number for a new endpoint. The same address in another upstream is another endpoint.
    pub fn endpoint(&mut self) -> u32 {
        next(&mut self.endpoints)
    }

    /// How many workers there are: what the first config says. A later one may say something else, for the next start.
    pub fn workers(&mut self, said: usize) -> usize {
        *self.workers.get_or_insert(said)
    }

    /// A number for a new route.
    pub fn route(&mut self) -> u32 {
        next(&mut self.routes)
    }
}

/// Beyond 2^32 names (more than two years of fifty new ones a second) the last number is shared rather than wrapped.
fn next(number: &mut u32) -> u32 {
    let given = *number;
    *number = given.saturating_add(1);
    given
}
