//! Errors as the gateway and the APIs word them: `application/problem+json` (RFC 9457).

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::api::Call;

/// An answer as a plain value: whole, and not yet on its way.
pub(super) type Answer = Response<Bytes>;

/// An answer with a body of some type.
pub(super) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string())
}

/// An error with a JSON body.
pub(super) fn problem(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/problem+json", body.to_string())
}

/// The same answer with one more header; a value that is no header value is left out.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: impl TryInto<HeaderValue>) -> Answer {
    if let Ok(value) = value.try_into() {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// Why the gateway lets a request not through.
///
/// Statuses and texts are those that users of Akamai's clients report; the detail of a reused nonce, of a
/// malformed header, of a large body and of an unknown path are not published and made up in the same style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    InvalidTimestamp,
    InactiveToken,
    BadSignature,
    ReusedNonce,
    NoGrant,
    TooLarge,
    UnknownPath,
}

impl Refusal {
    /// The name under which the log counts it, if the client is to blame.
    pub(super) fn violation(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("malformed_authorization"),
            Self::InvalidTimestamp => Some("invalid_timestamp"),
            Self::InactiveToken => Some("inactive_token"),
            Self::BadSignature => Some("bad_signature"),
            Self::ReusedNonce => Some("reused_nonce"),
            Self::TooLarge => Some("request_too_large"),
            Self::NoGrant | Self::UnknownPath => None,
        }
    }

    /// The gateway's answer.
    pub(super) fn answer(self, call: &Call) -> Answer {
        let (status, kind, title, detail) = match self {
            Self::Malformed => {
                (400, "pep-authn/request-error", "Bad request", "Invalid authorization header")
            }
            Self::InvalidTimestamp => (400, "pep-authn/request-error", "Bad request", "Invalid timestamp"),
            Self::ReusedNonce => (400, "pep-authn/request-error", "Bad request", "Duplicate nonce"),
            Self::InactiveToken => (401, "pep-authn/deny", "Not authorized", "Inactive client token"),
            Self::BadSignature => (401, "pep-authn/deny", "Not authorized", "The signature does not match"),
            Self::NoGrant => {
                let detail = "The client does not have the grant needed for the request";
                (403, "pep-authz/deny", "Forbidden", detail)
            }
            Self::TooLarge => {
                (413, "gateway/request-too-large", "Request too large", "The request body is too large")
            }
            Self::UnknownPath => (404, "gateway/not-found", "Not found", "No API is known at this path"),
        };
        let mut body = json!({
            "type": format!("https://problems.luna.akamaiapis.net/-/{kind}"),
            "title": title,
            "status": status,
            "detail": detail,
            "instance": format!("https://{}{}", call.host, call.path()),
            "method": call.method.as_str(),
            "serverIp": "192.0.2.1",
            "clientIp": call.address,
            "requestId": format!("{:x}", call.sequence.wrapping_mul(0x9e37_79b1) & 0xffff_ffff),
            "requestTime": call.now.to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        if self == Self::NoGrant {
            body["authzRealm"] = json!("simulator.realm");
        }
        problem(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &body)
    }
}
