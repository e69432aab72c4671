//! A report that is asked for windows of five minutes, whichever API it comes from: plan, ask, sort, count, save, show.
//!
//! A [`Reader`] knows one API: how to ask, and how to read the answer into a [`Table`]. Everything else is here and the same for all: which CP
//! codes, how many requests, what to do about those that are refused, and the [`Ledger`] that counts.

mod cpcodes;
mod harvest;
pub(super) mod health;
mod history;
mod keeping;
mod listing;
mod mapper;
mod measure;
mod parcels;
mod progress;
pub(super) mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

pub(super) use self::cpcodes::{Filter, Selection};
use self::harvest::Harvest;
pub(super) use self::mapper::Sorted;
pub(super) use self::measure::{Additivity, Dimension, Families, Measure, Shape};
use self::progress::{Progress, REFRESH, listing};
use self::table::{Table, Words};
#[cfg(test)]
pub(super) use self::{cpcodes::CpCode, mapper::sort};
use super::{Misconfigured, Occasion, Past, Poll, PollResult, Preparation, Session, Source};
use crate::akamai::{Api, ApiError, ApiLimit, Permit};
use crate::ledger::{Ledger, Lost, Members, Reading, Rules, WHOLE, Window};
use crate::model::{Batch, LabelValue, Reason, Target};

/// An answer under way.
pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a check of the configuration against Akamai found.
#[derive(Debug)]
pub(super) enum Check {
    /// Nothing wrong.
    Sound,
    /// A mistake.
    Wrong(String),
    /// Akamai did not say.
    Unknown(ApiError),
}

/// One API's way with reports.
pub(super) trait Reader: fmt::Debug + Send + Sync {
    /// The API.
    fn limit(&self) -> &'static ApiLimit;

    /// Dimensions and measures. A measure that only an answer can describe comes to be with the first one.
    fn shape(&self) -> Shape;

    /// All that decides what is counted: with another identity counting starts anew.
    fn identity(&self) -> String;

    /// The most rows of an answer.
    fn most_rows(&self) -> usize;

    /// The most CP codes of a request.
    fn most_codes(&self) -> usize;

    /// Holds the configuration against what the API says of itself.
    fn check<'a>(&'a self, api: &'a Api) -> Answer<'a, Check>;

    /// Says what a failure means for this API, where that is more than what it means for all.
    fn explain(&self, error: ApiError) -> ApiError {
        error
    }

    /// Asks for the sums of each of `windows`, for these CP codes.
    fn ask<'a>(
        &'a self,
        api: &'a Api,
        permit: Permit,
        windows: Range<Window>,
        codes: &'a BTreeSet<u64>,
    ) -> Answer<'a, Result<Table, ApiError>>;
}

/// A source that counts a report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) reader: Box<dyn Reader>,
    pub(super) selection: Selection,
    pub(super) rules: Rules,
    pub(super) progress: Mutex<Progress>,
}

impl Source for Report {
    fn targets(&self) -> Vec<Target> {
        vec![Target { name: "the report".to_owned(), labels: Vec::new() }]
    }

    fn limits(&self) -> Vec<&'static ApiLimit> {
        vec![self.reader.limit(), &cpcodes::LIMIT]
    }

    fn prepare<'a>(&'a self, session: &'a Session) -> Preparation<'a> {
        Box::pin(self.get_ready(session))
    }

    fn explain(&self, error: ApiError) -> ApiError {
        self.reader.explain(error)
    }

    fn past(&self) -> Option<&dyn Past> {
        Some(self)
    }

    fn poll<'a>(&'a self, _target: usize, occasion: Occasion<'a>) -> Poll<'a> {
        Box::pin(async move {
            let mut progress = self.progress.lock().await;
            self.run(&mut progress, occasion).await
        })
    }
}

impl Report {
    pub(super) fn new(reader: Box<dyn Reader>, selection: Selection, rules: Rules) -> Self {
        Self { reader, selection, rules, progress: Mutex::default() }
    }

    async fn get_ready(&self, session: &Session) -> Result<(), Misconfigured> {
        let mut progress = self.progress.lock().await;
        let (account, source) = (&session.account, &session.source);
        let wrong = |words: String| Misconfigured(format!("account {account}, source {source}: {words}"));
        if session.store.is_none() {
            tracing::info!(
                account,
                source,
                "state_directory is not set: the counters begin anew with each start"
            );
        }
        if let Err(error) = self.load(&mut progress, session).await {
            tracing::error!(account, source, "{error}");
        }
        let now = session.clock.now();
        match self.refresh(&mut progress, session, now).await {
            Err(error)
                if matches!(error.reason, Reason::GrantMissing | Reason::Forbidden)
                    && progress.wanted.is_empty() =>
            {
                return Err(wrong(lacks_list(&error)));
            }
            Err(error) if error.reason != Reason::NoCpCodes => {
                let instead = match progress.wanted.len() {
                    0 => "the list of CP codes is not there yet".to_owned(),
                    known => format!(
                        "{known} CP code(s) that an earlier process knew are used until Akamai lists them"
                    ),
                };
                tracing::warn!(account, source, "{instead}: {error}");
            }
            _ => {}
        }
        self.check(&mut progress, session, now).await.map_err(wrong)
    }

    /// Holds the configuration against what the API says of itself, as soon as it does.
    async fn check(
        &self,
        progress: &mut Progress,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        if progress.is_checked || progress.check_due.is_some_and(|due| now < due) {
            return Ok(());
        }
        progress.check_due = Some(now + REFRESH);
        match self.reader.check(session.api()).await {
            Check::Sound => progress.is_checked = true,
            Check::Wrong(words) => return Err(words),
            Check::Unknown(error) => tracing::warn!(
                account = session.account,
                source = session.source,
                "the report does not say what it offers, so the configuration was only held against what is documented: {error}"
            ),
        }
        Ok(())
    }

    async fn run(&self, progress: &mut Progress, occasion: Occasion<'_>) -> PollResult {
        let Occasion { session, permit, is_served } = occasion;
        let now = session.clock.now();
        self.load(progress, session).await?;
        self.catch_up(progress, session).await?;
        if let Err(error) = self.refresh(progress, session, now).await {
            if progress.wanted.is_empty() {
                return Err(error);
            }
            let (account, source) = (&session.account, &session.source);
            tracing::warn!(account, source, "the list of CP codes stays as it was: {error}");
        }
        let wrong = |words: String| ApiError::new(Reason::BadRequest, words);
        self.check(progress, session, now).await.map_err(wrong)?;
        progress.refused.retain(|_, until| now < *until);
        progress.caps = progress.caps.filter(|caps| now < caps.until);
        let mut ledger = progress.ledger.take().unwrap_or_else(|| self.fresh(session));
        if is_served {
            ledger.reveal();
        }
        ledger.open(now, &self.members(progress));
        progress.delivers_from = progress.delivers_from.or_else(|| ledger.first_unsettled());
        let asks =
            ledger.plan(now, self.reader.most_rows(), progress.caps.map_or(i64::MAX, |caps| caps.windows));
        let harvest = self.harvest(progress, session, permit, asks, now).await;
        // CP codes may have been refused meanwhile.
        ledger.open(now, &self.members(progress));
        // Only an answer shows that the clock is right: Akamai refuses a request whose time is not.
        if !harvest.sorted.is_empty() {
            tell_lost(session, &ledger.give_up(now));
        }
        let failure = self.judge(progress, session, &harvest);
        let shape = self.reader.shape();
        expect(&shape, &progress.active(), &mut ledger);
        // Of an answer whose rows are all of no use, none is not the same as no traffic.
        let useful = harvest.sorted.into_iter().filter(|sorted| {
            let Reading { windows, members, .. } = &sorted.reading;
            // Nor does an answer without any row take back the rows that there were.
            !sorted.is_useless() && (sorted.rows > 0 || !ledger.has_read(windows, members))
        });
        let (readings, gauges): (Vec<_>, Vec<_>) =
            useful.map(|sorted| (sorted.reading, sorted.gauges)).unzip();
        let asked: Vec<_> = readings.iter().map(|reading| reading.windows.clone()).collect();
        ledger.take(now, readings);
        ledger.forget_idle();
        // A poll that reads older windows again says nothing of the newest one.
        let newest = ledger.newest();
        if asked.iter().any(|windows| newest.is_some_and(|newest| windows.contains(&newest))) {
            let of_newest = gauges.into_iter().flatten().filter(|(window, _)| Some(*window) == newest);
            progress.gauges = of_newest.map(|(_, gauge)| gauge).collect();
        }
        self.save(progress, session, ledger).await?;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(self.batch(progress, session, &shape)),
        }
    }

    /// What makes a poll a failure, if anything.
    fn judge(&self, progress: &mut Progress, session: &Session, harvest: &Harvest) -> Option<ApiError> {
        let faults = harvest.sorted.iter().flat_map(|sorted| &sorted.faults);
        for (fault, count) in faults {
            let total = progress.faults.entry(*fault).or_default();
            if *total == 0 {
                let (account, source, fault) = (&session.account, &session.source, fault.label());
                tracing::warn!(
                    account,
                    source,
                    fault,
                    "rows of the report cannot be used; akamai_exporter_report_rows_rejected_total counts them, and this is said once"
                );
            }
            *total += count;
        }
        if let Some(failure) = &harvest.failure {
            return Some(failure.clone());
        }
        if harvest.sorted.iter().any(Sorted::is_useless) {
            let words = "no row of an answer can be used; the log says what is wrong with them";
            return Some(ApiError::new(Reason::Malformed, words));
        }
        let is_empty = !harvest.sorted.is_empty() && harvest.sorted.iter().all(|sorted| sorted.rows == 0);
        is_empty
            .then(|| ApiError::new(Reason::NoData, "the report has no row for these CP codes and windows"))
    }

    /// What can be missing by itself: a CP code, if rows tell of theirs.
    fn members(&self, progress: &Progress) -> Members {
        match self.reader.shape().cpcode {
            Some(_) => Arc::new(progress.active()),
            None => Arc::new([WHOLE].into()),
        }
    }

    fn width(&self) -> usize {
        self.reader.shape().measures.len()
    }

    fn batch(&self, progress: &mut Progress, session: &Session, shape: &Shape) -> Batch {
        progress.tell_readmitted(session);
        let mut batch = Batch::default();
        let active = progress.active().len();
        let Some(ledger) = &mut progress.ledger else { return batch };
        mapper::push_counters(&mut batch, shape, ledger);
        mapper::push_gauges(&mut batch, shape, &progress.gauges);
        health::push_windows(&mut batch, ledger);
        health::push_faults(&mut batch, &progress.faults);
        let named = progress.listed.iter().flatten().filter(|(code, _)| progress.wanted.contains(code));
        health::push_cpcodes(&mut batch, named.map(|(_, code)| code), progress.refused.keys());
        batch.note(health::sentence(ledger, active));
        if !progress.refused.is_empty() {
            let names = listing(progress.refused.keys());
            batch.note(format!(
                "Akamai says that this API client may not see {} CP code(s), which are left out and tried again every hour: {names}",
                progress.refused.len()
            ));
        }
        batch.shrunk()
    }
}

/// What to do where the list of CP codes is not for this API client.
fn lacks_list(error: &ApiError) -> String {
    format!(
        "cpcodes = auto needs the CP code API, and {error}. Valid choices: give the API client read access to \"CPcode and Reporting group (CPRG)\", or list the CP codes, as in cpcodes = 12345, 67890"
    )
}

/// Makes known the series that are known before there is any row of them.
fn expect(shape: &Shape, codes: &BTreeSet<u64>, ledger: &mut Ledger) {
    let Some(rows) = shape.known() else { return };
    let mut words = Words::default();
    let members: Vec<u64> = match shape.cpcode {
        Some(_) => codes.iter().copied().collect(),
        None => vec![WHOLE],
    };
    for member in members {
        let code = LabelValue::from(member.to_string());
        for row in &rows {
            let label = |(at, value): (usize, &&str)| match shape.cpcode {
                Some(place) if place == at => LabelValue::clone(&code),
                _ => words.of(value),
            };
            let key: Vec<LabelValue> = row.iter().enumerate().map(label).collect();
            ledger.expect(member, &key);
        }
    }
}

fn tell_lost(session: &Session, lost: &Lost) {
    let (account, source) = (&session.account, &session.source);
    if let Some(windows) = &lost.windows {
        let (from, to) = (windows.start, windows.end);
        tracing::error!(
            account,
            source,
            %from,
            %to,
            "windows could not be read within look_back: their traffic is not in the counters"
        );
    }
    if !lost.members.is_empty() {
        let cpcodes = listing(lost.members.keys());
        tracing::error!(
            account,
            source,
            cpcodes,
            "some windows could not be read for these CP codes within look_back: that traffic is not in their counters"
        );
    }
}
