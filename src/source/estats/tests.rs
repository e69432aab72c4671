use std::path::Path;

use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::*;
use crate::ini::{self, Problems};
use crate::model::{Batch, Reason};

/// The shape of the example in the Edge Diagnostics reference.
fn example() -> Value {
    json!({
        "request": {"cpCode": 100_001, "delivery": "ENHANCED_TLS"},
        "createdBy": "exporter", "createdTime": "2026-11-20T10:00:00Z", "completedTime": "2026-11-20T10:00:07Z",
        "executionStatus": "SUCCESS",
        "result": {
            "edgeErrors": 120, "edgeHits": 10_000, "edgeFailurePercentage": 1.0,
            "originErrors": 30, "originHits": 900, "originFailurePercentage": 3,
            "edgeStatusCodeDistribution": [
                {"httpStatus": 200, "hits": 9700, "percentage": 97.0},
                {"httpStatus": 0, "hits": 180, "percentage": 1.8},
                {"httpStatus": 404, "hits": 120, "percentage": 1.2}],
            "originStatusCodeDistribution": [
                {"httpStatus": 200, "hits": 870, "percentage": 96.67},
                {"httpStatus": 503, "hits": 30, "percentage": 3.33}],
            "topEdgeIpsWithError": [{"edgeIp": "192.0.2.10", "httpStatus": 404}],
        }
    })
}

fn place() -> Place {
    Place { cpcode: "100001".into(), url: "".into(), delivery: "ENHANCED_TLS".into() }
}

fn lines(batch: &Batch) -> Vec<String> {
    let mut lines = Vec::new();
    for group in batch.groups() {
        for (labels, value) in group.samples() {
            let labels: Vec<_> = labels.iter().filter(|value| !value.is_empty()).collect();
            lines.push(format!("{} {} {value}", group.family().name, labels.join(" ")));
        }
    }
    lines
}

/// The lines of `answer`, less where it was taken.
fn converted(answer: &Value) -> Result<Vec<String>, Reason> {
    let sample = answer::parse(answer.to_string().as_bytes()).map_err(|error| error.reason)?;
    let mut batch = families::batch(&place(), &sample);
    legacy::push(&mut batch, &place(), &sample);
    Ok(lines(&batch).into_iter().map(|line| line.replace(" 100001 ENHANCED_TLS", "")).collect())
}

#[track_caller]
fn check_reason(path: &str, value: Value, reason: Reason) {
    let mut answer = example();
    *answer.pointer_mut(path).unwrap() = value;
    assert_eq!(converted(&answer), Err(reason), "{path}");
}

#[test]
fn the_example() {
    let expected = "\
        akamai_estats_hits edge 0 180\n\
        akamai_estats_hits edge 200 9700\n\
        akamai_estats_hits edge 404 120\n\
        akamai_estats_hits origin 200 870\n\
        akamai_estats_hits origin 503 30\n\
        akamai_estats_sample_hits edge 10000\n\
        akamai_estats_sample_hits origin 900\n\
        akamai_estats_sample_errors edge 120\n\
        akamai_estats_sample_errors origin 30\n\
        akamai_estats_status_ratio edge 0xx 0.018\n\
        akamai_estats_status_ratio edge 1xx 0\n\
        akamai_estats_status_ratio edge 2xx 0.97\n\
        akamai_estats_status_ratio edge 3xx 0\n\
        akamai_estats_status_ratio edge 4xx 0.012\n\
        akamai_estats_status_ratio edge 5xx 0\n\
        akamai_estats_status_ratio edge 6xx 0\n\
        akamai_estats_status_ratio origin 0xx 0\n\
        akamai_estats_status_ratio origin 1xx 0\n\
        akamai_estats_status_ratio origin 2xx 0.9666666666666667\n\
        akamai_estats_status_ratio origin 3xx 0\n\
        akamai_estats_status_ratio origin 4xx 0\n\
        akamai_estats_status_ratio origin 5xx 0.03333333333333333\n\
        akamai_estats_status_ratio origin 6xx 0\n\
        akamai_estats_sample_timestamp_seconds 1795168807\n\
        edge_1xx 0\nedge_2xx 97\nedge_3xx 0\nedge_4xx 1.2\nedge_5xx 0\n\
        origin_1xx 0\norigin_2xx 96.67\norigin_3xx 0\norigin_4xx 0\norigin_5xx 3.33";
    assert_eq!(converted(&example()).unwrap().join("\n"), expected);
}

#[test]
fn what_is_missing_is_not_zero() {
    let mut one_sided = example();
    let result = one_sided["result"].as_object_mut().unwrap();
    result.retain(|member, _| !member.starts_with("origin"));
    let lines = converted(&one_sided).unwrap();
    assert!(lines.iter().all(|line| !line.contains("origin")) && lines.len() > 10, "{lines:?}");

    let mut no_errors = example();
    no_errors["result"].as_object_mut().unwrap().remove("edgeErrors");
    assert!(!converted(&no_errors).unwrap().iter().any(|line| line.contains("sample_errors edge")));

    let mut cached = example();
    cached["result"]["originHits"] = json!(0);
    cached["result"]["originStatusCodeDistribution"] = json!([]);
    let lines = converted(&cached).unwrap();
    assert!(lines.contains(&"akamai_estats_sample_hits origin 0".to_owned()), "Akamai said 0: {lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("ratio origin") || line.contains("origin_5xx")),
        "{lines:?}"
    );
}

#[test]
fn percentages_and_counts_in_any_form() {
    let mut answer = example();
    answer["result"]["edgeStatusCodeDistribution"] = json!([{"httpStatus": 200, "hits": 98.0, "percentage": 98}, {"httpStatus": 206, "hits": 2, "percentage": 2.0}]);
    let lines = converted(&answer).unwrap();
    assert!(lines.contains(&"akamai_estats_hits edge 200 98".to_owned()), "{lines:?}");
    assert!(lines.contains(&"edge_2xx 100".to_owned()), "{lines:?}");
}

#[test]
fn failures_have_their_reasons() {
    check_reason("/executionStatus", json!("FAILURE"), Reason::CollectionFailed);
    check_reason("/executionStatus", json!("PENDING"), Reason::CollectionFailed);
    check_reason("/result", json!(null), Reason::NoData);
    check_reason("/result", json!({}), Reason::NoData);
    check_reason("/completedTime", json!("soon"), Reason::Malformed);
    check_reason("/result/edgeHits", json!(-1), Reason::Malformed);
    check_reason("/result/edgeHits", json!("10000"), Reason::Malformed);
    check_reason("/result/edgeHits", json!(1.5), Reason::Malformed);
    check_reason("/result/edgeHits", json!(1e300), Reason::Malformed);
    check_reason("/result/edgeStatusCodeDistribution/0/hits", json!(-5), Reason::Malformed);
    check_reason("/result/edgeStatusCodeDistribution/0/httpStatus", json!(1000), Reason::Malformed);
    check_reason("/result/edgeStatusCodeDistribution/0/percentage", json!(101), Reason::Malformed);
    check_reason("/result/edgeStatusCodeDistribution/2/httpStatus", json!(200), Reason::Malformed);
    check_reason("/result", json!([]), Reason::Malformed);
    let mut empty = example();
    empty["result"] = json!({"edgeHits": 0, "originHits": 0, "edgeErrors": 0, "originErrors": 0,
        "edgeStatusCodeDistribution": [], "originStatusCodeDistribution": []});
    assert_eq!(converted(&empty), Err(Reason::NoData));
}

fn opened(entries: &str) -> Result<Vec<String>, String> {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = ini::parse(format!("[estats]\n{entries}").as_bytes(), &mut problems);
    let source =
        open(&mut Reader::new(&document.sections[1], KEYS.iter(), &mut problems), Options::default());
    if !problems.is_empty() {
        return Err(problems.to_string());
    }
    Ok(source.unwrap().targets().into_iter().map(|target| target.name).collect())
}

#[test]
fn sections() {
    let targets = opened("cpcodes = 1, 2\ndelivery_networks = standard_tls").unwrap();
    assert_eq!(targets, ["CP code 1 on STANDARD_TLS", "CP code 2 on STANDARD_TLS"]);
    assert_eq!(opened("cpcodes = 1").unwrap().len(), 2, "both networks by default");
    let targets = opened("urls = https://example.com/a\ndelivery_networks = ENHANCED_TLS").unwrap();
    assert_eq!(targets, ["https://example.com/a on ENHANCED_TLS"]);
    let fails = |entries, message: &str| assert_eq!(opened(entries).unwrap_err(), message);
    fails("", "a.ini:1: [estats] has neither cpcodes nor urls; expected at least one of them");
    fails(
        "cpcodes = 1x",
        "a.ini:2: [estats] cpcodes: `1x` is no CP code; expected numbers, such as 1209788, 1209789",
    );
    fails(
        "urls = example.com",
        "a.ini:2: [estats] urls: `example.com` is no full URL; expected one such as https://www.example.com/",
    );
    fails(
        "cpcodes = 1\nerror_type = ALL",
        "a.ini:3: [estats] error_type: `ALL` is not known; expected EDGE_ERRORS or ORIGIN_ERRORS",
    );
    fails(
        "cpcodes = 1\ndelivery_networks = TLS",
        "a.ini:3: [estats] delivery_networks: `TLS` is not known; expected STANDARD_TLS or ENHANCED_TLS",
    );
}

#[test]
fn requests() {
    let body =
        |object, error_type| String::from_utf8(question(object, "ENHANCED_TLS").body(error_type)).unwrap();
    assert_eq!(body(Object::CpCode(12345), None), r#"{"cpCode":12345,"delivery":"ENHANCED_TLS"}"#);
    let url = Object::Url("https://example.com/\"".to_owned());
    let expected = r#"{"url":"https://example.com/\"","delivery":"ENHANCED_TLS","errorType":"EDGE_ERRORS"}"#;
    assert_eq!(body(url, Some("EDGE_ERRORS")), expected);
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = answer::parse(&bytes);
    }

    /// An example with one value replaced by any other: a batch or a reason, never a panic, never a ratio beyond 1.
    #[test]
    fn any_value_anywhere(at in 0_usize..40, number in any::<f64>(), text in any::<String>(), which in 0_u8..5) {
        let mut answer = example();
        let value = [json!(number), json!(text), json!(null), json!([number]), json!({"hits": text})][usize::from(which)].clone();
        replace(&mut answer, &mut at.clone(), &value);
        if let Ok(lines) = converted(&answer) {
            for line in lines.iter().filter(|line| line.contains("ratio")) {
                let ratio: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                assert!((0.0..=1.0).contains(&ratio), "{line}");
            }
        }
    }

    /// Hits survive the way through, whatever the distribution.
    #[test]
    fn hits_round_trip(statuses in proptest::collection::btree_map(0_u16..700, 1_u64..1_000_000, 1..30)) {
        let rows: Vec<_> = statuses.iter().map(|(s, h)| json!({"httpStatus": s, "hits": h, "percentage": 1})).collect();
        let mut answer = example();
        answer["result"] = json!({"edgeStatusCodeDistribution": rows});
        let lines = converted(&answer).unwrap();
        let hits: Vec<_> = lines.iter().filter(|line| line.starts_with("akamai_estats_hits")).cloned().collect();
        let expected: Vec<_> = statuses.iter().map(|(s, h)| format!("akamai_estats_hits edge {s} {h}")).collect();
        assert_eq!(hits, expected);
    }
}

/// Replaces the `at`-th leaf or container, depth first.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    if let Some(next) = at.checked_sub(1) {
        *at = next;
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, with)),
            Value::Object(members) => members.values_mut().for_each(|member| replace(member, at, with)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
