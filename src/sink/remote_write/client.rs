//! One request to the receiver, and what its answer means for the samples.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Response, StatusCode, Url, redirect};
use tokio::time::{Instant, timeout_at};

use super::auth::{Auth, Proof};
use crate::clock::SharedClock;
use crate::sink::Failure;
use crate::sink::driver::LONGEST_RETRY_AFTER;

/// A connection that takes longer does not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For what a refusal says nobody waits longer.
const LONGEST_WORDS: Duration = Duration::from_secs(2);

/// Of a refusal so many bytes are read.
const MOST_READ: usize = 4096;

/// Of a refusal's first line so many characters are told.
const MOST_TOLD: usize = 200;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The samples are there.
    Taken,
    /// The samples were refused for good, with a sentence.
    Refused(String),
    /// The samples are not at fault: they are to be sent again.
    Later(Failure),
}

/// Sends requests to one receiver.
pub(super) struct Client {
    /// Without user name and password.
    pub(super) url: Url,
    pub(super) auth: Auth,
    /// Further headers.
    pub(super) headers: HeaderMap,
    /// Trusted besides the system's.
    pub(super) authorities: Vec<Certificate>,
    /// How long a request may take, its answer included.
    pub(super) timeout: Duration,
    /// Made when first needed, since the system's certificates cost memory.
    pub(super) http: Option<reqwest::Client>,
}

/// Not the whole URL, whose query may hold a token, and not the values of headers.
impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Client");
        out.field("address", &self.address()).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Client {
    /// The URL, without a query, which may hold a token.
    pub(super) fn address(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }

    /// Sends a body.
    pub(super) async fn post(&mut self, body: Vec<u8>, clock: &SharedClock) -> Answer {
        let words = format!("no answer within {}", humantime::format_duration(self.timeout));
        let exchange = tokio::time::timeout(self.timeout, self.exchange(body, clock)).await;
        match exchange.map_err(|_| words) {
            Ok(Ok(answer)) => answer,
            Ok(Err(message)) | Err(message) => Answer::Later(Failure::new(message)),
        }
    }

    async fn exchange(&mut self, body: Vec<u8>, clock: &SharedClock) -> Result<Answer, String> {
        let mut proof = self.auth.proof().await?;
        proof.hide_query(&self.url);
        let http = self.http()?;
        let mut request = http
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        if let Some((name, value)) = proof.header.clone() {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(|error| failure(&error))?;
        let (status, now) = (response.status(), clock.now());
        if status.is_success() {
            return Ok(Answer::Taken);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| pause(text, now));
        let said = first_line(response, &proof).await;
        Ok(refusal(status, &said, retry_after))
    }

    fn http(&mut self) -> Result<reqwest::Client, String> {
        if let Some(client) = &self.http {
            return Ok(client.clone());
        }
        let client = self.build().map_err(|error| format!("cannot make an HTTP client: {}", root(&error)))?;
        Ok(self.http.insert(client).clone())
    }

    fn build(&self) -> reqwest::Result<reqwest::Client> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("akamai-exporter/", env!("CARGO_PKG_VERSION")))
            // The credentials are for this receiver alone.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        if is_loopback(&self.url) {
            client = client.no_proxy();
        }
        if self.url.scheme() == "http" {
            // Without TLS, the system's certificates need not even be there.
            return client.tls_certs_only([]).build();
        }
        client.tls_certs_merge(self.authorities.iter().cloned()).build()
    }
}

/// No proxy leads to this machine itself.
fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(name) => name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// What an answer that is no success means. The text decides nothing, as the specification has it: only the status does.
///
/// Refusals that the samples are not to blame for, but credentials or URL, are tried again although the specification has them given up:
/// docs/decisions/0025-remote-write-delivery.md.
pub(super) fn refusal(status: StatusCode, said: &str, retry_after: Option<Duration>) -> Answer {
    let mut message = format!("the receiver answered {status}");
    if !said.is_empty() {
        message = format!("{message}: {said}");
    }
    let advice = match status.as_u16() {
        // Prometheus 2.42 answers so to a sample that is older than its window for samples out of order: it will never take it.
        500 if is_late(said) => return Answer::Refused(with_advice(message, said)),
        408 | 425 | 429 | 500..=599 => "",
        401 | 403 | 407 => "check the credentials of the section, which are read anew for each request",
        404 | 405 => {
            "check `url`, and whether it takes remote write (Prometheus: --web.enable-remote-write-receiver)"
        }
        300..=399 => "check `url`: redirects are not followed, since the credentials are for this URL alone",
        413 => {
            return Answer::Refused(format!("{message}; lower `max_samples_per_request`"));
        }
        _ => return Answer::Refused(with_advice(message, said)),
    };
    if !advice.is_empty() {
        message = format!("{message}; {advice}");
    }
    Answer::Later(Failure { message, retry_after })
}

/// Whether a receiver says that a sample comes too late.
fn is_late(said: &str) -> bool {
    let said = said.to_lowercase();
    let words =
        ["out of order", "out-of-order", "out of bounds", "too old", "too-old", "too far in the past"];
    words.iter().any(|word| said.contains(word))
}

/// Adds what to do about a refusal whose words are known; the words themselves stay.
fn with_advice(message: String, said: &str) -> String {
    let said = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["duplicate sample", "duplicate-timestamp"]) {
        format!(
            "{message}; another value is there for the same series and moment: does another exporter write with the same labels? \
             `labels` tells them apart"
        )
    } else if is_late(&said) {
        format!(
            "{message}; windows are sent when they are settled, hours late: give the receiver a window for samples out of order \
             (out_of_order_time_window), as long as its outages may be and as `history`"
        )
    } else {
        message
    }
}

/// The first line of an answer that says anything: in one line, without secrets, and only then cut, since half a secret would not be found.
async fn first_line(mut response: Response, proof: &Proof) -> String {
    let (mut body, until) = (Vec::new(), Instant::now() + LONGEST_WORDS);
    // What breaks off, or hangs, has said what it has said: the status decides.
    while let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() >= MOST_READ {
            break;
        }
    }
    body.truncate(MOST_READ);
    let text = proof.redact(&String::from_utf8_lossy(&body));
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(MOST_TOLD) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// How long `Retry-After` says: in seconds, or until a date.
fn pause(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let pause = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text.trim()).ok()?;
            (until.to_utc() - now).to_std().unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_RETRY_AFTER))
}

fn failure(error: &reqwest::Error) -> String {
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => format!("no connection within {}", humantime::format_duration(CONNECT_TIMEOUT)),
        (false, true) => format!("no connection: {}", root(error)),
        (false, false) => format!("the connection ended within the exchange: {}", root(error)),
    }
}

/// The innermost cause alone: the layers above repeat it, and with it the URL.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
