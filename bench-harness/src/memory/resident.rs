//! Resident memory of a process, as the kernel counts it.
use std::fs;

use crate::fault::{At, Fault, Result};

/// In bytes.
pub(super) fn bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).at(format!("{path}: has process {pid} ended?"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    // A process that has ended and is not reaped yet has no memory.
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| Fault::new(format!("{path} has no VmRSS: process {pid} has ended")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_some() {
        assert!(super::bytes(std::process::id()).unwrap() > 100_000);
        assert!(super::bytes(u32::MAX).is_err());
    }
}
