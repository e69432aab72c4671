//! What the faults of the gateway and of the transport do. Those of an API's answer stand with the API.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, DATE, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::api::Call;
use super::faults::Fault;
use super::noise::Noise;
use super::problem::{self, Answer, Refusal};

/// More than any client should be willing to read.
const HUGE: usize = 9 * 1024 * 1024;
/// How far the Date is ahead when the client's clock is said to be wrong.
const AHEAD: TimeDelta = TimeDelta::seconds(90);
/// Time for the first half of a cut-off body to leave, before the connection closes.
const BEFORE_THE_CUT: Duration = Duration::from_millis(20);
const HTML: &str = "text/html; charset=utf-8";

/// What a request gets.
#[derive(Debug)]
pub(super) enum Ending {
    Answer(Answer),
    /// Nothing, for as long as the client waits.
    Silence,
    /// A reset of the connection.
    Reset,
}

/// The answer that a fault puts in the place of the gateway's or the API's own. That of `rate-limited` is the
/// API's.
pub(super) fn instead(fault: Fault, call: &Call) -> Ending {
    Ending::Answer(match fault {
        Fault::Timeout => return Ending::Silence,
        Fault::Reset => return Ending::Reset,
        Fault::Html403 => {
            html(StatusCode::FORBIDDEN, "Access Denied", &denied(call, "18.5f3c1402.1763719200.1a2b3c4d"))
        }
        Fault::BurstBlock => {
            let reference = "Rule IPBLOCK-BURST4-54013: too many requests in a short time.";
            html(StatusCode::FORBIDDEN, "Access Denied", &denied(call, reference))
        }
        Fault::ClockSkew => {
            problem::with(Refusal::InvalidTimestamp.answer(call), DATE, http_date(call.now + AHEAD))
        }
        Fault::InactiveToken => Refusal::InactiveToken.answer(call),
        Fault::BadSignature => Refusal::BadSignature.answer(call),
        Fault::NoGrant => Refusal::NoGrant.answer(call),
        Fault::NotFound => Refusal::UnknownPath.answer(call),
        Fault::ServerErrorBare => {
            let text = "The service is temporarily unavailable.\n";
            problem::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
        }
        Fault::Html => html(StatusCode::OK, "Maintenance", "<p>We will be back soon.</p>"),
        Fault::Redirect => {
            let page = html(StatusCode::FOUND, "Found", "<p>The document has moved.</p>");
            problem::with(page, LOCATION, format!("https://elsewhere.example{}", call.target()))
        }
        Fault::Garbage => problem::answer(StatusCode::OK, "application/json", garbage(call.sequence)),
        // `server-error`; no other fault of these stages is left.
        _ => server_error(),
    })
}

fn server_error() -> Answer {
    let body = json!({
        "type": "internal.server.error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "An unexpected error occurred while processing the request.",
    });
    problem::problem(StatusCode::INTERNAL_SERVER_ERROR, &body)
}

fn html(status: StatusCode, title: &str, text: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n{text}\n</body></html>\n"
    );
    problem::answer(status, HTML, page)
}

fn denied(call: &Call, reference: &str) -> String {
    let Call { host, .. } = call;
    // Only the host: a path could carry markup into the page.
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(*c)).collect();
    format!(
        "<p>You don't have permission to access this resource on {host}.</p>\n<p>Reference {reference}</p>"
    )
}

fn garbage(sequence: u64) -> Vec<u8> {
    let noise = Noise::new(sequence).on("garbage");
    // 0xff never occurs in UTF-8.
    let mut bytes = vec![0xff];
    bytes.extend((0..256).flat_map(|word| noise.of(word).bits().to_le_bytes()));
    bytes
}

/// A time as the `Date` header has it.
pub(super) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Puts an answer on its way, well or badly. `closing` ends what would otherwise take for ever.
pub(super) fn send(answer: Answer, fault: Option<Fault>, closing: CancellationToken) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let announced = HeaderValue::from(body.len());
    let body = match fault {
        Some(Fault::Truncated) => Body::from(body.slice(..body.len() / 2)),
        Some(Fault::Huge) => Body::from(blown_up(&body)),
        Some(Fault::CutOff) => {
            parts.headers.insert(CONTENT_LENGTH, announced);
            let half = body.slice(..body.len() / 2);
            broken(half)
        }
        Some(Fault::SlowDrip) => {
            parts.headers.insert(CONTENT_LENGTH, announced);
            dripping(body, closing)
        }
        _ => Body::from(body),
    };
    Response::from_parts(parts, body)
}

/// A body that fails after its first part, which closes the connection.
pub(super) fn broken(start: Bytes) -> Body {
    let rest = stream::once(async {
        tokio::time::sleep(BEFORE_THE_CUT).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(stream::iter([Ok(start)]).chain(rest))
}

/// A body that comes a byte a second.
fn dripping(body: Bytes, closing: CancellationToken) -> Body {
    let drops = stream::unfold((body, closing), |(mut rest, closing)| async {
        let second = tokio::time::sleep(Duration::from_secs(1));
        if rest.is_empty() || closing.run_until_cancelled(second).await.is_none() {
            return None;
        }
        let drop = rest.split_to(1);
        Some((Ok::<_, Infallible>(drop), (rest, closing)))
    });
    Body::from_stream(drops)
}

/// The same JSON object with one more member, a long one; anything else with spaces behind it.
fn blown_up(body: &[u8]) -> Vec<u8> {
    match body.strip_prefix(b"{") {
        Some(rest) => {
            let padding = "x".repeat(HUGE);
            let comma = if rest.first() == Some(&b'}') { "" } else { "," };
            [format!("{{\"padding\":\"{padding}\"{comma}").as_bytes(), rest].concat()
        }
        None => [body, " ".repeat(HUGE).as_bytes()].concat(),
    }
}
