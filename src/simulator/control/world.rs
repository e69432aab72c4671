//! What may be seen, and what there is to be seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Json;
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Mistake, Simulation, decode, parameters, unknown};
use crate::simulator::reporting::definition::{METRICS, Number};
use crate::simulator::traffic::table::{Cell, Dimension, Question, Row, WINDOW};
use crate::simulator::{MediaDelivery, Shared, lock};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let unauthorized = get(unauthorized).put(hide).delete(show);
    Router::new()
        .route("/_simulator/unauthorized", unauthorized.fallback(unknown))
        .route("/_simulator/media-delivery-reports", get(mode).put(set_mode).fallback(unknown))
        .route("/_simulator/traffic", get(traffic).fallback(unknown))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    cpcodes: BTreeSet<u64>,
}

async fn unauthorized(State(shared): Simulation) -> Json<Value> {
    Json(json!({ "cpcodes": lock(&shared.switches).unauthorized }))
}

async fn hide(State(shared): Simulation, body: Bytes) -> Result<Json<Value>, Mistake> {
    let Hidden { cpcodes } = decode(&body)?;
    tracing::info!(?cpcodes, "CP codes hidden");
    lock(&shared.switches).unauthorized = cpcodes;
    Ok(unauthorized(State(shared)).await)
}

async fn show(State(shared): Simulation) -> Json<Value> {
    lock(&shared.switches).unauthorized.clear();
    tracing::info!("no CP code hidden");
    unauthorized(State(shared)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mode {
    mode: String,
}

async fn mode(State(shared): Simulation) -> Json<Value> {
    Json(json!({ "mode": lock(&shared.switches).media_delivery.to_string() }))
}

async fn set_mode(State(shared): Simulation, body: Bytes) -> Result<Json<Value>, Mistake> {
    let Mode { mode: given } = decode(&body)?;
    let parsed: MediaDelivery =
        given.parse().map_err(|error| Mistake::because(format!("unknown mode `{given}`: {error}")))?;
    tracing::info!(mode = given, "Media Delivery Reports switched");
    lock(&shared.switches).media_delivery = parsed;
    Ok(mode(State(shared)).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// As long as the traffic report reaches back.
const LONGEST: TimeDelta = TimeDelta::days(92);

/// The final totals: what a client that asked for everything, late enough, has counted.
async fn traffic(State(shared): Simulation, uri: Uri) -> Result<Json<Value>, Mistake> {
    let Times { start, end } = parameters(&uri)?;
    let aligned = |time: DateTime<Utc>| time.timestamp_millis() % (WINDOW * 1_000) == 0;
    if !aligned(start) || !aligned(end) || start > end {
        let text = "`start` and `end` must be at a multiple of five minutes, and `start` not after `end`";
        return Err(Mistake::because(text));
    }
    if end - start > LONGEST {
        return Err(Mistake::because("`start` and `end` must be at most 92 days apart, as in reports"));
    }
    let cpcodes: Vec<u64> = shared.options.cpcodes.iter().collect();
    let question = Question {
        seed: shared.options.seed,
        cpcodes: &cpcodes,
        start: start.timestamp(),
        end: end.timestamp(),
        as_of: None,
        dimensions: &[Dimension::CpCode, Dimension::ResponseClass],
        filtered: &[],
        keep: &|_, _| true,
    };
    Ok(Json(json!({ "rows": question.rows().iter().map(row).collect::<Vec<_>>() })))
}

fn row(row: &Row) -> Value {
    let cell = |cell: &Cell| match cell {
        Cell::Number(number) => json!(number),
        Cell::Text(text) => json!(**text),
    };
    let names = ["cpcode", "responseClass"].into_iter().zip(row.cells.iter().map(cell));
    let sums = METRICS.iter().filter_map(|metric| match (metric.of)(&row.sums) {
        Number::Long(number) => Some((metric.name, json!(number))),
        Number::Double(_) => None,
    });
    let members = names.chain(sums).map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Map<_, _>>())
}
