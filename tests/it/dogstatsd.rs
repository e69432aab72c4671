//! What the sink `[dogstatsd]` sends, compared with what Datadog's own client library sends of the same metrics.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use akamai_exporter::clock::SystemClock;
use akamai_exporter::ini::{Problems, Reader, parse};
use akamai_exporter::model::{Origin, Parcel, Row, Sheet};
use akamai_exporter::sink::{Context, Opened, Options, Sink, dogstatsd};
use akamai_exporter::snapshot::Store;
use chrono::DateTime;
use serde_json::{Value, json};

use crate::process::PATIENCE;
use crate::tools::python;

const LIBRARY: &str = "datadog==0.56.0";

/// When the window ends.
const TIME: i64 = 1_795_168_800;

/// Values of the label `hostname` that the library has to make tags of. No two of them are the same to Datadog, and none is empty.
const HOSTS: [&str; 9] = [
    "www.example.com",
    "pipe|hash#colon:comma,at@",
    "new\nline and \r\n more",
    "quote\" back\\slash",
    "ünïcödé 测试 🎬",
    "   spaces   ",
    "{curly}=equals;semi",
    "control \u{0} \u{1b}[31m red",
    "UPPER/lower-case",
];

/// Pairs of values: what is ordinary, large, and small.
const VALUES: [[f64; 2]; 3] = [[1_000.0, 123_456_789.0], [9_007_199_254_740_992.0, 3.0], [1.0, 7.0]];

/// A line, taken apart: name, type, number, tags and time.
type Line = (String, String, String, BTreeSet<String>, Option<String>);

fn line(text: &str) -> Line {
    let fields: Vec<_> = text.split('|').collect();
    let (name, value) = fields[0].split_once(':').unwrap();
    let tags = fields[2].strip_prefix('#').unwrap().split(',').map(str::to_owned).collect();
    let time = fields.get(3).map(|time| time.strip_prefix('T').unwrap().to_owned());
    assert!(fields.len() <= 4, "{text}");
    // `1000` and `1000.0` are the same number, and so are `0.000000001` and `1e-09`.
    let number: f64 = value.parse().unwrap();
    (name.to_owned(), fields[1].to_owned(), format!("{number:?}"), tags, time)
}

/// Waits for `count` lines, in datagrams of any number of them.
fn receive(socket: &UdpSocket, count: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut buffer = vec![0; 65_536];
    while lines.len() < count {
        let size = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{} lines: {error}", lines.len()));
        assert!(size <= 1_432, "a datagram of {size} bytes");
        lines.extend(std::str::from_utf8(&buffer[..size]).unwrap().lines().map(line));
    }
    assert_eq!(lines.len(), count);
    lines.sort();
    lines
}

fn receiver() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

fn parcel(origin: Origin, labels: [&str; 3], metrics: &[&str], rows: Vec<Row>) -> Parcel {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Parcel {
        account: "acc|ount 1".to_owned(),
        source: "amd".to_owned(),
        time: DateTime::from_timestamp(TIME, 0).unwrap(),
        origin,
        names: Vec::new(),
        sheets: vec![Sheet { labels: own(&labels), metrics: own(metrics), rows }],
    }
}

/// A window and a sample.
fn parcels() -> [Parcel; 2] {
    let row = |labels: [&str; 3], values: &[f64]| Row {
        labels: labels.map(Into::into).to_vec(),
        values: values.to_vec(),
    };
    let window = HOSTS.iter().zip(VALUES.iter().cycle());
    let window = window.map(|(host, values)| row(["1209788", host, "2xx"], values)).collect();
    let metrics = ["akamai_traffic_edge_hits_total", "akamai_traffic_origin_response_bytes_total"];
    let ratios = [0.975, 1e-9, 0.0, 1.0 / 3.0].into_iter().zip(["2xx", "3xx", "4xx", "5xx"]);
    let sample = ratios.map(|(ratio, class)| row(["STANDARD_TLS", "edge", class], &[ratio])).collect();
    [
        parcel(Origin::Early, ["cpcode", "hostname", "status_class"], &metrics, window),
        parcel(Origin::Sample, ["delivery", "tier", "status_class"], &["akamai_estats_status_ratio"], sample),
    ]
}

/// The same, as one would call the library.
fn calls(timestamp: Option<i64>) -> Value {
    let own = |tags: &[String]| [&["account:acc|ount 1".to_owned(), "source:amd".to_owned()], tags].concat();
    let mut calls = Vec::new();
    for (host, [hits, bytes]) in HOSTS.iter().zip(VALUES.iter().cycle()) {
        let tags =
            own(&["cpcode:1209788".to_owned(), format!("hostname:{host}"), "status_class:2xx".to_owned()]);
        calls.push(json!(["count", "edge_hits", *hits as u64, tags, timestamp]));
        calls.push(json!(["count", "origin_response_bytes", *bytes as u64, tags, timestamp]));
    }
    for (ratio, class) in [(0.975, "2xx"), (1e-9, "3xx"), (0.0, "4xx"), (1.0 / 3.0, "5xx")] {
        let tags = own(&[
            "delivery:STANDARD_TLS".to_owned(),
            "tier:edge".to_owned(),
            format!("status_class:{class}"),
        ]);
        calls.push(json!(["gauge", "estats.status_ratio", ratio, tags, timestamp]));
    }
    calls.into()
}

fn by_the_library(calls: &Value) -> Vec<Line> {
    let socket = receiver();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dogstatsd_reference.py");
    let mut command = Command::new(python(LIBRARY));
    command.arg(script).args([&port(&socket).to_string(), "env:prod team:cdn"]).env_clear();
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(calls.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    receive(&socket, calls.as_array().unwrap().len())
}

fn open(entries: &str) -> Box<dyn Sink<Parcel>> {
    let mut problems = Problems::of(Path::new("exporter.ini"));
    let document = parse(format!("[dogstatsd]\n{entries}").as_bytes(), &mut problems);
    let mut section = Reader::new(&document.sections[1], dogstatsd::KIND.keys.iter(), &mut problems);
    let labels = vec![("team".to_owned(), "cdn".to_owned())];
    match (dogstatsd::KIND.open)(&mut section, &Options { labels, ..Options::default() }) {
        Some(Opened::Samples { sink, .. }) => sink,
        _ => panic!("{problems}"),
    }
}

async fn by_the_sink(timestamps: bool, count: usize) -> Vec<Line> {
    let socket = receiver();
    let entries =
        format!("address = 127.0.0.1:{}\ntags = env:prod\ntimestamps = {timestamps}", port(&socket));
    let snapshot = Store::new(Vec::new(), Vec::new()).current();
    let context = Context { snapshot, clock: Arc::new(SystemClock) };
    let outcome = open(&entries).deliver(&parcels(), &context).await;
    assert_eq!((outcome.done, outcome.sent, outcome.failure), (2, count as u64, None));
    receive(&socket, count)
}

#[tokio::test]
async fn datadog_s_own_library_sends_the_same() {
    for timestamp in [Some(TIME), None] {
        let calls = calls(timestamp);
        let count = calls.as_array().unwrap().len();
        let (expected, found) = (by_the_library(&calls), by_the_sink(timestamp.is_some(), count).await);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(found, expected);
        }
    }
}
