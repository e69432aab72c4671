//! `[dogstatsd]`, end to end: hours of simulated windows through the real binary to an Agent, with restarts and kills, and in the end each count has
//! arrived once, with its own time, names and tags, and as many as the simulated Akamai says.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};

use super::agent::{Agent, Line};
use crate::process::{Process, request};
use crate::world::{COLUMNS, World, good_poll};

/// With the names that their tags have: what the simulated Akamai calls them, as far as Datadog takes it.
const CODES: [(&str, &str); 3] =
    [("1209788", "vod-main"), ("100001", "live-events"), ("555001", "the__old____site_555001")];

/// When the first window that is counted begins: the newest that was a quarter of an hour old.
const FIRST: &str = "2026-11-20T08:40:00Z";

const FIVE_MINUTES: TimeDelta = TimeDelta::minutes(5);

/// A count, by what tells it from others: time, name, CP code and status class.
type Key = (i64, String, String, String);

/// The exporter with an Agent, in a world of their own.
struct Life {
    world: World,
    exporter: Process,
    agent: Agent,
    sections: String,
    /// What has come of windows, and in which minute.
    came: BTreeMap<Key, Vec<(f64, DateTime<Utc>)>>,
    restarts: u32,
}

impl Life {
    fn begin(agent: impl FnOnce(&World) -> Agent, keys: &str) -> Self {
        let codes = CODES.map(|(code, _)| code).join(",");
        let mut world = World::new(&codes);
        world.exporter_keys = "labels = team=cdn\n".to_owned();
        let agent = agent(&world);
        let sections = format!(
            "[amd]\ncpcodes = {codes}\n[dogstatsd]\naddress = {}\ntags = env:prod\n{keys}\n",
            agent.address()
        );
        let mut exporter = world.exporter(&sections);
        good_poll(&mut exporter, "amd");
        Self { world, exporter, agent, sections, came: BTreeMap::new(), restarts: 0 }
    }

    /// Lets minutes pass, and waits until the window that ends at `newest` has arrived and nothing waits any more.
    fn step(&mut self, minutes: i64, newest: Option<DateTime<Utc>>) {
        self.world.advance(minutes);
        good_poll(&mut self.exporter, "amd");
        let Some(newest) = newest.filter(|newest| *newest > first()) else { return };
        loop {
            self.take();
            let has_come = self.came.keys().next_back().is_some_and(|key| key.0 >= newest.timestamp());
            if has_come && waiting(&self.world.url()) == Some(0.0) {
                self.take();
                return;
            }
            self.exporter.next("the window's arrival");
        }
    }

    fn take(&mut self) {
        for line in self.agent.lines() {
            let key = check(&line);
            self.came.entry(key).or_default().push((line.value, self.world.now));
        }
    }

    /// Ends the exporter when nothing is under way, and starts it again.
    fn restart(&mut self, signal: &str) {
        self.exporter.signal(signal);
        let status = self.exporter.ended();
        assert_eq!(status.success(), signal == "TERM", "{status}");
        self.restarts += u32::from(signal == "TERM");
        self.world.kills += u32::from(signal == "KILL");
        self.exporter = self.world.exporter(&self.sections);
        // A request under way while the clock's hand is moved would be refused for its time.
        good_poll(&mut self.exporter, "amd");
    }

    /// Steps of five minutes, in each of which the window of this age arrives; then whatever is left.
    fn live(&mut self, steps: u32, age: i64, ends: impl Fn(u32) -> Option<&'static str>) {
        for step in 0..steps {
            let newest = five_minutes_before(self.world.now + FIVE_MINUTES, age);
            self.step(5, Some(newest));
            if let Some(signal) = ends(step) {
                self.restart(signal);
            }
        }
        let newest = five_minutes_before(self.world.now + TimeDelta::minutes(65), age);
        let newest = newest.min(five_minutes_before(self.world.now, 0));
        self.step(65, Some(newest));
        assert_eq!(self.agent.dropped(), 0, "the test's Agent was too slow");
    }

    /// The counts of windows that end in the time, and of them those that came more than once.
    fn within(&self, hours: i64) -> (BTreeMap<&Key, f64>, usize) {
        let times = first().timestamp() + 300..=(first() + TimeDelta::hours(hours)).timestamp();
        let came = self.came.iter().filter(|(key, _)| times.contains(&key.0));
        let doubled = came.clone().filter(|(_, values)| values.len() > 1).count();
        (came.map(|(key, values)| (key, values[0].0)).collect(), doubled)
    }

    /// What the simulated Akamai says in the end of each window's counts, as `named`.
    fn truth(&self, hours: i64, named: impl Fn(&str, &str) -> Vec<(String, String)>) -> BTreeMap<Key, f64> {
        let mut truth = BTreeMap::new();
        for number in 0..hours * 12 {
            let start = first() + FIVE_MINUTES * i32::try_from(number).unwrap();
            let end = start + FIVE_MINUTES;
            for ((code, class, metric), value) in self.world.totals(start, end) {
                for (name, class) in named(metric, &class) {
                    *truth.entry((end.timestamp(), name, code.clone(), class)).or_default() += value;
                }
            }
        }
        // A count of 0 adds nothing, and is not sent.
        truth.retain(|_, value| *value != 0.0);
        truth
    }
}

fn first() -> DateTime<Utc> {
    FIRST.parse().unwrap()
}

/// When the newest window ended that is so old.
fn five_minutes_before(now: DateTime<Utc>, age: i64) -> DateTime<Utc> {
    let seconds = (now - TimeDelta::minutes(age)).timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(300), 0).unwrap()
}

fn waiting(exporter: &str) -> Option<f64> {
    let text = request("GET", &format!("{exporter}/metrics"), "").body;
    let line = text.lines().find(|line| line.starts_with("akamai_exporter_sink_waiting_items"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Holds a line against what every count of a window has.
fn check(line: &Line) -> Key {
    assert_eq!(line.kind, 'c', "{line:?}");
    assert!(line.value > 0.0 && line.value.fract() == 0.0, "{line:?}");
    let mut tags = line.tags.clone();
    let mut tag = |name: &str| tags.remove(name).unwrap_or_default();
    let (code, class) = (tag("cpcode"), tag("status_class"));
    let own = ["account", "source", "team", "env"].map(&mut tag);
    assert_eq!(own, ["default", "amd", "cdn", "prod"], "{line:?}");
    let name = CODES.iter().find(|(known, _)| *known == code).unwrap_or_else(|| panic!("{line:?}")).1;
    assert_eq!(tag("cpcode_name"), name, "{line:?}");
    assert!(tags.is_empty(), "{line:?}");
    (line.time.unwrap_or_else(|| panic!("{line:?}")), line.name.clone(), code, class)
}

/// The name in Datadog's manner.
fn name(metric: &str, class: &str) -> Vec<(String, String)> {
    let own = metric.trim_start_matches("akamai_traffic_").trim_end_matches("_total");
    vec![(format!("akamai.{own}"), class.to_owned())]
}

/// The names of the Python script.
fn legacy_names(metric: &str, class: &str) -> Vec<(String, String)> {
    let names = match (metric, class) {
        ("akamai_traffic_edge_hits_total", "2xx") => &["2xxEdgeHits", "allEdgeHits"][..],
        ("akamai_traffic_edge_hits_total", "4xx") => &["4xxEdgeHits", "allEdgeHits"],
        ("akamai_traffic_edge_hits_total", "5xx") => &["5xxEdgeHits", "allEdgeHits"],
        ("akamai_traffic_edge_hits_total", _) => &["allEdgeHits"],
        ("akamai_traffic_origin_hits_total", _) => &["allOriginHits"],
        _ => &[],
    };
    names.iter().map(|name| (format!("akamai.{name}"), String::new())).collect()
}

/// Shows a figure of docs/benchmarks.md: `cargo test --test it sinks::windows -- --nocapture`.
fn show(figure: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{figure}").unwrap();
}

/// Prints how it went, and holds it to the truth.
fn judge(life: &Life, what: &str, hours: i64, truth: &BTreeMap<Key, f64>) {
    let (came, doubled) = life.within(hours);
    let missing: Vec<_> = truth.keys().filter(|key| !came.contains_key(key)).collect();
    let wrong: Vec<_> = came.iter().filter(|(key, value)| truth.get(**key) != Some(*value)).collect();
    let figure = format!(
        "DogStatsD {what}: {} windows, {} restarts, {} kills, {} datagrams of up to {} bytes: {} counts compared, \
         {} missing, {} wrong, {doubled} doubled",
        hours * 12,
        life.restarts,
        life.world.kills,
        life.agent.count,
        life.agent.largest,
        truth.len(),
        missing.len(),
        wrong.len(),
    );
    show(&figure);
    assert!(missing.is_empty(), "{figure}: {:?}", &missing[..missing.len().min(20)]);
    assert!(wrong.is_empty(), "{figure}: {:?}", &wrong[..wrong.len().min(20)]);
    assert_eq!(doubled, 0, "{figure}");
    // Each CP code and window has traffic.
    assert!(truth.len() > usize::try_from(hours).unwrap() * 12 * CODES.len() * 4, "{figure}");
}

#[test]
fn every_settled_window_arrives_once_over_udp_through_restarts_and_kills() {
    let mut life = Life::begin(|_| Agent::on_udp(), "send_after = settled");
    life.live(68, 60, |step| match step {
        17 | 47 => Some("TERM"),
        6 | 25 | 33 | 39 | 58 => Some("KILL"),
        _ => None,
    });
    judge(&life, "over UDP", 6, &life.truth(6, name));
    assert_eq!((life.restarts, life.world.kills), (2, 5));
}

#[test]
fn every_settled_window_arrives_once_on_a_unix_socket() {
    let at = |world: &World| Agent::on_unix(&world.directory.path().join("dsd.socket"));
    let mut life = Life::begin(at, "send_after = settled");
    life.live(10, 60, |step| (step == 7).then_some("KILL"));
    judge(&life, "on a Unix socket", 1, &life.truth(1, name));
    assert!(life.agent.largest > 1_432, "datagrams of {} bytes", life.agent.largest);
}

#[test]
fn the_five_names_of_the_python_script_have_the_totals() {
    let mut life = Life::begin(|_| Agent::on_udp(), "send_after = settled\nlegacy_names = true");
    life.live(10, 60, |_| None);
    judge(&life, "with legacy_names", 1, &life.truth(1, legacy_names));
}

/// By default Datadog gets a window before Akamai is done with it. The simulated Akamai may then lack up to 8 % of a CP code's window, and may have
/// up to 4 % too much of it: `src/simulator/traffic/report.rs`.
#[test]
fn by_default_each_window_arrives_once_when_it_is_half_an_hour_old() {
    let mut life = Life::begin(|_| Agent::on_udp(), "");
    life.live(20, 30, |step| match step {
        9 => Some("TERM"),
        14 => Some("KILL"),
        _ => None,
    });
    let truth = life.truth(1, name);
    let (came, doubled) = life.within(1);
    assert_eq!(doubled, 0);
    let (mut sum, mut true_sum, mut revised) = (0.0, 0.0, 0);
    let mut of_cpcodes: BTreeMap<(i64, &str), (f64, f64)> = BTreeMap::new();
    for (key, total) in &truth {
        let value = came.get(key).copied().unwrap_or_default();
        if key.1 == "akamai.edge_hits" {
            let sums = of_cpcodes.entry((key.0, &key.2)).or_default();
            *sums = (sums.0 + value, sums.1 + total);
        }
        (sum, true_sum, revised) = (sum + value, true_sum + total, revised + usize::from(value != *total));
    }
    for (key, (value, total)) in of_cpcodes {
        // Hits of each status code are whole, of which there are some thirty.
        assert!((0.92 * total - 30.0..=1.04 * total).contains(&value), "{key:?}: {value} of {total}");
    }
    let ages = life
        .came
        .iter()
        .filter(|(key, _)| came.contains_key(key))
        .flat_map(|(key, values)| values.iter().map(|(_, at)| (at.timestamp() - key.0) / 60));
    let ages: std::collections::BTreeSet<_> = ages.collect();
    let figure = format!(
        "DogStatsD half an hour after a window's end: {} counts, each once, at ages {ages:?} in minutes, {revised} revised later; \
         their sum is {:.3} % of what Akamai says in the end",
        came.len(),
        100.0 * sum / true_sum
    );
    show(&figure);
    assert!(ages.iter().all(|age| (30..=40).contains(age)) && revised > 0, "{figure}");
    assert!(
        (0.98..=1.02).contains(&(sum / true_sum)) && COLUMNS.len() * 12 * CODES.len() < truth.len(),
        "{figure}"
    );
}
