//! Resident memory of a process and all its descendants.
use std::fs;

use crate::{
    cpu,
    fault::{Fault, Result},
};

/// Bytes of memory that `pid` and its descendants have in RAM. A page that several of them share counts for each.
pub fn process_tree(pid: u32) -> Result<u64> {
    let missing = || Fault::new(format!("cannot read the memory of process {pid}: is it running?"));
    let own = process(pid).ok_or_else(missing)?;
    // A child may end between the listing and the reading; it has no memory then.
    Ok(own + cpu::descendants(pid).into_iter().filter_map(process).sum::<u64>())
}

/// `VmRSS` of `/proc/PID/status`, in bytes.
fn process(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_resident() {
        const BYTES: usize = 64 << 20;
        let before = process_tree(std::process::id()).unwrap();
        let touched = std::hint::black_box(vec![1_u8; BYTES]);
        let after = process_tree(std::process::id()).unwrap();
        // Other tests of this process may free something meanwhile, but not half of it.
        assert!(after >= before + BYTES as u64 / 2, "{before} to {after}");
        drop(touched);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        assert!(process_tree(u32::MAX >> 2).unwrap_err().to_string().contains("is it running?"));
    }
}
