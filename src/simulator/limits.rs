//! Rate limits: one token bucket for each client and API, refilled continuously; for an API that prices its
//! requests, a second one that holds costs.
//!
//! Akamai publishes the sizes (techdocs edge-diagnostics rate-limiting: error statistics 40 a minute) and the
//! headers, but neither the kind of bucket nor whether a client or an account owns it.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// What the bucket of requests said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// By all buckets.
    pub(super) granted: bool,
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// When there will be one more.
    pub(super) next: DateTime<Utc>,
    /// When it will be full.
    pub(super) reset: DateTime<Utc>,
    pub(super) cost: Option<Cost>,
}

/// What the bucket of costs said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) granted: bool,
    pub(super) remaining: u64,
    /// When there will be enough for this request; now if there is.
    pub(super) next: DateTime<Utc>,
    pub(super) reset: DateTime<Utc>,
}

impl Allowance {
    /// The same, as if nothing were left.
    pub(super) fn used_up(self) -> Self {
        let next = self.next + TimeDelta::milliseconds(60_000 / i64::from(self.limit.max(1)));
        Self { remaining: 0, next, ..self }
    }

    /// The two headers that most APIs have.
    pub(super) fn x_ratelimit(&self) -> Vec<(&'static str, String)> {
        vec![
            ("x-ratelimit-limit", self.limit.to_string()),
            ("x-ratelimit-remaining", self.remaining.to_string()),
        ]
    }
}

/// A time as headers have it.
pub(super) fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The buckets of all clients.
#[derive(Debug)]
pub(super) struct Limits {
    per_minute: HashMap<&'static str, u32>,
    costs: u64,
    requests: HashMap<(String, &'static str), Bucket>,
    spent: HashMap<(String, &'static str), Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: DateTime<Utc>,
}

impl Bucket {
    fn full(full: f64, now: DateTime<Utc>) -> Self {
        Self { tokens: full, filled: now }
    }

    /// Takes some, if they are there, from a bucket that `full` fills in a minute.
    fn take(&mut self, tokens: f64, full: f64, now: DateTime<Utc>) -> bool {
        // A clock that is set back adds nothing.
        let minutes = ((now - self.filled).num_milliseconds().max(0) as f64) / 60_000.0;
        self.tokens = (self.tokens + minutes * full).min(full);
        self.filled = now;
        // A sixtieth added sixty times is not quite a whole.
        let granted = self.tokens + 1e-9 >= tokens;
        if granted {
            self.tokens -= tokens;
        }
        granted
    }

    fn left(&self) -> f64 {
        (self.tokens + 1e-9).max(0.0).floor()
    }

    /// When it holds so many.
    fn when(&self, tokens: f64, full: f64) -> DateTime<Utc> {
        let minutes = ((tokens - self.tokens) / full.max(1.0)).max(0.0);
        self.filled + TimeDelta::milliseconds((minutes * 60_000.0).ceil() as i64)
    }
}

impl Limits {
    /// Limits of requests by API, and of costs for every API that has them.
    pub(super) fn new(per_minute: impl IntoIterator<Item = (&'static str, u32)>, costs: u64) -> Self {
        let per_minute = per_minute.into_iter().collect();
        Self { per_minute, costs, requests: HashMap::new(), spent: HashMap::new() }
    }

    /// The limit of each API, by its name.
    pub(super) fn per_minute(&self) -> &HashMap<&'static str, u32> {
        &self.per_minute
    }

    /// Changes an API's limit. What a bucket holds above it is lost at its next use.
    pub(super) fn set(&mut self, api: &'static str, per_minute: u32) {
        self.per_minute.insert(api, per_minute);
    }

    /// Takes one request from the bucket, if it is there.
    pub(super) fn take(&mut self, client: &str, api: &'static str, now: DateTime<Utc>) -> Allowance {
        let limit = self.per_minute.get(api).copied().unwrap_or(0);
        let full = f64::from(limit);
        let bucket = self.requests.entry((client.to_owned(), api)).or_insert_with(|| Bucket::full(full, now));
        let granted = bucket.take(1.0, full, now);
        let (next, reset) = (bucket.when((bucket.left() + 1.0).min(full), full), bucket.when(full, full));
        Allowance { granted, limit, remaining: bucket.left() as u32, next, reset, cost: None }
    }

    /// Takes a cost from the bucket of costs, if it is there.
    pub(super) fn spend(&mut self, client: &str, api: &'static str, cost: u64, now: DateTime<Utc>) -> Cost {
        let (full, cost) = (self.costs as f64, cost as f64);
        let bucket = self.spent.entry((client.to_owned(), api)).or_insert_with(|| Bucket::full(full, now));
        let granted = bucket.take(cost, full, now);
        let next = if granted { now } else { bucket.when(cost, full) };
        Cost { granted, remaining: bucket.left() as u64, next, reset: bucket.when(full, full) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Limits;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn take(limits: &mut Limits, client: &str, at: DateTime<Utc>) -> (bool, u32, u32) {
        let allowance = limits.take(client, "estats", at);
        (allowance.granted, allowance.limit, allowance.remaining)
    }

    #[test]
    fn a_bucket_empties_and_refills_continuously() {
        let mut limits = Limits::new([("estats", 40)], 0);
        for left in (0..40).rev() {
            assert_eq!(take(&mut limits, "a", START), (true, 40, left));
        }
        let refused = limits.take("a", "estats", START);
        assert!(!refused.granted);
        assert_eq!(refused.next, START + TimeDelta::milliseconds(1500));
        assert_eq!(refused.reset, START + TimeDelta::minutes(1));
        assert!(!limits.take("a", "estats", START + TimeDelta::milliseconds(1400)).granted);
        assert!(limits.take("a", "estats", START + TimeDelta::milliseconds(1500)).granted);
        assert!(!limits.take("a", "estats", START + TimeDelta::milliseconds(1600)).granted);
        assert_eq!(limits.take("a", "estats", START + TimeDelta::minutes(5)).remaining, 39);
    }

    #[test]
    fn clients_do_not_share_and_a_new_limit_holds_at_once() {
        let mut limits = Limits::new([("estats", 2)], 0);
        assert_eq!(take(&mut limits, "a", START), (true, 2, 1));
        assert_eq!(take(&mut limits, "b", START), (true, 2, 1));
        limits.set("estats", 1);
        assert_eq!(take(&mut limits, "a", START), (true, 1, 0));
        assert!(!limits.take("a", "estats", START).granted);
        assert!(!limits.take("a", "estats", START - TimeDelta::hours(1)).granted);
    }

    #[test]
    fn costs_are_taken_whole_or_not_at_all() {
        let mut limits = Limits::new([], 600);
        assert!(limits.spend("a", "reporting", 500, START).granted);
        let refused = limits.spend("a", "reporting", 200, START);
        assert_eq!((refused.granted, refused.remaining), (false, 100));
        assert_eq!(refused.next, START + TimeDelta::seconds(10));
        assert_eq!(refused.reset, START + TimeDelta::seconds(50));
        assert!(limits.spend("a", "reporting", 200, START + TimeDelta::seconds(10)).granted);
        assert_eq!(limits.spend("b", "reporting", 1, START).remaining, 599);
    }
}
