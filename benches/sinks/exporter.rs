//! The exporter with a sink and all that waits for it; its one source is a CP code of the simulator.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Process;
use crate::simulator::{FIRST, Simulator};
use crate::spool::State;

pub(crate) struct Exporter {
    process: Process,
    _directory: TempDir,
}

impl Exporter {
    /// With a sink's section.
    pub(crate) fn start(simulator: &Simulator, state: &State, section: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let text = format!(
            "[exporter]\npolling_interval = 1h\nstate_directory = {}\n\
             [akamai]\nedgerclocation = {}\ncpcode = {FIRST}\n{section}\n",
            state.path().display(),
            simulator.edgerc().display(),
        );
        let file = directory.path().join("exporter.ini");
        fs::write(&file, text)?;
        let file = format!("--config.file={}", file.display());
        let process = Process::start(&[&*file, "--web.listen-address=127.0.0.1:0"])?;
        Ok(Self { process, _directory: directory })
    }

    /// Waits until so many samples have been sent, a little more often than the exporter renders its own metrics.
    pub(crate) fn wait_for(&self, sink: &str, samples: u64) -> Result<()> {
        let start = format!("akamai_exporter_sink_items_total{{outcome=\"sent\",sink=\"{sink}\"}} ");
        loop {
            let metrics = self.process.metrics()?;
            let sent =
                metrics.lines().find_map(|line| line.strip_prefix(&start)).context("no such series")?;
            if sent.trim().parse::<f64>()? >= samples as f64 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        self.process.memory()
    }
}
