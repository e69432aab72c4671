//! The APIs beside eStats through the gateway: limits, costs, the log, and what the control API tells and hides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Bench, Got, Options};

const DATA: &str = "/reporting-api/v2/reports/delivery/traffic/current/data";

impl Bench {
    async fn report(&self, query: &str, body: &Value) -> Got {
        let path = format!("{DATA}{query}");
        self.send(self.signed("POST", &path, body.to_string().as_bytes())).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send(self.signed("GET", path, b"")).await
    }
}

fn of(cpcodes: &[u64]) -> Value {
    let list: Vec<String> = cpcodes.iter().map(u64::to_string).collect();
    let filter = json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": list });
    json!({ "metrics": ["edgeHitsSum"], "dimensions": ["cpcode"], "filters": [filter] })
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_requests_is_told_in_akamai_s_way() {
    let bench = Bench::with(Options { rate_limit: Some(2), ..Options::default() });
    let got = bench.report("", &of(&[1_209_788])).await;
    assert_eq!(got.status, 200);
    for (header, value) in [
        ("limit", "2"),
        ("remaining", "1"),
        ("refill", "2"),
        ("next", "2026-11-20T18:00:30.000Z"),
        ("reset", "2026-11-20T18:00:30.000Z"),
    ] {
        assert_eq!(got.header(&format!("akamai-sync-ratelimit-{header}")), value, "{header}");
    }
    bench.report("", &of(&[1_209_788])).await;
    bench.advance(1);
    let got = bench.report("", &of(&[1_209_788])).await;
    assert_eq!((got.status.as_u16(), got.header("akamai-sync-ratelimit-remaining")), (429, "0"));
    let mut error = got.json();
    error.as_object_mut().unwrap().remove("problemId");
    let expected = json!({
        "title": "Rate Limit Exceeded",
        "detail": "You reached the limit for request count of 2. Your bucket will refill at the rate of 2 per 1 minute(s).",
        "rateLimitNextRequest": "Fri, 20 Nov 2026 18:00:30 Z",
        "rateLimit": "2", "rateLimitRemaining": "0", "rateLimitRefill": "2",
        "type": "/reporting-api/error-types/rate-limit-exceeded", "status": 429,
    });
    assert_eq!(error, expected);
    bench.advance(29);
    assert_eq!(bench.report("", &of(&[1_209_788])).await.status, 200);
    assert_eq!(bench.violations().await["rate_limit_exceeded"], 1);
}

#[tokio::test(start_paused = true)]
async fn costs_are_limited_beside_requests() {
    // Two windows of two CP codes with one filter: 8, and ten times the dearest query in a minute.
    let bench = Bench::with(Options { cost_limit: 8, ..Options::default() });
    for left in (0..10).rev() {
        let got = bench.report("", &of(&[1_209_788, 100_001])).await;
        assert_eq!(got.status, 200);
        assert_eq!(got.header("akamai-sync-costratelimit-remaining"), (left * 8).to_string());
    }
    let got = bench.report("", &of(&[1_209_788, 100_001])).await;
    assert_eq!((got.status.as_u16(), got.header("akamai-sync-ratelimit-remaining")), (429, "9"));
    assert_eq!(got.header("akamai-sync-costratelimit-next"), "2026-11-20T18:00:06.000Z");
    assert_eq!(got.header("akamai-sync-costratelimit-reset"), "2026-11-20T18:01:00.000Z");
    assert_eq!(got.json()["rateLimitNextRequest"], "Fri, 20 Nov 2026 18:00:06 Z");
    assert_eq!(bench.report("", &of(&[1, 2, 3])).await.status, 403, "what is refused costs nothing");
    assert_eq!(bench.report("", &of(&[1_209_788, 100_001, 100_002])).await.status, 422);
    bench.advance(6);
    assert_eq!(bench.report("", &of(&[1_209_788, 100_001])).await.status, 200);
    assert_eq!(bench.violations().await["cost_limit_exceeded"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_fault_rate_limited_leaves_nothing() {
    let bench = Bench::new();
    bench.fault("rate-limited").await;
    let got = bench.report("", &json!({})).await;
    assert_eq!((got.status.as_u16(), got.header("akamai-sync-ratelimit-remaining")), (429, "0"));
    assert_eq!(got.json()["rateLimitRemaining"], "0");
    assert_eq!(got.json()["rateLimit"], "20");
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_what_was_asked_and_how_many_rows_came() {
    let bench = Bench::new();
    bench.report("", &of(&[1_209_788, 100_001])).await;
    let later = bench.report("?async=true", &of(&[100_003])).await;
    assert_eq!((later.status.as_u16(), later.header("akamai-sync-ratelimit-remaining")), (303, "18"));
    bench.advance(60);
    assert_eq!(bench.get(later.header("location")).await.status, 200);
    let log = bench.control("GET", "/log", "").await.json();
    let told = |position: usize| {
        let entry = &log["requests"][position];
        (entry["api"].clone(), entry["subject"]["cpcodes"].clone(), entry["rows"].clone())
    };
    assert_eq!(told(0), (json!("reporting"), json!([1_209_788, 100_001]), json!(2)));
    assert_eq!(told(1), (json!("reporting"), json!([100_003]), Value::Null));
    assert_eq!(told(2), (json!("reporting"), json!([100_003]), json!(1)));
}

#[tokio::test(start_paused = true)]
async fn cp_codes_are_taken_out_of_sight() {
    let bench = Bench::new();
    let got = bench.control("PUT", "/unauthorized", r#"{"cpcodes":[100003,100001]}"#).await;
    assert_eq!((got.status.as_u16(), got.json()), (200, json!({ "cpcodes": [100_001, 100_003] })));
    let got = bench.report("", &of(&[100_003, 1_209_788, 100_001])).await;
    let detail = "Some of the requested objects are unauthorized: [100003, 100001]";
    assert_eq!((got.status.as_u16(), &got.json()["detail"]), (403, &json!(detail)));
    assert_eq!(bench.estats(&json!({ "cpCode": 100_001 })).await.status, 403);
    let all = bench.report("", &json!({ "dimensions": ["cpcode"] })).await.json();
    assert_eq!(all["metadata"]["filters"][0]["expressions"], json!(["1209788", "100002", "100004"]));
    assert_eq!(bench.get("/cprg/v1/cpcodes").await.json()["cpcodes"].as_array().unwrap().len(), 3);
    assert_eq!(bench.control("DELETE", "/unauthorized", "").await.json(), json!({ "cpcodes": [] }));
    assert_eq!(bench.control("GET", "/unauthorized", "").await.json(), json!({ "cpcodes": [] }));
    assert_eq!(bench.estats(&json!({ "cpCode": 100_001 })).await.status, 200);
    assert_eq!(bench.control("PUT", "/unauthorized", r#"{"cpcode":1}"#).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_fault_denies_the_cp_code_of_its_scope() {
    let bench = Bench::new();
    let scope = r#"{"api":"reporting","cpcode":100001,"times":1}"#;
    assert_eq!(bench.control("PUT", "/faults/unauthorized-cpcode", scope).await.status, 200);
    assert_eq!(bench.report("", &of(&[1_209_788])).await.status, 200);
    let got = bench.report("", &of(&[1_209_788, 100_001])).await;
    let detail = "Some of the requested objects are unauthorized: [100001]";
    assert_eq!((got.status.as_u16(), &got.json()["detail"]), (403, &json!(detail)));
    assert_eq!(bench.report("", &of(&[1_209_788, 100_001])).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_final_totals_are_what_is_reported_in_the_end() {
    let bench = Bench::new();
    let range = "?start=2026-11-20T17:00:00Z&end=2026-11-20T18:00:00Z";
    let truth = bench.control("GET", &format!("/traffic{range}"), "").await.json();
    let sums: Vec<String> = truth["rows"][0].as_object().unwrap().keys().skip(2).cloned().collect();
    assert_eq!(sums.len(), 12);
    let body = json!({ "metrics": sums, "dimensions": ["time5minutes", "cpcode", "responseClass"] });
    let add = |rows: &Value| {
        let mut totals: BTreeMap<(u64, String, String), u64> = BTreeMap::new();
        for row in rows.as_array().unwrap() {
            let class = row["responseClass"].as_str().unwrap();
            for sum in &sums {
                let key = (row["cpcode"].as_u64().unwrap(), class.to_owned(), sum.clone());
                *totals.entry(key).or_default() += row[sum].as_u64().unwrap();
            }
        }
        totals
    };
    let young = bench.report(range, &body).await.json();
    assert_ne!(add(&young["data"]), add(&truth["rows"]));
    bench.advance(50 * 60);
    let old = bench.report(range, &body).await.json();
    assert_eq!(add(&old["data"]), add(&truth["rows"]));
    for wrong in [
        "?start=2026-11-20T17:00:01Z&end=2026-11-20T18:00:00Z",
        "?start=2026-11-20T17:00:00Z",
        "?start=x&end=y",
        "?start=1970-01-01T00:00:00Z&end=2026-11-20T17:00:00Z",
    ] {
        let got = bench.control("GET", &format!("/traffic{wrong}"), "").await;
        assert_eq!(got.status, 400, "{wrong}");
        assert!(got.json()["error"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn media_delivery_reports_are_switched() {
    let bench = Bench::new();
    let path = "/media-delivery-reports/v1/adaptive-media-delivery/realtime-data\
                ?startDate=2026-11-20T17:00Z&endDate=2026-11-20T17:30Z&dimensions=600&metrics=630";
    assert_eq!(bench.get(path).await.status, 410);
    let control = "/media-delivery-reports";
    assert_eq!(bench.control("GET", control, "").await.json(), json!({ "mode": "retired" }));
    for (mode, status) in [("historic", 200), ("not-found", 404)] {
        let got = bench.control("PUT", control, &json!({ "mode": mode }).to_string()).await;
        assert_eq!(got.json(), json!({ "mode": mode }));
        assert_eq!(bench.get(path).await.status, status);
    }
    bench.control("PUT", control, r#"{"mode":"historic"}"#).await;
    let got = bench.get(path).await;
    assert_eq!((got.header("x-ratelimit-limit"), got.header("x-ratelimit-remaining")), ("20", "16"));
    assert_eq!(got.header("x-ratelimit-next"), "2026-11-20T18:00:03.000Z");
    let got = bench.control("PUT", control, r#"{"mode":"on"}"#).await;
    assert_eq!(got.status, 400);
    assert!(got.json()["error"].as_str().unwrap().contains("expected retired, historic or not-found"));
}

#[tokio::test(start_paused = true)]
async fn other_apis_take_a_tenth_of_the_time() {
    let bench = Bench::new();
    let start = tokio::time::Instant::now();
    assert_eq!(bench.get("/cprg/v1/cpcodes").await.status, 200);
    assert_eq!(start.elapsed().as_millis(), 100);
}
