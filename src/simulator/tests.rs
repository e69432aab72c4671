//! The whole simulator: the router in process, and over a socket where the transport is what is tested.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::HeaderMap;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::clients::Client;
use super::edgegrid::{self, Signed};
use super::{Options, Simulator};
use crate::clock::{Clock as _, ManualClock};

mod control;
mod gateway;
mod reporting;
mod socket;
mod strange;

const HOST: &str = "127.0.0.1:9878";
const ESTATS: &str = "/edge-diagnostics/v1/estats";

/// A simulator, and a client that signs with a code of its own.
struct Bench {
    clock: ManualClock,
    router: Router,
    client: Client,
    nonce: std::sync::atomic::AtomicU64,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap());
        let client = Client::new(options.seed, "default");
        let router = Simulator::new(options, Arc::new(clock.clone())).router();
        Self { clock, router, client, nonce: std::sync::atomic::AtomicU64::new(0) }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Got { status: parts.status, headers: parts.headers, body }
    }

    fn nonce(&self) -> String {
        self.nonce.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()
    }

    /// A signed request.
    fn signed(&self, method: &str, path: &str, body: &[u8]) -> Request<Body> {
        let signed = Signed { method, host: HOST, path, body };
        let authorization = edgegrid::sign(&self.client, self.now(), &self.nonce(), &signed);
        Self::request(method, path, body, &authorization)
    }

    fn request(method: &str, path: &str, body: &[u8], authorization: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("content-type", "application/json")
            .header("authorization", authorization)
            .body(Body::from(body.to_vec()))
            .unwrap()
    }

    /// An eStats call.
    async fn estats(&self, body: &Value) -> Got {
        self.send(self.signed("POST", ESTATS, body.to_string().as_bytes())).await
    }

    /// An eStats call for the CP code that most tests take.
    async fn usual(&self) -> Got {
        self.estats(&json!({ "cpCode": 1_209_788, "delivery": "STANDARD_TLS" })).await
    }

    /// A call of the control API.
    async fn control(&self, method: &str, path: &str, body: &str) -> Got {
        let request = Request::builder().method(method).uri(format!("/_simulator{path}"));
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn fault(&self, name: &str) {
        assert_eq!(self.control("PUT", &format!("/faults/{name}"), "").await.status, 200);
    }

    async fn violations(&self) -> Value {
        self.control("GET", "/log", "").await.json()["violations"].clone()
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_tells_one_story() {
    let (one, same, other) =
        (Bench::new(), Bench::new(), Bench::with(Options { seed: 2, ..Options::default() }));
    let first = one.usual().await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.json(), same.usual().await.json());
    assert_ne!(first.json()["result"], other.usual().await.json()["result"]);
    one.advance(10);
    assert_ne!(first.json()["result"], one.usual().await.json()["result"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_time() {
    let bench = Bench::with(Options { latency: Duration::from_secs(7), ..Options::default() });
    let start = tokio::time::Instant::now();
    let body = bench.usual().await.json();
    assert_eq!(start.elapsed().as_secs(), 7);
    assert_eq!(body["createdTime"], "2026-11-20T18:00:00Z");
    assert_eq!(body["completedTime"], "2026-11-20T18:00:07Z");
}
