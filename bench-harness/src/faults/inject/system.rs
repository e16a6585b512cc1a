//! What the system no longer gives a proxy: descriptors, and the addresses of names.
use std::{fs, io, path::Path, time::Instant};

use super::{Done, Target, crowd, sleep_until};
use crate::fault::{At, Fault, Result};

/// Descriptors that are left, for whoever comes first.
const DESCRIPTORS_LEFT: u64 = 8;
/// Connections that want one meanwhile.
const WANTED: usize = 200;

/// Lowers a proxy's limit on open files to what it has open, and has more wanted of it.
pub(super) fn no_descriptors(target: &Target, until: Instant) -> Result<Done> {
    let begin = Instant::now();
    let highest = descriptors(target.pid)?.into_iter().max().unwrap_or_default();
    let before = limit(target.pid, None)?;
    let lowered = (highest + 1 + DESCRIPTORS_LEFT).min(before.rlim_cur);
    limit(target.pid, Some(libc::rlimit { rlim_cur: lowered, ..before }))?;
    let crowd = crowd::gather(target.address, WANTED, until);
    // Whatever came of it.
    limit(target.pid, Some(before))?;
    let crowd = crowd?;
    let note = crowd.note.map(|note| format!("at most {lowered} open files; {note}"));
    Ok(Done { note, wrong: crowd.wrong, ..Done::since(begin) })
}

/// Takes all names but the machine's own out of a proxy's hosts file.
pub(super) fn no_names(hosts: &Path, until: Instant) -> Result<Done> {
    let place = hosts.display();
    let text = fs::read_to_string(hosts).at(&place)?;
    let begin = Instant::now();
    // Written in place: what is mounted is this very file.
    fs::write(hosts, "127.0.0.1 localhost\n").at(&place)?;
    sleep_until(until);
    fs::write(hosts, text).at(&place)?;
    Ok(Done::since(begin))
}

/// The numbers of a process's open files.
pub(crate) fn descriptors(pid: u32) -> Result<Vec<u64>> {
    let path = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&path).at(format!("{path}: has process {pid} ended?"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Gives the limit on open files of a process, after it is set if it is to be.
fn limit(pid: u32, new: Option<libc::rlimit>) -> Result<libc::rlimit> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: reads one struct or none and writes another.
    match unsafe { libc::prlimit(pid as libc::pid_t, libc::RLIMIT_NOFILE, new, &mut old) } {
        0 => Ok(old),
        _ => Err(Fault::new(format!("limit on open files of {pid}: {}", io::Error::last_os_error()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_descriptors_are_counted() {
        let before = descriptors(std::process::id()).unwrap();
        let file = fs::File::open("/proc/self/status").unwrap();
        use std::os::fd::AsRawFd;
        let after = descriptors(std::process::id()).unwrap();
        assert!(before.contains(&0) && after.contains(&(file.as_raw_fd() as u64)));
        assert!(descriptors(u32::MAX).is_err());
        assert!(limit(std::process::id(), None).unwrap().rlim_cur > 0);
    }
}
