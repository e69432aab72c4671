//! How everything stands, as one plain value: the page at `/` shows it to people, `/api/v1/status` gives it to programs, and
//! `akamai-exporter status` prints it in a terminal. Reading it never asks Akamai anything.

pub(super) mod page;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::akamai::Api;
use crate::model::{Batch, Family, Reason, Target};
use crate::sink::health::Health;
use crate::snapshot::{Attempt, Snapshot, SourceState, TargetState};
use crate::source::{KINDS, Shares};

/// How everything stands. Times are RFC 3339 in UTC, durations seconds, shares 0 to 1.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// The exporter's version.
    pub version: String,
    /// When this was written.
    pub now: DateTime<Utc>,
    /// Whether the first data is there.
    pub ready: bool,
    /// The accounts that have sources.
    pub accounts: Vec<AccountStatus>,
    /// Where data goes besides `/metrics`.
    #[serde(default)]
    pub sinks: Vec<SinkStatus>,
}

/// How a sink stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SinkStatus {
    /// Its name in exporter.ini.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Where it delivers to.
    pub address: String,
    /// What it takes, and what the numbers below count: `samples` or `answers`.
    pub takes: String,
    /// Up if the last delivery worked.
    pub state: State,
    /// When a delivery last worked.
    pub last_success: Option<DateTime<Utc>>,
    /// What was delivered since the start.
    pub sent: u64,
    /// What the receiver refused for good.
    pub refused: u64,
    /// What could not wait any longer.
    pub lost: u64,
    /// What waits.
    pub waiting: u64,
    /// The last failure, though it may be over.
    pub last_failure: Option<MishapStatus>,
    /// The last refusal for good.
    pub last_refusal: Option<MishapStatus>,
}

/// Something that went wrong with a sink.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MishapStatus {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub message: String,
}

/// How an account stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AccountStatus {
    /// Its name in exporter.ini.
    pub name: String,
    /// Where its credentials come from.
    pub credentials: String,
    /// What it may ask of each API.
    pub budgets: Vec<BudgetStatus>,
    /// What it is asked for.
    pub sources: Vec<SourceStatus>,
}

/// What an account may ask of an API.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BudgetStatus {
    /// The API.
    pub api: String,
    /// Requests a minute that Akamai allows.
    pub limit: u32,
    /// Requests a minute that the exporter allows itself.
    pub per_minute: f64,
    /// What Akamai's last answer said is left.
    pub remaining: Option<u32>,
    /// Why no request is sent at present, from the closed set of reasons.
    pub paused_for: Option<String>,
    /// For how long yet.
    pub paused_seconds: Option<f64>,
}

impl BudgetStatus {
    /// What a pause means for whoever waits for its end.
    #[must_use]
    pub fn pause(&self) -> Option<String> {
        let (reason, seconds) = self.paused_for.as_ref().zip(self.paused_seconds)?;
        let remedy = match reason.as_str() {
            "rate_limited" | "ip_blocked" => "",
            _ => " A change of the .edgerc file (touch is enough) or a restart ends it at once.",
        };
        Some(format!("No request to {} is sent for {seconds:.0} s yet ({reason}).{remedy}", self.api))
    }
}

/// Whether there is data.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The last poll gave data.
    Up,
    /// The last poll gave none.
    Down,
    /// Not polled yet.
    Waiting,
}

/// How a source stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SourceStatus {
    /// Its name in exporter.ini.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Up if any of its targets is.
    pub state: State,
    /// When it polls, in words.
    pub schedule: String,
    /// How far apart its polls are meant to be.
    pub interval_seconds: f64,
    /// How far apart they are, given the budget.
    pub effective_interval_seconds: f64,
    /// When a poll last gave data.
    pub last_success: Option<DateTime<Utc>>,
    /// When the next poll is due.
    pub next_due: Option<DateTime<Utc>>,
    /// Polls since the start.
    pub polls: u64,
    /// Those that gave no data.
    pub failures: u64,
    /// How long a poll takes.
    pub mean_seconds: Option<f64>,
    /// Samples of the last poll that gave data.
    pub last_samples: usize,
    /// Samples since the start.
    pub samples: u64,
    /// Series that are exported now.
    pub series: usize,
    /// What people should know of its data.
    pub notes: Vec<String>,
    /// The last failure, though it may be over.
    pub last_failure: Option<FailureStatus>,
    /// What it asks for.
    pub targets: Vec<TargetStatus>,
}

/// A poll that gave no data.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FailureStatus {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// What was asked for.
    pub target: String,
    /// The reason, from the closed set.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// How a target stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TargetStatus {
    /// What messages call it.
    pub name: String,
    /// The labels that tell it from others.
    pub labels: BTreeMap<String, String>,
    /// Whether its last poll gave data.
    pub state: State,
    /// When that was.
    pub last_poll: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// When a poll last gave data.
    pub last_success: Option<DateTime<Utc>>,
    /// When the next one is due.
    pub next_due: Option<DateTime<Utc>>,
    /// Why the last one gave none.
    pub failure: Option<FailureStatus>,
    /// Series that are exported now: none once the data is too old.
    pub series: usize,
    /// What the sample says of status codes.
    pub tiers: Vec<TierStatus>,
}

/// The shares of the status classes at edge or origin.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TierStatus {
    /// `edge` or `origin`.
    pub tier: String,
    /// Responses in the sample.
    pub hits: f64,
    /// The share of each class that has any.
    pub shares: BTreeMap<String, f64>,
}

impl Status {
    /// How everything stands at `now`.
    #[must_use]
    pub fn of(snapshot: &Snapshot, apis: &[Arc<Api>], sinks: &[Arc<Health>], now: DateTime<Utc>) -> Self {
        let mut accounts: Vec<AccountStatus> = Vec::new();
        for source in &snapshot.sources {
            let name = source.info.account.as_str();
            let at = accounts.iter().position(|account| account.name == name).unwrap_or_else(|| {
                accounts.push(account(name, apis));
                accounts.len() - 1
            });
            accounts[at].sources.push(source_status(source));
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let sinks = sinks.iter().map(|health| sink_status(health)).collect();
        Self { version, now, ready: snapshot.has_had_data(), accounts, sinks }
    }
}

fn account(name: &str, apis: &[Arc<Api>]) -> AccountStatus {
    let own = || apis.iter().filter(|api| api.account().name() == name);
    let budget = |api: &Arc<Api>| {
        let (limit, remaining) = api.allowance();
        let pause = api.pause();
        BudgetStatus {
            api: api.limit().name.to_owned(),
            limit,
            per_minute: api.per_minute(),
            remaining,
            paused_for: pause.map(|(reason, _)| reason.label().to_owned()),
            paused_seconds: pause.map(|(_, left)| left.as_secs_f64()),
        }
    };
    let credentials = own().next().map(|api| api.account().credentials().origin().to_string());
    AccountStatus {
        name: name.to_owned(),
        credentials: credentials.unwrap_or_default(),
        budgets: own().map(budget).collect(),
        sources: Vec::new(),
    }
}

fn sink_status(health: &Health) -> SinkStatus {
    let (info, known) = (&health.info, health.state());
    let mishap = |(at, message)| MishapStatus { at, message };
    SinkStatus {
        name: info.name.clone(),
        kind: info.kind.to_owned(),
        address: info.address.clone(),
        takes: info.takes.to_owned(),
        state: state(known.is_up),
        last_success: known.last_success,
        sent: known.sent,
        refused: known.refused,
        lost: known.lost,
        waiting: known.waiting,
        last_failure: known.last_failure.map(mishap),
        last_refusal: known.last_refusal.map(mishap),
    }
}

fn source_status(source: &SourceState) -> SourceStatus {
    let (info, totals) = (&source.info, &source.totals);
    let shares = KINDS.iter().find(|kind| kind.name == info.kind).and_then(|kind| kind.shares);
    let last_failure = totals
        .last_failure
        .as_ref()
        .and_then(|(target, attempt)| failure(&info.targets[*target].name, attempt));
    SourceStatus {
        name: info.name.clone(),
        kind: info.kind.to_owned(),
        state: state(source.is_up()),
        schedule: info.schedule.clone(),
        interval_seconds: info.interval.as_secs_f64(),
        effective_interval_seconds: source.effective_interval.as_secs_f64(),
        last_success: source.last_success(),
        next_due: source.next_due(),
        polls: totals.polls,
        failures: totals.failures,
        mean_seconds: (totals.sent > 0).then(|| totals.took.as_secs_f64() / totals.sent as f64),
        last_samples: totals.last_samples,
        samples: totals.samples,
        series: source.series(),
        notes: source.batches().flat_map(Batch::notes).cloned().collect(),
        last_failure,
        targets: source.targets().map(|(target, state)| target_status(target, state, shares)).collect(),
    }
}

fn target_status(target: &Target, known: &TargetState, shares: Option<Shares>) -> TargetStatus {
    let labels = target.labels.iter().filter(|(_, value)| !value.is_empty());
    TargetStatus {
        name: target.name.clone(),
        labels: labels.map(|(name, value)| ((*name).to_owned(), value.to_string())).collect(),
        state: state(known.is_up()),
        last_poll: known.last.as_ref().map(|attempt| attempt.at),
        seconds: known.last.as_ref().and_then(|attempt| attempt.took).map(|took| took.as_secs_f64()),
        last_success: known.last_success,
        next_due: known.next_due,
        failure: known.last.as_ref().and_then(|attempt| failure(&target.name, attempt)),
        series: known.data.as_ref().map_or(0, |data| data.batch.len()),
        tiers: known
            .data
            .as_ref()
            .zip(shares)
            .map(|(data, shares)| tiers(&data.batch, shares))
            .unwrap_or_default(),
    }
}

fn state(up: Option<bool>) -> State {
    match up {
        Some(true) => State::Up,
        Some(false) => State::Down,
        None => State::Waiting,
    }
}

fn failure(target: &str, attempt: &Attempt) -> Option<FailureStatus> {
    let (reason, message): &(Reason, String) = attempt.failure.as_ref()?;
    Some(FailureStatus {
        at: attempt.at,
        target: target.to_owned(),
        reason: reason.label().to_owned(),
        message: message.clone(),
        advice: reason.advice().to_owned(),
    })
}

/// What a batch says of status classes, tier by tier.
fn tiers(batch: &Batch, shares: Shares) -> Vec<TierStatus> {
    let mut tiers: BTreeMap<String, TierStatus> = BTreeMap::new();
    for (labels, hits) in samples(batch, shares.hits) {
        let tier = labels("tier");
        tiers.insert(tier.clone(), TierStatus { tier, hits, shares: BTreeMap::new() });
    }
    for (labels, ratio) in samples(batch, shares.ratio) {
        if let Some(tier) = tiers.get_mut(&labels("tier")).filter(|_| ratio > 0.0) {
            tier.shares.insert(labels("status_class"), ratio);
        }
    }
    tiers.into_values().collect()
}

/// The samples of `family`, each with a way to look a label up.
fn samples<'a>(
    batch: &'a Batch,
    family: &'static Family,
) -> impl Iterator<Item = (impl Fn(&str) -> String + 'a, f64)> + 'a {
    let groups = batch.groups().iter().filter(move |group| std::ptr::eq(group.family(), family));
    groups.flat_map(|group| group.samples()).map(move |(values, value)| {
        let label = move |name: &str| {
            let at = family.labels.iter().position(|label| *label == name);
            at.and_then(|at| values.get(at)).unwrap_or_default().to_owned()
        };
        (label, value)
    })
}
