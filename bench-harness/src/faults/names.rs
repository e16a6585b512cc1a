//! Names that can be taken away: a proxy in a mount namespace of its own, where the files that say how names are looked up are
//! ours. It takes the right to mount, which root has, and others where user namespaces are allowed.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fault::{At, Fault, Result},
    loadtest::peer::find_program,
};

/// Mounts our files over the system's, and becomes the program that is named behind them.
const SCRIPT: &str =
    "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" /etc/resolv.conf && shift 2 && exec \"$@\"";
/// Ways to a namespace, in the order in which they are tried.
const WAYS: [&[&str]; 2] =
    [&["--mount", "--propagation", "private"], &["--user", "--map-root-user", "--mount"]];

/// The files of one.
pub(super) struct Namespace {
    /// Where names are looked up.
    pub(super) hosts: PathBuf,
    resolv: PathBuf,
    unshare: PathBuf,
    way: &'static [&'static str],
}

impl Namespace {
    /// One in which `NAME.test` is this machine, for each of some names, and no name server answers.
    pub(super) fn new<'a>(dir: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let missing = || Fault::new("there is no `unshare` (util-linux) to take names away with");
        let unshare = find_program("unshare").ok_or_else(missing)?;
        let lines: String = names.map(|name| format!("127.0.0.1 {name}.test\n")).collect();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).at(format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        let hosts = file("hosts", &format!("127.0.0.1 localhost\n{lines}"))?;
        let resolv = file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
        let way = WAYS.into_iter().find(|way| {
            let this = Self { hosts: hosts.clone(), resolv: resolv.clone(), unshare: unshare.clone(), way };
            let output = this.command(Path::new("true")).output();
            output.is_ok_and(|output| output.status.success())
        });
        let way = way.ok_or_else(|| Fault::new("no right to a mount namespace, to take names away in"))?;
        Ok(Self { hosts, resolv, unshare, way })
    }

    /// A program in it; arguments may follow.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.unshare);
        command
            .args(self.way)
            .args(["sh", "-c", SCRIPT, "sh"])
            .args([&self.hosts, &self.resolv])
            .arg(program);
        command
    }
}
