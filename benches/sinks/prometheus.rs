//! A real Prometheus that takes remote write.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::tools::tool;

pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// An empty one that scrapes nothing.
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("prometheus.yml"), "storage: {tsdb: {out_of_order_time_window: 100d}}\n")?;
        // It does not tell which port the system chose for it; nobody else takes this one in the meantime, or it says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(tool("prometheus", "prometheus"));
        command.arg("--web.enable-remote-write-receiver").arg(format!("--web.listen-address={address}"));
        command.arg(format!("--config.file={}", path("prometheus.yml")));
        command
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg("--storage.tsdb.retention.time=100y");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
        let prometheus = Self { child, address, _directory: directory };
        while !log.next().context("prometheus ended at once")??.contains("Server is ready") {}
        // Read on, or it would wait for a reader.
        std::thread::spawn(move || log.for_each(drop));
        Ok(prometheus)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// Samples a second, from the first that are there to when `samples` are.
    pub(crate) fn rate(&self, samples: u64) -> Result<f64> {
        let mut first = None;
        loop {
            let (now, there) = (Instant::now(), self.samples()?);
            if there > 0.0 {
                let (since, before) = *first.get_or_insert((now, there));
                if there >= samples as f64 {
                    return Ok((there - before) / (now - since).as_secs_f64());
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many samples it has taken.
    fn samples(&self) -> Result<f64> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let lines =
            text.lines().filter(|line| line.starts_with("prometheus_tsdb_head_samples_appended_total"));
        lines.map(|line| Ok(line.rsplit(' ').next().context("no value")?.parse::<f64>()?)).sum()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
