//! Brings what was before push sinks began to those that want it: once a source, and never so much at a time that what is new is lost for it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::akamai::ApiError;
use crate::ledger::Window;
use crate::ledger::store::blocking;
use crate::model::{Parcel, Reason, Scope};
use crate::source::{Past, Session, Source, Unready};
use crate::spool::Spool;

/// What is not there yet is looked for so much later: the first poll, a window that settles, room in the spool.
const LOOK: Duration = Duration::from_secs(1);

/// After a failure history is asked for again so much later.
const RETRY: Duration = Duration::from_secs(60);

/// A window that cannot be had so often is left out.
const MOST_FAILURES: u32 = 10;

/// A source whose history is wanted.
pub(super) struct Wanted {
    pub(super) source: Arc<dyn Source>,
    pub(super) session: Session,
    pub(super) spool: Arc<Spool>,
    /// How far back.
    pub(super) age: TimeDelta,
}

impl Wanted {
    /// Runs until all of it is in the spool.
    pub(super) async fn run(self) {
        let Some(past) = self.source.past() else { return };
        let left = match self.left(past).await {
            Ok(left) => left,
            Err(words) => return self.complain(&words),
        };
        if left.start >= left.end {
            let (account, source) = (&self.session.account, &self.session.source);
            tracing::debug!(
                account,
                source,
                "history was fetched at an earlier start; more of it is for backfill"
            );
            return;
        }
        let (account, source) = (&self.session.account, &self.session.source);
        tracing::info!(account, source, from = %left.start, to = %left.end, "history is fetched for sinks");
        match self.fetch(past, left).await {
            Ok(()) => tracing::info!(account, source, "the history that sinks want is fetched"),
            Err(words) => self.complain(&words),
        }
    }

    fn warn(&self, words: &str) {
        let (account, source) = (&self.session.account, &self.session.source);
        tracing::warn!(account, source, "history for sinks {words}");
    }

    fn complain(&self, words: &str) {
        let (account, source) = (&self.session.account, &self.session.source);
        tracing::error!(account, source, "history for sinks is not fetched: {words}");
    }

    fn name(&self) -> String {
        format!("{}/{}", self.session.account, self.session.source)
    }

    /// Which windows are left: as it was noted, or from so long ago up to where polls begin.
    async fn left(&self, past: &dyn Past) -> Result<Range<Window>, String> {
        // The first poll goes before, and holds the configuration against what Akamai says of itself.
        let end = loop {
            match past.delivers_from().await {
                Some(window) => break window,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let (spool, name) = (Arc::clone(&self.spool), self.name());
        if let Some(left) = blocking(move || spool.history(&name)).await? {
            return Ok(left);
        }
        let start = Window::ended_by(self.session.clock.now() - self.age).plus(1);
        let left = start.min(end)..end;
        self.keep(left.clone(), Vec::new()).await.map(|()| left)
    }

    async fn fetch(&self, past: &dyn Past, mut left: Range<Window>) -> Result<(), String> {
        let codes = loop {
            match past.cpcodes(&self.session).await {
                Ok(codes) => break codes,
                Err(Unready::Misconfigured(error)) => return Err(error.to_string()),
                Err(Unready::Failed(_)) => tokio::time::sleep(RETRY).await,
            }
        };
        let (mut failures, mut told) = (0, BTreeSet::new());
        while left.start < left.end {
            let until = past.settled_before(self.session.clock.now()).min(left.end);
            if until <= left.start || !self.has_room() {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let mut history = past.history(&self.session, left.start..until, codes.clone());
            while let Some(fetched) = history.next().await {
                match fetched {
                    Ok(fetched) => {
                        for gap in
                            fetched.gaps.iter().filter(|gap| told.insert((gap.cpcodes.clone(), gap.why)))
                        {
                            self.warn(&format!("lacks something, {gap}; this is said once"));
                        }
                        left.start = fetched.windows.end;
                        self.keep(left.clone(), fetched.parcels).await?;
                        failures = 0;
                    }
                    Err(error) => {
                        // What is wrong with more than this window passes, or somebody mends it.
                        failures += u32::from(is_of_window(&error));
                        if failures >= MOST_FAILURES {
                            self.warn(&format!("lacks the window {}: {error}", left.start));
                            left.start = left.start.plus(1);
                            failures = 0;
                        }
                        tokio::time::sleep(RETRY).await;
                        break;
                    }
                }
                if !self.has_room() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Half of the spool is for what is new.
    fn has_room(&self) -> bool {
        let (bytes, most) = self.spool.fill();
        bytes < most / 2
    }

    /// Puts windows into the spool, and notes there which are left; a disk that is full is waited for.
    async fn keep(&self, left: Range<Window>, parcels: Vec<Parcel>) -> Result<(), String> {
        let parcels = Arc::new(parcels);
        let mut is_told = false;
        loop {
            let (spool, name, left, parcels) =
                (Arc::clone(&self.spool), self.name(), left.clone(), Arc::clone(&parcels));
            let kept =
                tokio::task::spawn_blocking(move || spool.append_history(&name, &left, &parcels)).await;
            match kept.map_err(|error| error.to_string())? {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        self.complain(&format!("it is tried again: {error}"));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Whether a failure is about what was asked for.
fn is_of_window(error: &ApiError) -> bool {
    error.reason.scope() == Scope::Target || matches!(error.reason, Reason::Malformed | Reason::TooLarge)
}
