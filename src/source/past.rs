//! What a source can fetch of the time before it was asked: windows that Akamai revises no more, in order, each once.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use chrono::{DateTime, Utc};

use super::{Misconfigured, Preparation, Session};
use crate::akamai::ApiError;
use crate::ledger::Window;
use crate::model::Parcel;

/// Why it cannot be said what to ask for.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The configuration is wrong.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// Akamai does not answer, or has nothing to ask for.
    #[error(transparent)]
    Failed(#[from] ApiError),
}

/// Finding out which CP codes to ask for.
pub type Resolution<'a> = Pin<Box<dyn Future<Output = Result<BTreeSet<u64>, Unready>> + Send + 'a>>;

/// Finding out where push sinks begin.
pub type Beginning<'a> = Pin<Box<dyn Future<Output = Option<Window>> + Send + 'a>>;

/// Fetching the next windows.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Option<Result<Fetched, ApiError>>> + Send + 'a>>;

/// A source that can be asked for its past.
pub trait Past: fmt::Debug + Send + Sync {
    /// All that decides what is fetched: with another identity it is something else.
    fn identity(&self) -> String;

    /// The first window that Akamai may yet revise at `now`: all before it are settled.
    fn settled_before(&self, now: DateTime<Utc>) -> Window;

    /// Holds the configuration against what Akamai says of itself, where [`super::Source::prepare`] has not. It comes
    /// before the first
    /// request for history: Akamai may say how much it takes.
    fn check<'a>(&'a self, session: &'a Session) -> Preparation<'a>;

    /// Finds out which CP codes to ask for.
    fn cpcodes<'a>(&'a self, session: &'a Session) -> Resolution<'a>;

    /// The first window that polls of this process bring to push sinks; nothing before the first poll.
    fn delivers_from(&self) -> Beginning<'_>;

    /// What these CP codes did in these windows, which are best settled.
    fn history<'a>(
        &'a self,
        session: &'a Session,
        windows: Range<Window>,
        codes: BTreeSet<u64>,
    ) -> Box<dyn History + 'a>;
}

/// A past that is being fetched, as much at a time as one answer of Akamai's holds.
pub trait History: fmt::Debug + Send {
    /// The windows after those that were fetched, the oldest first, or nothing once all were.
    ///
    /// What may pass is tried again for some minutes. After an error the same windows are next. A future that is
    /// dropped loses no more than its
    /// own request.
    fn next(&mut self) -> Fetching<'_>;

    /// Goes on with `window`, and leaves out what is before it.
    fn skip_to(&mut self, window: Window);
}

/// Windows that were fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// Which windows: those without a parcel had no traffic, as far as no gap says otherwise.
    pub windows: Range<Window>,
    /// One for each window that had traffic, the oldest first.
    pub parcels: Vec<Parcel>,
    /// How many rows there were.
    pub rows: u64,
    /// What could not be had of these windows.
    pub gaps: Vec<Gap>,
}

/// What could not be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// In these windows.
    pub windows: Range<Window>,
    /// Of these CP codes; of all if it is empty.
    pub cpcodes: BTreeSet<u64>,
    /// Why, as the end of a sentence.
    pub why: &'static str,
}

/// In one line, for people.
impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.windows.start, self.windows.end);
        let codes: Vec<String> = self.cpcodes.iter().map(u64::to_string).collect();
        let codes = if codes.is_empty() {
            "all CP codes".to_owned()
        } else {
            format!("CP code(s) {}", codes.join(", "))
        };
        write!(out, "{from} to {to}: {codes} left out, {}", self.why)
    }
}
