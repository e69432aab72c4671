//! A request to Akamai and what came of it, for whoever keeps a record.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A request and its answer. No credential is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exchange {
    /// When the request was sent.
    pub time: DateTime<Utc>,
    /// The value of the label `account`.
    pub account: String,
    /// The value of the label `source`.
    pub source: String,
    /// Which of Akamai's APIs, as in the label `api`.
    pub api: &'static str,
    /// The HTTP method.
    pub method: String,
    /// Path and query, without the account switch key.
    pub endpoint: String,
    /// The CP codes that the request names.
    pub cpcodes: Vec<u64>,
    /// The answer's status; nothing if no whole answer came.
    pub status: Option<u16>,
    /// Why no whole answer came.
    pub failure: Option<String>,
    /// How long it took, to the last byte.
    pub duration: Duration,
    /// The answer's body, or as much of it as is wanted.
    pub body: String,
    /// How long the body was, in bytes.
    pub body_length: usize,
    /// Whether `body` is but the beginning of it.
    pub is_cut: bool,
}
