//! CPU time of a proxy, the workers' apart from the rest: what changes cost is the rest.
use std::{fs, path::Path, time::Duration};

use crate::{cpu, fault::Result};

/// What the names of workers begin with; their rings' own kernel threads are theirs.
const WORKERS: [&str; 2] = ["worker-", "iou-"];

/// CPU time that everything but the workers of `pid` used so far: the control thread and what helps it, ended threads
/// included.
pub(super) fn control(pid: u32) -> Result<Duration> {
    // The process is read last, so that the difference never lacks what a worker used in between.
    let workers = workers(pid);
    Ok(cpu::process_tree(pid)?.saturating_sub(workers))
}

fn workers(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    threads.flatten().map(|thread| thread.path()).filter(|thread| is_worker(thread)).map(|it| used(&it)).sum()
}

fn is_worker(thread: &Path) -> bool {
    let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
    WORKERS.iter().any(|start| name.starts_with(start))
}

/// To the nanosecond where the kernel keeps that for threads, else in ticks of 10 ms.
fn used(thread: &Path) -> Duration {
    let exact = fs::read_to_string(thread.join("schedstat")).ok();
    let exact = exact.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
    exact.map_or_else(|| ticks(thread), Duration::from_nanos)
}

/// `utime` and `stime`, fields 14 and 15 of `stat`.
fn ticks(thread: &Path) -> Duration {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The second field is the name in parentheses and may hold spaces; counting starts behind it, at field 3.
    let Some((_, fields)) = stat.rsplit_once(')') else { return Duration::ZERO };
    cpu::ticks(fields.split_ascii_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum())
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Instant};

    use super::*;

    #[test]
    fn what_a_worker_uses_is_not_the_rest() {
        const SPIN: Duration = Duration::from_millis(300);
        let own = std::process::id();
        let (spun, wait) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel::<()>();
        let before = workers(own);
        let worker = thread::Builder::new().name("worker-0".into()).spawn(move || {
            let begin = Instant::now();
            while cpu_of_this_thread() < SPIN && begin.elapsed() < Duration::from_secs(60) {}
            drop(spun);
            let _ = ended.recv();
        });
        let _ = wait.recv();
        let used = workers(own).saturating_sub(before);
        // Ticks are coarse.
        assert!(used >= SPIN - Duration::from_millis(20), "{used:?}");
        assert!(control(own).is_ok());
        drop(end);
        worker.unwrap().join().unwrap();
    }

    fn cpu_of_this_thread() -> Duration {
        used(Path::new("/proc/thread-self"))
    }
}
