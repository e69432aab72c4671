//! Sources that count reports, as the real binary against the simulator: which CP codes are asked for, what a refusal costs, what
//! each fault of a report comes to, and that in the end the counters are what the simulator says there was.
//!
//! The time stands in a file that both processes read. Windows are read when the simulator no longer changes them, so
//! that at any time nothing but the whole of what was counted is right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::process::{Exporter, Metrics, Simulator, request};

/// From 50 minutes on the simulator's report is final.
const INI: &str = "[exporter]\npolling_interval = 1\nstale_after = 1000\n\
    [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 5s\nretry_pause = 1s\nblock_pause = 1s\n\
    [SECTION]\nlag = 50m\nsettle_after = 1h\n";

/// CP codes and what the simulator calls the products of those of the default account.
const ALL: [u64; 5] = [100_001, 100_002, 100_003, 100_004, 1_209_788];
const MEDIA: [u64; 3] = [100_001, 100_003, 1_209_788];

/// Families with the members of the simulator's totals that they count.
const COUNTED: [(&str, &str); 4] = [
    ("akamai_traffic_edge_hits_total", "edgeHitsSum"),
    ("akamai_traffic_edge_response_bytes_total", "edgeResponseBytesSum"),
    ("akamai_traffic_origin_hits_total", "originHitsSum"),
    ("akamai_traffic_midgress_bytes_total", "midgressBytesSum"),
];

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

fn is_up(metrics: &Metrics) -> bool {
    metrics.value(&["akamai_up"]) == Some(1.0)
}

fn polls(metrics: &Metrics, what: &str) -> f64 {
    metrics.sum(&["akamai_exporter_polls_total", what])
}

/// The configuration of one source.
fn ini(section: &str, entries: &str) -> String {
    format!("{}{entries}\n", INI.replace("SECTION", section))
}

/// A simulator and an exporter that live in a time of their own.
struct World {
    simulator: Simulator,
    exporter: Exporter,
    clock: Clock,
    /// When the first window that is counted begins.
    since: Option<DateTime<Utc>>,
}

struct Clock {
    file: PathBuf,
    now: DateTime<Utc>,
    _directory: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Self {
            file: directory.path().join("now"),
            now: "2026-11-20T12:02:00Z".parse().unwrap(),
            _directory: directory,
        };
        clock.show();
        clock
    }

    fn show(&self) {
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, self.now.to_rfc3339()).unwrap();
        std::fs::rename(draft, &self.file).unwrap();
    }

    fn argument(&self) -> String {
        format!("--clock.file={}", self.file.display())
    }
}

impl World {
    fn start(arguments: &[&str], ini: &str) -> Self {
        Self::start_after(arguments, ini, |_| {})
    }

    /// Does something to the simulator before the exporter is started.
    fn start_after(arguments: &[&str], ini: &str, prepare: impl FnOnce(&Simulator)) -> Self {
        let clock = Clock::new();
        let simulator = Simulator::start(&[arguments, &[&clock.argument()]].concat());
        prepare(&simulator);
        let exporter = Exporter::start_with("debug", &simulator, ini, &[&clock.argument()]);
        Self { simulator, exporter, clock, since: None }
    }

    /// Lets time pass.
    fn pass(&mut self, minutes: i64) {
        self.clock.now += TimeDelta::minutes(minutes);
        self.clock.show();
    }

    /// What these CP codes served since the first window, until the newest that the metrics say they have: CP code and class to
    /// the numbers of [`COUNTED`].
    fn truth(&mut self, metrics: &Metrics, cpcodes: &[u64]) -> BTreeMap<(u64, String), Vec<f64>> {
        let Some(end) = metrics.value(&["akamai_traffic_window_end_timestamp_seconds"]) else {
            return BTreeMap::new();
        };
        let end = DateTime::from_timestamp(end as i64, 0).unwrap();
        let start = *self.since.get_or_insert(end - TimeDelta::minutes(5));
        let [start, end] = [start, end].map(|time| time.format("%Y-%m-%dT%H:%M:%SZ"));
        let rows = self.simulator.show(&format!("/traffic?start={start}&end={end}"));
        let number = |row: &Value, member: &str| row[member].as_f64().unwrap();
        let rows = rows["rows"].as_array().unwrap().iter();
        rows.map(|row| {
            let key = (row["cpcode"].as_u64().unwrap(), row["responseClass"].as_str().unwrap().to_owned());
            (key, COUNTED.iter().map(|(_, member)| number(row, member)).collect())
        })
        .filter(|((cpcode, _), _)| cpcodes.contains(cpcode))
        .collect()
    }

    /// Whether the counters of these CP codes are the whole truth. More than that they never are.
    fn is_exact(&mut self, metrics: &Metrics, cpcodes: &[u64]) -> bool {
        let (truth, found) = (self.truth(metrics, cpcodes), counters(metrics));
        for (key, numbers) in &found {
            let most = truth.get(key);
            let is_within = |(at, number): (usize, &f64)| *number <= most.map_or(0.0, |most| most[at]);
            let is_ours = cpcodes.contains(&key.0);
            assert!(
                !is_ours || numbers.iter().enumerate().all(is_within),
                "{key:?}: {numbers:?} of {most:?}"
            );
        }
        !truth.is_empty() && truth.iter().all(|(key, numbers)| found.get(key) == Some(numbers))
    }

    /// Waits until the counters are exact, and with them the time: all windows that are over are in them.
    fn exact(&mut self, cpcodes: &[u64]) -> Metrics {
        let newest = (self.clock.now - TimeDelta::minutes(50)).timestamp().div_euclid(300) * 300;
        loop {
            let metrics = self.exporter.metrics();
            let end = metrics.value(&["akamai_traffic_window_end_timestamp_seconds"]);
            // Only what was read may tell where counting began.
            let is_whole = (end.is_some() && self.is_exact(&metrics, cpcodes)) && end == Some(newest as f64);
            if is_whole && is_up(&metrics) {
                return metrics;
            }
            while self.exporter.process.next("exact counters")["message"] != "exposition encoded" {}
        }
    }

    fn hide(&self, cpcodes: &[u64]) {
        let url = format!("{}/_simulator/unauthorized", self.simulator.url);
        assert_eq!(request("PUT", &url, &json!({ "cpcodes": cpcodes }).to_string()).status, 200);
    }

    /// The requests of this method to this API so far, or after number `since`.
    fn requests(&self, api: &str, method: &str, since: u64) -> Vec<Value> {
        let log = self.simulator.show(&format!("/log?since={since}"));
        let all = log["requests"].as_array().unwrap().iter();
        all.filter(|entry| entry["api"] == api && entry["method"] == method).cloned().collect()
    }

    /// Until so many more polls have ended.
    fn polled(&mut self, more: f64) -> Metrics {
        let so_far = polls(&self.exporter.metrics(), "");
        self.exporter.eventually("more polls", |metrics| polls(metrics, "") >= so_far + more)
    }
}

/// What the counters say, as [`World::truth`] does.
fn counters(metrics: &Metrics) -> BTreeMap<(u64, String), Vec<f64>> {
    let mut found: BTreeMap<(u64, String), Vec<f64>> = BTreeMap::new();
    for (family, _) in COUNTED {
        for (series, value) in metrics.series(&[family]) {
            let label = |name: &str| {
                let (_, rest) = series.split_once(&format!("{name}=\"")).unwrap();
                rest.split('"').next().unwrap().to_owned()
            };
            found.entry((label("cpcode").parse().unwrap(), label("status_class"))).or_default().push(value);
        }
    }
    found
}

#[test]
fn auto_means_media_for_amd_and_all_for_traffic() {
    for (section, cpcodes) in [("amd", &MEDIA[..]), ("traffic", &ALL)] {
        let mut world = World::start(&[], &ini(section, ""));
        let metrics = world.exact(cpcodes);
        let found: Vec<u64> = counters(&metrics).into_keys().map(|(cpcode, _)| cpcode).collect();
        assert!(found.iter().all(|cpcode| cpcodes.contains(cpcode)), "{section}: {found:?}");
        // Classes that nothing had are there, at 0.
        assert_eq!(found.len(), cpcodes.len() * 7, "{section}");
        let name = [label("cpcode", "100001"), label("name", "live-events")];
        assert_eq!(metrics.value(&["akamai_cpcode_info", &name[0], &name[1]]), Some(1.0));
        world.pass(5);
        world.exact(cpcodes);
        world.pass(120);
        let metrics = world.exact(cpcodes);
        assert_eq!(metrics.value(&["akamai_exporter_report_windows_total", "state=\"lost\""]), Some(0.0));
        assert_eq!(metrics.sum(&["akamai_exporter_report_rows_rejected_total"]), 0.0);
        assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    }
}

/// Mistakes that only Akamai can tell: the section, what Akamai refuses, and the words.
const MISTAKES: [(&str, &str, &str); 3] = [
    ("amd", "", "source amd: cpcodes = auto needs the CP code API"),
    ("traffic shop", "cpcodes = auto\ninclude = vod*", "source shop: cpcodes = auto needs the CP code API"),
    ("amd", "api = media-delivery-reports", "source amd: cpcodes = auto needs the CP code API"),
];

#[test]
fn mistakes_that_are_found_by_asking() {
    for (section, entries, words) in MISTAKES {
        let prepare = |simulator: &Simulator| simulator.fault("no-grant", &json!({ "api": "cprg" }));
        let mut world = World::start_after(&[], &ini(section, entries), prepare);
        assert_eq!(world.exporter.process.ended().code(), Some(78), "{words}");
        let told = world.exporter.process.logged("exporter.ini: account default, ");
        let message = told[0]["message"].as_str().unwrap();
        assert!(told.len() == 1 && told[0]["level"] == "ERROR", "{told:?}");
        assert!(message.contains(words) && message.contains("the grant needed"), "{message}");
        let choices = "Valid choices: give the API client read access to \"CPcode and Reporting group (CPRG)\", or list the CP codes, as in cpcodes = 12345, 67890";
        assert!(message.contains(choices), "{message}");
        assert!(world.requests("reporting", "POST", 0).is_empty(), "nothing is polled");
    }
}

#[test]
fn a_list_needs_no_cpcode_api() {
    let prepare = |simulator: &Simulator| simulator.fault("no-grant", &json!({ "api": "cprg" }));
    let mut world = World::start_after(&[], &ini("traffic", "cpcodes = 100001, 100002"), prepare);
    let metrics = world.exact(&[100_001, 100_002]);
    assert!(metrics.series(&["akamai_cpcode_info"]).is_empty());
    assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    assert_eq!(world.exporter.process.logged("CP codes stay without names").len(), 1);
    assert_eq!(world.requests("cprg", "GET", 0).len(), 1, "once an hour, not once a poll");
}

#[test]
fn no_cpcode_fits() {
    let mut world = World::start(&[], &ini("amd", "exclude = *"));
    let metrics = world.exporter.eventually("two failures", |metrics| {
        polls(metrics, &label("reason", "no_cpcodes")) >= 2.0 && metrics.value(&["akamai_up"]) == Some(0.0)
    });
    assert_eq!(polls(&metrics, ""), polls(&metrics, &label("reason", "no_cpcodes")), "no other outcome");
    let told = world.exporter.process.logged("none of the 5 CP codes that Akamai lists fits cpcodes = auto");
    assert!(told.len() == 1 && told[0]["level"] == "ERROR" && told[0]["source"] == "amd", "{told:?}");
    assert!(counters(&metrics).is_empty() && world.requests("reporting", "POST", 0).is_empty());
    assert_eq!((world.exporter.get("/-/healthy").status, world.exporter.get("/-/ready").status), (200, 503));
    assert!(world.exporter.get("/").body.contains("no_cpcodes"));
}

#[test]
fn only_what_is_refused_is_left_out() {
    let mut world = World::start(&[], &ini("traffic", "cpcodes = 100001, 100002, 100003, 777"));
    let refused = |metrics: &Metrics| -> Vec<String> {
        let series = metrics.series(&["akamai_cpcode_unauthorized"]);
        let number =
            |series: &str| series.split("cpcode=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        series.into_iter().map(|(series, _)| number(series)).collect()
    };
    let metrics = world.exact(&[100_001, 100_002, 100_003]);
    assert_eq!(refused(&metrics), ["777"]);
    world.hide(&[100_002]);
    world.pass(5);
    let metrics = world.exact(&[100_001, 100_003]);
    assert_eq!(refused(&metrics), ["777", "100002"].map(str::to_owned));
    assert!(!counters(&metrics).keys().any(|(cpcode, _)| *cpcode == 100_002));
    assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    let asked = world.requests("reporting", "POST", 0);
    assert!(asked.iter().filter(|entry| entry["status"] == 403).count() == 2, "{asked:?}");
    world.hide(&[]);
    // They are tried again after an hour, and what they missed is fetched.
    world.pass(65);
    let metrics = world.exact(&[100_001, 100_002, 100_003]);
    assert_eq!(refused(&metrics), ["777"]);
    let told = world.exporter.process.logged("Akamai says that these CP codes are not this API client's");
    let named: Vec<_> = told.iter().map(|event| event["cpcodes"].as_str().unwrap()).collect();
    assert_eq!(named, ["777", "100002"]);
    let back = world.exporter.process.logged("these CP codes are not refused any more");
    assert!(back.len() == 1 && back[0]["cpcodes"] == "100002", "{back:?}");
}

/// Each hour it is asked for again, with all others and for the windows that were settled without it.
#[test]
fn a_refused_cpcode_never_costs_the_others_a_poll() {
    let mut world = World::start(&[], &ini("traffic", "cpcodes = 100001, 777"));
    world.exact(&[100_001]);
    for _ in 0..2 {
        world.pass(65);
        let metrics = world.exact(&[100_001]);
        assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
        assert!(metrics.value(&["akamai_cpcode_unauthorized", "777"]).is_some());
    }
    let refusals = world.requests("reporting", "POST", 0);
    assert!(refusals.iter().filter(|entry| entry["status"] == 403).count() >= 3, "{refusals:?}");
}

#[test]
fn when_all_are_refused_the_source_is_down() {
    let mut world = World::start(&[], &ini("traffic", "cpcodes = 100001, 100002"));
    world.exact(&[100_001, 100_002]);
    world.hide(&[100_001, 100_002]);
    let forbidden = label("reason", "forbidden");
    let metrics = world.exporter.eventually("failures", |metrics| polls(metrics, &forbidden) >= 2.0);
    assert_eq!(metrics.value(&["akamai_up"]), Some(0.0));
    world.hide(&[]);
    world.pass(65);
    world.exact(&[100_001, 100_002]);
}

const THOUSAND: std::ops::RangeInclusive<u64> = 200_001..=201_000;

/// The configuration for so many: to write down that many series takes longer than a second here, and they rise only after a
/// scrape has seen them.
fn thousand(entries: &str) -> String {
    let metrics: Vec<_> = COUNTED.iter().map(|(_, metric)| *metric).collect();
    let entries = format!("metrics = {}\n{entries}", metrics.join(", "));
    ini("traffic", &entries).replace("polling_interval = 1\n", "polling_interval = 6\n")
}

#[test]
fn a_thousand_cpcodes_are_one_request_a_poll() {
    let all: Vec<u64> = THOUSAND.collect();
    let mut world = World::start(&["--cpcodes=200001-201000"], &thousand(""));
    world.exact(&all);
    let metrics = world.polled(3.0);
    let (sent, ended) = (world.requests("reporting", "POST", 0), polls(&metrics, ""));
    // One more may be under way, or have ended since.
    assert!((ended..=ended + 2.0).contains(&(sent.len() as f64)), "{} requests, {ended} polls", sent.len());
    assert!(sent.iter().all(|entry| entry["subject"]["cpcodes"].as_array().unwrap().len() == 1000));
    assert_eq!(world.requests("reporting", "GET", 0).len(), 1);
    assert_eq!(world.requests("cprg", "GET", 0).len(), 1);
}

#[test]
fn one_bad_cpcode_in_a_thousand_costs_itself_and_one_request() {
    let list: Vec<String> = THOUSAND.map(|cpcode| cpcode.to_string()).collect();
    let good: Vec<u64> = THOUSAND.take(999).collect();
    let mut world =
        World::start(&["--cpcodes=200001-200999"], &thousand(&format!("cpcodes = {}", list.join(", "))));
    let metrics = world.exact(&good);
    let counted = counters(&metrics);
    assert_eq!(
        counted.keys().map(|(cpcode, _)| *cpcode).collect::<std::collections::BTreeSet<_>>().len(),
        999
    );
    assert_eq!(metrics.value(&["akamai_cpcode_unauthorized", "cpcode=\"201000\""]), Some(1.0));
    let metrics = world.polled(2.0);
    let (sent, ended) = (world.requests("reporting", "POST", 0), polls(&metrics, ""));
    assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    let refused = sent.iter().filter(|entry| entry["status"] == 403).count();
    assert_eq!(refused, 1, "asked once with it, and not again");
    assert!(
        (ended + 1.0..=ended + 3.0).contains(&(sent.len() as f64)),
        "{} requests, {ended} polls",
        sent.len()
    );
}

/// What a fault comes to while it lasts.
#[derive(Clone, Copy, Debug)]
enum Effect {
    /// Polls fail with this reason.
    Fails(&'static str),
    /// Rows are rejected for this; what is usable is counted.
    Rejects(&'static str),
    /// All is counted as if there were none.
    Harmless,
    /// Only the CP codes that Akamai still lists are counted.
    Shrinks,
}

use Effect::{Fails, Harmless, Rejects, Shrinks};

/// THE table: section and API, fault, the minutes until it strikes, effect.
const TABLE: [(&str, &str, &str, i64, Effect); 24] = [
    ("traffic", "reporting", "unauthorized-cpcode", 5, Fails("forbidden")),
    ("traffic", "reporting", "empty", 5, Fails("no_data")),
    ("traffic", "reporting", "negative", 5, Rejects("negative")),
    ("traffic", "reporting", "missing-column", 5, Fails("malformed")),
    ("traffic", "reporting", "extra-column", 5, Harmless),
    ("traffic", "reporting", "string-numbers", 5, Harmless),
    ("traffic", "reporting", "wrong-type", 5, Rejects("not_a_number")),
    ("traffic", "reporting", "fractional", 5, Rejects("fractional")),
    ("traffic", "reporting", "huge-value", 5, Rejects("huge")),
    ("traffic", "reporting", "duplicate-row", 5, Rejects("duplicate")),
    ("traffic", "reporting", "conflicting-row", 5, Rejects("conflicting")),
    ("traffic", "reporting", "out-of-range", 5, Rejects("out_of_range")),
    ("traffic", "reporting", "foreign-cpcode", 5, Rejects("foreign")),
    ("traffic", "reporting", "more-rows", 5, Fails("too_costly")),
    ("traffic", "reporting", "query-cost", 5, Fails("too_costly")),
    // Those that strike anywhere else are alike for all sources; these are here for the counters.
    ("traffic", "reporting", "no-grant", 5, Fails("grant_missing")),
    ("traffic", "reporting", "server-error", 5, Fails("server_error")),
    ("traffic", "reporting", "truncated", 5, Fails("malformed")),
    ("traffic", "reporting", "garbage", 5, Fails("malformed")),
    // The list is asked for once an hour.
    ("traffic", "cprg", "empty", 61, Harmless),
    ("traffic", "cprg", "malformed-items", 61, Shrinks),
    ("traffic", "cprg", "server-error", 61, Harmless),
    ("traffic", "cprg", "no-grant", 61, Harmless),
    ("traffic", "cprg", "garbage", 61, Harmless),
];

/// Those of Media Delivery Reports.
const HISTORIC: [(&str, Effect); 2] =
    [("unauthorized-cpcode", Fails("forbidden")), ("empty", Fails("no_data"))];

/// The names of the faults that are tested here.
pub fn faults() -> Vec<&'static str> {
    TABLE.iter().map(|row| row.2).chain(HISTORIC.iter().map(|row| row.0)).collect()
}

/// Meets those of the table that are `wanted`, a few at a time.
fn meet_all(wanted: impl Fn(&str, Effect) -> bool) {
    let rows: Vec<_> = TABLE.into_iter().filter(|row| wanted(row.1, row.4)).collect();
    for rows in rows.chunks(4) {
        std::thread::scope(|scope| {
            for (section, api, fault, minutes, effect) in rows.iter().copied() {
                let meeting = move || meet(section, api, fault, minutes, effect);
                std::thread::Builder::new()
                    .name(format!("{api} {fault}"))
                    .spawn_scoped(scope, meeting)
                    .unwrap();
            }
        });
    }
}

#[test]
fn faults_of_the_report_that_fail() {
    meet_all(|api, effect| api == "reporting" && matches!(effect, Fails(_)));
}

#[test]
fn faults_of_the_report_s_rows() {
    meet_all(|api, effect| api == "reporting" && !matches!(effect, Fails(_)));
}

#[test]
fn faults_of_the_list_of_cpcodes() {
    meet_all(|api, _| api == "cprg");
}

fn meet(section: &str, api: &str, fault: &str, minutes: i64, effect: Effect) {
    let mut world = World::start(&[], &ini(section, ""));
    let before = counters(&world.exact(&ALL));
    world.simulator.fault(fault, &json!({ "api": api }));
    world.pass(minutes);
    let during = match effect {
        Fails(reason) => {
            let metrics = world.exporter.eventually(fault, |metrics| {
                polls(metrics, &label("reason", reason)) >= 1.0 && !is_up(metrics)
            });
            assert_eq!(polls(&metrics, "outcome=\"failure\""), polls(&metrics, &label("reason", reason)));
            // Until it is too old, after 1000 polls.
            assert!(minutes > 16 || counters(&metrics) == before, "what was counted stays");
            metrics
        }
        Rejects(kind) => {
            let kind = label("fault", kind);
            world.exporter.eventually(fault, |metrics| {
                metrics.value(&["akamai_exporter_report_rows_rejected_total", &kind]) > Some(0.0)
            })
        }
        Harmless => world.exact(&ALL),
        Shrinks => world.exporter.eventually(fault, |metrics| {
            is_up(metrics) && (1..before.len()).contains(&counters(metrics).len())
        }),
    };
    world.is_exact(&during, &ALL);
    let active = world.simulator.show("/faults")["faults"][0].clone();
    assert!(active["name"] == fault && active["applied"].as_u64() > Some(0), "{active}");
    world.simulator.heal();
    // What was refused or cut is tried again after an hour.
    world.pass(65);
    let after = world.exact(&ALL);
    let lost = after.value(&["akamai_exporter_report_windows_total", "state=\"lost\""]);
    assert_eq!(lost, Some(0.0), "{fault}");
    for (key, numbers) in &before {
        let now = counters(&after)[key].clone();
        assert!(numbers.iter().zip(&now).all(|(before, now)| before <= now), "{fault}: {key:?} fell");
    }
    assert!(world.exporter.process.child.try_wait().unwrap().is_none(), "the process lives");
}

const HISTORIC_INI: &str =
    "api = media-delivery-reports\ncpcodes = 100001, 100003\nmetrics = 617, 618, 619, 620, 630, 631";

/// Whether what Media Delivery Reports count of these CP codes is the whole truth.
fn is_history(world: &mut World, metrics: &Metrics, cpcodes: &[u64]) -> bool {
    let truth = world.truth(metrics, cpcodes);
    let of_cpcode = |cpcode: u64, at: usize, classes: &[&str]| -> f64 {
        let is_of =
            |(key, _): &(&(u64, String), &Vec<f64>)| key.0 == cpcode && classes.contains(&key.1.as_str());
        truth.iter().filter(is_of).map(|(_, numbers)| numbers[at]).sum()
    };
    let every = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
    !truth.is_empty()
        && cpcodes.iter().all(|&cpcode| {
            let code = label("cpcode", &cpcode.to_string());
            let value = |family, more: &str| metrics.value(&[family, &code, more]);
            let is_class = |class: &&str| {
                let found = value("akamai_traffic_edge_hits_total", &label("status_class", class));
                found == Some(of_cpcode(cpcode, 0, &[class]))
            };
            every[2..6].iter().all(is_class)
                && value("akamai_traffic_all_edge_hits_total", "") == Some(of_cpcode(cpcode, 0, &every))
                && value("akamai_traffic_origin_hits_total", "") == Some(of_cpcode(cpcode, 2, &every))
        })
}

/// Waits for that, as [`World::exact`] does.
fn history(world: &mut World, cpcodes: &[u64]) -> Metrics {
    loop {
        let metrics = world.exporter.metrics();
        if is_up(&metrics) && is_history(world, &metrics, cpcodes) {
            return metrics;
        }
        while world.exporter.process.next("exact counters")["message"] != "exposition encoded" {}
    }
}

#[test]
fn media_delivery_reports_where_there_are_any() {
    let mut world = World::start(&["--media-delivery-reports=historic"], &ini("amd", HISTORIC_INI));
    let metrics = history(&mut world, &[100_001, 100_003]);
    assert_eq!(
        metrics.series(&["akamai_traffic_edge_hits_total"]).len(),
        8,
        "four classes, and not their sum"
    );
    world.pass(30);
    let metrics = history(&mut world, &[100_001, 100_003]);
    assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    // One CP code that is refused costs itself.
    world.hide(&[100_003]);
    world.pass(5);
    let refused = ["akamai_cpcode_unauthorized", "cpcode=\"100003\""];
    let metrics = world.exporter.eventually("a refusal", |metrics| metrics.value(&refused) == Some(1.0));
    assert!(is_up(&metrics));
    history(&mut world, &[100_001]);
    world.hide(&[]);
    world.pass(65);
    history(&mut world, &[100_001, 100_003]);
}

#[test]
fn faults_of_media_delivery_reports() {
    std::thread::scope(|scope| {
        for (fault, effect) in HISTORIC {
            scope.spawn(move || {
                let Fails(reason) = effect else { panic!("{fault}: {effect:?}") };
                let mut world =
                    World::start(&["--media-delivery-reports=historic"], &ini("amd", HISTORIC_INI));
                let before = history(&mut world, &[100_001, 100_003]);
                world.simulator.fault(fault, &json!({ "api": "media-delivery-reports" }));
                world.pass(5);
                let reason = label("reason", reason);
                let during = world.exporter.eventually(fault, |m| polls(m, &reason) >= 1.0 && !is_up(m));
                let edge = "akamai_traffic_edge_hits_total";
                assert_eq!(during.starting(edge), before.starting(edge));
                world.simulator.heal();
                world.pass(65);
                history(&mut world, &[100_001, 100_003]);
            });
        }
    });
}

#[test]
fn media_delivery_reports_that_are_no_more() {
    // Each waits for a poll that comes late, since it was refused.
    std::thread::scope(|scope| {
        for mode in ["retired", "not-found", "historic"] {
            scope.spawn(move || are_no_more(mode));
        }
    });
}

/// In this mode; the historic one without the grant.
fn are_no_more(mode: &str) {
    let told = "Akamai switched Media Delivery Reports off on 15 July 2025";
    let prepare = |simulator: &Simulator| {
        if mode == "historic" {
            simulator.fault("no-grant", &json!({ "api": "media-delivery-reports" }));
        }
    };
    let argument = format!("--media-delivery-reports={mode}");
    let mut world = World::start_after(&[&argument], &ini("amd", HISTORIC_INI), prepare);
    let metrics = world.exporter.eventually("a failure", |metrics| {
        polls(metrics, &label("reason", "retired")) >= 1.0 && metrics.value(&["akamai_up"]) == Some(0.0)
    });
    assert_eq!(polls(&metrics, ""), polls(&metrics, &label("reason", "retired")), "{mode}");
    let lines: Vec<_> = world.exporter.process.log.iter().filter(|line| line.contains(told)).collect();
    assert!(lines.len() == 1 && lines[0].contains("Reporting API v2"), "{mode}: {lines:?}");
    let page = world.exporter.get("/").body;
    assert!(page.contains("retired") && page.contains("without api = media-delivery-reports"), "{page}");
    world.simulator.heal();
    let url = format!("{}/_simulator/media-delivery-reports", world.simulator.url);
    assert_eq!(request("PUT", &url, r#"{"mode":"historic"}"#).status, 200);
    history(&mut world, &[100_001, 100_003]);
}

/// An answer without any row is no evidence against what was read before, however late it comes.
#[test]
fn an_empty_answer_takes_nothing_back() {
    let mut world = World::start(&[], &ini("traffic", ""));
    world.exact(&ALL);
    for _ in 0..2 {
        world.pass(5);
        world.exact(&ALL);
    }
    // The first window is an hour old now, and this answer its last.
    world.simulator.fault("empty", &json!({ "api": "reporting" }));
    world.pass(5);
    let reason = label("reason", "no_data");
    world.exporter.eventually("no data", |metrics| polls(metrics, &reason) >= 1.0);
    world.simulator.heal();
    world.pass(5);
    world.exact(&ALL);
    world.pass(65);
    world.exact(&ALL);
}

/// Where the smallest request is refused as the largest, size is not the matter: afterwards one request asks for all again.
#[test]
fn no_small_requests_for_nothing() {
    let mut world = World::start(&[], &ini("traffic", ""));
    world.exact(&ALL);
    for fault in ["query-cost", "more-rows"] {
        let too_costly = label("reason", "too_costly");
        let so_far = polls(&world.exporter.metrics(), &too_costly);
        world.simulator.fault(fault, &json!({ "api": "reporting" }));
        world.exporter.eventually(fault, |metrics| polls(metrics, &too_costly) > so_far);
        let last = world.simulator.log()["last"].as_u64().unwrap();
        world.simulator.heal();
        world.pass(5);
        world.exact(&ALL);
        let sent = world.requests("reporting", "POST", last);
        assert!(
            sent.iter().all(|entry| entry["subject"]["cpcodes"].as_array().unwrap().len() == 5),
            "{sent:?}"
        );
    }
}

/// With the account's real limits, which three sources share, none is ever exceeded.
#[test]
fn the_account_s_limit_is_kept() {
    let config = "[exporter]\npolling_interval = 1\n[akamai]\nedgerclocation = EDGERC\n\
        [amd]\n[traffic]\n[traffic hosts]\ndimensions = cpcode, hostname\nmetrics = edgeHitsSum\n";
    let mut world = World::start(&["--rate-limit=20"], config);
    let metrics = world.exporter.eventually("polls of all", |metrics| {
        let successes = metrics.series(&["akamai_exporter_polls_total", "outcome=\"success\""]);
        successes.len() == 3 && successes.iter().all(|(_, polls)| *polls >= 2.0)
    });
    assert_eq!(polls(&metrics, "outcome=\"failure\""), 0.0);
    let limits = metrics.series(&["akamai_exporter_api_limit_requests"]);
    assert!(limits.len() == 2 && limits.iter().all(|(_, limit)| *limit == 20.0), "{limits:?}");
    let log = world.simulator.log();
    let violations = log["violations"].as_object().unwrap();
    assert!(violations.values().all(|count| *count == json!(0)), "{violations:?}");
    // A request every 4.3 s, the options of the report included; the bucket's clock stands still, so its level tells how many there were.
    let sent = log["requests"].as_array().unwrap().iter().filter(|entry| entry["api"] == "reporting").count();
    assert!((9..=12).contains(&sent), "{sent}");
}
