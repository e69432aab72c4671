//! The real binary as simulator, daemon and demo.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::client::{Client, now};

/// The first of the simulated CP codes.
const FIRST: usize = 1_000_000;

/// A process that has said where it listens.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akamai-exporter"));
        command.args(arguments).arg("--log.format=json").env_clear().stdin(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
        let address = loop {
            let line = log.next().context("the process ended at once")??;
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = event["address"].as_str() {
                break address.parse()?;
            }
        };
        // Read on, or the process would wait for a reader.
        std::thread::spawn(move || log.for_each(drop));
        Ok(Self { child, address })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Akamai with many CP codes and nearly no limit.
pub(crate) struct Simulator {
    _process: Process,
    directory: TempDir,
}

impl Simulator {
    pub(crate) fn start(cpcodes: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let edgerc = format!("--edgerc={}", directory.path().join("edgerc").display());
        let cpcodes = format!("--cpcodes={}-{}", FIRST, FIRST + cpcodes - 1);
        let listen = "--listen=127.0.0.1:0";
        let limit = "--rate-limit=600000";
        let process = Process::start(&["simulate", listen, "--latency=1ms", limit, &edgerc, &cpcodes])?;
        Ok(Self { _process: process, directory })
    }
}

/// The exporter, or the demo.
pub(crate) struct Exporter {
    process: Process,
    _directory: TempDir,
    pub(crate) address: SocketAddr,
}

impl Exporter {
    /// Polls the first `cpcodes` CP codes on both networks every `interval`.
    pub(crate) fn start(simulator: &Simulator, cpcodes: usize, interval: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let list: Vec<_> = (FIRST..FIRST + cpcodes).map(|code| code.to_string()).collect();
        let text = format!(
            "[exporter]\npolling_interval = {interval}\n\
             [akamai]\nedgerclocation = {}/edgerc\nrate_limit_share = 1\ncpcode = {}\n",
            simulator.directory.path().display(),
            list.join(", ")
        );
        let file = directory.path().join("exporter.ini");
        std::fs::write(&file, text)?;
        let file = format!("--config.file={}", file.display());
        let process = Process::start(&[&file, "--web.listen-address=127.0.0.1:0"])?;
        Ok(Self { address: process.address, process, _directory: directory })
    }

    pub(crate) fn demo() -> Result<Self> {
        let process = Process::start(&["demo", "--web.listen-address=127.0.0.1:0"])?;
        Ok(Self { address: process.address, process, _directory: tempfile::tempdir()? })
    }

    /// Asks until `text` is on /metrics.
    pub(crate) fn wait_for(&self, text: &str) -> Result<()> {
        while !self.metrics()?.contains(text) {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits until so many targets have data, all of it encoded; returns how long that took from here.
    pub(crate) fn wait_for_targets(&self, targets: usize) -> Result<Duration> {
        let began = now();
        while self.metrics()?.matches("\nakamai_target_up{").count() < targets {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(began.elapsed())
    }

    /// How many polls gave data so far.
    pub(crate) fn polls(&self) -> Result<usize> {
        self.value("akamai_exporter_polls_total{account=\"default\",outcome=\"success\"")
    }

    /// How many data series there are.
    pub(crate) fn series(&self) -> Result<usize> {
        self.value("akamai_exporter_series{")
    }

    fn value(&self, start: &str) -> Result<usize> {
        let metrics = self.metrics()?;
        let line = metrics.lines().find(|line| line.starts_with(start)).context("no such series")?;
        Ok(line.rsplit(' ').next().context("no value")?.parse()?)
    }

    fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8(Client::new(self.address).once(false)?)?)
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.context("no such field")?.trim().trim_end_matches(" kB").parse().context("no number")
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }
}
