//! The traffic report, asked as the gateway asks it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{API, definition};
use crate::simulator::Options;
use crate::simulator::api::{Call, Outcome};
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::world::World;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap()
}

fn call(method: Method, target: &str, body: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    Call {
        sequence: 1,
        now: now(),
        method,
        uri: target.parse().unwrap(),
        headers,
        host: "host".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        address: "127.0.0.1".to_owned(),
    }
}

/// A query of whole windows that end some minutes ago.
fn query(windows: i64, minutes_ago: i64, body: &Value) -> Call {
    let end = now() - TimeDelta::minutes(minutes_ago);
    let start = end - TimeDelta::minutes(5 * windows);
    let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let target = format!("{}?start={}&end={}", definition::DATA, text(start), text(end));
    call(Method::POST, &target, &body.to_string())
}

fn ask_with(options: &Options, call: &Call, faults: &[Fault]) -> Outcome {
    (API.answer)(&World::of(options), call, &Strikes::from(faults))
}

fn ask(call: &Call) -> (u16, Value) {
    let Outcome { answer, .. } = ask_with(&Options::default(), call, &[]);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

fn text(call: &Call) -> String {
    let Outcome { answer, .. } = ask_with(&Options::default(), call, &[]);
    String::from_utf8(answer.body().to_vec()).unwrap()
}

/// The rows that a fault makes of twelve old windows of two CP codes.
fn spoiled(faults: &[Fault]) -> (Vec<Value>, Value) {
    let body = json!({
        "metrics": ["edgeHitsSum", "originHitsSum"],
        "dimensions": ["time5minutes", "cpcode"],
        "filters": [{ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": ["1209788", "100001"] }],
    });
    let outcome = ask_with(&Options::default(), &query(12, 60, &body), faults);
    let body: Value = serde_json::from_slice(outcome.answer.body()).unwrap();
    let rows = body["data"].as_array().unwrap().clone();
    assert_eq!(outcome.rows, Some(rows.len()));
    (rows, body["metadata"].clone())
}

#[test]
fn the_options_tell_limits_metrics_and_dimensions() {
    let (status, options) = ask(&call(Method::GET, definition::PATH, ""));
    assert_eq!((status, &options["status"]), (200, &json!("PUBLISHED")));
    let limits = json!({
        "maxDimensions": 4, "maxDateRangeInDays": 92, "maxRetentionInDays": 92, "textFilterMaxLength": 100,
        "dataPointsLimit": 50_000,
    });
    assert_eq!(options["limits"], limits);
    assert_eq!(options["metrics"].as_array().unwrap().len(), 16);
    assert_eq!(options["metrics"][0]["type"], "LONG");
    assert_eq!(options["metrics"][12]["type"], "DOUBLE");
    assert_eq!(options["dimensions"].as_array().unwrap().len(), 15);
    assert_eq!(options["dimensions"][0]["filterable"], false);
    assert_eq!(options["dimensions"][3]["authorizable"], true);
    assert_eq!(options["dimensions"][7]["filterEnumValues"], json!(["error", "success"]));
    let limited = Options { in_list_limit: Some(100), ..Options::default() };
    let answer = ask_with(&limited, &call(Method::GET, definition::PATH, ""), &[]).answer;
    let options: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(options["limits"]["inListFilterMaxValues"], 100);
}

#[test]
fn reports_are_listed_and_unknown_ones_are_not_found() {
    for path in ["", "/delivery", "/delivery/traffic"] {
        let (status, list) = ask(&call(Method::GET, &format!("/reporting-api/v2/reports{path}"), ""));
        assert_eq!((status, &list["reports"][0]["reportName"]), (200, &json!("delivery/traffic/current")));
    }
    let (status, error) = ask(&call(Method::GET, "/reporting-api/v2/reports/delivery/traffic/x", ""));
    assert_eq!((status, &error["type"]), (404, &json!("/reporting-api/error-types/report-not-found")));
    assert_eq!(error["detail"], "Report definition '/delivery/traffic/x' not found");
    assert_eq!(ask(&call(Method::GET, definition::DATA, "")).0, 405);
    assert_eq!(ask(&call(Method::POST, definition::PATH, "")).0, 405);
}

#[test]
fn rows_are_flat_and_metadata_repeat_the_query() {
    let body = json!({
        "metrics": ["edgeHitsSum", "offloadedHitsPercentage", "originHitsSum"],
        "dimensions": ["time5minutes", "cpcode", "responseClass"],
        "filters": [{ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": ["1209788", 100_001] }],
        "sortBys": [{ "name": "edgeHitsSum", "sortOrder": "DESCENDING" }],
        "limit": 7,
    });
    let (status, answer) = ask(&query(2, 60, &body));
    assert_eq!(status, 200, "{answer}");
    let rows = answer["data"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    let hits = |row: &Value| row["edgeHitsSum"].as_u64().unwrap();
    assert!(rows.windows(2).all(|pair| hits(&pair[0]) >= hits(&pair[1])));
    for row in rows {
        assert!([1_795_193_400_u64, 1_795_193_700].contains(&row["time5minutes"].as_u64().unwrap()), "{row}");
        let (edge, origin) = (hits(row) as f64, row["originHitsSum"].as_u64().unwrap() as f64);
        let offload = row["offloadedHitsPercentage"].as_f64().unwrap();
        assert!((offload - (edge - origin) * 100.0 / edge).abs() < 1e-9, "{row}");
        assert_eq!(row.as_object().unwrap().len(), 6);
    }
    let metadata = &answer["metadata"];
    assert_eq!(metadata["start"], "2026-11-20T16:50:00Z");
    assert_eq!(metadata["limit"], 7);
    assert_eq!(metadata["hasMoreRows"], true);
    assert_eq!(metadata["filters"][0]["expressions"], json!(["1209788", "100001"]));
    assert_eq!(metadata["sortBys"], body["sortBys"]);
    assert_eq!(metadata["dimensions"][2]["name"], "responseClass");
}

#[test]
fn without_a_body_the_defaults_hold_and_times_have_nanoseconds() {
    for body in ["", "{}"] {
        let (status, answer) = ask(&call(Method::POST, definition::DATA, body));
        assert_eq!(status, 200);
        let row = answer["data"][0].as_object().unwrap();
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(names, ["hostname", "responseCode", "edgeHitsSum", "edgeBytesSum"]);
        let metadata = &answer["metadata"];
        let start = metadata["start"].as_str().unwrap();
        assert!(start.starts_with("2026-11-20T17:41:00.000") && start.len() == 30, "{start}");
        let all = ["1209788", "100001", "100002", "100003", "100004"];
        let implicit = json!([{ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": all }]);
        assert_eq!(metadata["filters"], implicit);
        let hostnames: Vec<&Value> =
            answer["data"].as_array().unwrap().iter().map(|row| &row["hostname"]).collect();
        for name in ["Others", "N/A", "odd\"name\\100002.example", "b\u{fc}cher-100003.example"] {
            assert!(hostnames.contains(&&json!(name)), "{name}");
        }
    }
    let mut call = call(Method::POST, &format!("{}?timeRange=LAST_2_DAYS", definition::DATA), "{}");
    assert_eq!(ask(&call).1["metadata"]["start"], "2026-11-18T18:00:00Z");
    call.uri = format!("{}?timeRange=LAST_1_MINUTE", definition::DATA).parse().unwrap();
    assert_eq!(ask(&call).0, 400);
}

#[test]
fn young_windows_are_absent() {
    let body = json!({ "metrics": ["edgeHitsSum"], "dimensions": ["time5minutes", "cpcode"] });
    let (_, answer) = ask(&query(12, 0, &body));
    let times = answer["data"].as_array().unwrap().iter().map(|row| row["time5minutes"].as_i64().unwrap());
    assert_eq!(times.max().unwrap(), now().timestamp() - 900);
    assert_eq!(ask(&query(1, 0, &body)).1["data"], json!([]));
}

#[test]
fn filters_hold() {
    let rows = |filter: Value| -> Vec<Value> {
        let body = json!({ "metrics": ["edgeHitsSum"], "dimensions": ["cpcode", "responseCode"], "filters": [filter] });
        let (status, answer) = ask(&query(2, 60, &body));
        assert_eq!(status, 200, "{answer}");
        answer["data"].as_array().unwrap().clone()
    };
    let of = |name: &str, operator: &str, list: &[&str]| {
        rows(json!({ "dimensionName": name, "operator": operator, "expressions": list }))
    };
    let codes = |rows: &[Value], keep: fn(u64) -> bool| {
        !rows.is_empty() && rows.iter().all(|row| keep(row["responseCode"].as_u64().unwrap()))
    };
    assert!(codes(&of("responseCode", "IN_LIST", &["200", "404"]), |code| code == 200 || code == 404));
    assert!(codes(&of("responseCode", "EXACT", &["304"]), |code| code == 304));
    assert!(codes(&of("responseCode", "BEGINS_WITH", &["4", "5"]), |code| code >= 400));
    assert!(codes(&of("responseCode", "NOT_ENDS_WITH", &["4"]), |code| code % 10 != 4));
    assert!(codes(&of("responseCode", "CONTAINS", &["0"]), |code| code.to_string().contains('0')));
    assert!(codes(&of("responseClass", "NOT_IN_LIST", &["2xx"]), |code| code / 100 != 2));
    assert!(codes(&of("responseStatus", "IN_LIST", &["success"]), |code| (100..400).contains(&code)));
    let rest = of("cpcode", "NOT_IN_LIST", &["1209788", "100001"]);
    assert!(rest.iter().all(|row| row["cpcode"].as_u64().unwrap() >= 100_002) && !rest.is_empty());
    assert!(of("hostname", "BEGINS_WITH", &["www-100003"]).iter().all(|row| row["cpcode"] == 100_003));
    assert_eq!(of("hostname", "IN_LIST", &["nobody.example"]), Vec::<Value>::new());
    let large =
        rows(json!({ "metricName": "edgeHitsSum", "operator": "GREATER_THAN", "expression": "1000" }));
    assert!(large.iter().all(|row| row["edgeHitsSum"].as_u64().unwrap() > 1_000) && !large.is_empty());
}

#[test]
fn bodies_are_read_strictly() {
    let filter = |filter: Value| json!({ "filters": [filter] });
    for (body, kind, detail) in [
        (json!({ "metrics": ["x"] }), "metrics", "Incorrect metric name: 'x'"),
        (json!({ "metrics": [7] }), "metrics", "Incorrect metric name: '7'"),
        (json!({ "metrics": "edgeHitsSum" }), "metrics", "must be a list"),
        (json!({ "metrics": ["edgeHitsSum", "edgeHitsSum"] }), "metrics", "twice"),
        (json!({ "dimensions": ["interval"] }), "dimensions", "Incorrect dimension name: 'interval'"),
        (
            json!({ "dimensions": ["time1day", "cpcode", "hostname", "ipVersion", "arlId"] }),
            "dimensions",
            "At most 4 dimensions",
        ),
        (json!({ "dimensions": ["time1day", "time1hour"] }), "dimensions", "At most one time dimension"),
        (json!({ "interval": 300 }), "body", "Unknown member: 'interval'"),
        (json!({ "limit": -1 }), "limit", "0 or more"),
        (json!({ "limit": "5" }), "limit", "0 or more"),
        (
            json!({ "sortBys": [{ "name": "cpcode", "sortOrder": "ASCENDING" }] }),
            "sortBys",
            "Incorrect sorting",
        ),
        (
            json!({ "sortBys": [{ "name": "edgeHitsSum", "sortOrder": "UP" }] }),
            "sortBys",
            "Incorrect sorting",
        ),
        (filter(json!("cpcode")), "filters", "must be an object"),
        (filter(json!({ "name": "cpcode" })), "filters", "either dimensionName or metricName"),
    ] {
        check(&query(1, 60, &body), kind, detail);
    }
    check(&call(Method::POST, definition::DATA, "[]"), "body", "must be a JSON object");
    let mut plain = call(Method::POST, definition::DATA, "{}");
    plain.headers.insert("content-type", "text/plain".parse().unwrap());
    check(&plain, "body", "must be application/json");
}

#[test]
fn filters_are_read_strictly() {
    let filter = |filter: Value| json!({ "filters": [filter] });
    let of = |name: &str, operator: &str, list: Value| json!({ "filters": [{ "dimensionName": name, "operator": operator, "expressions": list }] });
    for (body, detail) in [
        (of("cpcodes", "IN_LIST", json!(["1"])), "Incorrect dimension name: 'cpcodes'"),
        (of("cpcode", "EXACT", json!(["1209788"])), "not allowed for dimension 'cpcode'"),
        (of("cpcode", "IN_LIST", json!(["abc"])), "Incorrect value of 'cpcode'"),
        (of("cpcode", "IN_LIST", json!([])), "at least one"),
        (of("cpcode", "IN_LIST", json!([""])), "must be texts"),
        (of("cpcode", "IN_LIST", json!(["1209788", 1_209_788])), "unique"),
        (of("responseClass", "BEGINS_WITH", json!(["2"])), "not allowed"),
        (of("responseClass", "IN_LIST", json!(["7xx"])), "Incorrect value of 'responseClass'"),
        (of("time5minutes", "IN_LIST", json!(["1"])), "not filterable"),
        (of("hostname", "IN", json!(["a"])), "Incorrect operator: 'IN'"),
        (of("hostname", "MATCH_REGEXP", json!(["a"])), "not supported"),
        (of("hostname", "CONTAINS", json!(["a".repeat(101)])), "longer than 100"),
        (
            filter(json!({ "metricName": "edgeHitsSum", "operator": "EQUAL", "expression": 1 })),
            "a number as text",
        ),
        (
            filter(json!({ "metricName": "hits", "operator": "EQUAL", "expression": "1" })),
            "Incorrect metric name: 'hits'",
        ),
    ] {
        check(&query(1, 60, &body), "filters", detail);
    }
}

#[test]
fn parameters_are_read_strictly() {
    let with = |parameters: &str| call(Method::POST, &format!("{}?{parameters}", definition::DATA), "{}");
    for (parameters, kind, detail) in [
        ("start=2026-11-20T10:00:00Z", "timeRange", "both start and end"),
        ("start=2026-11-20T10:00:00Z&end=2026-11-20T11:00:00Z&timeRange=LAST_1_DAY", "timeRange", "both"),
        ("start=2026-11-20&end=2026-11-21", "timeRange", "ISO 8601"),
        ("start=2026-11-20T10:00:00Z&end=2026-11-20T10:00:00Z", "start", "before the end"),
        ("start=2026-08-19T00:00:00Z&end=2026-11-20T00:00:00Z", "start", "exceeds the limit of 92 days"),
        ("start=2026-08-19T00:00:00Z&end=2026-08-20T00:00:00Z", "start", "exceeds the retention of 92 days"),
        ("timeRange=LAST_1_DAY&timeRange=LAST_1_DAY", "query", "given twice"),
        ("interval=FIVE_MINUTES", "query", "Unknown query parameter: 'interval'"),
        ("async=yes", "async", "true or false"),
        ("pageSize=5", "pageSize", "for an async query"),
        ("async=true&pageSize=0", "pageSize", "1 or more"),
    ] {
        check(&with(parameters), kind, detail);
    }
}

fn check(call: &Call, kind: &str, detail: &str) {
    let (status, error) = ask(call);
    assert_eq!(status, 400, "{detail}");
    assert_eq!(error["type"], "/reporting-api/error-types/invalid-request");
    let errors = error["errors"].as_array().unwrap();
    let found = |error: &&Value| error["type"] == kind && error["detail"].as_str().unwrap().contains(detail);
    assert!(errors.iter().any(|error| found(&error)), "{detail}: {error}");
    assert_eq!(errors[0]["title"], "Validation error");
}

#[test]
fn a_list_may_be_limited() {
    let list = |expressions: &[&str]| {
        let filter = json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": expressions });
        query(1, 60, &json!({ "filters": [filter] }))
    };
    let options = Options { in_list_limit: Some(2), ..Options::default() };
    assert_eq!(ask_with(&options, &list(&["1209788", "100001"]), &[]).answer.status(), 200);
    assert_eq!(ask_with(&options, &list(&["1209788", "100001", "100002"]), &[]).answer.status(), 400);
}

#[test]
fn unknown_cp_codes_are_unauthorized_and_all_are_named() {
    let list = ["4711", "1209788", "1234"];
    let filter = json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": list });
    let query = query(1, 60, &json!({ "filters": [filter] }));
    let (status, error) = ask(&query);
    assert_eq!((status, &error["type"]), (403, &json!("/reporting-api/error-types/unauthorized-objects")));
    assert_eq!(error["detail"], "Some of the requested objects are unauthorized: [4711, 1234]");
    assert_eq!((API.subject)(&query).cpcodes, [4711, 1_209_788, 1234]);
}

#[test]
fn a_query_can_be_too_costly() {
    let days = |days: i64, filters: Value| {
        let body = json!({ "metrics": ["edgeHitsSum"], "dimensions": ["time1day"], "filters": filters });
        ask(&query(days * 288, 0, &body)).0
    };
    assert_eq!(days(92, json!([])), 422);
    let one = json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": ["100002"] });
    assert_eq!(days(92, json!([one])), 200);
    let thousand = Options { cpcodes: "1-1000".parse().unwrap(), ..Options::default() };
    let list: Vec<String> = (1..=1_000).map(|cpcode| cpcode.to_string()).collect();
    let filter = json!([{ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": list }]);
    let body =
        json!({ "metrics": ["edgeHitsSum"], "dimensions": ["time5minutes", "cpcode"], "filters": filter });
    assert_eq!(ask_with(&thousand, &query(24, 60, &body), &[]).answer.status(), 200);
    let answer =
        ask_with(&Options { cost_limit: 9, ..Options::default() }, &query(2, 60, &json!({})), &[]).answer;
    let error: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(error["type"], "/reporting-api/error-types/query-cost-exceeded");
    assert_eq!(error["detail"], "Exceeded limit of maximum query cost");
}

#[test]
fn csv_has_its_sections() {
    let filter =
        json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": ["1209788", "100002"] });
    let body =
        json!({ "metrics": ["edgeHitsSum"], "dimensions": ["cpcode", "hostname"], "filters": [filter] });
    let mut query = query(2, 60, &body);
    query.headers.insert("accept", "text/csv".parse().unwrap());
    let csv = text(&query);
    let start = "#METADATA_START\ngroupBy,cpcode,hostname\nstart,2026-11-20T16:50:00Z\nend,2026-11-20T17:00:00Z\n\
                 rowCount,6\ncpcode,1209788,100002\n#METADATA_END\n\n#COLUMN_START\ncpcode,hostname,edgeHitsSum\n\
                 #COLUMN_END\n\n#DATA_START\n";
    assert!(csv.starts_with(start), "{csv}");
    assert!(csv.ends_with("\n#DATA_END\n"), "{csv}");
    assert!(csv.contains("\n100002,\"odd\"\"name\\100002.example\","), "{csv}");
}

#[test]
fn an_async_query_is_answered_later_in_pages() {
    let body = json!({ "metrics": ["edgeHitsSum"], "dimensions": ["time5minutes", "cpcode"] });
    let mut query = query(4, 30, &body);
    let (status, whole) = ask(&query);
    assert_eq!(status, 200);
    let whole = whole["data"].as_array().unwrap().clone();
    query.uri = format!("{}&async=true&pageSize=7", query.uri).parse().unwrap();
    let answer = ask_with(&Options::default(), &query, &[]).answer;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (303, 0));
    assert_eq!(answer.headers()["retry-after"], "60");
    let path = answer.headers()["location"].to_str().unwrap().to_owned();
    let id = path.strip_prefix(definition::QUERIES).unwrap();
    assert!(id.contains('.') && id.contains('+') && id.ends_with('=') && !id.contains('/'), "{id}");

    let mut page = call(Method::GET, &path, "");
    page.now = now() + TimeDelta::seconds(59);
    let waiting = ask_with(&Options::default(), &page, &[]).answer;
    assert_eq!(
        (waiting.status().as_u16(), waiting.headers()["location"].to_str().unwrap()),
        (303, path.as_str())
    );
    let mut rows = Vec::new();
    let mut pages = 0;
    // Long after, and still what was reported when it was asked.
    page.now = now() + TimeDelta::hours(3);
    loop {
        let (status, answer) = ask(&page);
        assert_eq!(status, 200, "{answer}");
        rows.extend(answer["data"].as_array().unwrap().clone());
        pages += 1;
        assert_eq!(answer["metadata"]["totalRows"], whole.len());
        assert_eq!(answer["metadata"]["requestTime"], "2026-11-20T18:00:00.000Z");
        let links = answer["metadata"]["links"].as_array().unwrap();
        let Some(next) = links.iter().find(|link| link["rel"] == "next") else { break };
        page.uri = next["href"].as_str().unwrap().parse().unwrap();
    }
    assert_eq!((rows, pages), (whole, 3));
    page.headers.insert("accept", "text/csv".parse().unwrap());
    let csv = text(&page);
    assert!(csv.contains("totalRowCount,") && csv.contains("\n#LINKS_START\nfirst,/reporting-api/"), "{csv}");
    page.now = now() + TimeDelta::days(7);
    assert_eq!(ask(&page).0, 404);
    assert_eq!(ask(&call(Method::GET, &format!("{}nonsense", definition::QUERIES), "")).0, 404);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_query_is_too_strange(parameters in ".{0,60}", body in ".{0,80}", id in "[0-9A-Za-z.+=]{0,60}") {
        let escaped: String = parameters.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for target in [
            format!("{}?{escaped}", definition::DATA),
            format!("{}?start={escaped}&end={escaped}", definition::DATA),
            format!("{}.q+{id}", definition::QUERIES),
        ] {
            for method in [Method::GET, Method::POST] {
                let call = call(method, &target, &body);
                ask(&call);
                (API.subject)(&call);
            }
        }
        let filter = json!({ "dimensionName": "hostname", "operator": "CONTAINS", "expressions": [&body] });
        ask(&query(1, 60, &json!({ "filters": [filter], "limit": 1 })));
        ask(&query(1, 60, &json!({ "metrics": [&body], "dimensions": [&id], "sortBys": [&body], "filters": &body })));
    }
}

#[test]
fn a_made_up_id_is_not_found() {
    for asked in [i64::MAX, i64::MIN, 8_200_000_000_000_000, -8_200_000_000_000_000, 0] {
        let ticket = json!([asked, 0, definition::DATA, "{}"]).to_string();
        let id = base64::engine::general_purpose::STANDARD.encode(ticket).replace('/', ".");
        assert_eq!(ask(&call(Method::GET, &format!("{}.q+{id}", definition::QUERIES), "")).0, 404, "{asked}");
    }
}

#[test]
fn faults_spoil_some_rows() {
    let (sound, _) = spoiled(&[]);
    let strange = |fault: Fault, is: fn(&Value) -> bool| {
        let (rows, _) = spoiled(&[fault]);
        let struck = rows.iter().filter(|row| is(&row["edgeHitsSum"])).count();
        assert_eq!(struck, sound.len().div_ceil(7), "{fault:?}");
        assert_eq!(rows.len(), sound.len());
    };
    strange(Fault::Negative, |value| value.as_i64().is_some_and(|number| number < 0));
    strange(Fault::Fractional, |value| value.to_string().ends_with(".5"));
    strange(Fault::HugeValue, |value| {
        ["1e+300", "1e300", "99999999999999999999"].contains(&&*value.to_string())
    });
    strange(Fault::WrongType, |value| value.is_object() || value.is_string());
    let (rows, _) = spoiled(&[Fault::MissingColumn]);
    assert!(rows.iter().all(|row| row.get("originHitsSum").is_none() && row.get("edgeHitsSum").is_some()));
    let (rows, _) = spoiled(&[Fault::ExtraColumn]);
    assert!(rows.iter().all(|row| row["surprise"] == "!"));
    let (rows, _) = spoiled(&[Fault::StringNumbers]);
    assert!(rows.iter().flat_map(|row| row.as_object().unwrap().values()).all(Value::is_string));
    let (rows, _) = spoiled(&[Fault::Empty]);
    assert!(rows.is_empty());
    let (rows, metadata) = spoiled(&[Fault::MoreRows]);
    assert_eq!((rows.len(), &metadata["hasMoreRows"]), (sound.len() / 2, &json!(true)));
}

#[test]
fn faults_add_rows() {
    let (sound, _) = spoiled(&[]);
    let added = |fault: Fault| {
        let (rows, _) = spoiled(&[fault]);
        assert_eq!(rows[..sound.len()], sound[..], "{fault:?}");
        rows[sound.len()..].to_vec()
    };
    assert!(added(Fault::DuplicateRow).iter().enumerate().all(|(place, row)| *row == sound[place * 7]));
    let conflicting = added(Fault::ConflictingRow);
    assert_eq!(conflicting[0]["edgeHitsSum"], sound[0]["edgeHitsSum"].as_u64().unwrap() + 1);
    assert!(added(Fault::ForeignCpcode).iter().all(|row| row["cpcode"] == 999_999_999));
    let strays = added(Fault::OutOfRange);
    let times: Vec<i64> = strays.iter().map(|row| row["time5minutes"].as_i64().unwrap()).collect();
    let (start, end) = (now().timestamp() - 7_200, now().timestamp() - 3_600);
    assert!(times.contains(&(start - 300)) && times.contains(&end), "{times:?}");
    assert!(times.iter().all(|&time| time < start || time >= end));
}

#[test]
fn faults_refuse() {
    let call = query(1, 60, &json!({}));
    let status = |fault| ask_with(&Options::default(), &call, &[fault]).answer.status().as_u16();
    assert_eq!(status(Fault::QueryCost), 422);
    // Nobody was named, so nobody is refused.
    assert_eq!(status(Fault::UnauthorizedCpcode), 200);
    let filter =
        json!({ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": ["1209788", "100001"] });
    let call = query(1, 60, &json!({ "filters": [filter] }));
    let answer = ask_with(&Options::default(), &call, &[Fault::UnauthorizedCpcode]).answer;
    let error: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(error["detail"], "Some of the requested objects are unauthorized: [1209788]");
}

#[test]
fn a_large_account_is_answered() {
    let options = Options { cpcodes: "100001-101000".parse().unwrap(), ..Options::default() };
    let body = json!({
        "metrics": definition::METRICS[..12].iter().map(|metric| metric.name).collect::<Vec<_>>(),
        "dimensions": ["time5minutes", "cpcode", "responseClass"],
    });
    let outcome = ask_with(&options, &query(13, 0, &body), &[]);
    assert_eq!(outcome.rows, Some(definition::DATA_POINTS_LIMIT));
    assert_eq!(ask(&query(13, 0, &json!({}))).0, 200);
}
