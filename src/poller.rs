//! One poller per source: waits for a target's turn and for the budget, asks, publishes the outcome. Nothing that happens in a
//! poll ends the loop.

pub mod journal;
pub mod rota;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::journal::{Entry, Journal};
use self::rota::{Rhythm, Rota};
use crate::akamai::{ApiError, Permit};
use crate::model::Reason;
use crate::schedule::{Schedule, kept_interval};
use crate::snapshot::{Attempt, Data, Outcome, SourceInfo, Store};
use crate::source::{Misconfigured, Occasion, PollResult, Session, Source};
use crate::telemetry::Telemetry;

/// More requests of one source do not run at a time. An eStats call takes seconds, so at 28 a minute a handful run anyway.
const MOST_RUNNING: usize = 256;

/// Getting ready takes no longer than this.
const LONGEST_PREPARATION: Duration = Duration::from_secs(30);

/// What a poller works with.
#[derive(Debug)]
pub struct Poller {
    /// Which source it is, in the store.
    pub index: usize,
    /// The source's description.
    pub info: Arc<SourceInfo>,
    /// The source.
    pub source: Arc<dyn Source>,
    /// When it is polled.
    pub schedule: Schedule,
    /// What the source works with.
    pub session: Session,
    /// Requests a minute that each source of this account wants of this API, and which of them is ours.
    pub demands: (Arc<[f64]>, usize),
    /// After how many due polls data is too old.
    pub stale_after: u32,
    /// Where outcomes go.
    pub store: Arc<Store>,
    /// Where they are counted.
    pub telemetry: Arc<Telemetry>,
}

/// A poll that has ended.
struct Done {
    target: usize,
    began: Instant,
    /// Not so while Akamai refuses the account.
    is_sent: bool,
    result: PollResult,
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Permit, ApiError>> + Send + 'a>>;
type Running<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send + 'a>>>;

/// What the loop does next.
enum Step {
    Stop,
    Finish(Done),
    Call,
    Ask,
    Start(Result<Permit, ApiError>),
}

impl Poller {
    /// Polls until `stop`; `calls` says "due" for a source on a cron schedule.
    ///
    /// # Errors
    ///
    /// If Akamai says before the first poll that the source cannot be what exporter.ini wants.
    pub async fn run(
        self,
        mut calls: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) -> Result<(), Misconfigured> {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            ready = tokio::time::timeout(LONGEST_PREPARATION, self.source.prepare(&self.session)) => {
                // What takes longer is left out: polls tell what is wrong.
                ready.unwrap_or(Ok(()))?;
            }
        }
        let rhythm = match &self.schedule {
            Schedule::Every(interval) => Rhythm::Every(*interval),
            Schedule::Cron(_) => Rhythm::Called(self.info.interval),
        };
        let mut state = State {
            rota: Rota::new(Instant::now(), rhythm, self.info.targets.len()),
            journal: Journal::new(self.info.targets.len()),
            told_interval: self.effective_interval(),
            published: vec![None; self.info.targets.len()],
        };
        let mut waiting: Option<Waiting<'_>> = None;
        let mut running = Running::new();
        loop {
            let due = state.rota.next().map(|(due, _)| due).filter(|_| running.len() < MOST_RUNNING);
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => Step::Stop,
                Some(done) = running.next() => Step::Finish(done),
                Some(()) = calls.recv() => Step::Call,
                permit = maybe(waiting.as_mut()) => Step::Start(permit),
                () = maybe(due.map(tokio::time::sleep_until)), if waiting.is_none() => Step::Ask,
            };
            match step {
                Step::Stop => return Ok(()),
                Step::Finish(done) => self.finish(&mut state, done),
                Step::Call => state.rota.call(Instant::now()),
                Step::Ask => waiting = Some(Box::pin(self.session.api().permit())),
                Step::Start(permit) => {
                    waiting = None;
                    self.start(&mut state, &mut running, permit);
                }
            }
        }
    }

    /// Gives the permit to whoever is most overdue now; a refusal is that target's outcome without a request.
    fn start<'a>(&'a self, state: &mut State, running: &mut Running<'a>, permit: Result<Permit, ApiError>) {
        let Some((_, target)) = state.rota.next() else { return };
        let began = Instant::now();
        state.rota.started(target);
        match permit {
            Ok(permit) => {
                let published = state.published[target];
                let is_served =
                    self.is_shown(target) && published.is_some_and(|version| self.store.has_served(version));
                running.push(Box::pin(async move {
                    let occasion = Occasion { session: &self.session, permit, is_served };
                    let result = self.source.poll(target, occasion).await;
                    Done { target, began, is_sent: true, result }
                }));
            }
            Err(refusal) => self.finish(state, Done { target, began, is_sent: false, result: Err(refusal) }),
        }
    }

    /// Whether the target's data is there: what has expired may never have been in a scrape.
    fn is_shown(&self, target: usize) -> bool {
        self.store.current().sources[self.index].targets[target].data.is_some()
    }

    fn finish(&self, state: &mut State, done: Done) {
        let done = Done { result: done.result.map_err(|error| self.source.explain(error)), ..done };
        let (now, wall) = (Instant::now(), self.session.clock.now());
        let took = done.is_sent.then_some(now - done.began);
        let reason = done.result.as_ref().err().map(|error| error.reason);
        let effective_interval = self.effective_interval();
        let next_due = match state.rota.finished(done.target, done.began, now, reason) {
            Some(due) => wall + TimeDelta::from_std(due - now).unwrap_or_default(),
            None => self.schedule.next_after(wall),
        };
        self.telemetry.poll(&self.info.account, &self.info.name, took, reason);
        self.tell(state, &done, took);
        self.tell_interval(state, effective_interval);
        let (data, failure) = match done.result {
            Ok(batch) => {
                let expires = self.schedule.expiry(wall, self.stale_after, effective_interval);
                (Some(Data { batch: Arc::new(batch), expires }), None)
            }
            Err(error) => (None, Some((error.reason, error.to_string()))),
        };
        let attempt = Attempt { at: wall, took, failure };
        let has_data = data.is_some();
        let outcome = Outcome { attempt, data, next_due, effective_interval };
        let version = self.store.publish(self.index, done.target, outcome);
        if has_data {
            state.published[done.target] = Some(version);
        }
    }

    /// How far apart a target's polls are, given what the budget has and who else draws on it.
    fn effective_interval(&self) -> Duration {
        let (demands, own) = &self.demands;
        kept_interval(
            self.info.interval,
            self.info.targets.len(),
            demands,
            *own,
            self.session.api().per_minute(),
        )
    }

    fn tell(&self, state: &mut State, done: &Done, took: Option<Duration>) {
        let target = self.info.targets[done.target].name.as_str();
        let (account, source, seconds) =
            (&self.info.account, &self.info.name, took.map(|took| took.as_secs_f64()));
        let error = done.result.as_ref().err();
        let reason = error.map(|error| error.reason);
        match (state.journal.record(done.target, reason), error) {
            (Entry::Failure, Some(error)) if error.reason == Reason::NoData => {
                tracing::info!(
                    account,
                    source,
                    target,
                    reason = "no_data",
                    "no data: {error}. {}",
                    error.reason.advice()
                );
            }
            (Entry::Failure, Some(error)) => {
                let reason = error.reason.label();
                tracing::warn!(
                    account,
                    source,
                    target,
                    reason,
                    "poll failed: {error}. {}",
                    error.reason.advice()
                );
            }
            (Entry::Recovery, _) => tracing::info!(account, source, target, "data again"),
            _ => {}
        }
        let reason = reason.map(Reason::label);
        tracing::debug!(account, source, target, seconds, reason, "poll done");
    }

    /// Says so when the limit that the answers tell leaves less than was thought at start.
    fn tell_interval(&self, state: &mut State, effective: Duration) {
        if effective > state.told_interval.mul_f64(1.1) {
            let (account, source) = (&self.info.account, &self.info.name);
            let (limit, _) = self.session.api().allowance();
            tracing::warn!(account, source, "{}", self.info.overload(limit, effective));
        }
        state.told_interval = effective;
    }
}

struct State {
    rota: Rota,
    journal: Journal,
    told_interval: Duration,
    /// The version of the snapshot that first had the data of each target.
    published: Vec<Option<u64>>,
}

/// The future's output, or never.
async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
