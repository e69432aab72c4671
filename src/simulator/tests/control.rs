//! The control API.

use serde_json::json;

use super::{Bench, Options};

#[tokio::test(start_paused = true)]
async fn it_tells_what_can_be_done() {
    let got = Bench::new().control("GET", "", "").await;
    assert_eq!(got.header("date"), "Fri, 20 Nov 2026 18:00:00 GMT");
    let overview = got.json();
    assert_eq!(overview["faults"].as_array().unwrap().len(), 44);
    assert_eq!(overview["faults"][0]["name"], "html-403");
    assert_eq!(overview["faults"][0]["stage"], "gateway");
    assert_eq!(overview["clients"], json!(["default"]));
    assert_eq!(
        overview["rate_limits"],
        json!({ "estats": 40, "reporting": 20, "cprg": 60, "media-delivery-reports": 20 })
    );
    assert_eq!(overview["cpcodes"], "1209788,100001-100004");
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_switched_on_and_off() {
    let bench = Bench::new();
    let got = bench.control("PUT", "/faults/html", r#"{"cpcode":1209788,"times":2}"#).await;
    let expected = json!({ "faults": [{
        "name": "html", "client": null, "api": null, "cpcode": 1_209_788, "delivery": null, "times": 2, "applied": 0,
    }] });
    assert_eq!((got.status.as_u16(), got.json()), (200, expected));
    assert_eq!(bench.usual().await.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(bench.control("GET", "/faults", "").await.json()["faults"][0]["applied"], 1);
    bench.usual().await;
    assert_eq!(bench.usual().await.header("content-type"), "application/json");
    assert_eq!(bench.control("GET", "/faults", "").await.json(), json!({ "faults": [] }));

    bench.fault("server-error").await;
    bench.fault("garbage").await;
    let got = bench.control("DELETE", "/faults/server-error", "").await.json();
    assert_eq!(got["faults"][0]["name"], "garbage");
    assert_eq!(bench.control("DELETE", "/faults", "").await.json(), json!({ "faults": [] }));
    assert_eq!(bench.usual().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_scope_leaves_others_alone() {
    let bench = Bench::new();
    let scope = r#"{"client":"default","api":"estats","cpcode":1209788,"delivery":"STANDARD_TLS"}"#;
    assert_eq!(bench.control("PUT", "/faults/server-error", scope).await.status, 200);
    assert_eq!(bench.usual().await.status, 500);
    for other in [
        json!({ "cpCode": 100_001, "delivery": "STANDARD_TLS" }),
        json!({ "cpCode": 1_209_788, "delivery": "ENHANCED_TLS" }),
        json!({ "cpCode": 1_209_788 }),
    ] {
        assert_eq!(bench.estats(&other).await.status, 200, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn mistakes_are_told_with_what_would_be_right() {
    let bench = Bench::new();
    for (method, path, body, status, says) in [
        ("PUT", "/faults/nonsense", "", 400, "valid: html-403, burst-block, clock-skew"),
        ("DELETE", "/faults/nonsense", "", 400, "unknown fault `nonsense`"),
        ("PUT", "/faults/html", r#"{"cp":1}"#, 400, "expected one of `client`, `api`, `cpcode`"),
        ("PUT", "/faults/html", r#"{"cpcode":"1"}"#, 400, "invalid type"),
        ("PUT", "/faults/html", r#"{"client":"other"}"#, 400, "unknown client `other`; valid: default"),
        ("PUT", "/faults/html", r#"{"delivery":"FREE"}"#, 400, "valid: STANDARD_TLS, ENHANCED_TLS"),
        ("PUT", "/faults/html", r#"{"times":0}"#, 400, "`times` must be 1 or more"),
        ("POST", "/faults/html", "", 404, "PUT or DELETE /_simulator/faults/{name}"),
        ("GET", "/nothing", "", 404, "there is no GET /_simulator/nothing"),
        ("GET", "/log?since=x", "", 400, "the query is wrong"),
        ("GET", "/log?form=1", "", 400, "unknown field `form`"),
        ("PUT", "/rate-limit", r#"{"per_minute":0}"#, 400, "`per_minute` must be 1 or more"),
        (
            "PUT",
            "/rate-limit",
            r#"{"per_minute":1,"api":"x"}"#,
            400,
            "valid: estats, reporting, cprg, media-delivery-reports",
        ),
    ] {
        let got = bench.control(method, path, body).await;
        assert_eq!(got.status, status, "{method} {path}");
        let error = got.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says), "{method} {path}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_each_request_and_can_be_forgotten() {
    let bench = Bench::new();
    bench.fault("edge-only").await;
    bench.usual().await;
    bench.estats(&json!({ "url": "https://www.example.com/" })).await;
    let log = bench.control("GET", "/log", "").await.json();
    assert_eq!(log["last"], 2);
    let expected = json!({
        "sequence": 1, "time": "2026-11-20T18:00:00.000Z", "client": "default", "api": "estats", "method": "POST",
        "path": "/edge-diagnostics/v1/estats",
        "subject": { "cpcodes": [1_209_788], "url": null, "delivery": "STANDARD_TLS" },
        "status": 200, "remaining": 39, "faults": ["edge-only"], "violation": null,
    });
    assert_eq!(log["requests"][0], expected);
    assert_eq!(log["requests"][1]["subject"]["url"], "https://www.example.com/");
    assert_eq!(
        bench.control("GET", "/log?since=1", "").await.json()["requests"].as_array().unwrap().len(),
        1
    );
    let empty = bench.control("DELETE", "/log", "").await.json();
    assert_eq!((&empty["requests"], &empty["totals"], &empty["last"]), (&json!([]), &json!({}), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn the_limit_can_be_changed() {
    let bench = Bench::with(Options { rate_limit: Some(100), ..Options::default() });
    let got = bench.control("PUT", "/rate-limit", r#"{"per_minute":1}"#).await;
    assert_eq!(
        got.json(),
        json!({ "per_minute": { "estats": 1, "reporting": 100, "cprg": 100, "media-delivery-reports": 100 } })
    );
    assert_eq!(bench.usual().await.header("x-ratelimit-limit"), "1");
    assert_eq!(bench.usual().await.status, 429);
}
