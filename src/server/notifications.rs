//! A receiver for Alertmanager's webhook, for who has no other yet: one log line for each notification and alert, and the newest on a
//! page. What comes is text from outside: it is bounded, made printable, and never taken for markup.

mod page;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{healthy, html, unknown};
use crate::clock::SharedClock;

/// Where the notifications are as JSON.
const NOTIFICATIONS_PATH: &str = "/api/v1/notifications";

/// How many notifications are kept.
const MOST: usize = 100;

/// How many bytes of memory those that are kept take together.
const MOST_BYTES: usize = 8 << 20;

/// How many alerts of one are kept; the others are counted.
const MOST_ALERTS: usize = 50;

/// How many labels or annotations of an alert are kept.
const MOST_LABELS: usize = 50;

/// How many characters of any text are kept.
const LONGEST_TEXT: usize = 1000;

/// How many bytes a label or annotation takes besides its two texts, about.
const BYTES_OF_A_PAIR: usize = 128;

/// An account with thousands of CP codes in one group stays below this.
const LARGEST_BODY: usize = 4 << 20;

/// Labels or annotations.
type Pairs = BTreeMap<String, String>;

/// Whether an alert, or any of a group, fires.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    Firing,
    Resolved,
}

impl Condition {
    fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// What Alertmanager posts, as far as it is of use here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    receiver: String,
    status: Condition,
    alerts: Vec<Posted>,
    #[serde(default)]
    group_labels: Pairs,
    /// What `max_alerts` of the webhook left out.
    #[serde(default)]
    truncated_alerts: u64,
}

/// An alert as it is posted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    status: Condition,
    labels: Pairs,
    #[serde(default)]
    annotations: Pairs,
    starts_at: DateTime<Utc>,
    /// The year 1 while it fires.
    ends_at: DateTime<Utc>,
}

/// An alert as it is kept.
#[derive(Clone, Debug, Serialize)]
struct Alert {
    status: Condition,
    labels: Pairs,
    annotations: Pairs,
    starts_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<DateTime<Utc>>,
}

impl Alert {
    fn of(posted: Posted) -> Self {
        let Posted { status, labels, annotations, starts_at, ends_at } = posted;
        let ends_at = (status == Condition::Resolved).then_some(ends_at);
        Self { status, labels: bounded(labels), annotations: bounded(annotations), starts_at, ends_at }
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// What it is about: somebody else's may have no summary.
    fn summary(&self) -> &str {
        let summary = self.annotations.get("summary").map(String::as_str);
        summary.or_else(|| self.label("alertname")).unwrap_or("an alert without a name")
    }
}

/// A notification as it is kept.
#[derive(Clone, Debug, Serialize)]
struct Notification {
    received_at: DateTime<Utc>,
    receiver: String,
    status: Condition,
    title: String,
    lead: &'static str,
    group_labels: Pairs,
    alerts: Vec<Alert>,
    /// How many alerts more it told of.
    alerts_left_out: u64,
    /// How many bytes of memory it takes, about.
    #[serde(skip)]
    size: usize,
}

impl Notification {
    fn of(message: Message, received_at: DateTime<Utc>) -> Self {
        let Message { receiver, status, alerts, group_labels, truncated_alerts } = message;
        let mut alerts: Vec<_> = alerts.into_iter().map(Alert::of).collect();
        // What fires is not to be among those that are left out, nor to count for nothing.
        alerts.sort_by_key(|alert| alert.status == Condition::Resolved);
        let kind = Kind::of(status, &alerts);
        let title = title(kind, status, &alerts, truncated_alerts);
        let beyond = alerts.len().saturating_sub(MOST_ALERTS) as u64;
        alerts.truncate(MOST_ALERTS);
        let alerts_left_out = truncated_alerts.saturating_add(beyond);
        let group_labels = bounded(group_labels);
        let pairs =
            alerts.iter().flat_map(|alert| [&alert.labels, &alert.annotations]).chain([&group_labels]);
        let size = pairs.map(size).sum();
        Self {
            received_at,
            receiver: printable(&receiver),
            status,
            title,
            lead: kind.lead(),
            group_labels,
            alerts,
            alerts_left_out,
            size,
        }
    }

    fn log(&self) {
        tracing::info!(
            receiver = self.receiver,
            status = self.status.word(),
            alerts = self.alerts.len() as u64 + self.alerts_left_out,
            title = self.title,
            "notification"
        );
        for alert in &self.alerts {
            tracing::info!(
                alertname = alert.label("alertname"),
                severity = alert.label("severity"),
                account = alert.label("account"),
                source = alert.label("source"),
                cpcode = alert.label("cpcode"),
                status = alert.status.word(),
                summary = alert.summary(),
                "alert"
            );
        }
    }
}

/// What a notification is for its reader. Words and conditions are those of `akamai.kind` and `akamai.lead` in Alertmanager's templates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Critical,
    Warning,
    NoData,
    NoDataCritical,
    Resolved,
    /// What the exporter knew ends with it, too.
    ResolvedNoData,
    /// The warning of the same thing may fire on, in a notification of its own.
    ResolvedCritical,
}

impl Kind {
    fn of(status: Condition, alerts: &[Alert]) -> Self {
        let is_so = |alert: &Alert, name: &str, value: &str| alert.label(name) == Some(value);
        let all = |name: &str, value: &str| {
            !alerts.is_empty() && alerts.iter().all(|alert| is_so(alert, name, value))
        };
        match status {
            Condition::Resolved if all("category", "no_data") => Self::ResolvedNoData,
            Condition::Resolved if all("severity", "critical") => Self::ResolvedCritical,
            Condition::Resolved => Self::Resolved,
            Condition::Firing if all("category", "no_data") && all("severity", "critical") => {
                Self::NoDataCritical
            }
            Condition::Firing if all("category", "no_data") => Self::NoData,
            Condition::Firing if all("severity", "warning") => Self::Warning,
            Condition::Firing => Self::Critical,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Warning => "WARNING",
            Self::NoData => "NO DATA",
            Self::NoDataCritical => "NO DATA, CRITICAL",
            Self::Resolved | Self::ResolvedNoData | Self::ResolvedCritical => "RESOLVED",
        }
    }

    /// What the reader is to make of it.
    fn lead(self) -> &'static str {
        match self {
            Self::Critical => {
                "Someone should act now: users are affected or soon may be, or nobody would notice if they were."
            }
            Self::Warning => "Someone should look, in working hours: it is not right, and not yet severe.",
            Self::NoData | Self::NoDataCritical => {
                "There is no data. That no other alert comes means nothing now: errors, traffic and offload are not being watched until there is data again."
            }
            Self::Resolved => "It is over.",
            Self::ResolvedNoData => {
                "Akamai answers again; or the exporter is gone, which AkamaiExporterDown tells."
            }
            Self::ResolvedCritical => "It is no longer critical. A warning of it may go on.",
        }
    }
}

/// As `akamai.title`: the first of the alerts that it is about, and how many they are.
fn title(kind: Kind, status: Condition, alerts: &[Alert], left_out: u64) -> String {
    let alike: Vec<_> = alerts.iter().filter(|alert| alert.status == status).collect();
    let summary = alike.first().map_or("nothing", |alert| alert.summary());
    let more = match alike.len() as u64 + left_out {
        0 | 1 => String::new(),
        number => format!(" (one of {number} alerts)"),
    };
    format!("{}: {summary}{more}", kind.word())
}

fn bounded(pairs: Pairs) -> Pairs {
    let kept = pairs.into_iter().take(MOST_LABELS);
    kept.map(|(name, value)| (printable(&name), printable(&value))).collect()
}

fn size(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len() + BYTES_OF_A_PAIR).sum()
}

/// One printable line of bounded length.
fn printable(text: &str) -> String {
    let sign = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.chars().take(LONGEST_TEXT).map(sign).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        line.push('…');
    }
    // It was made longer character by character, so there may be room for twice as many.
    line.shrink_to_fit();
    line
}

/// The notifications that came, the newest first.
#[derive(Debug)]
struct Inbox {
    clock: SharedClock,
    kept: Mutex<Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    /// How many came since the start.
    received: u64,
    newest: VecDeque<Arc<Notification>>,
}

impl Kept {
    /// Takes one more, which always fits (see `LARGEST_BODY`), and forgets the oldest: a hundred of the largest would take hundreds of MiB.
    fn push(&mut self, notification: Notification) {
        self.received += 1;
        self.newest.push_front(Arc::new(notification));
        let mut sum = 0;
        let fits = |one: &&Arc<Notification>| {
            sum += one.size;
            sum <= MOST_BYTES
        };
        let kept = self.newest.iter().take(MOST).take_while(fits).count();
        self.newest.truncate(kept);
    }
}

impl Inbox {
    fn take(&self, message: Message) {
        let notification = Notification::of(message, self.clock.now());
        notification.log();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(notification);
    }

    fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes.
pub fn router(clock: SharedClock) -> Router {
    let inbox = Inbox { clock, kept: Mutex::default() };
    Router::new()
        .route("/", get(page).post(receive))
        .route(NOTIFICATIONS_PATH, get(json))
        .route("/-/healthy", get(healthy))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::new(inbox))
}

/// Takes a notification. A page of elsewhere cannot make a browser post here: JSON needs its consent.
async fn receive(State(inbox): State<Arc<Inbox>>, body: Result<Json<Message>, JsonRejection>) -> Response {
    match body {
        Ok(Json(message)) => {
            inbox.take(message);
            StatusCode::OK.into_response()
        }
        Err(rejection) => {
            let (status, words) = refusal(&rejection);
            tracing::warn!(status = status.as_u16(), "refused what is no notification: {words}");
            (status, format!("{words}\n")).into_response()
        }
    }
}

/// Why it is refused. What was sent is not repeated.
fn refusal(rejection: &JsonRejection) -> (StatusCode, String) {
    let wanted = "This takes what Alertmanager's webhook posts";
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("{wanted}, up to {} MiB.", LARGEST_BODY >> 20))
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{wanted}, as Content-Type: application/json."))
        }
        _ => (StatusCode::BAD_REQUEST, format!("{wanted}: {}.", fault(rejection))),
    }
}

/// Where the fault is, without the text around it.
fn fault(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::JsonSyntaxError(_) => "this is no JSON".to_owned(),
        JsonRejection::JsonDataError(_) => {
            "this JSON has not its members (receiver, status, alerts with labels, startsAt, endsAt)"
                .to_owned()
        }
        _ => "the body could not be read".to_owned(),
    }
}

async fn page(State(inbox): State<Arc<Inbox>>) -> Response {
    html(page::render(&inbox.kept(), inbox.clock.now()))
}

async fn json(State(inbox): State<Arc<Inbox>>) -> Response {
    #[derive(Serialize)]
    struct Answer<'a> {
        now: DateTime<Utc>,
        received: u64,
        notifications: Vec<&'a Notification>,
    }
    let kept = inbox.kept();
    let notifications = kept.newest.iter().map(AsRef::as_ref).collect();
    let answer = Answer { now: inbox.clock.now(), received: kept.received, notifications };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

#[cfg(test)]
mod tests;
