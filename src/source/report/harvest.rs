//! A poll's requests: smaller ones where Akamai finds them too large, and without those CP codes that it refuses.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::mapper::{Sorted, sort};
use super::progress::{Progress, listing};
use super::table::Table;
use super::{Report, Session};
use crate::akamai::{ApiError, Permit};
use crate::ledger::Ask;
use crate::model::Reason;

/// What a poll's requests came to.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) sorted: Vec<Sorted>,
    pub(super) failure: Option<ApiError>,
}

impl Harvest {
    fn fail(&mut self, error: ApiError) {
        self.failure = Some(error);
    }
}

impl Report {
    /// Sends the requests, smaller ones where Akamai finds them too large, and without those CP codes that it refuses.
    pub(super) async fn harvest(
        &self,
        progress: &mut Progress,
        session: &Session,
        permit: Permit,
        asks: Vec<Ask>,
        now: DateTime<Utc>,
    ) -> Harvest {
        let mut permit = Some(permit);
        let mut harvest = Harvest::default();
        if progress.active().is_empty() {
            harvest.fail(all_refused(progress));
            return harvest;
        }
        let mut asks: VecDeque<Ask> = asks.into_iter().flat_map(|ask| self.chunks(progress, ask)).collect();
        while let Some(ask) = asks.pop_front() {
            let (ask, codes) = progress.admitted(ask);
            // What it was about has been refused meanwhile.
            if codes.is_empty() && !progress.active().is_empty() {
                continue;
            }
            if codes.is_empty() {
                harvest.fail(all_refused(progress));
                break;
            }
            let granted = match permit.take() {
                Some(permit) => Ok(permit),
                None => session.api().permit().await,
            };
            let answer = match granted {
                Ok(permit) => self.reader.ask(session.api(), permit, ask.windows.clone(), &codes).await,
                Err(error) => Err(error),
            };
            match answer.and_then(whole) {
                Ok(table) => harvest.sorted.push(sort(&self.reader.shape(), &ask, table)),
                Err(error) if error.reason == Reason::TooCostly => match progress.split(&ask, now) {
                    Some(halves) => halves.into_iter().rev().for_each(|half| asks.push_front(half)),
                    None => harvest.fail(error),
                },
                Err(error) if progress.refuse(&error, &codes, session, now) => asks.push_front(ask),
                Err(error) => harvest.fail(error),
            }
            if harvest.failure.is_some() {
                break;
            }
        }
        harvest
    }

    /// The requests that it takes where one cannot name so many CP codes.
    pub(super) fn chunks(&self, progress: &Progress, ask: Ask) -> Vec<Ask> {
        let most = self.reader.most_codes().min(progress.caps.map_or(usize::MAX, |caps| caps.codes)).max(1);
        if ask.members.len() <= most {
            return vec![ask];
        }
        let members: Vec<u64> = ask.members.iter().copied().collect();
        let chunk = |chunk: &[u64]| Ask {
            windows: ask.windows.clone(),
            members: Arc::new(chunk.iter().copied().collect()),
        };
        members.chunks(most).map(chunk).collect()
    }
}

/// What was cut off says nothing.
fn whole(table: Table) -> Result<Table, ApiError> {
    if table.is_cut {
        let words = "a single window has more rows than an answer can have";
        return Err(ApiError::new(Reason::TooCostly, words));
    }
    Ok(table)
}

fn all_refused(progress: &Progress) -> ApiError {
    let names = listing(progress.refused.keys());
    ApiError::new(Reason::Forbidden, format!("Akamai refuses every CP code of this source: {names}"))
}
