//! The real binary in a process of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A process that has said where it listens; it ends with its owner.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it with these arguments and nothing of the environment, and waits until it listens.
    pub(crate) fn start(arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akamai-exporter"));
        command.args(arguments).arg("--log.format=json").env_clear().stdin(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
        let address = loop {
            let line = log.next().context("the process ended at once")??;
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            // A sink has an address too, which is not the process' own.
            if event["sink"].is_null()
                && let Some(address) = event["address"].as_str()
            {
                break address.parse()?;
            }
        };
        // Read on, or the process would wait for a reader.
        std::thread::spawn(move || log.for_each(drop));
        Ok(Self { child, address })
    }

    /// What is on `/metrics`, behind the head of the answer.
    pub(crate) fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.context("no such field")?.trim().trim_end_matches(" kB").parse().context("no number")
        };
        let resident = field("VmRSS:")?;
        // The kernel brings the highest up to date late.
        Ok((resident, field("VmHWM:")?.max(resident)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
