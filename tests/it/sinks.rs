//! Where data goes besides `/metrics`, as the real binary: what arrives ([`windows`]), and what trouble with one sink means for all else, which is
//! nothing ([`log_files`] has the files' troubles).

mod agent;
mod log_files;
mod windows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use serde_json::Value;
use tempfile::TempDir;

use self::agent::Agent;
use crate::process::{Exporter, Metrics, Simulator};
use crate::receiver::{Mode, Receiver};

const SINKS: [&str; 3] = ["dogstatsd", "response_log", "remote_write"];

/// An Akamai that is asked every second, and whatever sinks deliver to.
struct Place {
    simulator: Simulator,
    receiver: Receiver,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { simulator: Simulator::start(&[]), receiver: Receiver::keeping(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The exporter with all three sinks: an Agent's address, the log's file and the receiver's URL.
    fn exporter(&self, agent: &str, log: &Path, url: &str, timeout: &str) -> Exporter {
        let (state, log) = (self.path("state"), log.display());
        let ini = format!(
            "[exporter]\npolling_interval = 1\nstale_after = 1000\nstate_directory = {}\n\
             [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 2s\nretry_pause = 1s\n\
             cpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n\
             [dogstatsd]\naddress = {agent}\n[response_log]\npath = {log}\n\
             [remote_write]\nurl = {url}\ntimeout = {timeout}\n",
            state.display()
        );
        Exporter::start(&self.simulator, &ini)
    }
}

fn of_sink(sink: &str) -> String {
    format!("sink=\"{sink}\"")
}

fn sent(metrics: &Metrics, sink: &str) -> f64 {
    metrics.value(&["akamai_exporter_sink_items_total", &of_sink(sink), "outcome=\"sent\""]).unwrap()
}

fn is_up(metrics: &Metrics, sink: &str) -> Option<bool> {
    metrics.value(&["akamai_exporter_sink_up", &of_sink(sink)]).map(|value| value == 1.0)
}

/// Waits until all sinks deliver.
fn all_well(exporter: &mut Exporter) {
    exporter.eventually("all sinks at work", |metrics| {
        SINKS.iter().all(|sink| is_up(metrics, sink) == Some(true) && sent(metrics, sink) > 0.0)
    });
}

/// Polls go on and give data that `/metrics` shows, and all sinks but the `broken` ones deliver.
fn life_as_usual(exporter: &mut Exporter, broken: &[&str]) -> Metrics {
    let before = exporter.metrics();
    let polls = |metrics: &Metrics| metrics.sum(&["akamai_exporter_polls_total", "outcome=\"success\""]);
    let newest = |metrics: &Metrics| metrics.value(&["akamai_estats_sample_timestamp_seconds"]);
    exporter.eventually("life as usual", |now| {
        let mut others = SINKS.iter().filter(|sink| !broken.contains(sink));
        polls(now) >= polls(&before) + 3.0
            && newest(now) > newest(&before)
            && others.all(|sink| sent(now, sink) > sent(&before, sink))
    })
}

/// What the status of programs says of a sink.
fn status(exporter: &Exporter, sink: &str) -> Value {
    let status: Value = serde_json::from_str(&exporter.get("/api/v1/status").body).unwrap();
    status["sinks"].as_array().unwrap().iter().find(|one| one["name"] == sink).unwrap().clone()
}

/// The sink fails with these words, which the log says once, and all else goes on.
fn is_unimpressed(exporter: &mut Exporter, broken: &str, words: &str) {
    let line = exporter.process.line("delivery failed, and is tried again");
    let message = line["message"].as_str().unwrap().to_owned();
    assert!(line["sink"] == broken && line["level"] == "WARN" && message.contains(words), "{line}");
    let metrics = life_as_usual(exporter, &[broken]);
    assert_eq!(is_up(&metrics, broken), Some(false));
    let failures = ["akamai_exporter_sink_failures_total", &of_sink(broken)];
    assert!(metrics.value(&failures).unwrap() >= 1.0);
    let status = status(exporter, broken);
    assert_eq!(status["state"], "down", "{status}");
    assert!(status["last_failure"]["message"].as_str().unwrap().contains(words), "{status}");
    assert!(exporter.get("/").body.contains(words), "the page does not tell");
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 200));
    assert_eq!(exporter.process.logged("delivery failed").len(), 1);
}

/// The sink works again, and nothing was lost that waited.
fn recovers(exporter: &mut Exporter, sink: &str) {
    assert_eq!(exporter.process.line("delivery works again")["sink"], sink);
    all_well(exporter);
    exporter.eventually("nothing waits", |metrics| {
        metrics.value(&["akamai_exporter_sink_waiting_items", &of_sink(sink)]) == Some(0.0)
    });
    let status = status(exporter, sink);
    assert_eq!((&status["state"], &status["lost"], &status["refused"]), (&"up".into(), &0.into(), &0.into()));
    assert_eq!(exporter.process.logged("delivery failed").len(), 1);
}

/// Stops the exporter, which delivers at the end what waits.
fn stop(exporter: &mut Exporter) {
    exporter.process.signal("TERM");
    assert_eq!(exporter.process.ended().code(), Some(0), "{:?}", exporter.process.log);
}

/// When the samples of the edge were taken that an Agent got, in seconds; each came once.
fn times_of_agent(agent: &mut Agent) -> BTreeSet<i64> {
    let mut times = BTreeSet::new();
    for line in agent.lines() {
        assert_eq!((line.kind, line.tags["account"].as_str()), ('g', "default"), "{line:?}");
        if line.name == "akamai.estats.sample_hits" && line.tags["tier"] == "edge" {
            assert!(times.insert(line.time.unwrap()), "{line:?} came twice");
        }
    }
    times
}

/// The same of the receiver.
fn times_of_receiver(receiver: &Receiver) -> BTreeSet<i64> {
    let taken = receiver.taken();
    let wanted = taken.keys().filter(|(series, _)| {
        series.contains("__name__=akamai_estats_sample_hits") && series.contains("tier=edge")
    });
    wanted.map(|(_, milliseconds)| milliseconds / 1000).collect()
}

/// The receiver got all that the Agent got, and the other way round.
fn all_is_there(one: &BTreeSet<i64>, receiver: &Receiver) {
    assert!(one.len() > 2, "{one:?}");
    let other = &times_of_receiver(receiver);
    assert_eq!(one, other);
    assert_eq!(receiver.out_of_order(..), 0);
}

#[test]
fn an_agent_s_socket_that_is_missing_and_then_there() {
    let place = Place::new();
    let socket = place.path("dsd.socket");
    let address = format!("unix://{}", socket.display());
    let mut exporter = place.exporter(&address, &place.path("responses.log"), &place.receiver.url(), "2s");
    is_unimpressed(&mut exporter, "dogstatsd", "dsd.socket: No such file or directory");
    let mut agent = Agent::on_unix(&socket);
    recovers(&mut exporter, "dogstatsd");
    stop(&mut exporter);
    all_is_there(&times_of_agent(&mut agent), &place.receiver);
}

#[test]
fn a_receiver_that_hangs() {
    let (place, mut agent) = (Place::new(), Agent::on_udp());
    place.receiver.set(Mode::Hang);
    let mut exporter =
        place.exporter(&agent.address(), &place.path("responses.log"), &place.receiver.url(), "1s");
    is_unimpressed(&mut exporter, "remote_write", "no answer within 1s");
    place.receiver.set(Mode::Keep);
    recovers(&mut exporter, "remote_write");
    stop(&mut exporter);
    all_is_there(&times_of_agent(&mut agent), &place.receiver);
}

/// What the name's owner cannot mend, the exporter's can: with another name, what has waited goes there.
#[test]
fn a_receiver_whose_name_is_gone() {
    let (place, mut agent) = (Place::new(), Agent::on_udp());
    let (address, log) = (agent.address(), place.path("responses.log"));
    let mut exporter = place.exporter(&address, &log, "http://receiver.invalid/api/v1/write", "2s");
    is_unimpressed(&mut exporter, "remote_write", "no connection");
    stop(&mut exporter);
    assert!(place.receiver.taken().is_empty());
    let mut times = times_of_agent(&mut agent);
    let mut exporter = place.exporter(&address, &log, &place.receiver.url(), "2s");
    all_well(&mut exporter);
    life_as_usual(&mut exporter, &[]);
    stop(&mut exporter);
    // A sample of the second in which the other process ended may be among both.
    times.append(&mut times_of_agent(&mut agent));
    all_is_there(&times, &place.receiver);
}

#[test]
fn all_sinks_broken_at_once_and_sigterm() {
    let place = Place::new();
    place.receiver.set(Mode::Hang);
    let nowhere = format!("unix://{}", place.path("dsd.socket").display());
    // Nobody may make a file in /sys, not even root.
    let mut exporter =
        place.exporter(&nowhere, Path::new("/sys/responses.log"), &place.receiver.url(), "60s");
    for _ in 0..2 {
        exporter.process.line("delivery failed, and is tried again");
    }
    exporter.eventually("a request that hangs", |_| place.receiver.requests().contains_key("Hang"));
    let metrics = life_as_usual(&mut exporter, &SINKS);
    assert_eq!(SINKS.map(|sink| is_up(&metrics, sink)), [Some(false), Some(false), None]);
    stop(&mut exporter);
    let [begun, stopped] = ["stopping; a second signal stops at once", "stopped"].map(|message| {
        let line = exporter.process.logged(message).remove(0);
        DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).unwrap()
    });
    // Its bound is eight seconds, the receiver's sixty.
    assert!((stopped - begun).num_seconds() < 20, "{begun} {stopped}");
}

#[test]
fn sighup_without_any_sink() {
    let simulator = Simulator::start(&[]);
    let ini = "[exporter]\npolling_interval = 1\n[akamai]\nedgerclocation = EDGERC\ncpcode = 1209788\n\
               deliverynetwork = STANDARD_TLS\n";
    let mut exporter = Exporter::start(&simulator, ini);
    exporter.process.line("poll done");
    exporter.process.signal("HUP");
    exporter.process.line("SIGHUP");
    exporter.process.line("poll done");
    stop(&mut exporter);
}
