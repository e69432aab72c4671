//! What is known of one window.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::series::Book;

/// How far a window has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// Not answered yet.
    #[default]
    Pending,
    /// Answered without any row, at an age at which rows may yet come.
    Empty,
    /// Read once, or again with the same result.
    Read,
    /// Read again with another result.
    Revised,
    /// Read for good.
    Settled,
}

impl State {
    /// Its number on disk.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// The state of a number; one that is none leads to the window being read anew.
    pub(super) fn of_code(code: u8) -> Self {
        [Self::Pending, Self::Empty, Self::Read, Self::Revised, Self::Settled]
            .into_iter()
            .find(|state| state.code() == code)
            .unwrap_or_default()
    }
}

/// A window that is not done with.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) state: State,
    pub(super) last_read: Option<DateTime<Utc>>,
    /// The members that it was read without, unless it is pending.
    pub(super) without: BTreeSet<u64>,
    /// The members that were read, but could not be when the window was settled.
    pub(super) stale: BTreeSet<u64>,
    /// What was last read; once it is settled and push sinks have it, of the stale members alone.
    pub(super) values: Values,
    /// The members that push sinks have early.
    pub(super) early: BTreeSet<u64>,
}

impl Record {
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending | State::Empty)
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Settled
            && self.without.is_empty()
            && self.stale.is_empty()
            && self.values.ids.is_empty()
    }

    /// Differs when something has to be saved, besides the values.
    pub(super) fn mark(&self) -> (State, usize, usize, usize) {
        (self.state, self.without.len(), self.stale.len(), self.early.len())
    }

    /// Whether push sinks have what is final of a settled window.
    pub(super) fn is_sent(&self, book: &Book) -> bool {
        let is_stale = |id: &u32| book.member(*id).is_some_and(|member| self.stale.contains(&member));
        self.values.ids.iter().all(is_stale)
    }

    /// Forgets what is final of a settled window: the values of all but the stale members.
    pub(super) fn drop_final(&mut self, book: &Book) {
        let stale = &self.stale;
        self.values.retain(|id| book.member(id).is_some_and(|member| stale.contains(&member)));
    }

    /// Whether what is known of this member is not the last word though the window is settled.
    pub(super) fn lacks(&self, member: u64) -> bool {
        self.without.contains(&member) || self.stale.contains(&member)
    }
}

/// The sums of a window's series, one flat list of both: a window of a large account has a hundred thousand.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Values {
    /// The series, ascending.
    pub(super) ids: Vec<u32>,
    /// Their sums, one after the other.
    pub(super) sums: Vec<u64>,
}

impl Values {
    /// Each series with its sums.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &[u64])> {
        let width = self.width();
        self.ids.iter().enumerate().map(move |(at, id)| (*id, self.sums_of(at, width)))
    }

    fn sums_of(&self, at: usize, width: usize) -> &[u64] {
        &self.sums[at * width..][..width]
    }

    fn width(&self) -> usize {
        if self.ids.is_empty() { 0 } else { self.sums.len() / self.ids.len() }
    }

    /// Keeps those of the series that are `kept`.
    pub(super) fn retain(&mut self, is_kept: impl Fn(u32) -> bool) {
        let width = self.width();
        let old = std::mem::take(self);
        let kept = old.ids.iter().enumerate().filter(|(_, id)| is_kept(**id));
        kept.for_each(|(at, id)| self.push(*id, old.sums_of(at, width)));
    }

    fn push(&mut self, id: u32, sums: &[u64]) {
        self.ids.push(id);
        self.sums.extend_from_slice(sums);
    }

    /// Puts `fresh` in the place of those of the series that are `replaced`, and calls `changed` with sums before and after for each series whose sums differ;
    /// an empty slice stands for nothing but zeros.
    pub(super) fn replace(
        &mut self,
        mut fresh: Vec<(u32, &[u64])>,
        replaced: &[bool],
        mut changed: impl FnMut(u32, &[u64], &[u64]),
    ) {
        fresh.sort_by_key(|(id, _)| *id);
        // Two answers of one poll may overlap.
        fresh.dedup_by_key(|(id, _)| *id);
        let old = std::mem::take(self);
        let width = old.width();
        self.ids.reserve_exact(fresh.len());
        self.sums.reserve_exact(fresh.first().map_or(0, |(_, sums)| sums.len() * fresh.len()));
        let (mut at, mut new) = (0, fresh.into_iter().peekable());
        loop {
            let order = match (old.ids.get(at), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some((after, _))) => before.cmp(after),
            };
            let before = if order == Ordering::Greater { &[][..] } else { old.sums_of(at, width) };
            match (order, new.next_if(|_| order != Ordering::Less)) {
                (_, Some((id, after))) => {
                    if before != after {
                        changed(id, before, after);
                    }
                    self.push(id, after);
                }
                (_, None) if replaced[at] => changed(old.ids[at], before, &[]),
                (_, None) => self.push(old.ids[at], before),
            }
            at += usize::from(order != Ordering::Greater);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Values;

    #[test]
    fn replacing_tells_the_differences() {
        let mut values = Values { ids: vec![1, 2, 4], sums: vec![10, 1, 20, 2, 40, 4] };
        let mut changes = Vec::new();
        let fresh: Vec<(u32, &[u64])> = vec![(3, &[30, 3]), (1, &[10, 1]), (2, &[21, 2])];
        values.replace(fresh, &[true, true, false], |id, before, after| {
            changes.push((id, before.len(), after.to_vec()));
        });
        assert_eq!(changes, [(2, 2, vec![21, 2]), (3, 0, vec![30, 3])]);
        assert_eq!(values, Values { ids: vec![1, 2, 3, 4], sums: vec![10, 1, 21, 2, 30, 3, 40, 4] });
        values.replace(Vec::new(), &[false, false, true, true], |id, _, after| {
            changes.push((id, 9, after.to_vec()));
        });
        assert_eq!(changes[2..], [(3, 9, vec![]), (4, 9, vec![])]);
        assert_eq!(values.ids, [1, 2]);
    }
}
