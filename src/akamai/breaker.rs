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

    /// Learns how a request went that was sent.
    pub fn record(&mut self, now: Instant, generation: u64, outcome: Result<(), &ApiError>) {
        let Err(error) = outcome.map_err(ApiError::clone) else {
            self.open = None;
            return;
        };
        let refusals =
            self.open.as_ref().filter(|open| open.generation == generation).map_or(0, |o| o.refusals);
        let pause = match (error.reason.scope(), error.reason) {
            // Says nothing about the account: neither opens nor closes.
            (Scope::Path | Scope::Target, _) => return,
            (Scope::Account, Reason::IpBlocked) => self.block_pause,
            (Scope::Account, _) => self.pause.saturating_mul(1 << refusals.min(10)).min(LONGEST_PAUSE),
        };
        self.open = Some(Open { error, until: now + pause, refusals: refusals + 1, generation });
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
        breaker.record(now, 0, Err(&auth));
        assert_eq!(breaker.refusal(now, 0), Some(&auth));
        assert_eq!(breaker.refusal(now + PAUSE, 0), None);
        breaker.record(now + PAUSE, 0, Err(&auth));
        assert!(breaker.refusal(now + PAUSE * 2, 0).is_some(), "the second pause is longer");
        assert_eq!(breaker.refusal(now + PAUSE * 2, 1), None, "new credentials are tried at once");
        breaker.record(now, 1, Ok(()));
        assert_eq!(breaker.refusal(now, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_is_waited_out() {
        let now = Instant::now();
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        breaker.record(now, 0, Err(&ApiError::new(Reason::IpBlocked, "blocked")));
        assert!(breaker.refusal(now + BLOCK - PAUSE, 1).is_some(), "whatever the credentials");
        assert!(breaker.refusal(now + BLOCK, 1).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_one_target_leaves_the_rest_alone() {
        let mut breaker = Breaker::new(PAUSE, BLOCK);
        breaker.record(Instant::now(), 0, Err(&ApiError::new(Reason::Forbidden, "not yours")));
        assert!(breaker.refusal(Instant::now(), 0).is_none());
    }
}
