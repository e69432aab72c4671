//! How each sink stands: for the status page, and for metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::{Failure, Outcome};
use crate::clock::SharedClock;
use crate::telemetry::Telemetry;

/// What does not change of a sink while the process lives.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its name: the section's, or the kind's where that has none.
    pub name: String,
    /// Its kind, `remote_write`.
    pub kind: &'static str,
    /// Where it delivers to.
    pub address: String,
    /// What it takes: `samples` or `answers`.
    pub takes: &'static str,
}

/// What is known of a sink.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether the last delivery worked; nothing before the first.
    pub is_up: Option<bool>,
    /// When a delivery last worked.
    pub last_success: Option<DateTime<Utc>>,
    /// The last failure, though it may be over.
    pub last_failure: Option<(DateTime<Utc>, String)>,
    /// The last refusal for good.
    pub last_refusal: Option<(DateTime<Utc>, String)>,
    /// Samples, or answers, that were delivered since the start.
    pub sent: u64,
    /// Those that were refused for good.
    pub refused: u64,
    /// Those that could not wait any longer.
    pub lost: u64,
    /// Those that wait.
    pub waiting: u64,
}

/// How a sink stands.
#[derive(Debug)]
pub struct Health {
    /// What it is.
    pub info: Info,
    state: Mutex<State>,
    telemetry: Arc<Telemetry>,
    clock: SharedClock,
}

impl Health {
    /// Of a sink that has not begun.
    #[must_use]
    pub fn new(info: Info, telemetry: Arc<Telemetry>, clock: SharedClock) -> Self {
        telemetry.expect_sink(&info.name);
        Self { info, state: Mutex::default(), telemetry, clock }
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Takes in what came of a delivery; says so in the log when it begins or ceases to fail.
    pub(crate) fn record(&self, outcome: &Outcome) {
        let (name, now) = (self.info.name.as_str(), self.clock.now());
        let refused = outcome.refused.as_ref().map_or(0, |(count, _)| *count);
        self.telemetry.sink_delivered(name, outcome.sent, refused);
        let mut state = self.lock();
        state.sent += outcome.sent;
        state.refused += refused;
        let was = state.is_up;
        if let Some((count, words)) = &outcome.refused {
            // A receiver that refuses one parcel may refuse hundreds for the same reason.
            if state.last_refusal.as_ref().is_none_or(|(_, before)| before != words) {
                tracing::warn!(sink = name, count, "refused for good, and not tried again: {words}");
            }
            state.last_refusal = Some((now, words.clone()));
        }
        match &outcome.failure {
            Some(failure) => {
                let before = state.last_failure.as_ref().filter(|_| was == Some(false));
                match before {
                    None => {
                        tracing::warn!(
                            sink = name,
                            "delivery failed, and is tried again: {}",
                            failure.message
                        );
                    }
                    Some((_, words)) if *words != failure.message => {
                        tracing::info!(sink = name, "delivery still fails, otherwise: {}", failure.message);
                    }
                    Some(_) => {}
                }
                state.is_up = Some(false);
                state.last_failure = Some((now, failure.message.clone()));
                self.telemetry.sink_failed(name);
            }
            None => {
                if was == Some(false) {
                    tracing::info!(sink = name, "delivery works again");
                }
                state.is_up = Some(true);
                state.last_success = Some(now);
                self.telemetry.sink_up(name, now);
            }
        }
    }

    /// Something failed for good.
    pub fn fail(&self, words: &str) {
        self.record(&Outcome { failure: Some(Failure::new(words)), ..Outcome::default() });
    }

    /// Some could not wait any longer.
    pub(super) fn lose(&self, lost: u64) {
        if lost > 0 {
            let name = self.info.name.as_str();
            tracing::warn!(sink = name, lost, "there was no room for all that waits, and some of it is lost");
            self.lock().lost += lost;
            self.telemetry.sink_lost(name, lost);
        }
    }

    /// So many wait, and so many bytes of the spool are in use.
    pub(super) fn wait(&self, waiting: u64, fill: Option<(u64, u64)>) {
        if let Some((bytes, most)) = fill {
            self.telemetry.spool(bytes, most);
        }
        let was = std::mem::replace(&mut self.lock().waiting, waiting);
        if was != waiting {
            self.telemetry.sink_waiting(&self.info.name, waiting);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
