//! Media Delivery Reports v1, Adaptive Media Delivery: `realtime-data` and `data` (techdocs media-delivery-rpts).
//!
//! Akamai switched all of it off on 15 July 2025. What the paths answer since is not published: here 410 as its
//! other retired APIs answer, or 404, or the API as it was, for a client that has to bear all three.
//!
//! The numbers are those of the traffic report, under other names, in other units, and as strings.

use std::fmt;
use std::str::FromStr;

use axum::http::header::ALLOW;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::api::{Api, Call, Outcome, Subject};
use super::faults::{Fault, Strikes};
use super::limits::{Allowance, instant};
use super::problem::{self, Answer};
use super::world::World;

mod columns;
mod request;
mod rows;

/// What Media Delivery Reports answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaDelivery {
    /// 410.
    #[default]
    Retired,
    /// What they answered until July 2025.
    Historic,
    /// 404.
    NotFound,
}

/// Not a word for what Media Delivery Reports answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected retired, historic or not-found")]
pub struct MediaDeliveryError;

impl FromStr for MediaDelivery {
    type Err = MediaDeliveryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Retired, Self::Historic, Self::NotFound];
        all.into_iter().find(|mode| mode.to_string() == text).ok_or(MediaDeliveryError)
    }
}

impl fmt::Display for MediaDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retired => "retired",
            Self::Historic => "historic",
            Self::NotFound => "not-found",
        })
    }
}

/// The entry in [`super::api::APIS`].
pub(super) const API: Api = Api {
    name: "media-delivery-reports",
    prefix: "/media-delivery-reports/",
    // techdocs media-delivery-rpts rate-limiting.
    per_minute: 20,
    cost: None,
    announce,
    too_many,
    faults: &[Fault::UnauthorizedCpcode, Fault::Empty],
    subject,
    answer,
};

const PATH: &str = "/media-delivery-reports/v1/adaptive-media-delivery/";

/// Read without judging.
fn subject(call: &Call) -> Subject {
    let parameters = request::parameters(&call.uri).unwrap_or_default();
    let cpcodes =
        parameters.iter().filter(|(name, _)| name == "cpcodes").flat_map(|(_, list)| list.split(','));
    Subject { cpcodes: cpcodes.filter_map(|text| text.trim().parse().ok()).collect(), ..Subject::default() }
}

fn announce(allowance: &Allowance) -> Vec<(&'static str, String)> {
    let mut headers = allowance.x_ratelimit();
    headers.push(("x-ratelimit-next", instant(allowance.next)));
    headers
}

fn too_many(_: &Allowance) -> Answer {
    error(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests", "The limit of requests is exceeded.")
}

fn answer(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    let outcome = match world.switches.media_delivery {
        MediaDelivery::Retired => retired().into(),
        MediaDelivery::NotFound => not_found().into(),
        MediaDelivery::Historic => historic(world, call, faults),
    };
    Outcome { took: world.options.latency / 10, ..outcome }
}

fn historic(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    let realtime = match call.path().strip_prefix(PATH) {
        Some("realtime-data") => true,
        Some("data") => false,
        _ => return not_found().into(),
    };
    if call.method != Method::GET {
        let answer = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "Only GET is allowed.");
        return problem::with(answer, ALLOW, "GET").into();
    }
    let request = match request::read(call, realtime) {
        Ok(request) => request,
        Err(detail) => return error(StatusCode::BAD_REQUEST, "Bad Request", &detail).into(),
    };
    let cpcodes: Vec<u64> =
        if request.cpcodes.is_empty() { world.cpcodes().collect() } else { request.cpcodes.clone() };
    let denied = |&&cpcode: &&u64| {
        let fault = faults.contains(&Fault::UnauthorizedCpcode);
        let meant = faults.cpcode(Fault::UnauthorizedCpcode).is_none_or(|meant| meant == cpcode);
        !world.visible(cpcode) || (fault && meant)
    };
    if let Some(cpcode) = cpcodes.iter().find(denied) {
        let detail = format!("You are not authorized to see CP code {cpcode}.");
        return error(StatusCode::FORBIDDEN, "Forbidden", &detail).into();
    }
    if request.windows().saturating_mul(cpcodes.len() as u64) > request::MOST {
        let detail = "The time range is too long for so many CP codes.";
        return error(StatusCode::BAD_REQUEST, "Bad Request", detail).into();
    }
    rows::answer(world.options.seed, &request, &cpcodes, call.now, faults)
}

/// As the retired API of DataStream answers: the best guess that there is.
fn retired() -> Answer {
    let body = json!({
        "type": "Resource Gone",
        "title": "Resource Gone error",
        "status": 410,
        "detail": "This API version has been deprecated. Use DataStream 2 instead.",
    });
    problem::problem(StatusCode::GONE, &body)
}

fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "Not Found", "The requested resource is not found.")
}

fn error(status: StatusCode, title: &str, detail: &str) -> Answer {
    let kind = title.to_lowercase().replace(' ', "-");
    let body = json!({ "type": kind, "title": title, "status": status.as_u16(), "detail": detail });
    problem::problem(status, &body)
}

#[cfg(test)]
mod tests;
