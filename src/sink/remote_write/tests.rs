use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, IntoFuture};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::TimeDelta;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

use super::*;
use crate::clock::ManualClock;
use crate::ini::{self, Problems};
use crate::sink::Failure;
use crate::sink::sample::{HOSTILE, estats, hostile, parcels, start, window};
use crate::snapshot;

// What the specification says of the messages, in types of the test's own.

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A sample: its labels, its time in milliseconds, its value.
type Told = (BTreeMap<String, String>, i64, f64);

/// A request that the receiver has had.
struct Heard {
    headers: HeaderMap,
    told: Vec<Told>,
}

/// Reads a body as strictly as the specification allows.
fn strict(body: &[u8]) -> Vec<Told> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy's block format");
    let request = WriteRequest::decode(plain.as_slice()).expect("a WriteRequest in UTF-8");
    assert_eq!(request.encode_to_vec(), plain, "there is more in it than the specification knows");
    assert!(!request.series.is_empty(), "a request without a series");
    let (mut told, mut seen) = (Vec::new(), BTreeSet::new());
    for series in request.series {
        assert!(series.labels.iter().all(|l| !l.name.is_empty() && !l.value.is_empty()), "{series:?}");
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{series:?}");
        assert!(series.points.is_sorted_by(|a, b| a.timestamp < b.timestamp), "{series:?}");
        assert!(!series.points.is_empty(), "{series:?}");
        let labels: BTreeMap<_, _> = series.labels.into_iter().map(|l| (l.name, l.value)).collect();
        let name = labels["__name__"].clone();
        assert!(name.starts_with("akamai_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(seen.insert(labels.clone()), "{labels:?} stands there twice");
        told.extend(series.points.into_iter().map(|point| (labels.clone(), point.timestamp, point.value)));
    }
    told
}

/// What the receiver answers to a request, by its number from 0 and what is in it.
type Rule = Arc<dyn Fn(usize, &Heard) -> Response + Send + Sync>;

/// A receiver on loopback.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Receiver {
    /// Runs `work` beside a receiver that answers by `rule`.
    async fn beside<F: Future>(
        rule: impl Fn(usize, &Heard) -> Response + Send + Sync + 'static,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> F::Output {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let receiver = Arc::new(Self { url, heard: Arc::default() });
        let (heard, rule): (_, Rule) = (Arc::clone(&receiver.heard), Arc::new(rule));
        let answer = async move |headers: HeaderMap, body: Bytes| {
            let mut heard = heard.lock().unwrap();
            let now = Heard { headers, told: strict(&body) };
            let response = rule(heard.len(), &now);
            heard.push(now);
            response
        };
        let router = Router::new().route("/api/v1/write", post(answer));
        tokio::select! {
            _ = axum::serve(listener, router).into_future() => unreachable!("the receiver does not end"),
            done = work(receiver) => done,
        }
    }

    /// How many samples each request had.
    fn sizes(&self) -> Vec<usize> {
        self.heard.lock().unwrap().iter().map(|heard| heard.told.len()).collect()
    }

    fn header(&self, request: usize, name: &str) -> String {
        self.heard.lock().unwrap()[request].headers[name].to_str().unwrap().to_owned()
    }

    /// All samples, request by request.
    fn told(&self) -> Vec<Told> {
        self.heard.lock().unwrap().iter().flat_map(|heard| heard.told.clone()).collect()
    }

    fn sink(&self, entries: &str) -> RemoteWrite {
        sink(&format!("url = {}\n{entries}", self.url))
    }
}

fn fine(_: usize, _: &Heard) -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn answer(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), text.to_owned()).into_response()
}

fn options() -> Options {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Options { labels: vec![label("Site", "vod"), label("none", "")], taken: BTreeSet::from(["cpcode"]) }
}

fn read(entries: &str) -> Result<Settings, String> {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = ini::parse(format!("[remote_write]\n{entries}").as_bytes(), &mut problems);
    let mut reader = Reader::new(&document.sections[1], section::KEYS.iter(), &mut problems);
    let settings = section::read(&mut reader, &options());
    assert_eq!(settings.is_none(), !problems.is_empty(), "{problems}");
    settings.ok_or_else(|| problems.to_string())
}

fn sink(entries: &str) -> RemoteWrite {
    RemoteWrite::new(read(entries).unwrap(), &options())
}

fn context() -> Context {
    let clock = ManualClock::at(start() + TimeDelta::hours(1));
    Context { snapshot: snapshot::sample::store().current(), clock: Arc::new(clock) }
}

fn wanted(sink: &RemoteWrite) -> Vec<Parcel> {
    parcels().into_iter().filter(|parcel| sink.wants(parcel)).collect()
}

fn windows(count: i32) -> Vec<Parcel> {
    (0..count).map(|number| window(Origin::Settled, number)).collect()
}

fn failed(outcome: &Outcome) -> &Failure {
    outcome.failure.as_ref().expect("a failure")
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn the_sample_set_arrives_as_the_specification_demands() {
    let receiver = Receiver::beside(fine, async |receiver| {
        let mut sink = receiver.sink("headers = X-Scope-OrgID=team, X-Other=a=b\nlabels = team=edge");
        let items = wanted(&sink);
        let outcome = sink.deliver(&items, &context()).await;
        assert_eq!((outcome.done, outcome.sent), (items.len(), 12 * 3 + 3 + 8), "{outcome:?}");
        assert!(outcome.refused.is_none() && outcome.failure.is_none(), "{outcome:?}");
        receiver
    })
    .await;
    assert_eq!(receiver.sizes(), [47], "small parcels share a request");
    let agent = concat!("akamai-exporter/", env!("CARGO_PKG_VERSION"));
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", agent),
        ("x-scope-orgid", "team"),
        ("x-other", "a=b"),
    ];
    for (name, value) in headers {
        assert_eq!(receiver.header(0, name), value);
    }
    let told = receiver.told();
    let at = |minutes| (start() + TimeDelta::minutes(minutes)).timestamp_millis();
    let of = |wanted: &[(&str, &str)]| -> Vec<(i64, f64)> {
        let fixed = [("Site", "vod"), ("team", "edge")];
        let wanted = labels(&[wanted, &fixed].concat());
        told.iter().filter(|(labels, ..)| *labels == wanted).map(|(_, time, value)| (*time, *value)).collect()
    };
    let series = |metric, code, class| {
        let own = [("__name__", metric), ("account", "default"), ("source", "amd")];
        of(&[&own[..], &[("cpcode", code), ("status_class", class)]].concat())
    };
    let hits = series("akamai_traffic_window_edge_hits", "1209788", "2xx");
    assert_eq!(hits, [(at(-5), 0.0), (at(0), 1000.0), (at(5), 2000.0)], "history and settled windows");
    let most = 9_007_199_254_740_992.0;
    let hits = series("akamai_traffic_window_edge_hits", "100001", "2xx");
    assert_eq!(hits, [(at(-5), most), (at(0), most), (at(5), most)]);
    let bytes = series("akamai_traffic_window_edge_bytes", "1209788", "4xx");
    assert_eq!(bytes, [(at(-5), 0.0), (at(0), 2000.0), (at(5), 4000.0)]);
    let ratio = of(&[
        ("__name__", "akamai_estats_status_ratio"),
        ("account", "default"),
        ("source", "estats"),
        ("cpcode", "1209788"),
        ("delivery", "STANDARD_TLS"),
        ("tier", "edge"),
        ("status_class", "5xx"),
    ]);
    assert_eq!(ratio, [(at(0) + 1500, 1e-9)], "a sample keeps name and time, and an empty label is none");
    for (n, value) in (1..).zip(HOSTILE) {
        let own = [("__name__", "akamai_traffic_window_edge_hits"), ("cpcode", "7")];
        let own = [&own[..], &[("account", "acc|ount#\n1"), ("source", "so:urce,ü")]].concat();
        let host = [("hostname", value)];
        let host = if value.is_empty() { &host[..0] } else { &host[..] };
        assert_eq!(of(&[&own, host].concat()), [(at(0), f64::from(n))], "{value:?}");
    }
}

#[test]
fn what_is_for_it() {
    let sink = sink("url = https://example.com/push?token=12345678");
    let origins = Origin::ALL.map(|origin| sink.wants(&window(origin, 0)));
    assert_eq!(origins, [false, true, true, true], "windows that may yet be revised are not");
    let windows = self::sink("url = https://example.com/push\nestats = false");
    assert_eq!(Origin::ALL.map(|origin| windows.wants(&window(origin, 0))), [false, true, true, false]);
    assert_eq!(sink.address(), "https://example.com/push", "a query may hold a token");
    assert!(!format!("{sink:?}").contains("12345678"));
}

#[test]
fn the_own_label_holds_and_a_later_value_too() {
    let fixed = [("cpcode", "fixed"), ("team", "a")].map(|(name, value)| Label::new(name, value).unwrap());
    let (first, mut second) = (window(Origin::History, 0), window(Origin::Settled, 0));
    second.sheets[0].rows[0].values[0] = 7.0;
    let parts = [&first, &second].map(|parcel| Part { parcel, samples: 0..parcel.len() });
    let told = strict(&request::body(&parts, &fixed).unwrap());
    assert_eq!(told.len(), 12, "two values for one moment cannot be sent");
    assert!(told.iter().any(|(labels, _, value)| *value == 7.0 && labels["cpcode"] == "1209788"));
    assert!(told.iter().all(|(labels, ..)| labels["cpcode"] != "fixed" && labels["team"] == "a"));
}

/// Every sample once: what came in the order in which it stands in the parcels.
fn check_all_once(told: &[Told], items: &[Parcel]) {
    let values = items.iter().flat_map(|parcel| {
        let rows = parcel.sheets.iter().flat_map(|sheet| &sheet.rows);
        rows.flat_map(|row| row.values.iter().map(|value| (parcel.time.timestamp_millis(), *value)))
    });
    let told: Vec<_> = told.iter().map(|(_, time, value)| (*time, *value)).collect();
    assert_eq!(told, values.collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_are_bounded_and_in_order() {
    for (most, sizes) in [(5, &[5, 5, 2, 5, 5, 2, 5, 5, 2][..]), (12, &[12, 12, 12]), (30, &[24, 12])] {
        let receiver = Receiver::beside(fine, async |receiver| {
            let mut sink = receiver.sink(&format!("max_samples_per_request = {most}"));
            let outcome = sink.deliver(&windows(3), &context()).await;
            assert_eq!((outcome.done, outcome.sent), (3, 36));
            receiver
        })
        .await;
        assert_eq!(receiver.sizes(), sizes);
        let mut told = receiver.told();
        // A request has its samples by series.
        told.sort_by_key(|(_, time, _)| *time);
        check_all_once(&told, &windows(3));
    }
}

#[tokio::test]
async fn a_part_that_was_delivered_is_not_sent_again() {
    let second_fails = |number, _: &Heard| if number == 1 { answer(503, "") } else { fine(0, &none()) };
    let receiver = Receiver::beside(second_fails, async |receiver| {
        let (mut sink, items) = (receiver.sink("max_samples_per_request = 5"), windows(2));
        let outcome = sink.deliver(&items, &context()).await;
        assert_eq!((outcome.done, outcome.sent), (0, 5));
        assert_eq!(failed(&outcome).message, "the receiver answered 503 Service Unavailable");
        let outcome = sink.deliver(&items, &context()).await;
        assert_eq!((outcome.done, outcome.sent), (2, 19));
        receiver
    })
    .await;
    assert_eq!(receiver.sizes(), [5, 5, 5, 2, 5, 5, 2]);

    let receiver = Receiver::beside(second_fails, async |receiver| {
        let (mut sink, items) = (receiver.sink("max_samples_per_request = 5"), windows(2));
        assert_eq!(sink.deliver(&items, &context()).await.sent, 5);
        let outcome = sink.deliver(&items[1..], &context()).await;
        assert_eq!((outcome.done, outcome.sent), (1, 12), "another parcel is sent whole");
        receiver
    })
    .await;
    assert_eq!(receiver.sizes(), [5, 5, 5, 5, 2]);
}

fn none() -> Heard {
    Heard { headers: HeaderMap::new(), told: Vec::new() }
}

#[tokio::test]
async fn a_long_delivery_hands_back_what_is_done() {
    Receiver::beside(fine, async |receiver| {
        let mut sink = receiver.sink("max_samples_per_request = 6");
        sink.longest_delivery = Duration::ZERO;
        let items = windows(2);
        let mut steps = Vec::new();
        let mut done = 0;
        while done < items.len() {
            let outcome = sink.deliver(&items[done..], &context()).await;
            done += outcome.done;
            steps.push((outcome.done, outcome.sent));
        }
        assert_eq!(steps, [(0, 6), (1, 6), (0, 6), (1, 6)]);
    })
    .await;
}

#[tokio::test]
async fn what_has_nothing_to_send_is_done() {
    let receiver = Receiver::beside(fine, async |receiver| {
        let empty = Parcel { sheets: Vec::new(), ..window(Origin::Settled, 3) };
        let outcome = receiver.sink("").deliver(&[empty.clone(), empty], &context()).await;
        assert_eq!((outcome.done, outcome.sent), (2, 0));
        receiver
    })
    .await;
    assert!(receiver.sizes().is_empty());
}

#[tokio::test]
async fn failures_are_tried_again_when_the_receiver_says() {
    // The context's clock shows 11:00:00.
    let cases = [
        (429, Some("17"), Some(17)),
        (503, Some("Fri, 20 Nov 2026 11:02:05 GMT"), Some(125)),
        (503, Some("Fri, 20 Nov 2026 10:00:00 GMT"), Some(0)),
        (503, Some("18446744073709551615"), Some(300)),
        (503, Some("Fri, 20 Nov 2099 10:00:00 GMT"), Some(300)),
        (503, Some("soon"), None),
        (500, None, None),
        (408, None, None),
    ];
    for (status, wish, seconds) in cases {
        let rule = move |number, _: &Heard| {
            let mut response = answer(if number == 0 { status } else { 200 }, "\n  busy\nand more");
            if let Some(wish) = wish {
                response.headers_mut().insert("retry-after", wish.parse().unwrap());
            }
            response
        };
        Receiver::beside(rule, async |receiver| {
            let (mut sink, items) = (receiver.sink(""), windows(2));
            let outcome = sink.deliver(&items, &context()).await;
            assert_eq!((outcome.done, outcome.sent), (0, 0));
            let failure = failed(&outcome);
            assert_eq!(failure.retry_after, seconds.map(Duration::from_secs), "{status} {wish:?}");
            assert!(failure.message.starts_with(&format!("the receiver answered {status} ")), "{failure:?}");
            assert!(failure.message.ends_with(": busy"), "{failure:?}");
            assert_eq!(sink.deliver(&items, &context()).await.sent, 24);
        })
        .await;
    }
}

#[tokio::test]
async fn receivers_that_are_not_there() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut writer = sink(&format!("url = http://{}/", hanging.local_addr().unwrap()));
    writer.client.timeout = Duration::from_millis(100);
    let outcome = writer.deliver(&windows(1), &context()).await;
    assert_eq!(failed(&outcome), &Failure::new("no answer within 100ms"));

    let closed = hanging.local_addr().unwrap();
    drop(hanging);
    let mut writer = sink(&format!("url = http://{closed}/?token=12345678"));
    let outcome = writer.deliver(&windows(1), &context()).await;
    assert_eq!(failed(&outcome), &Failure::new("no connection: Connection refused (os error 111)"));

    let mut writer = sink("url = http://receiver.invalid/?token=12345678");
    let outcome = writer.deliver(&windows(1), &context()).await;
    let message = &failed(&outcome).message;
    assert!(message.starts_with("no connection: failed to lookup address"), "{message}");
    assert_eq!((outcome.done, outcome.sent), (0, 0));
}

/// A rule that refuses every request which has a sample of the window `bad`.
fn refuses(bad: i32, text: &'static str) -> impl Fn(usize, &Heard) -> Response {
    let time = window(Origin::Settled, bad).time.timestamp_millis();
    move |_, heard| match heard.told.iter().any(|(_, at, _)| *at == time) {
        true => answer(400, text),
        false => fine(0, heard),
    }
}

#[tokio::test]
async fn one_bad_parcel_does_not_cost_the_others() {
    let receiver = Receiver::beside(refuses(5, "out of order sample"), async |receiver| {
        let (mut sink, items) = (receiver.sink(""), windows(16));
        let outcome = sink.deliver(&items, &context()).await;
        assert_eq!((outcome.done, outcome.sent), (16, 15 * 12));
        let (count, message) = outcome.refused.unwrap();
        assert_eq!(count, 12);
        assert!(message.starts_with("the receiver answered 400 Bad Request: out of order sample; "));
        assert!(message.contains("out_of_order_time_window"), "{message}");
        assert!(outcome.failure.is_none());
        receiver
    })
    .await;
    let sizes: Vec<_> = receiver.sizes().iter().map(|size| size / 12).collect();
    assert_eq!(
        sizes,
        [16, 8, 4, 8, 4, 2, 1, 2, 1, 1, 2, 4, 3],
        "fewer with each refusal, more with each success"
    );
}

#[tokio::test]
async fn a_parcel_whose_parts_are_refused_is_done() {
    Receiver::beside(
        |number, _| answer(if number == 1 { 422 } else { 200 }, "bad"),
        async |receiver| {
            let mut sink = receiver.sink("max_samples_per_request = 5");
            let outcome = sink.deliver(&windows(1), &context()).await;
            assert_eq!((outcome.done, outcome.sent), (1, 7));
            let refused = (5, "the receiver answered 422 Unprocessable Entity: bad".to_owned());
            assert_eq!(outcome.refused, Some(refused));
        },
    )
    .await;
}

#[test]
fn what_statuses_mean() {
    let check = |status: u16, said: &str, is_for_good, expected: &str| {
        let (was_for_good, message) = match client::refusal(status.try_into().unwrap(), said, None) {
            Answer::Taken => panic!("{status} is no success"),
            Answer::Refused(message) => (true, message),
            Answer::Later(failure) => (false, failure.message),
        };
        assert_eq!(was_for_good, is_for_good, "{status}");
        assert!(message.starts_with(&format!("the receiver answered {status} ")), "{message}");
        assert!(message.contains(said) && message.contains(expected), "{message}");
    };
    check(301, "", false, "redirects are not followed");
    check(401, "no", false, "check the credentials");
    check(403, "no", false, "check the credentials");
    check(404, "404 page not found", false, "check `url`");
    check(405, "", false, "check `url`");
    check(429, "slow down", false, "slow down");
    check(500, "out of order sample", true, "out_of_order_time_window");
    check(500, "no space left", false, "no space left");
    check(413, "", true, "lower `max_samples_per_request`");
    check(400, "out of bounds", true, "out_of_order_time_window");
    check(400, "too old sample", true, "out_of_order_time_window");
    check(409, "store locally: out of order samples", true, "out_of_order_time_window");
    check(400, "the sample has been rejected (err-mimir-sample-out-of-order)", true, "out_of_order_time");
    check(400, "duplicate sample for timestamp", true, "`labels` tells them apart");
    check(400, "label name too long", true, "label name too long");
}

#[tokio::test]
async fn credentials_or_url_are_to_blame_and_not_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token\n").unwrap();
    let rule = |_: usize, heard: &Heard| match heard.headers["authorization"] == "Bearer second-token" {
        true => fine(0, heard),
        false => {
            let said = heard.headers["authorization"].to_str().unwrap();
            answer(401, &format!("{said} expired {}", "x".repeat(300)))
        }
    };
    let receiver = Receiver::beside(rule, async |receiver| {
        let mut sink = receiver.sink(&format!("bearer_token_file = {}", file.display()));
        let outcome = sink.deliver(&windows(2), &context()).await;
        assert_eq!((outcome.done, outcome.sent, &outcome.refused), (0, 0, &None), "nothing is dropped");
        let message = &failed(&outcome).message;
        assert!(
            message.starts_with("the receiver answered 401 Unauthorized: Bearer [redacted] expired xxx"),
            "{message}"
        );
        assert!(message.chars().count() < 400 && message.contains("…; check the credentials"), "{message}");

        std::fs::remove_file(&file).unwrap();
        let outcome = sink.deliver(&windows(2), &context()).await;
        let expected = format!("cannot read {}: No such file or directory (os error 2)", file.display());
        assert_eq!(failed(&outcome), &Failure::new(expected));

        std::fs::write(&file, "second-token").unwrap();
        let outcome = sink.deliver(&windows(2), &context()).await;
        assert_eq!((outcome.done, outcome.sent), (2, 24), "the rotated token is used at once");
        receiver
    })
    .await;
    assert_eq!(receiver.sizes(), [24, 24], "no smaller requests for what is not the samples' fault");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let rule = |_: usize, _: &Heard| {
        let mut response = answer(307, "");
        response.headers_mut().insert("location", "/api/v1/write".parse().unwrap());
        response
    };
    let receiver = Receiver::beside(rule, async |receiver| {
        let outcome = receiver.sink("").deliver(&windows(1), &context()).await;
        assert!(failed(&outcome).message.contains("redirects are not followed"), "{outcome:?}");
        receiver
    })
    .await;
    assert_eq!(receiver.sizes(), [12]);
}

/// What is logged, for a test to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_sent_and_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cr3t:word\r\n").unwrap();
    let log = Log::default();
    let writer = log.clone();
    let logging = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let _logging = tracing::subscriber::set_default(logging.with_writer(move || writer.clone()).finish());
    let basic = "Basic dXNlcjpzM2NyM3Q6d29yZA==";
    let cases = [
        ("username = user\npassword_file =", "authorization", basic),
        ("bearer_token_file =", "authorization", "Bearer s3cr3t:word"),
        ("header = X-Api-Key\nheader_file =", "x-api-key", "s3cr3t:word"),
    ];
    for (entries, name, value) in cases {
        // The receiver quotes the secret.
        let rule = move |_: usize, heard: &Heard| {
            answer(400, &format!("I know {} s3cr3t:word", heard.headers[name].to_str().unwrap()))
        };
        let receiver = Receiver::beside(rule, async |receiver| {
            let mut sink = receiver.sink(&format!("{entries} {}", file.display()));
            let outcome = sink.deliver(&windows(1), &context()).await;
            tracing::info!("{sink:?} {outcome:?} {:?} {}", sink.client.auth.read(), sink.address());
            receiver
        })
        .await;
        assert_eq!(receiver.header(0, name), value);
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("I know ") && log.contains("[redacted]"), "{log}");
    assert!(!log.contains("s3cr3t") && !log.contains("dXNlcjpz"), "{log}");
}

/// Runs Debian's openssl.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("this test needs openssl: run `apt-get install openssl`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A CA of its own, and a receiver's certificate and key from it.
fn certificates(folder: &Path) -> (PathBuf, rustls::ServerConfig) {
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new} -subj /CN=CA -keyout ca.key -out ca.pem"));
    let signed =
        "-CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE";
    openssl(folder, &format!("{new} -subj /CN=receiver -keyout own.key -out own.pem {signed}"));
    let own = CertificateDer::from_pem_file(folder.join("own.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("own.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own], key);
    (folder.join("ca.pem"), config.unwrap())
}

/// Answers one request over TLS, and returns its head; an error if the client breaks off.
fn answer_one(listener: &std::net::TcpListener, config: rustls::ServerConfig) -> std::io::Result<String> {
    let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, listener.accept()?.0);
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    let head = loop {
        let count = stream.read(&mut buffer)?;
        read.extend_from_slice(&buffer[..count]);
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            let mut rest = vec![0; end + 4 + length.parse::<usize>().unwrap() - read.len()];
            stream.read_exact(&mut rest)?;
            strict(&[&read[end + 4..], &rest].concat());
            break head;
        }
    };
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(head)
}

#[tokio::test]
async fn tls_with_an_own_ca() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, config) = certificates(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("url = https://{}/api/v1/write", listener.local_addr().unwrap());
    let receiver = std::thread::spawn(move || {
        [answer_one(&listener, config.clone()), answer_one(&listener, config)].map(Result::ok)
    });
    let outcome = sink(&url).deliver(&windows(1), &context()).await;
    let message = &failed(&outcome).message;
    assert!(message.starts_with("no connection: invalid peer certificate"), "{message}");
    let mut trusting = sink(&format!("{url}\nca_file = {}", ca.display()));
    let outcome = trusting.deliver(&windows(1), &context()).await;
    assert_eq!((outcome.done, outcome.sent), (1, 12), "{outcome:?}");
    let [without, with] = receiver.join().unwrap();
    assert!(without.is_none(), "nothing is sent to whom nobody trusts");
    assert!(with.unwrap().starts_with("post /api/v1/write http/1.1\r\n"));
}

#[test]
fn sections() {
    let settings = read("url = http://prometheus:9090/api/v1/write").unwrap();
    assert_eq!(settings.client.timeout, Duration::from_secs(30));
    assert_eq!((settings.most_samples, settings.history), (5000, None));
    let settings =
        read("url = https://a.example/push\ntimeout = 5s\nhistory = 92d\nheaders = X-A=1").unwrap();
    assert_eq!(settings.history, Some(TimeDelta::days(92)));
    assert_eq!(settings.client.timeout, Duration::from_secs(5));
    assert_eq!(settings.client.headers["x-a"], "1");
}

#[test]
fn opened_with_what_it_wants() {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = ini::parse(b"[remote_write]\nurl = http://a/b\nhistory = 1h", &mut problems);
    let mut reader = Reader::new(&document.sections[1], KIND.keys.iter(), &mut problems);
    match (KIND.open)(&mut reader, &options()) {
        Some(Opened::Samples { sink, early: None, history: Some(history) }) => {
            assert_eq!((sink.address().as_str(), history), ("http://a/b", TimeDelta::hours(1)));
            assert!(sink.wants(&estats()) && sink.wants(&hostile()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn mistakes_in_sections() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (file, empty, lines) = (path("file", "x"), path("empty", "\n"), path("lines", "a\nb"));
    let check = |entries: &str, expected: &str| {
        let entries =
            format!("{entries}\n{}", if entries.contains("url = ") { "" } else { "url = https://a/b" });
        let message = read(&entries).err().unwrap_or_else(|| panic!("{entries} is accepted"));
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("hidden"), "{message}");
    };
    let expected = "a.ini:1: [remote_write] has no url; expected one such as https://";
    assert!(read("").err().unwrap().starts_with(expected));
    check("url = prometheus/hidden", "a.ini:2: [remote_write] url: is no URL (relative URL without a base)");
    check("url = ftp://a/hidden", "url: is no URL of http or https");
    check(
        "url = https://me:hidden@a/",
        "url: has a user name or password; use `username` and `password_file`",
    );
    check("url = https://a/b#hidden", "url: has a fragment");
    check("url = http://a/b\nca_file = /nowhere", "ca_file: is of no use with http");
    check("username = me", "username: needs `password_file` beside it");
    check("password_file = /nowhere", "password_file: needs `username` beside it");
    check("header = X-A", "header: needs `header_file` beside it");
    check("header_file = /nowhere", "header_file: needs `header` beside it");
    check("bearer_token_file = /nowhere", "cannot read /nowhere: No such file or directory");
    check(&format!("bearer_token_file = {empty}"), "is empty; expected a secret");
    check(&format!("bearer_token_file = {lines}"), "has a character that a header cannot have");
    check(
        &format!("bearer_token_file = {file}\nusername = me\npassword_file = {file}"),
        "bearer_token_file: stands beside `username`; expected one way to authenticate",
    );
    check(&format!("username = a:b\npassword_file = {file}"), "username: has a colon");
    check(&format!("header = Content-Type\nheader_file = {file}"), "`Content-Type` is the protocol's");
    check(&format!("header = a b\nheader_file = {file}"), "`a b` is no header's name");
    check("headers = Authorization=hidden", "the header `authorization` is secret; use `header` and");
    check("headers = X-A", "is no list of headers; expected Name=value");
    check("headers = X-A=1, x-a=2", "the header `x-a` stands there twice");
    check("headers = 'X-A=hidden, X-B=1", "is no list of headers");
    check("ca_file = /nowhere", "ca_file: cannot read /nowhere: No such file");
    check(&format!("ca_file = {file}"), "has no certificate; expected PEM");
    check("labels = account=x", "the label `account` stands on metrics already");
    check("labels = cpcode=x", "the label `cpcode` stands on metrics already");
    check("labels = Site=x", "the label `Site` stands in `labels` of [exporter]");
    check("timeout = 1h", "`1h` is out of range; expected one second to 100 seconds");
    check("max_samples_per_request = 0", "expected a whole number from 1 to 100000");
    check("estats = maybe", "`maybe`");
    check("history = 93d", "`93d` is out of range; expected at most 92d");
}

#[test]
fn what_a_receiver_will_never_take_is_refused_whatever_the_status() {
    let refused = |status: u16, said: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        match client::refusal(status, said, None) {
            Answer::Refused(message) => Some(message),
            _ => None,
        }
    };
    let message = refused(500, "too old sample").unwrap();
    assert!(message.starts_with("the receiver answered 500 Internal Server Error: too old sample; windows"));
    assert!(message.contains("out_of_order_time_window"), "{message}");
    assert_eq!(refused(500, "disk full"), None);
    assert_eq!(refused(503, "too old sample"), None, "it may not have looked");
}
