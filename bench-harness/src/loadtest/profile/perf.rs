//! `perf record` beside a load, and what `perf report` makes of it.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Part;
use crate::{
    fault::{At, Fault, Result},
    loadtest::{
        peer::find_program,
        process::{Launch, Process},
    },
};

/// The kernel's own timer: virtual machines have no hardware counters to offer.
const EVENT: &str = "cpu-clock";
/// Samples a second; not a multiple of anything that the kernel does so often.
const FREQUENCY: &str = "1999";
/// A longer name is cut.
const SYMBOL_CHARS_MAX: usize = 72;
/// Where Debian and Ubuntu put the program itself.
const TOOLS: [&str; 2] = ["/usr/lib/linux-tools", "/usr/lib"];

/// What to do where it is not there.
pub(super) const MISSING: &str = "perf is not installed (Debian: apt-get install linux-perf; Ubuntu: apt-get install \
                                  linux-tools-$(uname -r))";

/// An installed `perf`.
pub(super) struct Perf {
    program: PathBuf,
}

/// A recording under way.
pub(super) struct Recording {
    process: Process,
    data: PathBuf,
    log: PathBuf,
}

/// One function and how often it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) samples: u64,
    pub(super) part: Part,
    pub(super) symbol: String,
}

impl Perf {
    /// Finds it, also where no path leads.
    pub(super) fn find() -> Option<Self> {
        let program = find_program("perf").or_else(|| {
            let in_dir = |dir: &&str| {
                let entries = fs::read_dir(dir).into_iter().flatten().flatten();
                let of_tools = entries.filter(|entry| entry.path().to_string_lossy().contains("linux-tools"));
                of_tools.map(|entry| entry.path().join("perf")).find(|file| file.is_file())
            };
            TOOLS.iter().find_map(in_dir)
        })?;
        Some(Self { program })
    }

    /// Begins to look at processes and all threads that they have and start; stops when it is told to, or dropped.
    pub(super) fn start(
        &self,
        pids: &[u32],
        name: &str,
        dir: &Path,
        core: Option<usize>,
    ) -> Result<Recording> {
        let data = dir.join(format!("{name}.data"));
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let mut command = Command::new(&self.program);
        command.args(["record", "-e", EVENT, "-F", FREQUENCY, "-p", &pids.join(","), "-o"]).arg(&data);
        let launch = Launch { name, cores: core.as_slice(), dir, death_signal: libc::SIGKILL };
        let process = Process::start(command, &launch)?;
        Ok(Recording { process, data, log: dir.join(format!("{name}.log")) })
    }

    /// Samples by function.
    pub(super) fn report(&self, data: &Path) -> Result<Vec<Counted>> {
        let mut command = Command::new(&self.program);
        command.args(["report", "--stdio", "-F", "sample,dso,sym", "-t", "|", "-i"]).arg(data);
        let output = command.output().at("cannot start perf report")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(Fault::new(format!("perf report: {}", errors.lines().next().unwrap_or_default())));
        }
        Ok(text.lines().filter_map(parse_line).collect())
    }
}

impl Recording {
    /// Ends it; gives the file with the samples.
    pub(super) fn finish(self) -> Result<PathBuf> {
        drop(self.process);
        if fs::metadata(&self.data).is_ok_and(|file| file.len() > 0) {
            return Ok(self.data);
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let reason = log.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing");
        Err(Fault::new(format!(
            "perf record took nothing: {reason} (it needs root, or sysctl kernel.perf_event_paranoid=1 or less)"
        )))
    }
}

/// `60 |[kernel.kallsyms]|[k] tcp_ack`
fn parse_line(line: &str) -> Option<Counted> {
    let mut columns = line.splitn(3, '|').map(str::trim);
    let (samples, object, symbol) = (columns.next()?, columns.next()?, columns.next()?);
    let (mode, name) = symbol.split_once(' ')?;
    let part = match mode {
        "[k]" => Part::Kernel,
        _ if object.contains(".so") || object.starts_with('[') => Part::Libraries,
        _ => Part::Program,
    };
    // What has no name is told apart by nothing but whose it is.
    let name = if name.starts_with("0x") { format!("(no name, in {object})") } else { shortened(name) };
    Some(Counted { samples: samples.parse().ok()?, part, symbol: name })
}

/// Without the hash that the compiler adds, and not too long for a table.
fn shortened(symbol: &str) -> String {
    let name = match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => symbol.trim(),
    };
    if name.chars().count() <= SYMBOL_CHARS_MAX {
        return name.to_owned();
    }
    name.chars().take(SYMBOL_CHARS_MAX - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cpu;

    #[test]
    fn lines_of_a_report_are_told_apart_from_its_comments() {
        let text = "# Samples: 1K of event 'cpu-clock'\n#\n#      Samples|Shared Object|Symbol\n\
                    60         |[kernel.kallsyms]|[k] tcp_ack\n\
                    3|[nf_tables]      |[k] nft_do_chain\n\
                    23         |libc.so.6        |[.] __memmove_avx512_unaligned_erms\n\
                    14         |ringlane         |[.] core::f::<impl a|b>::{{closure}}::h0123456789abcdef\n\
                    2|[vdso]|[.] __vdso_clock_gettime\n\
                    1|nginx|[.] 0x0000000000009058\n\n";
        let counted: Vec<_> = text.lines().filter_map(parse_line).collect();
        let counted: Vec<_> = counted.iter().map(|it| (it.samples, it.part, it.symbol.as_str())).collect();
        assert_eq!(
            counted,
            [
                (60, Part::Kernel, "tcp_ack"),
                (3, Part::Kernel, "nft_do_chain"),
                (23, Part::Libraries, "__memmove_avx512_unaligned_erms"),
                (14, Part::Program, "core::f::<impl a|b>::{{closure}}"),
                (2, Part::Libraries, "__vdso_clock_gettime"),
                (1, Part::Program, "(no name, in nginx)"),
            ]
        );
    }

    /// Where the kernel does not let us, that is what is said; it lets root.
    #[test]
    fn a_process_at_work_is_seen_at_work() {
        const ROUNDS: u32 = 10;
        let Some(perf) = Perf::find() else {
            assert!(std::env::var_os("CI").is_none(), "{MISSING}");
            println!("SKIPPED: {MISSING}");
            return;
        };
        let dir = std::env::temp_dir();
        for _ in 0..ROUNDS {
            let name = format!("ringlane-bench-test-perf-{}", std::process::id());
            let recording = perf.start(&[std::process::id()], &name, &dir, None).unwrap();
            let until = cpu::own() + Duration::from_millis(300);
            while cpu::own() < until {
                std::hint::black_box(crc32fast::hash(&[7; 4096]));
            }
            let log = recording.log.clone();
            let found = recording.finish().and_then(|data| {
                let found = perf.report(&data);
                fs::remove_file(data).and_then(|()| fs::remove_file(log)).unwrap();
                found
            });
            match found {
                Ok(counted) if counted.iter().any(|it| it.part == Part::Program && it.samples > 10) => return,
                // It may have come too late to see anything.
                Ok(_) => {}
                Err(fault) => {
                    let fault = fault.to_string();
                    return assert!(fault.contains("perf_event_paranoid"), "{fault}");
                }
            }
        }
        panic!("perf saw nothing in {ROUNDS} rounds");
    }

    #[test]
    fn a_recording_that_did_not_begin_says_why() {
        let Some(perf) = Perf::find() else { return };
        let dir = std::env::temp_dir();
        let name = format!("ringlane-bench-test-no-process-{}", std::process::id());
        let recording = perf.start(&[u32::MAX >> 1], &name, &dir, None).unwrap();
        let (log, deadline) = (recording.log.clone(), Instant::now() + Duration::from_secs(10));
        while fs::metadata(&log).unwrap().len() == 0 {
            assert!(Instant::now() < deadline, "perf says nothing");
            std::thread::yield_now();
        }
        let said = fs::read_to_string(&log).unwrap();
        let fault = recording.finish().unwrap_err().to_string();
        let reason = said.trim().lines().next().unwrap();
        assert!(fault.contains("took nothing") && fault.contains(reason), "{fault}");
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn long_names_are_cut() {
        let cut = shortened(&"é".repeat(200));
        assert_eq!(cut.chars().count(), SYMBOL_CHARS_MAX);
        assert!(cut.ends_with("é..."), "{cut}");
    }
}
