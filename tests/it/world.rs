//! Simulated hours in seconds: Akamai and the exporter read the time from one file, and the exporter can be killed and started again.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::process::{Process, Simulator};

/// What the report's columns become.
pub const COLUMNS: [(&str, &str); 12] = [
    ("edgeHitsSum", "akamai_traffic_edge_hits_total"),
    ("edgeBytesSum", "akamai_traffic_edge_bytes_total"),
    ("edgeRequestBytesSum", "akamai_traffic_edge_request_bytes_total"),
    ("edgeResponseBytesSum", "akamai_traffic_edge_response_bytes_total"),
    ("originHitsSum", "akamai_traffic_origin_hits_total"),
    ("originBytesSum", "akamai_traffic_origin_bytes_total"),
    ("originRequestBytesSum", "akamai_traffic_origin_request_bytes_total"),
    ("originResponseBytesSum", "akamai_traffic_origin_response_bytes_total"),
    ("midgressHitsSum", "akamai_traffic_midgress_hits_total"),
    ("midgressBytesSum", "akamai_traffic_midgress_bytes_total"),
    ("midgressRequestBytesSum", "akamai_traffic_midgress_request_bytes_total"),
    ("midgressResponseBytesSum", "akamai_traffic_midgress_response_bytes_total"),
];

/// Akamai, a clock that both sides read, and a place for an exporter that is killed and started again.
pub struct World {
    clock: PathBuf,
    pub now: DateTime<Utc>,
    pub simulator: Simulator,
    pub directory: TempDir,
    port: u16,
    pub kills: u32,
    /// Further lines of `[exporter]`.
    pub exporter_keys: String,
    /// For choices that look random and are the same each time.
    dice: u64,
}

impl World {
    pub fn new(cpcodes: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = directory.path().join("clock");
        let now = "2026-11-20T09:02:00Z".parse().unwrap();
        set(&clock, now);
        let file = format!("--clock.file={}", clock.display());
        let simulator = Simulator::start(&[&file, &format!("--cpcodes={cpcodes}")]);
        // Who looks for it is to find it again after a kill.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { clock, now, simulator, directory, port, kills: 0, exporter_keys: String::new(), dice: 7 }
    }

    pub fn advance(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
        set(&self.clock, self.now);
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % below
    }

    /// Starts the exporter with these sections besides `[exporter]` and `[akamai]`.
    pub fn exporter(&self, sections: &str) -> Process {
        let ini = format!(
            "[exporter]\npolling_interval = 1\nstate_directory = {}\n{}[akamai]\nedgerclocation = {}\nretry_pause = 1\n{sections}\n",
            self.directory.path().join("state").display(),
            self.exporter_keys,
            self.simulator.edgerc().display(),
        );
        let file = self.directory.path().join("exporter.ini");
        fs::write(&file, ini).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--web.listen-address=127.0.0.1:{}", self.port),
            format!("--clock.file={}", self.clock.display()),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::start_on_a_disk(&arguments);
        process.line("listening");
        process
    }

    /// Kills the exporter at some moment of what it does next, and starts it again.
    pub fn kill(&mut self, exporter: &mut Process, sections: &str) {
        for _ in 0..self.roll(9) {
            exporter.next("the moment to be killed");
        }
        exporter.signal("KILL");
        exporter.ended();
        self.kills += 1;
        *exporter = self.exporter(sections);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the simulated Akamai reports in the end of the time between: for each CP code, class and column.
    pub fn totals(
        &self,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> BTreeMap<(String, String, &'static str), f64> {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let answer = self.simulator.show(&format!("/traffic?start={}&end={}", time(start), time(end)));
        let rows = answer["rows"].as_array().unwrap();
        rows.iter()
            .flat_map(|row| {
                let (code, class) =
                    (row["cpcode"].to_string(), row["responseClass"].as_str().unwrap().to_owned());
                COLUMNS.map(|(column, metric)| {
                    ((code.clone(), class.clone(), metric), row[column].as_f64().unwrap())
                })
            })
            .collect()
    }
}

/// Moves the clock's hand at a stroke.
fn set(clock: &Path, now: DateTime<Utc>) {
    let draft = clock.with_extension("draft");
    fs::write(&draft, now.to_rfc3339()).unwrap();
    fs::rename(draft, clock).unwrap();
}

/// Waits for a poll of `source` that gave data.
pub fn good_poll(exporter: &mut Process, source: &str) {
    loop {
        let event = exporter.line("poll done");
        if event["source"] == source && event.get("reason").is_none_or(|reason| reason.is_null()) {
            return;
        }
    }
}
