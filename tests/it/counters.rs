//! Promise 2, end to end: hours of simulated traffic through the real binary into a real Prometheus, with kills, an outage and revisions, and at
//! the end `increase()` of every counter is what the simulated Akamai says in the end.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::process::{Process, request};
use crate::prometheus::Prometheus;
use crate::world::{COLUMNS, World, good_poll};

const WINDOW_END: &str = "akamai_traffic_window_end_timestamp_seconds";

/// Waits until Prometheus has what `/metrics` has.
fn scraped(world: &World, exporter: &mut Process, prometheus: &Prometheus) {
    let metric = "akamai_traffic_edge_bytes_total";
    loop {
        let text = request("GET", &format!("{}/metrics", world.url()), "").body;
        let lines = text.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
        let sum: f64 = lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
        if prometheus_value(prometheus, &format!("sum({metric})")) == Some(sum) {
            return;
        }
        exporter.line("poll done");
    }
}

fn prometheus_value(prometheus: &Prometheus, query: &str) -> Option<f64> {
    prometheus.query(query).first().map(number)
}

fn number(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

/// The times of the first and the last sample of a series.
fn span(prometheus: &Prometheus, series: &str) -> (f64, f64) {
    let found = prometheus.query(&format!("{series}[1h]"));
    let times: Vec<_> =
        found[0]["values"].as_array().unwrap().iter().map(|value| value[0].as_f64().unwrap()).collect();
    (times[0], times[times.len() - 1])
}

/// What Prometheus has of a series, as soon as it has it. Whoever else reads `/metrics` counts as a scrape: the test does not, at first.
fn value(prometheus: &Prometheus, exporter: &mut Process, metric: &str) -> f64 {
    loop {
        if let Some(value) = prometheus_value(prometheus, metric) {
            return value;
        }
        exporter.line("poll done");
    }
}

fn time(seconds: f64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds as i64, 0).unwrap()
}

const CODES: &str = "1209788, 100001, 100002, 100003, 100004, 200001, 200002, 200003, 200004, 200005, 200006";

/// The source, with these lines.
fn section(lines: &str) -> String {
    format!("[amd]\ncpcodes = {CODES}\n{lines}")
}

/// Two hours without Akamai, then some time with a full disk: nothing can be saved, so nothing is shown, and nothing is lost.
fn happens(world: &mut World, exporter: &mut Process, step: u32) {
    match step {
        20 => world.simulator.fault("server-error", &json!({})),
        21..=23 => world.advance(30),
        24 => world.simulator.heal(),
        35 => {
            exporter.fill_disk(true);
            while exporter.line("poll failed")["reason"] != "state" {}
        }
        37 => exporter.fill_disk(false),
        _ => {}
    }
}

/// Lives through hours in steps of some minutes, with a kill at about every fifth, at any moment of a poll.
fn live(world: &mut World, exporter: &mut Process) {
    for step in 0..50 {
        let minutes = [5, 5, 10, 3, 15][world.roll(5) as usize];
        world.advance(minutes);
        happens(world, exporter, step);
        let has_full_disk = (35..37).contains(&step);
        if world.roll(5) == 0 && !has_full_disk {
            world.kill(exporter, &section(""));
        }
        if !has_full_disk && !(20..24).contains(&step) {
            good_poll(exporter, "amd");
        }
    }
}

/// Which series rose by something else than `expected`, of how many; none may ever have fallen.
fn differences(
    prometheus: &Prometheus,
    expected: &BTreeMap<(String, String, &'static str), f64>,
) -> (usize, Vec<String>) {
    // From the first sample to the last one, so that nothing is extrapolated.
    let (from, to) =
        span(prometheus, "akamai_traffic_edge_hits_total{cpcode=\"1209788\",status_class=\"2xx\"}");
    let range = format!("{}ms", ((to - from) * 1000.0).round());
    let (mut compared, mut wrong) = (0, Vec::new());
    for (_, metric) in COLUMNS {
        for series in prometheus.query_at(&format!("increase({metric}[{range}])"), to) {
            let label = |name: &str| series["metric"][name].as_str().unwrap().to_owned();
            let key = (label("cpcode"), label("status_class"), metric);
            let (increase, truth) = (number(&series), expected.get(&key).copied().unwrap_or(0.0));
            compared += 1;
            if increase != truth {
                wrong.push(format!("{key:?}: {increase} is not {truth}"));
            }
        }
        let fallen = prometheus.query_at(&format!("resets({metric}[{range}]) > 0"), to);
        assert!(fallen.is_empty(), "{fallen:?}");
    }
    (compared, wrong)
}

#[test]
fn increase_over_hours_is_what_akamai_says_in_the_end() {
    let mut world = World::new(&CODES.replace(' ', ""));
    let prometheus = Prometheus::scraping_every("200ms", &[&world.url()]);
    let mut exporter = world.exporter(&section(""));
    good_poll(&mut exporter, "amd");
    let first = time(value(&prometheus, &mut exporter, WINDOW_END)) - TimeDelta::minutes(5);
    live(&mut world, &mut exporter);
    // The end: nothing younger is read than what does not change any more.
    exporter.signal("KILL");
    exporter.ended();
    world.advance(120);
    let mut exporter = world.exporter(&section("lag = 75m\nsettle_after = 75m"));
    good_poll(&mut exporter, "amd");
    good_poll(&mut exporter, "amd");
    scraped(&world, &mut exporter, &prometheus);
    let last = time(value(&prometheus, &mut exporter, WINDOW_END));
    let count = |state: &str| {
        let query = format!("akamai_exporter_report_windows_total{{state=\"{state}\"}}");
        prometheus_value(&prometheus, &query).unwrap()
    };
    let (windows, revised, lost) = ((last - first).num_minutes() / 5, count("revised"), count("lost"));
    let (compared, wrong) = differences(&prometheus, &world.totals(first, last));
    let figure = format!(
        "{windows} windows, {} kills, {revised} windows revised, {lost} lost: {compared} series compared, {} differ",
        world.kills,
        wrong.len()
    );
    // The figure of docs/benchmarks.md: `cargo test --test it counters -- --nocapture` shows it.
    writeln!(std::io::stdout(), "{figure}").unwrap();
    assert!(wrong.is_empty(), "{figure}:\n{}", wrong.join("\n"));
    let is_hard = windows > 90 && world.kills >= 8 && revised > 10.0;
    assert!(is_hard && lost == 0.0 && compared == 11 * 7 * 12, "{figure}");
}
