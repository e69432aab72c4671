//! The real binary as daemon and demo.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::client::now;
use crate::process::Process;
use crate::simulator::{FIRST, Simulator};

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
             [akamai]\nedgerclocation = {}\nrate_limit_share = 1\ncpcode = {}\n",
            simulator.edgerc().display(),
            list.join(", ")
        );
        let file = directory.path().join("exporter.ini");
        std::fs::write(&file, text)?;
        let file = format!("--config.file={}", file.display());
        let process = Process::start(&[&*file, "--web.listen-address=127.0.0.1:0"])?;
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
        self.process.metrics()
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        self.process.memory()
    }
}
