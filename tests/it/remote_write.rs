//! Remote write, end to end: six simulated hours of windows through the real binary into a real Prometheus, whatever happens on the way, and
//! each is there once, with its own time.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::process::{Process, request};
use crate::prometheus::Prometheus;
use crate::receiver::{Mode, Receiver};
use crate::world::{COLUMNS, World, good_poll};

const CODES: &str = "1209788, 100001, 200002";

fn sections(receiver: &Receiver) -> String {
    format!(
        "[amd]\ncpcodes = {CODES}\n[estats]\ncpcodes = 1209788\ndelivery_networks = STANDARD_TLS\n\
         [remote_write]\nurl = {}\ntimeout = 2s\nlabels = cluster=test\n",
        receiver.url()
    )
}

/// What happens to the receiver in each step, for some steps.
fn happens(receiver: &mut Receiver, step: u32) {
    match step {
        5 => receiver.set(Mode::Status(500)),
        8 => receiver.set(Mode::Pass),
        14 => receiver.set(Mode::Status(429)),
        17 => receiver.set(Mode::Pass),
        22 => receiver.set(Mode::Hang),
        25 => receiver.set(Mode::Pass),
        30 => receiver.down(),
        40 => receiver.up(),
        44 => receiver.set(Mode::LoseAnswer),
        46 => receiver.set(Mode::Pass),
        55 => receiver.set(Mode::Status(503)),
        60 => receiver.set(Mode::Pass),
        _ => {}
    }
}

fn waiting(exporter: &str) -> Option<f64> {
    let text = request("GET", &format!("{exporter}/metrics"), "").body;
    let line = text.lines().find(|line| line.starts_with("akamai_exporter_sink_waiting_items"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Waits until nothing waits for the receiver any more.
fn drained(world: &World, exporter: &mut Process) {
    while waiting(&world.url()) != Some(0.0) {
        exporter.next("an empty spool");
    }
}

/// The samples that Prometheus has of `metric`, by series and time: raw, as they were written.
fn samples(
    prometheus: &Prometheus,
    metric: &str,
    until: DateTime<Utc>,
) -> BTreeMap<(String, String, i64), f64> {
    let found = prometheus.query_at(&format!("{metric}[30h]"), until.timestamp() as f64);
    let mut samples = BTreeMap::new();
    for series in &found {
        let label = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!((label("cluster"), label("account")), ("test".to_owned(), "default".to_owned()));
        for pair in series["values"].as_array().unwrap() {
            let time = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
            let value: f64 = pair[1].as_str().unwrap().parse().unwrap();
            let key = (label("cpcode"), label("status_class") + &label("tier"), time);
            assert!(samples.insert(key.clone(), value).is_none(), "{key:?} is there twice");
        }
    }
    samples
}

/// What there is not, or is wrong, or is too much, of all samples that the simulated Akamai's windows have.
fn compare(
    world: &World,
    prometheus: &Prometheus,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> (usize, Vec<String>) {
    let mut there: BTreeMap<&str, _> =
        COLUMNS.map(|(_, metric)| (metric, samples(prometheus, &window_metric(metric), world.now))).into();
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut start = from;
    while start < to {
        let end = start + TimeDelta::minutes(5);
        for ((code, class, metric), expected) in world.totals(start, end) {
            let found =
                there.get_mut(metric).unwrap().remove(&(code.clone(), class.clone(), end.timestamp_millis()));
            compared += 1;
            if found != Some(expected) {
                wrong.push(format!("{metric} {code} {class} {end}: {found:?} is not {expected}"));
            }
        }
        start = end;
    }
    let from = from.timestamp_millis();
    for (metric, rest) in there {
        let more = rest
            .into_iter()
            .filter(|((.., time), value)| (from..=to.timestamp_millis()).contains(time) && *value != 0.0);
        wrong.extend(more.map(|(key, value)| format!("{metric} {key:?}: {value} is nobody's")));
    }
    (compared, wrong)
}

fn window_metric(metric: &str) -> String {
    metric.replace("akamai_traffic_", "akamai_traffic_window_").trim_end_matches("_total").to_owned()
}

#[test]
fn the_hours_before_the_start_are_in_prometheus_too_and_once() {
    let mut world = World::new(&CODES.replace(' ', ""));
    let prometheus = Prometheus::receiving();
    let receiver = Receiver::before(&prometheus.url);
    let sections = format!("{}history = 3h\n", sections(&receiver));
    let mut exporter = world.exporter(&sections);
    for _ in 0..4 {
        exporter.line("history is fetched");
        world.kill(&mut exporter, &sections);
    }
    good_poll(&mut exporter, "amd");
    // What was young at the start is settled later, and then belongs to the history as well.
    world.advance(80);
    exporter.line("the history that sinks want is fetched");
    good_poll(&mut exporter, "amd");
    drained(&world, &mut exporter);
    // It began at 09:02 with the window from 08:40 on.
    let (first, last) =
        ("2026-11-20T06:00:00Z".parse().unwrap(), "2026-11-20T09:05:00Z".parse::<DateTime<Utc>>().unwrap());
    let (compared, wrong) = compare(&world, &prometheus, first, last);
    assert!(wrong.is_empty(), "{compared} compared:\n{}", wrong[..wrong.len().min(40)].join("\n"));
    assert_eq!(
        receiver.taken().keys().map(|(_, time)| *time).min(),
        Some(first.timestamp_millis() + 300_000)
    );
    // History comes beside what polls bring, whichever is faster; each of the two is in order.
    let counted = "2026-11-20T08:40:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis();
    assert_eq!((receiver.out_of_order(..=counted), receiver.out_of_order(counted + 1..)), (0, 0));
}

#[test]
fn every_window_is_in_prometheus_once_with_its_own_time() {
    let mut world = World::new(&CODES.replace(' ', ""));
    let prometheus = Prometheus::receiving();
    let mut receiver = Receiver::before(&prometheus.url);
    let sections = sections(&receiver);
    let mut exporter = world.exporter(&sections);
    good_poll(&mut exporter, "amd");
    // Counting began with the newest window that was a quarter of an hour old.
    let first: DateTime<Utc> = "2026-11-20T08:40:00Z".parse().unwrap();
    for step in 0..74 {
        world.advance(5);
        happens(&mut receiver, step);
        if world.roll(6) == 0 {
            world.kill(&mut exporter, &sections);
        }
        good_poll(&mut exporter, "amd");
    }
    receiver.set(Mode::Pass);
    world.advance(70);
    good_poll(&mut exporter, "amd");
    good_poll(&mut exporter, "amd");
    drained(&world, &mut exporter);
    let last = first + TimeDelta::hours(6);
    let (compared, wrong) = compare(&world, &prometheus, first, last);
    let taken = receiver.taken();
    let again: u32 = taken.values().map(|times| times - 1).sum();
    let estats = samples(&prometheus, "akamai_estats_sample_hits", world.now).len();
    let figure = format!(
        "72 windows, {} kills, requests {:?}: {compared} samples compared, {} missing or wrong, 0 doubled, {} out of order; \
         {again} of {} sent again after a kill or a lost answer and taken as the same; {estats} samples of eStats",
        world.kills,
        receiver.requests(),
        wrong.len(),
        receiver.out_of_order(..),
        taken.len()
    );
    // The figure of docs/benchmarks.md: `cargo test --test it remote_write -- --nocapture` shows it.
    writeln!(std::io::stdout(), "{figure}").unwrap();
    assert!(wrong.is_empty(), "{figure}:\n{}", wrong[..wrong.len().min(40)].join("\n"));
    assert_eq!(receiver.out_of_order(..), 0, "{figure}");
    assert!(world.kills >= 8 && compared > 72 * 3 * 12 && estats > 60, "{figure}");
    let refused: Value =
        serde_json::from_str(&request("GET", &format!("{}/api/v1/status", world.url()), "").body).unwrap();
    assert_eq!(refused["sinks"][0]["refused"], 0, "{refused}");
    assert_eq!(refused["sinks"][0]["lost"], 0, "{refused}");
}
