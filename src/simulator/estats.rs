//! Error statistics, "eStats": `POST /edge-diagnostics/v1/estats` (techdocs edge-diagnostics post-estats).
//!
//! The status codes of one CP code or URL in nine seconds out of the last two minutes, at the edge and at the
//! origin. The answer takes seconds, because Akamai collects the sample while the client waits.

use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::api::{Api, Call, Outcome, Subject};
use super::faults::{Fault, Strikes};
use super::limits::Allowance;
use super::problem::{self, Answer};
use super::world::World;

mod request;
mod result;

use request::{Invalid, Target};

/// The entry in [`super::api::APIS`].
pub(super) const API: Api = Api {
    name: "estats",
    prefix: "/edge-diagnostics/",
    // techdocs edge-diagnostics rate-limiting, for error statistics.
    per_minute: 40,
    cost: None,
    announce: Allowance::x_ratelimit,
    too_many,
    faults: &[
        Fault::UnauthorizedCpcode,
        Fault::Failure,
        Fault::MissingResult,
        Fault::EdgeOnly,
        Fault::OriginOnly,
        Fault::StatusZero,
        Fault::IntegerPercentages,
        Fault::FloatPercentages,
        Fault::Empty,
        Fault::Negative,
        Fault::DuplicateStatus,
        Fault::ErrorBurst,
    ],
    subject,
    answer,
};

const PATH: &str = "/edge-diagnostics/v1/estats";
/// A URL is visible unless its host ends so.
const FORBIDDEN_HOST: &str = ".forbidden.example";

/// Read without judging: a refused request has a subject too.
fn subject(call: &Call) -> Subject {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let text = |member: &str| body.get(member).and_then(Value::as_str).map(str::to_owned);
    Subject {
        cpcodes: body.get("cpCode").and_then(Value::as_u64).into_iter().collect(),
        url: text("url"),
        delivery: text("delivery"),
    }
}

fn answer(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    if call.path() != PATH {
        return not_found().into();
    }
    if call.method != Method::POST {
        let body = json!({ "type": "method.not.allowed", "title": "Method not allowed" });
        return problem::with(problem::problem(StatusCode::METHOD_NOT_ALLOWED, &body), ALLOW, "POST").into();
    }
    let request = match request::read(call.header(CONTENT_TYPE), &call.body) {
        Ok(request) => request,
        Err(errors) => return bad_request(&errors).into(),
    };
    let visible = match &request.target {
        Target::CpCode(cpcode) => world.visible(*cpcode),
        Target::Url { host, .. } => !host.ends_with(FORBIDDEN_HOST),
    };
    if !visible || faults.contains(&Fault::UnauthorizedCpcode) {
        return access_denied(&request.target).into();
    }
    let body = result::execution(world.options, call, &request, faults);
    Outcome { answer: problem::json(StatusCode::OK, &body), took: world.options.latency, rows: None }
}

fn not_found() -> Answer {
    let body = json!({ "type": "resource.not.found", "title": "Resource not found.", "status": 404 });
    problem::problem(StatusCode::NOT_FOUND, &body)
}

fn too_many(_: &Allowance) -> Answer {
    let detail = "You have exceeded total number of requests configured for this API.";
    let body = json!({
        "type": "requests.exceeded.error", "title": "Too Many Requests", "status": 429, "detail": detail,
    });
    problem::problem(StatusCode::TOO_MANY_REQUESTS, &body)
}

fn bad_request(errors: &[Invalid]) -> Answer {
    let body = json!({
        "type": "bad.request.error",
        "title": "Incorrect request.",
        "status": 400,
        "detail": "The request is not valid.",
        "errors": errors.iter().map(Invalid::json).collect::<Vec<_>>(),
    });
    problem::problem(StatusCode::BAD_REQUEST, &body)
}

fn access_denied(target: &Target) -> Answer {
    let (field, what) = match target {
        Target::CpCode(_) => ("cpCode", "CP code"),
        Target::Url { .. } => ("url", "URL"),
    };
    let body = json!({
        "type": "forbidden.request.error",
        "title": "Forbidden request.",
        "status": 403,
        "errors": [{
            "type": "field.access.denied",
            "title": "Field access denied.",
            "detail": format!("You don't have access to the requested {what}. Contact your Admin to request access."),
            "requestField": field,
        }],
    });
    problem::problem(StatusCode::FORBIDDEN, &body)
}

#[cfg(test)]
mod tests;
