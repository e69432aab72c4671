//! The shape of each fault's answer. Those that need a connection to be seen are in `socket`.

use serde_json::{Value, json};

use super::{Bench, Got};

async fn with(fault: &str) -> Got {
    let bench = Bench::new();
    bench.fault(fault).await;
    let got = bench.usual().await;
    let log = bench.control("GET", "/log", "").await.json();
    assert_eq!(log["requests"][0]["faults"], json!([fault]));
    assert_eq!(log["requests"][0]["violation"], Value::Null, "the fault is not the client's");
    got
}

async fn result(fault: &str) -> Value {
    let got = with(fault).await;
    assert_eq!(got.status, 200, "{fault}");
    assert_eq!(got.json()["executionStatus"], "SUCCESS", "{fault}");
    got.json()["result"].clone()
}

fn status_hits(result: &Value, side: &str) -> Vec<(u64, i64)> {
    let distribution = result[format!("{side}StatusCodeDistribution")].as_array().unwrap();
    distribution.iter().map(|c| (c["httpStatus"].as_u64().unwrap(), c["hits"].as_i64().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_gateway() {
    for (fault, status, detail) in [
        ("inactive-token", 401, "Inactive client token"),
        ("bad-signature", 401, "The signature does not match"),
        ("no-grant", 403, "The client does not have the grant needed for the request"),
        ("clock-skew", 400, "Invalid timestamp"),
        ("not-found", 404, "No API is known at this path"),
    ] {
        let got = with(fault).await;
        assert_eq!((got.status.as_u16(), &got.json()["detail"]), (status, &json!(detail)), "{fault}");
        let date = if fault == "clock-skew" { "18:01:30" } else { "18:00:00" };
        assert_eq!(got.header("date"), format!("Fri, 20 Nov 2026 {date} GMT"));
    }
    assert_eq!(with("no-grant").await.json()["authzRealm"], "simulator.realm");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_the_apis() {
    let got = with("html-403").await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (403, "text/html; charset=utf-8"));
    let got = with("burst-block").await;
    assert!(got.status == 403 && String::from_utf8_lossy(&got.body).contains("IPBLOCK-BURST4-54013"));
    let got = with("html").await;
    assert!(got.status == 200 && got.body.starts_with(b"<!DOCTYPE html>"));
    let got = with("server-error").await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (500, "application/problem+json"));
    let got = with("server-error-bare").await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (503, "text/plain"));
    let got = with("redirect").await;
    assert_eq!(got.status, 302);
    assert_eq!(got.header("location"), "https://elsewhere.example/edge-diagnostics/v1/estats");
    let got = with("garbage").await;
    assert!(got.status == 200 && std::str::from_utf8(&got.body).is_err());
    let got = with("rate-limited").await;
    assert_eq!((got.status.as_u16(), got.header("x-ratelimit-remaining")), (429, "0"));
    let got = with("unauthorized-cpcode").await;
    assert_eq!((got.status.as_u16(), &got.json()["errors"][0]["type"]), (403, &json!("field.access.denied")));
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_cut_or_blown_up() {
    let whole = Bench::new().usual().await.body;
    let half = with("truncated").await;
    assert_eq!((half.status.as_u16(), &half.body), (200, &whole.slice(..whole.len() / 2)));
    let huge = with("huge").await;
    assert!(huge.body.len() > 8 * 1024 * 1024);
    let mut huge = huge.json();
    huge.as_object_mut().unwrap().remove("padding");
    assert_eq!(huge, serde_json::from_slice::<Value>(&whole).unwrap());
    let start = tokio::time::Instant::now();
    let drip = with("slow-drip").await;
    assert_eq!(drip.body, whole);
    assert!(start.elapsed().as_secs() as usize >= whole.len());
}

#[tokio::test(start_paused = true)]
async fn results_that_are_missing_or_one_sided() {
    let got = with("failure").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.json()["executionStatus"], "FAILURE");
    assert_eq!(got.json().get("result"), None);
    assert_eq!(result("missing-result").await, Value::Null);
    for (fault, side) in [("edge-only", "edge"), ("origin-only", "origin")] {
        let result = result(fault).await;
        let members: Vec<&String> =
            result.as_object().unwrap().keys().filter(|name| !name.starts_with("top")).collect();
        assert!(members.len() == 4 && members.iter().all(|name| name.starts_with(side)), "{members:?}");
    }
    let empty = result("empty").await;
    for side in ["edge", "origin"] {
        assert_eq!(empty[format!("{side}Hits")], 0);
        assert_eq!(empty[format!("{side}StatusCodeDistribution")], json!([]));
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_that_are_strange() {
    let zero = result("status-zero").await;
    let hits: i64 =
        status_hits(&zero, "edge").iter().filter(|(status, _)| *status == 0).map(|&(_, hits)| hits).sum();
    assert!(hits * 10 > zero["edgeHits"].as_i64().unwrap(), "{zero}");

    let integers = result("integer-percentages").await;
    assert!(integers["edgeFailurePercentage"].is_u64(), "{integers}");
    assert!(
        integers["edgeStatusCodeDistribution"].as_array().unwrap().iter().all(|c| c["percentage"].is_u64())
    );
    let floats = with("float-percentages").await;
    let result_of = &floats.json()["result"];
    assert!(result_of["edgeFailurePercentage"].is_f64() && result_of["originFailurePercentage"].is_f64());
    let text = String::from_utf8_lossy(&floats.body).into_owned();
    let failure = text.split("\"edgeFailurePercentage\":").nth(1).unwrap().split(',').next().unwrap();
    assert!(failure.ends_with(".0"), "{failure}");

    let negative = result("negative").await;
    assert!(negative["edgeHits"].as_i64().unwrap() < 0);
    assert!(status_hits(&negative, "origin").iter().all(|&(_, hits)| hits < 0));
    let codes = status_hits(&result("duplicate-status").await, "edge");
    assert!(codes.len() > 2 && codes.first() == codes.last());

    let burst = result("error-burst").await;
    for side in ["edge", "origin"] {
        let codes = status_hits(&burst, side);
        let errors: i64 = codes.iter().filter(|(status, _)| *status >= 500).map(|&(_, hits)| hits).sum();
        let share = errors as f64 / burst[format!("{side}Hits")].as_f64().unwrap();
        assert!((0.25..0.35).contains(&share), "{side}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_an_answer_add_up() {
    let bench = Bench::new();
    for fault in ["edge-only", "integer-percentages", "error-burst"] {
        bench.fault(fault).await;
    }
    let result = bench.usual().await.json()["result"].clone();
    assert_eq!(result.get("originHits"), None);
    assert!(result["edgeFailurePercentage"].as_u64().unwrap() >= 25);
}
