//! An Akamai that answers any question about the traffic report at once, with numbers that do not change.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const FIRST: u64 = 1_000_000;

pub(crate) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];

const REPORT: &str = "/reporting-api/v2/reports/delivery/traffic/current";

const PATH: &str = "/reporting-api/v2/reports/delivery/traffic/current/data";

const METRICS: [&str; 12] = [
    "edgeHitsSum",
    "edgeBytesSum",
    "edgeRequestBytesSum",
    "edgeResponseBytesSum",
    "originHitsSum",
    "originBytesSum",
    "originRequestBytesSum",
    "originResponseBytesSum",
    "midgressHitsSum",
    "midgressBytesSum",
    "midgressRequestBytesSum",
    "midgressResponseBytesSum",
];

pub(crate) struct Akamai {
    pub(crate) address: SocketAddr,
}

#[derive(Deserialize)]
struct Range {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Akamai {
    /// Itself, and what answers.
    pub(crate) async fn start() -> Result<(Self, impl Future<Output = ()> + Send)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route(PATH, post(data)).route(REPORT, get(options));
        let server = async move { drop(axum::serve(listener, routes).await) };
        Ok((Self { address }, server))
    }

    /// What nobody can do without: the bytes, and what they say. Returns how many bytes and rows.
    pub(crate) async fn fetch_and_parse(&self, cpcodes: u64) -> Result<(usize, usize)> {
        let url =
            format!("http://{}{PATH}?start=2026-11-20T09:40:00Z&end=2026-11-20T09:45:00Z", self.address);
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        let codes: Vec<_> = (FIRST..FIRST + cpcodes).map(|code| code.to_string()).collect();
        let body = serde_json::json!({ "filters": [{ "expressions": codes }] });
        let bytes = client.post(url).body(body.to_string()).send().await?.bytes().await?;
        let parsed: Value = serde_json::from_slice(&bytes)?;
        Ok((bytes.len(), parsed["data"].as_array().map_or(0, Vec::len)))
    }
}

/// What the report offers: what is asked for.
async fn options() -> impl IntoResponse {
    let named =
        |names: &[&str]| names.iter().map(|name| serde_json::json!({ "name": name })).collect::<Vec<_>>();
    let dimensions = named(&["time5minutes", "cpcode", "responseClass"]);
    let offer = serde_json::json!({ "metrics": named(&METRICS), "dimensions": dimensions });
    ([("akamai-sync-ratelimit-limit", "600000")], offer.to_string())
}

async fn data(Query(range): Query<Range>, body: Bytes) -> impl IntoResponse {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let codes = asked["filters"][0]["expressions"].as_array().map_or(0, Vec::len) as u64;
    let headers = [
        (CONTENT_TYPE.as_str(), "application/json"),
        ("akamai-sync-ratelimit-limit", "600000"),
        ("akamai-sync-ratelimit-remaining", "600000"),
    ];
    (headers, answer(range.start.timestamp(), range.end.timestamp(), codes))
}

/// The rows of all windows; made once, since the same is asked for again and again.
fn answer(start: i64, end: i64, codes: u64) -> Bytes {
    type Key = (i64, i64, u64);
    static LAST: Mutex<Option<(Key, Bytes)>> = Mutex::new(None);
    let key = (start, end, codes);
    if let Ok(last) = LAST.lock()
        && let Some((known, bytes)) = &*last
        && *known == key
    {
        return bytes.clone();
    }
    let mut text = String::from("{\"data\":[");
    for time in (start..end).step_by(300) {
        for code in FIRST..FIRST + codes {
            for (n, class) in CLASSES.iter().enumerate() {
                let _ =
                    write!(text, "{{\"time5minutes\":{time},\"cpcode\":{code},\"responseClass\":\"{class}\"");
                for (m, metric) in METRICS.iter().enumerate() {
                    let number = (code * 7919 + n as u64 * 104_729 + m as u64) % 1_000_003 * (m as u64 + 1);
                    let _ = write!(text, ",\"{metric}\":{number}");
                }
                text.push_str("},");
            }
        }
    }
    text.pop();
    text.push_str("],\"metadata\":{\"name\":\"CDN traffic report data\",\"hasMoreRows\":false}}");
    let bytes = Bytes::from(text);
    if let Ok(mut last) = LAST.lock() {
        *last = Some((key, bytes.clone()));
    }
    bytes
}
