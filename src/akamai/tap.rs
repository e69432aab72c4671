//! A copy of every exchange with Akamai, for whoever keeps a record. Nobody waits for them: what they do not take in time is lost, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::model::Exchange;

/// So many exchanges wait for one who keeps a record, where their bodies are small.
const MOST_WAITING: usize = 256;

/// Where bodies are large, so many bytes of them may wait, and a few exchanges in any case.
const MOST_BYTES: usize = 16 << 20;
const LEAST_WAITING: usize = 4;

/// All who keep a record.
#[derive(Clone, Debug, Default)]
pub struct Tap(Vec<Outlet>);

#[derive(Clone, Debug)]
struct Outlet {
    most_body: usize,
    sender: mpsc::Sender<Exchange>,
    lost: Arc<AtomicU64>,
}

/// The exchanges, as they come.
#[derive(Debug)]
pub struct Exchanges {
    /// The exchanges.
    pub receiver: mpsc::Receiver<Exchange>,
    /// How many could not wait, in all.
    pub lost: Arc<AtomicU64>,
}

impl Tap {
    /// Adds one who keeps a record, with so many bytes of each body at most.
    pub fn open(&mut self, most_body: usize) -> Exchanges {
        let (sender, receiver) = mpsc::channel(room(most_body));
        let lost = Arc::<AtomicU64>::default();
        self.0.push(Outlet { most_body, sender, lost: Arc::clone(&lost) });
        Exchanges { receiver, lost }
    }

    /// How many bytes of a body anybody wants; nothing if nobody keeps a record.
    #[must_use]
    pub fn most_body(&self) -> Option<usize> {
        self.0.iter().map(|outlet| outlet.most_body).max()
    }

    /// Hands out an exchange. What nobody has room for is not even copied.
    pub fn pass(&self, mut exchange: Exchange) {
        let body = std::mem::take(&mut exchange.body);
        for outlet in &self.0 {
            let Ok(place) = outlet.sender.try_reserve() else {
                outlet.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let wanted = beginning(&body, outlet.most_body);
            let is_cut = exchange.is_cut || wanted.len() < body.len();
            place.send(Exchange { body: wanted.to_owned(), is_cut, ..exchange.clone() });
        }
    }
}

/// How many exchanges with bodies of up to so many bytes may wait.
fn room(most_body: usize) -> usize {
    (MOST_BYTES / most_body.max(1)).clamp(LEAST_WAITING, MOST_WAITING)
}

/// The beginning of a text, no more than so many bytes.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use reqwest::header::HeaderMap;
    use reqwest::{Method, StatusCode};
    use tokio::time::Instant;

    use super::super::credentials::{CredentialStore, Environment};
    use super::super::transport::Answer;
    use super::super::{Account, Api, ApiLimit, Manners, Query, SwitchKey};
    use super::*;
    use crate::clock::ManualClock;
    use crate::telemetry::Telemetry;

    const SECRETS: [&str; 4] =
        ["akab-client-token-7f3a", "client/secret+7f3a=", "akab-access-token-7f3a", "1-7Q9ZKW:1-3MXPD"];

    static LIMIT: ApiLimit = ApiLimit {
        name: "reporting",
        per_minute: 60_000,
        limit_header: "x-limit",
        remaining_header: "x-remaining",
        largest_answer: 1 << 20,
    };

    fn time() -> DateTime<Utc> {
        "2026-11-20T10:00:00Z".parse().unwrap()
    }

    /// An API at `host`, as the source `amd` asks it, with a record of so many bytes of a body if any.
    fn api(host: &str, most_body: Option<usize>) -> (Api, Option<Exchanges>) {
        let [client_token, client_secret, access_token, key] = SECRETS;
        let variables = [
            ("AKAMAI_HOST", host),
            ("AKAMAI_CLIENT_TOKEN", client_token),
            ("AKAMAI_CLIENT_SECRET", client_secret),
            ("AKAMAI_ACCESS_TOKEN", access_token),
        ];
        let (environment, nowhere) = (Environment::of(variables), Path::new("/nowhere"));
        let (credentials, _) = CredentialStore::open(&environment, nowhere, "default").unwrap();
        let manners = Manners {
            share: 1.0,
            timeout: Duration::from_secs(10),
            retry_pause: Duration::from_secs(1),
            block_pause: Duration::from_secs(1),
        };
        let clock = Arc::new(ManualClock::at(time()));
        let mut tap = Tap::default();
        let exchanges = most_body.map(|most_body| tap.open(most_body));
        let account = Account::new(
            "default",
            Arc::new(credentials),
            SwitchKey::Given(key.to_owned()),
            manners,
            clock,
            Arc::new(Telemetry::new().unwrap()),
        );
        (Api::new(Arc::new(account.with_tap(tap)), &LIMIT).as_asked_by("amd"), exchanges)
    }

    fn query<'a>() -> Query<'a> {
        Query {
            method: Method::GET,
            path: "/reporting-api/v2/reports",
            query: &[("start", "2026-11-20T09:55:00Z")],
            body: Vec::new(),
            cpcodes: vec![1_209_788, 7].into(),
        }
    }

    /// Hands out the record of an answer with this body.
    fn answer(api: &Api, body: &[u8]) {
        let answer =
            Answer { status: StatusCode::OK, headers: HeaderMap::new(), at: time(), body: body.to_vec() };
        let (credentials, _) = api.account.credentials.current();
        let record = api.record(&query()).unwrap();
        api.pass(record, Instant::now(), &Ok(answer), &credentials);
    }

    #[track_caller]
    fn check_clean(exchange: &Exchange) {
        let text = format!("{exchange:?}");
        for secret in SECRETS {
            // Half of it would be too much.
            let half = &secret[..secret.len() / 2 + 1];
            assert!(!text.contains(half) && !text.contains("%3A1-3M"), "{secret}: {text}");
        }
    }

    /// An Akamai that answers one request, with all that it knows of it.
    fn parrot(status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut part) = (String::new(), [0; 4096]);
            while !request.ends_with("\r\n\r\n") {
                let length = stream.read(&mut part).unwrap();
                request.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            let body = serde_json::json!({ "detail": SECRETS, "instance": request }).to_string();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}", body.len());
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        });
        host
    }

    #[tokio::test]
    async fn an_answer_that_quotes_every_secret() {
        for (status, code) in [("200 OK", 200), ("400 Bad Request", 400)] {
            let (api, exchanges) = api(&parrot(status), Some(65_536));
            let permit = api.permit().await.unwrap();
            let result = api.send(permit, query(), |body| Ok(body.len())).await;
            let exchange = exchanges.unwrap().receiver.try_recv().unwrap();
            check_clean(&exchange);
            let said: serde_json::Value = serde_json::from_str(&exchange.body).unwrap();
            assert_eq!(
                said["detail"],
                serde_json::json!(["[redacted]", "[redacted]", "[redacted]", "[redacted]"])
            );
            let request = said["instance"].as_str().unwrap();
            assert!(request.contains("accountSwitchKey=[redacted]"), "{request}");
            assert!(request.contains("signature=[redacted]"), "{request}");
            assert_eq!((result.is_ok(), exchange.status), (code == 200, Some(code)));
            assert_eq!(exchange.endpoint, "/reporting-api/v2/reports?start=2026-11-20T09%3A55%3A00Z");
            assert_eq!((exchange.account.as_str(), exchange.source.as_str()), ("default", "amd"));
            assert_eq!((exchange.method.as_str(), exchange.api), ("GET", "reporting"));
            assert_eq!((exchange.time, exchange.cpcodes), (time(), vec![1_209_788, 7]));
            assert!(exchange.body_length > exchange.body.len() && !exchange.is_cut);
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (api, exchanges) = api(&format!("http://{closed}"), Some(65_536));
        let permit = api.permit().await.unwrap();
        let error = api.send(permit, query(), |_| Ok(())).await.unwrap_err();
        let exchange = exchanges.unwrap().receiver.try_recv().unwrap();
        assert_eq!((exchange.status, exchange.failure), (None, Some(error.to_string())));
        assert_eq!((exchange.body.as_str(), exchange.body_length, exchange.is_cut), ("", 0, false));
    }

    #[tokio::test]
    async fn a_page_of_the_firewall_in_front_that_quotes_the_url() {
        let (api, exchanges) = api("http://127.0.0.1:1", Some(65_536));
        let url = "http&#58;&#47;&#47;h&#47;p&#63;accountSwitchKey&#61;1&#45;7Q9ZKW&#37;3A1&#45;3MXPD";
        answer(&api, format!("<p>no permission to access \"{url}\"</p>").as_bytes());
        let exchange = exchanges.unwrap().receiver.try_recv().unwrap();
        assert!(exchange.body.ends_with("accountSwitchKey&#61;[redacted]\"</p>"), "{}", exchange.body);
    }

    #[tokio::test]
    async fn a_body_that_is_cut_within_a_secret() {
        let (api, exchanges) = api("http://127.0.0.1:1", Some(2000));
        let mut receiver = exchanges.unwrap().receiver;
        // Wherever the cut falls, and however much shorter the text becomes before it.
        for offset in 0..60 {
            let body = "x".repeat(offset) + &SECRETS.concat().repeat(200);
            answer(&api, body.as_bytes());
            let exchange = receiver.try_recv().unwrap();
            check_clean(&exchange);
            assert!(exchange.is_cut && exchange.body.len() <= 2000 && exchange.body_length == body.len());
        }
    }

    #[tokio::test]
    async fn everybody_gets_as_much_of_a_body_as_they_want() {
        let exchange = {
            let (api, exchanges) = api("http://127.0.0.1:1", Some(100));
            answer(&api, b"12345\xff");
            exchanges.unwrap().receiver.try_recv().unwrap()
        };
        assert_eq!((exchange.body.as_str(), exchange.body_length), ("12345\u{fffd}", 6));
        let mut tap = Tap::default();
        let mut all = [0, 6, 8].map(|most_body| tap.open(most_body));
        assert_eq!(tap.most_body(), Some(8));
        tap.pass(exchange);
        let got = all.each_mut().map(|exchanges| exchanges.receiver.try_recv().unwrap());
        let got = got.map(|exchange| (exchange.body, exchange.is_cut));
        assert_eq!(
            got,
            [("", true), ("12345", true), ("12345\u{fffd}", false)].map(|(b, c)| (b.to_owned(), c))
        );
    }

    #[tokio::test]
    async fn nobody_waits_for_one_who_keeps_a_record() {
        let (api, exchanges) = api("http://127.0.0.1:1", Some(8 << 20));
        let mut exchanges = exchanges.unwrap();
        for number in 0..10 {
            answer(&api, number.to_string().as_bytes());
        }
        assert_eq!(exchanges.lost.load(Ordering::Relaxed), 10 - LEAST_WAITING as u64);
        assert_eq!(exchanges.receiver.try_recv().unwrap().body, "0");
        assert_eq!((room(0), room(64 << 10), room(1 << 20)), (256, 256, 16));
    }

    #[tokio::test]
    async fn nothing_is_recorded_for_nobody() {
        let (api, _) = api("http://127.0.0.1:1", None);
        assert_eq!(api.record(&query()), None);
    }
}
