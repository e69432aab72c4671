//! `/metrics`: the snapshot's data, encoded when it changed, and behind it the exporter's own metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Site, encoding};
use crate::snapshot::Store;
use crate::snapshot::exposition::{self, Exposition, Tail};
use crate::telemetry::Telemetry;

/// What changes by itself, such as processor time, and the count of scrapes may be this old.
const LIFE: Duration = Duration::from_secs(1);

/// What a scrape is made of.
#[derive(Debug)]
pub(super) struct Scrape {
    exposition: watch::Receiver<Arc<Exposition>>,
    telemetry: Arc<Telemetry>,
    store: Arc<Store>,
    own: Mutex<Option<Own>>,
}

/// The exporter's own metrics as they were `at` a time, when so many `changes` had been made.
#[derive(Debug)]
struct Own {
    at: Instant,
    changes: u64,
    tail: Tail,
}

impl Scrape {
    pub(super) fn new(site: &Site) -> Self {
        let (exposition, telemetry) = (site.exposition.clone(), Arc::clone(&site.telemetry));
        Self { exposition, telemetry, store: Arc::clone(&site.store), own: Mutex::default() }
    }

    /// The exporter's own metrics, encoded anew if a poll has changed them or they are a second old: to read what the
    /// system says of the process takes longer than to send 100,000 series.
    fn own(&self) -> Tail {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, changes) = (Instant::now(), self.telemetry.changes());
        match &*own {
            Some(own) if own.changes == changes && now - own.at < LIFE => own.tail.clone(),
            _ => {
                let mut text = Vec::with_capacity(16 << 10);
                self.telemetry.render(&mut text);
                own.insert(Own { at: now, changes, tail: Tail::of(text) }).tail.clone()
            }
        }
    }
}

/// Answers a scrape.
pub(super) async fn metrics(
    State(scrape): State<Arc<Scrape>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let own = scrape.own();
    let data = Arc::clone(&scrape.exposition.borrow());
    if method == Method::GET {
        scrape.store.serve(data.version());
    }
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    if encoding::accepts_gzip(accepted) {
        (([(CONTENT_ENCODING, "gzip")]), text(data.gzip(&own))).into_response()
    } else {
        text(data.plain(&own))
    }
}

/// The parts one after the other. The length is known, so the answer is not chunked, and HEAD can tell it.
fn text(parts: [Bytes; 2]) -> Response {
    let length = parts.iter().map(Bytes::len).sum::<usize>();
    let headers = [
        (CONTENT_TYPE, exposition::CONTENT_TYPE.to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        (VARY, "accept-encoding".to_owned()),
    ];
    let body = Body::from_stream(stream::iter(parts.map(Ok::<_, std::convert::Infallible>)));
    (headers, body).into_response()
}
