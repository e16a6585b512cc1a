//! What a process under test is kept from having: set between fork and exec, so that it holds from its first moment.

use std::{
    ffi::CString,
    io,
    os::{
        fd::RawFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::Command,
};

/// One thing that is taken away or fixed.
#[derive(Debug, Clone)]
pub enum Confine {
    /// `io_uring_setup(2)` fails with this error, as under a container's seccomp profile.
    NoIoUring(i32),
    /// No epoll instance takes the file with this number: `epoll_ctl(2)` fails with this error.
    NoEpollOf(RawFd, i32),
    /// The hard limit on open files.
    OpenFiles(u64),
    /// The cores that it may run on.
    Cores(Vec<usize>),
    /// No name server is asked: `sendmmsg(2)`, by which the C library asks, fails.
    NoNameServers,
    /// This file is what it finds at /etc/hosts, in a mount namespace of its own.
    Hosts(CString),
}

impl Confine {
    /// `Hosts`, for a file at `path`.
    pub fn hosts(path: &Path) -> Confine {
        Confine::Hosts(CString::new(path.as_os_str().as_bytes()).unwrap())
    }

    /// Has `command` start confined.
    pub fn put_on(&self, command: &mut Command) {
        let confine = self.clone();
        // SAFETY: `apply` makes system calls and allocates nothing: that is safe between fork and exec.
        unsafe { command.pre_exec(move || confine.apply()) };
    }

    /// Whether this machine lets a process be confined so.
    pub fn is_possible(&self) -> bool {
        let mut command = Command::new("/bin/true");
        self.put_on(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    fn apply(&self) -> io::Result<()> {
        match self {
            Confine::NoIoUring(errno) => refuse(libc::SYS_io_uring_setup, None, *errno),
            Confine::NoEpollOf(file, errno) => refuse(libc::SYS_epoll_ctl, Some((2, *file)), *errno),
            Confine::OpenFiles(files) => {
                let limit = libc::rlimit { rlim_cur: *files, rlim_max: *files };
                // SAFETY: the call reads a struct of ours.
                done(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })
            }
            Confine::Cores(cores) => {
                // SAFETY: an all-zero set is an empty one; the calls write and read a struct of ours.
                unsafe {
                    let mut set: libc::cpu_set_t = std::mem::zeroed();
                    cores.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
                    done(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set))
                }
            }
            Confine::NoNameServers => refuse(libc::SYS_sendmmsg, None, libc::EPERM),
            Confine::Hosts(path) => own_hosts(path),
        }
    }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has one system call fail with `errno` from now on, in this process and all that it becomes; with `only`, when its
/// n-th argument (from 0) is this number.
fn refuse(call: libc::c_long, only: Option<(u32, i32)>, errno: i32) -> io::Result<()> {
    // Offset 0 of what a filter looks at is the call's number; arguments of 8 bytes each begin at 16.
    let (at, value) = only.map_or((0, call as u32), |(nth, value)| (16 + 8 * nth, value as u32));
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, call as u32),
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, value),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the calls read `program` and `filter`, which outlive them.
    unsafe {
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        done(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))
    }
}

/// Puts the file at `path` over /etc/hosts for this process alone. Needs no privilege where user namespaces do not.
fn own_hosts(path: &CString) -> io::Result<()> {
    // SAFETY: system calls on strings that end in NUL and outlive them.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            done(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
        }
        let none = std::ptr::null();
        // Nothing of this is to reach other namespaces.
        done(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
        done(libc::mount(path.as_ptr(), c"/etc/hosts".as_ptr(), none, libc::MS_BIND, none.cast()))
    }
}
