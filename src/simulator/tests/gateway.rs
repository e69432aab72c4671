//! Each refusal of the gateway, and the limit.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Bench, Client, ESTATS, Got, HOST, Options, Signed, edgegrid};

const BODY: &[u8] = br#"{"cpCode":1209788,"delivery":"STANDARD_TLS"}"#;

fn check(got: &Got, status: u16, kind: &str, detail: &str) {
    assert_eq!(got.status, status, "{detail}");
    assert_eq!(got.header("content-type"), "application/problem+json");
    assert_eq!(got.header("date"), "Fri, 20 Nov 2026 18:00:00 GMT");
    let body = got.json();
    assert_eq!(body["type"], format!("https://problems.luna.akamaiapis.net/-/{kind}"));
    assert_eq!(body["detail"], detail);
    assert_eq!(body["status"], status);
    assert_eq!(body["requestTime"], "2026-11-20T18:00:00Z");
    assert!(body["instance"].as_str().unwrap().starts_with("https://127.0.0.1:9878/"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_or_missing_authorization_is_a_bad_request() {
    let bench = Bench::new();
    let plain = Request::post(ESTATS).header("host", HOST).body(Body::empty()).unwrap();
    for request in [plain, Bench::request("POST", ESTATS, BODY, "Basic dXNlcg==")] {
        let got = bench.send(request).await;
        check(&got, 400, "pep-authn/request-error", "Invalid authorization header");
    }
    assert_eq!(bench.violations().await["malformed_authorization"], 2);
}

#[tokio::test(start_paused = true)]
async fn the_clock_may_be_off_by_thirty_seconds() {
    let bench = Bench::new();
    for (skew, status) in [(-31, 400), (-30, 200), (0, 200), (30, 200), (31, 400)] {
        let time = bench.now() + chrono::TimeDelta::seconds(skew);
        let signed = Signed { method: "POST", host: HOST, path: ESTATS, body: BODY };
        let header = edgegrid::sign(&bench.client, time, &bench.nonce(), &signed);
        let got = bench.send(Bench::request("POST", ESTATS, BODY, &header)).await;
        assert_eq!(got.status, status, "{skew}");
        if status == 400 {
            check(&got, 400, "pep-authn/request-error", "Invalid timestamp");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_tokens_and_wrong_signatures_are_not_authorized() {
    let bench = Bench::new();
    let signed = Signed { method: "POST", host: HOST, path: ESTATS, body: BODY };
    let stranger = Client::new(99, "default");
    let wrong_access = Client { access_token: stranger.access_token.clone(), ..bench.client.clone() };
    for client in [stranger.clone(), wrong_access] {
        let header = edgegrid::sign(&client, bench.now(), &bench.nonce(), &signed);
        let got = bench.send(Bench::request("POST", ESTATS, BODY, &header)).await;
        check(&got, 401, "pep-authn/deny", "Inactive client token");
    }
    let wrong_secret = Client { secret: stranger.secret, ..bench.client.clone() };
    let header = edgegrid::sign(&wrong_secret, bench.now(), &bench.nonce(), &signed);
    let got = bench.send(Bench::request("POST", ESTATS, BODY, &header)).await;
    check(&got, 401, "pep-authn/deny", "The signature does not match");
    assert_eq!(bench.violations().await["bad_signature"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_signature_covers_the_query_as_it_is_on_the_wire() {
    let bench = Bench::new();
    let path = format!("{ESTATS}?accountSwitchKey=1-ABCDE%3A1-2RBL");
    assert_eq!(bench.send(bench.signed("POST", &path, BODY)).await.status, 200);
    let signed = Signed { method: "POST", host: HOST, path: &path.replace("%3A", ":"), body: BODY };
    let header = edgegrid::sign(&bench.client, bench.now(), &bench.nonce(), &signed);
    assert_eq!(bench.send(Bench::request("POST", &path, BODY, &header)).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_is_good_once() {
    let bench = Bench::new();
    let signed = Signed { method: "POST", host: HOST, path: ESTATS, body: BODY };
    let header = edgegrid::sign(&bench.client, bench.now(), "same", &signed);
    assert_eq!(bench.send(Bench::request("POST", ESTATS, BODY, &header)).await.status, 200);
    let got = bench.send(Bench::request("POST", ESTATS, BODY, &header)).await;
    check(&got, 400, "pep-authn/request-error", "Duplicate nonce");
    assert_eq!(bench.violations().await["reused_nonce"], 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_large_bodies_are_refused() {
    let bench = Bench::new();
    let got = bench.send(bench.signed("GET", "/no-such-api/v1/things", b"")).await;
    check(&got, 404, "gateway/not-found", "No API is known at this path");
    let got = bench.send(bench.signed("GET", "/edge-diagnostics/v1/no-such", b"")).await;
    assert_eq!((got.status.as_u16(), &got.json()["type"]), (404, &json!("resource.not.found")));
    let got = bench.send(bench.signed("POST", ESTATS, &vec![b' '; 1024 * 1024 + 1])).await;
    check(&got, 413, "gateway/request-too-large", "The request body is too large");
    // One that is large but allowed is signed by its first part only, and then read whole.
    let mut body = BODY.to_vec();
    body.resize(1024 * 1024, b' ');
    assert_eq!(bench.send(bench.signed("POST", ESTATS, &body)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_told_enforced_and_refilled() {
    let bench = Bench::with(Options { rate_limit: Some(3), ..Options::default() });
    for left in ["2", "1", "0"] {
        let got = bench.usual().await;
        assert_eq!((got.status.as_u16(), got.header("x-ratelimit-remaining")), (200, left));
        assert_eq!(got.header("x-ratelimit-limit"), "3");
    }
    let got = bench.usual().await;
    assert_eq!((got.status.as_u16(), got.header("x-ratelimit-remaining")), (429, "0"));
    assert_eq!(got.header("content-type"), "application/problem+json");
    let expected = json!({
        "type": "requests.exceeded.error", "title": "Too Many Requests", "status": 429,
        "detail": "You have exceeded total number of requests configured for this API.",
    });
    assert_eq!(got.json(), expected);
    bench.advance(20);
    assert_eq!(bench.usual().await.status, 200);
    let log = bench.control("GET", "/log", "").await.json();
    assert_eq!(log["violations"], json!({ "rate_limit_exceeded": 1, "bad_signature": 0, "reused_nonce": 0 }));
    assert_eq!(log["totals"]["estats"], json!({ "200": 4, "429": 1 }));
    assert_eq!(log["requests"][3]["violation"], "rate_limit_exceeded");
}

#[tokio::test(start_paused = true)]
async fn clients_have_credentials_and_limits_of_their_own() {
    let clients = vec!["default".to_owned(), "second".to_owned()];
    let mut bench = Bench::with(Options { rate_limit: Some(1), clients, ..Options::default() });
    assert_eq!(bench.usual().await.status, 200);
    assert_eq!(bench.usual().await.status, 429);
    bench.client = Client::new(1, "second");
    assert_eq!(bench.usual().await.status, 200);
    let log: Value = bench.control("GET", "/log?since=2", "").await.json();
    assert_eq!(log["requests"][0]["client"], "second");
}
