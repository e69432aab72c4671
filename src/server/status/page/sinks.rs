//! The sinks on the page.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::{SinkStatus, State};
use super::{ago, badge, fact};

/// The section about sinks; nothing if there is none.
pub(super) fn section(sinks: &[SinkStatus], now: DateTime<Utc>) -> Markup {
    html! {
        @if !sinks.is_empty() {
            section.account {
                h2 { "Sinks" }
                @for sink in sinks { (article(sink, now)) }
            }
        }
    }
}

fn article(sink: &SinkStatus, now: DateTime<Utc>) -> Markup {
    let success = sink.last_success.map_or("none yet".to_owned(), |at| ago(at, now));
    html! {
        article {
            h3 { (badge(sink.state)) " " (sink.name) " " small { (sink.kind) ", to " (sink.address) } }
            @for sentence in sentences(sink, now) { p { (sentence) } }
            dl {
                (fact("Sent", &format!("{} {}", sink.sent, sink.takes)))
                (fact("Waiting", &sink.waiting.to_string()))
                (fact("Refused", &sink.refused.to_string()))
                (fact("Lost", &sink.lost.to_string()))
                (fact("Last delivery", &success))
            }
        }
    }
}

/// What is wrong, or was.
pub(in crate::server) fn sentences(sink: &SinkStatus, now: DateTime<Utc>) -> Vec<String> {
    let mut sentences = Vec::new();
    match (&sink.last_failure, sink.state) {
        (Some(failure), State::Down) => {
            sentences.push(format!(
                "Delivery fails and is tried again: {}.",
                failure.message.trim_end_matches('.')
            ));
        }
        (Some(failure), _) => sentences.push(format!(
            "The last failure is over; it was {}: {}.",
            ago(failure.at, now),
            failure.message.trim_end_matches('.')
        )),
        (None, State::Waiting) => sentences.push("Nothing delivered yet.".to_owned()),
        (None, _) => {}
    }
    if let Some(refusal) = &sink.last_refusal {
        sentences.push(format!(
            "Refused for good, the last time {}: {}.",
            ago(refusal.at, now),
            refusal.message.trim_end_matches('.')
        ));
    }
    sentences
}
