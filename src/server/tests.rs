use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request};
use chrono::TimeDelta;
use flate2::read::GzDecoder;
use tower::ServiceExt;

use super::*;
use crate::clock::ManualClock;
use crate::model::Reason;
use crate::sink::health::Info;
use crate::sink::{Failure, Outcome};
use crate::snapshot::{exposition, sample};

fn site(store: Store) -> Site {
    let exposition = Exposition::of(&store.current(), 0);
    let (_, exposition) = watch::channel(Arc::new(exposition));
    Site {
        telemetry_path: "/metrics".into(),
        store: Arc::new(store),
        exposition,
        apis: Arc::new([]),
        sinks: Arc::new([]),
        telemetry: Arc::new(Telemetry::new().unwrap()),
        clock: Arc::new(ManualClock::at(sample::start() + TimeDelta::minutes(3))),
        stopping: CancellationToken::new(),
    }
}

async fn ask(site: &Site, method: Method, path: &str, encoding: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).header(ACCEPT_ENCODING, encoding);
    let response = router(site.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn get(site: &Site, path: &str) -> (StatusCode, String) {
    let (status, _, body) = ask(site, Method::GET, path, "").await;
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn metrics_plain_and_gzip() {
    let site = site(sample::store());
    let (status, headers, plain) = ask(&site, Method::GET, "/metrics", "").await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, exposition::CONTENT_TYPE));
    assert_eq!(headers[CONTENT_LENGTH].to_str().unwrap(), plain.len().to_string());
    let plain = String::from_utf8(plain).unwrap();
    assert!(
        plain.starts_with("# HELP akamai_test_hits ") && plain.contains("\nprocess_cpu_seconds_total "),
        "{plain}"
    );
    let (_, headers, gzip) = ask(&site, Method::GET, "/metrics", "gzip").await;
    assert_eq!(headers[CONTENT_ENCODING], "gzip");
    assert_eq!(headers[CONTENT_LENGTH].to_str().unwrap(), gzip.len().to_string());
    let mut text = String::new();
    GzDecoder::new(gzip.as_slice()).read_to_string(&mut text).unwrap();
    assert!(
        text.contains("akamai_exporter_http_requests_total{code=\"200\",handler=\"/metrics\"} 1\n"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn own_metrics_are_encoded_when_something_happened_and_once_a_second() {
    let site = site(sample::store());
    let router = router(site.clone());
    let scrapes = async || {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let body = router.clone().oneshot(request).await.unwrap().into_body();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let start = "akamai_exporter_http_requests_total{code=\"200\",handler=\"/metrics\"} ";
        text.lines().find_map(|line| line.strip_prefix(start)).map_or(0, |value| value.parse().unwrap())
    };
    assert_eq!([scrapes().await, scrapes().await, scrapes().await], [0, 0, 0]);
    site.telemetry.clock_skew("default", 0.5);
    assert_eq!([scrapes().await, scrapes().await], [3, 3]);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!([scrapes().await, scrapes().await], [5, 5]);
}

#[tokio::test]
async fn other_methods_and_paths() {
    let site = site(sample::store());
    for path in ["/", "/metrics", "/api/v1/status", "/-/healthy", "/-/ready"] {
        let (status, headers, body) = ask(&site, Method::HEAD, path, "").await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0), "{path}");
        assert!(headers[CONTENT_LENGTH].to_str().unwrap().parse::<usize>().unwrap() > 0, "{path}");
        let (status, headers, _) = ask(&site, Method::POST, path, "").await;
        assert_eq!((status, headers[ALLOW].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    }
    assert_eq!(get(&site, "/nowhere").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_and_readiness() {
    let waiting = site(Store::new(vec![sample::source("a", "s", &["1"])], Vec::new()));
    assert_eq!(get(&waiting, "/-/healthy").await.0, StatusCode::OK);
    assert_eq!(get(&waiting, "/-/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let site = site(sample::store());
    assert_eq!(get(&site, "/-/ready").await, (StatusCode::OK, "Ready.\n".to_owned()));
    site.stopping.cancel();
    assert_eq!(get(&site, "/-/ready").await, (StatusCode::SERVICE_UNAVAILABLE, "Stopping.\n".to_owned()));
    assert_eq!(get(&site, "/-/healthy").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_page_tells_what_is_wrong_and_escapes_it() {
    let store = sample::store();
    let mut outcome = sample::failure(sample::start(), Some(Reason::Auth));
    outcome.attempt.failure = Some((Reason::Auth, "<script>alert(\"x\")</script>".to_owned()));
    store.publish(0, 1, outcome);
    let site = site(store);
    let (status, headers, page) = ask(&site, Method::GET, "/", "").await;
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    let expected = [
        "1 of 3 sources without data",
        "Account shop",
        "CP code 7: it was timeout. Akamai or the network is slow; it is tried again. The last data is 3 min old.",
        "Not polled yet.",
        Reason::Auth.advice(),
    ];
    for words in expected {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn the_status_for_programs() {
    let (_, headers, body) = ask(&site(sample::store()), Method::GET, "/api/v1/status", "").await;
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&status["ready"], &status["now"]), (&true.into(), &"2026-11-20T10:03:00Z".into()));
    let source = &status["accounts"][1]["sources"][0];
    assert_eq!(
        (&source["state"], &source["polls"], &source["failures"]),
        (&"down".into(), &2.into(), &1.into())
    );
    assert_eq!(
        (&source["last_samples"], &source["samples"], &source["mean_seconds"]),
        (&1.into(), &1.into(), &7.0.into())
    );
    assert_eq!(source["last_failure"]["reason"], "timeout");
    assert_eq!(source["targets"][0]["labels"]["cpcode"], "7");
    assert!(
        serde_json::from_slice::<status::Status>(&body).is_ok(),
        "the command reads what the server writes"
    );
}

/// Two sinks: one that works and one that does not, whose receiver says what would harm a page.
fn sinks(site: &Site) -> Arc<[Arc<Health>]> {
    let health = |name: &str, outcome: Outcome| {
        let info = Info {
            name: name.to_owned(),
            kind: "remote_write",
            address: format!("http://{name}/api"),
            takes: "samples",
        };
        let health = Health::new(info, Arc::clone(&site.telemetry), Arc::clone(&site.clock));
        health.record(&outcome);
        Arc::new(health)
    };
    let refused = Some((3, "too <b>old</b>.".to_owned()));
    let failure = Some(Failure::new("<script>alert(1)</script>"));
    [
        health("works", Outcome { done: 1, sent: 1234, refused, failure: None }),
        health("fails", Outcome { failure, ..Outcome::default() }),
    ]
    .into()
}

#[tokio::test]
async fn sinks_are_on_the_page_in_the_status_and_in_metrics() {
    let mut site = site(sample::store());
    assert!(!get(&site, "/").await.1.contains("<h2>Sinks</h2>"), "none, no section");
    site.sinks = sinks(&site);
    let (_, page) = get(&site, "/").await;
    for text in [
        "<h2>Sinks</h2>",
        "1234 samples",
        "Refused for good, the last time 0 s ago: too &lt;b&gt;old&lt;/b&gt;.",
        "Delivery fails and is tried again: &lt;script&gt;",
    ] {
        assert!(page.contains(text), "{text}:\n{page}");
    }
    let status: Status = serde_json::from_str(&get(&site, STATUS_PATH).await.1).unwrap();
    let states: Vec<_> = status.sinks.iter().map(|sink| (sink.name.as_str(), sink.state)).collect();
    assert_eq!(states, [("works", status::State::Up), ("fails", status::State::Down)]);
    let (_, metrics) = get(&site, "/metrics").await;
    for line in [
        r#"akamai_exporter_sink_up{sink="fails"} 0"#,
        r#"akamai_exporter_sink_up{sink="works"} 1"#,
        r#"akamai_exporter_sink_items_total{outcome="refused",sink="works"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}
