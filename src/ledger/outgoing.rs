//! What push sinks get of windows: each once, in order.
//!
//! A settled window leaves when all before it are settled or lost, so that each series' windows come in order. Members that a settled window lacked
//! follow when they have been read; these can come after newer ones. So can a window for which too many others would have to wait.

use chrono::{DateTime, TimeDelta, Utc};

use super::record::{Record, State};
use super::series::Book;
use super::{Ledger, Window};
use crate::model::LabelValue;

/// So many settled windows wait for one that is not: six hours.
pub(super) const MOST_HELD: usize = 72;

/// What push sinks want.
#[derive(Clone, Copy, Debug, Default)]
pub struct Push {
    /// At which age a window goes to those who cannot wait until it is settled, if there are any.
    pub early: Option<TimeDelta>,
}

/// Rows of a window for push sinks.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The window.
    pub window: Window,
    /// Whether it is for those who cannot wait: Akamai may revise it.
    pub is_early: bool,
    /// Its series: the values of their labels, and their sums.
    pub lines: Vec<(Box<[LabelValue]>, Vec<u64>)>,
}

impl Ledger {
    /// Keeps windows for push sinks from now on, or does not.
    pub fn push(&mut self, push: Option<Push>) {
        self.push = push;
    }

    /// What is for push sinks and has not been saved.
    #[must_use]
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    /// What was for push sinks has been saved together with the ledger.
    pub fn sent(&mut self) {
        self.outgoing.clear();
    }

    /// Lets go what is old enough for those who cannot wait, each member's rows once.
    pub(super) fn send_early(&mut self, now: DateTime<Utc>, window: Window, record: &mut Record) {
        let Some(age) = self.push.and_then(|push| push.early) else { return };
        if record.is_pending() || (window.age(now) < age && record.state != State::Settled) {
            return;
        }
        let book = &self.book;
        let is_new = |id| book.member(id).is_some_and(|member| !record.early.contains(&member));
        let lines = lines(book, record, is_new);
        let members: Vec<u64> =
            record.values.ids.iter().filter(|id| is_new(**id)).filter_map(|id| book.member(*id)).collect();
        record.early.extend(members);
        self.send(window, true, lines);
    }

    /// Lets go what is settled, as far as all before it is.
    pub(super) fn send_settled(&mut self) {
        if self.push.is_none() {
            return;
        }
        let is_waiting =
            |(_, record): &(&Window, &Record)| record.state == State::Settled && !record.is_sent(&self.book);
        let is_held_up = self.windows.iter().filter(is_waiting).count() > MOST_HELD;
        let mut sent = Vec::new();
        for (window, record) in &mut self.windows {
            match record.state {
                State::Settled => {}
                _ if is_held_up => continue,
                _ => break,
            }
            let (book, stale) = (&self.book, &record.stale);
            let is_final = |id| book.member(id).is_some_and(|member| !stale.contains(&member));
            let lines = lines(book, record, is_final);
            if !lines.is_empty() {
                sent.push((*window, lines));
            }
            record.drop_final(book);
        }
        for (window, lines) in sent {
            self.send(window, false, lines);
            self.dirty.windows.insert(window);
            if self.windows.get(&window).is_some_and(Record::is_done) {
                self.windows.remove(&window);
            }
        }
    }

    /// Lets go what is left of a window that is given up: better than nothing.
    pub(super) fn send_last(&mut self, window: Window, record: &Record) {
        let Some(push) = self.push else { return };
        let book = &self.book;
        if push.early.is_some() {
            let is_new = |id| book.member(id).is_some_and(|member| !record.early.contains(&member));
            let lines = lines(book, record, is_new);
            self.send(window, true, lines);
        }
        let lines = lines(&self.book, record, |_| true);
        self.send(window, false, lines);
    }

    fn send(&mut self, window: Window, is_early: bool, lines: Vec<(Box<[LabelValue]>, Vec<u64>)>) {
        if !lines.is_empty() {
            self.outgoing.push(Outgoing { window, is_early, lines });
        }
    }
}

/// The rows of the series that are `wanted`.
fn lines(book: &Book, record: &Record, wanted: impl Fn(u32) -> bool) -> Vec<(Box<[LabelValue]>, Vec<u64>)> {
    let wanted = record.values.lines().filter(|(id, _)| wanted(*id));
    wanted.filter_map(|(id, sums)| Some((book.series.get(&id)?.key.clone(), sums.to_vec()))).collect()
}
