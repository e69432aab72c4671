//! The only place that asks the system for the time.
//!
//! Signatures, sample ages and cron schedules need the wall clock; they get it as an argument, so a test
//! hands in a [`ManualClock`]. Waiting is tokio's business (`tokio::time`), which a test can pause.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the wall-clock time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that several parts hold.
pub type SharedClock = Arc<dyn Clock>;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still until it is moved; clones share the hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(start)))
    }

    /// Moves the hand by `step`.
    pub fn advance(&self, step: TimeDelta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += step;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock whose hand is in a file, so that processes share it: for tests that live through hours in seconds.
#[derive(Debug)]
pub struct FileClock {
    file: PathBuf,
    /// What it showed last: a file that is being written cannot be read.
    last: Mutex<DateTime<Utc>>,
}

impl FileClock {
    /// A clock that shows the time (RFC 3339) that stands in `file`.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file, last: Mutex::new(DateTime::UNIX_EPOCH) }
    }
}

impl Clock for FileClock {
    fn now(&self) -> DateTime<Utc> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(time) = text.trim().parse() {
            *last = time;
        }
        *last
    }
}

/// Seconds since the epoch with their fraction, as Prometheus shows times.
#[must_use]
pub fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}
