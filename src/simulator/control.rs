//! The control API under `/_simulator`: unsigned, all JSON, for tests and for people with curl.
//!
//! | | |
//! |---|---|
//! | `GET /_simulator` | what can be done: faults, APIs, clients, limits |
//! | `GET /_simulator/faults` | the faults that are switched on |
//! | `PUT /_simulator/faults/{name}` | switches one on, or changes its scope; every member of `{"client":"default","api":"estats","cpcode":1209788,"delivery":"STANDARD_TLS","times":3}` may be left out, as may the body |
//! | `DELETE /_simulator/faults/{name}` | switches one off |
//! | `DELETE /_simulator/faults` | switches all off |
//! | `GET /_simulator/log?since=N` | the requests after number N (default 0), totals, violations |
//! | `DELETE /_simulator/log` | forgets them; numbers go on |
//! | `GET /_simulator/rate-limit` | the limits |
//! | `GET /_simulator/unauthorized` | the CP codes that were taken out of sight |
//! | `PUT /_simulator/unauthorized` | `{"cpcodes":[100001]}`: takes these out of sight of all APIs, and no others |
//! | `DELETE /_simulator/unauthorized` | shows all again |
//! | `GET /_simulator/media-delivery-reports` | what they answer |
//! | `PUT /_simulator/media-delivery-reports` | `{"mode":"historic"}`, or `retired` (410), or `not-found` (404) |
//! | `GET /_simulator/traffic?start=T&end=T` | what all CP codes served from one time to another, as it will be reported for ever; both in ISO 8601, at a multiple of five minutes |
//! | `PUT /_simulator/rate-limit` | `{"per_minute":10}`, and `"api"` if not eStats: changes a limit |
//!
//! `PUT` and `DELETE` answer with the state that they lead to. What is wrong is a 400, or a 404 for path
//! and method, with `{"error":"..."}`: a sentence that names what would be right.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, put};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{APIS, Api};
use super::faults::{Fault, Scope};
use super::traffic::Network;
use super::{Shared, lock};

mod world;

type Simulation = State<Arc<Shared>>;

/// The routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    let named = put(switch_on).delete(switch_off);
    let faults = get(active).delete(all_off);
    Router::new()
        .route("/_simulator", get(overview).fallback(unknown))
        .route("/_simulator/", get(overview).fallback(unknown))
        .route("/_simulator/faults", faults.fallback(unknown))
        .route("/_simulator/faults/{name}", named.fallback(unknown))
        .route("/_simulator/log", get(log).delete(forget).fallback(unknown))
        .route("/_simulator/rate-limit", get(limits).put(set_limit).fallback(unknown))
        .merge(world::routes())
        .route("/_simulator/{*rest}", any(unknown))
}

/// A mistake, told in a sentence.
struct Mistake(StatusCode, String);

impl Mistake {
    fn because(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

async fn unknown(method: Method, uri: Uri) -> Mistake {
    let known = "GET /_simulator; GET or DELETE /_simulator/faults; PUT or DELETE /_simulator/faults/{name}; \
                 GET or DELETE /_simulator/log; GET or PUT /_simulator/rate-limit; \
                 GET, PUT or DELETE /_simulator/unauthorized; \
                 GET or PUT /_simulator/media-delivery-reports; GET /_simulator/traffic";
    Mistake(StatusCode::NOT_FOUND, format!("there is no {method} {}; there are: {known}", uri.path()))
}

async fn overview(State(shared): Simulation) -> Json<Value> {
    let faults = Fault::all()
        .map(|fault| json!({ "name": fault.name(), "stage": fault.stage(), "about": fault.about() }));
    let clients = shared.clients.iter().map(|client| client.name.as_str());
    Json(json!({
        "time": shared.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true),
        "seed": shared.options.seed,
        "apis": APIS.iter().map(|api| json!({ "name": api.name, "prefix": api.prefix })).collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "cpcodes": shared.options.cpcodes.to_string(),
        "latency_seconds": shared.options.latency.as_secs_f64(),
        "cost_limit": shared.options.cost_limit,
        "in_list_limit": shared.options.in_list_limit,
        "unauthorized": lock(&shared.switches).unauthorized,
        "media_delivery_reports": lock(&shared.switches).media_delivery.to_string(),
        "rate_limits": lock(&shared.limits).per_minute(),
        "faults": faults.collect::<Vec<_>>(),
        "active": lock(&shared.faults).active(),
        "paths": [
            "GET /_simulator/faults", "PUT /_simulator/faults/{name}", "DELETE /_simulator/faults/{name}",
            "DELETE /_simulator/faults", "GET /_simulator/log?since=N", "DELETE /_simulator/log",
            "GET /_simulator/rate-limit", "PUT /_simulator/rate-limit",
            "GET /_simulator/unauthorized", "PUT /_simulator/unauthorized", "DELETE /_simulator/unauthorized",
            "GET /_simulator/media-delivery-reports", "PUT /_simulator/media-delivery-reports",
            "GET /_simulator/traffic?start=T&end=T",
        ],
    }))
}

async fn active(State(shared): Simulation) -> Json<Value> {
    Json(json!({ "faults": lock(&shared.faults).active() }))
}

async fn switch_on(
    State(shared): Simulation,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Mistake> {
    let fault = fault(&name)?;
    let scope: Scope = if body.is_empty() { Scope::default() } else { decode(&body)? };
    check(&shared, &scope)?;
    tracing::info!(fault = name, ?scope, "fault switched on");
    lock(&shared.faults).set(fault, scope);
    Ok(active(State(shared)).await)
}

async fn switch_off(State(shared): Simulation, Path(name): Path<String>) -> Result<Json<Value>, Mistake> {
    lock(&shared.faults).remove(fault(&name)?);
    tracing::info!(fault = name, "fault switched off");
    Ok(active(State(shared)).await)
}

async fn all_off(State(shared): Simulation) -> Json<Value> {
    lock(&shared.faults).clear();
    tracing::info!("all faults switched off");
    active(State(shared)).await
}

fn fault(name: &str) -> Result<Fault, Mistake> {
    Fault::named(name).ok_or_else(|| no_such("fault", name, Fault::all().map(Fault::name)))
}

/// A scope that can never fit is a mistake of spelling. A CP code outside the account is none: it can be asked
/// about, and is refused.
fn check(shared: &Shared, scope: &Scope) -> Result<(), Mistake> {
    let one_of = |what: &str, given: &Option<String>, known: &[&str]| match given {
        Some(given) if !known.contains(&given.as_str()) => Err(no_such(what, given, known.iter().copied())),
        _ => Ok(()),
    };
    let clients: Vec<&str> = shared.clients.iter().map(|client| client.name.as_str()).collect();
    one_of("client", &scope.client, &clients)?;
    one_of("api", &scope.api, &APIS.iter().map(|api| api.name).collect::<Vec<_>>())?;
    one_of("delivery", &scope.delivery, &Network::ALL.map(Network::name))?;
    if scope.times == Some(0) {
        return Err(Mistake::because("`times` must be 1 or more; leave it out for no end"));
    }
    Ok(())
}

fn no_such<'a>(what: &str, given: &str, known: impl Iterator<Item = &'a str>) -> Mistake {
    let known = known.collect::<Vec<_>>().join(", ");
    Mistake::because(format!("unknown {what} `{given}`; valid: {known}"))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Mistake> {
    // Serde's text names the members that there are.
    serde_json::from_slice(body).map_err(|error| Mistake::because(format!("the body is wrong: {error}")))
}

fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Mistake> {
    let Query(parameters) =
        Query::try_from_uri(uri).map_err(|error| Mistake::because(format!("the query is wrong: {error}")))?;
    Ok(parameters)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn log(State(shared): Simulation, uri: Uri) -> Result<Json<Value>, Mistake> {
    let Since { since } = parameters(&uri)?;
    Ok(Json(json!(lock(&shared.journal).since(since))))
}

async fn forget(State(shared): Simulation) -> Json<Value> {
    let mut journal = lock(&shared.journal);
    journal.clear();
    Json(json!(journal.since(0)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    per_minute: u32,
    api: Option<String>,
}

async fn limits(State(shared): Simulation) -> Json<Value> {
    Json(json!({ "per_minute": lock(&shared.limits).per_minute() }))
}

async fn set_limit(State(shared): Simulation, body: Bytes) -> Result<Json<Value>, Mistake> {
    let NewLimit { per_minute, api } = decode(&body)?;
    let name = api.as_deref().unwrap_or(super::estats::API.name);
    let known = APIS.iter().map(|api| api.name);
    let api = Api::named(name).ok_or_else(|| no_such("api", name, known))?;
    if per_minute == 0 {
        return Err(Mistake::because(
            "`per_minute` must be 1 or more; for none at all use the fault `rate-limited`",
        ));
    }
    lock(&shared.limits).set(api.name, per_minute);
    tracing::info!(api = api.name, per_minute, "rate limit changed");
    Ok(limits(State(shared)).await)
}
