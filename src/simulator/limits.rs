//! Rate limits: one token bucket for each client and API, refilled continuously.
//!
//! Akamai publishes the sizes (techdocs edge-diagnostics rate-limiting: error statistics 40 a minute) and the
//! headers, but neither the kind of bucket nor whether a client or an account owns it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// What the bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) granted: bool,
    pub(super) limit: u32,
    pub(super) remaining: u32,
}

/// The buckets of all clients.
#[derive(Debug)]
pub(super) struct Limits {
    per_minute: HashMap<&'static str, u32>,
    buckets: HashMap<(String, &'static str), Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: DateTime<Utc>,
}

impl Limits {
    pub(super) fn new(per_minute: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        Self { per_minute: per_minute.into_iter().collect(), buckets: HashMap::new() }
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
        let bucket = self
            .buckets
            .entry((client.to_owned(), api))
            .or_insert_with(|| Bucket { tokens: full, filled: now });
        // A clock that is set back adds nothing.
        let minutes = ((now - bucket.filled).num_milliseconds().max(0) as f64) / 60_000.0;
        bucket.tokens = (bucket.tokens + minutes * full).min(full);
        bucket.filled = now;
        // A sixtieth added sixty times is not quite a whole.
        let granted = bucket.tokens + 1e-9 >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        Allowance { granted, limit, remaining: (bucket.tokens + 1e-9).max(0.0) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{Allowance, Limits};

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_bucket_empties_and_refills_continuously() {
        let mut limits = Limits::new([("estats", 40)]);
        for left in (0..40).rev() {
            let allowance = limits.take("a", "estats", START);
            assert_eq!(allowance, Allowance { granted: true, limit: 40, remaining: left });
        }
        assert!(!limits.take("a", "estats", START).granted);
        assert!(!limits.take("a", "estats", START + TimeDelta::milliseconds(1400)).granted);
        assert!(limits.take("a", "estats", START + TimeDelta::milliseconds(1500)).granted);
        assert!(!limits.take("a", "estats", START + TimeDelta::milliseconds(1600)).granted);
        assert_eq!(limits.take("a", "estats", START + TimeDelta::minutes(5)).remaining, 39);
    }

    #[test]
    fn clients_do_not_share_and_a_new_limit_holds_at_once() {
        let mut limits = Limits::new([("estats", 2)]);
        assert!(limits.take("a", "estats", START).granted);
        assert_eq!(limits.take("b", "estats", START).remaining, 1);
        limits.set("estats", 1);
        assert_eq!(limits.take("a", "estats", START), Allowance { granted: true, limit: 1, remaining: 0 });
        assert!(!limits.take("a", "estats", START).granted);
        assert!(!limits.take("a", "estats", START - TimeDelta::hours(1)).granted);
    }
}
