//! What an answer means, read from its status and body: pure.
//!
//! The forms are those of Akamai's API gateway (`pep-authn`, `pep-authz`) and of the problem documents that each API
//! describes in its reference. A body identifies the customer (`instance`, `clientIp`), so only the sentences meant for
//! people are taken from it.

use serde_json::Value;

use super::ApiError;
use crate::model::Reason;

/// A skew below this is not worth a word.
const SMALL_SKEW: f64 = 5.0;

/// The error that `status` and `body` tell of, if any; `skew` is by how many seconds this machine's clock is ahead
/// of the answer's `Date`.
pub(super) fn error(status: u16, body: &[u8], skew: Option<f64>) -> Option<ApiError> {
    // An answer may be 20 MB, and only a refusal is a problem document.
    if status == 200 {
        return None;
    }
    let problem = problem(body);
    let kind = problem.as_ref().and_then(|problem| text(problem, "type")).unwrap_or_default();
    let reason = match status {
        400 | 403 if is_block(body) => Reason::IpBlocked,
        300..=399 => Reason::Redirected,
        400 if kind.ends_with("/-/pep-authn/request-error") => authentication(problem.as_ref()),
        422 if kind.ends_with("/query-cost-exceeded") => Reason::TooCostly,
        400 | 405 | 413 | 422 => Reason::BadRequest,
        401 => Reason::Auth,
        // The gateway and the APIs answer in JSON; a page comes from the firewall in front of them.
        403 if problem.is_none() => Reason::IpBlocked,
        403 if kind.contains("/-/pep-authz/") || kind.ends_with("/error-types/unauthorized") => {
            Reason::GrantMissing
        }
        403 => Reason::Forbidden,
        404 | 410 => Reason::NotFound,
        429 => Reason::RateLimited,
        500..=599 => Reason::ServerError,
        _ => Reason::UnexpectedStatus,
    };
    let mut error = ApiError::new(reason, sentence(status, reason, problem.as_ref(), skew));
    let objects = problem.as_ref().filter(|_| kind.ends_with("/unauthorized-objects")).map(objects);
    error.objects = objects.unwrap_or_default();
    Some(error)
}

/// The numbers in brackets of "Some of the requested objects are unauthorized: [1234, 5678]".
fn objects(problem: &Value) -> Vec<u64> {
    let detail = text(problem, "detail").unwrap_or_default();
    let list = detail.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split(',').filter_map(|item| item.trim().parse().ok()).collect()
}

/// A burst block names its rule.
fn is_block(body: &[u8]) -> bool {
    body.windows(b"IPBLOCK".len()).any(|window| window.eq_ignore_ascii_case(b"IPBLOCK"))
}

/// The gateway's 400: the clock, or the form of the signature.
fn authentication(problem: Option<&Value>) -> Reason {
    let detail = problem.and_then(|problem| text(problem, "detail")).unwrap_or_default();
    if detail.to_ascii_lowercase().contains("timestamp") { Reason::ClockSkew } else { Reason::Auth }
}

fn problem(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

fn sentence(status: u16, reason: Reason, problem: Option<&Value>, skew: Option<f64>) -> String {
    let mut sentence = format!("Akamai answered {status}");
    let said = problem.map(said).filter(|said| !said.is_empty());
    if let Some(said) = said {
        sentence = format!("{sentence}: {said}");
    } else if reason == Reason::IpBlocked {
        sentence.push_str(" with a page of the firewall in front of the API");
    }
    if reason == Reason::ClockSkew {
        sentence = format!("{sentence}; {}", clock(skew));
    }
    sentence
}

/// What the clock says of itself.
pub(super) fn clock(skew: Option<f64>) -> String {
    match skew {
        None => "the answer has no Date to measure this machine's clock by".to_owned(),
        Some(skew) if skew.abs() < SMALL_SKEW => {
            format!("yet this machine's clock is within {SMALL_SKEW:.0} s of Akamai's")
        }
        Some(skew) => {
            let side = if skew > 0.0 { "ahead of" } else { "behind" };
            format!("this machine's clock is {:.0} s {side} Akamai's", skew.abs())
        }
    }
}

/// Title, detail and sub-errors in one line.
fn said(problem: &Value) -> String {
    let own =
        text(problem, "detail").or_else(|| text(problem, "title")).map(|words| words.trim_end_matches('.'));
    let errors = problem.get("errors").and_then(Value::as_array).into_iter().flatten();
    let parts = own.map(str::to_owned).into_iter().chain(errors.filter_map(|error| {
        let words = text(error, "detail").or_else(|| text(error, "title"))?.trim_end_matches('.');
        Some(match text(error, "requestField") {
            Some(field) => format!("{words} ({field})"),
            None => words.to_owned(),
        })
    }));
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, reason: Reason, words: &str) {
        let error = error(status, body.as_bytes(), Some(-90.0)).unwrap();
        assert_eq!((error.reason, error.to_string().as_str()), (reason, words));
    }

    fn gateway(kind: &str, detail: &str) -> String {
        format!(
            r#"{{"type":"https://problems.luna.akamaiapis.net/-/{kind}","title":"T","detail":"{detail}","clientIp":"198.51.100.7"}}"#
        )
    }

    #[test]
    fn the_gateway() {
        let body = gateway("pep-authn/request-error", "Invalid timestamp");
        let words = "Akamai answered 400: Invalid timestamp; this machine's clock is 90 s behind Akamai's";
        check(400, &body, Reason::ClockSkew, words);
        let body = gateway("pep-authn/request-error", "Bad nonce");
        check(400, &body, Reason::Auth, "Akamai answered 400: Bad nonce");
        let body = gateway("pep-authn/deny", "Inactive client token");
        check(401, &body, Reason::Auth, "Akamai answered 401: Inactive client token");
        let body = gateway("pep-authz/deny", "The client does not have the grant needed for the request");
        let words = "Akamai answered 403: The client does not have the grant needed for the request";
        check(403, &body, Reason::GrantMissing, words);
    }

    #[test]
    fn the_apis() {
        let body = r#"{"type":"forbidden.request.error","title":"Forbidden request.","status":403,
            "errors":[{"title":"Field access denied.","detail":"You don't have access to 5","requestField":"cpCode"}]}"#;
        let words = "Akamai answered 403: Forbidden request; You don't have access to 5 (cpCode)";
        check(403, body, Reason::Forbidden, words);
        check(
            400,
            r#"{"title":"Incorrect request."}"#,
            Reason::BadRequest,
            "Akamai answered 400: Incorrect request",
        );
        check(404, "{}", Reason::NotFound, "Akamai answered 404");
        check(429, r#"{"detail":"Too many"}"#, Reason::RateLimited, "Akamai answered 429: Too many");
        check(503, "", Reason::ServerError, "Akamai answered 503");
        check(302, "", Reason::Redirected, "Akamai answered 302");
        check(204, "", Reason::UnexpectedStatus, "Akamai answered 204");
    }

    #[test]
    fn the_firewall() {
        let page = "Akamai answered 403 with a page of the firewall in front of the API";
        check(403, "<html>Access Denied</html>", Reason::IpBlocked, page);
        check(
            403,
            r#"{"detail":"rule IPBLOCK-BURST4-54013"}"#,
            Reason::IpBlocked,
            "Akamai answered 403: rule IPBLOCK-BURST4-54013",
        );
        let page = "Akamai answered 400 with a page of the firewall in front of the API";
        check(400, "<p>ipblock-burst4-54013", Reason::IpBlocked, page);
    }

    #[test]
    fn the_clock() {
        assert!(clock(Some(31.4)).contains("31 s ahead of"));
        assert!(clock(Some(0.4)).contains("within 5 s"));
        assert!(clock(None).contains("no Date"));
    }

    proptest! {
        #[test]
        fn any_answer_becomes_one_printable_line(status: u16, body: Vec<u8>, detail: String) {
            for body in [body, serde_json::json!({"detail": detail}).to_string().into_bytes()] {
                if let Some(error) = error(status, &body, None) {
                    let line = error.cleaned(str::to_owned).to_string();
                    assert!(!line.contains(char::is_control) && line.chars().count() <= 401, "{line}");
                }
            }
        }
    }
}
