//! What is asked of Akamai: a kind of source is one file below this one, and one line in [`KINDS`].

pub mod estats;
mod past;
mod report;
pub mod traffic;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::akamai::{Api, ApiError, ApiLimit, Permit};
use crate::clock::SharedClock;
use crate::ini::{Key, Reader};
use crate::ledger::Push;
use crate::ledger::store::Store;
use crate::model::{Batch, Family, Target};
use crate::spool::Spool;

pub use self::past::{Beginning, Fetched, Fetching, Gap, History, Past, Resolution, Unready};

/// THE list of kinds.
pub static KINDS: [&Kind; 3] = [&estats::KIND, &traffic::AMD, &traffic::TRAFFIC];

/// A kind of source: what its sections in exporter.ini may say, what it exports, and how it is made.
#[derive(Debug)]
pub struct Kind {
    /// The section's name, and the source's where it has none of its own.
    pub name: &'static str,
    /// The keys of its sections, besides those that every source has.
    pub keys: &'static [Key],
    /// All families that it may export. `account` and `source` stand on each series besides the family's labels.
    pub families: &'static [&'static Family],
    /// What the status page draws of a batch, if anything.
    pub shares: Option<Shares>,
    /// Makes a source of what a section says; nothing if a problem was reported.
    pub open: fn(&mut Reader<'_>, Options) -> Option<Arc<dyn Source>>,
}

/// Two families with the labels `tier`, and `status_class` on the first.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// The share of each status class.
    pub ratio: &'static Family,
    /// Responses in all.
    pub hits: &'static Family,
}

/// What `[exporter]` says that concerns sources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the original's metrics are exported too.
    pub legacy_metrics: bool,
}

/// What polling a target gives.
pub type PollResult = Result<Batch, ApiError>;

/// A poll under way.
pub type Poll<'a> = Pin<Box<dyn Future<Output = PollResult> + Send + 'a>>;

/// What a source works with while the process runs.
#[derive(Debug)]
pub struct Session {
    /// The value of the label `account`.
    pub account: String,
    /// The value of the label `source`.
    pub source: String,
    /// The APIs that it asks, in the order of [`Source::limits`].
    pub apis: Vec<Arc<Api>>,
    /// What outlives the process, if anything does.
    pub store: Option<Arc<Store>>,
    /// Where push sinks find windows, if there are any.
    pub push: Option<(Push, Arc<Spool>)>,
    /// The time.
    pub clock: SharedClock,
}

impl Session {
    /// The API that polls are about.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.apis[0]
    }
}

/// A poll's circumstances.
#[derive(Debug)]
pub struct Occasion<'a> {
    /// What the source works with.
    pub session: &'a Session,
    /// The budget's permit for one request to [`Session::api`].
    pub permit: Permit,
    /// Whether a scrape has got the last batch of this target.
    pub is_served: bool,
}

/// A mistake in exporter.ini that only Akamai could tell.
#[derive(Debug, thiserror::Error)]
#[error("exporter.ini: {0}")]
pub struct Misconfigured(pub String);

/// Getting ready.
pub type Preparation<'a> = Pin<Box<dyn Future<Output = Result<(), Misconfigured>> + Send + 'a>>;

/// A source as configured.
pub trait Source: fmt::Debug + Send + Sync {
    /// What it asks for, a request each, with at least one of them.
    fn targets(&self) -> Vec<Target>;

    /// The APIs that it asks, first the one that polls are about.
    fn limits(&self) -> Vec<&'static ApiLimit>;

    /// What there is to do before the first poll. An Akamai that does not answer is no error here: polls will tell.
    fn prepare<'a>(&'a self, _session: &'a Session) -> Preparation<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Says what a failure means for this source, where that is more than what it means for all.
    fn explain(&self, error: ApiError) -> ApiError {
        error
    }

    /// What it can fetch of the time before it was asked, if anything.
    fn past(&self) -> Option<&dyn Past> {
        None
    }

    /// Asks for the `target`-th of its targets.
    fn poll<'a>(&'a self, target: usize, occasion: Occasion<'a>) -> Poll<'a>;
}
