//! Queries that are answered later: `async=true` (techdocs reporting retrieve-data-asynchronously).
//!
//! The id of a query holds the whole query, so that the simulator remembers nothing and still answers it again
//! and again. As Akamai's it has `.`, `+` and `=` in it, and each page has its own.

use axum::body::Bytes;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::definition;
use super::request::Query;
use super::rows::Table;
use crate::simulator::api::{Call, Outcome};
use crate::simulator::problem::{self, Answer};

/// How long a query is at work. Akamai's example says 300 s.
const WORK: TimeDelta = TimeDelta::seconds(60);
/// How long its result is kept.
const KEPT: TimeDelta = TimeDelta::days(7);
/// What ids begin with.
const MARK: &str = ".q+";

/// A query that was asked, and a page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    asked: DateTime<Utc>,
    page: usize,
    target: String,
    body: String,
}

impl Ticket {
    /// For a query that is asked now.
    pub(super) fn new(call: &Call) -> Self {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        Self { asked: call.now, page: 0, target: call.target().to_owned(), body }
    }

    /// Out of the path that asks for the result.
    pub(super) fn of(call: &Call) -> Option<Self> {
        let id = call.path().strip_prefix(definition::QUERIES)?.strip_prefix(MARK)?;
        let bytes = STANDARD.decode(id.replace('.', "/")).ok()?;
        let ticket: Value = serde_json::from_slice(&bytes).ok()?;
        let text = |position: usize| ticket[position].as_str().map(str::to_owned);
        let asked = DateTime::from_timestamp_millis(ticket[0].as_i64()?)?;
        // A result that is no longer kept, or an id that is made up.
        (call.now - KEPT < asked && asked <= call.now).then_some(())?;
        Some(Self {
            asked,
            page: usize::try_from(ticket[1].as_u64()?).ok()?,
            target: text(2)?,
            body: text(3)?,
        })
    }

    fn path(&self) -> String {
        let mut ticket =
            json!([self.asked.timestamp_millis(), self.page, self.target, self.body]).to_string();
        // One byte over a multiple of three, so that the id always ends in `=`.
        while ticket.len() % 3 != 1 {
            ticket.push(' ');
        }
        format!("{}{MARK}{}", definition::QUERIES, STANDARD.encode(ticket).replace('/', "."))
    }

    /// The request as it was asked.
    pub(super) fn call(&self, call: &Call) -> Call {
        Call {
            now: self.asked,
            method: Method::POST,
            uri: self.target.parse().unwrap_or_default(),
            headers: [(
                axum::http::header::CONTENT_TYPE,
                axum::http::HeaderValue::from_static("application/json"),
            )]
            .into_iter()
            .collect(),
            body: Bytes::from(self.body.clone()),
            ..call.clone()
        }
    }

    /// When the result is there.
    pub(super) fn ready(&self) -> DateTime<Utc> {
        self.asked + WORK
    }

    /// When the result is forgotten.
    fn keeps_until(&self) -> DateTime<Utc> {
        self.asked + KEPT
    }

    /// "Not yet": where to ask, and after how many seconds.
    pub(super) fn redirection(&self) -> Answer {
        let answer = problem::answer(StatusCode::SEE_OTHER, "application/json", Bytes::new());
        let answer = problem::with(answer, LOCATION, self.path());
        problem::with(answer, RETRY_AFTER, WORK.num_seconds().to_string())
    }

    /// One page of the result.
    pub(super) fn page(&self, query: &Query, table: Table, csv: bool) -> Outcome {
        let size = query.later.unwrap_or(definition::DATA_POINTS_LIMIT);
        let total = table.len();
        let last = total.saturating_sub(1) / size;
        let part = table.part(self.page.saturating_mul(size), size);
        let next = (self.page < last).then_some(("next", self.page + 1));
        let pages = [("first", 0), ("self", self.page)].into_iter().chain(next).chain([("last", last)]);
        let links: Vec<(&str, String)> =
            pages.map(|(rel, page)| (rel, Self { page, ..self.clone() }.path())).collect();
        let answer = if csv {
            let lines: String = links.iter().map(|(rel, path)| format!("{rel},{path}\n")).collect();
            let mut text = part.csv_metadata(query, Some(total));
            text.push_str(&format!("#METADATA_END\n\n#LINKS_START\n{lines}#LINKS_END\n\n"));
            part.csv_rows(&mut text);
            problem::answer(StatusCode::OK, "text/csv", text)
        } else {
            let links = links.iter().map(|(rel, path)| definition::link(rel, path, "GET"));
            part.with(&json!({
                "name": definition::NAME,
                "rows": part.len(),
                "totalRows": total,
                "requestTime": self.asked.to_rfc3339_opts(SecondsFormat::Millis, true),
                "evictionTime": self.keeps_until().to_rfc3339_opts(SecondsFormat::Secs, true),
                "links": links.collect::<Vec<_>>(),
            }))
        };
        Outcome { rows: Some(part.len()), ..answer.into() }
    }
}
