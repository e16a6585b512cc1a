//! `ringlane-bench memory`: what is typed.
use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::Args;

use crate::{load::options::parse_duration, release::AllowDebug};

/// `ringlane-bench memory`
#[derive(Args, Clone, Debug)]
pub struct MemoryArgs {
    /// Resident memory that the proxy must stay within, as 100MB or 64MiB
    #[arg(long, default_value = "100MB", value_parser = parse_size)]
    pub max: NonZeroU64,
    /// How long the load lasts
    #[arg(long, short = 'd', default_value = "300s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Threads for each kind of visit
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub clients: usize,
    /// Watch this process, which answers at --url, and start none
    #[arg(long, value_name = "PID", requires = "url")]
    pub pid: Option<u32>,
    /// With --pid: where it listens, with an echo origin behind it
    #[arg(long, value_name = "URL", requires = "pid")]
    pub url: Option<String>,
    /// Ringlane's binary; by default the one beside this one
    #[arg(long, value_name = "FILE", conflicts_with = "pid")]
    pub proxy: Option<PathBuf>,
    /// Ringlane's config; addresses and workers are replaced in a copy
    #[arg(long, value_name = "FILE", default_value = "configs/quickstart.toml")]
    pub config: PathBuf,
    /// Ringlane's driver
    #[arg(long, default_value = "auto")]
    pub driver: String,
    /// Where logs and the copy of the config go
    #[arg(long, value_name = "DIR", default_value = "target/memory")]
    pub out: PathBuf,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

/// Reads a size above 0: `100MB` (1000), `64MiB` (1024), or bytes.
pub fn parse_size(text: &str) -> Result<NonZeroU64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("unknown unit {unit:?}: write KB, MB, GB, KiB, MiB or GiB, as in 100MB")),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    size.and_then(NonZeroU64::new)
        .ok_or_else(|| "not a size above 0: write a whole number and a unit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let size = |text| parse_size(text).map(NonZeroU64::get);
        assert_eq!((size("100MB"), size("64MiB"), size("5")), (Ok(100_000_000), Ok(64 << 20), Ok(5)));
        for text in ["", "MB", "0MB", "1.5MB", "1mb", "-1MB", "99999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
