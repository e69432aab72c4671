//! Every fault of the simulator, met by the real binary: no series falls to 0, the reason is right, the process lives, and
//! data returns when the fault ends.
//!
//! [`TABLE`] says what each fault comes to for eStats, and a test holds it, with that of the reports, against the simulator's own list. Beside the simulator's
//! faults stand those of the way there (DNS, TLS, no connection) and data that becomes too old.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::process::{Exporter, Metrics, Simulator};

const INI: &str = "[exporter]\npolling_interval = 1\nstale_after = 1000\nlegacy_metrics = true\n\
    [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 2s\nretry_pause = 1s\nblock_pause = 1s\n\
    cpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n";

/// What a fault comes to.
#[derive(Clone, Copy)]
enum Effect {
    /// Polls fail with this reason, and the log says these words.
    Fails(&'static str, &'static str),
    /// Polls give data, of which this is true.
    Shows(fn(&Metrics) -> bool),
}

use Effect::{Fails, Shows};

/// THE table: what each fault of the simulator comes to.
const TABLE: [(&str, Effect); 31] = [
    ("html-403", Fails("ip_blocked", "403 with a page of the firewall")),
    ("burst-block", Fails("ip_blocked", "403 with a page of the firewall")),
    ("clock-skew", Fails("clock_skew", "400: Invalid timestamp; this machine's clock is")),
    ("inactive-token", Fails("auth", "401: Inactive client token")),
    ("bad-signature", Fails("auth", "401: The signature does not match")),
    ("no-grant", Fails("grant_missing", "403: The client does not have the grant")),
    ("timeout", Fails("timeout", "no whole answer in time")),
    ("reset", Fails("interrupted", "the connection ended within the exchange")),
    ("rate-limited", Fails("rate_limited", "429: You have exceeded total number of requests")),
    ("server-error", Fails("server_error", "500: An unexpected error occurred")),
    ("server-error-bare", Fails("server_error", "Akamai answered 503")),
    ("html", Fails("malformed", "not what eStats documents")),
    ("redirect", Fails("redirected", "Akamai answered 302")),
    ("garbage", Fails("malformed", "not what eStats documents")),
    ("not-found", Fails("not_found", "Akamai answered 404")),
    ("unauthorized-cpcode", Fails("forbidden", "You don't have access to the requested CP code")),
    ("failure", Fails("collection_failed", "executionStatus is not SUCCESS")),
    ("missing-result", Fails("no_data", "the answer has no result")),
    ("edge-only", Shows(|metrics| tiers(metrics) == ["edge"])),
    ("origin-only", Shows(|metrics| tiers(metrics) == ["origin"])),
    ("status-zero", Shows(|metrics| edge_ratio(metrics, "0xx") > 0.1)),
    ("integer-percentages", Shows(has_whole_percentages)),
    ("float-percentages", Shows(has_whole_percentages)),
    ("empty", Fails("no_data", "the sample holds no traffic")),
    ("negative", Fails("malformed", "is no count")),
    ("duplicate-status", Fails("malformed", "is listed twice")),
    ("error-burst", Shows(|metrics| edge_ratio(metrics, "5xx") > 0.2)),
    ("truncated", Fails("malformed", "not what eStats documents")),
    ("cut-off", Fails("interrupted", "the connection ended within the exchange")),
    ("slow-drip", Fails("timeout", "no whole answer in time")),
    ("huge", Fails("too_large", "the answer is larger than 8 MiB")),
];

/// The faults that the simulator has, with their stages.
fn simulated() -> Vec<(String, String)> {
    let overview = Simulator::start(&[]).show("");
    let text = |fault: &Value, member: &str| fault[member].as_str().unwrap().to_owned();
    let faults = overview["faults"].as_array().unwrap();
    faults.iter().map(|fault| (text(fault, "name"), text(fault, "stage"))).collect()
}

#[test]
fn the_table_has_every_fault() {
    let of_reports = crate::reports::faults();
    for (name, stage) in simulated() {
        let is_here = TABLE.iter().any(|row| row.0 == name);
        let is_there = stage == "answer" && of_reports.contains(&name.as_str());
        assert!(is_here || is_there, "{name} is not tested");
    }
    let names: Vec<_> = simulated().into_iter().map(|(name, _)| name).collect();
    assert!(TABLE.iter().all(|row| names.iter().any(|name| name == row.0)), "of {names:?}");
}

/// Meets all faults of a stage, each with a simulator and an exporter of its own, at the same time.
fn meet_all(stage: &str) {
    let names: Vec<_> =
        simulated().into_iter().filter(|fault| fault.1 == stage).map(|fault| fault.0).collect();
    assert!(!names.is_empty(), "the simulator has no stage {stage}");
    std::thread::scope(|scope| {
        for name in names {
            // The others are those of reports, which `reports.rs` has.
            let Some(&(fault, effect)) = TABLE.iter().find(|row| row.0 == name) else { continue };
            let meeting = move || meet(fault, effect);
            std::thread::Builder::new().name(fault.to_owned()).spawn_scoped(scope, meeting).unwrap();
        }
    });
}

#[test]
fn before_the_gateway() {
    meet_all("gateway");
}

#[test]
fn instead_of_the_api() {
    meet_all("api");
}

#[test]
fn in_the_answer() {
    meet_all("answer");
}

#[test]
fn in_the_transport() {
    meet_all("transport");
}

fn meet(fault: &str, effect: Effect) {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, INI);
    let before = exporter.eventually("data", is_up);
    check_whole(&before);
    assert_eq!(tiers(&before), ["edge", "origin"]);
    simulator.fault(fault, &json!({}));
    match effect {
        Fails(reason, words) => fail(&simulator, &mut exporter, &before, (reason, words)),
        Shows(is_so) => show(&simulator, &mut exporter, fault, is_so),
    }
    let after = exporter.eventually("all data again", |metrics| {
        check_whole(metrics);
        is_up(metrics) && tiers(metrics).len() == 2
    });
    assert_eq!(names(&after), names(&before));
    assert!(exporter.process.child.try_wait().unwrap().is_none(), "the process lives");
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 200));
}

/// While polls fail the last data stays as it is; when they no longer do, newer data comes.
fn fail(simulator: &Simulator, exporter: &mut Exporter, before: &Metrics, (reason, words): (&str, &str)) {
    let label = format!("reason=\"{reason}\"");
    let down = exporter.eventually("the fault", |metrics| {
        check_whole(metrics);
        metrics.value(&["akamai_up"]) == Some(0.0)
    });
    if timestamp(&down) == timestamp(before) {
        assert_eq!(estats(&down), estats(before));
    }
    // What is refused is not asked for again so soon.
    let enough = if ["redirected", "not_found", "forbidden"].contains(&reason) { 1.0 } else { 3.0 };
    let last = exporter.eventually("more failures", |metrics| {
        assert_eq!(estats(metrics), estats(&down));
        assert_eq!(metrics.value(&["akamai_up"]), Some(0.0));
        metrics.sum(&["akamai_exporter_polls_total", "outcome=\"failure\""]) >= enough
    });
    let failures = last.sum(&["akamai_exporter_polls_total", "outcome=\"failure\""]);
    assert_eq!(last.value(&["akamai_exporter_polls_total", &label]), Some(failures), "no other reason");
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 200));
    let page = exporter.get("/").body;
    assert!(page.contains(reason) && page.contains("Account default"), "{page}");
    simulator.heal();
    exporter.process.line("data again");
    exporter.eventually("newer data", |metrics| is_up(metrics) && timestamp(metrics) > timestamp(&down));
    let told: Vec<_> = exporter.process.log.iter().filter(|line| line.contains(words)).collect();
    // Once in a sentence, and not again for each poll.
    assert!(told.len() == 1 && told[0].contains(reason), "{words}: {told:?}");
}

/// Polls go on giving data, of which `is_so` is true.
fn show(simulator: &Simulator, exporter: &mut Exporter, fault: &str, is_so: fn(&Metrics) -> bool) {
    let metrics = three_more_polls(exporter);
    assert!(is_so(&metrics), "{}", metrics.0);
    let active = &simulator.show("/faults")["faults"][0];
    assert!(active["name"] == fault && active["applied"].as_u64() > Some(0), "{active}");
    simulator.heal();
    let metrics = three_more_polls(exporter);
    assert_eq!(metrics.sum(&["akamai_exporter_polls_total", "outcome=\"failure\""]), 0.0);
}

/// The metrics after as many successes as make sure that one of them began later than this.
fn three_more_polls(exporter: &mut Exporter) -> Metrics {
    let polls = ["akamai_exporter_polls_total", "outcome=\"success\""];
    let so_far = exporter.metrics().sum(&polls);
    exporter.eventually("three more polls", |metrics| {
        check_whole(metrics);
        assert!(is_up(metrics));
        metrics.sum(&polls) >= so_far + 3.0
    })
}

fn is_up(metrics: &Metrics) -> bool {
    metrics.value(&["akamai_up"]) == Some(1.0)
}

fn timestamp(metrics: &Metrics) -> Option<f64> {
    metrics.value(&["akamai_estats_sample_timestamp_seconds"])
}

fn estats(metrics: &Metrics) -> BTreeMap<&str, f64> {
    metrics.starting("akamai_estats_")
}

/// The series that data has whatever status codes there are.
fn names(metrics: &Metrics) -> Vec<&str> {
    estats(metrics).into_keys().filter(|series| !series.starts_with("akamai_estats_hits")).collect()
}

fn tiers(metrics: &Metrics) -> Vec<&'static str> {
    let is_there =
        |tier: &&str| !metrics.series(&["akamai_estats_sample_hits", &label("tier", tier)]).is_empty();
    ["edge", "origin"].into_iter().filter(is_there).collect()
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

/// The series of the status codes that begin with `status`.
fn hits<'a>(metrics: &'a Metrics, tier: &str, status: &str) -> Vec<(&'a str, f64)> {
    metrics.series(&["akamai_estats_hits", &label("tier", tier), &format!("status=\"{status}")])
}

fn edge_ratio(metrics: &Metrics, class: &str) -> f64 {
    let labels = [label("tier", "edge"), label("status_class", class)];
    metrics.value(&["akamai_estats_status_ratio", &labels[0], &labels[1]]).unwrap()
}

fn has_whole_percentages(metrics: &Metrics) -> bool {
    let is_whole = |class: &str| metrics.value(&[&format!("edge_{class}")]).unwrap().fract() == 0.0;
    let successes = metrics.value(&["edge_2xx"]).unwrap();
    ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().all(is_whole) && (50.0..=100.0).contains(&successes)
}

/// A series is 0 only where the sample has nothing of the kind: each tier is there as a whole or not at all. Failures
/// that become zeros, and answers that are read in part, would break that.
fn check_whole(metrics: &Metrics) {
    for tier in tiers(metrics) {
        let of_tier = label("tier", tier);
        let total = metrics.value(&["akamai_estats_sample_hits", &of_tier]).unwrap();
        let codes = hits(metrics, tier, "");
        assert!(total > 0.0 && codes.iter().all(|(_, hits)| *hits > 0.0), "{}", metrics.0);
        assert_eq!(codes.iter().map(|(_, hits)| hits).sum::<f64>(), total, "{}", metrics.0);
        for class in ["0", "1", "2", "3", "4", "5", "6"] {
            let of_class = label("status_class", &format!("{class}xx"));
            let ratio = metrics.value(&["akamai_estats_status_ratio", &of_tier, &of_class]).unwrap();
            let wanted = if class == "0" { hits(metrics, tier, "0\"") } else { hits(metrics, tier, class) };
            let wanted = wanted.iter().map(|(_, hits)| hits).sum::<f64>() / total;
            assert!((ratio - wanted).abs() < 1e-9, "{tier} {class}xx: {ratio}\n{}", metrics.0);
        }
    }
    assert_eq!(timestamp(metrics).is_some(), !tiers(metrics).is_empty(), "{}", metrics.0);
}

/// Starts with `host` in the credentials file, expects that nothing comes for `reason`, and mends the file.
fn cannot_reach(host: &str, reason: &str) {
    let simulator = Simulator::start(&[]);
    let mut right = String::new();
    simulator.edit_edgerc(|text| {
        text.clone_into(&mut right);
        text.replace(&simulator.url, &host.replace("SIMULATOR", simulator.url.trim_start_matches("http://")))
    });
    // Long enough for a resolver that has to give up first.
    let mut exporter =
        Exporter::start(&simulator, &INI.replace("request_timeout = 2s", "request_timeout = 60s"));
    let polls = ["akamai_exporter_polls_total", &label("reason", reason)];
    let metrics = exporter.eventually(reason, |metrics| metrics.value(&polls) >= Some(2.0));
    assert_eq!(metrics.value(&["akamai_up"]), Some(0.0));
    assert!(estats(&metrics).is_empty(), "{}", metrics.0);
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 503));
    assert_eq!(simulator.log()["requests"], json!([]));
    simulator.edit_edgerc(|_| right);
    exporter.process.line("credentials read again");
    check_whole(&exporter.eventually("data", is_up));
    assert_eq!(exporter.get("/-/ready").status, 200);
}

#[test]
fn a_host_that_speaks_no_tls() {
    cannot_reach("SIMULATOR", "tls");
}

#[test]
fn a_host_that_does_not_resolve() {
    cannot_reach("akab-none.luna.akamaiapis.invalid", "dns");
}

#[test]
fn a_host_that_nobody_listens_on() {
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(loopback).unwrap();
    cannot_reach(&format!("http://{}", taken.local_addr().unwrap()), "connect");
}

#[test]
fn data_that_becomes_too_old_vanishes_and_returns() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, &INI.replace("stale_after = 1000", "stale_after = 2"));
    exporter.eventually("data", is_up);
    let whole = three_more_polls(&mut exporter);
    simulator.fault("server-error", &json!({}));
    let gone = exporter.eventually("data too old", |metrics| {
        check_whole(metrics);
        metrics.value(&["akamai_up"]) == Some(0.0) && estats(metrics).is_empty()
    });
    assert!(gone.starting("edge_").is_empty() && gone.starting("origin_").is_empty(), "{}", gone.0);
    let polls = ["akamai_exporter_polls_total", "reason=\"server_error\""];
    let so_far = gone.value(&polls).unwrap();
    exporter.eventually("two more polls", |metrics| {
        assert!(estats(metrics).is_empty(), "{}", metrics.0);
        assert_eq!(metrics.value(&["akamai_up"]), Some(0.0));
        metrics.value(&polls) >= Some(so_far + 2.0)
    });
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 200));
    assert!(exporter.get("/").body.contains("too old to be shown"));
    simulator.heal();
    assert_eq!(names(&exporter.eventually("data again", is_up)), names(&whole));
}
