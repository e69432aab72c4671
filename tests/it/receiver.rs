//! A receiver of remote write that misbehaves when told to, before a real Prometheus; it reads every request strictly, with messages of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// As Prometheus does.
    Pass,
    /// With success, and nothing is passed on.
    Keep,
    /// With this status, and nothing is passed on.
    Status(u16),
    /// Not at all.
    Hang,
    /// Prometheus gets it, and the answer is lost.
    LoseAnswer,
}

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// What was answered with success: how often each sample, by its series and time.
pub type Taken = BTreeMap<(String, i64), u32>;

#[derive(Debug)]
struct Shared {
    upstream: String,
    mode: Mutex<Mode>,
    taken: Mutex<Taken>,
    /// The series and time of each sample, in the order in which they first came.
    order: Mutex<Vec<(String, i64)>>,
    requests: Mutex<BTreeMap<String, u32>>,
}

/// The receiver.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Takes what it gets, with no Prometheus behind it.
    pub fn keeping() -> Self {
        let receiver = Self::before("nobody");
        receiver.set(Mode::Keep);
        receiver
    }

    /// Passes what it gets on to the Prometheus at `upstream`.
    pub fn before(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            mode: Mutex::new(Mode::Pass),
            taken: Mutex::default(),
            order: Mutex::default(),
            requests: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut receiver = Self { shared, address, stop: CancellationToken::new(), running: None };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        self.stop = CancellationToken::new();
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        self.running = Some(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                let router = Router::new().route("/api/v1/write", post(write)).with_state(shared);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    () = stop.cancelled() => {}
                }
            });
        }));
    }

    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// Nobody listens any more, until [`Self::up`].
    pub fn down(&mut self) {
        self.stop.cancel();
        self.running.take().unwrap().join().unwrap();
    }

    pub fn up(&mut self) {
        self.serve(std::net::TcpListener::bind(self.address).unwrap());
    }

    pub fn taken(&self) -> Taken {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How many samples of these times were taken after a newer one of their series, of these times as well.
    pub fn out_of_order(&self, times: impl RangeBounds<i64>) -> usize {
        let order = self.shared.order.lock().unwrap();
        let (mut newest, mut late) = (BTreeMap::new(), 0);
        for (series, time) in order.iter().filter(|(_, time)| times.contains(time)) {
            let newest = newest.entry(series).or_insert(time);
            late += usize::from(time < *newest);
            *newest = time.max(*newest);
        }
        late
    }

    /// How many requests there were, by what was done with them.
    pub fn requests(&self) -> BTreeMap<String, u32> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn write(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let mode = *shared.mode.lock().unwrap();
    *shared.requests.lock().unwrap().entry(format!("{mode:?}")).or_default() += 1;
    let request = read(&headers, &body);
    match mode {
        Mode::Pass | Mode::LoseAnswer => {
            let (status, words) = pass_on(&shared.upstream, headers, body).await;
            if mode == Mode::LoseAnswer {
                return StatusCode::BAD_GATEWAY.into_response();
            }
            if status.is_success() {
                shared.take(&request);
            }
            (status, words).into_response()
        }
        Mode::Keep => {
            shared.take(&request);
            StatusCode::NO_CONTENT.into_response()
        }
        Mode::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("retry-after", "1")], "told to").into_response()
        }
        Mode::Hang => std::future::pending().await,
    }
}

impl Shared {
    fn take(&self, request: &WriteRequest) {
        let (mut taken, mut order) = (self.taken.lock().unwrap(), self.order.lock().unwrap());
        for series in &request.timeseries {
            let labels: Vec<String> =
                series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
            let name = labels.join(",");
            for sample in &series.samples {
                let count = taken.entry((name.clone(), sample.timestamp)).or_default();
                *count += 1;
                if *count == 1 {
                    order.push((name.clone(), sample.timestamp));
                }
            }
        }
    }
}

/// Reads a request as the specification has it; what it forbids fails the request, and so the test.
fn read(headers: &HeaderMap, body: &[u8]) -> WriteRequest {
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(headers[name], value);
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request = WriteRequest::decode(plain.as_slice()).unwrap();
    for series in &request.timeseries {
        let names: Vec<_> = series.labels.iter().map(|label| label.name.as_str()).collect();
        assert!(names.is_sorted_by(|one, other| one < other) && names.contains(&"__name__"), "{names:?}");
        assert!(series.labels.iter().all(|label| !label.value.is_empty()), "{series:?}");
        assert!(series.samples.is_sorted_by(|one, other| one.timestamp < other.timestamp), "{series:?}");
    }
    request
}

async fn pass_on(upstream: &str, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let request = client.post(format!("{upstream}/api/v1/write")).headers(headers).body(body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}
