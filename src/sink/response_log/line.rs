//! An exchange as one line of JSON.
//!
//! The names are in the field's words rather than Datadog's. Of those, Datadog reserves two in its preprocessing of JSON logs: it takes
//! `status` for the log's level, and an HTTP status is none, so that every line is `info` until a pipeline maps another member; and
//! `source` may be overridden by the `source` that the Agent's configuration names, which chooses the pipeline. `time` is none of the
//! names that it reads a date from by itself (`date`, `timestamp`, `@timestamp` and such): a date remapper on `time` makes it so.

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::Exchange;

/// The members, in this order. `time` stays the first: it tells how old a file is.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    account: &'a str,
    source: &'a str,
    api: &'a str,
    method: &'a str,
    endpoint: &'a str,
    cpcodes: &'a [u64],
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    duration_seconds: f64,
    body_bytes: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    body_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// The beginning of every line, up to the time.
const BEGINNING: &str = "{\"time\":\"";

/// So long a beginning of a line has the whole time.
pub(super) const LONGEST_BEGINNING: usize = 64;

/// The line of an exchange, with its end. It can be parsed, whatever the body.
///
/// # Errors
///
/// If there is no way to write it as JSON.
pub(super) fn line(exchange: &Exchange) -> serde_json::Result<Vec<u8>> {
    if let Some(response) = json(exchange) {
        let line = with(exchange, Some(response), None)?;
        // What is JSON by its grammar alone, such as half a surrogate or a nest too deep, would cost a shipper the line.
        if serde_json::from_slice::<serde_json::Value>(&line).is_ok() {
            return Ok(line);
        }
    }
    with(exchange, None, Some(exchange.body.as_str()).filter(|body| !body.is_empty()))
}

fn with(
    exchange: &Exchange,
    response: Option<Box<RawValue>>,
    body: Option<&str>,
) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Line {
        time: exchange.time.to_rfc3339_opts(SecondsFormat::Millis, true),
        account: &exchange.account,
        source: &exchange.source,
        api: exchange.api,
        method: &exchange.method,
        endpoint: &exchange.endpoint,
        cpcodes: &exchange.cpcodes,
        status: exchange.status,
        error: exchange.failure.as_deref(),
        // Beyond microseconds it is noise.
        duration_seconds: (exchange.duration.as_secs_f64() * 1e6).round() / 1e6,
        body_bytes: exchange.body_length,
        body_truncated: exchange.is_cut,
        response,
        body,
    })?;
    line.push(b'\n');
    Ok(line)
}

/// The body as it is, if it is whole and JSON.
fn json(exchange: &Exchange) -> Option<Box<RawValue>> {
    if exchange.is_cut {
        return None;
    }
    let value: &RawValue = serde_json::from_str(&exchange.body).ok()?;
    RawValue::from_string(on_one_line(value.get()).into_owned()).ok()
}

/// JSON without the blanks between its tokens, where an end of line is among them. Within strings JSON has none.
fn on_one_line(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', '\r']) {
        return Cow::Borrowed(json);
    }
    let (mut compact, mut in_string, mut is_escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_string || !c.is_ascii_whitespace() {
            compact.push(c);
        }
        in_string ^= c == '"' && !is_escaped;
        is_escaped = in_string && c == '\\' && !is_escaped;
    }
    Cow::Owned(compact)
}

/// The time that a line begins with, if it is one of these.
pub(super) fn time_of(line: &[u8]) -> Option<chrono::DateTime<chrono::Utc>> {
    let rest = line.strip_prefix(BEGINNING.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;
    use serde_json::Value;

    use super::*;
    use crate::sink::sample;

    fn of(body: &str) -> Exchange {
        Exchange {
            body: body.to_owned(),
            body_length: body.len(),
            ..sample::exchanges().into_iter().next().unwrap()
        }
    }

    fn text(exchange: &Exchange) -> String {
        let text = String::from_utf8(line(exchange).unwrap()).unwrap();
        assert_eq!((text.matches(['\n', '\r']).count(), text.ends_with('\n')), (1, true), "{text}");
        text.trim_end().to_owned()
    }

    #[track_caller]
    fn check(body: &str, end: &str) {
        let text = text(&of(body));
        assert!(text.ends_with(&format!(",\"body_bytes\":{}{end}}}", body.len())), "{text}");
        serde_json::from_str::<Value>(&text).unwrap();
    }

    #[test]
    fn the_members() {
        assert_eq!(
            text(&sample::exchanges()[0]),
            r#"{"time":"2026-11-20T10:00:00.000Z","account":"default","source":"amd","api":"reporting","method":"POST","#
                .to_owned()
                + r#""endpoint":"/reporting-api/v2/reports/delivery/traffic/current/data?start=2026-11-20T09%3A55%3A00Z","#
                + r#""cpcodes":[1209788,100001],"status":200,"duration_seconds":1.234,"body_bytes":50,"#
                + r#""response":{"data":[{"cpcode":"1209788","edgeHitsSum":8200}]}}"#
        );
        let lost = text(&sample::exchanges()[2]);
        let end =
            r#""status":null,"error":"no whole answer in time","duration_seconds":1.234,"body_bytes":0}"#;
        assert!(lost.ends_with(end), "{lost}");
        let cut = text(&sample::exchanges()[3]);
        let end = r#""body_bytes":4000000,"body_truncated":true,"body":"{\"data\":[{\"cpcode\":\"12097"}"#;
        assert!(cut.ends_with(end), "{cut}");
    }

    #[test]
    fn a_body_that_is_json_is_kept_as_it_is() {
        check(
            r#"{"a": 1.50, "b" :12345678901234567890123}"#,
            r#","response":{"a": 1.50, "b" :12345678901234567890123}"#,
        );
        check(r#"{"a":1,"a":2}"#, r#","response":{"a":1,"a":2}"#);
        check(
            "{\r\n  \"a b\": [1,\n 2],\t\"c\\\" \\\\\": \" x \"\n}\n",
            r#","response":{"a b":[1,2],"c\" \\":" x "}"#,
        );
        check(" 7 ", r#","response":7"#);
        check("null", r#","response":null"#);
    }

    #[test]
    fn any_other_body_is_text() {
        check("", "");
        check(" ", r#","body":" ""#);
        check("1\n2", r#","body":"1\n2""#);
        check("tr\nue", r#","body":"tr\nue""#);
        check("{}{}", r#","body":"{}{}""#);
        check("<p>\u{0}\u{1b}\u{fffd}</p>", "\u{2c}\"body\":\"<p>\\u0000\\u001b\u{fffd}</p>\"");
        check("\"new\nline\"", r#","body":"\"new\nline\"""#);
        // JSON that parsers refuse, though its grammar is right.
        check(r#"["\ud800"]"#, r#","body":"[\"\\ud800\"]""#);
        let deep = "[".repeat(500) + &"]".repeat(500);
        check(&deep, &format!(",\"body\":\"{deep}\""));
        check(
            r#"{"$serde_json::private::Number":"x"}"#,
            r#","body":"{\"$serde_json::private::Number\":\"x\"}""#,
        );
    }

    #[test]
    fn json_that_was_cut_is_text() {
        let cut = Exchange { is_cut: true, ..of("12345") };
        assert!(text(&cut).ends_with(r#""body_truncated":true,"body":"12345"}"#));
    }

    #[test]
    fn a_line_tells_its_time() {
        let exchange = of("");
        assert_eq!(time_of(&line(&exchange).unwrap()[..LONGEST_BEGINNING]), Some(exchange.time));
        assert_eq!(time_of(b"{\"time\":\"soon\""), None);
        assert_eq!(time_of(b"text"), None);
    }

    proptest! {
        #[test]
        fn every_line_can_be_parsed(body: String, cut: bool, account: String) {
            let exchange = Exchange { is_cut: cut, account, ..of(&body) };
            let value: Value = serde_json::from_str(&text(&exchange)).unwrap();
            assert_eq!(value["account"].as_str(), Some(exchange.account.as_str()));
        }

        #[test]
        fn blanks_do_not_change_what_json_says(body in "[ \\n\\r\\t{}\\[\\]:,\"\\\\a1]{0,12}") {
            let value: Value = serde_json::from_str(&text(&of(&body))).unwrap();
            if let Ok(parsed) = serde_json::from_str::<Value>(&body) {
                assert_eq!(value["response"], parsed);
            } else if !body.is_empty() {
                assert_eq!(value["body"].as_str(), Some(body.as_str()));
            }
        }
    }
}
