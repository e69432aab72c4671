//! Brings samples of a moment, such as eStats', from the snapshot into the spool: each moment's once. Windows come there with the ledger.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::health::Health;
use crate::ledger::store::blocking;
use crate::model::Parcel;
use crate::snapshot::{Snapshot, Store};
use crate::spool::Spool;

/// While the spool cannot be written, so many parcels wait in memory.
const MOST_WAITING: usize = 1000;

/// A spool that could not be written is tried again so much later.
const RETRY: Duration = Duration::from_secs(10);

/// What has been taken of each target, by source and target.
#[derive(Debug, Default)]
struct Seen(HashMap<(usize, usize), DateTime<Utc>>);

impl Seen {
    /// What is new in `snapshot`. A moment before the last one is not taken: samples of a series go in order.
    fn news(&mut self, snapshot: &Snapshot) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        for (at, source) in snapshot.sources.iter().enumerate() {
            for (target, state) in source.targets.iter().enumerate() {
                let Some(batch) = state.data.as_ref().map(|data| &data.batch) else { continue };
                let Some(time) = batch.time() else { continue };
                if self.0.get(&(at, target)).is_some_and(|seen| time <= *seen) {
                    continue;
                }
                self.0.insert((at, target), time);
                parcels.extend(Parcel::of_batch(&source.info.account, &source.info.name, batch));
            }
        }
        parcels
    }
}

/// Collects samples.
#[derive(Debug)]
pub struct Collector {
    spool: Arc<Spool>,
    /// The sinks that samples are for.
    takers: Vec<Arc<Health>>,
    seen: Seen,
    /// What could not be kept yet.
    waiting: VecDeque<Parcel>,
    is_failing: bool,
}

impl Collector {
    /// One that brings samples into `spool`, for these sinks.
    #[must_use]
    pub fn new(spool: Arc<Spool>, takers: Vec<Arc<Health>>) -> Self {
        Self { spool, takers, seen: Seen::default(), waiting: VecDeque::new(), is_failing: false }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, store: Arc<Store>, stop: CancellationToken) {
        let mut changes = store.subscribe();
        loop {
            let snapshot = Arc::clone(&changes.borrow_and_update());
            self.waiting.extend(self.seen.news(&snapshot));
            self.keep().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(RETRY), if !self.waiting.is_empty() => {}
            }
        }
    }

    /// Puts what waits into the spool, or keeps as much of it as may be.
    async fn keep(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (spool, parcels) = (Arc::clone(&self.spool), Vec::from(self.waiting.clone()));
        let error = match blocking(move || spool.append(&parcels)).await {
            Ok(()) => {
                self.waiting.clear();
                self.is_failing = false;
                return;
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!("samples for sinks cannot be kept, and wait in memory: {error}");
        }
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        let lost = self.waiting.drain(..surplus).map(|parcel| parcel.len() as u64).sum();
        self.takers.iter().for_each(|taker| taker.lose(lost));
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::snapshot::sample;

    #[test]
    fn each_moment_is_taken_once_and_in_order() {
        let store = sample::store();
        let mut seen = Seen::default();
        assert!(seen.news(&store.current()).is_empty(), "nothing of it is of a moment");
        let mut publish = |seconds: i64, value: f64| {
            let mut batch = sample::batch(&[("1209788", value)]);
            batch.stamp(sample::start() + TimeDelta::seconds(seconds));
            store.publish(0, 0, sample::success(sample::start(), batch));
            let news = seen.news(&store.current());
            news.iter().map(|parcel| (parcel.time - sample::start()).num_seconds()).collect::<Vec<_>>()
        };
        assert_eq!(publish(10, 1.0), [10]);
        assert_eq!(publish(10, 1.0), [0; 0], "the same sample, read again");
        assert_eq!(publish(5, 1.0), [0; 0], "an older one");
        assert_eq!(publish(130, 2.0), [130]);
    }
}
