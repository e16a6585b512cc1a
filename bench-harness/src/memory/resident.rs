//! Resident memory of a process, as the kernel counts it.
use std::fs;

use crate::fault::{At, Fault, Result};

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    pub(super) now: u64,
    /// The most that it ever was.
    pub(super) peak: u64,
}

/// Asks the kernel.
pub(super) fn of(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).at(format!("{path}: has process {pid} ended?"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        // A process that has ended and is not reaped yet has no memory.
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| Fault::new(format!("{path} has no {name} process {pid} has ended")))
    };
    Ok(Resident { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_some() {
        assert!(super::of(std::process::id()).unwrap().now > 100_000);
        assert!(super::of(u32::MAX).is_err());
    }
}
