//! What happens to `[response_log]`'s file and to the disk below it: no line is lost, none is half, and nothing else notices.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::agent::Agent;
use super::{Place, all_well, is_unimpressed, life_as_usual, recovers, status, stop};
use crate::process::{Exporter, Simulator, request};
use crate::world::{World, good_poll};

/// The lines of the log's files, the oldest file first. Each is whole and JSON.
fn lines(files: &[PathBuf]) -> Vec<Value> {
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", file.display());
        lines.extend(text.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
        }));
    }
    lines
}

/// The files have a line for each request that Akamai got, in the order in which each source asked. A source's last request may have been dropped
/// when the process ended.
fn all_lines_are_there(simulator: &Simulator, files: &[PathBuf]) {
    let (log, lines) = (simulator.log(), lines(files));
    let requests = log["requests"].as_array().unwrap();
    assert!(lines.len() >= 4, "{} lines", lines.len());
    for is_estats in [true, false] {
        let endpoints = |all: &[Value], member: &str| -> Vec<String> {
            let all = all.iter().map(|one| one[member].as_str().unwrap().to_owned());
            all.filter(|endpoint| endpoint.starts_with("/edge-diagnostics/") == is_estats).collect()
        };
        let (there, asked) = (endpoints(&lines, "endpoint"), endpoints(requests, "path"));
        assert!(there.len() + 1 >= asked.len(), "{} lines, {} requests", there.len(), asked.len());
        assert_eq!(there, asked[..there.len()]);
    }
}

/// An exporter whose log is in a directory of its own, and whose other sinks are well.
fn exporter(place: &Place, agent: &Agent, log: &Path) -> Exporter {
    let mut exporter = place.exporter(&agent.address(), log, &place.receiver.url(), "2s");
    all_well(&mut exporter);
    exporter
}

#[test]
fn the_directory_is_removed_and_comes_back() {
    let (place, agent) = (Place::new(), Agent::on_udp());
    let (logs, gone) = (place.path("logs"), place.path("gone"));
    fs::create_dir(&logs).unwrap();
    let mut exporter = exporter(&place, &agent, &logs.join("responses.log"));
    fs::rename(&logs, &gone).unwrap();
    is_unimpressed(&mut exporter, "response_log", "responses.log: No such file or directory");
    fs::create_dir(&logs).unwrap();
    recovers(&mut exporter, "response_log");
    stop(&mut exporter);
    all_lines_are_there(&place.simulator, &[gone, logs].map(|directory| directory.join("responses.log")));
}

/// Points the link `at` to a directory, at a stroke.
fn point(at: &Path, to: &Path) {
    let draft = at.with_extension("draft");
    symlink(to, &draft).unwrap();
    fs::rename(draft, at).unwrap();
}

/// Modes do not hold root up, but nobody may make a file in /sys: for a while the log's directory is that one.
#[test]
fn the_directory_is_read_only_for_a_while() {
    let (place, agent) = (Place::new(), Agent::on_udp());
    let (logs, real) = (place.path("logs"), place.path("real"));
    fs::create_dir(&real).unwrap();
    point(&logs, &real);
    let mut exporter = exporter(&place, &agent, &logs.join("responses.log"));
    point(&logs, Path::new("/sys"));
    // Permission denied, or a read-only file system where /sys is mounted so.
    is_unimpressed(&mut exporter, "response_log", "cannot open");
    let message = status(&exporter, "response_log")["last_failure"]["message"].to_string();
    assert!(message.contains("Permission denied") || message.contains("Read-only file system"), "{message}");
    point(&logs, &real);
    recovers(&mut exporter, "response_log");
    stop(&mut exporter);
    all_lines_are_there(&place.simulator, &[real.join("responses.log")]);
}

/// Waits until the file at `path` has some lines.
fn grows(exporter: &mut Exporter, path: &Path) {
    exporter
        .eventually("a few lines", |_| fs::read_to_string(path).is_ok_and(|text| text.lines().count() >= 3));
}

/// Waits until there is a line for each request but the one that `simulator` does not answer.
fn rests(place: &mut Place, exporter: &mut Exporter, files: &[PathBuf]) {
    place.simulator.fault("timeout", &json!({}));
    place.simulator.until("a request without an answer", |event| event["faults"] == "timeout");
    let answered = place.simulator.log()["last"].as_u64().unwrap() - 1;
    while (lines(files).len() as u64) < answered {
        exporter.process.next("all lines");
    }
}

#[test]
fn the_file_is_rotated_underneath() {
    let (mut place, agent) = (Place::new(), Agent::on_udp());
    let log = place.path("responses.log");
    let files = ["first", "second", "third", "responses.log"].map(|name| place.path(name));
    let mut exporter = exporter(&place, &agent, &log);
    grows(&mut exporter, &log);
    // Moved, and nobody told.
    fs::rename(&log, &files[0]).unwrap();
    grows(&mut exporter, &log);
    // Moved, and told.
    fs::rename(&log, &files[1]).unwrap();
    exporter.process.signal("HUP");
    exporter.process.line("SIGHUP: log files of sinks are opened anew");
    grows(&mut exporter, &log);
    // Copied and cut, while nothing is written: what is written between the two would be lost to whoever rotates so.
    fs::write(&files[2], "").unwrap();
    rests(&mut place, &mut exporter, &[&files[..2], &files[3..]].concat());
    fs::copy(&log, &files[2]).unwrap();
    OpenOptions::new().write(true).truncate(true).open(&log).unwrap();
    place.simulator.heal();
    grows(&mut exporter, &log);
    life_as_usual(&mut exporter, &[]);
    stop(&mut exporter);
    all_lines_are_there(&place.simulator, &files);
    assert!(exporter.process.logged("delivery failed").is_empty());
    let last = fs::read(&log).unwrap();
    assert!(!last.contains(&0), "the file has a hole where it was cut");
}

/// How the world's exporter shows a metric of which there is one.
fn shown(world: &World, series: &str) -> Option<f64> {
    let text = request("GET", &format!("{}/metrics", world.url()), "").body;
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The log and the state are on the same disk. Reports cannot be counted while nothing can be saved; samples go on.
#[test]
fn the_disk_is_full_for_a_while() {
    const SAMPLE: &str = "akamai_estats_sample_timestamp_seconds";
    const UP: &str = "akamai_exporter_sink_up{sink=\"response_log\"}";
    let (mut world, mut agent) = (World::new("1209788,100001"), Agent::on_udp());
    let (log, old) = (world.directory.path().join("responses.log"), world.directory.path().join("old.log"));
    let sections = format!(
        "[amd]\ncpcodes = 1209788, 100001\n[estats]\ncpcodes = 1209788\ndelivery_networks = STANDARD_TLS\n\
         [response_log]\npath = {}\n[dogstatsd]\naddress = {}\nsend_after = settled\n",
        log.display(),
        agent.address()
    );
    let mut exporter = world.exporter(&sections);
    for _ in 0..3 {
        good_poll(&mut exporter, "amd");
        good_poll(&mut exporter, "estats");
    }
    exporter.fill_disk(true);
    let line = exporter.line("delivery failed, and is tried again");
    assert!(line["sink"] == "response_log", "{line}");
    assert!(line["message"].as_str().unwrap().contains("responses.log: File too large"), "{line}");
    while shown(&world, UP) != Some(0.0) {
        exporter.next("the metric of it");
    }
    let before = shown(&world, SAMPLE).unwrap();
    world.advance(5);
    while exporter.line("poll done")["reason"] != "state" {}
    while shown(&world, SAMPLE) < Some(before + 200.0) {
        good_poll(&mut exporter, "estats");
    }
    // A new file has room for the beginning of a line, or of some.
    fs::rename(&log, &old).unwrap();
    while !log.exists() {
        exporter.next("another attempt");
    }
    good_poll(&mut exporter, "estats");
    assert_eq!(exporter.logged("delivery failed").len(), 1);
    exporter.fill_disk(false);
    exporter.line("delivery works again");
    good_poll(&mut exporter, "amd");
    while shown(&world, "akamai_exporter_sink_waiting_items{sink=\"dogstatsd\"}") != Some(0.0) {
        exporter.next("what waited for the Agent");
    }
    assert_eq!(shown(&world, UP), Some(1.0));
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0));
    all_lines_are_there(&world.simulator, &[old, log]);
    let newest = agent.lines().iter().filter_map(|line| line.time).max();
    assert!(newest >= Some(world.now.timestamp()), "{newest:?}");
}
