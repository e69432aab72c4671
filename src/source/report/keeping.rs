//! What is counted, kept beyond the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cpcodes::CpCode;
use super::progress::Progress;
use super::{Report, Session, Shape, parcels};
use crate::akamai::ApiError;
use crate::ledger::store::{self, StoreError};
use crate::ledger::{Ledger, Outgoing};
use crate::model::{Origin, Parcel, Reason};
use crate::spool::Spool;

impl Report {
    /// Reads what was counted before this process began.
    pub(super) async fn load(&self, progress: &mut Progress, session: &Session) -> Result<(), ApiError> {
        let Some(store) = session.store.clone().filter(|_| progress.ledger.is_none()) else { return Ok(()) };
        let (report, identity, rules, width) =
            (name(session), self.reader.identity(), self.rules, self.width());
        let loaded = blocking(move || match store.load(&report, &identity, rules, width)? {
            Some(ledger) => Ok(ledger),
            None => store.forget(&report).map(|()| Ledger::new(rules, width)),
        });
        let mut ledger = loaded.await?;
        ledger.push(session.push.as_ref().map(|(push, _)| *push));
        let (account, source) = (&session.account, &session.source);
        match ledger.newest() {
            Some(window) => {
                tracing::info!(account, source, until = %window.end(), "counting goes on where it was saved");
            }
            None => tracing::info!(account, source, "counting begins"),
        }
        progress.ledger = Some(ledger);
        Ok(())
    }

    /// A ledger without anything in it.
    pub(super) fn fresh(&self, session: &Session) -> Ledger {
        let mut ledger = Ledger::new(self.rules, self.width());
        ledger.push(session.push.as_ref().map(|(push, _)| *push));
        ledger
    }

    /// Saves what was counted, and what of it is for push sinks: nothing is shown before that.
    pub(super) async fn save(
        &self,
        progress: &mut Progress,
        session: &Session,
        mut ledger: Ledger,
    ) -> Result<(), ApiError> {
        let (store, spool) =
            (session.store.clone(), session.push.as_ref().map(|(_, spool)| Arc::clone(spool)));
        if store.is_none() && spool.is_none() {
            progress.ledger = Some(ledger);
            return Ok(());
        }
        let (report, identity, shape) = (name(session), self.reader.identity(), self.reader.shape());
        let (account, source) = (session.account.clone(), session.source.clone());
        // Names are many: only where they are wanted.
        let listed = if ledger.outgoing().is_empty() { None } else { progress.listed.clone() };
        let (ledger, saved) = blocking(move || {
            let parcels = parcels_of((&account, &source), &shape, listed.as_ref(), &ledger);
            let saved = match (&store, &spool) {
                (Some(store), _) => {
                    let saved = store.save(&report, &identity, &mut ledger, &Spool::entries(&parcels));
                    saved.and_then(|()| spool.map_or(Ok(()), |spool| spool.appended()))
                }
                (None, spool) => {
                    ledger.sent();
                    spool.as_ref().map_or(Ok(()), |spool| spool.append(&parcels))
                }
            };
            Ok((ledger, saved))
        })
        .await?;
        progress.ledger = Some(ledger);
        saved.map_err(|error| {
            ApiError::new(Reason::State, format!("what was counted cannot be saved: {error}"))
        })
    }

    /// Saves what could not be saved before: what is for push sinks would pile up otherwise.
    pub(super) async fn catch_up(&self, progress: &mut Progress, session: &Session) -> Result<(), ApiError> {
        match progress.ledger.take_if(|ledger| !ledger.outgoing().is_empty()) {
            Some(ledger) => self.save(progress, session, ledger).await,
            None => Ok(()),
        }
    }
}

/// What the ledger has for push sinks.
fn parcels_of(
    whose: (&str, &str),
    shape: &Shape,
    listed: Option<&BTreeMap<u64, CpCode>>,
    ledger: &Ledger,
) -> Vec<Parcel> {
    let parcel = |outgoing: &Outgoing| {
        let lines: Vec<_> = outgoing.lines.iter().map(|(key, sums)| (&**key, sums.as_slice())).collect();
        let origin = if outgoing.is_early { Origin::Early } else { Origin::Settled };
        parcels::parcel(whose, shape, (outgoing.window, origin), listed, &lines)
    };
    ledger.outgoing().iter().map(parcel).collect()
}

/// How the store calls this report.
fn name(session: &Session) -> String {
    format!("{}/{}", session.account, session.source)
}

/// Runs `work`, which waits for the disk, where that holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = store::blocking(work).await;
    done.map_err(|words| ApiError::new(Reason::State, format!("what was counted cannot be kept: {words}")))
}
