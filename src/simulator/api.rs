//! What an Akamai API is to the gateway. A new one is a file with an [`Api`] and a line in [`APIS`].
//!
//! The gateway does what all APIs share: authentication, grants, rate limits, faults of the transport and the
//! log. An API only reads a request and decides the answer, as a pure function of its arguments.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::faults::{Fault, Strikes};
use super::limits::Allowance;
use super::problem::Answer;
use super::world::World;
use super::{cprg, estats, media_delivery, reporting};

/// THE list of simulated APIs.
pub(super) const APIS: &[Api] = &[estats::API, reporting::API, cprg::API, media_delivery::API];

/// One Akamai API.
pub(super) struct Api {
    /// The name in scopes, limits and the log.
    pub(super) name: &'static str,
    /// The path prefix of the API service, which is also what a client is granted.
    pub(super) prefix: &'static str,
    /// The rate limit, per client, unless the options say otherwise.
    pub(super) per_minute: u32,
    /// What a request costs, for an API that limits that too.
    pub(super) cost: Option<fn(&World<'_>, &Call) -> u64>,
    /// The headers that tell the limit and what is left of it.
    pub(super) announce: fn(&Allowance) -> Vec<(&'static str, String)>,
    /// The answer when the limit is exceeded, without those headers.
    pub(super) too_many: fn(&Allowance) -> Answer,
    /// The faults of [`super::faults::Stage::Answer`] that this API knows how to commit.
    pub(super) faults: &'static [Fault],
    /// What a request is about, as far as it can be told: for the log and for the scopes of faults.
    pub(super) subject: fn(&Call) -> Subject,
    /// The answer to an authenticated request.
    pub(super) answer: fn(&World<'_>, &Call, &Strikes) -> Outcome,
}

impl Api {
    /// The API that serves a path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        APIS.iter().find(|api| path.starts_with(api.prefix))
    }

    /// The API of a name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        APIS.iter().find(|api| api.name == name)
    }
}

/// A request, whole and without its connection.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The position in the log.
    pub(super) sequence: u64,
    pub(super) now: DateTime<Utc>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// The `Host` header as sent.
    pub(super) host: String,
    pub(super) body: Bytes,
    /// The address that the request came from.
    pub(super) address: String,
}

impl Call {
    /// The path, without the query.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Path and query exactly as on the wire.
    pub(super) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// A header's text; nothing if it is absent or not ASCII.
    pub(super) fn header(&self, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a request asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Subject {
    pub(super) cpcodes: Vec<u64>,
    pub(super) url: Option<String>,
    pub(super) delivery: Option<String>,
}

/// An API's answer.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// How long the API works on it.
    pub(super) took: Duration,
    /// How many rows of a report it holds, for the log.
    pub(super) rows: Option<usize>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, took: Duration::ZERO, rows: None }
    }
}
