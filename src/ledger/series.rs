//! The series of a report and their counters.

use std::collections::{BTreeMap, HashMap};

use super::Window;
use crate::model::LabelValue;

/// A series: a row of the report through all windows.
#[derive(Clone, Debug)]
pub struct Series {
    /// The values of its labels.
    pub key: Box<[LabelValue]>,
    pub(super) member: u64,
    /// What the windows that were read add up to.
    pub(super) due: Box<[u64]>,
    /// The highest that was due so far, as far as it was revealed.
    pub(super) shown: Box<[u64]>,
    /// Whether it may rise above 0.
    pub(super) is_revealed: bool,
    /// Whether it has been shown, as it is now, since the start.
    pub(super) is_published: bool,
    /// The newest window that had a row of it.
    pub(super) seen: Window,
}

impl Series {
    /// The counters: they never fall.
    #[must_use]
    pub fn counters(&self) -> &[u64] {
        &self.shown
    }

    fn raise(&mut self) {
        for (shown, due) in self.shown.iter_mut().zip(&self.due) {
            *shown = (*shown).max(*due);
        }
    }
}

/// All series of a report.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) series: BTreeMap<u32, Series>,
    places: HashMap<Box<[LabelValue]>, u32>,
    /// Whether the last batch showed a series for the first time, so that there is something to reveal.
    has_unrevealed: bool,
}

impl Book {
    /// The number of the series with this key, new if need be.
    pub(super) fn place(&mut self, key: &[LabelValue], member: u64, width: usize, seen: Window) -> u32 {
        if let Some(id) = self.places.get(key) {
            return *id;
        }
        let id = self.series.last_key_value().map_or(0, |(id, _)| id + 1);
        let zeros = || vec![0; width].into_boxed_slice();
        let fresh = Series {
            key: key.into(),
            member,
            due: zeros(),
            shown: zeros(),
            is_revealed: false,
            is_published: false,
            seen,
        };
        self.insert(id, fresh);
        id
    }

    /// Takes in a series as it was saved.
    pub(super) fn insert(&mut self, id: u32, series: Series) {
        self.places.insert(series.key.clone(), id);
        self.series.insert(id, series);
    }

    pub(super) fn member(&self, id: u32) -> Option<u64> {
        self.series.get(&id).map(|series| series.member)
    }

    pub(super) fn touch(&mut self, id: u32, seen: Window) {
        if let Some(series) = self.series.get_mut(&id) {
            series.seen = series.seen.max(seen);
        }
    }

    /// A window's sums have changed; an empty slice stands for zeros. Returns the series' member.
    pub(super) fn adjust(&mut self, id: u32, window: Window, before: &[u64], after: &[u64]) -> Option<u64> {
        let series = self.series.get_mut(&id)?;
        for (at, due) in series.due.iter_mut().enumerate() {
            let (before, after) = (before.get(at).unwrap_or(&0), after.get(at).unwrap_or(&0));
            // What was read before is part of what is due, so it is never below zero.
            *due = due.saturating_sub(*before).saturating_add(*after);
        }
        series.seen = series.seen.max(window);
        if series.is_revealed {
            series.raise();
        }
        Some(series.member)
    }

    /// Lets rise what has been shown at 0; returns which those are.
    pub(super) fn reveal(&mut self) -> Vec<u32> {
        if !std::mem::take(&mut self.has_unrevealed) {
            return Vec::new();
        }
        let waiting = self.series.iter_mut().filter(|(_, series)| series.is_published && !series.is_revealed);
        waiting
            .map(|(id, series)| {
                series.is_revealed = true;
                series.raise();
                *id
            })
            .collect()
    }

    pub(super) fn show(&mut self, is_shown: impl Fn(u64) -> bool) -> impl Iterator<Item = &Series> {
        let mut has_unrevealed = false;
        for series in self.series.values_mut() {
            series.is_published = is_shown(series.member);
            has_unrevealed |= series.is_published && !series.is_revealed;
        }
        self.has_unrevealed = has_unrevealed;
        self.series.values().filter(|series| series.is_published)
    }

    /// Forgets the series of a member.
    pub(super) fn forget(&mut self, member: u64) -> Vec<u32> {
        self.forget_if(|series| series.member == member)
    }

    /// Forgets the series that no window since `oldest` had a row of, unless something is carried against what comes next, or waits to be
    /// shown.
    pub(super) fn forget_idle(&mut self, oldest: Window) -> Vec<u32> {
        self.forget_if(|series| series.seen < oldest && series.due == series.shown)
    }

    fn forget_if(&mut self, is_over: impl Fn(&Series) -> bool) -> Vec<u32> {
        let over: Vec<u32> =
            self.series.iter().filter(|(_, series)| is_over(series)).map(|(id, _)| *id).collect();
        for id in &over {
            if let Some(series) = self.series.remove(id) {
                self.places.remove(&series.key);
            }
        }
        over
    }
}
