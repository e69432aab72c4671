//! What to ask for next: as few requests as possible, what is missing first.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::record::{Record, State};
use super::{Ledger, Members, Window};

/// A request may have this many rows more than expected.
const HEADROOM: f64 = 1.2;

/// After an outage so many requests a poll fetch what is missing, the newest first.
const MOST_ASKS: usize = 8;

/// A window that could have settled so long ago gets a request of its own.
const SLACK: TimeDelta = TimeDelta::minutes(30);

/// What was read without some members is asked for again so long after.
const CATCH_UP: TimeDelta = TimeDelta::minutes(15);

/// A request: these windows of these members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// The windows.
    pub windows: Range<Window>,
    /// The members.
    pub members: Members,
}

impl Ask {
    /// How many windows it is about.
    #[must_use]
    pub fn len(&self) -> i64 {
        self.windows.end.index() - self.windows.start.index()
    }

    /// Whether it is about none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() <= 0
    }
}

impl Ledger {
    /// The requests of a poll at `now`, if an answer can have `most_rows` rows and `most_windows` windows.
    ///
    /// All windows that are not settled go into one request. If they do not fit, those that are missing do, in several
    /// requests if need be, and the others take turns: a poll that finds nothing missing is one request.
    #[must_use]
    pub fn plan(&self, now: DateTime<Utc>, most_rows: usize, most_windows: i64) -> Vec<Ask> {
        let fit = self.fit(most_rows).min(most_windows).max(1);
        let is_over = |window: &Window| window.age(now) >= self.rules.lag;
        let open: Vec<_> =
            self.windows.iter().filter(|entry| is_over(entry.0) && self.is_open(entry)).collect();
        let mut ranges = match (open.first(), open.last()) {
            (Some((first, _)), Some((last, _))) if last.index() - first.index() < fit => {
                vec![**first..last.plus(1)]
            }
            (Some(_), Some(_)) => in_turn(&open, fit),
            _ => Vec::new(),
        };
        ranges.extend(self.overdue(now, &ranges, fit));
        let members = |range| Ask { windows: range, members: Arc::clone(&self.active) };
        let mut asks: Vec<Ask> = ranges.into_iter().map(members).collect();
        asks.extend(self.catch_up(now, fit));
        asks
    }

    /// How many windows fit into an answer.
    fn fit(&self, most_rows: usize) -> i64 {
        let rows = if self.widest > 0 { self.widest } else { self.book.series.len() };
        let fit = most_rows as f64 / (rows.max(1) as f64 * HEADROOM);
        // Beyond the longest look-back it does not matter.
        fit.clamp(1.0, 1e6) as i64
    }

    /// Whether there is something to be read of the window, and someone to read it for.
    fn is_open(&self, (window, record): &(&Window, &Record)) -> bool {
        record.state != State::Settled
            && self.active.iter().any(|code| self.members.get(code).is_some_and(|m| m.since <= **window))
    }

    /// A window that could have settled long since, unless one of the `ranges` has it.
    fn overdue(&self, now: DateTime<Utc>, ranges: &[Range<Window>], fit: i64) -> Option<Range<Window>> {
        let is_overdue = |(window, record): &(&Window, &Record)| {
            matches!(record.state, State::Read | State::Revised | State::Empty)
                && window.age(now) > self.rules.settle + SLACK
                && !ranges.iter().any(|range| range.contains(window))
        };
        let (first, _) = self.windows.iter().find(|entry| is_overdue(entry) && self.is_open(entry))?;
        let end = ranges.iter().map(|range| range.start).filter(|start| start > first).min();
        Some(*first..first.plus(fit).min(end.unwrap_or(Window::number(i64::MAX))))
    }

    /// Settled windows that lack members which can be asked for.
    fn catch_up(&self, now: DateTime<Utc>, fit: i64) -> Option<Ask> {
        let lacking = |record: &Record| -> BTreeSet<u64> {
            if record.state == State::Settled && record.last_read.is_none_or(|at| now - at >= CATCH_UP) {
                self.active.iter().copied().filter(|member| record.lacks(*member)).collect()
            } else {
                BTreeSet::new()
            }
        };
        let mut incomplete = self
            .windows
            .iter()
            .map(|(window, record)| (*window, lacking(record)))
            .filter(|(_, l)| !l.is_empty());
        let (first, mut members) = incomplete.next()?;
        // A part of the members has that part of the rows.
        let fit = fit.saturating_mul((self.active.len() / members.len()) as i64);
        let mut last = first;
        for (window, more) in incomplete.take_while(|(window, _)| window.index() - first.index() < fit) {
            members.extend(more);
            last = window;
        }
        Some(Ask { windows: first..last.plus(1), members: members.into() })
    }
}

/// What is missing, the newest first, in ranges of `fit` windows, each filled up with older ones; or else the windows
/// from the one on that was read longest ago.
fn in_turn(open: &[(&Window, &Record)], fit: i64) -> Vec<Range<Window>> {
    let mut ranges: Vec<Range<Window>> = Vec::new();
    let oldest = *open[0].0;
    for (window, _) in open.iter().rev().filter(|(_, record)| record.is_pending()) {
        if ranges.last().is_some_and(|range| range.contains(window)) {
            continue;
        }
        if ranges.len() == MOST_ASKS {
            return ranges;
        }
        let end = window.plus(1);
        ranges.push(end.plus(-fit).max(oldest)..end);
    }
    if ranges.is_empty() {
        let stalest = open.iter().min_by_key(|(window, record)| (record.last_read, **window));
        let start = stalest.map_or(oldest, |(window, _)| **window);
        ranges.push(start..start.plus(fit).min(open[open.len() - 1].0.plus(1)));
    }
    ranges
}
