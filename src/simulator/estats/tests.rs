use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use super::{API, PATH};
use crate::simulator::Options;
use crate::simulator::api::{Call, Outcome};
use crate::simulator::faults::Strikes;
use crate::simulator::world::World;

fn call(method: Method, content_type: &str, body: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", content_type.parse().unwrap());
    Call {
        sequence: 1,
        now: Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap(),
        method,
        uri: PATH.parse().unwrap(),
        headers,
        host: "host".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        address: "127.0.0.1".to_owned(),
    }
}

fn post(body: &Value) -> Call {
    call(Method::POST, "application/json", &body.to_string())
}

fn ask(call: &Call) -> (StatusCode, Value) {
    let Outcome { answer, .. } = (API.answer)(&World::of(&Options::default()), call, &Strikes::default());
    (answer.status(), serde_json::from_slice(answer.body()).unwrap())
}

fn hits(body: &Value, side: &str) -> u64 {
    body["result"][format!("{side}Hits")].as_u64().unwrap()
}

#[test]
fn an_answer_has_the_documented_shape_and_adds_up() {
    let (status, body) = ask(&post(&json!({ "cpCode": 1_209_788, "delivery": "STANDARD_TLS" })));
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["request"], json!({ "cpCode": 1_209_788, "delivery": "STANDARD_TLS" }));
    assert_eq!(body["executionStatus"], "SUCCESS");
    for side in ["edge", "origin"] {
        let codes = body["result"][format!("{side}StatusCodeDistribution")].as_array().unwrap();
        let sum = |wanted: fn(u64) -> bool| -> u64 {
            let codes = codes.iter().filter(|code| wanted(code["httpStatus"].as_u64().unwrap()));
            codes.map(|code| code["hits"].as_u64().unwrap()).sum()
        };
        assert_eq!(sum(|_| true), hits(&body, side));
        assert_eq!(sum(|status| status >= 400), body["result"][format!("{side}Errors")]);
        let percent: f64 = codes.iter().map(|code| code["percentage"].as_f64().unwrap()).sum();
        assert!((percent - 100.0).abs() < 0.5, "{percent}");
        assert!(codes.len() >= 6, "{codes:?}");
    }
    let error = &body["result"]["topEdgeIpsWithError"][0];
    assert!(error["edgeLogsLink"].as_str().unwrap().contains("cpCode=1209788"), "{error}");
    assert_eq!(body["result"]["topEdgeIpsWithSuccess"][0].get("edgeLogsLink"), None);
}

#[test]
fn whole_percentages_come_as_integers_and_as_floats() {
    let mut call = post(&json!({ "cpCode": 100_002, "delivery": "STANDARD_TLS" }));
    let (mut integers, mut floats) = (0, 0);
    for _ in 0..200 {
        call.now += TimeDelta::seconds(9);
        let failure = ask(&call).1["result"]["originFailurePercentage"].clone();
        integers += u32::from(failure.is_u64());
        floats += u32::from(failure.is_f64());
    }
    assert!(integers > 20 && floats > 20, "{integers} {floats}");
}

#[test]
fn the_error_type_removes_the_other_side() {
    for (value, side, other) in [("EDGE_ERRORS", "edge", "origin"), ("ORIGIN_ERRORS", "origin", "edge")] {
        let (_, body) = ask(&post(&json!({ "cpCode": 1_209_788, "errorType": value })));
        assert!(hits(&body, side) > 0);
        assert_eq!(body["result"].get(format!("{other}Hits")), None);
        assert_eq!(body["request"]["errorType"], value);
    }
}

#[test]
fn the_wrong_network_is_empty_and_no_network_flips() {
    let ask_for = |body: Value| ask(&post(&body)).1;
    let wrong = ask_for(json!({ "cpCode": 100_003, "delivery": "ENHANCED_TLS" }));
    assert_eq!((hits(&wrong, "edge"), hits(&wrong, "origin")), (0, 0));
    assert_eq!(wrong["result"]["edgeStatusCodeDistribution"], json!([]));
    assert!(hits(&ask_for(json!({ "cpCode": 100_003 })), "edge") > 0);

    let mut call = post(&json!({ "cpCode": 100_001 }));
    let (mut small, mut large) = (0, 0);
    let mut standard = post(&json!({ "cpCode": 100_001, "delivery": "STANDARD_TLS" }));
    for _ in 0..60 {
        call.now += TimeDelta::seconds(10);
        standard.now = call.now;
        let same = hits(&ask(&call).1, "edge") == hits(&ask(&standard).1, "edge");
        *(if same { &mut large } else { &mut small }) += 1;
    }
    assert!(small > 10 && large > 10, "{small} {large}");
}

#[test]
fn the_night_of_the_sleeper_is_empty() {
    let mut call = post(&json!({ "cpCode": 100_004, "delivery": "ENHANCED_TLS" }));
    assert!(hits(&ask(&call).1, "edge") > 0);
    call.now += TimeDelta::hours(8);
    let (status, body) = ask(&call);
    assert_eq!((status, hits(&body, "edge")), (StatusCode::OK, 0));
    assert_eq!(body["result"]["topEdgeIpsWithError"], json!([]));
}

#[test]
fn urls_have_traffic_unless_they_are_forbidden() {
    let (status, body) = ask(&post(&json!({ "url": "https://www.example.com/index.html" })));
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["request"], json!({ "url": "https://www.example.com/index.html" }));
    let (status, body) = ask(&post(&json!({ "url": "https://www.forbidden.example/" })));
    assert_eq!((status, &body["errors"][0]["requestField"]), (StatusCode::FORBIDDEN, &json!("url")));
}

#[test]
fn a_cp_code_of_somebody_else_is_denied() {
    let (status, body) = ask(&post(&json!({ "cpCode": 4711 })));
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["type"], "forbidden.request.error");
    assert_eq!(body["errors"][0]["type"], "field.access.denied");
    assert_eq!(body["errors"][0]["requestField"], "cpCode");
}

#[test]
fn bodies_are_read_strictly() {
    for (content_type, body, fields) in [
        ("application/json", r#"{"cpCode":"1209788"}"#, vec!["cpCode"]),
        ("application/json", r#"{"cpCode":-1}"#, vec!["cpCode"]),
        ("application/json", r#"{"cpCode":1209788.0}"#, vec!["cpCode"]),
        ("application/json", r#"{"cpCode":null}"#, vec!["cpCode"]),
        ("application/json", r#"{"cpCode":1209788,"url":"https://a.example/"}"#, vec!["cpCode"]),
        ("application/json", "{}", vec!["cpCode"]),
        ("application/json", r#"{"url":"www.example.com/"}"#, vec!["url"]),
        ("application/json", r#"{"url":"ftp://www.example.com/"}"#, vec!["url"]),
        ("application/json", r#"{"url":7}"#, vec!["url"]),
        ("application/json", r#"{"cpCode":1,"delivery":"standard"}"#, vec!["delivery"]),
        ("application/json", r#"{"cpCode":1,"delivery":null,"errorType":[]}"#, vec!["delivery", "errorType"]),
        ("application/json", r#"{"cpcode":1}"#, vec!["cpcode", "cpCode"]),
        ("application/json", r#"[{"cpCode":1}]"#, vec!["body"]),
        ("application/json", "cpCode=1", vec!["body"]),
        ("application/json", "", vec!["body"]),
        ("text/plain", r#"{"cpCode":1209788}"#, vec!["Content-Type"]),
    ] {
        let (status, answer) = ask(&call(Method::POST, content_type, body));
        assert_eq!(
            (status, &answer["type"]),
            (StatusCode::BAD_REQUEST, &json!("bad.request.error")),
            "{body}"
        );
        let errors = answer["errors"].as_array().unwrap();
        let found: Vec<&str> = errors.iter().map(|error| error["requestField"].as_str().unwrap()).collect();
        assert_eq!(found, fields, "{body}");
    }
    let conflict = ask(&post(&json!({ "cpCode": 1_209_788, "url": "https://a.example/" }))).1;
    assert_eq!(conflict["errors"][0]["type"], "field.conflict");
    let with_charset = call(Method::POST, "application/json; charset=utf-8", r#"{"cpCode":1209788}"#);
    assert_eq!(ask(&with_charset).0, StatusCode::OK);
}

#[test]
fn another_method_is_not_allowed() {
    let call = call(Method::GET, "", "");
    let Outcome { answer, took, .. } =
        (API.answer)(&World::of(&Options::default()), &call, &Strikes::default());
    assert_eq!((answer.status(), took), (StatusCode::METHOD_NOT_ALLOWED, Duration::ZERO));
    assert_eq!(answer.headers()["allow"], "POST");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body, json!({ "type": "method.not.allowed", "title": "Method not allowed" }));
}
