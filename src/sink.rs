//! Where data goes besides `/metrics`: a kind of sink is one file below this one, and one line in [`KINDS`].
//!
//! A [`Sink`] knows one protocol: how to deliver items, and what to make of a refusal. Everything else is the [`driver`]'s and the same
//! for all: waiting for items, keeping those that wait, trying again, counting, health. What waits for a sink is its [`backlog`].

pub mod backlog;
pub mod collector;
pub mod dogstatsd;
pub mod driver;
pub mod health;
pub mod remote_write;
pub mod response_log;
#[cfg(test)]
pub(crate) mod sample;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::TimeDelta;

use crate::ini::{Key, Reader};
use crate::model::{Exchange, Parcel};
use crate::snapshot::Snapshot;

/// THE list of kinds.
pub static KINDS: [&Kind; 3] = [&dogstatsd::KIND, &response_log::KIND, &remote_write::KIND];

/// A kind of sink: what its sections in exporter.ini may say, and how it is made.
#[derive(Debug)]
pub struct Kind {
    /// The section's name, and the sink's where it has none of its own.
    pub name: &'static str,
    /// The keys of its sections.
    pub keys: &'static [Key],
    /// Makes a sink of what a section says; nothing if a problem was reported.
    pub open: fn(&mut Reader<'_>, &Options) -> Option<Opened>,
}

/// What `[exporter]` says that concerns sinks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The labels of every data series.
    pub labels: Vec<(String, String)>,
    /// The labels that metrics have of their own, which no configuration may add.
    pub taken: std::collections::BTreeSet<&'static str>,
}

/// A sink as configured, by what it takes.
#[derive(Debug)]
pub enum Opened {
    /// One that takes samples.
    Samples {
        /// The sink.
        sink: Box<dyn Sink<Parcel>>,
        /// At which age it wants windows, where it cannot wait until they are settled.
        early: Option<TimeDelta>,
        /// How much of what was before counting began it wants.
        history: Option<TimeDelta>,
    },
    /// One that takes Akamai's answers.
    Answers {
        /// The sink.
        sink: Box<dyn Sink<Exchange>>,
        /// How many bytes of a body it wants at most.
        most_body: usize,
    },
}

/// A delivery under way.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A way to deliver items.
pub trait Sink<T>: fmt::Debug + Send + Sync {
    /// Where it delivers to, for people: never a secret.
    fn address(&self) -> String;

    /// Whether an item is for it.
    fn wants(&self, item: &T) -> bool;

    /// Delivers items, the oldest first, and takes no longer than some seconds for it.
    fn deliver<'a>(&'a mut self, items: &'a [T], context: &'a Context) -> Delivery<'a>;

    /// Opens its file anew: somebody has moved it.
    fn reopen(&mut self) {}
}

/// What a delivery can look up.
#[derive(Debug)]
pub struct Context {
    /// What is known now, such as what CP codes are called.
    pub snapshot: std::sync::Arc<Snapshot>,
    /// The time.
    pub clock: crate::clock::SharedClock,
}

/// What came of a delivery.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many of the items are done with, counted from the first: delivered, or refused for good. The others are tried again.
    pub done: usize,
    /// Samples, or answers, that were delivered.
    pub sent: u64,
    /// Samples, or answers, that were refused for good, with a sentence about the last refusal.
    pub refused: Option<(u64, String)>,
    /// Why the next item could not be delivered, if so.
    pub failure: Option<Failure>,
}

/// Why an item could not be delivered yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What happened, in a sentence without secrets.
    pub message: String,
    /// When the receiver wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure after which the driver decides when to try again.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None }
    }
}

/// What CP codes are called, by account and CP code, as far as any source knows.
pub(crate) type Names = std::collections::HashMap<(String, String), String>;

impl Context {
    /// What CP codes are called at present.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::new();
        for source in &self.snapshot.sources {
            let groups = source.batches().flat_map(crate::model::Batch::groups);
            for group in groups.filter(|group| group.family().name == "akamai_cpcode_info") {
                for (labels, _) in group.samples() {
                    if let (Some(code), Some(name)) = (labels.get(0), labels.get(1)) {
                        names.insert((source.info.account.clone(), code.to_owned()), name.to_owned());
                    }
                }
            }
        }
        names
    }
}
