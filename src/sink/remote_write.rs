//! `[remote_write]`: samples with their own times to a receiver of Prometheus remote write 1.0: protobuf in snappy's block format.
//!
//! **What.** Settled windows, those of history among them, are gauges `akamai_traffic_window_*`: the sums within five minutes, stamped
//! with the window's end. eStats' samples keep their names, stamped with when they were taken. A receiver that scrapes the exporter too
//! has them twice then, and sums of them are twice as large: for that one there is `estats = false`. A series of a window has a point every
//! five minutes, hours in the past: a query reaches it with a range (`[5m]`) or steps of five minutes. No stale markers are sent: a
//! window without traffic is no end of a series, and a marker at a window's end would be a second sample of that moment.
//!
//! **Once.** An item is done when the receiver has answered. What was under way when the process died, or when an answer was lost,
//! is sent again, the same values for the same times, which a receiver takes for what it has. Receivers take late samples only with a
//! window for samples out of order: Prometheus' `storage.tsdb.out_of_order_time_window`, Mimir's and Grafana Cloud's
//! `out_of_order_time_window`, Thanos' `--tsdb.out-of-order.time-window`. It must be as long as an outage may be, and as `history`.
//!
//! **Refusals.** 5xx, 429 and whatever breaks the exchange are tried again. So are redirects, 401, 403, 404, 405 and 407, which blame
//! credentials or URL and not the samples. Any other 4xx is for good. A receiver refuses a request as a whole, so one of several
//! parcels is sent again in smaller requests until the one to blame stands alone: it alone is dropped.
//! Why: docs/decisions/0025-remote-write-delivery.md.

mod auth;
mod client;
mod request;
mod section;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use self::client::{Answer, Client};
use self::request::{Label, Part};
use self::section::Settings;
use super::{Context, Delivery, Kind, Opened, Options, Outcome, Sink};
use crate::ini::Reader;
use crate::model::{Origin, Parcel};

/// The kind `[remote_write]`.
pub static KIND: Kind = Kind { name: "remote_write", keys: &section::KEYS, open };

/// The URL of a receiver as written anew, if `text` is one.
///
/// # Errors
///
/// A sentence on what is wrong with it, which does not quote it.
pub fn receiver(text: &str) -> Result<String, String> {
    section::url(text).map(String::from)
}

/// A delivery that has taken so long hands back what is done; the rest comes with the next.
const LONGEST_DELIVERY: Duration = Duration::from_secs(10);

fn open(section: &mut Reader<'_>, options: &Options) -> Option<Opened> {
    let settings = section::read(section, options)?;
    let history = settings.history;
    let sink = Box::new(RemoteWrite::new(settings, options));
    Some(Opened::Samples { sink, early: None, history })
}

/// Writes to one receiver.
#[derive(Debug)]
struct RemoteWrite {
    client: Client,
    /// The labels of every series, besides the data's own.
    labels: Vec<Label>,
    most_samples: usize,
    /// Whether eStats' samples are for it.
    estats: bool,
    longest_delivery: Duration,
    /// How many parcels may share a request: fewer after a refusal, until it is known which one was meant; more with each success.
    most_parcels: usize,
    /// The parcel of which a part is done with, and how many of its samples.
    begun: Option<(Mark, usize)>,
}

/// What a parcel is known by.
#[derive(Debug, Eq, PartialEq)]
struct Mark {
    account: String,
    source: String,
    time: DateTime<Utc>,
    origin: Origin,
    length: usize,
}

impl Mark {
    fn of(parcel: &Parcel) -> Self {
        Self {
            account: parcel.account.clone(),
            source: parcel.source.clone(),
            time: parcel.time,
            origin: parcel.origin,
            length: parcel.len(),
        }
    }
}

impl RemoteWrite {
    fn new(settings: Settings, options: &Options) -> Self {
        let labels = options.labels.iter().chain(&settings.labels);
        Self {
            client: settings.client,
            labels: labels.filter_map(|(name, value)| Label::new(name, value)).collect(),
            most_samples: settings.most_samples,
            estats: settings.estats,
            longest_delivery: LONGEST_DELIVERY,
            most_parcels: usize::MAX,
            begun: None,
        }
    }

    async fn run(&mut self, items: &[Parcel], context: &Context) -> Outcome {
        let until = Instant::now() + self.longest_delivery;
        let mut outcome = Outcome::default();
        while outcome.done < items.len() && outcome.failure.is_none() {
            let parts = self.next(&items[outcome.done..]);
            let answer = self.send(&parts, context).await;
            self.settle(&parts, answer, &mut outcome);
            if Instant::now() >= until {
                break;
            }
        }
        outcome
    }

    /// What goes into the next request: whole parcels as far as they fit, or a part of one that does not.
    fn next<'a>(&self, items: &'a [Parcel]) -> Vec<Part<'a>> {
        let (mut parts, mut room) = (Vec::new(), self.most_samples);
        for parcel in items.iter().take(self.most_parcels) {
            let length = parcel.len();
            let from = if parts.is_empty() { self.done_of(parcel) } else { 0 };
            if length - from > room {
                if parts.is_empty() {
                    parts.push(Part { parcel, samples: from..from + room });
                }
                break;
            }
            room -= length - from;
            parts.push(Part { parcel, samples: from..length });
        }
        parts
    }

    /// How many of a parcel's samples are done with.
    fn done_of(&self, parcel: &Parcel) -> usize {
        match &self.begun {
            Some((mark, done)) if *mark == Mark::of(parcel) => *done,
            _ => 0,
        }
    }

    async fn send(&mut self, parts: &[Part<'_>], context: &Context) -> Answer {
        if count(parts) == 0 {
            return Answer::Taken;
        }
        match request::body(parts, &self.labels) {
            Ok(body) => self.client.post(body, &context.clock).await,
            Err(error) => Answer::Refused(format!("the request cannot be compressed: {error}")),
        }
    }

    /// Notes what became of a request.
    fn settle(&mut self, parts: &[Part<'_>], answer: Answer, outcome: &mut Outcome) {
        match answer {
            Answer::Taken => {
                outcome.sent += count(parts);
                self.most_parcels = self.most_parcels.saturating_mul(2);
            }
            Answer::Refused(_) if parts.len() > 1 => {
                self.most_parcels = parts.len() / 2;
                return;
            }
            Answer::Refused(message) => {
                let before = outcome.refused.take().map_or(0, |(count, _)| count);
                outcome.refused = Some((before + count(parts), message));
            }
            Answer::Later(failure) => {
                outcome.failure = Some(failure);
                return;
            }
        }
        self.begun = None;
        match parts {
            [part] if part.samples.end < part.parcel.len() => {
                self.begun = Some((Mark::of(part.parcel), part.samples.end));
            }
            _ => outcome.done += parts.len(),
        }
    }
}

/// How many samples there are.
fn count(parts: &[Part<'_>]) -> u64 {
    parts.iter().map(|part| part.samples.len() as u64).sum()
}

impl Sink<Parcel> for RemoteWrite {
    fn address(&self) -> String {
        self.client.address()
    }

    fn wants(&self, item: &Parcel) -> bool {
        match item.origin {
            Origin::Settled | Origin::History => true,
            Origin::Sample => self.estats,
            // The settled window would be another value for the same moment.
            Origin::Early => false,
        }
    }

    fn deliver<'a>(&'a mut self, items: &'a [Parcel], context: &'a Context) -> Delivery<'a> {
        Box::pin(self.run(items, context))
    }
}

#[cfg(test)]
mod tests;
