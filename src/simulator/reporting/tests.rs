//! The traffic report, asked as the gateway asks it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use super::{API, definition};
use crate::simulator::Options;
use crate::simulator::api::{Call, Outcome};
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::world::World;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap()
}

fn call(method: Method, target: &str, body: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    Call {
        sequence: 1,
        now: now(),
        method,
        uri: target.parse().unwrap(),
        headers,
        host: "host".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        address: "127.0.0.1".to_owned(),
    }
}

/// A query of whole windows that end some minutes ago.
fn query(windows: i64, minutes_ago: i64, body: &Value) -> Call {
    let end = now() - TimeDelta::minutes(minutes_ago);
    let start = end - TimeDelta::minutes(5 * windows);
    let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let target = format!("{}?start={}&end={}", definition::DATA, text(start), text(end));
    call(Method::POST, &target, &body.to_string())
}

fn ask_with(options: &Options, call: &Call, faults: &[Fault]) -> Outcome {
    (API.answer)(&World::of(options), call, &Strikes::from(faults))
}

fn ask(call: &Call) -> (u16, Value) {
    let Outcome { answer, .. } = ask_with(&Options::default(), call, &[]);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[test]
fn a_large_account_is_answered() {
    let options = Options { cpcodes: "100001-101000".parse().unwrap(), ..Options::default() };
    let body = json!({
        "metrics": definition::METRICS[..12].iter().map(|metric| metric.name).collect::<Vec<_>>(),
        "dimensions": ["time5minutes", "cpcode", "responseClass"],
    });
    let outcome = ask_with(&options, &query(13, 0, &body), &[]);
    assert_eq!(outcome.rows, Some(definition::DATA_POINTS_LIMIT));
    assert_eq!(ask(&query(13, 0, &json!({}))).0, 200);
}
