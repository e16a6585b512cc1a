//! An etcd of our own, changed through its JSON gateway.
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    client::Client,
    cpu,
    fault::{At, Fault, Result},
    loadtest::{
        peer::find_program,
        process::{Launch, Process},
        proxy_config::free_address,
    },
};

/// Below it are our keys.
pub(super) const PREFIX: &str = "/ringlane";
const START_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// A running one.
pub(super) struct Etcd {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    process: Process,
    /// Dropped last: by then nobody writes there.
    _data: Data,
}

/// Its data, which nobody wants afterwards: over a hundred megabytes, most of them reserved.
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Etcd {
    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Starts one that keeps its data below `dir`. None: it is not installed.
    pub(super) fn start(dir: &Path, cores: &[usize]) -> Result<Option<Self>> {
        let Some(program) = find_program("etcd") else { return Ok(None) };
        let (address, peer) = (free_address()?, free_address()?);
        let (client_url, peer_url) = (format!("http://{address}"), format!("http://{peer}"));
        let mut command = Command::new("nice");
        command.args(["-n", &cpu::GIVES_WAY.to_string()]).arg(program);
        let data = Data(dir.join("etcd-data"));
        command.arg("--data-dir").arg(&data.0).args([
            "--listen-client-urls",
            &client_url,
            "--advertise-client-urls",
            &client_url,
            "--listen-peer-urls",
            &peer_url,
            "--initial-advertise-peer-urls",
            &peer_url,
            "--initial-cluster",
            &format!("default={peer_url}"),
        ]);
        let launch = Launch { name: "etcd", cores, dir, death_signal: libc::SIGKILL };
        let process = Process::start(command, &launch)?;
        let deadline = Instant::now() + START_TIMEOUT;
        let mut client = Client::new(address, ANSWER_TIMEOUT);
        loop {
            let Err(fault) = put(&mut client, &format!("{PREFIX}-bench"), "here") else {
                return Ok(Some(Self { address, process, _data: data }));
            };
            if Instant::now() >= deadline {
                let log = dir.join("etcd.log");
                return Err(Fault::new(format!(
                    "etcd did not answer within {START_TIMEOUT:?}: {fault}; its output is in {}",
                    log.display()
                )));
            }
            thread::sleep(POLL);
        }
    }
}

/// Puts a value under a key.
pub(super) fn put(client: &mut Client, key: &str, value: &str) -> Result<()> {
    let [key64, value64] = [key, value].map(|text| STANDARD.encode(text));
    let body = serde_json::json!({ "key": key64, "value": value64 }).to_string();
    client.ask_well("POST", "/v3/kv/put", Some(&body)).map(drop).at(format!("etcd, key {key}"))
}
