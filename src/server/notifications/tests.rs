use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::clock::ManualClock;

fn routes() -> Router {
    router(Arc::new(ManualClock::at("2026-11-20T10:20:00Z".parse().unwrap())))
}

fn alert(status: &str, severity: &str, category: &str, summary: &str) -> Value {
    let ends = if status == "resolved" { "2026-11-20T10:14:30.5Z" } else { "0001-01-01T00:00:00Z" };
    json!({
        "status": status,
        "labels": {"alertname": "AkamaiServerErrors", "severity": severity, "category": category, "cpcode": "7"},
        "annotations": {
            "summary": summary, "description": "What it means.", "runbook_url": "https://r.example/A.md",
            "dashboard_url": "http://d.example/?a=1&b=2",
        },
        "startsAt": "2026-11-20T11:02:00.25+01:00",
        "endsAt": ends,
        "generatorURL": "http://user:hunter2@prometheus:9090/graph",
        "fingerprint": "0123456789abcdef",
    })
}

fn message(status: &str, alerts: &[Value]) -> Value {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "critical", "status": status,
        "alerts": alerts, "groupLabels": {"account": "default", "cpcode": "7"}, "commonLabels": {},
        "commonAnnotations": {}, "externalURL": "http://localhost:9093",
    })
}

async fn ask(routes: &Router, method: Method, path: &str, kind: &str, body: Vec<u8>) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
    let response = routes.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn post(routes: &Router, message: &Value) {
    let body = message.to_string().into_bytes();
    let (status, said) = ask(routes, Method::POST, "/", "application/json", body).await;
    assert_eq!((status, said.as_str()), (StatusCode::OK, ""), "{message}");
}

async fn get(routes: &Router, path: &str) -> String {
    let (status, body) = ask(routes, Method::GET, path, "", Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    body
}

async fn listed(routes: &Router) -> Value {
    serde_json::from_str(&get(routes, NOTIFICATIONS_PATH).await).unwrap()
}

#[tokio::test]
async fn what_came_is_shown_the_newest_first() {
    let routes = routes();
    assert!(get(&routes, "/").await.contains("No notification yet"));
    let summary = "CP code 7 \"Shop\": 12.4 % 5xx";
    post(&routes, &message("firing", &[alert("firing", "critical", "errors", summary)])).await;
    post(&routes, &message("resolved", &[alert("resolved", "critical", "errors", summary)])).await;
    let list = listed(&routes).await;
    assert_eq!(list["received"], 2);
    let [newest, oldest] = list["notifications"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(newest["title"], "RESOLVED: CP code 7 \"Shop\": 12.4 % 5xx");
    assert_eq!(newest["alerts"][0]["ends_at"], "2026-11-20T10:14:30.500Z");
    assert_eq!(oldest["title"], "CRITICAL: CP code 7 \"Shop\": 12.4 % 5xx");
    assert_eq!(oldest["alerts"][0]["ends_at"], Value::Null);
    assert_eq!(oldest["group_labels"], json!({"account": "default", "cpcode": "7"}));
    let page = get(&routes, "/").await;
    for words in [
        "2 notifications since the start",
        "<p>It is no longer critical. A warning of it may go on.</p>",
        "<p>Someone should act now: users are affected or soon may be, or nobody would notice if they were.</p>",
        "Firing since 2026-11-20 10:02:00 UTC.",
        "Fired from 2026-11-20 10:02:00 UTC to 2026-11-20 10:14:30 UTC, for 12 min.",
        "<p>What it means.</p>",
        "<a href=\"https://r.example/A.md\" rel=\"noreferrer\">Runbook</a>",
        "<a href=\"http://d.example/?a=1&amp;b=2\" rel=\"noreferrer\">Dashboard</a>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("hunter2") && !list.to_string().contains("hunter2"), "{page}{list}");
}

fn check_title(status: &str, alerts: &[Value], expected: &str) {
    let message: Message = serde_json::from_value(message(status, alerts)).unwrap();
    assert_eq!(Notification::of(message, DateTime::UNIX_EPOCH).title, expected);
}

#[test]
fn titles() {
    let [critical, warning] =
        ["critical", "warning"].map(|severity| alert("firing", severity, "errors", "s"));
    let [gone, silent] = ["critical", "warning"].map(|severity| alert("firing", severity, "no_data", "n"));
    let over = alert("resolved", "critical", "errors", "o");
    check_title("firing", std::slice::from_ref(&critical), "CRITICAL: s");
    check_title("firing", &[warning.clone(), warning.clone()], "WARNING: s (one of 2 alerts)");
    check_title("firing", &[over.clone(), critical.clone()], "CRITICAL: s");
    check_title("firing", &[warning, critical], "CRITICAL: s (one of 2 alerts)");
    check_title("firing", std::slice::from_ref(&gone), "NO DATA, CRITICAL: n");
    check_title("firing", &[silent, gone], "NO DATA: n (one of 2 alerts)");
    check_title("resolved", &[over.clone(), over], "RESOLVED: o (one of 2 alerts)");
    check_title("firing", &[], "CRITICAL: nothing");
    let mut nameless = alert("firing", "critical", "errors", "");
    nameless["annotations"] = json!({});
    check_title("firing", &[nameless.clone()], "CRITICAL: AkamaiServerErrors");
    nameless["labels"] = json!({});
    check_title("firing", &[nameless], "CRITICAL: an alert without a name");
}

#[tokio::test]
async fn nothing_is_taken_for_markup() {
    let routes = routes();
    let mut hostile = alert("firing", "critical", "errors", "<script>alert(\"1\")</script>\u{1b}[31m\nline");
    hostile["annotations"]["runbook_url"] = json!("javascript:alert(1)");
    hostile["annotations"]["dashboard_url"] = json!("https://d.example/\" onclick=\"x");
    hostile["labels"]["alertname"] = json!("<b>");
    post(&routes, &message("firing", &[hostile])).await;
    let page = get(&routes, "/").await;
    for harm in ["<script", "<b>", "javascript:", "onclick=\"", "\u{1b}"] {
        assert!(!page.contains(harm), "{harm}: {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; [31m line"), "{page}");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let routes = routes();
    let long = alert("firing", "critical", "errors", &"ü".repeat(2 * LONGEST_TEXT));
    let many = vec![long; MOST_ALERTS + 7];
    let mut first = message("firing", &many);
    first["truncatedAlerts"] = json!(3);
    post(&routes, &first).await;
    let list = listed(&routes).await;
    let kept = &list["notifications"][0];
    assert_eq!(kept["alerts"].as_array().unwrap().len(), MOST_ALERTS);
    assert_eq!(kept["alerts_left_out"], 10);
    let summary = kept["alerts"][0]["annotations"]["summary"].as_str().unwrap();
    assert_eq!(summary.chars().count(), LONGEST_TEXT + 1);
    assert!(kept["title"].as_str().unwrap().ends_with("… (one of 60 alerts)"), "{kept}");
    assert!(get(&routes, "/").await.contains("And 10 more."));
    for number in 0..MOST {
        let summary = number.to_string();
        post(&routes, &message("firing", &[alert("firing", "critical", "errors", &summary)])).await;
    }
    let list = listed(&routes).await;
    let kept = list["notifications"].as_array().unwrap();
    assert_eq!((kept.len(), list["received"].as_u64()), (MOST, Some(MOST as u64 + 1)));
    assert_eq!(
        (&kept[0]["title"], &kept[MOST - 1]["title"]),
        (&json!("CRITICAL: 99"), &json!("CRITICAL: 0"))
    );
}

/// Large ones must not be a hundred: the first to go are the oldest, as ever.
#[tokio::test]
async fn what_is_kept_is_bounded_altogether() {
    let routes = routes();
    let small = message("firing", &[alert("firing", "critical", "errors", "small")]);
    post(&routes, &small).await;
    for number in 0..5 {
        let mut large = alert("firing", "critical", "errors", &number.to_string());
        for name in 0..40 {
            large["annotations"][format!("a{name}")] = json!("x".repeat(LONGEST_TEXT));
        }
        post(&routes, &message("firing", &vec![large; MOST_ALERTS])).await;
    }
    let titles = async || {
        let list = listed(&routes).await;
        let kept = list["notifications"].as_array().unwrap().iter();
        kept.map(|one| one["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // 50 alerts with 40 texts of 1000 characters, and what texts take besides.
    let large = |number: u8| format!("CRITICAL: {number} (one of 50 alerts)");
    assert_eq!(titles().await, [4, 3, 2].map(large));
    assert_eq!(listed(&routes).await["received"], 6);
    // A body that is large by what is left out of it takes hardly any room.
    let many = message("firing", &vec![alert("firing", "critical", "errors", "many"); 5000]);
    assert!(many.to_string().len() > LARGEST_BODY / 2, "{}", many.to_string().len());
    post(&routes, &many).await;
    assert_eq!(titles().await[1..], [4, 3, 2].map(large));
    for _ in 0..MOST {
        post(&routes, &small).await;
    }
    assert_eq!(titles().await, vec!["CRITICAL: small"; MOST]);
}

async fn check_refused(kind: &str, body: Vec<u8>, expected: (u16, &str)) {
    let routes = routes();
    let (status, said) = ask(&routes, Method::POST, "/", kind, body).await;
    assert_eq!((status.as_u16(), said.trim_end()), expected);
    assert_eq!(listed(&routes).await["received"], 0);
}

#[tokio::test]
async fn what_is_no_notification_is_refused() {
    const JSON: &str = "application/json";
    let no_json = (400, "This takes what Alertmanager's webhook posts: this is no JSON.");
    check_refused(JSON, b"secret".to_vec(), no_json).await;
    check_refused(JSON, Vec::new(), no_json).await;
    check_refused(JSON, vec![0xff, 0xfe], no_json).await;
    let members = (
        400,
        "This takes what Alertmanager's webhook posts: this JSON has not its members (receiver, status, alerts with labels, startsAt, endsAt).",
    );
    check_refused(JSON, b"{}".to_vec(), members).await;
    check_refused(JSON, b"[]".to_vec(), members).await;
    for (member, value) in [("status", json!("secret")), ("alerts", json!([{}])), ("alerts", json!(null))] {
        let mut damaged = message("firing", &[alert("firing", "critical", "errors", "s")]);
        damaged[member] = value;
        check_refused(JSON, damaged.to_string().into_bytes(), members).await;
    }
    let plain = (415, "This takes what Alertmanager's webhook posts, as Content-Type: application/json.");
    let sound = message("firing", &[alert("firing", "critical", "errors", "s")]).to_string();
    check_refused("text/plain", sound.into_bytes(), plain).await;
    let large = (413, "This takes what Alertmanager's webhook posts, up to 4 MiB.");
    check_refused(JSON, vec![b' '; LARGEST_BODY + 1], large).await;
}

#[tokio::test]
async fn other_paths_and_methods() {
    let routes = routes();
    for (method, path, expected) in [
        (Method::HEAD, "/", 200),
        (Method::PUT, "/", 405),
        (Method::POST, NOTIFICATIONS_PATH, 405),
        (Method::GET, "/-/healthy", 200),
        (Method::GET, "/metrics", 404),
    ] {
        let (status, _) = ask(&routes, method.clone(), path, "", Vec::new()).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}");
    }
}
