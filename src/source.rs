//! What is asked of Akamai: a kind of source is one file below this one, and one line in [`KINDS`].

pub mod estats;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::akamai::{Api, ApiError, ApiLimit, Permit};
use crate::ini::{Key, Reader};
use crate::model::{Batch, Family, Target};

/// THE list of kinds.
pub static KINDS: [&Kind; 1] = [&estats::KIND];

/// A kind of source: what its sections in exporter.ini may say, what it exports, and how it is made.
#[derive(Debug)]
pub struct Kind {
    /// The section's name, and the source's where it has none of its own.
    pub name: &'static str,
    /// The keys of its sections, besides those that every source has.
    pub keys: &'static [Key],
    /// The API that it asks.
    pub limit: &'static ApiLimit,
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

/// A source as configured.
pub trait Source: fmt::Debug + Send + Sync {
    /// What it asks for, a request each, with at least one of them.
    fn targets(&self) -> Vec<Target>;

    /// Asks for the `target`-th of them, with the budget's permit for one request.
    fn poll<'a>(&'a self, target: usize, api: &'a Api, permit: Permit) -> Poll<'a>;
}
