//! The simulated Akamai of the real binary.

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

use crate::process::Process;

/// The first of the simulated CP codes.
pub(crate) const FIRST: usize = 1_000_000;

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

    /// The credentials that it knows.
    pub(crate) fn edgerc(&self) -> PathBuf {
        self.directory.path().join("edgerc")
    }
}
