//! Whose turn it is among a source's targets: pure, the time an argument.
//!
//! On an interval each target has a phase of its own, so that requests spread over it; who is longest overdue goes
//! first, which is fair whether or not the targets fit. No target is asked twice at the same time. After a failure that may pass, a target's
//! turn comes earlier than its next regular one; after a refusal, later and later.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Reason, Retry};

/// The first wait after a failure that may pass; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(15);

/// What was refused is asked for again after this at the latest.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(900);

/// What makes a target due.
#[derive(Clone, Copy, Debug)]
pub enum Rhythm {
    /// The interval, since the start.
    Every(Duration),
    /// A call from outside; the time between two calls is about this.
    Called(Duration),
}

#[derive(Clone, Debug)]
struct Turn {
    due: Option<Instant>,
    running: bool,
    failures: u32,
}

/// The turns of a source's targets.
#[derive(Debug)]
pub struct Rota {
    start: Instant,
    rhythm: Rhythm,
    turns: Vec<Turn>,
}

impl Rota {
    /// `targets` targets, all due at once at `start` on an interval: the budget spreads the first round.
    #[must_use]
    pub fn new(start: Instant, rhythm: Rhythm, targets: usize) -> Self {
        // A called source is polled at start too: its next call may be hours away.
        let turn = Turn { due: Some(start), running: false, failures: 0 };
        Self { start, rhythm, turns: vec![turn; targets] }
    }

    /// Who is due next, and when: the longest overdue, or the one with the nearest turn.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, usize)> {
        let waiting = self.turns.iter().enumerate().filter(|(_, turn)| !turn.running);
        waiting.filter_map(|(index, turn)| Some((turn.due?, index))).min()
    }

    /// The target's request is under way.
    pub fn started(&mut self, target: usize) {
        self.turns[target].running = true;
        self.turns[target].due = None;
    }

    /// Everyone is due, unless already so.
    pub fn call(&mut self, now: Instant) {
        for turn in &mut self.turns {
            turn.due = Some(turn.due.map_or(now, |due| due.min(now)));
        }
    }

    /// The target's request, sent at `began`, has ended; returns when its next turn is, unless that depends on a call.
    pub fn finished(
        &mut self,
        target: usize,
        began: Instant,
        now: Instant,
        failure: Option<Reason>,
    ) -> Option<Instant> {
        let failures = if failure.is_some() { self.turns[target].failures + 1 } else { 0 };
        let regular = self.regular(target, began, now);
        let next = failure.map_or(regular, |reason| self.retry(regular, now, reason, failures));
        let turn = &mut self.turns[target];
        (turn.running, turn.failures) = (false, failures);
        // A call that came while the request ran stands: the answer may be from before the call.
        turn.due = match (turn.due, next) {
            (Some(due), Some(next)) => Some(due.min(next)),
            (due, next) => due.or(next),
        };
        turn.due
    }

    /// When to ask again after the `failures`-th failure in a row.
    fn retry(
        &self,
        regular: Option<Instant>,
        now: Instant,
        reason: Reason,
        failures: u32,
    ) -> Option<Instant> {
        let doubled = 2_u32.pow(failures.saturating_sub(1).min(10));
        match (reason.retry(), regular) {
            (Retry::Regular, regular) => regular,
            (Retry::Late, Some(regular)) => {
                Some(regular.max(now + (FIRST_RETRY * doubled).min(LONGEST_BACK_OFF)))
            }
            // Where calls decide, the next call is late enough.
            (Retry::Late, None) => None,
            (Retry::Early, Some(regular)) => Some(regular.min(now + self.first_retry() * doubled)),
            // And a retry must come well before it.
            (Retry::Early, None) => {
                let wait = self.first_retry() * doubled;
                (wait < self.gap() / 2).then_some(now + wait)
            }
        }
    }

    fn first_retry(&self) -> Duration {
        FIRST_RETRY.min(self.gap() / 4)
    }

    fn gap(&self) -> Duration {
        match self.rhythm {
            Rhythm::Every(gap) | Rhythm::Called(gap) => gap,
        }
    }

    /// The target's next turn in its phase: the first one that is half an interval past `began` at least, and not past already.
    fn regular(&self, target: usize, began: Instant, now: Instant) -> Option<Instant> {
        let Rhythm::Every(interval) = self.rhythm else { return None };
        let phase = interval.mul_f64(target as f64 / self.turns.len() as f64);
        let earliest = (began + interval / 2).max(now) - self.start;
        let rounds = (earliest.saturating_sub(phase).as_secs_f64() / interval.as_secs_f64()).ceil();
        Some(self.start + phase + interval.mul_f64(rounds))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn start() -> Instant {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(async { Instant::now() })
    }

    /// Lets `rota` run with a request every `gap` at most and an answer at once; who was asked when.
    fn run(rota: &mut Rota, start: Instant, gap: Duration, until: Duration) -> Vec<(u64, usize)> {
        let (mut now, mut asked) = (start, Vec::new());
        while let Some((due, target)) = rota.next() {
            now = now.max(due);
            if now - start >= until {
                break;
            }
            rota.started(target);
            rota.finished(target, now, now, None);
            asked.push(((now - start).as_secs(), target));
            now += gap;
        }
        asked
    }

    #[test]
    fn a_first_round_at_the_budget_s_pace_then_spread_over_the_interval() {
        let start = start();
        let mut rota = Rota::new(start, Rhythm::Every(MINUTE), 4);
        let asked = run(&mut rota, start, seconds(2), seconds(180));
        let expected = [
            (0, 0),
            (2, 1),
            (4, 2),
            (6, 3),
            (45, 3),
            (60, 0),
            (75, 1),
            (90, 2),
            (105, 3),
            (120, 0),
            (135, 1),
            (150, 2),
            (165, 3),
        ];
        assert_eq!(asked, expected);
    }

    #[test]
    fn what_does_not_fit_takes_turns() {
        let start = start();
        let mut rota = Rota::new(start, Rhythm::Every(MINUTE), 5);
        let asked = run(&mut rota, start, seconds(60), seconds(1500));
        let counts: Vec<_> =
            (0..5).map(|t| asked.iter().filter(|(_, target)| *target == t).count()).collect();
        assert_eq!(counts, [5; 5], "{asked:?}");
    }

    #[test]
    fn a_failure_that_may_pass_is_retried_early_and_a_refusal_late() {
        let start = start();
        let mut rota = Rota::new(start, Rhythm::Every(seconds(120)), 1);
        let mut fail = |now: Duration, reason| {
            rota.started(0);
            (rota.finished(0, start + now, start + now, Some(reason)).unwrap() - start).as_secs()
        };
        assert_eq!(fail(seconds(0), Reason::Timeout), 15);
        assert_eq!(fail(seconds(15), Reason::Timeout), 45);
        assert_eq!(fail(seconds(45), Reason::Timeout), 105);
        assert_eq!(fail(seconds(105), Reason::Timeout), 225, "never later than the regular turn after next");
        assert_eq!(fail(seconds(240), Reason::NoData), 360);
        assert_eq!(fail(seconds(360), Reason::Forbidden), 360 + 480);
        assert_eq!(fail(seconds(840), Reason::Forbidden), 840 + 900);
        rota.started(0);
        let next = rota.finished(0, start + seconds(1740), start + seconds(1740), None).unwrap();
        assert_eq!((next - start).as_secs(), 1800 + 120 - 120);
    }

    #[test]
    fn a_stall_is_no_debt() {
        let start = start();
        let mut rota = Rota::new(start, Rhythm::Every(MINUTE), 1);
        rota.started(0);
        let woken = start + seconds(3600 + 7);
        assert_eq!(
            rota.finished(0, start, woken, None),
            Some(start + seconds(3660)),
            "the missed turns are skipped"
        );
    }

    #[test]
    fn calls() {
        let start = start();
        let mut rota = Rota::new(start, Rhythm::Called(seconds(300)), 2);
        assert_eq!(rota.next(), Some((start, 0)));
        rota.started(0);
        rota.started(1);
        assert_eq!(rota.next(), None);
        assert_eq!(rota.finished(0, start, start, None), None);
        assert_eq!(rota.finished(1, start, start, Some(Reason::Timeout)), Some(start + seconds(15)));
        rota.started(1);
        rota.call(start + seconds(20));
        assert_eq!(rota.next(), Some((start + seconds(20), 0)), "nobody is asked twice at the same time");
        let due = rota.finished(1, start + seconds(15), start + seconds(25), None);
        assert_eq!(due, Some(start + seconds(20)), "a call while it ran stands");
    }

    proptest! {
        #[test]
        fn turns_come_for_everyone(targets in 1_usize..20, interval in 1_u64..300, gap in 0_u64..30) {
            let start = start();
            let mut rota = Rota::new(start, Rhythm::Every(seconds(interval)), targets);
            let round = (gap * targets as u64).max(interval);
            let asked = run(&mut rota, start, seconds(gap), seconds(round * 6));
            for target in 0..targets {
                let times: Vec<_> = asked.iter().filter(|(_, t)| *t == target).map(|(at, _)| *at).collect();
                let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX);
                assert!(longest <= 2 * round + gap + 1, "target {target} waited {longest} s: {times:?}");
            }
        }

        #[test]
        fn the_next_turn_is_never_past(target in 0_usize..7, began in 0_u64..10_000, took in 0_u64..100, failed: bool, refused in any::<bool>()) {
            let start = start();
            let mut rota = Rota::new(start, Rhythm::Every(seconds(30)), 7);
            rota.started(target);
            let now = start + seconds(began + took);
            let reason = failed.then_some(if refused { Reason::NotFound } else { Reason::Timeout });
            assert!(rota.finished(target, start + seconds(began), now, reason).unwrap() >= now);
        }
    }
}
