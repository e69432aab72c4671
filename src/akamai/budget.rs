//! How many requests an account may send to one API, and when the next one may go: pure, the time an argument.
//!
//! A token bucket that holds one token: requests leave evenly, `60 s / (limit x share)` apart, never in a burst,
//! since Akamai's edge blocks an address that bursts. The documented limit is only the start; what the answers'
//! headers say replaces it. Where the server says that nothing is left, or refuses with 429, the budget pauses.

use std::time::Duration;

use tokio::time::Instant;

/// No pause grows longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// No server asks to be left alone for longer.
const LONGEST_REQUEST: Duration = Duration::from_secs(3600);

/// What an answer says of the limit, as far as it does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allowance {
    /// Requests a minute in all.
    pub limit: Option<u32>,
    /// Requests left now.
    pub remaining: Option<u32>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Allowance {
    /// How long the server wants to be left alone, as far as that makes sense: for no longer than an hour.
    fn pause(self) -> Option<Duration> {
        self.retry_after.filter(|pause| !pause.is_zero()).map(|pause| pause.min(LONGEST_REQUEST))
    }
}

/// The budget of one account for one API.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u32,
    share: f64,
    pause: Duration,
    next: Option<Instant>,
    paused_until: Option<Instant>,
    /// When the last pause began: what left before it tells nothing new.
    paused_since: Option<Instant>,
    remaining: Option<u32>,
    refusals: u32,
}

impl Budget {
    /// `share` of `limit` requests a minute; the first pause after a 429 lasts `pause`.
    #[must_use]
    pub fn new(limit: u32, share: f64, pause: Duration) -> Self {
        Self {
            limit,
            share,
            pause,
            next: None,
            paused_until: None,
            paused_since: None,
            remaining: None,
            refusals: 0,
        }
    }

    /// Takes the next free slot: when the request may leave.
    pub fn reserve(&mut self, now: Instant) -> Instant {
        let slot = [self.next, self.paused_until].into_iter().flatten().fold(now, Instant::max);
        self.next = Some(slot + self.gap());
        slot
    }

    /// Whether a slot at `now` is void since a pause has begun meanwhile.
    #[must_use]
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until(now).is_some()
    }

    /// When the pause ends, if there is one.
    #[must_use]
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Learns from an answer that was no refusal.
    pub fn answered(&mut self, now: Instant, allowance: Allowance) {
        self.refusals = if self.is_paused(now) { self.refusals } else { 0 };
        self.learn(allowance);
        if self.remaining == Some(0) {
            // Others share the limit: let them and the bucket recover.
            self.pause(now, allowance.pause().unwrap_or(self.pause));
        }
    }

    /// Learns from a 429 to a request that left at `began`; returns how long the pause is from now on.
    pub fn refused(&mut self, began: Instant, now: Instant, allowance: Allowance) -> Duration {
        self.learn(allowance);
        let is_news = self.paused_since.is_none_or(|since| began >= since);
        if is_news {
            let doubled = self.pause.saturating_mul(1 << self.refusals.min(10)).min(LONGEST_PAUSE);
            self.refusals += 1;
            self.pause(now, allowance.pause().unwrap_or(doubled));
        }
        self.paused_until(now).map_or(Duration::ZERO, |until| until - now)
    }

    fn pause(&mut self, now: Instant, pause: Duration) {
        self.paused_since = Some(now);
        // Never sooner than was said before.
        self.paused_until = self.paused_until.max(Some(now + pause));
    }

    /// Requests a minute that the API allows.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Requests a minute that we take of them.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        f64::from(self.limit) * self.share
    }

    /// What the last answer said is left.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        self.remaining
    }

    fn gap(&self) -> Duration {
        Duration::from_secs_f64(60.0 / self.per_minute())
    }

    fn learn(&mut self, allowance: Allowance) {
        // A limit of 0 would mean never: rather a garbled header than a fact.
        if let Some(limit) = allowance.limit.filter(|limit| *limit > 0) {
            self.limit = limit;
        }
        self.remaining = allowance.remaining.or(self.remaining);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn start() -> Instant {
        // The paused clock of a test runtime: no wall clock in a test.
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(async { Instant::now() })
    }

    #[test]
    fn requests_leave_evenly() {
        let (now, mut budget) = (start(), Budget::new(40, 0.75, PAUSE));
        let slots: Vec<_> = (0..4).map(|_| (budget.reserve(now) - now).as_secs()).collect();
        assert_eq!(slots, [0, 2, 4, 6]);
        assert_eq!(budget.reserve(now + Duration::from_secs(60)) - now, Duration::from_secs(60));
    }

    #[test]
    fn headers_correct_the_limit() {
        let (now, mut budget) = (start(), Budget::new(40, 0.5, PAUSE));
        budget.answered(now, Allowance { limit: Some(10), remaining: Some(9), retry_after: None });
        assert_eq!((budget.limit(), budget.remaining()), (10, Some(9)));
        budget.reserve(now);
        assert_eq!(budget.reserve(now) - now, Duration::from_secs(12));
        budget.answered(now, Allowance { limit: Some(0), ..Allowance::default() });
        assert_eq!(budget.limit(), 10);
    }

    #[test]
    fn refusals_pause_longer_and_longer() {
        let (mut now, mut budget) = (start(), Budget::new(40, 1.0, PAUSE));
        let mut refuse = |budget: &mut Budget| {
            let pause = budget.refused(now, now, Allowance::default());
            now += pause;
            pause.as_secs()
        };
        let pauses: Vec<_> = (0..6).map(|_| refuse(&mut budget)).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600]);
        budget.answered(now, Allowance::default());
        assert_eq!(budget.refused(now, now, Allowance::default()).as_secs(), 30);
        let (retry_after, now) = (Some(Duration::from_secs(7)), now + PAUSE);
        let server = Allowance { retry_after, ..Allowance::default() };
        assert_eq!(budget.refused(now, now, server).as_secs(), 7);
    }

    #[test]
    fn refusals_of_what_left_before_the_pause_are_one() {
        let (now, mut budget) = (start(), Budget::new(40, 1.0, PAUSE));
        let second = Duration::from_secs(1);
        assert_eq!(budget.refused(now, now + second, Allowance::default()), PAUSE);
        assert_eq!(budget.refused(now, now + second * 2, Allowance::default()), PAUSE - second);
        assert_eq!(budget.reserve(now + second * 2) - now, PAUSE + second);
        let at_once = Allowance { retry_after: Some(Duration::ZERO), ..Allowance::default() };
        let later = now + PAUSE * 2;
        assert_eq!(budget.refused(later, later, at_once), PAUSE * 2, "0 is no answer");
    }

    #[test]
    fn nothing_left_pauses() {
        let (now, mut budget) = (start(), Budget::new(60, 1.0, PAUSE));
        budget.answered(now, Allowance { remaining: Some(0), ..Allowance::default() });
        assert!(budget.is_paused(now) && !budget.is_paused(now + PAUSE));
        assert_eq!(budget.reserve(now), now + PAUSE);
    }

    proptest! {
        /// Whatever the answers and the hurry: in no minute more slots than the share of the largest limit seen.
        #[test]
        fn never_more_than_the_share(steps in proptest::collection::vec((0_u64..20_000, any::<bool>()), 1..200), limit in 1_u32..100, share in 0.05_f64..1.0) {
            let mut now = start();
            let mut budget = Budget::new(limit, share, PAUSE);
            let mut slots = Vec::new();
            for (millis, refused) in steps {
                now += Duration::from_millis(millis);
                slots.push(budget.reserve(now));
                if refused {
                    budget.refused(now, now, Allowance::default());
                }
            }
            for (index, slot) in slots.iter().enumerate() {
                let within = slots[index..].iter().filter(|other| **other < *slot + Duration::from_secs(60)).count();
                let most = (f64::from(limit) * share).ceil() as usize;
                assert!(within <= most.max(1), "{within} slots in a minute, {most} allowed");
            }
        }
    }
}
