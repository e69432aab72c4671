//! The real binary with a clock that is moved from here.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::akamai::Akamai;
use crate::process::Process;

pub(crate) struct Exporter {
    process: Process,
    directory: TempDir,
}

impl Exporter {
    /// `STATE` in the ini stands for a directory.
    pub(crate) fn start(akamai: &Akamai, ini: &str, now: DateTime<Utc>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let section = format!("[akamai]\nedgerclocation = {}", path("edgerc"));
        let ini = ini.replace("STATE", &path("state")).replace("[akamai]", &section);
        fs::write(path("exporter.ini"), ini)?;
        let edgerc = format!(
            "[default]\nhost = http://{}\nclient_token = c\nclient_secret = s\naccess_token = a\n",
            akamai.address
        );
        fs::write(path("edgerc"), edgerc)?;
        fs::write(path("clock"), now.to_rfc3339())?;
        Ok(Self { process: spawn(&directory)?, directory })
    }

    /// Killed and started again.
    pub(crate) fn restarted(self) -> Result<Self> {
        let Self { process, directory } = self;
        drop(process);
        Ok(Self { process: spawn(&directory)?, directory })
    }

    pub(crate) fn set(&self, now: DateTime<Utc>) -> Result<()> {
        let (clock, draft) = (self.directory.path().join("clock"), self.directory.path().join("draft"));
        fs::write(&draft, now.to_rfc3339())?;
        Ok(fs::rename(draft, clock)?)
    }

    /// Waits until the newest window that can be read at `now` is in the counters.
    pub(crate) fn wait_for_window(&self, now: DateTime<Utc>) -> Result<()> {
        let ready = (now - TimeDelta::minutes(15)).timestamp();
        let end = ready - ready.rem_euclid(300);
        let line = format!(
            "akamai_traffic_window_end_timestamp_seconds{{account=\"default\",source=\"amd\"}} {end}\n"
        );
        while !self.metrics()?.contains(&line) {
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// How many data series there are, and how many bytes.
    pub(crate) fn exposition(&self) -> Result<(usize, usize)> {
        let metrics = self.metrics()?;
        let data = metrics.lines().filter(|line| line.starts_with("akamai_traffic_"));
        Ok((data.count(), metrics.len()))
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        self.process.memory()
    }

    /// What the state takes on disk, in bytes.
    pub(crate) fn state(&self) -> Result<u64> {
        let files = fs::read_dir(self.directory.path().join("state"))?;
        files.map(|file| Ok(file?.metadata()?.len())).sum()
    }

    fn metrics(&self) -> Result<String> {
        self.process.metrics()
    }
}

fn spawn(directory: &TempDir) -> Result<Process> {
    let path = |name: &str| directory.path().join(name).display().to_string();
    Process::start(&[
        format!("--config.file={}", path("exporter.ini")),
        format!("--clock.file={}", path("clock")),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ])
}
