//! What the process answers over HTTP. Everything is read from memory: no request here ever leads to one to Akamai.

mod encoding;
pub mod notifications;
mod scrape;
pub mod status;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::scrape::Scrape;
use self::status::{Status, page};
use crate::akamai::Api;
use crate::clock::SharedClock;
use crate::sink::health::Health;
use crate::snapshot::Store;
use crate::snapshot::exposition::Exposition;
use crate::telemetry::Telemetry;

/// Where the status is as JSON.
pub const STATUS_PATH: &str = "/api/v1/status";

/// What the answers are made of.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where metrics are served.
    pub telemetry_path: Arc<str>,
    /// The snapshot.
    pub store: Arc<Store>,
    /// The snapshot, encoded.
    pub exposition: watch::Receiver<Arc<Exposition>>,
    /// The APIs in use, for their budgets.
    pub apis: Arc<[Arc<Api>]>,
    /// How the sinks stand.
    pub sinks: Arc<[Arc<Health>]>,
    /// The exporter's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// The time.
    pub clock: SharedClock,
    /// Cancelled when the process begins to stop: readiness falls first.
    pub stopping: CancellationToken,
}

/// Answers requests on `listener` by `routes` until `stop`, then finishes those under way.
///
/// # Errors
///
/// If the listener fails for good.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> std::io::Result<()> {
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// The routes. GET and HEAD alone are allowed on each.
pub fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(page))
        .route(STATUS_PATH, get(status_json))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route(&site.telemetry_path, get(scrape::metrics).with_state(Arc::new(Scrape::new(&site))))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(site.clone(), count))
        .with_state(site)
}

async fn count(State(site): State<Site>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let known = ["/", STATUS_PATH, "/-/healthy", "/-/ready", &site.telemetry_path];
    let handler = known.into_iter().find(|known| *known == path).unwrap_or("other").to_owned();
    let response = next.run(request).await;
    site.telemetry.http_request(&handler, response.status().as_str());
    response
}

fn status(site: &Site) -> Status {
    Status::of(&site.store.current(), &site.apis, &site.sinks, site.clock.now())
}

async fn page(State(site): State<Site>) -> Response {
    html(page::render(&status(&site), &site.telemetry_path))
}

/// A page. Nothing on it may load anything or run, whatever text from outside it shows.
fn html(page: String) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

async fn status_json(State(site): State<Site>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(status(&site))).into_response()
}

/// The process lives. Akamai has no say in that: restarting would not mend it.
async fn healthy() -> &'static str {
    "Healthy.\n"
}

async fn ready(State(site): State<Site>) -> (StatusCode, &'static str) {
    if site.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "Stopping.\n")
    } else if site.store.current().has_had_data() {
        (StatusCode::OK, "Ready.\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "Waiting for the first data from Akamai; the page at / tells of each source.\n",
        )
    }
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "Not found. The page at / has the links.\n")
}

#[cfg(test)]
mod tests;
