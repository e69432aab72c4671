//! The log of requests: what a test, or a curious person, reads to see how the client behaved.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::api::Subject;

/// The longest text kept of a request: whoever sends more does not get to fill the memory.
const LONGEST: usize = 2_000;
/// How many requests are kept; totals count all of them.
const KEPT: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    #[serde(serialize_with = "as_text")]
    pub(super) time: DateTime<Utc>,
    /// Whose token it carried; not whose signature.
    pub(super) client: Option<String>,
    pub(super) api: Option<&'static str>,
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    pub(super) subject: Subject,
    /// The status sent; nothing while the request is at work, and for ever if it gets no answer.
    pub(super) status: Option<u16>,
    /// What was left of the rate limit.
    pub(super) remaining: Option<u32>,
    pub(super) faults: Vec<&'static str>,
    pub(super) violation: Option<&'static str>,
    /// How many rows of a report the answer holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<usize>,
}

fn as_text<S: serde::Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    last: u64,
    totals: BTreeMap<&'static str, BTreeMap<String, u64>>,
    violations: BTreeMap<&'static str, u64>,
}

fn clip(text: &mut String) {
    let end = (0..=text.len().min(LONGEST)).rev().find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or_default());
}

/// The log as the control API shows it.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// The newest request's number: ask for what came `since` this one.
    last: u64,
    requests: Vec<&'a Entry>,
    /// API, status (or `none` for no answer), number. An answer counts when it is decided, even if the client
    /// does not wait for it.
    totals: &'a BTreeMap<&'static str, BTreeMap<String, u64>>,
    violations: BTreeMap<&'static str, u64>,
}

impl Journal {
    /// The next request's number.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Writes down a request and what became of it, before the client learns it.
    pub(super) fn write(&mut self, mut entry: Entry, status: Option<u16>) {
        let Entry { path, subject: Subject { url, delivery, .. }, .. } = &mut entry;
        [Some(path), url.as_mut(), delivery.as_mut()].into_iter().flatten().for_each(clip);
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        *self.totals.entry(entry.api.unwrap_or("none")).or_default().entry(status).or_default() += 1;
        if let Some(violation) = entry.violation {
            *self.violations.entry(violation).or_default() += 1;
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Notes that an answer that was decided is now sent.
    pub(super) fn sent(&mut self, sequence: u64, status: u16) {
        // The newest requests are the likeliest.
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.sequence == sequence) {
            entry.status = Some(status);
        }
    }

    /// What came after a request.
    pub(super) fn since(&self, sequence: u64) -> Report<'_> {
        // Those that a test asks for are there, even if nothing happened.
        let zero = ["rate_limit_exceeded", "bad_signature", "reused_nonce"].map(|name| (name, 0));
        let mut violations = BTreeMap::from(zero);
        violations.extend(&self.violations);
        Report {
            last: self.last,
            requests: self.entries.iter().filter(|entry| entry.sequence > sequence).collect(),
            totals: &self.totals,
            violations,
        }
    }

    /// Forgets everything; numbers go on, so that `since` keeps its meaning.
    pub(super) fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Journal, KEPT};

    #[test]
    fn the_log_is_bounded_and_its_totals_are_not() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 5 {
            let sequence = journal.number();
            journal.write(Entry { sequence, api: Some("estats"), ..Entry::default() }, Some(200));
            journal.sent(sequence, 200);
        }
        let report = journal.since(0);
        assert_eq!((report.requests.len(), report.requests[0].sequence), (KEPT, 6));
        assert_eq!(report.totals["estats"]["200"], KEPT as u64 + 5);
        assert_eq!(journal.since(KEPT as u64 + 3).requests.len(), 2);
        let long = "\u{e4}".repeat(1_500);
        journal.write(Entry { path: long.clone(), ..Entry::default() }, None);
        assert_eq!(journal.entries.back().map(|entry| entry.path.len()), Some(2_000));
        journal.clear();
        assert_eq!((journal.since(0).requests.len(), journal.number()), (0, KEPT as u64 + 6));
    }
}
