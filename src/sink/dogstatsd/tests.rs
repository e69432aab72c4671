//! The sink against receivers on real sockets, which read what comes by the letter of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::{any, proptest};
use tempfile::TempDir;

use super::super::sample;
use super::*;
use crate::clock::ManualClock;
use crate::ini::{self, Problems};
use crate::model::{Batch, Family, MetricKind, Row, Sheet};
use crate::snapshot::{Store, sample as snapshots};

/// A line, taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    value: f64,
    kind: String,
    tags: BTreeSet<String>,
    time: Option<i64>,
}

/// Reads a line by the letter of "Datagram format and shell usage", v1.3, where it leaves a choice by the narrower reading.
fn read_line(line: &str) -> Line {
    let mut fields = line.split('|');
    let (name, value) = fields.next().unwrap().split_once(':').unwrap_or_else(|| panic!("{line}"));
    assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= 200, "{line}");
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c)), "{line}");
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(is_digits(whole) && is_digits(fraction), "{line}");
    let kind = fields.next().unwrap().to_owned();
    assert!(["c", "g"].contains(&kind.as_str()), "{line}");
    let tags = fields.next().unwrap().strip_prefix('#').unwrap_or_else(|| panic!("no tags: {line}"));
    let tags: Vec<_> = tags.split(',').map(str::to_owned).collect();
    for tag in &tags {
        assert!(tag.starts_with(char::is_alphabetic) && tag.chars().count() <= 200, "{tag} in {line}");
        assert!(tag.chars().all(|c| c.is_alphanumeric() || "_-:./".contains(c)), "{tag} in {line}");
    }
    let time = fields.next().map(|field| {
        let digits = field.strip_prefix('T').unwrap();
        assert!(is_digits(digits) && digits != "0", "{line}");
        digits.parse().unwrap()
    });
    assert_eq!(fields.next(), None, "{line}");
    let count = tags.len();
    let tags: BTreeSet<_> = tags.into_iter().collect();
    assert_eq!(tags.len(), count, "a tag twice: {line}");
    Line { name: name.to_owned(), value: value.parse().unwrap(), kind, tags, time }
}

fn read_datagram(bytes: &[u8], most: usize) -> Vec<Line> {
    assert!(bytes.len() <= most, "{} bytes", bytes.len());
    std::str::from_utf8(bytes).unwrap().split('\n').map(read_line).collect()
}

/// What an Agent's socket is.
enum Receiver {
    Udp(UdpSocket),
    Unix(UnixDatagram, TempDir),
}

impl Receiver {
    fn udp() -> Self {
        Self::udp_at("127.0.0.1:0")
    }

    fn udp_at(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::Udp(socket)
    }

    fn unix() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("dsd.socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::Unix(socket, directory)
    }

    fn address(&self) -> String {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap().to_string(),
            Self::Unix(_, directory) => format!("unix://{}/dsd.socket", directory.path().display()),
        }
    }

    /// The datagrams that have come: on this machine they are there when they are sent.
    fn datagrams(&self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        loop {
            let mut buffer = vec![0; 65_536];
            let result = match self {
                Self::Udp(socket) => socket.recv(&mut buffer),
                Self::Unix(socket, _) => socket.recv(&mut buffer),
            };
            match result {
                Ok(size) => found.push(buffer[..size].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return found,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let most = if matches!(self, Self::Udp(_)) { 1_432 } else { 8_192 };
        self.datagrams().iter().flat_map(|bytes| read_datagram(bytes, most)).collect()
    }
}

fn context() -> Context {
    context_with(&Store::new(Vec::new(), Vec::new()))
}

fn context_with(store: &Store) -> Context {
    Context { snapshot: store.current(), clock: Arc::new(ManualClock::at(sample::start())) }
}

/// Opens a section; what it says of windows, or what is wrong with it.
fn opened(entries: &str, labels: &[(&str, &str)]) -> Result<Opened, String> {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = ini::parse(format!("[dogstatsd]\n{entries}").as_bytes(), &mut problems);
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut section = Reader::new(&document.sections[1], KEYS.iter(), &mut problems);
    let opened = open(&mut section, &Options { labels, ..Options::default() });
    if problems.is_empty() { Ok(opened.unwrap()) } else { Err(problems.to_string()) }
}

fn sink(entries: &str) -> Box<dyn Sink<Parcel>> {
    sink_with(entries, &[])
}

fn sink_with(entries: &str, labels: &[(&str, &str)]) -> Box<dyn Sink<Parcel>> {
    match opened(entries, labels).unwrap() {
        Opened::Samples { sink, .. } => sink,
        Opened::Answers { .. } => panic!("it takes samples"),
    }
}

fn sink_to(receiver: &Receiver) -> Box<dyn Sink<Parcel>> {
    sink(&format!("address = {}", receiver.address()))
}

/// The same without its wrapping, for what shows only inside.
fn bare(address: Address) -> Dogstatsd {
    let style =
        Style { namespace: "akamai".to_owned(), tags: String::new(), timestamps: true, legacy_names: false };
    let when = When::After(TimeDelta::minutes(30));
    Dogstatsd { style, when, address, socket: None, begun: None, names: Names::new(), burst: 0 }
}

/// Delivers all that the sink wants of the sample set; what it said.
async fn deliver_all(sink: &mut dyn Sink<Parcel>) -> (usize, Outcome) {
    let mut parcels = sample::parcels();
    parcels.retain(|parcel| sink.wants(parcel));
    (parcels.len(), sink.deliver(&parcels, &context()).await)
}

/// A window with so many rows, whose values tell them apart.
fn large(rows: u32) -> Parcel {
    let row = |n: u32| Row {
        labels: vec!["7".into(), format!("host-{n}.{}.example.com", "x".repeat(100)).into()],
        values: vec![f64::from(n + 1)],
    };
    let sheet = Sheet {
        labels: vec!["cpcode".to_owned(), "hostname".to_owned()],
        metrics: vec!["akamai_traffic_edge_hits_total".to_owned()],
        rows: (0..rows).map(row).collect(),
    };
    Parcel { sheets: vec![sheet], ..sample::window(Origin::Early, 0) }
}

/// Fails unless the lines are those of `large(rows)`, each once.
#[track_caller]
fn check_large(lines: &[Line], rows: u32) {
    let mut values: Vec<_> = lines.iter().map(|line| line.value).collect();
    values.sort_by(f64::total_cmp);
    assert_eq!(values, (1..=rows).map(f64::from).collect::<Vec<_>>());
}

/// The sums of the counts, by metric: exact, beyond what a float can hold too.
fn sums(lines: &[Line]) -> BTreeMap<&str, i128> {
    let mut sums = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind == "c") {
        assert_eq!(line.value.fract(), 0.0, "{line:?}");
        *sums.entry(line.name.as_str()).or_default() += line.value as i128;
    }
    sums
}

#[track_caller]
fn check_sample_set(lines: &[Line], outcome: &Outcome, parcels: usize) {
    assert_eq!((outcome.done, outcome.sent, lines.len() as u64), (parcels, 23, 23));
    assert!(outcome.refused.is_none() && outcome.failure.is_none());
    let expected = [
        ("akamai.edge_bytes", 3 * 123_456_789 + 3 * 2_000 + 2 * 300),
        ("akamai.edge_hits", 3_000 + 60 + 6 + (2_i128 << 53)),
        ("akamai.origin_hits", 30 + 6 + 6),
    ];
    assert_eq!(sums(lines), expected.into_iter().collect());
    let gauges: Vec<_> = lines.iter().filter(|line| line.kind == "g").collect();
    let gauges: Vec<_> = gauges.iter().map(|line| (line.name.as_str(), line.value)).collect();
    let ratio = "akamai.estats.status_ratio";
    assert_eq!(gauges, [("akamai.estats.hits", 9_700.0), (ratio, 0.975), (ratio, 1e-9)]);
    for line in lines {
        let is_sample = line.name.starts_with("akamai.estats.");
        assert_eq!(line.kind, if is_sample { "g" } else { "c" }, "{line:?}");
        let time = line.time.unwrap() - sample::start().timestamp();
        assert!(if is_sample { time == 1 } else { [0, 300].contains(&time) }, "{line:?}");
    }
    let first = ["account:default", "source:amd", "cpcode:1209788", "status_class:2xx"];
    assert_eq!(lines[0].tags, first.map(str::to_owned).into());
    let sample = lines.iter().find(|line| line.name == "akamai.estats.hits").unwrap();
    let tags = ["source:estats", "cpcode:1209788", "delivery:STANDARD_TLS", "tier:edge", "status:200"];
    assert_eq!(sample.tags, tags.into_iter().chain(["account:default"]).map(str::to_owned).collect());
}

#[tokio::test]
async fn the_sample_set_over_udp_and_on_a_unix_socket() {
    for receiver in [Receiver::udp(), Receiver::unix()] {
        let mut sink = sink_to(&receiver);
        assert_eq!(sink.address(), receiver.address());
        let (parcels, outcome) = deliver_all(sink.as_mut()).await;
        check_sample_set(&receiver.lines(), &outcome, parcels);
    }
}

#[tokio::test]
async fn hostile_values_become_tags() {
    let receiver = Receiver::unix();
    let mut sink = sink_to(&receiver);
    let outcome = sink.deliver(&[sample::hostile()], &context()).await;
    assert_eq!((outcome.done, outcome.sent), (1, 8));
    let lines = receiver.lines();
    let hosts = [
        "hostname:pipe_hash_colon:comma_at_",
        "hostname:new_line_and____more",
        "hostname:quote__back_slash",
        "hostname:ünïcödé_测试__",
        "",
        "hostname:___spaces___",
        "hostname:_curly__equals_semi",
        "hostname:control_____31m_red",
    ];
    for ((line, host), value) in lines.iter().zip(hosts).zip(1..) {
        let tags = ["account:acc_ount__1", "source:so:urce_ü", "cpcode:7", host];
        let tags = tags.into_iter().filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        assert_eq!((&line.tags, line.value), (&tags, f64::from(value)));
    }
}

#[tokio::test]
async fn settled_windows_instead_of_early_ones() {
    let receiver = Receiver::unix();
    let mut sink = sink(&format!("address = {}\nsend_after = Settled", receiver.address()));
    let (parcels, outcome) = deliver_all(sink.as_mut()).await;
    assert_eq!((parcels, outcome.done, outcome.sent), (5, 5, 31));
    assert!(
        !sink.wants(&sample::window(Origin::Early, 0)) && !sink.wants(&sample::window(Origin::History, 0))
    );
}

#[tokio::test]
async fn without_timestamps() {
    let receiver = Receiver::unix();
    let mut sink = sink(&format!("address = {}\ntimestamps = no", receiver.address()));
    deliver_all(sink.as_mut()).await;
    let lines = receiver.lines();
    assert!(lines.len() == 23 && lines.iter().all(|line| line.time.is_none()));
}

#[tokio::test]
async fn names_of_cp_codes_and_common_tags() {
    static INFO: Family =
        Family::new(MetricKind::Gauge, "akamai_cpcode_info", "", &["cpcode", "name", "product"]);
    let store = Store::new(vec![snapshots::source("default", "amd", &["1"])], Vec::new());
    let mut batch = Batch::default();
    batch.push(&INFO, [&"1209788".into(), &"Video, main|site".into(), &"AMD".into()], 1.0);
    store.publish(0, 0, snapshots::success(snapshots::start(), batch));
    let receiver = Receiver::unix();
    let entries = format!("address = {}\ntags = env:prod, team:cdn, canary", receiver.address());
    let mut sink = sink_with(&entries, &[("team", "cdn"), ("region", "eu west")]);
    sink.deliver(&[sample::window(Origin::Early, 0)], &context_with(&store)).await;
    let text = String::from_utf8(receiver.datagrams().concat()).unwrap();
    let tags = "#account:default,source:amd,cpcode:1209788,cpcode_name:Video__main_site,status_class:2xx,team:cdn,region:eu_west,env:prod,canary";
    assert_eq!(text.lines().next().unwrap(), format!("akamai.edge_hits:1000|c|{tags}|T1795168800"));
    let other = text.lines().last().unwrap();
    assert!(other.starts_with(
        "akamai.edge_hits:9007199254740992|c|#account:default,source:amd,cpcode:100001,status_class:2xx,team"
    ));
    // The report's data have expired.
    sink.deliver(&[sample::window(Origin::Early, 0)], &context()).await;
    assert!(String::from_utf8(receiver.datagrams().concat()).unwrap().starts_with(&text[..100]));
}

#[tokio::test]
async fn names_that_a_window_brings() {
    let receiver = Receiver::unix();
    let mut sink = sink(&format!("address = {}", receiver.address()));
    let window =
        Parcel { names: vec![("100001".into(), "live: ü".into())], ..sample::window(Origin::Early, 0) };
    // Nothing else knows of it.
    sink.deliver(&[window], &context()).await;
    let lines = receiver.lines();
    let named = lines.iter().filter(|line| line.tags.contains("cpcode_name:live:_ü"));
    assert_eq!((named.count(), lines.len()), (1, 10));
}

/// A window of edge hits, with two origin hits in each row.
fn hits(labels: [&str; 3], rows: &[([&str; 3], f64)]) -> Parcel {
    let row = |(labels, value): &([&str; 3], f64)| Row {
        labels: labels.map(Into::into).to_vec(),
        values: vec![*value, 2.0],
    };
    let metrics = ["akamai_traffic_edge_hits_total", "akamai_traffic_origin_hits_total"];
    let sheet = Sheet {
        labels: labels.map(str::to_owned).to_vec(),
        metrics: metrics.map(str::to_owned).to_vec(),
        rows: rows.iter().map(row).collect(),
    };
    Parcel { sheets: vec![sheet], ..sample::window(Origin::Early, 0) }
}

#[tokio::test]
async fn the_names_of_the_python_script() {
    let receiver = Receiver::unix();
    let mut sink = sink(&format!("address = {}\nlegacy_names = true", receiver.address()));
    let by_host = [
        (["1", "a", "2xx"], 100.0),
        (["1", "b", "2xx"], 10.0),
        (["1", "a", "3xx"], 1_000.0),
        (["1", "a", "5xx"], 5.0),
        (["2", "a", "4xx"], 4.0),
    ];
    let by_status = [(["3", "a", "200"], 7.0), (["3", "a", "503"], 3.0)];
    let untold = [(["4", "a", ""], 9.0)];
    let parcels = [
        hits(["cpcode", "hostname", "status_class"], &by_host),
        hits(["cpcode", "hostname", "status"], &by_status),
        hits(["cpcode", "hostname", "arl_id"], &untold),
        sample::estats(),
    ];
    let outcome = sink.deliver(&parcels, &context()).await;
    let of = |name: &str, cpcode: &str, value: f64| (format!("akamai.{name}"), cpcode.to_owned(), value);
    let expected = vec![
        of("2xxEdgeHits", "1", 110.0),
        of("5xxEdgeHits", "1", 5.0),
        of("allEdgeHits", "1", 1_115.0),
        of("allOriginHits", "1", 8.0),
        of("4xxEdgeHits", "2", 4.0),
        of("allEdgeHits", "2", 4.0),
        of("allOriginHits", "2", 2.0),
        of("2xxEdgeHits", "3", 7.0),
        of("5xxEdgeHits", "3", 3.0),
        of("allEdgeHits", "3", 10.0),
        of("allOriginHits", "3", 4.0),
        of("allEdgeHits", "4", 9.0),
        of("allOriginHits", "4", 2.0),
    ];
    let lines = receiver.lines();
    let (samples, windows): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.name.starts_with("akamai.estats."));
    let found: Vec<_> = windows
        .iter()
        .map(|line| {
            let cpcode = line.tags.iter().find_map(|tag| tag.strip_prefix("cpcode:")).unwrap();
            assert!(line.kind == "c" && line.tags.len() == 3, "{line:?}");
            (line.name.clone(), cpcode.to_owned(), line.value)
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!((outcome.done, outcome.sent, samples.len()), (4, 16, 3));
}

#[tokio::test]
async fn counts_that_datadog_cannot_tell_apart_are_one() {
    let receiver = Receiver::unix();
    let mut parcel = sample::hostile();
    for (row, host) in
        parcel.sheets[0].rows.iter_mut().zip(["A b", "a_b", "a__B", "a_b!", "c", "c|", "d", "D"])
    {
        row.labels[1] = host.into();
    }
    sink_to(&receiver).deliver(&[parcel], &context()).await;
    let values: Vec<_> = receiver.lines().iter().map(|line| line.value).collect();
    assert_eq!(values, [10.0, 11.0, 15.0]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_the_rest_is_sent() {
    let long = "y".repeat(300);
    let labels: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, long.as_str())).into();
    for (receiver, sent, refused) in [(Receiver::udp(), 0, 10), (Receiver::unix(), 10, 0)] {
        let mut sink = sink_with(&format!("address = {}", receiver.address()), &labels);
        let parcels = [sample::window(Origin::Early, 0)];
        let outcome = sink.deliver(&parcels, &context()).await;
        let count = outcome.refused.map_or(0, |(count, _)| count);
        assert_eq!((outcome.done, outcome.sent, count), (1, sent, refused));
        assert_eq!(receiver.lines().len() as u64, sent);
    }
    let receiver = Receiver::udp();
    let mut parcel = sample::window(Origin::Early, 0);
    parcel.sheets[0].rows[0].values = vec![f64::NAN, f64::INFINITY, 1.5];
    parcel.sheets[0].metrics[1] = format!("akamai_traffic_{}_total", "z".repeat(250));
    let outcome = sink_to(&receiver).deliver(&[parcel], &context()).await;
    // Two bad numbers, and two more values under a name that is too long: it is not looked at whether its third is 0.
    let (refused, why) = outcome.refused.unwrap();
    assert_eq!((outcome.done, outcome.sent, refused), (1, 6, 5), "{why}");
    assert!(why.contains("257 characters"), "{why}");
    assert_eq!(receiver.lines()[0].value, 1.5);
}

#[tokio::test(start_paused = true)]
async fn a_large_parcel_is_paced_and_may_take_several_deliveries() {
    let receiver = Receiver::udp();
    let (mut sink, parcel, mut outcome) = (bare(address(&receiver)), large(1_000), Outcome::default());
    sink.begin(&parcel);
    let (mut lines, mut rounds) = (Vec::new(), 0);
    // Each time the receiver reads, and each time there was a pause before its buffer was full.
    while !sink.go_on(Instant::now() + PAUSE, &mut outcome).await.unwrap() {
        let datagrams = receiver.datagrams();
        assert_eq!(datagrams.len(), BURST);
        lines.extend(datagrams.iter().flat_map(|bytes| read_datagram(bytes, 1_432)));
        sink.begin(&parcel);
        rounds += 1;
        assert!(rounds < 100, "it does not go on");
    }
    lines.extend(receiver.lines());
    assert!(rounds > 3 && outcome.sent == 1_000, "{rounds}");
    check_large(&lines, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_full_is_waited_for_and_nothing_is_doubled() {
    let receiver = Receiver::unix();
    let mut sink = sink_to(&receiver);
    let parcels = [large(4_000), sample::window(Origin::Early, 1)];
    let (mut lines, mut done, mut stops) = (Vec::new(), 0, 0);
    while done < parcels.len() {
        let outcome = sink.deliver(&parcels[done..], &context()).await;
        done += outcome.done;
        if let Some(failure) = outcome.failure {
            assert!(failure.message.contains("too slow"), "{failure:?}");
            stops += 1;
            assert!(stops < 100, "it does not go on");
        }
        lines.extend(receiver.lines());
    }
    assert!(stops > 1, "{stops}");
    let last = lines.split_off(lines.len() - 10);
    check_large(&lines, 4_000);
    assert!(last.iter().all(|line| line.time == Some(sample::start().timestamp() + 300)));
}

#[tokio::test]
async fn another_parcel_in_the_place_of_one_under_way_is_sent_whole() {
    let receiver = Receiver::unix();
    let mut sink = bare(address(&receiver));
    sink.begin(&large(1_000));
    sink.begun.as_mut().unwrap().at =
        sink.begun.as_ref().unwrap().script.packet(Cursor::default(), 8_192).unwrap().next;
    let outcome = sink.deliver(&[sample::window(Origin::Early, 0)], &context()).await;
    assert_eq!((outcome.done, outcome.sent, receiver.lines().len()), (1, 10, 10));
}

fn address(receiver: &Receiver) -> Address {
    Address::parse(&receiver.address()).unwrap()
}

#[tokio::test]
async fn a_socket_that_is_missing_is_there_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.socket");
    let mut sink = sink(&format!("address = unix://{}", path.display()));
    let parcels = [sample::window(Origin::Early, 0)];
    for _ in 0..2 {
        let outcome = sink.deliver(&parcels, &context()).await;
        assert_eq!((outcome.done, outcome.sent), (0, 0));
        let message = outcome.failure.unwrap().message;
        assert!(
            message.starts_with("cannot reach unix:///") && message.contains("No such file"),
            "{message}"
        );
    }
    for _ in 0..2 {
        // The second time the old socket is gone, as when an Agent starts anew.
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let receiver = Receiver::Unix(socket, tempfile::tempdir().unwrap());
        let mut outcome = sink.deliver(&parcels, &context()).await;
        if outcome.failure.is_some() {
            assert_eq!((outcome.done, outcome.sent), (0, 0));
            outcome = sink.deliver(&parcels, &context()).await;
        }
        assert_eq!((outcome.done, receiver.lines().len()), (1, 10));
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn an_agent_that_is_away_gets_each_window_once_at_most() {
    let receiver = Receiver::udp();
    let address = receiver.address();
    let mut sink = sink_to(&receiver);
    let window = |number| [sample::window(Origin::Early, number)];
    assert_eq!(sink.deliver(&window(0), &context()).await.done, 1);
    let mut lines = receiver.lines();
    drop(receiver);
    // Linux says at once that nobody listens, or with the next datagram: what was sent before that is lost.
    let mut number = 0;
    let failure = loop {
        number += 1;
        assert!(number < 10, "nobody noticed");
        let outcome = sink.deliver(&window(number), &context()).await;
        if outcome.done == 0 {
            break outcome.failure.unwrap();
        }
    };
    assert!(failure.message.starts_with(&format!("cannot send to {address}: ")), "{failure:?}");
    let receiver = Receiver::udp_at(&address);
    for number in number..number + 2 {
        assert_eq!(sink.deliver(&window(number), &context()).await.done, 1);
    }
    lines.extend(receiver.lines());
    let mut times: Vec<_> =
        lines.iter().map(|line| line.time.unwrap() - sample::start().timestamp()).collect();
    assert_eq!(times.len(), 3 * 10);
    times.dedup();
    assert_eq!(times, [0, i64::from(number) * 300, i64::from(number + 1) * 300]);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_tried_again() {
    let receiver = Receiver::udp();
    let mut sink = bare(Address::parse("agent.invalid").unwrap());
    let parcels = [sample::window(Origin::Early, 0)];
    let outcome = sink.deliver(&parcels, &context()).await;
    assert_eq!((outcome.done, outcome.sent), (0, 0));
    let message = outcome.failure.unwrap().message;
    assert!(message.starts_with("cannot reach agent.invalid:8125: "), "{message}");
    let port = address(&receiver).to_string().rsplit(':').next().unwrap().to_owned();
    sink.address = Address::parse(&format!("localhost:{port}")).unwrap();
    assert_eq!(sink.deliver(&parcels, &context()).await.done, 1);
    assert_eq!(receiver.lines().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_anew_and_the_last_address_is_kept_while_that_fails() {
    let receiver = Receiver::udp();
    let port = receiver.address().rsplit(':').next().unwrap().to_owned();
    let mut sink = bare(Address::parse(&format!("localhost:{port}")).unwrap());
    let since = |sink: &Dogstatsd| sink.socket.as_ref().unwrap().1;
    sink.deliver(&[sample::window(Origin::Early, 0)], &context()).await;
    let first = since(&sink);
    tokio::time::advance(NAME_LASTS).await;
    sink.deliver(&[sample::window(Origin::Early, 1)], &context()).await;
    let second = since(&sink);
    assert!(second >= first + NAME_LASTS);
    sink.address = Address::parse("agent.invalid").unwrap();
    tokio::time::advance(NAME_LASTS).await;
    let outcome = sink.deliver(&[sample::window(Origin::Early, 2)], &context()).await;
    assert_eq!((outcome.done, since(&sink)), (1, second));
    assert_eq!(receiver.lines().len(), 30);
}

#[track_caller]
fn check_problem(entries: &str, expected: &str) {
    let problem = opened(entries, &[]).unwrap_err();
    assert!(problem.contains(expected), "{entries}: {problem}");
}

#[test]
fn sections() {
    let early = |entries: &str| match opened(entries, &[]).unwrap() {
        Opened::Samples { sink, early, history } => (sink.address(), early, history),
        Opened::Answers { .. } => panic!("it takes samples"),
    };
    assert_eq!(early(""), ("127.0.0.1:8125".to_owned(), Some(TimeDelta::minutes(30)), None));
    assert_eq!(early("send_after = 20m\ntags =").1, Some(TimeDelta::minutes(20)));
    assert_eq!(early("send_after = settled\naddress = [::1]").1, None);
    check_problem("namespace =", "namespace: has no value");
    check_problem("namespace = 1akamai", "`1akamai` is no namespace");
    check_problem("namespace = akamai.", "`akamai.` is no namespace");
    check_problem("namespace = aka-mai", "beginning with a letter");
    check_problem("tags = env:prod, a|b", "`a|b` is no Datadog tag");
    check_problem("tags = 1:x", "beginning with a letter");
    check_problem("timestamps = maybe", "neither `true` nor `false`");
    check_problem("legacy_names = 2", "neither `true` nor `false`");
    check_problem("send_after = soon", "or the word `settled`");
    check_problem("address = unix://var/run/x", "three slashes");
    check_problem("address = unixstream:///x", "stream socket");
    check_problem(&format!("address = unix:///{}", "x".repeat(200)), "cannot be a socket's path");
    check_problem("adress = x", "did you mean `address`?");
    let both = opened("address = :1\ntags = !", &[]).unwrap_err();
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn addresses() {
    let good = [
        ("127.0.0.1", "127.0.0.1:8125"),
        ("10.0.0.1:99", "10.0.0.1:99"),
        ("::1", "[::1]:8125"),
        ("[::1]", "[::1]:8125"),
        ("[::1]:99", "[::1]:99"),
        ("udp://agent:99", "agent:99"),
        ("agent.local", "agent.local:8125"),
        ("datadog-agent.monitoring.svc.:8125", "datadog-agent.monitoring.svc.:8125"),
        ("unix:///var/run/datadog/dsd.socket", "unix:///var/run/datadog/dsd.socket"),
        ("unixgram:///dsd.socket", "unix:///dsd.socket"),
    ];
    for (text, expected) in good {
        assert_eq!(Address::parse(text).map(|address| address.to_string()), Ok(expected.to_owned()));
    }
    let bad = [
        "",
        ":8125",
        "agent:",
        "agent:0",
        "agent:65536",
        "a b:1",
        "1.2.3:1",
        "1.2.3.4:0",
        "http://agent",
        "a..b",
    ];
    for text in bad {
        let message = Address::parse(text).unwrap_err();
        assert!(message.contains("is no address of an Agent"), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn any_value_of_a_label_makes_lines_that_can_be_read(account in any::<String>(), host in any::<String>(), value in any::<f64>()) {
        let mut parcel = Parcel { account, ..sample::window(Origin::Early, 0) };
        for row in &mut parcel.sheets[0].rows {
            row.labels[1] = host.as_str().into();
            row.values[0] = value;
        }
        let style = bare(Address::default()).style;
        let script = Script::of(&parcel, &style, &Names::new());
        let (mut at, mut count) = (Cursor::default(), 0);
        while let Some(packet) = script.packet(at, 1_432) {
            let lines = if packet.bytes.is_empty() { Vec::new() } else { read_datagram(&packet.bytes, 1_432) };
            assert_eq!(lines.len() as u64, packet.lines);
            count += packet.lines + packet.refused.map_or(0, |(refused, _)| refused);
            at = packet.next;
        }
        assert!(count > 0);
    }
}

#[test]
fn the_documentation_has_what_windows_and_samples_are_called() {
    let page = include_str!("../../../docs/sinks.md");
    let families = crate::source::KINDS.iter().flat_map(|kind| kind.families).map(|family| family.name);
    let windows =
        families.clone().filter(|name| name.starts_with("akamai_traffic_") && name.ends_with("_total"));
    let samples = families
        .filter(|name| name.starts_with("akamai_estats_") && !name.ends_with("_timestamp_seconds"))
        .map(|name| (name, name.to_owned()));
    let written = windows.map(|name| (name, crate::model::window_metric(name)));
    for (name, written) in written.chain(samples) {
        let row = format!("| `{name}` | `{}` | `{written}` |\n", text::metric("akamai", name).unwrap());
        assert!(page.contains(&row), "docs/sinks.md has no {row}");
    }
}
