//! The traffic report: Reporting API v2, `delivery/traffic/current` (techdocs reporting
//! delivery-traffic-current; the shapes are those of Akamai's published OpenAPI).
//!
//! Sums of hits and bytes of many CP codes, by window and up to three more dimensions, some ten minutes after
//! the fact. Windows that start at or after `start` and before `end` are counted; whether Akamai's must be
//! aligned is not documented.

use axum::http::header::{ACCEPT, ALLOW};
use axum::http::{Method, StatusCode};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde_json::{Value, json};

use super::api::{Api, Call, Outcome, Subject};
use super::faults::{Fault, Strikes};
use super::limits::{Allowance, instant};
use super::noise::Noise;
use super::problem::{self, Answer};
use super::world::World;

mod cost;
pub(super) mod definition;
mod filters;
mod later;
mod request;
mod rows;

use filters::Filter;
use later::Ticket;
use request::{Invalid, Query};
use rows::Table;

use super::traffic::table::{Cell, Dimension};

/// The entry in [`super::api::APIS`].
pub(super) const API: Api = Api {
    name: "reporting",
    prefix: "/reporting-api/",
    // Akamai's example of a 429 says 20 (techdocs reporting 429).
    per_minute: 20,
    cost: Some(price),
    announce,
    too_many,
    faults: &[
        Fault::UnauthorizedCpcode,
        Fault::Empty,
        Fault::Negative,
        Fault::MissingColumn,
        Fault::ExtraColumn,
        Fault::StringNumbers,
        Fault::WrongType,
        Fault::Fractional,
        Fault::HugeValue,
        Fault::DuplicateRow,
        Fault::ConflictingRow,
        Fault::OutOfRange,
        Fault::ForeignCpcode,
        Fault::MoreRows,
        Fault::QueryCost,
    ],
    subject,
    answer,
};

/// The CP codes that are asked for by name. Read without judging: a refused request has a subject too.
fn subject(call: &Call) -> Subject {
    let original = Ticket::of(call).map(|ticket| ticket.call(call));
    let body: Value = serde_json::from_slice(&original.as_ref().unwrap_or(call).body).unwrap_or_default();
    let filters = body.get("filters").and_then(Value::as_array).into_iter().flatten();
    let listed =
        filters.filter(|filter| filter["dimensionName"] == "cpcode" && filter["operator"] == "IN_LIST");
    let expressions = listed.filter_map(|filter| filter["expressions"].as_array()).flatten();
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Subject { cpcodes: expressions.filter_map(number).collect(), ..Subject::default() }
}

/// What a query takes from the client's bucket of costs. One that is refused for what it asks takes nothing.
fn price(world: &World<'_>, call: &Call) -> u64 {
    if call.path() != definition::DATA || call.method != Method::POST {
        return 0;
    }
    let Ok(query) = request::read(world.options, call) else { return 0 };
    let Ok(cpcodes) = authorized(world, &query, None) else { return 0 };
    let cost = cost::of(&query, cpcodes.len());
    if cost > world.options.cost_limit { 0 } else { cost }
}

fn announce(allowance: &Allowance) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("akamai-sync-ratelimit-limit", allowance.limit.to_string()),
        ("akamai-sync-ratelimit-remaining", allowance.remaining.to_string()),
        ("akamai-sync-ratelimit-refill", allowance.limit.to_string()),
        ("akamai-sync-ratelimit-next", instant(allowance.next)),
        ("akamai-sync-ratelimit-reset", instant(allowance.reset)),
    ];
    if let Some(cost) = allowance.cost {
        headers.extend([
            ("akamai-sync-costratelimit-remaining", cost.remaining.to_string()),
            ("akamai-sync-costratelimit-next", instant(cost.next)),
            ("akamai-sync-costratelimit-reset", instant(cost.reset)),
        ]);
    }
    headers
}

/// The same for requests and for costs (techdocs reporting 429); the numbers are strings.
fn too_many(allowance: &Allowance) -> Answer {
    let limit = allowance.limit;
    let next = allowance.cost.filter(|cost| !cost.granted).map_or(allowance.next, |cost| cost.next);
    // Whoever waits until then must not be too early.
    let next: DateTime<Utc> = (next + TimeDelta::milliseconds(999)).trunc_subsecs(0);
    problem(
        StatusCode::TOO_MANY_REQUESTS,
        "rate-limit-exceeded",
        json!({
            "title": "Rate Limit Exceeded",
            "detail": format!(
                "You reached the limit for request count of {limit}. Your bucket will refill at the rate of \
                 {limit} per 1 minute(s)."
            ),
            "rateLimitNextRequest": next.format("%a, %d %b %Y %H:%M:%S Z").to_string(),
            "rateLimit": limit.to_string(),
            "rateLimitRemaining": allowance.remaining.to_string(),
            "rateLimitRefill": limit.to_string(),
        }),
    )
}

fn answer(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    let took = world.options.latency / 10;
    let get =
        |body: Value| only(call, &Method::GET).unwrap_or_else(|| problem::json(StatusCode::OK, &body).into());
    let outcome = match call.path() {
        definition::DATA => only(call, &Method::POST).unwrap_or_else(|| data(world, call, faults)),
        definition::PATH => get(definition::options(world.options)),
        "/reporting-api/v2/reports"
        | "/reporting-api/v2/reports/delivery"
        | "/reporting-api/v2/reports/delivery/traffic" => get(definition::list()),
        path if path.starts_with(definition::QUERIES) => {
            only(call, &Method::GET).unwrap_or_else(|| later(world, call, faults))
        }
        path => not_found(path).into(),
    };
    Outcome { took, ..outcome }
}

/// A refusal of any other method.
fn only(call: &Call, method: &Method) -> Option<Outcome> {
    (call.method != *method).then(|| {
        let body = json!({ "title": "Method Not Allowed" });
        let answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", body);
        problem::with(answer, ALLOW, method.as_str()).into()
    })
}

/// The data, or where they will be.
fn data(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    let (query, cpcodes) = match judged(world, call, faults) {
        Ok(judged) => judged,
        Err(refusal) => return (*refusal).into(),
    };
    if query.later.is_some() {
        return Ticket::new(call).redirection().into();
    }
    let table = Table::of(world, &query, &cpcodes, call.now, query.limit.min(definition::DATA_POINTS_LIMIT));
    let table = table.spoiled(&query, faults);
    let rows = Some(table.len());
    let answer = if wants_csv(call) { table.csv(&query) } else { table.json(&query, &cpcodes) };
    Outcome { rows, ..answer.into() }
}

/// The data of a query that was asked before, if they are there.
fn later(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    let Some(ticket) = Ticket::of(call) else {
        return not_found(call.path()).into();
    };
    if call.now < ticket.ready() {
        return ticket.redirection().into();
    }
    let original = ticket.call(call);
    let (query, cpcodes) = match judged(world, &original, faults) {
        Ok(judged) => judged,
        Err(refusal) => return (*refusal).into(),
    };
    let table = Table::of(world, &query, &cpcodes, original.now, query.limit).spoiled(&query, faults);
    ticket.page(&query, table, wants_csv(call))
}

fn wants_csv(call: &Call) -> bool {
    call.header(ACCEPT).is_some_and(|accept| accept.trim().starts_with("text/csv"))
}

/// A query that is valid, allowed and cheap enough, and the CP codes that it reaches.
fn judged(world: &World<'_>, call: &Call, faults: &Strikes) -> Result<(Query, Vec<u64>), Box<Answer>> {
    let query = request::read(world.options, call).map_err(|errors| Box::new(invalid(call, &errors)))?;
    let denied =
        faults.contains(&Fault::UnauthorizedCpcode).then(|| faults.cpcode(Fault::UnauthorizedCpcode));
    let cpcodes = authorized(world, &query, denied).map_err(|unauthorized| {
        let detail = format!("Some of the requested objects are unauthorized: {unauthorized:?}");
        let body = json!({ "title": "Unauthorized objects", "detail": detail });
        Box::new(problem(StatusCode::FORBIDDEN, "unauthorized-objects", body))
    })?;
    let cost = cost::of(&query, cpcodes.len());
    if cost > world.options.cost_limit || faults.contains(&Fault::QueryCost) {
        let body =
            json!({ "title": "Query cost exceeded", "detail": "Exceeded limit of maximum query cost" });
        return Err(Box::new(problem(StatusCode::UNPROCESSABLE_ENTITY, "query-cost-exceeded", body)));
    }
    Ok((query, cpcodes))
}

/// The CP codes that a query reaches, or those that it must not name. A fault denies one more: that of its
/// scope, or the first.
fn authorized(world: &World<'_>, query: &Query, denied: Option<Option<u64>>) -> Result<Vec<u64>, Vec<u64>> {
    let filters: Vec<_> = query.filters.iter().filter_map(|filter| filter.of(Dimension::CpCode)).collect();
    let listed = filters.iter().filter(|filter| filter.lists()).flat_map(|filter| &filter.expressions);
    let mut named: Vec<u64> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    named.extend(listed.filter_map(|text| text.parse().ok()).filter(|&cpcode: &u64| seen.insert(cpcode)));
    let denied = denied.and_then(|cpcode| cpcode.or_else(|| named.first().copied()));
    let unauthorized: Vec<u64> =
        named.iter().copied().filter(|&cpcode| !world.visible(cpcode) || denied == Some(cpcode)).collect();
    if !unauthorized.is_empty() {
        return Err(unauthorized);
    }
    // A list of a thousand is not searched a thousand times.
    let candidates = if named.is_empty() { world.cpcodes().collect() } else { named };
    let lists = filters.iter().filter(|filter| filter.lists()).count();
    let others = filters.iter().filter(|filter| lists > 1 || !filter.lists());
    let others: Vec<_> = others.collect();
    let kept = |cpcode: &u64| others.iter().all(|filter| filter.keeps(&Cell::Number(*cpcode)));
    Ok(candidates.into_iter().filter(kept).collect())
}

/// An error of this API. Every one has an id, here made from its text.
fn problem(status: StatusCode, kind: &str, mut body: Value) -> Answer {
    let id = problem_id(&body.to_string());
    body["type"] = json!(format!("/reporting-api/error-types/{kind}"));
    body["status"] = json!(status.as_u16());
    body["problemId"] = json!(id);
    problem::problem(status, &body)
}

fn problem_id(text: &str) -> String {
    let bits = Noise::new(0).on(text).bits();
    format!("{:08x}-0000-4000-8000-{:012x}", bits >> 32, bits & 0xffff_ffff)
}

fn not_found(path: &str) -> Answer {
    let report = path.strip_prefix("/reporting-api/v2/reports").unwrap_or(path);
    let body = json!({ "title": "Not Found", "detail": format!("Report definition '{report}' not found") });
    problem(StatusCode::NOT_FOUND, "report-not-found", body)
}

fn invalid(call: &Call, errors: &[Invalid]) -> Answer {
    let id = |position: usize| problem_id(&format!("{} {position}", call.sequence));
    let errors: Vec<Value> =
        errors.iter().enumerate().map(|(position, error)| error.json(&id(position))).collect();
    problem(
        StatusCode::BAD_REQUEST,
        "invalid-request",
        json!({ "title": "Invalid request", "errors": errors }),
    )
}

/// The filters that hold for an answer: those asked for, and the CP codes that may be seen if none were named.
fn effective(filters: &[Filter], cpcodes: &[u64]) -> Vec<Value> {
    let mut effective: Vec<Value> = filters.iter().map(Filter::json).collect();
    if !filters.iter().any(|filter| filter.of(Dimension::CpCode).is_some()) {
        let cpcodes: Vec<String> = cpcodes.iter().map(u64::to_string).collect();
        effective.push(json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": cpcodes }));
    }
    effective
}

#[cfg(test)]
mod tests;
