//! What Prometheus' own tools make of the real output.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use akamai_exporter::snapshot::health;
use akamai_exporter::source::KINDS;
use akamai_exporter::telemetry::families;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Exporter, PATIENCE, Simulator, lines, request};
use crate::tools::{outcome, tool};

/// A Prometheus of Debian's package, with its data in a temporary folder.
pub struct Prometheus {
    child: Child,
    _directory: TempDir,
    pub url: String,
}

impl Prometheus {
    /// Starts one that scrapes these addresses every second.
    pub fn scraping(targets: &[&str]) -> Self {
        Self::scraping_every("1s", targets)
    }

    /// The same as often as `interval` says.
    pub fn scraping_every(interval: &str, targets: &[&str]) -> Self {
        Self::with(&scrape_config(interval, targets), &["--web.enable-remote-write-receiver"])
    }

    /// Starts one that scrapes nothing and takes remote write, however late samples come and in whatever order.
    pub fn receiving() -> Self {
        let config = "storage: {tsdb: {out_of_order_time_window: 100d}}\n";
        Self::with(config, &["--web.enable-remote-write-receiver"])
    }

    /// Starts one that scrapes nothing, on blocks that are there.
    pub fn on_blocks(blocks: &Path) -> Self {
        Self::with_blocks("global: {}\n", blocks, &[])
    }

    /// Starts one with this configuration and these flags.
    pub fn with(config: &str, flags: &[&str]) -> Self {
        Self::start(tempfile::tempdir().unwrap(), config, flags)
    }

    /// The same, on blocks that are there.
    pub fn with_blocks(config: &str, blocks: &Path, flags: &[&str]) -> Self {
        Self::run(tempfile::tempdir().unwrap(), config, blocks, flags)
    }

    fn start(directory: TempDir, config: &str, flags: &[&str]) -> Self {
        let data = directory.path().join("data");
        Self::run(directory, config, &data, flags)
    }

    fn run(directory: TempDir, config: &str, data: &Path, flags: &[&str]) -> Self {
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(tool("prometheus", "prometheus"));
        command.args(flags).arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        // What is written may be from any time.
        command.arg("--storage.tsdb.retention.time=100y");
        let mut child =
            command.arg("--web.listen-address=127.0.0.1:0").stderr(Stdio::piped()).spawn().unwrap();
        let url = address(&mut child);
        Self { child, _directory: directory, url }
    }

    /// Has it read its configuration and its rules again.
    pub fn reload(&self) {
        let status = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success(), "kill -HUP");
    }

    /// The series that an instant query returns; an error of Prometheus' fails the test.
    pub fn query(&self, query: &str) -> Vec<Value> {
        self.ask(&[("query", query)])
    }

    /// The same at a time, in seconds since the epoch.
    pub fn query_at(&self, query: &str, time: f64) -> Vec<Value> {
        self.ask(&[("query", query), ("time", &format!("{time:.3}"))])
    }

    /// The series of a query at each step of `seconds` between two times, in seconds since the epoch.
    pub fn query_range(&self, query: &str, (start, end): (f64, f64), seconds: u32) -> Vec<Value> {
        let pairs =
            [("start", format!("{start:.3}")), ("end", format!("{end:.3}")), ("step", seconds.to_string())];
        let pairs = pairs.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.ask_of("query_range", &[&[("query", query)], &pairs[..]].concat())
    }

    fn ask(&self, pairs: &[(&str, &str)]) -> Vec<Value> {
        self.ask_of("query", pairs)
    }

    fn ask_of(&self, endpoint: &str, pairs: &[(&str, &str)]) -> Vec<Value> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/{endpoint}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        let query = pairs[0].1;
        let answer = request("GET", url.as_str(), "");
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        assert_eq!(body["status"], "success", "{query}: {}", answer.body);
        body["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration that scrapes these addresses every `interval`, to which more sections may be added. It takes samples of hours ago by remote write,
/// as that of the compose stack does.
pub fn scrape_config(interval: &str, targets: &[&str]) -> String {
    let quoted: Vec<_> =
        targets.iter().map(|url| format!("\"{}\"", url.trim_start_matches("http://"))).collect();
    format!(
        "global: {{scrape_interval: {interval}}}\nstorage: {{tsdb: {{out_of_order_time_window: 1d}}}}\nscrape_configs: [{{job_name: akamai, static_configs: [{{targets: [{}]}}]}}]\n",
        quoted.join(", ")
    )
}

/// Makes blocks of a file of OpenMetrics.
pub fn create_blocks(file: &Path, blocks: &Path) {
    let mut promtool = Command::new(tool("promtool", "prometheus"));
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).args([file, blocks]);
    let (success, said) = outcome(&mut promtool);
    let worked = success && !said.to_lowercase().contains("error");
    assert!(worked, "{}: {said}", file.display());
}

/// Where it listens, from its log; port 0 is for the system to choose, and the log does not say what it chose, so the system is asked.
fn address(child: &mut Child) -> String {
    let (lines, mut log) = (lines(child.stderr.take().unwrap()), Vec::new());
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        let is_ready = line.contains("Server is ready");
        log.push(line);
        if is_ready {
            break;
        }
    }
    let port =
        listening_port(child.id()).unwrap_or_else(|| panic!("Prometheus did not start:\n{}", log.join("\n")));
    format!("http://127.0.0.1:{port}")
}

/// The port on which the process listens: the socket of one of its descriptors, in the kernel's table.
fn listening_port(pid: u32) -> Option<u16> {
    let sockets: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let is_listening = columns.get(3) == Some(&"0A")
            && sockets.iter().any(|socket| columns.get(9) == Some(&socket.as_str()));
        let port = columns.get(1)?.rsplit(':').next()?;
        is_listening.then(|| u16::from_str_radix(port, 16).ok()).flatten()
    })
}

fn check_metrics(text: &[u8]) {
    let mut command = Command::new(tool("promtool", "prometheus"));
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let mut demo = Exporter::demo();
    let metrics = demo.eventually("all targets", |metrics| metrics.series(&["akamai_target_up"]).len() == 7);
    check_metrics(metrics.0.as_bytes());
    let curl = Command::new(tool("curl", "curl"))
        .args(["--silent", "--compressed"])
        .arg(format!("{}/metrics", demo.url))
        .output();
    let unzipped = curl.unwrap().stdout;
    assert!(unzipped.len() > metrics.0.len() / 2, "{} bytes", unzipped.len());
    check_metrics(&unzipped);
    let plain = Command::new(tool("curl", "curl"))
        .args(["--silent", "--header", "Accept-Encoding: gzip", "--output", "-"])
        .arg(format!("{}/metrics", demo.url))
        .output();
    let file = tempfile::NamedTempFile::with_suffix(".gz").unwrap();
    std::fs::write(file.path(), plain.unwrap().stdout).unwrap();
    let tested = Command::new(tool("gzip", "gzip")).arg("--test").arg(file.path()).output().unwrap();
    assert!(
        tested.status.success() && tested.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&tested.stderr)
    );
}

#[test]
fn the_original_metrics_pass_promtool_too() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, LEGACY);
    let metrics = exporter.eventually("data", |metrics| metrics.value(&["edge_2xx"]).is_some());
    check_metrics(metrics.0.as_bytes());
}

const LEGACY: &str = "[exporter]\nlegacy_metrics = true\npolling_interval = 1\n[akamai]\nedgerclocation = EDGERC\n\
    cpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n";

/// Every metric of the traffic report, and a CP code that is somebody else's.
const ALL_OF_THE_REPORT: &str = "[traffic]\ncpcodes = 1209788, 999\ndimensions = cpcode\nmetrics = edgeHitsSum, edgeBytesSum, \
    edgeRequestBytesSum, edgeResponseBytesSum, originHitsSum, originBytesSum, originRequestBytesSum, originResponseBytesSum, \
    midgressHitsSum, midgressBytesSum, midgressRequestBytesSum, midgressResponseBytesSum, offloadedHitsPercentage, \
    offloadedBytesPercentage, offloadedRequestBytesPercentage, offloadedResponseBytesPercentage\n";

#[test]
fn a_real_prometheus_has_every_family() {
    let simulator = Simulator::start(&[]);
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = format!("[dogstatsd]\naddress = {}\n", agent.local_addr().unwrap());
    // A CP code that the API client may not see fails for a reason.
    let legacy = LEGACY.replace("cpcode = 1209788", "cpcode = 1209788, 999");
    let legacy = Exporter::start(&simulator, &format!("{legacy}{ALL_OF_THE_REPORT}{sink}"));
    let mut demo = Exporter::demo();
    let prometheus = Prometheus::scraping(&[&demo.url, &legacy.url]);
    let declared = KINDS.iter().flat_map(|kind| kind.families).chain(&health::ALL).chain(&families::ALL);
    let mut missing: BTreeMap<String, ()> = declared
        .map(|family| match family.kind {
            akamai_exporter::model::MetricKind::Histogram => format!("{}_bucket", family.name),
            _ => family.name.to_owned(),
        })
        .map(|name| (name, ()))
        .collect();
    assert!(missing.len() > 30);
    // The demo polls every few seconds: each line of its log is an occasion to look again.
    while !missing.is_empty() {
        missing.retain(|name, ()| prometheus.query(name).is_empty());
        if !missing.is_empty() {
            demo.process.next(&format!("{:?} in Prometheus", missing.keys()));
        }
    }
    let up = prometheus.query("sum(akamai_up)");
    assert!(up[0]["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 3.0, "{up:?}");
    let shares = prometheus.query(r#"sum by (tier) (akamai_estats_status_ratio{cpcode="1209788", delivery="STANDARD_TLS", source="estats"}) / 2"#);
    for share in shares {
        // Two exporters report the CP code; the shares of all classes of one sample are 1.
        let sum: f64 = share["value"][1].as_str().unwrap().parse().unwrap();
        assert!((sum - 1.0).abs() < 1e-9, "{share}");
    }
}
