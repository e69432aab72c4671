//! Keeps the list of CP codes fresh: which there are, and what they are called.

use chrono::{DateTime, TimeDelta, Utc};

use super::cpcodes::{self, Selection};
use super::progress::{Progress, REFRESH};
use super::{Report, Session};
use crate::akamai::ApiError;
use crate::ledger::Ledger;
use crate::model::Reason;

/// After a failure the list is asked for again so much later.
const RETRY_LIST: TimeDelta = TimeDelta::minutes(5);

impl Report {
    /// Asks which CP codes there are and what they are called, when that is due.
    pub(super) async fn refresh(
        &self,
        progress: &mut Progress,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        if let Selection::List(codes) = &self.selection {
            progress.wanted.clone_from(codes);
        }
        if progress.list_due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let Some(api) = session.apis.get(1) else { return Ok(()) };
        let list = match api.permit().await {
            Ok(permit) => cpcodes::list(api, permit).await,
            Err(error) => Err(error),
        };
        match (list, &self.selection) {
            (Ok(list), Selection::Auto(_)) if list.is_empty() && !progress.wanted.is_empty() => {
                // An account does not lose all its CP codes within an hour.
                progress.list_due = Some(now + RETRY_LIST);
                Err(ApiError::new(Reason::NoCpCodes, "Akamai's list of CP codes is empty"))
            }
            (Ok(list), selection) => {
                progress.list_due = Some(now + REFRESH);
                let listed = list.len();
                let result = match selection {
                    Selection::List(_) => Ok(()),
                    Selection::Auto(filter) => {
                        let fitting = list.values().filter(|code| filter.fits(code));
                        progress.wanted = fitting.map(|code| code.number).collect();
                        let wanted = &progress.wanted;
                        progress.refused.retain(|code, _| wanted.contains(code));
                        progress.tell_wanted(session, listed)
                    }
                };
                progress.listed = Some(list);
                result
            }
            (Err(error), Selection::List(_)) => {
                // What may pass costs windows their CP codes' names no longer than it lasts.
                let is_refused = matches!(error.reason, Reason::GrantMissing | Reason::Forbidden);
                let pause = if is_refused { REFRESH } else { RETRY_LIST };
                if progress.list_due.replace(now + pause).is_none() {
                    tracing::info!(
                        account = session.account,
                        source = session.source,
                        "CP codes stay without names (akamai_cpcode_info): {error}"
                    );
                }
                Ok(())
            }
            (Err(error), Selection::Auto(_)) => {
                if progress.wanted.is_empty() {
                    // What an earlier process found is better than nothing.
                    progress.wanted = progress.ledger.iter().flat_map(Ledger::members).collect();
                }
                // Without any there is nothing else to ask for.
                progress.list_due = (!progress.wanted.is_empty()).then_some(now + RETRY_LIST);
                Err(error)
            }
        }
    }
}
