//! A control thread that never rests: an included file with many routes, written anew all the time.
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::Done;
use crate::fault::{At, Result};

/// Routes of the file, each of them another in every version.
const ROUTES: usize = 2_000;
/// From one version to the next.
const EVERY: Duration = Duration::from_millis(50);

/// Writes versions until then, and an empty one at last.
pub(super) fn storm(included: &Path, until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let mut versions = 0;
    while Instant::now() < until {
        versions += 1;
        write(included, &text(versions))?;
        thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
    }
    write(included, "")?;
    let note = format!("{versions} versions of a file with {ROUTES} routes");
    Ok(Done { note: Some(note), ..Done::since(begin) })
}

/// Renamed into place, so that nobody reads half of it. The other name is none that is included.
fn write(included: &Path, text: &str) -> Result<()> {
    let new = included.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, included)).at(included.display())
}

fn text(version: usize) -> String {
    (0..ROUTES)
        .map(|n| {
            format!(
                "[[routes]]\nname = \"storm-{n}\"\nmatch = {{ path = \"/storm/{n}\" }}\nrespond = {{ body = \"{version}\" }}\n"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_another() {
        let routes = |text: &str| text.parse::<toml::Table>().unwrap()["routes"].as_array().unwrap().len();
        assert_eq!(routes(&text(1)), ROUTES);
        assert_ne!(text(1), text(2));
    }
}
