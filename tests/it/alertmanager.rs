//! Alertmanager with our `alertmanager.yml`: Debian's own, its tools and its code are the judges. [`Alertmanager`] runs one, and
//! [`Webhook`] is who it tells.

mod calendar;
mod channels;
mod elsewhere;
mod events;
mod routes;
mod templates;
mod webhook;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::webhook::{Notification, Webhook};
use crate::process::{PATIENCE, lines, request};
use crate::repository::{path, read};
use crate::tools::tool;

/// What is replaced in `alertmanager.yml`, and by what. A text that is not there fails the test.
pub type Edit<'a> = (&'a str, &'a str);

/// Messages leave after a second: what is tested is which, not how late.
pub const QUICK: [Edit<'static>; 2] =
    [("group_wait: 20s", "group_wait: 1s"), ("group_interval: 5m", "group_interval: 1s")];

/// No downtime ever, whenever the test runs.
pub const NO_DOWNTIME: [Edit<'static>; 1] = [("[week-nights, weekends, maintenance]", "[]")];

/// A downtime that has no end.
pub const IN_DOWNTIME: [Edit<'static>; 2] = [
    ("[week-nights, weekends, maintenance]", "[always]"),
    ("\ntime_intervals:\n", "\ntime_intervals:\n  - name: always\n    time_intervals: [{}]\n"),
];

/// `alertmanager.yml` with these edits; its templates are found from anywhere.
fn configuration(edits: &[Edit]) -> String {
    let templates = format!("  - {}/", path("prometheus/alertmanager").display());
    edits.iter().chain(&[("  - prometheus/alertmanager/", templates.as_str())]).fold(
        read("alertmanager.yml"),
        |text, (from, to)| {
            assert!(text.contains(from), "alertmanager.yml has no {from:?} any more");
            text.replace(from, to)
        },
    )
}

/// An Alertmanager of Debian's package, with its data in a temporary folder.
pub struct Alertmanager {
    child: Child,
    log: Receiver<String>,
    _directory: TempDir,
    pub url: String,
}

impl Alertmanager {
    /// Starts one with our `alertmanager.yml` and these edits, such as [`QUICK`], that tells `webhook` in place of the stack's page.
    pub fn start(webhook: &str, edits: &[Edit]) -> Self {
        let edits = [edits, &[("http://notifications:9880/", webhook)]].concat();
        Self::with(&configuration(&edits))
    }

    /// Starts one with this configuration.
    pub fn with(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("alertmanager.yml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(tool("prometheus-alertmanager", "prometheus-alertmanager"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", directory.path().join("data").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", "--log.level=debug"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let mut alertmanager = Self { child, log, _directory: directory, url: String::new() };
        let listening = alertmanager.line("msg=\"Listening on\"");
        alertmanager.url = format!("http://{}", listening.rsplit("address=").next().unwrap());
        alertmanager
    }

    /// The next line of the log with these words.
    pub fn line(&self, words: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line.contains(words) {
                return line;
            }
            seen.push(line);
        }
        panic!("no {words:?} in the log of Alertmanager:\n{}", seen.join("\n"));
    }

    /// Posts alerts, as Prometheus does.
    pub fn post(&self, alerts: &[Value]) {
        let answer = request("POST", &format!("{}/api/v2/alerts", self.url), &json!(alerts).to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// The alerts with their states, as Alertmanager has them now.
    pub fn alerts(&self) -> Vec<Value> {
        let answer = request("GET", &format!("{}/api/v2/alerts", self.url), "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Labels as `name=value` with spaces between them.
fn labels(text: &str) -> Value {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// An alert with these labels that begins now. (One that began longer ago than `group_wait` leaves at once, before what silences it is there.)
fn alert(text: &str) -> Value {
    let annotations = json!({"summary": format!("about {text}"), "description": "What it means."});
    json!({"labels": labels(text), "annotations": annotations})
}
