//! The past of a report: the oldest windows first, as many in a request as an answer can hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::cpcodes::Selection;
use super::mapper::Sorted;
use super::parcels::{Line, parcel};
use super::progress::Progress;
use super::{Misconfigured, Report, lacks_list};
use crate::akamai::{Api, ApiError};
use crate::ledger::{Ask, Row, WHOLE, Window};
use crate::model::{Origin, Reason, Retry};
use crate::source::{
    Beginning, Fetched, Fetching, Gap, History, Past, Preparation, Resolution, Session, Unready,
};

/// A request may have this many rows more than expected.
const HEADROOM: f64 = 1.2;

/// The most windows of a request: a day, so that what is fetched can be used bit by bit.
const MOST_WINDOWS: i64 = 288;

/// The most windows of the first request, where nothing tells how many rows there will be.
const FIRST_WINDOWS: i64 = 12;

/// What may pass is tried so often, with pauses that double.
const MOST_ATTEMPTS: u32 = 6;

/// An answer of which a part cannot be used is asked for so often.
const MOST_READINGS: u32 = 3;

/// No pause between attempts is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

const REFUSED: &str = "since Akamai says that they are not this API client's";
const UNUSABLE: &str = "since Akamai's answer has rows of them that cannot be used";

impl Past for Report {
    fn identity(&self) -> String {
        let selection = match &self.selection {
            Selection::List(codes) => codes.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
            Selection::Auto(filter) => {
                let texts = |patterns: &[wildmatch::WildMatch]| -> String {
                    patterns.iter().map(|pattern| format!(" {pattern}")).collect()
                };
                let media = if filter.is_media { " media" } else { "" };
                format!("auto{media} include{} exclude{}", texts(&filter.include), texts(&filter.exclude))
            }
        };
        format!("{}|{selection}", self.reader.identity())
    }

    fn settled_before(&self, now: DateTime<Utc>) -> Window {
        Window::ended_by(now - self.rules.settle).plus(1)
    }

    fn check<'a>(&'a self, session: &'a Session) -> Preparation<'a> {
        Box::pin(async move {
            let checked = self.check(&mut Progress::default(), session, session.clock.now()).await;
            checked.map_err(|words| wrong(session, &words))
        })
    }

    fn cpcodes<'a>(&'a self, session: &'a Session) -> Resolution<'a> {
        Box::pin(self.resolve(session))
    }

    fn delivers_from(&self) -> Beginning<'_> {
        Box::pin(async { self.progress.lock().await.delivers_from })
    }

    fn history<'a>(
        &'a self,
        session: &'a Session,
        windows: Range<Window>,
        codes: BTreeSet<u64>,
    ) -> Box<dyn History + 'a> {
        let progress = Progress::of(codes);
        Box::new(Reel { report: self, session, windows, progress, widest: 0 })
    }
}

impl Report {
    async fn resolve(&self, session: &Session) -> Result<BTreeSet<u64>, Unready> {
        if let Selection::List(codes) = &self.selection {
            return Ok(codes.clone());
        }
        let (mut patience, mut progress) = (Patience::default(), Progress::default());
        loop {
            match self.refresh(&mut progress, session, session.clock.now()).await {
                Ok(()) => return Ok(progress.wanted),
                Err(error) if matches!(error.reason, Reason::GrantMissing | Reason::Forbidden) => {
                    return Err(wrong(session, &lacks_list(&error)).into());
                }
                Err(error) => {
                    let list = session.apis.get(1).map_or(session.api(), |api| api);
                    patience.bear(session, list, error).await?;
                }
            }
        }
    }
}

fn wrong(session: &Session, words: &str) -> Misconfigured {
    Misconfigured(format!("account {}, source {}: {words}", session.account, session.source))
}

/// How often something has failed in a row.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
}

impl Patience {
    /// Waits until it is time to try again; the error, where that is of no use.
    async fn bear(&mut self, session: &Session, api: &Api, error: ApiError) -> Result<(), ApiError> {
        self.failures += 1;
        if !may_pass(error.reason) || self.failures >= MOST_ATTEMPTS {
            return Err(error);
        }
        let own = api.manners().retry_pause.saturating_mul(1 << (self.failures - 1)).min(LONGEST_PAUSE);
        // While Akamai refuses the account there is no permit.
        let closed = api.pause().map_or(Duration::ZERO, |(_, pause)| pause);
        // After a 429 the budget waits by itself.
        let pause = if error.reason == Reason::RateLimited { Duration::ZERO } else { own.max(closed) };
        let (account, source, reason) = (&session.account, &session.source, error.reason.label());
        let (seconds, failures) = (pause.as_secs(), self.failures);
        tracing::warn!(
            account,
            source,
            reason,
            failures,
            seconds,
            "the past is asked for again after a pause: {error}"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Whether another attempt may fare better. Nobody mends credentials or a clock while a command runs.
fn may_pass(reason: Reason) -> bool {
    reason.retry() == Retry::Early
        && !matches!(reason, Reason::Auth | Reason::ClockSkew | Reason::GrantMissing)
}

/// A report's past, up to where it has been fetched.
#[derive(Debug)]
struct Reel<'a> {
    report: &'a Report,
    session: &'a Session,
    /// What has not been fetched yet.
    windows: Range<Window>,
    /// Which CP codes are refused, and how large a request may be.
    progress: Progress,
    /// The most rows that an answer had of one window.
    widest: usize,
}

impl History for Reel<'_> {
    fn next(&mut self) -> Fetching<'_> {
        Box::pin(async {
            if self.windows.start >= self.windows.end {
                return None;
            }
            let fetched = self.fetch().await.map_err(|error| self.report.reader.explain(error));
            if let Ok(fetched) = &fetched {
                self.windows.start = fetched.windows.end;
            }
            Some(fetched)
        })
    }

    fn skip_to(&mut self, window: Window) {
        self.windows.start = self.windows.start.max(window);
    }
}

impl Reel<'_> {
    async fn fetch(&mut self) -> Result<Fetched, ApiError> {
        let now = self.session.clock.now();
        self.progress.caps = self.progress.caps.filter(|caps| now < caps.until);
        let windows = self.windows.start..self.windows.start.plus(self.fit()).min(self.windows.end);
        let mut answers = self.read(&windows).await?;
        if answers.iter().all(|answer| answer.rows == 0) {
            // Nothing at all may be true. That Akamai says so twice is the least.
            answers = self.read(&windows).await?;
        }
        Ok(self.sort(windows, &answers))
    }

    /// How many windows fit into an answer.
    fn fit(&self) -> i64 {
        let codes = self.progress.active().len().min(self.report.reader.most_codes()).max(1);
        let known = self.report.reader.shape().known().map(|rows| rows.len() * codes);
        let rows = match (self.widest, known) {
            (0, None) => return FIRST_WINDOWS,
            (0, Some(known)) => known,
            (widest, _) => widest,
        };
        let fit = self.report.reader.most_rows() as f64 / (rows.max(1) as f64 * HEADROOM);
        let most = self.progress.caps.map_or(MOST_WINDOWS, |caps| caps.windows.min(MOST_WINDOWS));
        (fit as i64).clamp(1, most.max(1))
    }

    /// All answers that these windows take.
    async fn read(&mut self, windows: &Range<Window>) -> Result<Vec<Sorted>, ApiError> {
        let members = self.report.members(&self.progress);
        let ask = Ask { windows: windows.clone(), members };
        let mut answers = Vec::new();
        for ask in self.report.chunks(&self.progress, ask) {
            self.insist(ask, &mut answers).await?;
        }
        Ok(answers)
    }

    /// Asks until all of it is there, or it is of no use any more.
    async fn insist(&mut self, mut ask: Ask, answers: &mut Vec<Sorted>) -> Result<(), ApiError> {
        let (mut patience, mut readings) = (Patience::default(), 0);
        loop {
            let api = self.session.api();
            let harvest = match api.permit().await {
                Ok(permit) => {
                    let now = self.session.clock.now();
                    self.report
                        .harvest(&mut self.progress, self.session, permit, vec![ask.clone()], now)
                        .await
                }
                Err(error) => {
                    patience.bear(self.session, api, error).await?;
                    continue;
                }
            };
            let spoilt = harvest.sorted.iter().any(|answer| !answer.reading.unusable.is_empty());
            readings += u32::from(spoilt);
            let error = match harvest.failure {
                // What is wrong may be but in this answer.
                _ if spoilt && readings < MOST_READINGS => {
                    ApiError::new(Reason::Malformed, "rows of the answer cannot be used")
                }
                None => {
                    answers.extend(harvest.sorted);
                    return Ok(());
                }
                Some(error) => {
                    if self.keep(&mut ask, harvest.sorted, answers) {
                        patience = Patience::default();
                    }
                    error
                }
            };
            patience.bear(self.session, api, error).await?;
        }
    }

    /// Keeps the answers to the first windows of a request that failed later on; whether there are any.
    fn keep(&self, ask: &mut Ask, sorted: Vec<Sorted>, answers: &mut Vec<Sorted>) -> bool {
        let members = self.progress.admitted(ask.clone()).0.members;
        let before = ask.windows.start;
        for answer in sorted {
            let Range { start, end } = answer.reading.windows;
            if start != ask.windows.start || answer.reading.members != members {
                break;
            }
            ask.windows.start = end;
            answers.push(answer);
        }
        ask.windows.start > before
    }

    fn sort(&mut self, windows: Range<Window>, answers: &[Sorted]) -> Fetched {
        let mut by_window: BTreeMap<Window, Vec<&Row>> = BTreeMap::new();
        let mut unusable: BTreeMap<Window, BTreeSet<u64>> = BTreeMap::new();
        for answer in answers {
            let mut widths: BTreeMap<Window, usize> = BTreeMap::new();
            for row in &answer.reading.rows {
                *widths.entry(row.window).or_default() += 1;
                if !answer.reading.unusable.contains(&(row.window, row.member)) {
                    by_window.entry(row.window).or_default().push(row);
                }
            }
            self.widest = self.widest.max(widths.into_values().max().unwrap_or(0));
            for (window, member) in &answer.reading.unusable {
                unusable.entry(*window).or_default().extend(Some(*member).filter(|member| *member != WHOLE));
            }
        }
        let shape = self.report.reader.shape();
        let names = (self.session.account.as_str(), self.session.source.as_str());
        let parcels = by_window.into_iter().map(|(window, mut rows)| {
            // However Akamai orders them: the same rows make the same parcel.
            rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            let lines: Vec<Line<'_>> = rows.iter().map(|row| (&*row.key, &*row.sums)).collect();
            parcel(names, &shape, (window, Origin::History), None, &lines)
        });
        Fetched {
            parcels: parcels.collect(),
            rows: answers.iter().map(|answer| answer.reading.rows.len() as u64).sum(),
            gaps: self.gaps(&windows, unusable),
            windows,
        }
    }

    fn gaps(&self, windows: &Range<Window>, unusable: BTreeMap<Window, BTreeSet<u64>>) -> Vec<Gap> {
        let refused: BTreeSet<u64> = self.progress.refused.keys().copied().collect();
        let refused =
            (!refused.is_empty()).then(|| Gap { windows: windows.clone(), cpcodes: refused, why: REFUSED });
        let unusable = unusable.into_iter().map(|(window, cpcodes)| Gap {
            windows: window..window.plus(1),
            cpcodes,
            why: UNUSABLE,
        });
        let mut gaps: Vec<Gap> = refused.into_iter().chain(unusable).collect();
        gaps.sort_by_key(|gap| (gap.windows.start, Reverse(gap.windows.end)));
        gaps
    }
}
