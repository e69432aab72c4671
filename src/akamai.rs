//! The one module that knows how to talk to Akamai: one signed request within the budget, its answer classified.
//!
//! An [`Account`] is an API client with its credentials; an [`Api`] is one of Akamai's APIs as that account uses it,
//! with the limit that they share. Nothing is sent without a [`Permit`], and each attempt is signed anew: a signature
//! holds for one moment and one nonce.

mod account;
pub mod breaker;
pub mod budget;
pub mod credentials;
pub mod edgegrid;
mod error;
mod redact;
mod reply;
mod tap;
mod transport;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Url};
use tokio::time::Instant;
use uuid::Uuid;

use self::breaker::Breaker;
use self::budget::{Allowance, Budget};
use self::credentials::Credentials;
use self::edgegrid::{Signed, authorization};
use self::transport::{Answer, exchange};
use crate::model::{Exchange, Reason};

pub use self::account::{Account, Manners, SwitchKey};
pub use self::error::ApiError;
pub use self::tap::{Exchanges, Tap};

/// A skew above this is worth a warning, well before Akamai refuses at 30 s.
const WORRYING_SKEW: f64 = 10.0;

/// A body is cut for the record only so far behind what is wanted of it: no part of a secret is left at the end.
const LONGEST_SECRET: usize = 1024;

/// One of Akamai's APIs: its name here, and its documented limit with the headers that tell of it.
#[derive(Debug)]
pub struct ApiLimit {
    /// The value of the label `api`.
    pub name: &'static str,
    /// Requests a minute.
    pub per_minute: u32,
    /// The header that tells the limit.
    pub limit_header: &'static str,
    /// The header that tells what is left.
    pub remaining_header: &'static str,
    /// A larger answer, in bytes, is not read.
    pub largest_answer: usize,
}

/// What is asked of an API.
#[derive(Debug)]
pub struct Query<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The path, without query.
    pub path: &'a str,
    /// The query's pairs, besides the account switch key.
    pub query: &'a [(&'a str, &'a str)],
    /// The JSON body, empty for none.
    pub body: Vec<u8>,
    /// The CP codes that it names, for the record.
    pub cpcodes: Cow<'a, [u64]>,
}

/// The right to send one request now. Dropping it unused loses the slot, never exceeds the budget.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

#[derive(Debug)]
struct Gate {
    budget: Budget,
    breaker: Breaker,
    worried: bool,
}

/// One of Akamai's APIs as one account uses it; clones share the budget.
#[derive(Clone, Debug)]
pub struct Api {
    account: Arc<Account>,
    limit: &'static ApiLimit,
    gate: Arc<Mutex<Gate>>,
    /// Who asks, for the record.
    source: Arc<str>,
}

impl Api {
    /// The API that `limit` describes, for `account`.
    #[must_use]
    pub fn new(account: Arc<Account>, limit: &'static ApiLimit) -> Self {
        let manners = account.manners;
        let budget = Budget::new(limit.per_minute, manners.share, manners.retry_pause);
        let breaker = Breaker::new(manners.retry_pause, manners.block_pause);
        let gate = Arc::new(Mutex::new(Gate { budget, breaker, worried: false }));
        let api = Self { account, limit, gate, source: "".into() };
        api.show_budget();
        api
    }

    /// The same API, as `source` asks it.
    #[must_use]
    pub fn as_asked_by(&self, source: &str) -> Self {
        Self { source: source.into(), ..self.clone() }
    }

    /// The account that uses it.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// How it behaves towards Akamai.
    #[must_use]
    pub fn manners(&self) -> Manners {
        self.account.manners
    }

    /// Its description.
    #[must_use]
    pub fn limit(&self) -> &'static ApiLimit {
        self.limit
    }

    /// Requests a minute that the budget has, as known now.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.gate().budget.per_minute()
    }

    /// The limit as known now, and what of it the last answer said is left.
    #[must_use]
    pub fn allowance(&self) -> (u32, Option<u32>) {
        let gate = self.gate();
        (gate.budget.limit(), gate.budget.remaining())
    }

    /// Why and for how long no request is sent, while that is so.
    #[must_use]
    pub fn pause(&self) -> Option<(Reason, Duration)> {
        let (_, generation) = self.account.credentials.current();
        let (now, gate) = (Instant::now(), self.gate());
        let refused = gate.breaker.refusal(now, generation).map(|refusal| refusal.reason);
        match (refused, gate.breaker.closed_until(now, generation), gate.budget.paused_until(now)) {
            (Some(reason), Some(until), _) => Some((reason, until - now)),
            (_, _, Some(until)) => Some((Reason::RateLimited, until - now)),
            _ => None,
        }
    }

    /// Waits until the budget has room for a request.
    ///
    /// # Errors
    ///
    /// At once, while Akamai refuses the account as a whole: the refusal.
    pub async fn permit(&self) -> Result<Permit, ApiError> {
        loop {
            let (_, generation) = self.account.credentials.current();
            let slot = {
                let mut gate = self.gate();
                let now = Instant::now();
                if let Some(refusal) = gate.breaker.refusal(now, generation) {
                    return Err(refusal.clone());
                }
                gate.budget.reserve(now)
            };
            tokio::time::sleep_until(slot).await;
            let (mut gate, now) = (self.gate(), Instant::now());
            if !gate.budget.is_paused(now) && gate.breaker.refusal(now, generation).is_none() {
                gate.breaker.probe(now, self.account.manners.timeout);
                return Ok(Permit(()));
            }
        }
    }

    /// Signs and sends `query`, and returns what `read` makes of the body of a 200.
    ///
    /// # Errors
    ///
    /// Everything else, with its reason; whatever the answer quotes, no secret is in it.
    pub async fn send<T>(
        &self,
        _permit: Permit,
        query: Query<'_>,
        read: impl FnOnce(&[u8]) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (credentials, generation) = self.account.credentials.current();
        let began = Instant::now();
        let record = self.record(&query);
        let outcome = self.attempt(&credentials, query).await;
        if let Some(record) = record {
            self.pass(record, began, &outcome, &credentials);
        }
        let code = match &outcome {
            Ok(answer) => answer.status.as_str().to_owned(),
            Err(_) => "none".to_owned(),
        };
        self.account.telemetry.api_request(&self.account.name, self.limit.name, &code);
        let clean = |error: ApiError| {
            error.cleaned(|text| self.account.switch_key.redact(&credentials, &credentials.redact(text)))
        };
        let body = outcome.and_then(|answer| self.judge(began, answer)).map_err(clean);
        let pause = self.gate().breaker.record(began, Instant::now(), generation, body.as_ref().map(|_| ()));
        if let Some(pause) = pause {
            let (account, seconds) = (&self.account.name, pause.as_secs());
            tracing::warn!(
                account,
                api = self.limit.name,
                seconds,
                "Akamai refuses the account: the next request is sent after a pause"
            );
        }
        let result = body.and_then(|body| read(&body).map_err(clean));
        let (seconds, reason) =
            (began.elapsed().as_secs_f64(), result.as_ref().err().map(|e| e.reason.label()));
        tracing::debug!(
            account = self.account.name,
            api = self.limit.name,
            code,
            seconds,
            reason,
            "request done"
        );
        self.show_budget();
        result
    }

    /// The record of a request, if anybody keeps one.
    fn record(&self, query: &Query<'_>) -> Option<Exchange> {
        self.account.tap.most_body()?;
        let mut url = Url::parse("http://x").ok()?;
        url.set_path(query.path);
        if !query.query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.query);
        }
        let endpoint = url.as_str().strip_prefix("http://x")?.to_owned();
        Some(Exchange {
            time: self.account.clock.now(),
            account: self.account.name.clone(),
            source: self.source.to_string(),
            api: self.limit.name,
            method: query.method.to_string(),
            endpoint,
            cpcodes: query.cpcodes.to_vec(),
            status: None,
            failure: None,
            duration: Duration::ZERO,
            body: String::new(),
            body_length: 0,
            is_cut: false,
        })
    }

    /// Hands out the record of a request with what came of it, no credential in it.
    fn pass(
        &self,
        mut record: Exchange,
        began: Instant,
        outcome: &Result<Answer, ApiError>,
        credentials: &Credentials,
    ) {
        let clean = |text: &str| self.account.switch_key.redact(credentials, &credentials.redact(text));
        record.duration = began.elapsed();
        match outcome {
            Ok(answer) => {
                let most = self.account.tap.most_body().unwrap_or(0).saturating_add(LONGEST_SECRET);
                let wanted = &answer.body[..answer.body.len().min(most)];
                record.status = Some(answer.status.as_u16());
                record.body = clean(&String::from_utf8_lossy(wanted));
                record.body_length = answer.body.len();
                record.is_cut = wanted.len() < answer.body.len();
                if record.is_cut {
                    // Part of a secret may stand at the end, and what was taken out before it has moved it forward.
                    let end = record.body.len().saturating_sub(LONGEST_SECRET);
                    record.body = tap::beginning(&record.body, end).to_owned();
                }
            }
            Err(error) => record.failure = Some(clean(&error.to_string())),
        }
        self.account.tap.pass(record);
    }

    async fn attempt(&self, credentials: &Credentials, query: Query<'_>) -> Result<Answer, ApiError> {
        let client = self.account.transport.client(credentials.scheme())?;
        let request = self.sign(credentials, query)?;
        exchange(client, request, &self.account.clock, self.limit.largest_answer).await
    }

    fn sign(&self, credentials: &Credentials, query: Query<'_>) -> Result<Request, ApiError> {
        let bad = |what: &str| ApiError::new(Reason::BadRequest, format!("cannot build the request: {what}"));
        let base = format!("{}://{}{}", credentials.scheme(), credentials.host(), query.path);
        let mut url = Url::parse(&base).map_err(|_| bad("no URL"))?;
        let key = self.account.switch_key.resolve(credentials).map(|key| ("accountSwitchKey", key));
        for (name, value) in query.query.iter().copied().chain(key) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let path_and_query = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::new(query.method, url);
        let signed = Signed {
            method: request.method().as_str(),
            host: credentials.host(),
            path_and_query: &path_and_query,
            body: &query.body,
        };
        let value = authorization(signed, credentials, self.account.clock.now(), Uuid::new_v4());
        let mut value = HeaderValue::from_str(&value).map_err(|_| bad("no header"))?;
        value.set_sensitive(true);
        *request.timeout_mut() = Some(self.account.manners.timeout);
        request.headers_mut().insert(AUTHORIZATION, value);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !query.body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(query.body.into());
        }
        Ok(request)
    }

    /// Learns what the answer says of limit and clock, and takes it apart into body or error.
    fn judge(&self, began: Instant, answer: Answer) -> Result<Vec<u8>, ApiError> {
        let skew = self.skew(&answer);
        let allowance = self.allowance_of(&answer.headers);
        let error = reply::error(answer.status.as_u16(), &answer.body, skew);
        let mut gate = self.gate();
        let now = Instant::now();
        match error {
            Some(error) if error.reason == Reason::RateLimited => {
                let pause = gate.budget.refused(began, now, allowance);
                Err(ApiError::new(error.reason, format!("{error}; requests pause for {} s", pause.as_secs())))
            }
            Some(error) => {
                gate.budget.answered(now, allowance);
                Err(error)
            }
            None => {
                gate.budget.answered(now, allowance);
                Ok(answer.body)
            }
        }
    }

    fn allowance_of(&self, headers: &HeaderMap) -> Allowance {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let retry_after = number(RETRY_AFTER.as_str()).map(|seconds| Duration::from_secs(seconds.into()));
        Allowance {
            limit: number(self.limit.limit_header),
            remaining: number(self.limit.remaining_header),
            retry_after,
        }
    }

    /// By how many seconds this machine's clock is ahead of the answer's `Date`.
    fn skew(&self, answer: &Answer) -> Option<f64> {
        let date = DateTime::parse_from_rfc2822(answer.headers.get(DATE)?.to_str().ok()?).ok()?;
        // The header has whole seconds: half of one is the best guess at what it left out.
        let theirs = crate::clock::seconds(date.with_timezone(&Utc)) + 0.5;
        let skew = crate::clock::seconds(answer.at) - theirs;
        self.account.telemetry.clock_skew(&self.account.name, skew);
        // A refusal tells of the clock itself.
        let worrying = skew.abs() > WORRYING_SKEW && answer.status.is_success();
        let was = std::mem::replace(&mut self.gate().worried, worrying);
        if worrying && !was {
            tracing::warn!(
                account = self.account.name,
                skew_seconds = skew,
                "{}; Akamai refuses beyond 30 s",
                reply::clock(Some(skew))
            );
        }
        Some(skew)
    }

    fn show_budget(&self) {
        let (limit, remaining, budget) = {
            let gate = self.gate();
            (gate.budget.limit(), gate.budget.remaining(), gate.budget.per_minute())
        };
        self.account.telemetry.api_budget(&self.account.name, self.limit.name, limit, remaining, budget);
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
