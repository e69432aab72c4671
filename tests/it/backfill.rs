//! `akamai-exporter backfill`, as the real binary against the simulator: what is in the files is what the simulator says there was, whatever
//! happens on the way, and Prometheus' own tools take it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, Simulator, request, run};
use crate::prometheus::{Prometheus, create_blocks};

/// The report's sums, and what each window's are called.
const COLUMNS: [(&str, &str); 12] = [
    ("edgeHitsSum", "edge_hits"),
    ("edgeBytesSum", "edge_bytes"),
    ("edgeRequestBytesSum", "edge_request_bytes"),
    ("edgeResponseBytesSum", "edge_response_bytes"),
    ("originHitsSum", "origin_hits"),
    ("originBytesSum", "origin_bytes"),
    ("originRequestBytesSum", "origin_request_bytes"),
    ("originResponseBytesSum", "origin_response_bytes"),
    ("midgressHitsSum", "midgress_hits"),
    ("midgressBytesSum", "midgress_bytes"),
    ("midgressRequestBytesSum", "midgress_request_bytes"),
    ("midgressResponseBytesSum", "midgress_response_bytes"),
];

const CODES: [u64; 2] = [1_209_788, 100_001];

/// Two days, and the days of them in files' names.
const FROM: &str = "2026-11-17";
const TO: &str = "2026-11-19";
const FILES: [&str; 2] = ["default-amd-2026-11-17.om", "default-amd-2026-11-18.om"];

const INI: &str = "[exporter]\nlabels = env=test\n[akamai]\nedgerclocation = EDGERC\nrate_limit_share = 1\n\
    retry_pause = 1s\nblock_pause = 1s\nrequest_timeout = 5s\n[amd]\ncpcodes = 1209788, 100001\n";

/// A simulated Akamai whose time is a file's, and a place for directories.
struct World {
    simulator: Simulator,
    directory: TempDir,
    now: DateTime<Utc>,
}

impl World {
    fn start(arguments: &[&str], ini: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = "2026-11-20T12:02:00Z".parse().unwrap();
        let clock = directory.path().join("clock");
        set(&clock, now);
        let simulator =
            Simulator::start(&[arguments, &[&format!("--clock.file={}", clock.display())]].concat());
        let ini = ini.replace("EDGERC", simulator.edgerc().to_str().unwrap());
        fs::write(directory.path().join("exporter.ini"), ini).unwrap();
        Self { simulator, directory, now }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn advance(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
        set(&self.path("clock"), self.now);
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("{flag}={}", self.path(name).display());
        let own =
            ["backfill".to_owned(), file("--config.file", "exporter.ini"), file("--clock.file", "clock")];
        own.into_iter().chain(more.iter().map(|text| (*text).to_owned())).collect()
    }

    /// Begins to backfill the two days into `output`.
    fn backfill(&self, output: &str) -> Process {
        self.backfill_with(output, &["--from", FROM, "--to", TO])
    }

    fn backfill_with(&self, output: &str, more: &[&str]) -> Process {
        let output = format!("--output={}", self.path(output).display());
        let arguments = self.arguments(&[more, &[&output]].concat());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::start(&arguments, &[])
    }

    /// The exit status and what was said of a backfill that cannot begin.
    fn refused(&self, more: &[&str]) -> (i32, String) {
        let arguments = self.arguments(more);
        let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// The files with samples in a directory.
    fn files(&self, output: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.path(output)).unwrap().map(|entry| entry.unwrap().path());
        let is_whole = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "om");
        let read = |path: PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        };
        entries.filter(is_whole).map(read).collect()
    }

    /// What the simulator says in the end of each window: metric, CP code, class and the window's end to the number.
    fn truth(&self, from: &str, windows: i32) -> Samples {
        let start: DateTime<Utc> = format!("{from}T00:00:00Z").parse().unwrap();
        let mut truth = Samples::new();
        for window in 0..windows {
            let [begin, end] = [window, window + 1].map(|number| start + TimeDelta::minutes(5) * number);
            let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
            let answer = self.simulator.show(&format!("/traffic?start={}&end={}", text(begin), text(end)));
            for row in answer["rows"].as_array().unwrap() {
                let (code, class) = (row["cpcode"].as_u64().unwrap(), row["responseClass"].as_str().unwrap());
                for (column, metric) in COLUMNS {
                    let key = (metric.to_owned(), code, class.to_owned(), end.timestamp());
                    truth.insert(key, row[column].as_f64().unwrap());
                }
            }
        }
        truth
    }

    fn behaved(&self) {
        let violations = self.simulator.log()["violations"].clone();
        assert!(violations.as_object().unwrap().values().all(|count| *count == json!(0)), "{violations}");
    }

    /// How many requests for rows there were.
    fn asked(&self) -> usize {
        let log = self.simulator.log();
        let requests = log["requests"].as_array().unwrap().iter();
        requests.filter(|entry| entry["api"] == "reporting" && entry["method"] == "POST").count()
    }
}

/// Metric, CP code, class and time to the number.
type Samples = BTreeMap<(String, u64, String, i64), f64>;

fn set(clock: &Path, now: DateTime<Utc>) {
    let draft = clock.with_extension("draft");
    fs::write(&draft, now.to_rfc3339()).unwrap();
    fs::rename(draft, clock).unwrap();
}

/// The samples of a file, which must be in the format's order.
fn samples(text: &str) -> Samples {
    let (mut found, mut before) = (Samples::new(), (String::new(), 0_i64));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [series, value, time] = line
            .rsplitn(3, ' ')
            .collect::<Vec<_>>()
            .try_into()
            .map(|[a, b, c]: [&str; 3]| [c, b, a])
            .unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        assert_eq!([label("account"), label("source"), label("env")], ["default", "amd", "test"], "{line}");
        let (time, metric): (i64, _) =
            (time.parse().unwrap(), name.strip_prefix("akamai_traffic_window_").unwrap());
        assert!(
            before.0.as_str() < series || (before.0 == series && before.1 < time),
            "{before:?} before {line}"
        );
        before = (series.to_owned(), time);
        let key = (metric.to_owned(), label("cpcode").parse().unwrap(), label("status_class"), time);
        assert!(found.insert(key, value.parse().unwrap()).is_none(), "{line} stands there twice");
    }
    assert!(text.ends_with("# EOF\n"));
    found
}

/// All samples of all files.
fn all_samples(files: &BTreeMap<String, Vec<u8>>) -> Samples {
    files.values().flat_map(|bytes| samples(std::str::from_utf8(bytes).unwrap())).collect()
}

#[track_caller]
fn compare(found: &Samples, truth: &Samples) {
    let wrong: Vec<_> = truth.iter().filter(|(key, value)| found.get(key) != Some(value)).take(5).collect();
    assert!(wrong.is_empty(), "{} of {} samples: {wrong:?}", found.len(), truth.len());
    assert_eq!(found.len(), truth.len());
}

/// Blocks of all files, made one file at a time.
fn blocks(world: &World, output: &str) -> PathBuf {
    let blocks = world.path("blocks");
    for name in world.files(output).keys() {
        create_blocks(&world.path(output).join(name), &blocks);
    }
    blocks
}

/// What a Prometheus has of the two days.
fn queried(prometheus: &Prometheus) -> Samples {
    let end = "2026-11-19T00:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    let mut found = Samples::new();
    for (_, metric) in COLUMNS {
        let query =
            format!("akamai_traffic_window_{metric}{{account=\"default\",source=\"amd\",env=\"test\"}}[2d]");
        for series in prometheus.query_at(&query, end as f64) {
            let label = |name: &str| series["metric"][name].as_str().unwrap().to_owned();
            for value in series["values"].as_array().unwrap() {
                let time = value[0].as_f64().unwrap() as i64;
                let key = (metric.to_owned(), label("cpcode").parse().unwrap(), label("status_class"), time);
                found.insert(key, value[1].as_str().unwrap().parse().unwrap());
            }
        }
    }
    found
}

#[test]
fn prometheus_has_every_window_of_two_days_as_akamai_says() {
    let world = World::start(&["--cpcodes=1209788,100001"], INI);
    let mut backfill = world.backfill("out");
    assert!(backfill.ended().success(), "{:#?}", backfill.log);
    assert_eq!(backfill.logged("backfill done")[0]["windows"], 2 * 288);
    let files = world.files("out");
    assert_eq!(files.keys().collect::<Vec<_>>(), FILES);
    let truth = world.truth(FROM, 2 * 288);
    assert!(truth.len() > 2 * 288 * 12 * 8, "{}", truth.len());
    compare(&all_samples(&files), &truth);
    let prometheus = Prometheus::on_blocks(&blocks(&world, "out"));
    compare(&queried(&prometheus), &truth);
    // A day is one request.
    assert_eq!(world.asked(), 2);
    world.behaved();
}

#[test]
fn stopped_or_killed_it_goes_on_to_the_same_bytes() {
    let ini = format!(
        "{INI}[traffic hosts]\ncpcodes = 1209788, 100001\ndimensions = cpcode, hostname\nmetrics = edgeHitsSum\n"
    );
    let mut world = World::start(&["--latency=2s"], &ini);
    assert!(world.backfill("whole").ended().success());
    let whole = world.files("whole");
    assert_eq!(whole.len(), 4, "{:?}", whole.keys());

    // Before, while and after the first rows come.
    for (line, signal) in
        [("backfill begins", "INT"), ("request done", "TERM"), ("backfilled default-amd", "INT")]
    {
        let mut backfill = world.backfill("parts");
        backfill.line(line);
        backfill.signal(signal);
        assert_eq!(backfill.ended().code(), Some(1));
        assert_eq!(
            backfill.logged("stopped; the same command goes on where it was").len(),
            1,
            "{:?}",
            backfill.log
        );
    }
    // What is being written when it is killed is no file.
    fs::write(world.path("parts/.default-amd-2026-11-18.om.partial"), "akamai_traffic_window").unwrap();
    let mut kills = 0;
    loop {
        let mut backfill = world.backfill("parts");
        backfill.line("backfill goes on where it was");
        let left = 4 - world.files("parts").len();
        for _ in 0..if left > 2 { 1 } else { 2 } {
            backfill.line("request done");
        }
        if kills == 3 {
            assert!(backfill.ended().success(), "{:?}", backfill.log);
            break;
        }
        backfill.signal("KILL");
        backfill.ended();
        kills += 1;
        // What was asked for stays the same, whatever is settled by now.
        world.advance(60);
    }
    assert_eq!(world.files("parts"), whole);
    assert!(!world.path("parts/.default-amd-2026-11-18.om.partial").exists());
    // Nothing is left to ask for.
    let asked = world.asked();
    assert!(world.backfill("parts").ended().success());
    assert_eq!(world.asked(), asked);
    world.behaved();
}

#[test]
fn straight_to_a_receiver_though_killed_on_the_way() {
    let prometheus = Prometheus::receiving();
    let ini = format!("{INI}[remote_write mimir]\nurl = {}/api/v1/write\n", prometheus.url);
    let world = World::start(&["--cpcodes=1209788,100001"], &ini);
    let start = |name: &[&str]| {
        let progress = format!("--progress={}", world.path("progress").display());
        let days = ["--from", FROM, "--to", TO, &progress, "--remote-write"];
        let arguments = world.arguments(&[&days, name].concat());
        Process::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    };
    let mut backfill = start(&["mimir"]);
    backfill.line("backfilled up to 2026-11-18T00:00:00Z");
    backfill.signal("KILL");
    backfill.ended();
    let mut backfill = start(&["mimir"]);
    assert_eq!(backfill.line("backfill goes on where it was")["done"], 288);
    assert!(backfill.ended().success(), "{:#?}", backfill.log);
    compare(&queried(&prometheus), &world.truth(FROM, 2 * 288));
    let sent = fs::read_to_string(world.path("progress/default-amd.sent")).unwrap();
    assert_eq!(sent, "2026-11-19T00:00:00Z\n");
    // Nothing is left to send; and a directory for files is another one.
    let asked = world.asked();
    assert!(start(&["mimir"]).ended().success());
    assert_eq!(world.asked(), asked);
    assert_eq!(world.backfill("progress").ended().code(), Some(1));
    let (status, said) = world.refused(&["--from=6h", "--remote-write", "mimri"]);
    assert!(status == 2 && said.contains("no such [remote_write] section; did you mean `mimir`?"), "{said}");
    world.behaved();
}

#[test]
fn a_receiver_that_is_not_there_is_told_and_the_next_run_goes_on() {
    // Nobody listens at port 1.
    let ini = format!("{INI}[remote_write]\nurl = http://127.0.0.1:1/write\n");
    let world = World::start(&["--cpcodes=1209788,100001"], &ini);
    let progress = format!("--progress={}", world.path("progress").display());
    let arguments = world.arguments(&["--from", FROM, "--to", TO, &progress, "--remote-write"]);
    let mut backfill = Process::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let event = backfill.line("sending is tried again after a pause");
    assert_eq!(event["sink"], "remote_write", "{event}");
    backfill.signal("TERM");
    assert_eq!(backfill.ended().code(), Some(1));
    assert_eq!(backfill.logged("stopped; the same command goes on where it was").len(), 1);
    assert!(!world.path("progress/default-amd.sent").exists());
}

#[test]
fn faults_on_the_way_leave_nothing_out_but_what_is_refused() {
    let world =
        World::start(&["--cpcodes=1209788,100001,100003"], &INI.replace("100001\n", "100001, 100003\n"));
    let url = format!("{}/_simulator/unauthorized", world.simulator.url);
    assert_eq!(request("PUT", &url, &json!({ "cpcodes": [100_003] }).to_string()).status, 200);
    let reporting = |times: u64| json!({ "api": "reporting", "times": times });
    for (fault, times) in
        [("server-error", 2), ("rate-limited", 1), ("truncated", 1), ("query-cost", 2), ("more-rows", 1)]
    {
        world.simulator.fault(fault, &reporting(times));
    }
    let mut backfill = world.backfill("out");
    assert_eq!(backfill.ended().code(), Some(1), "{:#?}", backfill.log);
    assert!(backfill.logged("the past is asked for again after a pause").len() >= 3, "{:#?}", backfill.log);
    let said = backfill.logged("backfill done, but for 2 thing(s)");
    assert_eq!(said.len(), 1, "{:#?}", backfill.log);
    let missing = fs::read_to_string(world.path("out").join(format!("{}.missing", FILES[0]))).unwrap();
    assert_eq!(
        missing,
        "2026-11-17T00:00:00Z to 2026-11-17T23:55:00Z: CP code(s) 100003 left out, since Akamai says that they are not this API client's\n"
    );
    let mut truth = world.truth(FROM, 2 * 288);
    truth.retain(|(_, code, ..), _| CODES.contains(code));
    compare(&all_samples(&world.files("out")), &truth);
    // What is missing is said again.
    let mut again = world.backfill("out");
    assert_eq!(again.ended().code(), Some(1));
    assert_eq!(again.logged("backfill done, but for 2 thing(s)").len(), 1, "{:#?}", again.log);
    world.behaved();
}

#[test]
fn an_answer_without_any_row_is_not_believed_at_once() {
    let world = World::start(&["--cpcodes=1209788,100001"], INI);
    world.simulator.fault("empty", &json!({ "api": "reporting", "times": 1 }));
    assert!(world.backfill("out").ended().success());
    compare(&all_samples(&world.files("out")), &world.truth(FROM, 2 * 288));
    // One that stays so is no traffic: files without a sample, and no zeros.
    world.simulator.fault("empty", &json!({ "api": "reporting" }));
    assert!(world.backfill("quiet").ended().success());
    let quiet = world.files("quiet");
    assert!(quiet.len() == 2 && quiet.values().all(|bytes| bytes == b"# EOF\n"), "{quiet:?}");
    world.behaved();
}

#[test]
fn rows_that_cannot_be_used_are_told_and_never_made_up() {
    let world = World::start(&["--cpcodes=1209788,100001"], INI);
    world.simulator.fault("negative", &json!({ "api": "reporting" }));
    let mut backfill =
        world.backfill_with("out", &["--from=2026-11-18T10:00:00Z", "--to=2026-11-18T11:00:00Z"]);
    assert_eq!(backfill.ended().code(), Some(1), "{:#?}", backfill.log);
    assert!(!backfill.logged("backfill done, but for ").is_empty(), "{:#?}", backfill.log);
    let found = all_samples(&world.files("out"));
    let truth = world.truth("2026-11-18", 11 * 12);
    assert!(!found.is_empty() && found.iter().all(|(key, value)| truth.get(key) == Some(value)));
    let missing = fs::read_to_string(world.path("out/default-amd-2026-11-18.om.missing")).unwrap();
    assert!(missing.contains("since Akamai's answer has rows of them that cannot be used"), "{missing}");
    // Without its file the day is fetched again.
    world.simulator.heal();
    fs::remove_file(world.path("out/default-amd-2026-11-18.om")).unwrap();
    let mut backfill =
        world.backfill_with("out", &["--from=2026-11-18T10:00:00Z", "--to=2026-11-18T11:00:00Z"]);
    assert!(backfill.ended().success(), "{:#?}", backfill.log);
    assert!(!world.path("out/default-amd-2026-11-18.om.missing").exists());
    world.behaved();
}

#[test]
fn what_akamai_does_not_give_is_tried_again_by_the_next_run() {
    let world = World::start(&["--cpcodes=1209788,100001"], INI);
    world.simulator.fault("inactive-token", &json!({}));
    let mut backfill = world.backfill("out");
    assert_eq!(backfill.ended().code(), Some(1));
    assert_eq!(backfill.logged("backfill not done: 1 failure(s)").len(), 1, "{:#?}", backfill.log);
    assert!(world.files("out").is_empty());
    world.simulator.heal();
    assert!(world.backfill("out").ended().success());
    compare(&all_samples(&world.files("out")), &world.truth(FROM, 2 * 288));
}

#[test]
fn a_full_disk_leaves_no_half_a_file() {
    let world = World::start(&["--cpcodes=1209788,100001"], INI);
    let output = format!("--output={}", world.path("out").display());
    let arguments = world.arguments(&["--from", FROM, "--to", TO, &output]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut backfill = Process::start_on_a_disk(&arguments);
    backfill.line("backfill begins");
    backfill.fill_disk(true);
    assert_eq!(backfill.ended().code(), Some(1));
    let said = backfill.log.join("\n");
    assert!(said.contains("cannot write") && said.contains("default-amd-2026-11-17.om"), "{said}");
    assert!(world.files("out").is_empty());
    assert!(world.backfill("out").ended().success());
    assert_eq!(world.files("out").len(), 2);
}

#[test]
fn small_requests_within_the_budget() {
    // 24 windows of two CP codes, and one CP code a request, so that there are many; 600 requests a minute.
    let arguments = ["--cpcodes=1209788,100001", "--rate-limit=600", "--cost-limit=60", "--in-list-limit=1"];
    let world = World::start(&arguments, INI);
    let six_hours = ["--from=2026-11-18T00:00:00Z", "--to=2026-11-18T06:00:00Z"];
    let mut backfill = world.backfill_with("out", &six_hours);
    assert!(backfill.ended().success(), "{:#?}", backfill.log);
    compare(&all_samples(&world.files("out")), &world.truth("2026-11-18", 72));
    assert!(world.asked() >= 6, "{}", world.asked());
    world.behaved();
    // A run that goes on has to learn the limit of CP codes anew.
    fs::remove_file(world.path("out/default-amd-2026-11-18.om")).unwrap();
    assert!(world.backfill_with("out", &six_hours).ended().success());
    compare(&all_samples(&world.files("out")), &world.truth("2026-11-18", 72));
    world.behaved();
}

#[test]
fn a_time_that_passes_moves_no_range_that_has_begun() {
    let mut world = World::start(&["--cpcodes=1209788,100001"], INI);
    let mut backfill = world.backfill_with("out", &["--from=6h"]);
    assert!(backfill.ended().success(), "{:#?}", backfill.log);
    let moved = backfill.logged("--from 6h is moved to 2026-11-20T06:00:00Z, where a window begins");
    assert_eq!(moved.len(), 1, "{:#?}", backfill.log);
    let files = world.files("out");
    let manifest: Value =
        serde_json::from_slice(&fs::read(world.path("out/manifest.json")).unwrap()).unwrap();
    // Settled after an hour.
    assert_eq!(
        (&manifest["from"], &manifest["to"]),
        (&json!("2026-11-20T06:00:00Z"), &json!("2026-11-20T11:00:00Z"))
    );
    assert_eq!(manifest["sources"][0]["cpcodes"], json!([100_001, 1_209_788]));
    world.advance(120);
    assert!(world.backfill_with("out", &["--from=6h"]).ended().success());
    assert_eq!(world.files("out"), files);
    let mut other = world.backfill_with("out", &["--from=7h"]);
    assert_eq!(other.ended().code(), Some(1));
    let said = other.log.join("\n");
    for part in [
        "belongs to another backfill: openmetrics from 2026-11-20T06:00:00Z to 2026-11-20T11:00:00Z of default/amd with the labels env=test",
        "This one is: openmetrics from 2026-11-20T07:00:00Z to 2026-11-20T13:00:00Z",
        "Name another directory, or go on with that one",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn wrong_usage_and_wrong_configuration() {
    let world = World::start(&[], &format!("{INI}[estats]\ncpcodes = 1\n"));
    let out = format!("--output={}", world.path("out").display());
    let cases: [(&[&str], &str); 9] = [
        (
            &["--from=soon", &out],
            "expected a time such as 2026-11-01T06:00:00Z, a date such as 2026-11-01 (UTC)",
        ),
        (
            &["--from=93d", &out],
            "--from 93d is longer ago than Akamai keeps its reports, 92 days; expected 2026-08-20T12:15:00Z",
        ),
        (&["--from=2026-11-19", "--to=2026-11-18", &out], "there is no settled window"),
        (
            &["--from=10m", &out],
            "--from 10m is after all that is settled, which ends at 2026-11-20T11:00:00Z",
        ),
        (
            &["--from=6h", "--source=adm", &out],
            "--source adm: there is no such [amd] or [traffic]; did you mean `amd`?",
        ),
        (&["--from=6h", "--source=estats", &out], "--source estats: there is no such [amd] or [traffic]; "),
        (&["--from=6h"], "--output <DIR>|--remote-write [<NAME>]"),
        (&["--from=6h", &out, "--remote-write"], "cannot be used with"),
        (&["--from=6h", "--remote-write"], "exporter.ini has no [remote_write] section"),
    ];
    for (arguments, expected) in cases {
        let (status, said) = world.refused(arguments);
        assert!(
            status == 2 && said.starts_with("error: ") && said.contains(expected),
            "{arguments:?}: {status} {said}"
        );
    }
    assert!(!world.path("out").exists());
    assert_eq!(world.simulator.log()["last"], 0, "Akamai was asked");
    fs::write(world.path("exporter.ini"), "[amd]\n").unwrap();
    let (status, said) = world.refused(&["--from=6h", &out]);
    assert!(status == 78 && said.contains("there is no [akamai] section"), "{status} {said}");
}
