//! How the process starts, stops, is stopped for a while, and lives with several accounts of which one is refused.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use chrono::DateTime;
use serde_json::{Value, json};

use crate::process::{Exporter, Metrics, Simulator, run, write};

/// A request may take a minute: whoever stops sooner has not waited for it.
const INI: &str = "[exporter]\npolling_interval = 1\nstale_after = 1000\n\
    [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 60s\ncpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n";

fn is_up(metrics: &Metrics) -> bool {
    metrics.value(&["akamai_up"]) == Some(1.0)
}

fn successes(metrics: &Metrics) -> f64 {
    metrics.sum(&["akamai_exporter_polls_total", "outcome=\"success\""])
}

/// Connects and sends the first half of a request, so that the server cannot but wait for the rest.
fn half_a_request(exporter: &Exporter) -> TcpStream {
    let mut stream = TcpStream::connect(exporter.url.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: half\r\n").unwrap();
    // Connections are accepted in turn: when this one is answered, the other one is being read.
    assert_eq!(exporter.get("/-/healthy").status, 200);
    stream
}

#[test]
fn ready_with_the_first_data() {
    let mut simulator = Simulator::start(&[]);
    simulator.fault("timeout", &json!({}));
    let mut exporter = Exporter::start(&simulator, &INI.replace("60s", "2s"));
    simulator.until("the first poll", |event| event["faults"] == "timeout");
    let ready = exporter.get("/-/ready");
    assert!(ready.status == 503 && ready.body.starts_with("Waiting for the first data"), "{}", ready.body);
    assert_eq!(exporter.get("/-/healthy").status, 200);
    simulator.heal();
    exporter.eventually("data", is_up);
    assert_eq!(exporter.get("/-/ready").status, 200);
}

/// The signal ends a process whose poll hangs, long before the poll would end.
fn stops_within_a_poll(signal: &str) {
    let mut simulator = Simulator::start(&[]);
    simulator.fault("timeout", &json!({}));
    let mut exporter = Exporter::start(&simulator, INI);
    simulator.until("the poll", |event| event["faults"] == "timeout");
    exporter.process.signal(signal);
    let status = exporter.process.ended();
    assert_eq!(status.code(), Some(0), "{:?}", exporter.process.log);
    let [begun, stopped] = ["stopping; a second signal stops at once", "stopped"]
        .map(|message| exporter.process.logged(message))
        .map(|events| time(&events[0]));
    assert!((stopped - begun).num_seconds() < 30, "the poll was waited for");
    assert!(exporter.process.logged("stopped without waiting").is_empty());
    assert_eq!(exporter.process.logged("stopping")[0]["signal"], format!("SIG{signal}"));
    assert!(exporter.process.logged("poll failed").is_empty(), "a poll that is broken off is no failure");
}

fn time(event: &Value) -> DateTime<chrono::FixedOffset> {
    DateTime::parse_from_rfc3339(event["timestamp"].as_str().unwrap()).unwrap()
}

#[test]
fn sigterm_during_a_slow_poll() {
    stops_within_a_poll("TERM");
}

#[test]
fn sigint_during_a_slow_poll() {
    stops_within_a_poll("INT");
}

#[test]
fn a_request_under_way_is_answered_and_readiness_has_fallen() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, INI);
    exporter.eventually("data", is_up);
    let mut stream = half_a_request(&exporter);
    exporter.process.signal("TERM");
    exporter.process.line("polls have ended");
    stream.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("Stopping.\n"), "{answer}");
    assert_eq!(exporter.process.ended().code(), Some(0));
    assert!(exporter.process.logged("stopped without waiting").is_empty());
}

#[test]
fn a_connection_that_does_not_end_is_not_waited_for() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, INI);
    let _open = half_a_request(&exporter);
    exporter.process.signal("TERM");
    assert_eq!(exporter.process.ended().code(), Some(0));
    assert_eq!(exporter.process.logged("stopped without waiting").len(), 1);
}

#[test]
fn a_second_signal_stops_at_once() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, INI);
    let _open = half_a_request(&exporter);
    exporter.process.signal("TERM");
    exporter.process.line("stopping");
    exporter.process.signal("INT");
    assert_eq!(exporter.process.ended().code(), Some(1), "{:?}", exporter.process.log);
    assert_eq!(exporter.process.logged("stopped at once by a second signal")[0]["level"], "ERROR");
}

#[test]
fn a_port_in_use_fails_before_the_first_poll() {
    let simulator = Simulator::start(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let file =
        write(simulator.directory.path(), &INI.replace("EDGERC", simulator.edgerc().to_str().unwrap()));
    let listen = format!("--web.listen-address={address}");
    let output = run(&["--config.file", file.to_str().unwrap(), &listen]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("level=error") && log.contains(&format!("cannot listen on {address}: ")), "{log}");
    assert_eq!(simulator.log()["last"], 0, "nothing was polled");
}

#[test]
fn a_stalled_process_resumes() {
    let simulator = Simulator::start(&["--clients=stalled,other"]);
    let start = |section: &str| {
        Exporter::start(&simulator, &format!("{}edgerc_section = {section}\n", INI.replace("60s", "2s")))
    };
    let (mut stalled, mut other) = (start("stalled"), start("other"));
    let before = successes(&stalled.eventually("data", |metrics| successes(metrics) >= 2.0));
    other.eventually("data", is_up);
    stalled.process.signal("STOP");
    let from = simulator.log()["last"].as_u64().unwrap();
    // Each poll of the other one is a second or so: more than two intervals.
    for _ in 0..5 {
        other.process.line("poll done");
    }
    let meanwhile = simulator.show(&format!("/log?since={from}"));
    let of = |client: &str| {
        let requests = meanwhile["requests"].as_array().unwrap().iter();
        requests.filter(|entry| entry["client"] == client).count()
    };
    assert!(of("stalled") <= 1 && of("other") >= 3, "{meanwhile}");
    stalled.process.signal("CONT");
    // One poll may have been counted after the last look, and one was perhaps under way.
    stalled.eventually("polls again", |metrics| is_up(metrics) && successes(metrics) >= before + 4.0);
    assert!(stalled.process.child.try_wait().unwrap().is_none());
}

const THREE: &str = "[exporter]\npolling_interval = 1\nstale_after = 1000\n\
    [akamai a]\nedgerclocation = EDGERC\nedgerc_section = a\nretry_pause = 1s\ncpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n\
    [akamai b]\nedgerclocation = EDGERC\nedgerc_section = b\nretry_pause = 1s\ncpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n\
    [akamai c]\nedgerclocation = EDGERC\nedgerc_section = c\nretry_pause = 1s\ncpcode = 100001\ndeliverynetwork = STANDARD_TLS\n";

fn account(name: &str) -> String {
    format!("account=\"{name}\"")
}

fn up(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.value(&["akamai_up", &account(name)])
}

#[test]
fn of_three_accounts_one_is_revoked_from_the_start() {
    let simulator = Simulator::start(&["--clients=a,b,c"]);
    simulator.fault("inactive-token", &json!({ "client": "b" }));
    let mut exporter = Exporter::start(&simulator, THREE);
    exporter.eventually("b refused", |metrics| up(metrics, "b") == Some(0.0));
    let polls = |metrics: &Metrics, name: &str, outcome: &str| {
        metrics.sum(&["akamai_exporter_polls_total", &account(name), outcome])
    };
    let metrics = exporter.eventually("five polls of the others", |metrics| {
        ["a", "c"].iter().all(|name| polls(metrics, name, "outcome=\"success\"") >= 5.0)
    });
    for name in ["a", "c"] {
        assert_eq!((up(&metrics, name), polls(&metrics, name, "outcome=\"failure\"")), (Some(1.0), 0.0));
        assert_eq!(metrics.series(&["akamai_estats_sample_hits", &account(name)]).len(), 2);
    }
    assert_eq!(up(&metrics, "b"), Some(0.0));
    assert!(metrics.starting("akamai_estats_").keys().all(|series| !series.contains(&account("b"))));
    let refused = polls(&metrics, "b", "outcome=\"failure\"");
    assert!(refused >= 1.0 && polls(&metrics, "b", "reason=\"auth\"") == refused, "{}", metrics.0);
    assert_eq!((exporter.get("/-/healthy").status, exporter.get("/-/ready").status), (200, 200));
    simulator.heal();
    let metrics = exporter.eventually("b again", |metrics| up(metrics, "b") == Some(1.0));
    assert_eq!(metrics.series(&["akamai_estats_sample_hits", &account("b")]).len(), 2);
    let told = exporter.process.logged("poll failed: Akamai answered 401: Inactive client token");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["account"], &told[0]["reason"]), (&json!("b"), &json!("auth")));
}

#[test]
fn of_three_accounts_one_is_revoked_later_and_keeps_what_it_had() {
    let simulator = Simulator::start(&["--clients=a,b,c"]);
    let mut exporter = Exporter::start(&simulator, THREE);
    exporter.eventually("data", |metrics| ["a", "b", "c"].iter().all(|name| up(metrics, name) == Some(1.0)));
    simulator.fault("inactive-token", &json!({ "client": "b" }));
    let metrics = exporter.eventually("b refused", |metrics| up(metrics, "b") == Some(0.0));
    let of_b = |metrics: &Metrics| {
        let series = metrics.starting("akamai_estats_").into_iter();
        series
            .filter(|(series, _)| series.contains(&account("b")))
            .map(|(series, value)| (series.to_owned(), value))
            .collect::<Vec<_>>()
    };
    let (kept, so_far) = (of_b(&metrics), successes(&metrics));
    assert!(!kept.is_empty());
    exporter.eventually("six polls of the others", |metrics| {
        assert_eq!((up(metrics, "a"), up(metrics, "b"), up(metrics, "c")), (Some(1.0), Some(0.0), Some(1.0)));
        assert_eq!(of_b(metrics), kept);
        successes(metrics) >= so_far + 6.0
    });
    simulator.heal();
    exporter.eventually("b again", |metrics| up(metrics, "b") == Some(1.0));
}

#[test]
fn several_sources_with_labels_and_the_original_gauges() {
    let simulator = Simulator::start(&[]);
    let ini = "[exporter]\npolling_interval = 1\nstale_after = 1000\nlabels = env=it, note='say \"hi\" \\o/'\nlegacy_metrics = true\n\
        [akamai]\nedgerclocation = EDGERC\n\
        [estats codes]\ncpcodes = 1209788, 100001\ndelivery_networks = STANDARD_TLS\n\
        [estats pages]\nurls = https://www.example.com/, https://www.example.com/a?b=\"c\"&d\ndelivery_networks = STANDARD_TLS, ENHANCED_TLS\n";
    let mut exporter = Exporter::start(&simulator, ini);
    // Whether a page has traffic depends on the hour; whether it was asked for does not.
    let metrics = exporter.eventually("polls of all targets", |metrics| {
        let codes = metrics.sum(&["akamai_target_up", "source=\"codes\""]);
        metrics.series(&["akamai_target_up"]).len() == 6 && codes == 2.0
    });
    assert_eq!(metrics.series(&["akamai_up"]).len(), 2);
    let labels = ["env=\"it\"", "note=\"say \\\"hi\\\" \\\\o/\"", "account=\"default\"", "source=\""];
    let series = ["akamai_estats_", "akamai_up", "akamai_target_up"].map(|prefix| metrics.starting(prefix));
    let series: Vec<_> = series.iter().flat_map(|found| found.keys()).collect();
    assert!(series.len() > 60, "{}", metrics.0);
    for series in series {
        assert!(labels.iter().all(|label| series.contains(label)), "{series}");
    }
    let page = ["akamai_target_up", "source=\"pages\"", "url=\"https://www.example.com/a?b=\\\"c\\\"&d\""];
    assert_eq!(metrics.series(&page).len(), 2, "{}", metrics.0);
    for (tier, class) in
        ["edge", "origin"].into_iter().flat_map(|tier| (1..=5).map(move |class| (tier, class)))
    {
        let percent = metrics.value(&[&format!("{tier}_{class}xx"), "cpcode=\"1209788\""]).unwrap();
        let labels = [format!("tier=\"{tier}\""), format!("status_class=\"{class}xx\"")];
        let ratio = ["akamai_estats_status_ratio", "cpcode=\"1209788\"", &labels[0], &labels[1]];
        let ratio = metrics.value(&ratio).unwrap();
        // Each status code's share is rounded to a hundredth.
        assert!((percent - 100.0 * ratio).abs() < 0.5, "{tier} {class}xx: {percent} {ratio}");
    }
}
