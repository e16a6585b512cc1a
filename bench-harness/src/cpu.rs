//! CPU time of a process and all its descendants, to the nanosecond.
use std::{fs, time::Duration};

use crate::fault::{Fault, Result};

/// User and system time that `pid`, its threads and its descendants used so far, the ended ones included.
///
/// The kernel's per-process clock counts in nanoseconds, where `/proc/PID/stat` counts in ticks of 10 ms: too coarse
/// for a window of a few seconds. Both read the same accounting, and the ticks are used only for descendants that
/// ended.
pub fn process_tree(pid: u32) -> Result<Duration> {
    let own = process(pid)?;
    // A child may end between the listing and the reading; its parent's count of ended children has it then.
    Ok(own + descendants(pid).into_iter().map(|child| process(child).unwrap_or_default()).sum::<Duration>())
}

/// CPU time of the calling process.
pub fn own() -> Duration {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or_default()
}

/// Busy time of all cores since the machine started, whoever used it. In ticks of 10 ms: good for a share, no more.
pub fn machine() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let mut fields = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    // user, nice, system, (idle, iowait,) irq, softirq, steal: a host that takes the core away disturbs as well.
    let busy: u64 = (0..8)
        .zip(&mut fields)
        .filter(|(index, _)| !matches!(index, 3 | 4))
        .filter_map(|(_, n)| n.parse::<u64>().ok())
        .sum();
    ticks(busy)
}

fn process(pid: u32) -> Result<Duration> {
    let mut clock: libc::clockid_t = 0;
    // 0 would mean ourselves, and large numbers lose bits on their way into a clock's number.
    let exists = pid > 0 && fs::exists(format!("/proc/{pid}")).unwrap_or(false);
    // SAFETY: writes one clockid_t.
    let status = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) };
    let live = if exists && status == 0 { read_clock(clock) } else { None };
    let live =
        live.ok_or_else(|| Fault::new(format!("cannot read the CPU time of process {pid}: is it running?")))?;
    Ok(live + ended_children(pid))
}

fn read_clock(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    (status == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// `cutime` and `cstime`, fields 16 and 17 of `/proc/PID/stat`.
fn ended_children(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in parentheses and may hold spaces; counting starts behind it, at field 3.
    let Some((_, fields)) = stat.rsplit_once(')') else { return Duration::ZERO };
    ticks(fields.split_ascii_whitespace().skip(13).take(2).filter_map(|n| n.parse::<u64>().ok()).sum())
}

/// What gives way to a load on the same core: it stands for what would be on other machines, and what the load sees is to be
/// the proxy's doing, not ours.
pub(crate) const GIVES_WAY: libc::c_int = 10;

/// Says how far this thread, and those that it starts, give way to others. Without the right to it, things stay as they are.
pub(crate) fn set_niceness(niceness: libc::c_int) {
    // SAFETY: names this thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
}

pub(crate) fn ticks(n: u64) -> Duration {
    // SAFETY: reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Duration::from_micros(n * 1_000_000 / per_second)
}

/// The children of `pid`, and theirs.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let (mut found, mut pending) = (Vec::new(), children(pid));
    while let Some(child) = pending.pop() {
        found.push(child);
        pending.extend(children(child));
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_tree_uses_at_least_what_we_use() {
        let before = own();
        let tree = process_tree(std::process::id()).unwrap();
        assert!(tree >= before, "{tree:?} < {before:?}");
    }

    #[test]
    fn the_machine_was_busy_at_some_time() {
        assert!(machine() > Duration::ZERO);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let fault = process_tree(u32::MAX >> 2).unwrap_err();
        assert!(fault.to_string().contains("is it running?"), "{fault}");
    }
}
