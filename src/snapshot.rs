//! All that is known at one moment, immutable: the last good data of every target, and how its last poll went.
//!
//! A [`Store`] has one writer per source and any number of readers. A success replaces a target's batch whole, so a series that
//! Akamai no longer reports is gone; a failure keeps the last batch until it expires. Readers get the whole behind one
//! `Arc` and are woken by each change.

pub mod exposition;
mod gzip;
pub mod health;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::model::{Batch, Reason, Target};

/// What does not change of a source while the process lives.
#[derive(Debug)]
pub struct SourceInfo {
    /// The value of the label `account`.
    pub account: String,
    /// The value of the label `source`.
    pub name: String,
    /// Its kind, `estats`.
    pub kind: &'static str,
    /// Which of Akamai's APIs it asks.
    pub api: &'static str,
    /// When it polls, in words.
    pub schedule: String,
    /// How far apart its polls are meant to be.
    pub interval: Duration,
    /// What it asks for, a request each.
    pub targets: Vec<Target>,
}

impl SourceInfo {
    /// Says that the targets do not fit into the interval, and which one `limit` requests a minute allow.
    #[must_use]
    pub fn overload(&self, limit: u32, effective: Duration) -> String {
        format!(
            "{} target(s) do not fit into {} s: with the budget out of {limit} requests a minute each is polled about every {:.0} s, in turn",
            self.targets.len(),
            self.interval.as_secs(),
            effective.as_secs_f64().ceil()
        )
    }
}

/// How a poll of a target went.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How long it took; nothing if no request was sent.
    pub took: Option<Duration>,
    /// Why it gave no data, with a sentence; nothing if it did.
    pub failure: Option<(Reason, String)>,
}

/// Good data of a target.
#[derive(Clone, Debug)]
pub struct Data {
    /// The data.
    pub batch: Arc<Batch>,
    /// From when on it is too old to be shown.
    pub expires: DateTime<Utc>,
}

/// What is known of a target.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    /// The last good data, until it expires.
    pub data: Option<Data>,
    /// The last poll.
    pub last: Option<Attempt>,
    /// When the last success was.
    pub last_success: Option<DateTime<Utc>>,
    /// How many polls have failed since.
    pub failures: u32,
    /// When the next poll is due.
    pub next_due: Option<DateTime<Utc>>,
}

impl TargetState {
    /// Whether the last poll gave data; nothing before the first.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        self.last.as_ref().map(|attempt| attempt.failure.is_none())
    }
}

/// What has come of a source's polls since the start.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Polls, of whichever target.
    pub polls: u64,
    /// Those of them that gave no data.
    pub failures: u64,
    /// Those of them that sent a request.
    pub sent: u64,
    /// How long these took in all.
    pub took: Duration,
    /// Samples that the last successful one gave.
    pub last_samples: usize,
    /// Samples that all of them gave.
    pub samples: u64,
    /// The last failure, and of which target.
    pub last_failure: Option<(usize, Attempt)>,
}

impl Totals {
    fn count(&mut self, target: usize, outcome: &Outcome) {
        self.polls += 1;
        if let Some(took) = outcome.attempt.took {
            self.sent += 1;
            self.took += took;
        }
        if outcome.attempt.failure.is_some() {
            self.failures += 1;
            self.last_failure = Some((target, outcome.attempt.clone()));
        }
        if let Some(data) = &outcome.data {
            self.last_samples = data.batch.len();
            self.samples += data.batch.len() as u64;
        }
    }
}

/// What is known of a source.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// What does not change of it.
    pub info: Arc<SourceInfo>,
    /// How far apart its polls are, given the budget.
    pub effective_interval: Duration,
    /// What has come of its polls.
    pub totals: Totals,
    /// Its targets, in the order of `info.targets`.
    pub targets: Vec<Arc<TargetState>>,
}

impl SourceState {
    /// Whether the last poll of any target gave data; nothing before the first poll.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        self.targets.iter().filter_map(|target| target.is_up()).reduce(|one, other| one || other)
    }

    /// The latest success of any target.
    #[must_use]
    pub fn last_success(&self) -> Option<DateTime<Utc>> {
        self.targets.iter().filter_map(|target| target.last_success).max()
    }

    /// When the next poll of any target is due.
    #[must_use]
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.targets.iter().filter_map(|target| target.next_due).min()
    }

    /// How many series its data has.
    #[must_use]
    pub fn series(&self) -> usize {
        self.batches().map(Batch::len).sum()
    }

    /// The data of its targets.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.targets.iter().filter_map(|target| target.data.as_ref()).map(|data| data.batch.as_ref())
    }

    /// Each target with what is known of it.
    pub fn targets(&self) -> impl Iterator<Item = (&Target, &TargetState)> {
        self.info.targets.iter().zip(self.targets.iter().map(AsRef::as_ref))
    }
}

/// All that is known at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The labels that stand on every data series.
    pub labels: Arc<[(String, String)]>,
    /// The sources, as configured.
    pub sources: Vec<Arc<SourceState>>,
    /// Which one it is: each publication makes the next.
    pub version: u64,
}

impl Snapshot {
    /// Whether any source has ever given data.
    #[must_use]
    pub fn has_had_data(&self) -> bool {
        self.sources.iter().any(|source| source.last_success().is_some())
    }

    /// When the next data expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<DateTime<Utc>> {
        let targets = self.sources.iter().flat_map(|source| &source.targets);
        targets.filter_map(|target| target.data.as_ref()).map(|data| data.expires).min()
    }

    fn edit(&mut self, source: usize, target: usize, change: impl FnOnce(&mut TargetState)) {
        let source = Arc::make_mut(&mut self.sources[source]);
        change(Arc::make_mut(&mut source.targets[target]));
    }
}

/// What a poll of a target leads to.
#[derive(Debug)]
pub struct Outcome {
    /// How it went.
    pub attempt: Attempt,
    /// The data, after a success.
    pub data: Option<Data>,
    /// When the next poll of the target is due.
    pub next_due: DateTime<Utc>,
    /// How far apart the source's polls are, given the budget.
    pub effective_interval: Duration,
}

/// Holds the snapshot.
#[derive(Debug)]
pub struct Store {
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// The newest version that a scrape has got.
    served: AtomicU64,
}

impl Store {
    /// A store that knows the sources and nothing of their data yet.
    #[must_use]
    pub fn new(sources: Vec<Arc<SourceInfo>>, labels: Vec<(String, String)>) -> Self {
        let fresh = |info: Arc<SourceInfo>| {
            let targets = info.targets.iter().map(|_| Arc::default()).collect();
            Arc::new(SourceState {
                effective_interval: info.interval,
                totals: Totals::default(),
                info,
                targets,
            })
        };
        let sources = sources.into_iter().map(fresh).collect();
        let snapshot = Arc::new(Snapshot { labels: labels.into(), sources, version: 0 });
        Self { snapshot: watch::Sender::new(snapshot), served: AtomicU64::default() }
    }

    /// Records how a poll of the `target`-th target of the `source`-th source went; returns the version that has it.
    pub fn publish(&self, source: usize, target: usize, outcome: Outcome) -> u64 {
        let mut version = 0;
        self.snapshot.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            snapshot.version += 1;
            version = snapshot.version;
            let state = Arc::make_mut(&mut snapshot.sources[source]);
            state.effective_interval = outcome.effective_interval;
            state.totals.count(target, &outcome);
            snapshot.edit(source, target, |state| {
                state.next_due = Some(outcome.next_due);
                if outcome.attempt.failure.is_some() {
                    state.failures += 1;
                } else {
                    state.failures = 0;
                    state.last_success = Some(outcome.attempt.at);
                    state.data = outcome.data;
                }
                state.last = Some(outcome.attempt);
            });
        });
        version
    }

    /// A scrape has got this version.
    pub fn serve(&self, version: u64) {
        self.served.fetch_max(version, Ordering::Relaxed);
    }

    /// Whether a scrape has got this version or a later one.
    #[must_use]
    pub fn has_served(&self, version: u64) -> bool {
        self.served.load(Ordering::Relaxed) >= version
    }

    /// Drops the data that has expired; whether there was any.
    pub fn expire(&self, now: DateTime<Utc>) -> bool {
        self.snapshot.send_if_modified(|snapshot| {
            let expired: Vec<_> = expired(snapshot, now).collect();
            for (source, target) in &expired {
                Arc::make_mut(snapshot).edit(*source, *target, |state| state.data = None);
            }
            !expired.is_empty()
        })
    }

    /// The snapshot now.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// A reader that is woken by each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }
}

fn expired(snapshot: &Snapshot, now: DateTime<Utc>) -> impl Iterator<Item = (usize, usize)> + '_ {
    snapshot.sources.iter().enumerate().flat_map(move |(at, source)| {
        let is_expired =
            move |target: &Arc<TargetState>| target.data.as_ref().is_some_and(|data| data.expires <= now);
        source
            .targets
            .iter()
            .enumerate()
            .filter(move |(_, target)| is_expired(target))
            .map(move |(i, _)| (at, i))
    })
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
