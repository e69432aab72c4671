//! The downtimes at their edges, and whom they mute, by Alertmanager's own code (`calendar.go`, against Debian's source package).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{labels, path};
use crate::tools::{source, tool};

/// The program, built once for all tests.
fn calendar() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let package = "golang-github-prometheus-alertmanager-dev";
        let gopath = source("/usr/share/gocode", "src/github.com/prometheus/alertmanager/config", package);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = folder.join("calendar");
        let mut build = Command::new(tool("go", "golang-go"));
        build.args(["build", "-o"]).arg(&program).arg(path("tests/it/alertmanager/calendar.go"));
        build.env("GOPATH", gopath).env("GO111MODULE", "off").env("GOFLAGS", "");
        let output = build.env("GOCACHE", folder.join("go-cache")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    })
}

/// What Alertmanager makes of each instant and alert, by our `alertmanager.yml`.
fn ask(questions: &[(&str, Value)]) -> Vec<Value> {
    ask_by(&path("alertmanager.yml"), questions)
}

/// The same by another configuration.
pub(super) fn ask_by(file: &Path, questions: &[(&str, Value)]) -> Vec<Value> {
    let mut child = Command::new(calendar())
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> =
        questions.iter().map(|(at, labels)| json!({"at": at, "labels": labels}).to_string() + "\n").collect();
    let mut stdin = child.stdin.take().unwrap();
    // Beside the reading: neither side may wait for the other.
    let writer = std::thread::spawn(move || stdin.write_all(lines.concat().as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// Instants, and the intervals that contain each.
fn check(expected: &[(&str, &[&str])]) {
    let questions: Vec<_> = expected.iter().map(|(at, _)| (*at, json!({}))).collect();
    for ((at, intervals), answer) in expected.iter().zip(ask(&questions)) {
        assert_eq!(answer["intervals"], json!(intervals), "at {at}");
    }
}

const NONE: &[&str] = &[];
const NIGHT: &[&str] = &["week-nights"];
const WEEKEND: &[&str] = &["weekends"];

/// 16 to 20 November 2026 are Monday to Friday; Berlin is one hour ahead of UTC.
#[test]
fn week_nights_are_from_19_to_9() {
    for day in 16..=20 {
        let instants = ["08:59:59", "09:00:00", "12:00:00", "18:59:59", "19:00:00", "23:59:59"];
        let instants = instants.map(|time| format!("2026-11-{day}T{time}+01:00"));
        let [before, nine, noon, late, seven, midnight] = instants.each_ref().map(String::as_str);
        check(&[
            (before, NIGHT),
            (nine, NONE),
            (noon, NONE),
            (late, NONE),
            (seven, NIGHT),
            (midnight, NIGHT),
        ]);
    }
    // Out of one night into the next day: Tuesday, 00:00.
    check(&[("2026-11-16T23:59:59+01:00", NIGHT), ("2026-11-17T00:00:00+01:00", NIGHT)]);
}

#[test]
fn a_weekend_is_one_stretch_from_friday_to_monday() {
    check(&[
        ("2026-11-20T18:59:59+01:00", NONE),
        ("2026-11-20T19:00:00+01:00", NIGHT),
        ("2026-11-20T23:59:59+01:00", NIGHT),
        ("2026-11-21T00:00:00+01:00", WEEKEND),
        ("2026-11-21T08:59:59+01:00", WEEKEND),
        ("2026-11-21T09:00:00+01:00", WEEKEND),
        ("2026-11-21T18:59:59+01:00", WEEKEND),
        ("2026-11-21T19:00:00+01:00", WEEKEND),
        ("2026-11-21T23:59:59+01:00", WEEKEND),
        ("2026-11-22T00:00:00+01:00", WEEKEND),
        ("2026-11-22T09:00:00+01:00", WEEKEND),
        ("2026-11-22T18:59:59+01:00", WEEKEND),
        ("2026-11-22T19:00:00+01:00", WEEKEND),
        ("2026-11-22T23:59:59+01:00", WEEKEND),
        ("2026-11-23T00:00:00+01:00", NIGHT),
        ("2026-11-23T08:59:59+01:00", NIGHT),
        ("2026-11-23T09:00:00+01:00", NONE),
    ]);
}

/// The days around both changes of 2026 and 2027: the wall's time decides, so the same hour is another one in UTC.
#[test]
fn daylight_saving_moves_the_edges_in_utc() {
    check(&[
        // Friday in winter, the change on Sunday 29 March 2026 at 01:00 UTC, Monday in summer.
        ("2026-03-27T17:59:59Z", NONE),
        ("2026-03-27T18:00:00Z", NIGHT),
        ("2026-03-27T22:59:59Z", NIGHT),
        ("2026-03-27T23:00:00Z", WEEKEND),
        ("2026-03-29T00:59:59Z", WEEKEND),
        ("2026-03-29T01:00:00Z", WEEKEND),
        ("2026-03-29T21:59:59Z", WEEKEND),
        ("2026-03-29T22:00:00Z", NIGHT),
        ("2026-03-30T06:59:59Z", NIGHT),
        ("2026-03-30T07:00:00Z", NONE),
        ("2026-03-30T16:59:59Z", NONE),
        ("2026-03-30T17:00:00Z", NIGHT),
        // Friday in summer, the change on Sunday 25 October 2026 at 01:00 UTC, Monday in winter.
        ("2026-10-23T16:59:59Z", NONE),
        ("2026-10-23T17:00:00Z", NIGHT),
        ("2026-10-23T21:59:59Z", NIGHT),
        ("2026-10-23T22:00:00Z", WEEKEND),
        // 02:30 comes twice.
        ("2026-10-25T00:30:00Z", WEEKEND),
        ("2026-10-25T01:30:00Z", WEEKEND),
        ("2026-10-25T22:59:59Z", WEEKEND),
        ("2026-10-25T23:00:00Z", NIGHT),
        ("2026-10-26T07:59:59Z", NIGHT),
        ("2026-10-26T08:00:00Z", NONE),
        ("2026-10-26T17:59:59Z", NONE),
        ("2026-10-26T18:00:00Z", NIGHT),
        // 28 March and 31 October 2027.
        ("2027-03-29T06:59:59Z", NIGHT),
        ("2027-03-29T07:00:00Z", NONE),
        ("2027-03-26T17:59:59Z", NONE),
        ("2027-03-26T18:00:00Z", NIGHT),
        ("2027-10-29T16:59:59Z", NONE),
        ("2027-10-29T17:00:00Z", NIGHT),
        ("2027-11-01T07:59:59Z", NIGHT),
        ("2027-11-01T08:00:00Z", NONE),
    ]);
}

/// A Thursday and a Friday like others: holidays are not known.
#[test]
fn the_year_s_end() {
    check(&[
        ("2026-12-31T18:59:59+01:00", NONE),
        ("2026-12-31T19:00:00+01:00", NIGHT),
        ("2026-12-31T23:59:59+01:00", NIGHT),
        ("2027-01-01T00:00:00+01:00", NIGHT),
        ("2027-01-01T08:59:59+01:00", NIGHT),
        ("2027-01-01T09:00:00+01:00", NONE),
    ]);
}

/// Wednesday, 14 January 2026, 14:00 to Thursday 13:00: at work as at night, and only once.
#[test]
fn the_maintenance_is_over_after_a_day() {
    const WORK: &[&str] = &["maintenance"];
    const BOTH: &[&str] = &["week-nights", "maintenance"];
    check(&[
        ("2026-01-14T13:59:59+01:00", NONE),
        ("2026-01-14T14:00:00+01:00", WORK),
        ("2026-01-14T18:59:59+01:00", WORK),
        ("2026-01-14T19:00:00+01:00", BOTH),
        ("2026-01-14T23:59:59+01:00", BOTH),
        ("2026-01-15T00:00:00+01:00", BOTH),
        ("2026-01-15T08:59:59+01:00", BOTH),
        ("2026-01-15T09:00:00+01:00", WORK),
        ("2026-01-15T12:59:59+01:00", WORK),
        ("2026-01-15T13:00:00+01:00", NONE),
        ("2026-01-15T14:00:00+01:00", NONE),
        ("2026-01-14T12:00:00+01:00", NONE),
        ("2026-01-16T10:00:00+01:00", NONE),
        ("2026-12-14T14:00:00+01:00", NONE),
        ("2027-01-14T14:00:00+01:00", NONE),
        ("2025-01-14T14:00:00+01:00", NONE),
    ]);
}

const SEVERITIES: [&str; 3] = ["critical", "warning", "none"];
const CATEGORIES: [&str; 5] = ["errors", "traffic", "no_data", "access", "exporter"];
const SCOPES: [&str; 5] = ["overall", "account", "source", "cpcode", "exporter"];

/// Every kind of alert, at noon on a working day, at night, at a weekend and in a maintenance.
#[test]
fn warnings_are_muted_in_downtimes_and_critical_ones_never() {
    let instants = [
        "2026-11-18T12:00:00+01:00",
        "2026-11-18T22:00:00+01:00",
        "2026-11-21T12:00:00+01:00",
        "2026-01-14T15:00:00+01:00",
    ];
    let mut questions = Vec::new();
    for severity in SEVERITIES {
        for (category, scope) in CATEGORIES.iter().flat_map(|category| SCOPES.map(|scope| (category, scope)))
        {
            let labels = labels(&format!("severity={severity} category={category} scope={scope}"));
            questions.extend(instants.map(|at| (at, labels.clone())));
        }
    }
    for ((at, labels), answer) in questions.iter().zip(ask(&questions)) {
        let is_muted = labels["severity"] == "warning" && *at != instants[0];
        assert_eq!(answer["muted"], is_muted, "{labels} at {at}");
        assert_eq!(answer["wait"], "20s", "{labels}");
        let is_apart =
            labels["scope"] == "exporter" && labels["category"] != "no_data" && labels["severity"] != "none";
        let group = if is_apart { json!(["instance", "job"]) } else { json!(["account", "cpcode", "url"]) };
        assert_eq!(answer["group_by"], group, "{labels}");
        let repeat = if labels["severity"] == "warning" { "24h0m0s" } else { "4h0m0s" };
        assert_eq!(answer["repeat"], repeat, "{labels}");
    }
}
