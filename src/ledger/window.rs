//! Five-minute windows, the unit in which Akamai's reports are counted.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// An aligned window of five minutes (UTC), by its number since the epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Window(i64);

impl Window {
    /// How long a window is.
    pub const SECONDS: i64 = 300;

    /// The window of a number.
    #[must_use]
    pub fn number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn index(self) -> i64 {
        self.0
    }

    /// The window that starts at so many seconds since the epoch, if one does.
    #[must_use]
    pub fn starting(seconds: i64) -> Option<Self> {
        (seconds.rem_euclid(Self::SECONDS) == 0).then(|| Self(seconds.div_euclid(Self::SECONDS)))
    }

    /// The newest window that is over at `time`.
    #[must_use]
    pub fn ended_by(time: DateTime<Utc>) -> Self {
        Self(time.timestamp().div_euclid(Self::SECONDS) - 1)
    }

    /// When it starts.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        let seconds = self.0.saturating_mul(Self::SECONDS);
        DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// When it ends, which is when the next one starts.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// How long ago it ended.
    #[must_use]
    pub fn age(self, now: DateTime<Utc>) -> TimeDelta {
        now - self.end()
    }

    /// The window so many later, or earlier.
    #[must_use]
    pub fn plus(self, windows: i64) -> Self {
        Self(self.0.saturating_add(windows))
    }
}

/// Its start, as reports spell it.
impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.start().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}
