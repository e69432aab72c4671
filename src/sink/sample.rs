//! The one set of items that every sink is tested with: the ordinary, and what is meant to break a format.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Exchange, Origin, Parcel, Row, Sheet};

/// When the first window ends.
pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

/// Label values that formats stumble over.
pub(crate) const HOSTILE: [&str; 8] = [
    "pipe|hash#colon:comma,at@",
    "new\nline and \r\n more",
    "quote\" back\\slash",
    "ünïcödé 测试 🎬",
    "",
    "   spaces   ",
    "{curly}=equals;semi",
    "control \u{0} \u{1b}[31m red",
];

fn row(labels: &[&str], values: &[f64]) -> Row {
    Row { labels: labels.iter().map(|label| Arc::from(*label)).collect(), values: values.to_vec() }
}

fn sheet(labels: &[&str], metrics: &[&str], rows: Vec<Row>) -> Sheet {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Sheet { labels: own(labels), metrics: own(metrics), rows }
}

/// A window of a report, `number` windows after [`start`].
pub(crate) fn window(origin: Origin, number: i32) -> Parcel {
    let n = f64::from(number + 1);
    let metrics = [
        "akamai_traffic_edge_hits_total",
        "akamai_traffic_edge_bytes_total",
        "akamai_traffic_origin_hits_total",
    ];
    let rows = vec![
        row(&["1209788", "2xx"], &[1000.0 * n, 123_456_789.0 * n, 10.0 * n]),
        row(&["1209788", "4xx"], &[20.0 * n, 2_000.0 * n, 2.0 * n]),
        row(&["1209788", "5xx"], &[3.0, 300.0, 3.0]),
        // The largest number that is counted.
        row(&["100001", "2xx"], &[9_007_199_254_740_992.0, 0.0, 0.0]),
    ];
    Parcel {
        account: "default".to_owned(),
        source: "amd".to_owned(),
        time: start() + TimeDelta::minutes(5) * number,
        origin,
        names: Vec::new(),
        sheets: vec![sheet(&["cpcode", "status_class"], &metrics, rows)],
    }
}

/// An eStats sample.
pub(crate) fn estats() -> Parcel {
    let ratio = vec![
        row(&["1209788", "", "STANDARD_TLS", "edge", "2xx"], &[0.975]),
        row(&["1209788", "", "STANDARD_TLS", "edge", "5xx"], &[1e-9]),
    ];
    let hits = vec![row(&["1209788", "", "STANDARD_TLS", "edge", "200"], &[9700.0])];
    Parcel {
        account: "default".to_owned(),
        source: "estats".to_owned(),
        time: start() + TimeDelta::milliseconds(1500),
        origin: Origin::Sample,
        names: Vec::new(),
        sheets: vec![
            sheet(&["cpcode", "url", "delivery", "tier", "status"], &["akamai_estats_hits"], hits),
            sheet(
                &["cpcode", "url", "delivery", "tier", "status_class"],
                &["akamai_estats_status_ratio"],
                ratio,
            ),
        ],
    }
}

/// A window whose label values are hostile.
pub(crate) fn hostile() -> Parcel {
    let rows = (1..).zip(HOSTILE).map(|(n, value)| row(&["7", value], &[f64::from(n)])).collect();
    Parcel {
        account: "acc|ount#\n1".to_owned(),
        source: "so:urce,ü".to_owned(),
        sheets: vec![sheet(&["cpcode", "hostname"], &["akamai_traffic_edge_hits_total"], rows)],
        ..window(Origin::Settled, 0)
    }
}

/// All parcels, in the order in which they would come.
pub(crate) fn parcels() -> Vec<Parcel> {
    let empty = Parcel { sheets: Vec::new(), ..window(Origin::Settled, 3) };
    vec![
        window(Origin::History, -1),
        window(Origin::Early, 0),
        window(Origin::Settled, 0),
        estats(),
        hostile(),
        window(Origin::Early, 1),
        window(Origin::Settled, 1),
        empty,
    ]
}

/// Answers of Akamai: a good one, an error, one that did not come, one that was cut, one that is no JSON.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let good = Exchange {
        time: start(),
        account: "default".to_owned(),
        source: "amd".to_owned(),
        api: "reporting",
        method: "POST".to_owned(),
        endpoint: "/reporting-api/v2/reports/delivery/traffic/current/data?start=2026-11-20T09%3A55%3A00Z"
            .to_owned(),
        cpcodes: vec![1_209_788, 100_001],
        status: Some(200),
        failure: None,
        duration: Duration::from_millis(1234),
        body: r#"{"data":[{"cpcode":"1209788","edgeHitsSum":8200}]}"#.to_owned(),
        body_length: 50,
        is_cut: false,
    };
    let with = |status, body: &str, length| Exchange {
        status,
        body: body.to_owned(),
        body_length: length,
        is_cut: length > 100_000,
        ..good.clone()
    };
    let problem = r#"{"title":"Too many requests","detail":"line\nbreak \u0000"}"#;
    let lost = Exchange { failure: Some("no whole answer in time".to_owned()), ..with(None, "", 0) };
    vec![
        good.clone(),
        with(Some(429), problem, problem.len()),
        lost,
        with(Some(200), r#"{"data":[{"cpcode":"12097"#, 4_000_000),
        with(Some(503), "<html>\r\nünavailable\t</html>\n\u{0}", 31),
    ]
}
