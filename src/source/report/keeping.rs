//! What is counted, kept beyond the process.

use super::progress::Progress;
use super::{Report, Session};
use crate::akamai::ApiError;
use crate::ledger::Ledger;
use crate::ledger::store::StoreError;
use crate::model::Reason;

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
        let ledger = loaded.await?;
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

    /// Saves what was counted: nothing is shown before that.
    pub(super) async fn save(
        &self,
        progress: &mut Progress,
        session: &Session,
        mut ledger: Ledger,
    ) -> Result<(), ApiError> {
        let Some(store) = session.store.clone() else {
            progress.ledger = Some(ledger);
            return Ok(());
        };
        let (report, identity) = (name(session), self.reader.identity());
        let (ledger, saved) = blocking(move || {
            let saved = store.save(&report, &identity, &mut ledger);
            Ok((ledger, saved))
        })
        .await?;
        progress.ledger = Some(ledger);
        saved.map_err(|error| {
            ApiError::new(Reason::State, format!("what was counted cannot be saved: {error}"))
        })
    }
}

/// How the store calls this report.
fn name(session: &Session) -> String {
    format!("{}/{}", session.account, session.source)
}

/// Runs `work`, which waits for the disk, where that holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    let words = match done {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(ApiError::new(Reason::State, format!("what was counted cannot be kept: {words}")))
}
