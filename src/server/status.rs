//! The page at `/`: every source, what it last did, what comes next and what is wrong. A pure function of the snapshot.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use crate::akamai::Api;
use crate::snapshot::{Snapshot, SourceState, TargetState};

/// What the page tells of a budget.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    account: String,
    api: &'static str,
    limit: u32,
    remaining: Option<u32>,
    per_minute: f64,
}

impl Budget {
    pub(super) fn of(api: &Api) -> Self {
        let (limit, remaining) = api.allowance();
        let account = api.account().name().to_owned();
        Self { account, api: api.limit().name, limit, remaining, per_minute: api.per_minute() }
    }
}

/// Few enough rules that the page reads well anywhere.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8885;vertical-align:top}\
    .bad{color:#c22}.good{color:#282}";

/// The page.
pub(super) fn render(
    snapshot: &Snapshot,
    budgets: &[Budget],
    telemetry_path: &str,
    now: DateTime<Utc>,
) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Akamai exporter" }
                style { (STYLE) }
            }
            body {
                h1 { "Akamai exporter" }
                p {
                    "Version " (version) ". " a href=(telemetry_path) { "Metrics" } ", "
                    a href="/-/healthy" { "health" } ", " a href="/-/ready" { "readiness" } "."
                }
                @for source in &snapshot.sources { (section(source, now)) }
                (budget_table(budgets))
            }
        }
    };
    page.into_string()
}

fn section(source: &SourceState, now: DateTime<Utc>) -> Markup {
    let info = &source.info;
    let (state, class) = match source.is_up() {
        Some(true) => ("up", "good"),
        Some(false) => ("down", "bad"),
        None => ("not polled yet", ""),
    };
    html! {
        h2 { "Account " (info.account) ", source " (info.name) ": " span class=(class) { (state) } }
        p {
            (info.kind) ", polled " (info.schedule) ", " (source.series()) " series."
            @if source.effective_interval > info.interval {
                " " strong class="bad" {
                    "The targets do not fit into the budget: each is polled about every "
                    (source.effective_interval.as_secs()) " s."
                }
            }
        }
        table {
            thead { tr { th { "Target" } th { "Last poll" } th { "Outcome" } th { "Data of" } th { "Next due" } } }
            tbody { @for (target, state) in source.targets() { (row(&target.name, state, now)) } }
        }
    }
}

fn row(name: &str, state: &TargetState, now: DateTime<Utc>) -> Markup {
    let last = state.last.as_ref();
    let failure = last.and_then(|attempt| attempt.failure.as_ref());
    html! {
        tr {
            td { (name) }
            td { @if let Some(attempt) = last { (ago(attempt.at, now)) } @else { "none yet" } }
            td {
                @if let Some((reason, words)) = failure {
                    strong class="bad" { (reason.label()) } ": " (words) ". " (reason.advice())
                } @else if last.is_some() { span class="good" { "data" } }
            }
            td {
                @if let Some(at) = state.last_success { (ago(at, now)) }
                @if state.data.is_none() && state.last_success.is_some() { " (too old to be shown)" }
            }
            td { @if let Some(due) = state.next_due { (ahead(due, now)) } }
        }
    }
}

fn budget_table(budgets: &[Budget]) -> Markup {
    html! {
        h2 { "Budgets" }
        table {
            thead { tr { th { "Account" } th { "API" } th { "Limit a minute" } th { "Ours" } th { "Left" } } }
            tbody {
                @for budget in budgets {
                    tr {
                        td { (budget.account) }
                        td { (budget.api) }
                        td { (budget.limit) }
                        td { (format!("{:.1}", budget.per_minute)) }
                        td { @if let Some(remaining) = budget.remaining { (remaining) } }
                    }
                }
            }
        }
    }
}

fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} s ago", (now - time).num_seconds().max(0))
}

fn ahead(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (time - now).num_seconds() {
        seconds if seconds > 0 => format!("in {seconds} s"),
        _ => "now".to_owned(),
    }
}
