//! The real binary with a clock that is moved from here.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::akamai::Akamai;

pub(crate) struct Exporter {
    child: Child,
    address: SocketAddr,
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
        let (child, address) = spawn(&directory)?;
        Ok(Self { child, address, directory })
    }

    /// Killed and started again.
    pub(crate) fn restarted(mut self) -> Result<Self> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.address) = spawn(&self.directory)?;
        Ok(self)
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
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.context("no such field")?.trim().trim_end_matches(" kB").parse().context("no number")
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// What the state takes on disk, in bytes.
    pub(crate) fn state(&self) -> Result<u64> {
        let files = fs::read_dir(self.directory.path().join("state"))?;
        files.map(|file| Ok(file?.metadata()?.len())).sum()
    }

    fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

fn spawn(directory: &TempDir) -> Result<(Child, SocketAddr)> {
    let path = |name: &str| directory.path().join(name).display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_akamai-exporter"));
    command
        .args([format!("--config.file={}", path("exporter.ini")), format!("--clock.file={}", path("clock"))]);
    command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]).env_clear();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
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
    Ok((child, address))
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
