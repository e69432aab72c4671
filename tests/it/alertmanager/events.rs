//! One event is one notification: what a real Alertmanager sends, and what it leaves unsaid.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::templates::text;
use super::{Alertmanager, IN_DOWNTIME, NO_DOWNTIME, QUICK, Webhook, alert, read};
use crate::process::{Process, request};
use crate::tools::tool;

/// A rule of inhibition: what silences, what is silenced, and what is near but not silenced.
struct Case {
    name: &'static str,
    source: &'static str,
    silenced: &'static [&'static str],
    told: &'static [&'static str],
}

/// `HERE` is an account of the case's own, and part of its instances' names.
const CASES: [Case; 18] = [
    Case {
        name: "account-without-data",
        source: "alertname=AkamaiNoData category=no_data scope=account severity=warning account=HERE",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7",
            "alertname=AkamaiNoData category=no_data scope=source severity=critical account=HERE source=amd",
            "alertname=AkamaiDataStale category=exporter scope=source severity=warning account=HERE source=amd",
            "alertname=AkamaiTrafficDrop category=traffic scope=account severity=critical account=HERE",
            "alertname=AkamaiServerErrors category=errors scope=account severity=warning account=HERE tier=edge",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE-not cpcode=7",
            "alertname=AkamaiServerErrors category=errors scope=overall severity=critical",
            "alertname=AkamaiBudgetExhausted category=exporter scope=account severity=warning account=HERE",
            "alertname=AkamaiSinkLosing category=exporter scope=exporter severity=critical instance=HERE",
        ],
    },
    Case {
        name: "account-refused",
        source: "alertname=AkamaiCredentialsRefused category=access scope=account severity=critical account=HERE",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7",
            "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE source=amd",
            "alertname=AkamaiTrafficDrop category=traffic scope=account severity=critical account=HERE",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE-not cpcode=7",
            "alertname=AkamaiAddressBlocked category=access scope=account severity=critical account=HERE",
        ],
    },
    // Apart: an alert that is silenced silences, too.
    Case {
        name: "account-refused-so-no-data",
        source: "alertname=AkamaiAddressBlocked category=access scope=account severity=critical account=HERE",
        silenced: &["alertname=AkamaiNoData category=no_data scope=account severity=critical account=HERE"],
        told: &["alertname=AkamaiNoData category=no_data scope=account severity=critical account=HERE-not"],
    },
    Case {
        name: "clock-goes-wrong",
        source: "alertname=AkamaiClockOff category=access scope=account severity=warning account=HERE",
        silenced: &[],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7",
            "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE source=amd",
        ],
    },
    Case {
        name: "grant-missing",
        source: "alertname=AkamaiGrantMissing category=access scope=source severity=warning account=HERE source=amd",
        silenced: &[
            "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE source=amd",
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE source=amd cpcode=7",
        ],
        told: &[
            "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE source=estats",
            "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE-not source=amd",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=9",
        ],
    },
    Case {
        name: "grant-missing-for-an-hour",
        source: "alertname=AkamaiGrantMissing category=access scope=source severity=warning account=HERE source=amd",
        silenced: &[],
        told: &[
            "alertname=AkamaiNoData category=no_data scope=source severity=critical account=HERE source=amd",
        ],
    },
    Case {
        name: "cpcode-of-others",
        source: "alertname=AkamaiCPCodeUnauthorized category=access scope=cpcode severity=warning account=HERE cpcode=7",
        silenced: &[
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE source=amd cpcode=7",
        ],
        told: &[
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE source=amd cpcode=8",
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE-not source=amd cpcode=7",
        ],
    },
    Case {
        name: "source-without-data",
        source: "alertname=AkamaiNoData category=no_data scope=source severity=warning account=HERE source=amd",
        silenced: &[
            "alertname=AkamaiDataStale category=exporter scope=source severity=warning account=HERE source=amd",
        ],
        told: &[
            "alertname=AkamaiDataStale category=exporter scope=source severity=warning account=HERE source=estats",
            "alertname=AkamaiWindowsLost category=exporter scope=source severity=warning account=HERE source=amd",
        ],
    },
    Case {
        name: "account-fails",
        source: "alertname=AkamaiServerErrors category=errors scope=account severity=critical account=HERE tier=edge status_class=5xx",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE tier=edge status_class=5xx cpcode=1",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE tier=edge status_class=5xx cpcode=2",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE tier=edge status_class=5xx url=u",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE tier=origin status_class=5xx cpcode=3",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE-not tier=edge status_class=5xx cpcode=1",
            "alertname=AkamaiClientErrors category=errors scope=cpcode severity=warning account=HERE tier=edge status_class=4xx cpcode=1",
            "alertname=AkamaiTrafficDrop category=traffic scope=cpcode severity=critical account=HERE cpcode=1",
        ],
    },
    Case {
        name: "account-fails-a-little",
        source: "alertname=AkamaiOffloadDrop category=traffic scope=account severity=warning account=HERE",
        silenced: &[
            "alertname=AkamaiOffloadDrop category=traffic scope=cpcode severity=warning account=HERE cpcode=1",
        ],
        told: &[
            "alertname=AkamaiOffloadDrop category=traffic scope=cpcode severity=critical account=HERE cpcode=2",
            "alertname=AkamaiTrafficSurge category=traffic scope=cpcode severity=warning account=HERE cpcode=1",
        ],
    },
    Case {
        name: "edge-and-origin",
        source: "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=edge",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=origin",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=8 tier=origin",
            "alertname=AkamaiClientErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=origin",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE-not cpcode=7 tier=origin",
        ],
    },
    Case {
        name: "edge-and-origin-a-little",
        source: "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE url=u tier=edge",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE url=u tier=origin",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE url=v tier=origin",
        ],
    },
    Case {
        name: "origin-and-a-little-at-the-edge",
        source: "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=origin",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=edge",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=8 tier=edge",
            "alertname=AkamaiClientErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=edge",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE-not cpcode=7 tier=edge",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE url=u tier=edge",
            "alertname=AkamaiTrafficDrop category=traffic scope=cpcode severity=warning account=HERE cpcode=7 tier=edge",
        ],
    },
    // All four at once: of edge and origin each silences the other in part, and one is told.
    Case {
        name: "edge-and-origin-both-severities",
        source: "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=edge",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=origin",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=edge",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=origin",
        ],
        told: &[],
    },
    Case {
        name: "critical-instead-of-warning",
        source: "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE cpcode=7 tier=edge status_class=5xx",
        silenced: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=edge status_class=5xx",
        ],
        told: &[
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=warning account=HERE cpcode=8 tier=edge status_class=5xx",
            "alertname=AkamaiClientErrors category=errors scope=cpcode severity=warning account=HERE cpcode=7 tier=edge status_class=4xx",
        ],
    },
    Case {
        name: "clock-refused",
        source: "alertname=AkamaiClockOff category=access scope=account severity=critical account=HERE",
        silenced: &[
            "alertname=AkamaiClockOff category=access scope=account severity=warning account=HERE api=estats",
        ],
        told: &["alertname=AkamaiClockOff category=access scope=account severity=warning account=HERE-not"],
    },
    Case {
        name: "no-data-for-an-hour",
        source: "alertname=AkamaiNoData category=no_data scope=cpcode severity=critical account=HERE source=amd cpcode=7",
        silenced: &[
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE source=amd cpcode=7",
        ],
        told: &[
            "alertname=AkamaiNoData category=no_data scope=cpcode severity=warning account=HERE source=amd cpcode=8",
        ],
    },
    Case {
        name: "exporter-down",
        source: "alertname=AkamaiExporterDown category=exporter scope=exporter severity=critical job=akamai instance=HERE:1",
        silenced: &[
            "alertname=AkamaiSinkBehind category=exporter scope=exporter severity=warning job=akamai instance=HERE:1 sink=dd",
        ],
        told: &[
            "alertname=AkamaiSinkBehind category=exporter scope=exporter severity=warning job=akamai instance=HERE:2 sink=dd",
            "alertname=AkamaiExporterDown category=exporter scope=exporter severity=critical job=akamai instance=HERE:3",
            "alertname=AkamaiServerErrors category=errors scope=cpcode severity=critical account=HERE-else cpcode=7",
        ],
    },
];

/// The alert, and how its summary begins.
fn named(text: &str, case: &str) -> (Value, String) {
    let text = text.replace("HERE", case);
    (alert(&text), format!("about {text}"))
}

/// Waits until all of these are told. What comes last is an alert of its own, posted when all others had been: whatever was to leave
/// before it has left.
fn told(alertmanager: &Alertmanager, webhook: &Webhook, expected: &BTreeSet<String>) -> BTreeSet<String> {
    webhook.summaries_with(expected);
    let (last, summary) = named("alertname=Last severity=critical account=HERE", "last");
    alertmanager.post(&[last]);
    let mut told = webhook.summaries_with(&BTreeSet::from([summary.clone()]));
    told.remove(&summary);
    told
}

#[test]
fn what_follows_from_another_is_not_said() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &NO_DOWNTIME].concat());
    let (mut alerts, mut expected, mut silenced) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for Case { name, source, silenced: quiet, told } in &CASES {
        for text in [source].into_iter().chain(*told) {
            let (alert, summary) = named(text, name);
            alerts.push(alert);
            expected.insert(summary);
        }
        for text in *quiet {
            let (alert, summary) = named(text, name);
            alerts.push(alert);
            silenced.insert(summary);
        }
    }
    alertmanager.post(&alerts);
    assert_eq!(told(&alertmanager, &webhook, &expected), expected);
    // And it is inhibition that keeps them back.
    for alert in alertmanager.alerts() {
        let summary = alert["annotations"]["summary"].as_str().unwrap().to_owned();
        let is_inhibited = !alert["status"]["inhibitedBy"].as_array().unwrap().is_empty();
        assert_eq!(is_inhibited, silenced.contains(&summary), "{alert}");
    }
}

/// An outage of an account: twenty CP codes at edge and origin, of which the account's alert of the edge is the sum.
#[test]
fn twenty_cpcodes_of_an_account_are_one_notification() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &NO_DOWNTIME].concat());
    let mut alerts = Vec::new();
    for tier in ["edge", "origin"] {
        let common = format!(
            "alertname=AkamaiServerErrors category=errors severity=critical account=default tier={tier} status_class=5xx"
        );
        alerts.extend((1..=20).map(|cpcode| alert(&format!("{common} scope=cpcode cpcode={cpcode}"))));
        alerts.push(alert(&format!("{common} scope=account")));
    }
    alertmanager.post(&alerts);
    let first = webhook.next("the account's notification");
    let (last, _) = named("alertname=Last severity=critical account=HERE", "last");
    alertmanager.post(&[last]);
    let second = webhook.next("the last one");
    assert_eq!(second.labels()[0]["alertname"], "Last");
    let scopes: Vec<_> = first.labels().iter().map(|labels| labels["scope"].clone()).collect();
    assert_eq!(scopes, ["account"], "{first:?}");
    assert_eq!(first.body["groupLabels"], json!({"account": "default"}));
    assert_eq!(first.body["receiver"], "critical");
}

/// What one evaluation brings after the other is one message, which leaves well within the minute.
#[test]
fn a_first_message_waits_for_its_group_as_the_file_says() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &NO_DOWNTIME);
    let common = "severity=critical category=errors scope=cpcode account=a cpcode=1";
    let began = Instant::now();
    for name in ["A", "B"] {
        alertmanager.post(&[alert(&format!("alertname={name} {common}"))]);
    }
    let first = webhook.next("the group");
    assert_eq!(first.labels().len(), 2, "{first:?}");
    let waited = first.at - began;
    assert!(waited > Duration::from_secs(19) && waited < Duration::from_secs(50), "{waited:?}");
}

#[test]
fn a_group_is_a_cpcode_a_url_or_an_exporter() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &NO_DOWNTIME].concat());
    let common = "severity=critical category=errors scope=cpcode account=a";
    let own = "severity=critical category=exporter scope=exporter job=akamai";
    alertmanager.post(&[
        alert(&format!("alertname=A {common} cpcode=1 tier=edge")),
        alert(&format!("alertname=B {common} cpcode=1 tier=origin")),
        alert(&format!("alertname=A {common} cpcode=2")),
        alert(&format!("alertname=A {common} url=u")),
        alert(&format!("alertname=AkamaiSinkLosing {own} instance=x sink=s")),
        alert(&format!("alertname=AkamaiSinkLosing {own} instance=x sink=t")),
        alert(&format!("alertname=AkamaiSinkLosing {own} instance=y sink=s")),
    ]);
    let mut groups: Vec<_> = (0..5)
        .map(|_| webhook.next("five groups"))
        .map(|one| (one.body["groupLabels"].to_string(), one.labels().len()))
        .collect();
    groups.sort();
    let expected = [
        (json!({"account": "a", "cpcode": "1"}), 2),
        (json!({"account": "a", "cpcode": "2"}), 1),
        (json!({"account": "a", "url": "u"}), 1),
        (json!({"instance": "x", "job": "akamai"}), 2),
        (json!({"instance": "y", "job": "akamai"}), 1),
    ];
    assert_eq!(groups, expected.map(|(group, number)| (group.to_string(), number)));
}

/// A downtime that has no end: warnings of every receiver are held back, and Alertmanager says why.
#[test]
fn in_a_downtime_only_critical_ones_are_told() {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &IN_DOWNTIME].concat());
    let kinds = [
        "category=errors scope=cpcode cpcode=1",
        "category=no_data scope=account",
        "category=exporter scope=exporter instance=x",
    ];
    let texts = |severity: &str| {
        kinds.map(|kind| format!("alertname={severity} severity={severity} account={severity} {kind}"))
    };
    let all: Vec<_> = ["critical", "warning"].into_iter().flat_map(texts).map(|text| alert(&text)).collect();
    alertmanager.post(&all);
    for _ in kinds {
        alertmanager.line("route is within mute time");
    }
    // The account without data silences its own CP code.
    let expected: BTreeSet<_> = texts("critical")[1..].iter().map(|text| format!("about {text}")).collect();
    assert_eq!(told(&alertmanager, &webhook, &expected), expected);
}

/// The command that `alertmanager.yml` gives for a maintenance that is to be quiet altogether.
#[test]
fn a_silence_is_the_way_to_mute_a_critical_one() {
    let file = read("alertmanager.yml");
    let (_, command) =
        file.split_once("#   amtool --alertmanager.url=http://localhost:9093 silence add ").unwrap();
    let command: String = command.lines().take(2).map(|line| line.trim_start_matches(['#', ' '])).collect();
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &NO_DOWNTIME].concat());
    let (amtool, url) = (tool("amtool", "prometheus-alertmanager"), &alertmanager.url);
    let script = format!("\"$0\" --alertmanager.url={url} silence add {}", command.replace('\\', ""));
    let output = Command::new("sh").arg("-ec").arg(script).arg(amtool).env("USER", "me").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let common = "alertname=A severity=critical category=errors scope=cpcode account=default";
    let (silenced, other) = (format!("{common} cpcode=1209788"), format!("{common} cpcode=7"));
    alertmanager.post(&[alert(&silenced), alert(&other)]);
    let expected = BTreeSet::from([format!("about {other}")]);
    assert_eq!(told(&alertmanager, &webhook, &expected), expected);
    for alert in alertmanager.alerts() {
        let is_silenced = !alert["status"]["silencedBy"].as_array().unwrap().is_empty();
        assert_eq!(is_silenced, alert["labels"]["cpcode"] == "1209788", "{alert}");
    }
}

/// From a hand-made alert to the page, and its end.
#[test]
fn the_stack_s_receiver_shows_what_comes() {
    let mut receiver = Process::start(&["notifications", "--listen=127.0.0.1:0"], &[]);
    let url = format!("http://{}", receiver.line("receiving notifications")["address"].as_str().unwrap());
    let alertmanager = Alertmanager::start(&url, &[&QUICK[..], &NO_DOWNTIME].concat());
    let mut fired =
        alert("alertname=AkamaiNoData severity=critical category=no_data scope=account account=default");
    fired["annotations"]["summary"] = json!("Account default: no data for 1 h <now>");
    fired["annotations"]["runbook_url"] = json!("https://example.com/docs/runbooks/AkamaiNoData.md");
    alertmanager.post(&[fired.clone()]);
    let line = receiver.line("notification");
    assert_eq!((line["receiver"].as_str(), line["status"].as_str()), (Some("no-data"), Some("firing")));
    let line = receiver.line("alert");
    assert_eq!(
        (line["alertname"].as_str(), line["account"].as_str()),
        (Some("AkamaiNoData"), Some("default"))
    );
    fired["startsAt"] = json!("2026-01-01T00:00:00Z");
    fired["endsAt"] = json!("2026-01-01T01:00:00Z");
    alertmanager.post(&[fired]);
    assert_eq!(receiver.line("notification")["status"], "resolved");
    let answer = request("GET", &format!("{url}/api/v1/notifications"), "");
    let list: Value = serde_json::from_str(&answer.body).unwrap();
    let titles: Vec<_> = list["notifications"].as_array().unwrap().iter().map(|one| &one["title"]).collect();
    let summary = "Account default: no data for 1 h <now>";
    assert_eq!(
        titles,
        [&json!(format!("RESOLVED: {summary}")), &json!(format!("NO DATA, CRITICAL: {summary}"))]
    );
    let page = request("GET", &url, "").body;
    assert!(
        page.contains("2 notifications since the start") && page.contains("no data for 1 h &lt;now&gt;"),
        "{page}"
    );
    assert!(page.contains("href=\"https://example.com/docs/runbooks/AkamaiNoData.md\""), "{page}");
    receiver.signal("TERM");
    assert!(receiver.ended().success(), "{:?}", receiver.log);
}

/// The page's titles and leads are the templates'.
#[test]
fn the_page_and_the_templates_say_the_same() {
    let webhook = Webhook::start();
    let mut receiver = Process::start(&["notifications", "--listen=127.0.0.1:0"], &[]);
    let url = format!("http://{}", receiver.line("receiving notifications")["address"].as_str().unwrap());
    let alertmanager = Alertmanager::start(&webhook.url(), &[&QUICK[..], &NO_DOWNTIME].concat());
    let alerts = ["critical", "warning"].into_iter().flat_map(|severity| {
        let common = format!("severity={severity} account={severity}");
        ["errors", "no_data"]
            .map(|category| alert(&format!("alertname=A category={category} {common} cpcode={category}")))
    });
    alertmanager.post(&alerts.collect::<Vec<_>>());
    let firing = (0..4).map(|_| webhook.next("four notifications").body);
    let over = |body: &Value| {
        let mut body = body.clone();
        body["status"] = json!("resolved");
        body["alerts"][0]["status"] = json!("resolved");
        body
    };
    for body in firing.flat_map(|body| [over(&body), body]) {
        assert_eq!(request("POST", &url, &body.to_string()).status, 200);
        assert_eq!(receiver.line("notification")["title"], text("akamai.title", &body));
        let list = request("GET", &format!("{url}/api/v1/notifications"), "").body;
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["notifications"][0]["lead"], text("akamai.lead", &body));
    }
}
