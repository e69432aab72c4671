//! What a source of reports knows from one poll to the next: which CP codes there are, which are refused, how large a request may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::cpcodes::CpCode;
use super::mapper::{Faults, Gauge};
use crate::akamai::ApiError;
use crate::ledger::{Ask, Ledger, WHOLE, Window};
use crate::model::Reason;
use crate::source::Session;

/// How often the list of CP codes is asked for anew, and what was refused or cut is tried again.
pub(super) const REFRESH: TimeDelta = TimeDelta::hours(1);

/// A log line or a page names no more CP codes than this.
const MOST_NAMED: usize = 20;

/// What changes from poll to poll.
#[derive(Debug, Default)]
pub(in crate::source) struct Progress {
    pub(super) ledger: Option<Ledger>,
    /// What Akamai lists, once it has.
    pub(super) listed: Option<BTreeMap<u64, CpCode>>,
    /// The CP codes to ask for, those that are refused too.
    pub(super) wanted: BTreeSet<u64>,
    /// When the list is asked for next.
    pub(super) list_due: Option<DateTime<Utc>>,
    /// Whether the configuration was held against what the API says of itself, and when that is tried again.
    pub(super) is_checked: bool,
    pub(super) check_due: Option<DateTime<Utc>>,
    /// Whether it has been said that no CP code fits.
    is_told_empty: bool,
    /// The CP codes that Akamai says are not this client's, and when to try them again.
    pub(super) refused: BTreeMap<u64, DateTime<Utc>>,
    /// Those of them that the log has named.
    told: BTreeSet<u64>,
    /// Smaller than what would fit, after an answer that was cut or refused as too costly.
    pub(super) caps: Option<Caps>,
    pub(super) faults: Faults,
    pub(super) gauges: Vec<Gauge>,
    /// The first window that came to push sinks, or will.
    pub(super) delivers_from: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    pub(super) windows: i64,
    pub(super) codes: usize,
    pub(super) until: DateTime<Utc>,
}

impl Progress {
    /// Nothing known but which CP codes to ask for.
    pub(super) fn of(codes: BTreeSet<u64>) -> Self {
        Self { wanted: codes, ..Self::default() }
    }

    /// The CP codes to ask for now.
    pub(super) fn active(&self) -> BTreeSet<u64> {
        self.wanted.iter().copied().filter(|code| !self.refused.contains_key(code)).collect()
    }

    /// The request without what was refused since it was planned, and the CP codes that it names.
    pub(super) fn admitted(&self, ask: Ask) -> (Ask, BTreeSet<u64>) {
        if ask.members.contains(&WHOLE) {
            return (ask, self.active());
        }
        let codes: BTreeSet<u64> =
            ask.members.iter().copied().filter(|code| !self.refused.contains_key(code)).collect();
        (Ask { members: Arc::new(codes.clone()), ..ask }, codes)
    }

    /// Takes it that Akamai refuses some of `codes`; whether it said which.
    pub(super) fn refuse(
        &mut self,
        error: &ApiError,
        codes: &BTreeSet<u64>,
        session: &Session,
        now: DateTime<Utc>,
    ) -> bool {
        let is_only_one = error.reason == Reason::Forbidden && codes.len() == 1 && self.wanted.len() > 1;
        let refused: BTreeSet<u64> = match is_only_one {
            // Whether the answer names it or not.
            true => codes.clone(),
            false => error.objects.iter().copied().filter(|code| codes.contains(code)).collect(),
        };
        self.refused.extend(refused.iter().map(|code| (*code, now + REFRESH)));
        let news: BTreeSet<u64> = refused.difference(&self.told).copied().collect();
        if !news.is_empty() {
            tracing::warn!(
                account = session.account,
                source = session.source,
                cpcodes = listing(&news),
                "Akamai says that these CP codes are not this API client's: they are left out, and tried again every hour. {}",
                Reason::Forbidden.advice()
            );
            self.told.extend(news);
        }
        !refused.is_empty()
    }

    /// Says loudly, and once, that no CP code fits.
    pub(super) fn tell_wanted(&mut self, session: &Session, listed: usize) -> Result<(), ApiError> {
        let (account, source) = (&session.account, &session.source);
        if !self.wanted.is_empty() {
            self.is_told_empty = false;
            tracing::debug!(account, source, listed, fitting = self.wanted.len(), "CP codes");
            return Ok(());
        }
        // Somebody may be about to mend that.
        self.list_due = None;
        let words = format!("none of the {listed} CP codes that Akamai lists fits cpcodes = auto");
        if !std::mem::replace(&mut self.is_told_empty, true) {
            tracing::error!(account, source, "{words}. {}", Reason::NoCpCodes.advice());
        }
        Err(ApiError::new(Reason::NoCpCodes, words))
    }

    /// Says so of CP codes that are not refused any more.
    pub(super) fn tell_readmitted(&mut self, session: &Session) {
        let refused = &self.refused;
        let is_back = |code: &&u64| !refused.contains_key(code);
        let back: BTreeSet<u64> = self.told.iter().filter(is_back).copied().collect();
        self.told.retain(|code| refused.contains_key(code));
        if !back.is_empty() {
            let (account, source) = (&session.account, &session.source);
            tracing::info!(
                account,
                source,
                cpcodes = listing(&back),
                "these CP codes are not refused any more"
            );
        }
    }

    /// Two requests in the place of one that was too large, if it can be divided; for a while none is larger.
    pub(super) fn split(&mut self, ask: &Ask, now: DateTime<Utc>) -> Option<[Ask; 2]> {
        let mut caps = self.caps.unwrap_or(Caps { windows: i64::MAX, codes: usize::MAX, until: now });
        caps.until = now + REFRESH;
        let halves = if ask.len() > 1 {
            caps.windows = ask.len() / 2;
            let middle = ask.windows.start.plus(ask.len() / 2);
            let part = |windows| Ask { windows, members: Arc::clone(&ask.members) };
            [part(ask.windows.start..middle), part(middle..ask.windows.end)]
        } else if ask.members.len() > 1 {
            caps.codes = ask.members.len().div_ceil(2);
            let members: Vec<u64> = ask.members.iter().copied().collect();
            let part = |codes: &[u64]| Ask {
                windows: ask.windows.clone(),
                members: Arc::new(codes.iter().copied().collect()),
            };
            [part(&members[..caps.codes]), part(&members[caps.codes..])]
        } else {
            // It was not the size, then: an hour of requests this small would help nobody.
            self.caps = None;
            return None;
        };
        self.caps = Some(caps);
        Some(halves)
    }
}

/// Numbers for people, not too many.
pub(super) fn listing<'a>(codes: impl IntoIterator<Item = &'a u64>) -> String {
    let codes: Vec<String> = codes.into_iter().map(u64::to_string).collect();
    match codes.len() {
        ..=MOST_NAMED => codes.join(", "),
        more => format!("{} and {} more", codes[..MOST_NAMED].join(", "), more - MOST_NAMED),
    }
}
