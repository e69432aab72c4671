//! After a refusal that would meet every request of the account alike, one request in a while finds out whether it
//! still holds; the others fail at once with the same reason. Pure, the time an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::ApiError;
use crate::model::{Reason, Scope};

/// No pause between two attempts grows longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Whether requests of one account to one API are worth sending.
#[derive(Clone, Debug)]
pub struct Breaker {
    pause: Duration,
    block_pause: Duration,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    error: ApiError,
    /// What left before tells nothing new.
    since: Instant,
    until: Instant,
    refusals: u32,
    /// Which reading of the credentials was refused.
    generation: u64,
}

impl Breaker {
    /// The first pause lasts `pause` and the next ones twice as long each; after a block of the address it is `block_pause`.
    #[must_use]
    pub fn new(pause: Duration, block_pause: Duration) -> Self {
        Self { pause, block_pause, open: None }
    }

    /// The refusal, while no request is worth sending. Credentials that were read anew are worth one.
    #[must_use]
    pub fn refusal(&self, now: Instant, generation: u64) -> Option<&ApiError> {
        self.open
            .as_ref()
            .filter(|open| {
                open.until > now && (open.generation == generation || open.error.reason == Reason::IpBlocked)
            })
            .map(|open| &open.error)
    }

    /// When the next request is worth sending, if not now.
    #[must_use]
    pub fn closed_until(&self, now: Instant, generation: u64) -> Option<Instant> {
        self.refusal(now, generation).and(self.open.as_ref()).map(|open| open.until)
    }

    /// Lets one request through whose answer will tell; until `patience` is over no other follows.
    pub fn probe(&mut self, now: Instant, patience: Duration) {
        if let Some(open) = &mut self.open {
            open.until = now + patience;
        }
    }

    /// Learns how a request went that left at `began`; returns how long none will be sent, where that is news.
    pub fn record(
        &mut self,
        began: Instant,
        now: Instant,
        generation: u64,
        outcome: Result<(), &ApiError>,
    ) -> Option<Duration> {
        let reason = outcome.err().map(|error| error.reason);
        let known = self.open.as_ref().filter(|open| open.generation == generation);
        if known.is_some_and(|open| began < open.since) && reason != Some(Reason::IpBlocked) {
            return None;
        }
        let refusals = known.map_or(0, |open| open.refusals);
        let Err(error) = outcome else {
            self.open = None;
            return None;
        };
        let pause = match (error.reason.scope(), error.reason) {
            // Says nothing about the account: the next request may try.
            (Scope::Path | Scope::Target, _) => {
                if let Some(open) = &mut self.open {
                    open.until = now;
                }
                return None;
            }
            (Scope::Account, Reason::IpBlocked) => self.block_pause,
            (Scope::Account, _) => self.pause.saturating_mul(1 << refusals.min(10)).min(LONGEST_PAUSE),
        };
        let (error, until) = (error.clone(), now + pause);
        self.open = Some(Open { error, since: now, until, refusals: refusals + 1, generation });
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);
    const BLOCK: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn one_request_in_a_while_finds_out() {
        let now = Instant::now();
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        let auth = ApiError::new(Reason::Auth, "Inactive client token");
        breaker.record(now, now, 0, Err(&auth));
        assert_eq!(breaker.refusal(now, 0), Some(&auth));
        assert_eq!(breaker.refusal(now + PAUSE, 0), None);
        breaker.record(now + PAUSE, now + PAUSE, 0, Err(&auth));
        assert!(breaker.refusal(now + PAUSE * 2, 0).is_some(), "the second pause is longer");
        assert_eq!(breaker.refusal(now + PAUSE * 2, 1), None, "new credentials are tried at once");
        breaker.record(now, now, 1, Ok(()));
        assert_eq!(breaker.refusal(now, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_is_waited_out() {
        let now = Instant::now();
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        breaker.record(now, now, 0, Err(&ApiError::new(Reason::IpBlocked, "blocked")));
        assert!(breaker.refusal(now + BLOCK - PAUSE, 1).is_some(), "whatever the credentials");
        assert!(breaker.refusal(now + BLOCK, 1).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_one_target_leaves_the_rest_alone() {
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        let now = Instant::now();
        breaker.record(now, now, 0, Err(&ApiError::new(Reason::Forbidden, "not yours")));
        assert!(breaker.refusal(Instant::now(), 0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_left_before_the_refusal_is_no_news() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        let auth = ApiError::new(Reason::Auth, "Inactive client token");
        assert_eq!(breaker.record(now, now + second, 0, Err(&auth)), Some(PAUSE));
        assert_eq!(breaker.record(now, now + second * 2, 0, Err(&auth)), None, "it was under way");
        breaker.record(now, now + second * 3, 0, Ok(()));
        assert!(breaker.refusal(now + second * 4, 0).is_some(), "and so was that");
        let again = now + second + PAUSE;
        assert!(breaker.refusal(again, 0).is_none());
        breaker.probe(again, PAUSE);
        assert!(
            breaker.refusal(again + second, 0).is_some(),
            "one request finds out, the others wait for it"
        );
        assert_eq!(breaker.record(again, again + second, 0, Err(&auth)), Some(PAUSE * 2));
    }
}
