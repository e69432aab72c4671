use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use chrono::{DateTime, TimeZone, Utc};
use serde_json::{Value, json};

use super::{API, MediaDelivery};
use crate::simulator::Options;
use crate::simulator::api::{Call, Outcome};
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::traffic::table::Question;
use crate::simulator::world::World;

const REALTIME: &str = "realtime-data?startDate=2026-11-20T16:00Z&endDate=2026-11-20T17:00Z&aggregation=300";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap()
}

fn historic() -> Options {
    Options { media_delivery: MediaDelivery::Historic, ..Options::default() }
}

fn ask_with(options: &Options, target: &str, faults: &[Fault]) -> (u16, Value) {
    let call = Call {
        sequence: 1,
        now: now(),
        method: Method::GET,
        uri: format!("/media-delivery-reports/v1/adaptive-media-delivery/{target}").parse().unwrap(),
        headers: HeaderMap::new(),
        host: "host".to_owned(),
        body: Bytes::new(),
        address: "127.0.0.1".to_owned(),
    };
    let Outcome { answer, .. } = (API.answer)(&World::of(options), &call, &Strikes::from(faults));
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

fn ask(target: &str) -> Value {
    let (status, body) = ask_with(&historic(), target, &[]);
    assert_eq!(status, 200, "{target}: {body}");
    body
}

/// A column by its id. A dimension and a metric may have the same.
fn column(body: &Value, kind: &str, id: u32) -> Value {
    let columns = body["columns"].as_array().unwrap();
    columns.iter().find(|column| column["type"] == kind && column["id"] == id).unwrap().clone()
}

/// The cells of a column.
fn cells(body: &Value, kind: &str, id: u32) -> Vec<String> {
    let column = column(body, kind, id);
    let index = column["index"].as_u64().unwrap() as usize;
    let rows = body["rows"].as_array().unwrap().iter();
    rows.map(|row| row[index].as_str().unwrap().to_owned()).collect()
}

fn aggregate(body: &Value, id: u32) -> String {
    column(body, "METRIC", id)["aggregate"].as_str().unwrap().to_owned()
}

#[test]
fn it_is_gone_unless_it_is_not() {
    let (status, gone) = ask_with(&Options::default(), REALTIME, &[]);
    assert_eq!(
        (status, &gone["type"], &gone["title"]),
        (410, &json!("Resource Gone"), &json!("Resource Gone error"))
    );
    let not_found = Options { media_delivery: MediaDelivery::NotFound, ..Options::default() };
    assert_eq!(ask_with(&not_found, REALTIME, &[]).0, 404);
    assert_eq!(ask_with(&historic(), "data-stores", &[]).0, 404);
    for mode in ["retired", "historic", "not-found"] {
        assert_eq!(mode.parse::<MediaDelivery>().unwrap().to_string(), mode);
    }
    assert!("gone".parse::<MediaDelivery>().is_err());
}

#[test]
fn every_cell_is_a_string_and_the_classes_add_up_to_what_is_reported() {
    let metrics = "616,617,618,619,620,630,631";
    let body = ask(&format!("{REALTIME}&dimensions=600&metrics={metrics}&cpcodes=1209788,100001"));
    let sum =
        |id: u32| cells(&body, "METRIC", id).iter().map(|cell| cell.parse::<u64>().unwrap()).sum::<u64>();
    let reported = Question {
        seed: 1,
        cpcodes: &[1_209_788, 100_001],
        start: now().timestamp() - 7_200,
        end: now().timestamp() - 3_600,
        as_of: Some(now().timestamp()),
        dimensions: &[],
        filtered: &[],
        keep: &|_, _| true,
    };
    let sums = reported.rows()[0].sums;
    assert_eq!([616, 617, 618, 619, 620].map(sum).iter().sum::<u64>(), sums.edge.hits);
    assert_eq!((sum(630), sum(631)), (sums.edge.hits, sums.origin.hits));
    assert_eq!(aggregate(&body, 630), sums.edge.hits.to_string());
    let times = cells(&body, "DIMENSION", 600);
    assert_eq!((times.len(), times[0].as_str()), (12, "1795190400"));
    let metadata = json!({
        "aggregation": 300, "startTimeInEpoch": 1_795_190_400, "endTimeInEpoch": 1_795_194_000, "timeZone": "GMT",
        "limit": 300, "offset": 0, "hasMoreData": false, "reportPack": "1",
    });
    assert_eq!(body["metaData"], metadata);
}

#[test]
fn columns_are_not_always_where_they_were_asked_for() {
    let turned = |metrics: &str| {
        let body = ask(&format!("{REALTIME}&dimensions=600&metrics={metrics}"));
        let columns = body["columns"].as_array().unwrap();
        let mut indices: Vec<u64> = columns.iter().map(|column| column["index"].as_u64().unwrap()).collect();
        let turned = !indices.is_sorted();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..columns.len() as u64));
        turned
    };
    let all: Vec<bool> = ["617", "618", "619", "617,618", "630,631", "617,630"].map(turned).into();
    assert!(all.contains(&true) && all.contains(&false), "{all:?}");
}

#[test]
fn historical_metrics_have_their_units() {
    let target =
        "data?startDate=2026-11-20T00:00Z&endDate=2026-11-20T12:00Z&aggregation=3600&cpcodes=1209788";
    let ids = "4,18,19,20,24,28,29,30,102,107,116,2,103,221,454,106,169,170,115,168";
    let body = ask(&format!("{target}&dimensions=1,2,4&metrics={ids}"));
    let number = |id: u32| aggregate(&body, id).parse::<f64>().unwrap();
    assert!((number(2) - number(107) - number(116)).abs() < 1e-3);
    assert!((number(103) - number(107) * 8_000.0 / 43_200.0).abs() < 1e-3);
    assert!((number(454) - number(4) / 43_200.0).abs() < 1e-3);
    assert!((number(115) - number(168) * 1e9).abs() < 1e4);
    assert!((0.0..=100.0).contains(&number(169)) && number(106) == number(170));
    assert_eq!(number(102), number(28) + number(29));
    assert!(number(19) + number(20) + number(18) < number(4) && number(30) == 0.0);
    assert!(cells(&body, "DIMENSION", 2).iter().all(|cell| cell == "1209788"));
    let hostnames: std::collections::BTreeSet<_> = cells(&body, "DIMENSION", 4).into_iter().collect();
    assert_eq!(hostnames.len(), 3, "{hostnames:?}");
}

#[test]
fn pages_hold_everything_once() {
    let target = format!("{REALTIME}&dimensions=600&metrics=630");
    let whole = ask(&target);
    let mut rows = Vec::new();
    for page in 0.. {
        let body = ask(&format!("{target}&limit=5&offset={}", page * 5));
        rows.extend(body["rows"].as_array().unwrap().clone());
        assert_eq!(aggregate(&body, 630), aggregate(&whole, 630));
        if body["metaData"]["hasMoreData"] == false {
            break;
        }
    }
    assert_eq!(json!(rows), whole["rows"]);
    assert_eq!(rows.len(), 12);
}

#[test]
fn requests_are_read_strictly() {
    let range = |start: &str, end: &str| {
        format!("realtime-data?startDate={start}&endDate={end}&dimensions=600&metrics=630")
    };
    for (target, status, says) in [
        (range("2026-11-20T17:00Z", "2026-11-20T17:45Z"), 200, ""),
        (range("2026-11-20T18:00%2B01:00", "2026-11-20T18:45%2B01:00"), 200, ""),
        (range("2026-11-20T17:00Z", "2026-11-20T17:46Z"), 400, "15 minutes before now"),
        (range("2026-11-20T17:00:00Z", "2026-11-20T17:45:00Z"), 400, "2026-11-20T10:05Z"),
        (range("2026-11-20T17:00Z", "2026-11-20T17:00Z"), 400, "before the endDate"),
        ("realtime-data?endDate=2026-11-20T17:00Z".to_owned(), 400, "Missing parameter startDate"),
        (format!("{REALTIME}&metrics=630"), 400, "Missing parameter dimensions"),
        (format!("{REALTIME}&dimensions=600"), 400, "Missing parameter metrics"),
        (format!("{REALTIME}&dimensions=600&metrics=1"), 400, "unknown or repeated id 1"),
        (format!("{REALTIME}&dimensions=600&metrics=630,630"), 400, "repeated id 630"),
        (format!("{REALTIME}&dimensions=2&metrics=630"), 400, "The dimensions have"),
        (format!("{REALTIME}&dimensions=600&metrics=630&limit=10001"), 400, "The limit is out of range"),
        (
            format!("{REALTIME}&dimensions=600&metrics=630&filterParams=x"),
            400,
            "Unknown parameter filterParams",
        ),
        (
            format!("{REALTIME}&dimensions=600&metrics=630&cpcodes=4711"),
            403,
            "not authorized to see CP code 4711",
        ),
        (
            "data?startDate=2026-11-20T00:00Z&endDate=2026-11-20T12:00Z&dimensions=1&metrics=105".to_owned(),
            400,
            "unknown or repeated id 105",
        ),
        (
            "data?startDate=2016-11-20T00:00Z&endDate=2026-11-20T12:00Z&dimensions=1&metrics=4".to_owned(),
            400,
            "too long",
        ),
    ] {
        let (got, body) = ask_with(&historic(), &target, &[]);
        assert_eq!(got, status, "{target}: {body}");
        assert!(body["detail"].as_str().unwrap_or_default().contains(says), "{target}: {body}");
    }
    let body = ask(&range("2026-11-20T16:00Z", "2026-11-20T17:00Z"));
    assert_eq!(body["metaData"]["aggregation"], 86_400);
}

#[test]
fn faults() {
    let target = format!("{REALTIME}&dimensions=600&metrics=630&cpcodes=1209788");
    assert_eq!(ask_with(&historic(), &target, &[Fault::UnauthorizedCpcode]).0, 403);
    let (status, body) = ask_with(&historic(), &target, &[Fault::Empty]);
    assert_eq!((status, &body["rows"], aggregate(&body, 630).as_str()), (200, &json!([]), "0"));
}
