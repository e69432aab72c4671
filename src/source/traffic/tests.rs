use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, proptest};
use serde_json::{Map, Value, json};

use super::super::report::{CpCode, Reader as _, Sorted, sort};
use super::columns::{DIMENSIONS, METRICS};
use super::reporting::{self, Reporting};
use super::*;
use crate::ini::{self, Problems};
use crate::ledger::{Ask, Ledger, Window};
use crate::model::Reason;

/// 2026-11-20T10:00:00Z.
const START: i64 = 1_795_168_800;

/// What a section of this kind is as it was understood, or what is wrong with it.
fn opened(kind: &Kind, entries: &str) -> Result<String, String> {
    read(kind.name, entries, |section| (kind.open)(section, Options::default()).map(|it| format!("{it:?}")))
}

/// What `read` takes out of a section, or what is wrong with it.
fn read<T>(name: &str, entries: &str, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, String> {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = ini::parse(format!("[{name}]\n{entries}").as_bytes(), &mut problems);
    let result = read(&mut Reader::new(&document.sections[1], KEYS.iter(), &mut problems));
    assert!(result.is_some() || !problems.is_empty(), "dropped without a word: {entries}");
    if problems.is_empty() { Ok(result.unwrap()) } else { Err(problems.to_string()) }
}

#[track_caller]
fn check_fails(entries: &str, message: &str) {
    assert_eq!(opened(&AMD, entries).unwrap_err(), message, "{entries}");
}

#[track_caller]
fn check_rules(entries: &str, lag: i64, settle: i64, look_back: i64) {
    let rules = read("amd", entries, rules).unwrap();
    let minutes = [rules.lag, rules.settle, rules.look_back].map(|delta| delta.num_minutes());
    assert_eq!(minutes, [lag, settle, look_back], "{entries}");
}

/// Which of the CP codes 100001 "Live", a media one, and 100002 "Site", another one, a section means.
fn meant(name: &str, entries: &str) -> Vec<u64> {
    let listed = |number, name: &str, is_media| CpCode {
        number,
        name: name.to_owned(),
        product: String::new(),
        is_media,
    };
    let all = [listed(100_001, "Live", true), listed(100_002, "Site", false)];
    match read(name, entries, |section| selection(section, name == "amd")).unwrap() {
        Selection::List(codes) => codes.into_iter().collect(),
        Selection::Auto(filter) => {
            all.iter().filter(|code| filter.fits(code)).map(|code| code.number).collect()
        }
    }
}

fn asked(entries: &str) -> String {
    read("traffic", entries, reporting::open).unwrap().identity()
}

#[test]
fn defaults() {
    let sums = METRICS[..12].join(",");
    assert_eq!(asked(""), format!("reporting|cpcode,responseClass|{sums}"));
    check_rules("", 15, 60, 24 * 60);
    assert_eq!(meant("amd", ""), [100_001]);
    assert_eq!(meant("traffic", ""), [100_001, 100_002]);
    assert!(opened(&AMD, "").unwrap().contains("is_media: true"));
    assert!(opened(&TRAFFIC, "").unwrap().contains("is_media: false"));
    assert_eq!(opened(&TRAFFIC, "api = REPORTING").unwrap(), opened(&TRAFFIC, "").unwrap());
}

#[test]
fn which_cpcodes() {
    assert_eq!(meant("amd", "cpcodes = 7, 5"), [5, 7]);
    assert_eq!(meant("amd", "cpcodes = [\"7\"]"), [7]);
    assert_eq!(meant("amd", "cpcodes = Auto"), [100_001]);
    assert_eq!(meant("traffic", "include = l*"), [100_001]);
    assert_eq!(meant("traffic", "include = LIVE, 100002\nexclude = *SITE*"), [100_001]);
    assert_eq!(meant("traffic", "exclude = *"), [0; 0]);
    assert_eq!(meant("traffic", "include =\nexclude ="), [100_001, 100_002]);
    check_fails(
        "cpcodes = 1x",
        "a.ini:2: [amd] cpcodes: `1x` is no CP code; expected numbers, such as 1209788, 1209789; or `auto`",
    );
    check_fails(
        "cpcodes = auto, 1",
        "a.ini:2: [amd] cpcodes: `auto` is no CP code; expected numbers, such as 1209788, 1209789; or `auto`",
    );
    check_fails("cpcodes = 1, 1", "a.ini:2: [amd] cpcodes: `1` stands there twice; or `auto`");
    check_fails("cpcodes =", "a.ini:2: [amd] cpcodes: has no value; give one or take the key out");
    let beside = "chooses among the CP codes that Akamai lists; expected it beside cpcodes = auto";
    check_fails(
        "cpcodes = 1\ninclude = a\nexclude = b",
        &format!("a.ini:3: [amd] include: {beside}\na.ini:4: [amd] exclude: {beside}"),
    );
}

#[test]
fn which_columns() {
    assert_eq!(
        asked("dimensions = TIME5MINUTES, httpmethod, cpcode, hostname\nmetrics = edgehitssum"),
        "reporting|httpMethod,cpcode,hostname|edgeHitsSum"
    );
    assert_eq!(asked("dimensions = time5minutes\nmetrics = edgeHitsSum"), "reporting||edgeHitsSum");
    let names: Vec<_> = DIMENSIONS.iter().map(|dimension| dimension.name).collect();
    check_fails(
        "dimensions = cpcode, hostnam",
        &format!(
            "a.ini:2: [amd] dimensions: the report has no dimension `hostnam`; did you mean `hostname`? All: {}",
            names.join(", ")
        ),
    );
    check_fails(
        "metrics = edgeHits",
        &format!(
            "a.ini:2: [amd] metrics: the report has no metric `edgeHits`; did you mean `edgeHitsSum`? All: {}",
            METRICS.join(", ")
        ),
    );
    check_fails(
        "metrics = plays",
        &format!(
            "a.ini:2: [amd] metrics: the report has no metric `plays`; expected one of {}",
            METRICS.join(", ")
        ),
    );
    check_fails(
        "dimensions = time1hour, cpcode",
        "a.ini:2: [amd] dimensions: `time1hour` cannot be chosen: counters need windows of five minutes, and time5minutes is always there",
    );
    check_fails(
        "dimensions = cpcode, hostname, responseClass, httpMethod, ipVersion",
        "a.ini:2: [amd] dimensions: has 5 dimensions besides time5minutes, which is always there; Akamai takes 4 in all",
    );
    for (key, twice) in [("metrics", "edgeHitsSum"), ("dimensions", "cpcode")] {
        for other in [twice.to_owned(), twice.to_uppercase()] {
            let error = opened(&AMD, &format!("{key} = {twice}, {other}")).unwrap_err();
            assert_eq!(error, format!("a.ini:2: [amd] {key}: `{other}` stands there twice"));
        }
    }
    check_fails("metrics =", "a.ini:2: [amd] metrics: has no value; give one or take the key out");
}

#[test]
fn how_long() {
    check_rules("lag = 600\nsettle_after = 30m\nlook_back = 92d", 10, 30, 92 * 24 * 60);
    check_rules("lag = 1h", 60, 60, 24 * 60);
    check_rules("look_back = 70m", 15, 60, 70);
    check_fails(
        "look_back = 93d",
        "a.ini:2: [amd] look_back: is longer than Akamai keeps the report; expected at most 92d",
    );
    let misfit = "does not fit the others; expected lag <= settle_after, and look_back longer than settle_after by 10m at least";
    check_fails("lag = 61m", &format!("a.ini:2: [amd] lag: {misfit}"));
    check_fails("lag = 2h\nsettle_after = 90m", &format!("a.ini:3: [amd] settle_after: {misfit}"));
    check_fails("settle_after = 1d", &format!("a.ini:2: [amd] settle_after: {misfit}"));
    check_fails("look_back = 69m\nlag = 5m", &format!("a.ini:2: [amd] look_back: {misfit}"));
    check_fails(
        "lag = soon",
        "a.ini:2: [amd] lag: `soon` is no duration; expected seconds or `90s`, `5m`, `1h`",
    );
    for key in ["lag", "settle_after", "look_back"] {
        for odd in ["0", "-5m", "999999999999h", "18446744073709551615", ""] {
            let error = opened(&AMD, &format!("{key} = {odd}")).unwrap_err();
            assert!(error.starts_with(&format!("a.ini:2: [amd] {key}: ")), "{key} = {odd}: {error}");
        }
    }
}

#[test]
fn which_api() {
    check_fails(
        "api = v2",
        "a.ini:2: [amd] api: `v2` is not known; expected reporting or media-delivery-reports",
    );
    check_fails(
        "report = historical",
        "a.ini:2: [amd] report: chooses between the paths of media-delivery-reports; expected it beside api = media-delivery-reports",
    );
    let mdr = "api = media-delivery-reports\n";
    let debug = opened(&AMD, &format!("{mdr}cpcodes = 1")).unwrap();
    assert!(
        debug.contains("Realtime") && debug.contains("[616, 617, 618, 619, 620, 621, 622, 630, 631]"),
        "{debug}"
    );
    let debug =
        opened(&AMD, &format!("{mdr}report = historical\ndimensions = 1, 2, 4\nmetrics = 4, 107")).unwrap();
    assert!(debug.contains("Historical") && debug.contains("dimensions: [2, 4]"), "{debug}");
    let fails = |entries: &str, message: &str| check_fails(&format!("{mdr}{entries}"), message);
    fails("report = daily", "a.ini:3: [amd] report: `daily` is not known; expected realtime or historical");
    fails(
        "report = historical",
        "a.ini:1: [amd] has no metrics; expected numbers of the historical report, such as metrics = 4, 9, 167, 107",
    );
    fails(
        "metrics = 617, edgeHitsSum",
        "a.ini:3: [amd] metrics: `edgeHitsSum` is no id; this API has numbers, such as 617, 630",
    );
    fails("metrics = -1", "a.ini:3: [amd] metrics: `-1` is no id; this API has numbers, such as 617, 630");
    fails("metrics = 617, 0617", "a.ini:3: [amd] metrics: `0617` stands there twice");
    fails("dimensions = 2, +2", "a.ini:3: [amd] dimensions: `+2` stands there twice");
    fails(
        "dimensions = 2, 4, 5, 6",
        "a.ini:3: [amd] dimensions: has 4 dimensions besides time; expected three at most",
    );
    let error =
        opened(&AMD, &format!("{mdr}report = historical\nmetrics = 4\ndimensions = 2, 3")).unwrap_err();
    let said = "a.ini:5: [amd] dimensions: 3 is no dimension of the historical report; valid: 2 (cpcode), 4 (hostname), ";
    assert!(error.starts_with(said), "{error}");
}

/// The report of CP codes and classes with these metrics.
fn report(metrics: &[&str]) -> Reporting {
    let places: Vec<_> =
        metrics.iter().map(|name| METRICS.iter().position(|known| known == name).unwrap()).collect();
    Reporting::new(vec![DIMENSIONS[0], DIMENSIONS[3]], &places)
}

/// Two windows of two CP codes.
fn ask() -> Ask {
    let first = Window::starting(START).unwrap();
    Ask { windows: first..first.plus(2), members: Arc::new([100_001, 100_002].into()) }
}

fn sorted(report: &Reporting, body: &str) -> Result<Sorted, Reason> {
    let table = report.parse(body.as_bytes()).map_err(|error| error.reason)?;
    Ok(sort(&report.shape(), &ask(), table))
}

/// What an answer comes to: the rows, what is unusable, and the faults, each in a line.
fn told(sorted: &Sorted) -> Vec<String> {
    let window = |window: Window| window.index() - START / 300;
    let rows = sorted.reading.rows.iter().map(|row| {
        let sums: Vec<_> = row.sums.iter().map(u64::to_string).collect();
        assert_eq!(row.key[0].parse(), Ok(row.member));
        format!("{} {}: {}", window(row.window), row.key.join(" "), sums.join(" "))
    });
    let unusable =
        sorted.reading.unusable.iter().map(|(at, member)| format!("unusable {} {member}", window(*at)));
    let faults = sorted.faults.iter().map(|(fault, count)| format!("{} {count}", fault.label()));
    rows.chain(unusable).chain(faults).collect()
}

/// An answer with these rows.
fn body(rows: &str) -> String {
    format!(r#"{{"data":[{rows}],"metadata":{{"hasMoreRows":false}}}}"#)
}

/// A row of the first window and CP code, and a cell.
fn row(class: &str, cell: &str) -> String {
    format!(r#"{{"time5minutes":{START},"cpcode":100001,"responseClass":{class},"edgeHitsSum":{cell}}}"#)
}

/// What rows with one metric come to.
fn came(rows: &[String]) -> Vec<String> {
    told(&sorted(&report(&["edgeHitsSum"]), &body(&rows.join(","))).unwrap())
}

#[track_caller]
fn check_rows(rows: &[&str], expected: &[&str]) {
    let rows: Vec<String> = rows.iter().map(|&row| row.to_owned()).collect();
    assert_eq!(came(&rows), expected, "{rows:?}");
}

const EXAMPLE: &str = r#"{"data":[
   {"time5minutes":1795168800,"cpcode":100001,"responseClass":"2xx","edgeHitsSum":8200,"edgeBytesSum":912345678,"originHitsSum":31,"originBytesSum":4096,"midgressHitsSum":120,"midgressBytesSum":88123},
   {"time5minutes":1795168800,"cpcode":100001,"responseClass":"4xx","edgeHitsSum":12,"edgeBytesSum":5120,"originHitsSum":1,"originBytesSum":300,"midgressHitsSum":2,"midgressBytesSum":600}],
 "metadata":{
   "name":"CDN traffic report data",
   "start":"2026-11-20T10:00:00Z","end":"2026-11-20T10:10:00Z",
   "metrics":[{"name":"edgeHitsSum","description":"...","type":"LONG","filterable":true,"mandatory":false}],
   "dimensions":[{"name":"cpcode","description":"...","type":"LONG","filterable":true,"mandatory":false,"filterType":"TEXT","authorizable":true}],
   "filters":[{"dimensionName":"cpcode","operator":"IN_LIST","expressions":["100001","100002"]}],
   "sortBys":[{"name":"time5minutes","sortOrder":"ASCENDING"}],
   "limit":50000,
   "links":[{"rel":"self","href":"/reporting-api/v2/reports/delivery/traffic/current/data","allow":["POST"]}],
   "hasMoreRows":false}}"#;

const EXAMPLE_S: [&str; 6] =
    ["edgeHitsSum", "edgeBytesSum", "originHitsSum", "originBytesSum", "midgressHitsSum", "midgressBytesSum"];

#[test]
fn the_documented_example() {
    let expected = ["0 100001 2xx: 8200 912345678 31 4096 120 88123", "0 100001 4xx: 12 5120 1 300 2 600"];
    assert_eq!(told(&sorted(&report(&EXAMPLE_S), EXAMPLE).unwrap()), expected);
    let nanoseconds = EXAMPLE.replace("10:00:00Z", "10:00:00.137674827Z");
    assert_eq!(told(&sorted(&report(&EXAMPLE_S), &nanoseconds).unwrap()), expected);
    let many: Vec<String> = (0..30_000).map(|code| format!("\"{code}\"")).collect();
    let huge = EXAMPLE.replace("\"100001\",\"100002\"", &many.join(","));
    assert_eq!(told(&sorted(&report(&EXAMPLE_S), &huge).unwrap()), expected);
}

#[test]
fn members_in_any_order() {
    let rows = [
        r#"{"time5minutes":1795168800,"cpcode":100001,"responseClass":"2xx","edgeHitsSum":1,"originHitsSum":2}"#,
        r#"{"originHitsSum":4,"edgeHitsSum":3,"responseClass":"3xx","cpcode":100001,"time5minutes":1795168800}"#,
        r#"{"edgeHitsSum":5,"originHitsSum":6,"extra":{"a":[1]},"responseClass":"4xx","time5minutes":1795168800,"cpcode":100001}"#,
        r#"{"time5minutes":1795168800,"cpcode":100001,"responseClass":"5xx","edgeHitsSum":7,"originHitsSum":8}"#,
        r#"{"a":1,"time5minutes":1795169100,"cpcode":100002,"edge\u0048itsSum":9,"originHitsSum":10,"responseClass":"5xx","z":null}"#,
    ];
    let answer = sorted(&report(&["edgeHitsSum", "originHitsSum"]), &body(&rows.join(","))).unwrap();
    let expected = [
        "0 100001 2xx: 1 2",
        "0 100001 3xx: 3 4",
        "0 100001 4xx: 5 6",
        "0 100001 5xx: 7 8",
        "1 100002 5xx: 9 10",
    ];
    assert_eq!(told(&answer), expected);
}

#[test]
fn cells() {
    let usable = [
        ("8200", 8200_u64),
        ("8200.0", 8200),
        ("8.2e3", 8200),
        ("\"8200\"", 8200),
        ("\" 8200 \"", 8200),
        ("\"8\\u00320\\u0030\"", 8200),
        ("0", 0),
        ("-0", 0),
        ("9007199254740992", 1 << 53),
    ];
    for (cell, count) in usable {
        assert_eq!(came(&[row("\"2xx\"", cell)]), [format!("0 100001 2xx: {count}")], "{cell}");
    }
    let unusable = [
        ("null", "not_a_number"),
        ("true", "not_a_number"),
        ("\"\"", "not_a_number"),
        ("\"many\"", "not_a_number"),
        ("\"NaN\"", "not_a_number"),
        ("\"8,200\"", "not_a_number"),
        ("\"0x10\"", "not_a_number"),
        ("{\"value\":8200}", "not_a_number"),
        ("[8200]", "not_a_number"),
        ("\"\\ud800\"", "not_a_number"),
        ("-1", "negative"),
        ("\"-8200\"", "negative"),
        ("1.5", "fractional"),
        ("\"0.001\"", "fractional"),
        ("1e300", "huge"),
        ("1e999", "huge"),
        ("99999999999999999999", "huge"),
        ("9007199254740993", "huge"),
        ("-1e300", "huge"),
        ("\"inf\"", "huge"),
    ];
    for (cell, fault) in unusable {
        let expected = ["0 100001 2xx: 0", "0 100001 3xx: 5", "unusable 0 100001", &format!("{fault} 1")];
        assert_eq!(came(&[row("\"2xx\"", cell), row("\"3xx\"", "5")]), expected, "{cell}");
    }
}

#[test]
fn columns_that_are_missing() {
    check_rows(
        &[r#"{"time5minutes":1795168800,"cpcode":100001,"responseClass":"2xx"}"#],
        &["0 100001 2xx: 0", "unusable 0 100001", "missing_column 1"],
    );
    for class in
        ["", r#","responseClass":null"#, r#","responseClass":{"a":"2xx"}"#, r#","responseClass":["2xx"]"#]
    {
        let row = format!(r#"{{"time5minutes":1795168800,"cpcode":100001{class},"edgeHitsSum":1}}"#);
        check_rows(&[&row], &["unusable 0 100001", "missing_column 1"]);
    }
    let useless = sorted(&report(&["edgeHitsSum"]), &body(&row("null", "1"))).unwrap();
    assert!(useless.is_useless());
}

/// A row of a class, with 1, whose time and CP code are these.
fn row_of(time: &str, cpcode: &str) -> String {
    format!(r#"{{{time}"responseClass":"2xx",{cpcode}"edgeHitsSum":1}}"#)
}

#[test]
fn rows_of_other_windows() {
    let good = row("\"3xx\"", "5");
    for time in [START - 300, START + 600, START + 3600, 0, -300, START * 1000, i64::MAX] {
        let stray = row_of(&format!("\"time5minutes\":{time},"), "\"cpcode\":100001,");
        check_rows(&[&stray, &good], &["0 100001 3xx: 5", "out_of_range 1"]);
    }
    // The text of a time is as good as the number.
    check_rows(&[&row_of("\"time5minutes\":\"1795169100\",", "\"cpcode\":100001,")], &["1 100001 2xx: 1"]);
    // It belongs to a part of a window, which is not to be told.
    let part = row_of(&format!("\"time5minutes\":{},", START + 1), "\"cpcode\":100001,");
    check_rows(&[&part, &good], &["0 100001 3xx: 5", "unusable 0 100001", "out_of_range 1"]);
}

/// A row that may belong to any window spoils all of its CP code, one that may belong to any CP code its window: without it their
/// counts would be too low, and nobody could tell.
#[test]
fn rows_of_nobody_knows_what() {
    let good = row("\"3xx\"", "5");
    for time in [
        "",
        "\"time5minutes\":null,",
        "\"time5minutes\":\"2026-11-20T10:00:00Z\",",
        "\"time5minutes\":1795168800.5,",
        "\"time5minutes\":99999999999999999999,",
    ] {
        check_rows(
            &[&row_of(time, "\"cpcode\":100001,"), &good],
            &["0 100001 3xx: 5", "unusable 0 100001", "unusable 1 100001", "out_of_range 1"],
        );
    }
    for cpcode in [
        "",
        "\"cpcode\":null,",
        "\"cpcode\":{},",
        "\"cpcode\":\"N/A\",",
        "\"cpcode\":100001.5,",
        "\"cpcode\":-1,",
        "\"cpcode\":\"\",",
    ] {
        check_rows(
            &[&row_of("\"time5minutes\":1795168800,", cpcode), &good],
            &["0 100001 3xx: 5", "unusable 0 100001", "unusable 0 100002", "foreign 1"],
        );
    }
    check_rows(
        &["{}", &good],
        &[
            "0 100001 3xx: 5",
            "unusable 0 100001",
            "unusable 0 100002",
            "unusable 1 100001",
            "unusable 1 100002",
            "out_of_range 1",
        ],
    );
}

#[test]
fn cpcodes_in_any_form() {
    let of = |code: &str| row_of("\"time5minutes\":1795168800,", &format!("\"cpcode\":{code},"));
    check_rows(&[&of("\"100001\"")], &["0 100001 2xx: 1"]);
    check_rows(&[&of("100001"), &of("\"100001\"")], &["0 100001 2xx: 1", "duplicate 1"]);
    check_rows(&[&of("999999999"), &of("100001")], &["0 100001 2xx: 1", "foreign 1"]);
    // The same CP code in another spelling is the same series.
    check_rows(&[&of("100001"), &of("\"0100001\"")], &["0 100001 2xx: 1", "duplicate 1"]);
}

#[test]
fn rows_twice() {
    let (five, six) = (row("\"2xx\"", "5"), row("\"2xx\"", "6"));
    check_rows(&[&five, &five, &five], &["0 100001 2xx: 5", "duplicate 2"]);
    check_rows(&[&five, &six], &["0 100001 2xx: 5", "unusable 0 100001", "conflicting 1"]);
    check_rows(
        &[&five, &five, &six],
        &["0 100001 2xx: 5", "unusable 0 100001", "conflicting 1", "duplicate 1"],
    );
    check_rows(&[&five, &row("\"2xx\"", "\"5\"")], &["0 100001 2xx: 5", "duplicate 1"]);
    // The same series in another window is no duplicate.
    let later = five.replace("1795168800", "1795169100");
    check_rows(&[&five, &later], &["0 100001 2xx: 5", "1 100001 2xx: 5"]);
}

#[test]
fn percentages_are_gauges_and_twice_with_another_number_is_a_conflict() {
    let report = report(&["edgeHitsSum", "offloadedHitsPercentage"]);
    let of = |share: &str| row("\"2xx\"", &format!("5,\"offloadedHitsPercentage\":{share}"));
    let half = sorted(&report, &body(&of("50.5"))).unwrap();
    assert_eq!((half.gauges.len(), half.gauges[0].1.2), (1, 0.505));
    assert_eq!(told(&half), ["0 100001 2xx: 5 0"]);
    let both = sorted(&report, &body(&[of("50"), of("50.0")].join(","))).unwrap();
    assert_eq!((both.gauges.len(), told(&both)[1].as_str()), (1, "duplicate 1"));
    let both = sorted(&report, &body(&[of("50"), of("60")].join(","))).unwrap();
    assert_eq!(told(&both)[1..], ["unusable 0 100001", "conflicting 1"]);
    let none = sorted(&report, &body(&of("null"))).unwrap();
    assert_eq!(told(&none)[1..], ["unusable 0 100001", "not_a_number 1"]);
}

#[test]
fn host_names() {
    let hosts = Reporting::new(vec![DIMENSIONS[1]], &[0]);
    let host = |text: &str| format!(r#"{{"time5minutes":{START},"hostname":{text},"edgeHitsSum":1}}"#);
    let names = [
        (r#""www.example.com""#, "www.example.com"),
        (r#""a\"b\\c""#, "a\"b\\c"),
        (r#""f\u00fcr\n""#, "für\n"),
        (r#""日本""#, "日本"),
        (r#""Others""#, "Others"),
        (r#""N/A""#, "N/A"),
        (r#""""#, ""),
        ("7", "7"),
    ];
    let rows: Vec<_> = names.iter().map(|(text, _)| host(text)).collect();
    let table = hosts.parse(body(&rows.join(",")).as_bytes()).unwrap();
    let whole = Ask { members: Arc::new([crate::ledger::WHOLE].into()), ..ask() };
    let sorted = sort(&hosts.shape(), &whole, table);
    let found: Vec<&str> = sorted.reading.rows.iter().map(|row| &*row.key[0]).collect();
    assert_eq!(found, names.map(|(_, name)| name));
    assert!(sorted.faults.is_empty() && sorted.reading.unusable.is_empty());
}

#[test]
fn what_is_no_answer() {
    let report = report(&["edgeHitsSum"]);
    for text in [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "<html>",
        "7",
        r#"{"data":[]}"#,
        r#"{"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":null,"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":[],"metadata":{}}"#,
        r#"{"data":[],"metadata":{"hasMoreRows":"false"}}"#,
        r#"{"data":[[]],"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":[null],"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":{},"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":[],"data":[],"metadata":{"hasMoreRows":false}}"#,
        r#"{"data":[],"metadata":{"hasMoreRows":false}} x"#,
        &EXAMPLE[..EXAMPLE.len() / 2],
    ] {
        assert_eq!(sorted(&report, text).unwrap_err(), Reason::Malformed, "{text}");
    }
    assert_eq!(report.parse(b"{\"data\":[\xff]}").unwrap_err().reason, Reason::Malformed);
    let deep = format!(r#"{{"data":[{{"edgeHitsSum":{}{}}}]"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(sorted(&report, &deep).unwrap_err(), Reason::Malformed);
    let empty = sorted(&report, &body("")).unwrap();
    assert!(told(&empty).is_empty() && !empty.is_useless() && empty.rows == 0);
}

#[test]
fn an_answer_that_was_cut() {
    let is_cut = |body: &str| report(&["edgeHitsSum"]).parse(body.as_bytes()).unwrap().is_cut;
    assert!(!is_cut(&body(&row("\"2xx\"", "1"))));
    assert!(is_cut(&body(&row("\"2xx\"", "1")).replace("false", "true")));
    // As many rows as fit may be all that did.
    let all = vec!["{}"; 50_000].join(",");
    assert!(is_cut(&body(&all)) && !is_cut(&body(&all[3..])));
}

#[test]
fn series_that_are_known_in_advance() {
    let known = |places: &[usize]| {
        let dimensions = places.iter().map(|place| DIMENSIONS[*place]).collect();
        Reporting::new(dimensions, &[0]).shape().known()
    };
    let classes = known(&[0, 3]).unwrap();
    assert_eq!(classes.len(), 7);
    assert!(
        classes
            .iter()
            .zip(["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"])
            .all(|(row, class)| *row == ["", class])
    );
    assert_eq!(
        known(&[0, 8, 5]).unwrap(),
        [
            ["", "ipv4", "get_head"],
            ["", "ipv4", "put_post"],
            ["", "ipv6", "get_head"],
            ["", "ipv6", "put_post"]
        ]
    );
    assert_eq!(known(&[0]).unwrap(), [[""]]);
    assert_eq!(known(&[]).unwrap(), [[""; 0]]);
    assert_eq!((known(&[1]), known(&[0, 1]), known(&[3, 2])), (None, None, None));
}

/// The counters after this answer was taken, and was seen at 0 first.
fn counted(report: &Reporting, answer: Sorted) -> BTreeMap<String, Vec<u64>> {
    let rules = read("amd", "", rules).unwrap();
    let mut ledger = Ledger::new(rules, report.shape().measures.len());
    let ask = ask();
    for end in [START + 300, START + 600] {
        ledger.open(chrono::DateTime::from_timestamp(end, 0).unwrap() + rules.lag, &ask.members);
    }
    ledger.take(ask.windows.end.start() + rules.lag, vec![answer.reading]);
    let _ = ledger.show().count();
    ledger.reveal();
    ledger.show().map(|series| (series.key.join(" "), series.counters().to_vec())).collect()
}

type Cells = BTreeMap<(bool, bool, String), [u64; 3]>;

/// Rows by window, CP code and class.
fn cells_of_rows() -> impl Strategy<Value = Cells> {
    let key = (any::<bool>(), any::<bool>(), "[0-6]xx");
    proptest::collection::btree_map(key, proptest::array::uniform3(0_u64..=1 << 53), 0..20)
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = report(&EXAMPLE_S).parse(&bytes);
    }

    /// The example with one byte changed: never a panic, and what is read is sorted without one.
    #[test]
    fn any_byte_anywhere(at in 0..EXAMPLE.len(), byte: u8) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = sorted(&report(&EXAMPLE_S), &text).map(|sorted| told(&sorted));
        }
    }

    /// Rows of any JSON.
    #[test]
    fn any_rows(rows in proptest::collection::vec(proptest::collection::vec((0_usize..6, any_json()), 0..8), 0..8)) {
        let names = ["time5minutes", "cpcode", "responseClass", "edgeHitsSum", "originHitsSum", "x"];
        let rows: Vec<_> = rows.into_iter().map(|row| {
            let members: Vec<_> = row.into_iter().map(|(name, value)| format!("\"{}\":{value}", names[name])).collect();
            format!("{{{}}}", members.join(","))
        }).collect();
        let answer = sorted(&report(&["edgeHitsSum", "originHitsSum"]), &body(&rows.join(","))).unwrap();
        for row in &answer.reading.rows {
            assert!(ask().windows.contains(&row.window) && ask().members.contains(&row.member));
        }
    }

    /// Rows come back to the last digit, in whatever order their members stand, and as text or number.
    #[test]
    fn rows_round_trip(cells in cells_of_rows(), turns in proptest::collection::vec(any::<usize>(), 20), is_text: bool) {
        let report = report(&["edgeHitsSum", "edgeBytesSum", "originHitsSum"]);
        let code = |other: &bool| 100_001 + u64::from(*other);
        let rows: Vec<_> = cells.iter().zip(&turns).map(|(((later, other, class), sums), turn)| {
            let number = |number: u64| if is_text { json!(number.to_string()) } else { json!(number) };
            let mut members = vec![
                ("time5minutes", json!(START + 300 * i64::from(*later))), ("cpcode", number(code(other))), ("responseClass", json!(class)),
                ("edgeHitsSum", number(sums[0])), ("edgeBytesSum", number(sums[1])), ("originHitsSum", number(sums[2])), ("more", json!({})),
            ];
            members.rotate_left(turn % 7);
            members.swap(0, turn / 7 % 7);
            let members: Map<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Value::Object(members).to_string()
        }).collect();
        let answer = sorted(&report, &body(&rows.join(","))).unwrap();
        let expected: Vec<_> = cells.iter().map(|((later, other, class), [a, b, c])| format!("{} {} {class}: {a} {b} {c}", u8::from(*later), code(other))).collect();
        prop_assert_eq!(told(&answer), expected);
        let mut totals: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for ((_, other, class), sums) in &cells {
            let total = totals.entry(format!("{} {class}", code(other))).or_insert_with(|| vec![0; 3]);
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        prop_assert_eq!(counted(&report, answer), totals);
    }

    /// A fault in one row leaves the other CP code's count as it is, and never adds to its own.
    #[test]
    fn a_fault_costs_its_own_cpcode_alone(cells in cells_of_rows(), cell in any_json()) {
        let report = report(&["edgeHitsSum"]);
        let rows = cells.iter().map(|((later, other, class), [hits, ..])| {
            json!({"time5minutes": START + 300 * i64::from(*later), "cpcode": 100_001 + u64::from(*other), "responseClass": class, "edgeHitsSum": hits}).to_string()
        });
        let odd = format!(r#"{{"time5minutes":{START},"cpcode":100001,"responseClass":"x","edgeHitsSum":{cell}}}"#);
        let clean = sorted(&report, &body(&rows.clone().collect::<Vec<_>>().join(","))).unwrap();
        let spoiled = sorted(&report, &body(&rows.chain([odd]).collect::<Vec<_>>().join(","))).unwrap();
        let is_spoiled = !spoiled.reading.unusable.is_empty();
        let (clean, spoiled) = (counted(&report, clean), counted(&report, spoiled));
        for (key, counters) in &clean {
            let found = spoiled.get(key).map_or(0, |counters| counters[0]);
            let is_own = key.starts_with("100001");
            assert!(if is_own && is_spoiled { found <= counters[0] } else { found == counters[0] }, "{key}: {found} of {counters:?}");
        }
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let text = any::<String>().prop_map(|text| json!(text).to_string());
    let odd = [
        "null",
        "true",
        "[]",
        "{}",
        "{\"a\":1}",
        "1e300",
        "99999999999999999999",
        "-1",
        "0.5",
        "100001",
        "1795168800",
        "\"2xx\"",
    ];
    proptest::prop_oneof![
        any::<f64>().prop_map(|number| json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        text,
        (0..odd.len()).prop_map(move |at| odd[at].to_owned()),
        Just("7".to_owned()),
    ]
}
