//! Requests never exceed the configured share of a limit, and the limit is the one that the answers tell.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::process::{Exporter, Simulator, request};

/// More than any budget here allows: someone is always due.
const INI: &str = "[exporter]\npolling_interval = 1\n[akamai]\nedgerclocation = EDGERC\nretry_pause = 1s\n\
    [estats one]\ncpcodes = 1209788, 100001\ndelivery_networks = STANDARD_TLS\n\
    [estats two]\ncpcodes = 100003\ndelivery_networks = STANDARD_TLS, ENHANCED_TLS\n";

/// When each request came, in seconds since the first.
fn times(log: &Value) -> Vec<f64> {
    let time = |entry: &Value| DateTime::parse_from_rfc3339(entry["time"].as_str().unwrap()).unwrap();
    let times: Vec<_> = log["requests"].as_array().unwrap().iter().map(time).collect();
    times.iter().map(|at| (*at - times[0]).as_seconds_f64()).collect()
}

/// In no five seconds more requests than a request every `gap` seconds makes. One more may seem so, since a request that
/// is held up on its way comes nearer to the next one.
fn check_pace(times: &[f64], gap: f64) {
    let most = (5.0 / gap).ceil() as usize + 1;
    for start in times {
        let within = times.iter().filter(|at| (*start..*start + 5.0).contains(*at)).count();
        assert!(within <= most, "{within} requests in 5 s, {most} allowed: {times:?}");
    }
}

#[test]
fn two_sources_share_the_limit_that_the_answers_tell() {
    let mut simulator = Simulator::start(&["--rate-limit=120"]);
    let mut exporter = Exporter::start(&simulator, INI);
    for _ in 0..12 {
        exporter.process.line("request done");
    }
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&["akamai_exporter_api_limit_requests"]), Some(120.0));
    assert_eq!(metrics.value(&["akamai_exporter_api_budget_requests"]), Some(84.0));
    // Two targets of four share 84 requests a minute evenly.
    for source in ["one", "two"] {
        let wanted = ["akamai_exporter_poll_interval_effective_seconds", &format!("source=\"{source}\"")];
        let effective = metrics.value(&wanted).unwrap();
        assert!((effective - 60.0 * 4.0 / 84.0).abs() < 0.01, "{source}: {effective}");
    }
    let log = simulator.log();
    check_pace(&times(&log), 60.0 / 84.0);
    let asked = |cpcode: u64| {
        let requests = log["requests"].as_array().unwrap().iter();
        requests.filter(|entry| entry["subject"]["cpcodes"] == json!([cpcode])).count()
    };
    assert!(asked(1_209_788).abs_diff(asked(100_001)) <= 1 && asked(100_003) >= 4, "{log}");
    slower(&mut simulator, &mut exporter);
    let violations = simulator.log()["violations"].clone();
    assert!(violations.as_object().unwrap().values().all(|count| *count == json!(0)), "{violations}");
}

/// A limit that is lowered is followed from the next answer on, and the sources tell that they take longer.
fn slower(simulator: &mut Simulator, exporter: &mut Exporter) {
    let url = format!("{}/_simulator/rate-limit", simulator.url);
    assert_eq!(request("PUT", &url, r#"{"per_minute":30}"#).status, 200);
    let told =
        exporter.process.line("2 target(s) do not fit into 1 s: with the budget out of 30 requests a minute");
    assert_eq!(told["level"], "WARN");
    let metrics = exporter.eventually("a longer interval", |metrics| {
        let effective = metrics.series(&["akamai_exporter_poll_interval_effective_seconds"]);
        effective.len() == 2 && effective.iter().all(|(_, seconds)| *seconds > 11.0)
    });
    assert_eq!(metrics.value(&["akamai_exporter_api_limit_requests"]), Some(30.0));
    let from = simulator.log()["last"].as_u64().unwrap();
    let mut last = from;
    while last < from + 5 {
        last = simulator.until("a request", |event| event["sequence"].as_u64() > Some(last))["sequence"]
            .as_u64()
            .unwrap();
    }
    let requests = simulator.show(&format!("/log?since={from}"));
    // The first one had its time before the limit was known.
    let times = times(&requests).split_off(1);
    check_pace(&times, 60.0 / 21.0);
    // The share, not the limit: three gaps of 2.9 s, not of 2 s.
    assert!(times[times.len() - 1] - times[0] > 3.0 * 2.4, "{times:?}");
}
