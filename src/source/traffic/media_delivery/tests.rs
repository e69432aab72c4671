use std::sync::Arc;

use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::super::super::report::sort;
use super::*;
use crate::ledger::Ask;
use crate::model::MetricKind;

/// 2025-05-01T10:00:00Z.
const START: i64 = 1_746_093_600;

/// The example of the reference, without the windows that would not fit to five minutes.
const EXAMPLE: &str = r#"{"columns":[
    {"type":"DIMENSION","id":600,"name":"Time","index":0},
    {"type":"METRIC","id":617,"name":"2xx Edge Hits","index":1,"unit":"HITS","aggregate":"1200"},
    {"type":"METRIC","id":630,"name":"All Edge Hits","index":2,"unit":"HITS","aggregate":"1290"}],
  "rows":[["1746093600","1200","1290"]],
  "metaData":{"aggregation":300,"startTimeInEpoch":1746093600,"endTimeInEpoch":1746093900,
    "timeZone":"GMT","limit":300,"offset":0,"hasMoreData":false,"reportPack":"..."}}"#;

fn realtime(metrics: &[u32]) -> MediaDelivery {
    MediaDelivery::new(Path::Realtime, Vec::new(), metrics.to_vec())
}

fn historical(dimensions: &[u32], metrics: &[u32]) -> MediaDelivery {
    MediaDelivery::new(Path::Historical, dimensions.to_vec(), metrics.to_vec())
}

/// What an answer about CP code 5 comes to: for each usable row and measure a line, then what is unusable and the faults.
fn told(report: &MediaDelivery, body: &str) -> Result<Vec<String>, Reason> {
    let only = (!report.has_cpcode).then_some(5);
    let (lines, _) = report.parse(body.as_bytes(), only).map_err(|error| error.reason)?;
    let first = Window::starting(START).unwrap();
    let ask = Ask { windows: first..first.plus(2), members: Arc::new([5].into()) };
    let shape = report.shape();
    let sorted = sort(&shape, &ask, Table { lines, is_cut: false });
    let mut told = Vec::new();
    let name = |measure: &Measure| {
        let class = measure.class.map(|class| format!(" {class}")).unwrap_or_default();
        format!("{}{class}", measure.family.name.trim_start_matches("akamai_traffic_"))
    };
    for row in &sorted.reading.rows {
        for (measure, sum) in shape.measures.iter().zip(&row.sums) {
            if let Some(measure) = measure.filter(|measure| measure.additivity == Additivity::Sum) {
                told.push(format!("{} {} {sum}", row.key.join(" "), name(&measure)));
            }
        }
    }
    for (_, (at, labels, number)) in &sorted.gauges {
        told.push(format!("{} {} {number}", labels.join(" "), name(&shape.measures[*at].unwrap())));
    }
    told.extend(
        sorted
            .reading
            .unusable
            .iter()
            .map(|(at, member)| format!("unusable {} {member}", at.index() - first.index())),
    );
    told.extend(sorted.faults.iter().map(|(fault, count)| format!("{} {count}", fault.label())));
    Ok(told)
}

/// An answer with these columns (id, name, unit; time comes first) and one row.
fn answer(columns: &[(u32, &str, &str)], cells: &[&str]) -> String {
    let metrics = columns.iter().enumerate().map(|(at, (id, name, unit))| {
        json!({"type": "METRIC", "id": id, "name": name, "index": at + 1, "unit": unit, "aggregate": "0"})
    });
    let time = json!({"type": "DIMENSION", "id": 600, "name": "Time", "index": 0});
    let columns: Vec<Value> = std::iter::once(time).chain(metrics).collect();
    let row: Vec<String> =
        std::iter::once(START.to_string()).chain(cells.iter().map(|&cell| cell.to_owned())).collect();
    json!({"columns": columns, "rows": [row], "metaData": {"hasMoreData": false}}).to_string()
}

/// What a column that is not known by its number becomes, given one cell.
#[track_caller]
fn check_column((id, name, unit): (u32, &str, &str), cell: &str, expected: &str) {
    let told = told(&realtime(&[id]), &answer(&[(id, name, unit)], &[cell])).unwrap();
    assert_eq!(told.join("; "), expected, "{name}");
}

#[test]
fn the_documented_example() {
    let expected = ["5 edge_hits_total 2xx 1200", "5 all_edge_hits_total 1290"];
    assert_eq!(told(&realtime(&[617, 630]), EXAMPLE).unwrap(), expected);
    let numbers = EXAMPLE.replace("\"1200\"", "1200").replace("\"1746093600\"", "1746093600");
    assert_eq!(told(&realtime(&[617, 630]), &numbers).unwrap(), expected);
}

#[test]
fn columns_stand_where_their_index_says() {
    let turned = EXAMPLE
        .replace(r#"["1746093600","1200","1290"]"#, r#"["1290","1746093600","1200"]"#)
        .replace("\"index\":2", "\"index\":00")
        .replace("\"index\":1", "\"index\":2")
        .replace("\"Time\",\"index\":0", "\"Time\",\"index\":1")
        .replace("\"index\":00", "\"index\":0");
    let expected = ["5 edge_hits_total 2xx 1200", "5 all_edge_hits_total 1290"];
    assert_eq!(told(&realtime(&[617, 630]), &turned).unwrap(), expected);
    // As they were asked for does not matter.
    let swapped = told(&realtime(&[630, 617]), &turned).unwrap();
    assert_eq!(swapped, ["5 all_edge_hits_total 1290", "5 edge_hits_total 2xx 1200"]);
}

#[test]
fn old_answers_leave_things_out() {
    let typeless = EXAMPLE.replace("\"type\":\"DIMENSION\",", "").replace("\"type\":\"METRIC\",", "");
    assert_eq!(told(&realtime(&[617]), &typeless).unwrap(), ["5 edge_hits_total 2xx 1200"]);
    // Dimension 2 is the CP code, metric 2 a volume; without types the unit tells them apart.
    let both = r#"{"columns":[{"id":1,"name":"Time","index":0,"aggregate":"-"},{"id":2,"name":"CP Code","index":1,"aggregate":"-"},
        {"id":2,"name":"Edge and Midgress Volume","index":2,"unit":"GB"}],
        "rows":[["1746093600","5","0.5"]],"metaData":{"aggregationInSeconds":"300","hasMoreData":false}}"#;
    let expected = ["5 edge_and_midgress_volume_bytes_total 500000000"];
    assert_eq!(told(&historical(&[2], &[2]), both).unwrap(), expected);
    // Without ids nobody can tell which column is which: nothing is counted.
    let nameless = EXAMPLE.replace("\"id\":600,", "").replace("\"id\":617,", "").replace("\"id\":630,", "");
    assert_eq!(
        told(&realtime(&[617]), &nameless).unwrap(),
        ["unusable 0 5", "unusable 1 5", "out_of_range 1"]
    );
    let metricless = EXAMPLE.replace("\"id\":617,", "");
    assert_eq!(
        told(&realtime(&[617]), &metricless).unwrap(),
        ["5 edge_hits_total 2xx 0", "unusable 0 5", "missing_column 1"]
    );
}

#[test]
fn classes_and_their_sum_are_not_counted_twice() {
    let report = realtime(&ORIGINAL_METRICS);
    let names = [
        "Other Edge Hits",
        "2xx Edge Hits",
        "3xx Edge Hits",
        "4xx Edge Hits",
        "5xx Edge Hits",
        "Midgress Hits",
        "Errors",
        "All Edge Hits",
        "All Origin Hits",
    ];
    let columns: Vec<_> =
        ORIGINAL_METRICS.into_iter().zip(names).map(|(id, name)| (id, name, "HITS")).collect();
    let cells = ["1", "200", "30", "4", "5", "7", "9", "240", "11"];
    let told = told(&report, &answer(&columns, &cells)).unwrap();
    let edge: Vec<_> = told.iter().filter(|line| line.starts_with("5 edge_hits_total")).collect();
    assert_eq!(
        edge,
        [
            "5 edge_hits_total 2xx 200",
            "5 edge_hits_total 3xx 30",
            "5 edge_hits_total 4xx 4",
            "5 edge_hits_total 5xx 5"
        ]
    );
    let others = [
        "5 other_edge_hits_total 1",
        "5 midgress_hits_total 7",
        "5 errors_total 9",
        "5 all_edge_hits_total 240",
        "5 origin_hits_total 11",
    ];
    assert!(others.iter().all(|line| told.iter().any(|told| told == line)) && told.len() == 9, "{told:?}");
    // Alone it is what the family is called after.
    assert_eq!(
        super::tests::told(&realtime(&[630]), &answer(&[(630, "All Edge Hits", "HITS")], &["240"])).unwrap(),
        ["5 edge_hits_total 240"]
    );
}

#[test]
fn columns_that_collide_keep_names_of_their_own() {
    // Both are bytes from the origin, of two counters.
    let columns =
        [(115, "Origin Volume", "BYTES"), (168, "Origin Volume", "GB"), (900, "Origin Volume", "GB")];
    let told = told(&realtime(&[115, 168, 900]), &answer(&columns, &["7", "0.5", "0.25"])).unwrap();
    assert_eq!(
        told,
        [
            "5 origin_bytes_total 7",
            "5 origin_volume_bytes_total 500000000",
            "5 origin_volume_bytes_900_total 250000000"
        ]
    );
    // A name that a known column has already, as a counter of something else.
    let columns = [(630, "All Edge Hits", "HITS"), (901, "Edge Hits", "HITS")];
    let told = super::tests::told(&realtime(&[630, 901]), &answer(&columns, &["7", "8"])).unwrap();
    assert_eq!(told, ["5 edge_hits_total 7", "5 edge_hits_901_total 8"]);
}

#[test]
fn units() {
    check_column((700, "Edge Volume", "GB"), "1.5", "5 edge_volume_bytes_total 1500000000");
    check_column((700, "Edge Volume", "MB"), "1.5", "5 edge_volume_bytes_total 1500000");
    check_column((700, "Edge Volume", "kb"), "2", "5 edge_volume_bytes_total 2000");
    check_column((700, "Edge Bytes", "BYTES"), "2", "5 edge_bytes_total 2");
    check_column((1, "Play Duration", "SECONDS"), "2", "5 play_duration_seconds_total 2");
    check_column((1, "Play Duration", "MINUTES"), "1.5", "5 play_duration_seconds_total 90");
    check_column((103, "Edge Throughput", "MBPS"), "2.5", "5 edge_throughput_bits_per_second 2500000");
    check_column((103, "Edge Throughput", "MBIT/SEC"), "2.5", "5 edge_throughput_bits_per_second 2500000");
    check_column((103, "Edge Throughput", "KBPS"), "2.5", "5 edge_throughput_bits_per_second 2500");
    check_column((454, "Edge Hits per Second", "HITS/SEC"), "1.5", "5 edge_hits_per_second 1.5");
    check_column((106, "Origin Offload", "%"), "50", "5 origin_offload_ratio 0.5");
    check_column((118, "Download Time", "MS"), "1500", "5 download_time_seconds 1.5");
    check_column((15, "Edge Plays", "COUNT"), "3", "5 edge_plays_total 3");
    check_column((800, "Plays (started) / día", ""), "3", "5 plays_started_d_a_total 3");
}

#[test]
fn what_may_not_be_added_up_is_a_gauge() {
    for (id, name, gauge) in [
        (38, "Edge Uniques", "edge_uniques"),
        (101, "Sessions of any kind", "sessions_of_any_kind"),
        (800, "Avg. Session Length", "avg_session_length"),
        (800, "Peak Viewers", "peak_viewers"),
        (800, "Concurrent Plays", "concurrent_plays"),
        (800, "Unique Viewers", "unique_viewers"),
    ] {
        let report = realtime(&[id]);
        let told = told(&report, &answer(&[(id, name, "COUNT")], &["2.5"])).unwrap();
        assert_eq!(told, [format!("5 {gauge} 2.5")]);
        assert_eq!(report.shape().measures[0].unwrap().family.kind, MetricKind::Gauge);
    }
    check_column((800, "Edge Hits", "HITS"), "2.5", "5 edge_hits_total 0; unusable 0 5; fractional 1");
}

/// A metric needs a name, and one that Prometheus takes, whatever a column is called.
#[test]
fn columns_without_a_usable_name() {
    for name in ["", "日本", "..."] {
        let told = told(&realtime(&[800]), &answer(&[(800, name, "COUNT")], &["3"])).unwrap();
        assert_eq!(told, ["5 column_800_total 3"], "{name}");
    }
}

#[test]
fn cells() {
    let cell = |cell: &str| told(&realtime(&[617]), &EXAMPLE.replace("\"1200\"", cell)).unwrap().join("; ");
    assert_eq!(cell("\" 1200.0 \""), "5 edge_hits_total 2xx 1200");
    for (text, fault) in [
        ("\"-\"", "not_a_number"),
        ("\"\"", "not_a_number"),
        ("\"1,200\"", "not_a_number"),
        ("\"-5\"", "negative"),
        ("1.5", "fractional"),
        ("1e300", "huge"),
        ("\"99999999999999999999\"", "huge"),
        ("null", "missing_column"),
        ("{}", "missing_column"),
    ] {
        assert_eq!(cell(text), format!("5 edge_hits_total 2xx 0; unusable 0 5; {fault} 1"), "{text}");
    }
    let short = EXAMPLE.replace(r#","1200","1290"]"#, "]");
    assert_eq!(told(&realtime(&[617]), &short).unwrap()[1..], ["unusable 0 5", "missing_column 1"]);
    let far = EXAMPLE.replace("\"index\":1,", "\"index\":18446744073709551615,");
    assert_eq!(told(&realtime(&[617]), &far).unwrap()[1..], ["unusable 0 5", "missing_column 1"]);
}

#[test]
fn what_is_no_answer() {
    for body in [
        "",
        "[]",
        "{}",
        "<html>",
        r#"{"columns":[],"rows":[]}"#,
        r#"{"columns":[{"id":1}],"rows":[],"metaData":{"hasMoreData":false}}"#,
        &EXAMPLE[..300],
    ] {
        assert_eq!(told(&realtime(&[617]), body), Err(Reason::Malformed), "{body}");
    }
    assert!(
        told(&realtime(&[617]), &EXAMPLE.replace(r#"["1746093600","1200","1290"]"#, "")).unwrap().is_empty()
    );
    let (_, has_more) = realtime(&[617]).parse(EXAMPLE.replace("false", "true").as_bytes(), Some(5)).unwrap();
    assert!(has_more);
}

#[test]
fn the_report_is_retired() {
    let explained = |reason, words: &str| realtime(&[617]).explain(ApiError::new(reason, words)).to_string();
    for (reason, words) in [
        (Reason::NotFound, "Akamai answered 410: gone"),
        (Reason::NotFound, "Akamai answered 404"),
        (Reason::GrantMissing, "Akamai answered 403: grant"),
    ] {
        let said = explained(reason, words);
        assert_eq!(realtime(&[617]).explain(ApiError::new(reason, words)).reason, Reason::Retired);
        assert!(
            said.contains("15 July 2025") && said.contains(words) && said.contains("Reporting API v2"),
            "{said}"
        );
    }
    assert_eq!(explained(Reason::Timeout, "slow"), "slow");
}

#[test]
fn series_that_are_known_in_advance() {
    assert_eq!(realtime(&[617]).shape().known().unwrap(), [[""]]);
    assert_eq!(historical(&[2], &[4]).shape().known().unwrap(), [[""]]);
    assert_eq!(historical(&[2, 4], &[4]).shape().known(), None);
    assert_eq!(historical(&[4], &[4]).shape().cpcode, Some(0), "one is asked for at a time");
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = realtime(&[617]).parse(&bytes, Some(5));
    }

    #[test]
    fn any_byte_anywhere(at in 0..EXAMPLE.len(), byte: u8) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = told(&realtime(&[617, 630, 900]), &text);
        }
    }

    /// Whatever a column is called, its metric has a name that Prometheus takes.
    #[test]
    fn any_column(name: String, unit: String, id in 700_u32..800, number in any::<f64>()) {
        let report = realtime(&[id]);
        let _ = told(&report, &answer(&[(id, &name, &unit)], &[&number.to_string()])).unwrap();
        let family = report.shape().measures[0].unwrap().family;
        assert!(family.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{}", family.name);
        assert!(!family.name.contains("__"), "{}", family.name);
    }

    /// Rows come back exactly, in whatever order the columns stand.
    #[test]
    fn rows_round_trip(hits in proptest::collection::vec(0_u64..=1 << 53, 3), turn in 0_usize..4) {
        let ids = [617, 618, 631];
        let place = |position: usize| (position + turn) % 4;
        let metrics = ids.iter().enumerate().map(|(at, id)| json!({"type": "METRIC", "id": id, "name": "x", "index": place(at + 1), "unit": "HITS"}));
        let columns: Vec<_> = std::iter::once(json!({"type": "DIMENSION", "id": 600, "name": "Time", "index": place(0)})).chain(metrics).collect();
        let mut row = vec![String::new(); 4];
        row[place(0)] = START.to_string();
        hits.iter().enumerate().for_each(|(at, hits)| row[place(at + 1)] = hits.to_string());
        let body = json!({"columns": columns, "rows": [row], "metaData": {"hasMoreData": false}}).to_string();
        let expected = [format!("5 edge_hits_total 2xx {}", hits[0]), format!("5 edge_hits_total 3xx {}", hits[1]), format!("5 origin_hits_total {}", hits[2])];
        assert_eq!(told(&realtime(&ids), &body).unwrap(), expected);
    }
}
