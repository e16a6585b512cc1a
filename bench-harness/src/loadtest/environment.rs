//! Where and of what the figures are, so that a report can be read a year later.
use std::{
    env, fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{peer::Peer, subject::Subjects};
use crate::{
    release,
    runtime::{DriverChoice, Runtime},
};

/// What a report begins with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Environment {
    pub(super) date: String,
    pub(super) command: String,
    pub(super) commit: String,
    pub(super) kernel: String,
    pub(super) cpu: String,
    pub(super) cores: Vec<usize>,
    pub(super) memory: String,
    pub(super) load_average: String,
    /// The load generator's and the floor's.
    pub(super) driver: String,
    /// Ringlane's own, with its build, by subject.
    pub(crate) drivers: Vec<(String, String)>,
    /// How each subject was started.
    pub(super) commands: Vec<(String, String)>,
    pub(super) peers: Vec<String>,
    /// Of anything that was measured, or of this program.
    pub(crate) debug_build: bool,
}

impl Environment {
    pub(crate) fn read(cores: &[usize], peers: &[Peer]) -> Self {
        // What this process gets; Ringlane is asked for its own once it runs.
        let driver = std::thread::spawn(|| Runtime::new(DriverChoice::Auto).map(|r| r.driver().to_string()));
        let driver = driver.join().ok().and_then(|result| result.ok());
        Self {
            date: timestamp(),
            command: env::args().collect::<Vec<_>>().join(" "),
            commit: commit(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            cpu: cpu_model(),
            cores: cores.to_vec(),
            memory: first_line("/proc/meminfo").trim_start_matches("MemTotal:").trim().to_owned(),
            load_average: first_line("/proc/loadavg"),
            driver: driver.unwrap_or_else(|| "none".into()),
            drivers: Vec::new(),
            commands: Vec::new(),
            peers: versions(peers),
            debug_build: cfg!(debug_assertions),
        }
    }

    /// Notes how the subjects were started and what they say that they are.
    pub(super) fn note(&mut self, subjects: &Subjects) {
        self.commands = subjects.commands();
        self.drivers = subjects.infos().map(|(name, info)| (name.to_owned(), info.words())).collect();
        self.debug_build |= subjects.infos().any(|(_, info)| release::is_debug(&info.build));
    }

    /// Name and value of each line.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("date", format!("{} UTC", readable(&self.date))),
            ("command", self.command.clone()),
            ("commit", self.commit.clone()),
            ("kernel", self.kernel.clone()),
            ("cpu", format!("{}, cores {:?}", self.cpu, self.cores)),
            ("memory", self.memory.clone()),
            ("load average", self.load_average.clone()),
            ("driver", format!("load generator and floor: {}", self.driver)),
        ];
        lines.extend(self.drivers.iter().map(|(name, driver)| ("driver", format!("{name}: {driver}"))));
        lines.extend(self.peers.iter().map(|peer| ("peer", peer.clone())));
        if self.debug_build {
            lines.insert(0, ("WARNING", release::MARK.into()));
        }
        lines
    }

    pub(crate) fn describe(&self) -> String {
        self.lines().iter().map(|(name, value)| format!("{name:<12}  {value}\n")).collect::<String>() + "\n"
    }
}

/// Of each program once, however many peers it is.
fn versions(peers: &[Peer]) -> Vec<String> {
    let mut versions: Vec<_> = peers.iter().filter_map(|&peer| peer.version()).collect();
    versions.dedup();
    versions
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    model.map_or_else(|| env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with local changes") } else { commit }
}

/// `2026-01-31 23:59:59` of `20260131-235959`.
pub(super) fn readable(timestamp: &str) -> String {
    const SEPARATORS: [(usize, char); 4] = [(4, '-'), (6, '-'), (11, ':'), (13, ':')];
    let mut text = String::new();
    for (index, character) in timestamp.chars().enumerate() {
        text.extend(SEPARATORS.iter().filter(|(at, _)| *at == index).map(|(_, separator)| separator));
        text.push(if character == '-' { ' ' } else { character });
    }
    text
}

/// The time now, in UTC, as `20260131-235959`.
pub(super) fn timestamp() -> String {
    format_time(SystemTime::now())
}

/// A time, in UTC, the same way.
pub(super) fn format_time(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days to date by eras of 400 years that begin on the first of March; Hinnant's civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_readable() {
        assert_eq!(readable("20260131-235959"), "2026-01-31 23:59:59");
    }

    #[test]
    fn times_are_dates() {
        for (seconds, text) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_735_689_599, "20241231-235959"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(format_time(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
