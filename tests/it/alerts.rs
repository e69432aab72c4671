//! From Akamai to the pager, with what is shipped: the exporter, Prometheus with `prometheus.yml` and its rules, Alertmanager with
//! `alertmanager.yml`, and a webhook that counts. The simulated Akamai has the trouble.
//!
//! An alert looks back for minutes, so the night goes four times as fast: every duration in the rules and configurations is divided, and
//! nothing else is changed. `AKAMAI_TEST_SPEED=1 cargo test --test it alerts::` takes the time that it takes.

mod faster;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use akamai_exporter::clock::{Clock as _, SystemClock};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::faster::{Speed, faster};
use crate::alertmanager::{Alertmanager, IN_DOWNTIME, NO_DOWNTIME, Notification, Webhook};
use crate::process::{Exporter, Simulator};
use crate::prometheus::Prometheus;
use crate::repository::{copy_rules, read};

/// The CP code that has the trouble, and the two that have not.
const TROUBLED: u64 = 1_209_788;
const CPCODES: &str = "1209788, 100001, 100002";

/// Everything from Akamai to Prometheus.
struct Stack {
    speed: Speed,
    simulator: Simulator,
    exporter: Exporter,
    prometheus: Prometheus,
    _rules: TempDir,
}

impl Stack {
    /// Starts it, with these overrides of thresholds, and waits until there is data of all CP codes.
    fn start(alertmanagers: &[&Alertmanager], overrides: &str) -> Self {
        let speed = Speed::of_this_run();
        let simulator = calm_simulator();
        let interval = speed.of("30s");
        let mut exporter = Exporter::start(
            &simulator,
            &format!(
                "[exporter]\npolling_interval = {interval}\n[akamai]\nedgerclocation = EDGERC\nretry_pause = {interval}\n\
                 [estats]\ncpcodes = {CPCODES}\n[amd]\ncpcodes = {TROUBLED}\n"
            ),
        );
        // Half an hour of a night.
        exporter.process.may_take(Duration::from_secs_f64(speed.seconds("30m")));
        let rules = tempfile::tempdir().unwrap();
        copy_rules(rules.path(), |name, text| {
            let text = match name {
                "overrides.yml" => text.replace("rules: []", &format!("rules:\n{overrides}")),
                _ => text,
            };
            faster(&text, speed)
        });
        let prometheus = prometheus(speed, &exporter, alertmanagers, &rules);
        let mut stack = Self { speed, simulator, exporter, prometheus, _rules: rules };
        stack.eventually("shares of all CP codes", |stack| {
            let shares = r#"scope_tier_status_class:akamai_hits:ratio5m{scope="cpcode", tier="edge", status_class="5xx"}"#;
            stack.prometheus.query(shares).len() == 3
        });
        stack
    }

    /// Waits until `is_so`; looks again after each poll.
    fn eventually(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            while self.exporter.process.next(what)["message"] != "poll done" {}
        }
    }

    /// The notification with this number, from 0 on, as soon as it has come.
    fn notification(&mut self, webhook: &Webhook, number: usize, what: &str) -> Notification {
        self.eventually(what, |_| webhook.all().len() > number);
        webhook.all()[number].clone()
    }

    /// Waits for so long, by Prometheus' clock.
    fn pass(&mut self, time: &str) {
        let until = self.now() + self.speed.seconds(time);
        self.eventually("time to pass", |stack| stack.now() >= until);
    }

    fn now(&self) -> f64 {
        number(&self.prometheus.query("vector(time())")).unwrap()
    }

    fn number(&self, query: &str) -> Option<f64> {
        number(&self.prometheus.query(query))
    }

    /// Whether any alert with these labels has been pending or firing.
    fn has_alerted(&self, labels: &str) -> bool {
        !self.prometheus.query(&format!("count_over_time(ALERTS{{{labels}}}[1h])")).is_empty()
    }
}

/// The value of the only series.
fn number(series: &[Value]) -> Option<f64> {
    assert!(series.len() < 2, "{series:?}");
    series.first()?["value"][1].as_str()?.parse().ok()
}

/// A simulated Akamai that has no bursts of its own in the next hour: its CP codes have some now and then.
fn calm_simulator() -> Simulator {
    let now = SystemClock.now().timestamp().div_euclid(300) * 300;
    let windows = || (0..12).map(|window| DateTime::from_timestamp(now + 300 * window, 0).unwrap());
    (1..50)
        .map(|seed| {
            Simulator::start(&[&format!("--seed={seed}"), &format!("--cpcodes={}", CPCODES.replace(' ', ""))])
        })
        .find(|simulator| windows().all(|start| is_calm(simulator, start)))
        .expect("a calm hour")
}

/// Whether no CP code has more than one per cent of 5xx in the five minutes from `start` on.
fn is_calm(simulator: &Simulator, start: DateTime<Utc>) -> bool {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let path = format!("/traffic?start={}&end={}", time(start), time(start + TimeDelta::minutes(5)));
    let answer = simulator.show(&path);
    let mut hits = BTreeMap::<String, (f64, f64)>::new();
    for row in answer["rows"].as_array().unwrap() {
        for tier in ["edge", "origin"] {
            let (all, errors) = hits.entry(format!("{} {tier}", row["cpcode"])).or_default();
            let count = row[format!("{tier}HitsSum")].as_f64().unwrap();
            *all += count;
            *errors += if row["responseClass"] == "5xx" { count } else { 0.0 };
        }
    }
    hits.values().all(|(all, errors)| errors / all < 0.01)
}

/// Prometheus as the stack has it, at this speed and with these addresses.
fn prometheus(
    speed: Speed,
    exporter: &Exporter,
    alertmanagers: &[&Alertmanager],
    rules: &TempDir,
) -> Prometheus {
    let address = |url: &str| format!("\"{}\"", url.trim_start_matches("http://"));
    let receivers: Vec<_> = alertmanagers.iter().map(|one| address(&one.url)).collect();
    let edits = [
        ("\"exporter:9877\"", address(&exporter.url)),
        ("\"alertmanager:9093\"", receivers.join(", ")),
        ("/etc/prometheus/rules", rules.path().display().to_string()),
    ];
    let config = edits.iter().fold(read("prometheus.yml"), |text, (from, to)| {
        assert!(text.contains(from), "prometheus.yml has no {from} any more");
        text.replace(from, to)
    });
    let flags = [
        format!("--query.lookback-delta={}", speed.of("5m")),
        format!("--rules.alert.resend-delay={}", speed.of("1m")),
    ];
    Prometheus::with(&faster(&config, speed), &flags.each_ref().map(String::as_str))
}

/// Alertmanager as the stack has it, at this speed.
fn alertmanager(webhook: &Webhook, downtime: &[(&str, &str)]) -> Alertmanager {
    let speed = Speed::of_this_run();
    let (wait, interval) =
        (format!("group_wait: {}", speed.of("20s")), format!("group_interval: {}", speed.of("5m")));
    let edits = [("group_wait: 20s", wait.as_str()), ("group_interval: 5m", interval.as_str())];
    Alertmanager::start(&webhook.url(), &[&edits, downtime].concat())
}

/// The only alert of a notification.
fn only(notification: &Notification) -> &Value {
    let alerts = notification.body["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{notification:#?}");
    &alerts[0]
}

fn text<'a>(alert: &'a Value, annotation: &str) -> &'a str {
    alert["annotations"][annotation].as_str().unwrap()
}

#[test]
fn a_burst_is_one_notification_in_two_minutes() {
    let webhook = Webhook::start();
    // By day or by night: critical ones pass.
    let alertmanager = alertmanager(&webhook, &[]);
    let mut stack = Stack::start(&[&alertmanager], "");
    // The average over five minutes is to be one.
    stack.pass("5m");
    stack.simulator.fault("error-burst", &json!({"cpcode": TROUBLED}));
    let notification = stack.notification(&webhook, 0, "the burst");
    let arrived = stack.now() - notification.at.elapsed().as_secs_f64();

    let share = r#"akamai_estats_status_ratio{cpcode="1209788", tier="edge", status_class="5xx"}"#;
    let seen = format!("min(min_over_time(timestamp({share} > 0.2)[1h:1s]))");
    let late = arrived - stack.number(&seen).unwrap();
    writeln!(std::io::stdout(), "notified {:.0} s after the data was there", late * stack.speed.factor())
        .unwrap();
    assert!(late <= stack.speed.seconds("2m"), "{late} s");

    let alert = only(&notification);
    let labels = json!({
        "alertname": "AkamaiServerErrors", "severity": "critical", "category": "errors", "scope": "cpcode",
        "account": "default", "cpcode": "1209788", "tier": "edge", "status_class": "5xx",
    });
    assert_eq!((&alert["status"], &alert["labels"]), (&json!("firing"), &labels), "{alert:#}");
    let began = alert["startsAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let recorded = r#"scope_tier_status_class:akamai_hits:ratio5m{scope="cpcode", cpcode="1209788", tier="edge", status_class="5xx"}"#;
    let value = number(&stack.prometheus.query_at(recorded, began.timestamp_millis() as f64 / 1e3)).unwrap();
    assert!(value > 0.05 && value < 0.35, "{value}");
    let summary = text(alert, "summary");
    let (percent, rest) = summary.split_once('%').unwrap();
    assert_eq!(rest, " of the responses at the edge are 5xx: CP code 1209788 (vod-main)", "{summary}");
    // Prometheus writes four digits.
    assert!((percent.parse::<f64>().unwrap() - value * 100.0).abs() < 0.01, "{summary} is not {value}");
    assert!(text(alert, "runbook_url").ends_with("/docs/runbooks/AkamaiServerErrors.md"), "{alert:#}");
    assert_eq!(
        text(alert, "dashboard_url"),
        "http://localhost:3000/d/akamai-overview?var-account=default&var-cpcode=1209788"
    );

    // Longer than Alertmanager waits for news of a group: nothing more comes while it lasts.
    stack.pass("7m");
    assert_eq!(webhook.all().len(), 1, "{:#?}", webhook.all());
    stack.simulator.heal();
    let over = stack.notification(&webhook, 1, "the end of the burst");
    assert_eq!(over.body["status"], "resolved");
    // The origin's part of it, which the edge's alert had silenced, is over as well.
    let of_edge: Vec<_> = over.labels().into_iter().filter(|of| of["tier"] == "edge").collect();
    assert_eq!(of_edge, [&labels]);
    assert!(over.labels().iter().all(|of| of["cpcode"] == "1209788"), "{over:#?}");
    assert_eq!(webhook.all().len(), 2);
}

/// What is severe is not to hide what is mild: with a threshold of its own, the burst is a warning for this CP code.
const MILD: &str = r#"      - {record: "akamai:threshold:override", expr: 0.9, labels: {threshold: errors, severity: critical, tier: edge, status_class: 5xx, cpcode: "1209788"}}
      - {record: "akamai:threshold:override", expr: 0.9, labels: {threshold: errors, severity: critical, tier: origin, status_class: 5xx, cpcode: "1209788"}}
"#;

#[test]
fn a_warning_is_muted_in_a_downtime() {
    let (day, night) = (Webhook::start(), Webhook::start());
    let (awake, asleep) = (alertmanager(&day, &NO_DOWNTIME), alertmanager(&night, &IN_DOWNTIME));
    // The account as well: without the CP code's own alert, its share would be the account's news.
    let account = MILD.replace("cpcode: \"1209788\"", "account: default");
    let mut stack = Stack::start(&[&awake, &asleep], &format!("{MILD}{account}"));
    stack.simulator.fault("error-burst", &json!({"cpcode": TROUBLED}));
    // The same alert, told to both: by day it is a notification.
    let told = stack.notification(&day, 0, "the warning");
    let labels = &only(&told)["labels"];
    assert_eq!(
        (&labels["alertname"], &labels["severity"]),
        (&json!("AkamaiServerErrors"), &json!("warning"))
    );
    let known = asleep.alerts();
    assert!(known.iter().any(|alert| alert["labels"] == *labels), "{known:#?}");
    stack.pass("6m");
    assert!(night.all().is_empty(), "{:#?}", night.all());
    // A critical one passes, at the same CP code.
    asleep.post(&[json!({
        "labels": {"alertname": "Another", "severity": "critical", "account": "default", "cpcode": "1209788"},
        "annotations": {"summary": "something else"},
        "endsAt": "2100-01-01T00:00:00Z",
    })]);
    let passed = stack.notification(&night, 0, "the critical one");
    assert_eq!(only(&passed)["labels"]["alertname"], "Another");
}

#[test]
fn akamai_failing_is_no_data_and_no_errors() {
    let webhook = Webhook::start();
    let alertmanager = alertmanager(&webhook, &NO_DOWNTIME);
    let mut stack = Stack::start(&[&alertmanager], "");
    stack.eventually("data of both sources", |stack| {
        stack.number("sum(akamai_up)") == Some(2.0) && stack.number("count(akamai_up)") == Some(2.0)
    });
    stack.simulator.fault("server-error", &json!({}));
    let notification = stack.notification(&webhook, 0, "that there is no data");
    let alert = only(&notification);
    let labels = json!({
        "alertname": "AkamaiNoData", "severity": "warning", "category": "no_data", "scope": "account", "account": "default",
    });
    assert_eq!(alert["labels"], labels, "{alert:#}");
    assert_eq!(text(alert, "summary"), "No data for ten minutes (server_error): account default");
    let down = stack.number("count_over_time((sum(akamai_up) == 0)[1h:1s])").unwrap();
    assert!(down >= stack.speed.seconds("9m30s"), "told after {down} s without data");
    stack.pass("6m");
    assert_eq!(webhook.all().len(), 1, "{:#?}", webhook.all());
    assert!(!stack.has_alerted(r#"category=~"errors|traffic""#));
    stack.simulator.heal();
    let over = stack.notification(&webhook, 1, "data again");
    assert_eq!((&over.body["status"], &only(&over)["labels"]), (&json!("resolved"), &labels));
    assert!(!stack.has_alerted(r#"category=~"errors|traffic""#));
}
