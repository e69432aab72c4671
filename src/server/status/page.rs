//! The page at `/`: a pure function of the status. No script and no asset from elsewhere; it reads well on a phone, with a keyboard,
//! in light and dark.

mod sinks;

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    AccountStatus, BudgetStatus, FailureStatus, SourceStatus, State, Status, TargetStatus, TierStatus,
};
use crate::source::KINDS;

const STYLE: &str = include_str!("page.css");
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "#readme");
const DASHBOARDS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/grafana");

/// More rows of one source are not of use to a reader; what is wrong comes first.
const MOST_ROWS: usize = 200;

/// The classes in the order in which they are drawn.
const CLASSES: [&str; 7] = ["2xx", "3xx", "1xx", "0xx", "6xx", "4xx", "5xx"];

/// What stands at the head of every page.
pub(in crate::server) fn head(headline: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (headline) " · Akamai exporter" }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// The page.
pub(in crate::server) fn render(status: &Status, telemetry_path: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&headline(status)))
            body {
                a.skip href="#accounts" { "Skip to the accounts" }
                header {
                    h1 { "Akamai exporter " small { "v" (status.version) } }
                    p.headline { (headline(status)) }
                    nav aria-label="Endpoints" {
                        a href=(telemetry_path) { "Metrics" }
                        a href="/api/v1/status" { "Status as JSON" }
                        a href="/-/healthy" { "Health" }
                        a href="/-/ready" { "Readiness" }
                        a href=(DOCS) rel="noreferrer" { "Documentation" }
                        a href=(DASHBOARDS) rel="noreferrer" { "Dashboards" }
                    }
                }
                main #accounts {
                    (legend())
                    @for account in &status.accounts { (account_section(account, status.now)) }
                    (sinks::section(&status.sinks, status.now))
                }
                footer { "As of " (status.now.format("%Y-%m-%d %H:%M:%S")) " UTC. Reload for newer; reading this asks Akamai nothing." }
            }
        }
    };
    page.into_string()
}

fn headline(status: &Status) -> String {
    let sources: Vec<_> = status.accounts.iter().flat_map(|account| &account.sources).collect();
    let down = sources.iter().filter(|source| source.state == State::Down).count();
    let waiting = sources.iter().filter(|source| source.state == State::Waiting).count();
    let targets: Vec<_> = sources.iter().flat_map(|source| &source.targets).collect();
    let failing = targets.iter().filter(|target| target.state == State::Down).count();
    let sinks = status.sinks.iter().filter(|sink| sink.state == State::Down).count();
    match (down, waiting, failing) {
        (0, 0, 0) if sinks > 0 => format!("All sources give data, {} without delivery", count(sinks, "sink")),
        (0, 0, 0) if sources.len() == 1 => "The source gives data".to_owned(),
        (0, 0, 0) => format!("All {} give data", count(sources.len(), "source")),
        (0, 0, failing) => {
            format!("All sources give data, {failing} of {} without", count(targets.len(), "target"))
        }
        (0, waiting, _) => format!("{} not polled yet", count(waiting, "source")),
        (down, _, _) => format!("{down} of {} without data", count(sources.len(), "source")),
    }
}

/// `1 source`, `2 sources`.
pub(in crate::server) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn legend() -> Markup {
    html! {
        p.legend {
            "Shares of responses by status class: "
            @for class in CLASSES { span class={ "key c" (class) } { (class) } " " }
        }
    }
}

fn account_section(account: &AccountStatus, now: DateTime<Utc>) -> Markup {
    html! {
        section.account {
            h2 { "Account " (account.name) }
            p.quiet { "Credentials from " (account.credentials) }
            @for budget in &account.budgets { (budget_line(budget)) }
            @for source in &account.sources { (source_section(source, now)) }
        }
    }
}

fn budget_line(budget: &BudgetStatus) -> Markup {
    html! {
        p.budget {
            "Budget for " (budget.api) ": " b { (format!("{:.0}", budget.per_minute)) }
            " of " (budget.limit) " requests a minute"
            @if let Some(remaining) = budget.remaining {
                ", " (remaining) " left "
                meter min="0" max=(budget.limit) low=(budget.limit / 4) optimum=(budget.limit) value=(remaining.min(budget.limit)) {
                    (remaining) " of " (budget.limit)
                }
            }
        }
        @if let Some(pause) = budget.pause() { p.warning { (pause) } }
    }
}

fn source_section(source: &SourceStatus, now: DateTime<Utc>) -> Markup {
    let mut targets: Vec<_> = source.targets.iter().collect();
    // Stable: within a state the order of exporter.ini stays.
    targets.sort_by_key(|target| target.state != State::Down);
    let tiers = KINDS.iter().any(|kind| kind.name == source.kind && kind.shares.is_some());
    html! {
        article {
            h3 { (badge(source.state)) " " (source.name) " " small { (source.kind) ", polled " (source.schedule) } }
            p { (sentence(source, now)) }
            @if source.effective_interval_seconds > source.interval_seconds {
                p.warning {
                    "The targets do not fit into the budget: each is polled about every "
                    (span(source.effective_interval_seconds)) " instead, in turn."
                }
            }
            dl {
                (fact("Targets", &source.targets.len().to_string()))
                (fact("Series", &source.series.to_string()))
                (fact("Polls", &source.polls.to_string()))
                (fact("Failed", &source.failures.to_string()))
                (fact("Mean duration", &source.mean_seconds.map_or("none yet".to_owned(), |mean| format!("{mean:.2} s"))))
                (fact("Next poll", &source.next_due.map_or("none yet".to_owned(), |due| ahead(due, now))))
            }
            @for note in &source.notes { p { (note) } }
            table {
                thead {
                    tr {
                        th scope="col" { "Target" }
                        @if tiers { th scope="col" { "Edge" } th scope="col" { "Origin" } }
                        th scope="col" { "Last poll" }
                        th scope="col" { "Next" }
                    }
                }
                tbody { @for target in targets.iter().take(MOST_ROWS) { (row(target, tiers, now)) } }
            }
            @if targets.len() > MOST_ROWS {
                p.quiet { "And " (targets.len() - MOST_ROWS) " more, in the " a href="/api/v1/status" { "status as JSON" } "." }
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn badge(state: State) -> Markup {
    let (class, word) = match state {
        State::Up => ("up", "up"),
        State::Down => ("down", "down"),
        State::Waiting => ("waiting", "waiting"),
    };
    html! { span class={ "badge " (class) } { (word) } }
}

/// Outcome and reason in a sentence.
fn sentence(source: &SourceStatus, now: DateTime<Utc>) -> String {
    let age = source.last_success.map(|at| format!("the last data is {} old", span(seconds(at, now))));
    match (source.state, &source.last_failure, age) {
        (State::Waiting, _, _) => "Not polled yet.".to_owned(),
        (State::Up, _, Some(age)) => format!("Gives data; {age}."),
        (_, Some(failure), age) => {
            format!(
                "{} {} {}.",
                why(failure),
                failure.advice,
                capital(&age.unwrap_or("there has been no data yet".to_owned()))
            )
        }
        (_, None, _) => "No data.".to_owned(),
    }
}

fn why(failure: &FailureStatus) -> String {
    format!("{}: {}.", failure.target, failure.message.trim_end_matches('.'))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn row(target: &TargetStatus, tiers: bool, now: DateTime<Utc>) -> Markup {
    html! {
        tr class=[(target.state == State::Down).then_some("failing")] {
            th scope="row" { (target.name) }
            @for tier in ["edge", "origin"].into_iter().filter(|_| tiers) {
                td data-label=(capital(tier)) {
                    @match target.tiers.iter().find(|known| known.tier == tier) {
                        Some(known) => (bar(known)),
                        None => span.quiet { "no sample" },
                    }
                }
            }
            td data-label="Last poll" { (last_poll(target, now)) }
            td data-label="Next" { @if let Some(due) = target.next_due { (ahead(due, now)) } }
        }
    }
}

fn last_poll(target: &TargetStatus, now: DateTime<Utc>) -> Markup {
    html! {
        @match (&target.failure, target.last_poll) {
            (Some(failure), Some(at)) => {
                strong.reason { (failure.reason) } " " (ago(at, now)) ": " (failure.message) ". " (failure.advice)
                @if let Some(success) = target.last_success {
                    " " span.quiet {
                        "Last data " (ago(success, now))
                        @if target.series == 0 { ", too old to be shown" }
                        "."
                    }
                }
            },
            (None, Some(at)) => { "Data " (ago(at, now)) },
            _ => span.quiet { "none yet" },
        }
    }
}

/// The shares as a bar, and in words for those who do not see it.
fn bar(tier: &TierStatus) -> Markup {
    let shares: Vec<_> =
        CLASSES.into_iter().filter_map(|class| Some((class, *tier.shares.get(class)?))).collect();
    let words: Vec<_> = shares.iter().map(|(class, share)| format!("{class} {}", percent(*share))).collect();
    // Not `sum()`: that of nothing is -0.
    let errors =
        ["4xx", "5xx"].iter().filter_map(|class| tier.shares.get(*class)).fold(0.0, |sum, share| sum + share);
    html! {
        @if shares.is_empty() { span.quiet { (tier.hits) " hits" } } @else {
            div.bar role="img" aria-label=(words.join(", ")) title=(words.join(", ")) {
                @for (class, share) in &shares { i class={ "c" (class) } style={ "width:" (format!("{:.2}", share * 100.0)) "%" } {} }
            }
            span.figure { (percent(errors)) " errors of " (tier.hits) " hits" }
        }
    }
}

fn percent(share: f64) -> String {
    let digits = if share > 0.0 && share < 0.001 { 3 } else { 1 };
    format!("{:.digits$} %", share * 100.0)
}

fn seconds(earlier: DateTime<Utc>, later: DateTime<Utc>) -> f64 {
    (later - earlier).num_seconds().max(0) as f64
}

/// A duration as people say it.
pub(in crate::server) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

pub(in crate::server) fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} ago", span(seconds(time, now)))
}

fn ahead(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if time > now { format!("in {}", span(seconds(now, time))) } else { "now".to_owned() }
}
