//! The page of notifications: a pure function of what is kept, in the manner of the status page.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use super::super::status::page::{ago, count, head, span};
use super::{Alert, Condition, Kept, MOST, MOST_BYTES, NOTIFICATIONS_PATH, Notification};

const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/alertmanager.md");

/// The page.
pub(super) fn render(kept: &Kept, now: DateTime<Utc>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&headline(kept)))
            body {
                a.skip href="#notifications" { "Skip to the notifications" }
                header {
                    h1 { "Notifications of Alertmanager" }
                    p.headline { (headline(kept)) }
                    nav aria-label="Endpoints" {
                        a href=(NOTIFICATIONS_PATH) { "As JSON" }
                        a href=(DOCS) rel="noreferrer" { "Documentation" }
                    }
                }
                main #notifications {
                    @if kept.newest.is_empty() {
                        p { "Alertmanager has sent nothing. What is muted or inhibited does not come here: Alertmanager's own page lists it." }
                    }
                    @for notification in &kept.newest { (section(notification, now)) }
                }
                footer {
                    "As of " (moment(now)) ". Reload for newer. Kept are the newest " (MOST) ", or " (MOST_BYTES >> 20) " MiB of them, until this process ends."
                }
            }
        }
    };
    page.into_string()
}

fn headline(kept: &Kept) -> String {
    match kept.received {
        0 => "No notification yet".to_owned(),
        received => format!(
            "{} since the start",
            count(usize::try_from(received).unwrap_or(usize::MAX), "notification")
        ),
    }
}

fn section(notification: &Notification, now: DateTime<Utc>) -> Markup {
    html! {
        section.account {
            h2 { (badge(notification.status)) " " (notification.title) }
            p.quiet {
                (moment(notification.received_at)) ", " (ago(notification.received_at, now))
                ", to " (notification.receiver)
                @for (name, value) in &notification.group_labels { ", " (name) " " (value) }
            }
            p { (notification.lead) }
            @for alert in &notification.alerts { (article(alert)) }
            @if notification.alerts_left_out > 0 {
                p.quiet { "And " (notification.alerts_left_out) " more." }
            }
        }
    }
}

fn article(alert: &Alert) -> Markup {
    let name = alert.label("alertname").unwrap_or_default();
    let link = |name: &str| alert.annotations.get(name).filter(|url| is_web(url));
    html! {
        article {
            h3 {
                (badge(alert.status)) " " (alert.summary()) " "
                small { (name) @if let Some(severity) = alert.label("severity") { ", " (severity) } }
            }
            @if let Some(description) = alert.annotations.get("description") { p { (description) } }
            p { (since(alert)) }
            nav aria-label={ "Links of " (name) } {
                @if let Some(url) = link("runbook_url") { a href=(url) rel="noreferrer" { "Runbook" } }
                @if let Some(url) = link("dashboard_url") { a href=(url) rel="noreferrer" { "Dashboard" } }
            }
        }
    }
}

/// A link must lead to a page, not run something.
fn is_web(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
}

fn since(alert: &Alert) -> String {
    let start = moment(alert.starts_at);
    match alert.ends_at {
        Some(end) => {
            let seconds = (end - alert.starts_at).num_seconds().max(0) as f64;
            format!("Fired from {start} to {}, for {}.", moment(end), span(seconds))
        }
        None => format!("Firing since {start}."),
    }
}

fn badge(status: Condition) -> Markup {
    let class = match status {
        Condition::Firing => "down",
        Condition::Resolved => "up",
    };
    html! { span class={ "badge " (class) } { (status.word()) } }
}

fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
