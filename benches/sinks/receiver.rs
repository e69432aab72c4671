//! A receiver of remote write that answers at once, and a client that has nothing to do but to send.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::time::Instant;

const PATH: &str = "/api/v1/write";

/// What came, and when.
type Heard = Arc<Mutex<Vec<(Instant, Bytes)>>>;

/// Reads each body, keeps it and answers 204.
pub(crate) struct Receiver {
    pub(crate) url: String,
    heard: Heard,
}

impl Receiver {
    /// Itself, and what answers.
    pub(crate) async fn start() -> Result<(Self, impl Future<Output = ()> + Send)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        let heard = Heard::default();
        let routes = Router::new().route(PATH, post(hear)).with_state(Arc::clone(&heard));
        let server = async move { drop(axum::serve(listener, routes).await) };
        Ok((Self { url, heard }, server))
    }

    /// When the first request came, if any did.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).first().map(|(time, _)| *time)
    }

    /// What came since the last time, and how long it took from the first to the last.
    pub(crate) fn take(&self) -> Result<(Vec<Bytes>, Duration)> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let (first, last) = (heard.first().context("nothing came")?.0, heard.last().context("nothing")?.0);
        Ok((heard.into_iter().map(|(_, body)| body).collect(), last - first))
    }
}

async fn hear(State(heard): State<Heard>, body: Bytes) -> StatusCode {
    heard.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), body));
    StatusCode::NO_CONTENT
}

/// Sends bodies that are there already, one after the other; how long that took.
pub(crate) async fn post_all(url: &str, bodies: &[Bytes]) -> Result<Duration> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let began = Instant::now();
    for body in bodies {
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        request.body(body.clone()).send().await?.error_for_status()?;
    }
    Ok(began.elapsed())
}
