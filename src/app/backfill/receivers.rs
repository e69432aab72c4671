//! Straight to receivers: each window to each of them, tried again until it is taken or refused for good.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::Parcel;
use crate::sink::{Context, Failure, Sink};

/// So often in a row a receiver may take nothing.
const MOST_FAILURES: u32 = 10;

/// The pauses between attempts, which double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// No receiver asks to be left alone for longer.
const LONGEST_REQUEST: Duration = Duration::from_secs(3600);

/// A section that is sent to.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) name: String,
    pub(super) sink: Box<dyn Sink<Parcel>>,
}

/// What a receiver refused for good.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) samples: u64,
    /// What it said last.
    pub(super) words: String,
}

impl Receiver {
    /// Delivers parcels in their order.
    ///
    /// # Errors
    ///
    /// If the receiver takes nothing for several minutes: what it said last.
    pub(super) async fn deliver(
        &mut self,
        parcels: &[Parcel],
        context: &Context,
    ) -> Result<Option<Refused>, Failure> {
        let all_wanted = parcels.iter().all(|parcel| self.sink.wants(parcel));
        let wanted: Cow<'_, [Parcel]> = match all_wanted {
            true => parcels.into(),
            false => parcels.iter().filter(|parcel| self.sink.wants(parcel)).cloned().collect(),
        };
        let (mut rest, mut failures, mut refused) = (&*wanted, 0, None);
        while !rest.is_empty() {
            let outcome = self.sink.deliver(rest, context).await;
            let is_on = outcome.done > 0 || outcome.sent > 0 || outcome.refused.is_some();
            if let Some((samples, words)) = outcome.refused {
                let all: &mut Refused = refused.get_or_insert_default();
                all.samples += samples;
                all.words = words;
            }
            let done = outcome.done.min(rest.len());
            rest = &rest[done..];
            failures = if is_on { 0 } else { failures + 1 };
            let failure = match outcome.failure {
                Some(failure) => failure,
                // A part of an item may be what there was time for.
                None if is_on => continue,
                None => Failure::new("it took nothing and did not say why"),
            };
            if failures >= MOST_FAILURES {
                return Err(failure);
            }
            self.pause(&failure, failures).await;
        }
        Ok(refused)
    }

    async fn pause(&self, failure: &Failure, failures: u32) {
        let own = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        let pause = failure.retry_after.map_or(own, |pause| pause.min(LONGEST_REQUEST));
        let (sink, address, seconds) = (&self.name, self.sink.address(), pause.as_secs());
        tracing::warn!(
            sink,
            address,
            failures,
            seconds,
            "sending is tried again after a pause: {}",
            failure.message
        );
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::{Origin, Sheet};
    use crate::sink::{Delivery, Outcome};
    use crate::snapshot::Store;

    /// Answers as it was told to, and takes all once it was told nothing more.
    #[derive(Debug)]
    struct Told {
        outcomes: VecDeque<Outcome>,
        seen: Arc<Mutex<Vec<usize>>>,
    }

    impl Sink<Parcel> for Told {
        fn address(&self) -> String {
            "nowhere".to_owned()
        }

        fn wants(&self, item: &Parcel) -> bool {
            item.origin == Origin::History
        }

        fn deliver<'a>(&'a mut self, items: &'a [Parcel], _: &'a Context) -> Delivery<'a> {
            self.seen.lock().unwrap().push(items.len());
            let all = Outcome { done: items.len(), ..Outcome::default() };
            let outcome = self.outcomes.pop_front().unwrap_or(all);
            Box::pin(std::future::ready(outcome))
        }
    }

    fn parcels(count: i64) -> Vec<Parcel> {
        let parcel = |origin| Parcel {
            account: "default".to_owned(),
            source: "amd".to_owned(),
            time: chrono::DateTime::UNIX_EPOCH,
            origin,
            names: Vec::new(),
            sheets: vec![Sheet { labels: Vec::new(), metrics: Vec::new(), rows: Vec::new() }],
        };
        (0..count).map(|_| parcel(Origin::History)).chain([parcel(Origin::Early)]).collect()
    }

    /// What comes of three parcels, and of how many each attempt was.
    async fn deliver(outcomes: Vec<Outcome>) -> (Result<Option<Refused>, Failure>, Vec<usize>) {
        let seen = Arc::<Mutex<Vec<usize>>>::default();
        let sink = Told { outcomes: outcomes.into(), seen: Arc::clone(&seen) };
        let mut receiver = Receiver { name: "remote_write".to_owned(), sink: Box::new(sink) };
        let snapshot = Store::new(Vec::new(), Vec::new()).current();
        let context = Context { snapshot, clock: Arc::new(SystemClock) };
        let result = receiver.deliver(&parcels(3), &context).await;
        let seen = seen.lock().unwrap().clone();
        (result, seen)
    }

    fn outcome(done: usize, refused: Option<(u64, &str)>, failure: Option<&str>) -> Outcome {
        Outcome {
            done,
            sent: 0,
            refused: refused.map(|(samples, words)| (samples, words.to_owned())),
            failure: failure.map(Failure::new),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn until_all_is_taken_or_refused() {
        assert_eq!(deliver(Vec::new()).await, (Ok(None), vec![3]));
        let bumpy = vec![
            outcome(1, None, Some("503")),
            outcome(0, None, Some("503")),
            outcome(1, Some((7, "too old")), None),
        ];
        let refused = Refused { samples: 7, words: "too old".to_owned() };
        assert_eq!(deliver(bumpy).await, (Ok(Some(refused)), vec![3, 2, 2, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing() {
        let down = (0..20).map(|_| outcome(0, None, Some("503"))).collect();
        let (result, seen) = deliver(down).await;
        assert_eq!((result, seen.len()), (Err(Failure::new("503")), MOST_FAILURES as usize));
        let silent = (0..20).map(|_| outcome(0, None, None)).collect();
        assert!(deliver(silent).await.0.unwrap_err().message.contains("did not say why"));
    }
}
