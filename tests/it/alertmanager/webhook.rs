//! Who Alertmanager tells: takes every POST on any path, and remembers when it came.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::process::PATIENCE;

/// What came, and when.
#[derive(Clone, Debug)]
pub struct Notification {
    pub at: Instant,
    pub path: String,
    pub body: Value,
}

impl Notification {
    /// The labels of its alerts.
    pub fn labels(&self) -> Vec<&Value> {
        self.body["alerts"].as_array().into_iter().flatten().map(|alert| &alert["labels"]).collect()
    }
}

/// The receiver.
pub struct Webhook {
    address: SocketAddr,
    arrivals: Receiver<Notification>,
    seen: Mutex<Vec<Notification>>,
    stop: CancellationToken,
}

impl Webhook {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ((sender, arrivals), stop) = (channel(), CancellationToken::new());
        let until = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(take).with_state(Arc::new(Mutex::new(sender)));
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    () = until.cancelled() => {}
                }
            });
        });
        Self { address, arrivals, seen: Mutex::default(), stop }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The next notification; `what` is what the test waits for, should it never come.
    pub fn next(&self, what: &str) -> Notification {
        let mut seen = self.seen.lock().unwrap();
        match self.arrivals.recv_timeout(PATIENCE) {
            Ok(notification) => {
                seen.push(notification.clone());
                notification
            }
            Err(_) => {
                let seen: Vec<_> = seen.iter().flat_map(Notification::labels).map(Value::to_string).collect();
                panic!("no notification any more before {what}; seen:\n{}", seen.join("\n"));
            }
        }
    }

    /// The next notification that `is_so`.
    pub fn until(&self, what: &str, is_so: impl Fn(&Notification) -> bool) -> Notification {
        loop {
            let notification = self.next(what);
            if is_so(&notification) {
                return notification;
            }
        }
    }

    /// All that came so far, in order.
    pub fn all(&self) -> Vec<Notification> {
        let mut seen = self.seen.lock().unwrap();
        seen.extend(self.arrivals.try_iter());
        seen.clone()
    }

    /// All that came, as soon as the summaries of their alerts have all of these.
    pub fn summaries_with(&self, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        loop {
            let seen = self.all();
            let alerts = seen.iter().flat_map(|one| one.body["alerts"].as_array().into_iter().flatten());
            let summary =
                |alert: &Value| alert["annotations"]["summary"].as_str().unwrap_or_default().to_owned();
            let summaries: BTreeSet<_> = alerts.map(summary).collect();
            let missing: Vec<_> = wanted.difference(&summaries).collect();
            if missing.is_empty() {
                return summaries;
            }
            self.next(&format!("{missing:?}"));
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(State(sender): State<Arc<Mutex<Sender<Notification>>>>, uri: Uri, body: Bytes) {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let notification = Notification { at: Instant::now(), path: uri.path().to_owned(), body };
    // The test may be over.
    let _ = sender.lock().unwrap().send(notification);
}
