//! Nonces that were used: the gateway takes each only once.
//!
//! How long the real gateway remembers them is not published. Twice the permitted skew is the least that
//! works: after that the timestamp, which is signed too, is refused anyway.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::edgegrid::SKEW;

/// More than any permitted client can use within a minute; the oldest goes first.
const MOST: usize = 100_000;

/// The nonces of the last minute.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    used: HashSet<String>,
    order: VecDeque<(DateTime<Utc>, String)>,
}

impl Nonces {
    /// Remembers a client's nonce; false if it was used before.
    pub(super) fn fresh(&mut self, client: &str, nonce: &str, now: DateTime<Utc>) -> bool {
        let kept: TimeDelta = SKEW * 2;
        while self.order.front().is_some_and(|(used, _)| now - *used > kept || self.order.len() >= MOST) {
            if let Some((_, key)) = self.order.pop_front() {
                self.used.remove(&key);
            }
        }
        // A client's name is a section's name, so it holds no line break.
        let key = format!("{client}\n{nonce}");
        if !self.used.insert(key.clone()) {
            return false;
        }
        self.order.push_back((now, key));
        true
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::{MOST, Nonces};

    #[test]
    fn a_nonce_is_good_once_for_each_client_and_forgotten_when_its_time_is_over() {
        let now = DateTime::UNIX_EPOCH;
        let mut nonces = Nonces::default();
        assert!(nonces.fresh("a", "1", now));
        assert!(!nonces.fresh("a", "1", now));
        assert!(nonces.fresh("b", "1", now));
        assert!(!nonces.fresh("a", "1", now + TimeDelta::seconds(60)));
        assert!(nonces.fresh("a", "1", now + TimeDelta::seconds(61)));
        assert_eq!(nonces.used.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut nonces = Nonces::default();
        for nonce in 0..MOST + 10 {
            assert!(nonces.fresh("a", &nonce.to_string(), DateTime::UNIX_EPOCH));
        }
        assert_eq!((nonces.used.len(), nonces.order.len()), (MOST, MOST));
    }
}
