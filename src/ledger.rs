//! Counts each window of a report once, whatever fails, restarts or repeats: pure, the time an argument.
//!
//! A report is asked for windows of five minutes, again and again until Akamai no longer revises them. The ledger knows of each window
//! what was last read of it, so that reading it anew adds the difference alone. A window is
//!
//! - *pending* until an answer holds rows of it,
//! - *read*, and *revised* once a later answer says otherwise,
//! - *settled* when it was read at an age at which the report does not change any more,
//! - *lost* if it could not be read for as long as the report is looked back for.
//!
//! What can be missing by itself is a *member*: a CP code, where rows tell of which one they are. A window may be
//! read for some members and not for others; those are fetched later.
//!
//! A series has two numbers for each of its sums: what is *due*, the total of what was last read of all windows, and what is *shown*, the
//! highest that was due so far. So a revision downwards is carried against what comes next, and a counter never falls.
//! A series is shown at 0 until a scrape has seen it there ([`Ledger::reveal`]).
//!
//! Push sinks take windows rather than counters: each once, when it is settled and all before it are, and, for those who cannot wait, once at an
//! earlier age ([`Push`]).

mod outgoing;
mod plan;
mod record;
mod series;
pub mod store;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::outgoing::{Outgoing, Push};
pub use self::plan::Ask;
use self::record::Record;
pub use self::record::State;
use self::series::Book;
pub use self::series::Series;
pub use self::window::Window;
use crate::model::LabelValue;

/// The only member of a report whose rows do not tell of which CP code they are.
pub const WHOLE: u64 = 0;

/// Two answers without rows agree if they are so far apart.
const CONFIRMATION: TimeDelta = TimeDelta::minutes(15);

/// More windows than Akamai keeps are not waited for.
const MOST_PENDING: i64 = 92 * 288;

/// What can be missing by itself.
pub type Members = Arc<BTreeSet<u64>>;

/// When a window is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long after its end a window is first read.
    pub lag: TimeDelta,
    /// How long after its end it does not change any more.
    pub settle: TimeDelta,
    /// How long after its end it is given up.
    pub look_back: TimeDelta,
}

/// A row of a report: the sums of one series in one window.
#[derive(Clone, Debug)]
pub struct Row {
    /// The window.
    pub window: Window,
    /// The member that it belongs to.
    pub member: u64,
    /// The values of the series' labels.
    pub key: Vec<LabelValue>,
    /// Its sums.
    pub sums: Vec<u64>,
}

/// A whole answer: for these windows and members the rows are all that there is.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The windows that were asked for.
    pub windows: Range<Window>,
    /// The members that were asked for.
    pub members: Members,
    /// The rows.
    pub rows: Vec<Row>,
    /// Of which window and member the answer held something that cannot be used: nothing is known of these.
    pub unusable: BTreeSet<(Window, u64)>,
}

/// How many windows have come to what, since counting began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Read for the first time.
    pub read: u64,
    /// Read otherwise than before.
    pub revised: u64,
    /// Read for good.
    pub settled: u64,
    /// Given up, wholly or for some members.
    pub lost: u64,
}

/// Windows that were given up, for the log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    /// Those that were never read.
    pub windows: Option<Range<Window>>,
    /// Those that were read without these members.
    pub members: BTreeMap<u64, u64>,
}

#[derive(Clone, Debug)]
struct Member {
    /// The first window that is counted for it.
    since: Window,
    /// Since when it is not asked for any more.
    gone: Option<DateTime<Utc>>,
}

/// What an answer says of a window that was not known.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum News {
    /// Nothing.
    None,
    /// Sums of members that it had not been read for.
    First,
    /// Other sums than before.
    Revision,
}

/// What has to be saved.
#[derive(Clone, Debug, Default)]
struct Dirty {
    windows: BTreeSet<Window>,
    series: BTreeSet<u32>,
    members: bool,
}

/// What is known of a report's windows.
#[derive(Clone, Debug)]
pub struct Ledger {
    rules: Rules,
    /// How many sums a row has.
    width: usize,
    /// The first window that has no record yet.
    next: Option<Window>,
    /// The newest window that was read.
    newest: Option<Window>,
    /// The windows that are not done with.
    windows: BTreeMap<Window, Record>,
    members: BTreeMap<u64, Member>,
    /// Those that are asked for at present.
    active: Members,
    book: Book,
    tally: Tally,
    /// Whether a scrape has seen anything.
    is_seen: bool,
    /// The most rows that a window had in the last answer.
    widest: usize,
    dirty: Dirty,
    /// What push sinks want, if there are any.
    push: Option<Push>,
    /// What is for them and has not been fetched.
    outgoing: Vec<Outgoing>,
}

impl Ledger {
    /// A ledger of a report whose rows have `width` sums, with nothing in it.
    #[must_use]
    pub fn new(rules: Rules, width: usize) -> Self {
        Self {
            rules,
            width,
            next: None,
            newest: None,
            windows: BTreeMap::new(),
            members: BTreeMap::new(),
            active: Members::default(),
            book: Book::default(),
            tally: Tally::default(),
            is_seen: false,
            widest: 0,
            dirty: Dirty::default(),
            push: None,
            outgoing: Vec::new(),
        }
    }

    /// Takes in which windows are over at `now` and which members there are. Counting begins, and begins for a new member, with the newest
    /// window that is over. A clock that was ahead leaves nothing behind.
    pub fn open(&mut self, now: DateTime<Utc>, active: &Members) {
        let newest = Window::ended_by(now - self.rules.lag);
        self.enlist(now, newest, active);
        self.close_after(newest);
        let next = self.next.unwrap_or(newest);
        let mut window = next.max(newest.plus(-MOST_PENDING));
        self.tally.lost += window.index().abs_diff(next.index());
        while window <= newest {
            self.windows.insert(window, Record::default());
            self.dirty.windows.insert(window);
            window = window.plus(1);
        }
        self.next = Some(window);
    }

    /// Takes back what was opened when the clock was ahead. What lies before a window that was read stays open: it would not be opened again.
    fn close_after(&mut self, newest: Window) {
        let is_early = |(window, record): &(&Window, &Record)| **window > newest && record.is_pending();
        let early: Vec<Window> =
            self.windows.iter().rev().take_while(is_early).map(|(window, _)| *window).collect();
        for window in &early {
            self.windows.remove(window);
            self.dirty.windows.insert(*window);
        }
        if let Some(first) = early.last() {
            self.next = Some(*first);
        }
        for member in self.members.values_mut().filter(|member| member.since > newest) {
            member.since = newest;
            self.dirty.members = true;
        }
    }

    /// Makes a series known that has had no row yet, so that it begins at 0.
    pub fn expect(&mut self, member: u64, key: &[LabelValue]) {
        let seen = self.next.unwrap_or(Window::number(0));
        let id = self.book.place(key, member, self.width, seen);
        self.book.touch(id, seen);
    }

    /// Counts what `readings`, the answers of one poll, say.
    pub fn take(&mut self, now: DateTime<Utc>, mut readings: Vec<Reading>) {
        let mut windows = BTreeSet::new();
        for reading in &mut readings {
            reading.rows.sort_by_key(|row| row.window);
            windows.extend(self.windows.range(reading.windows.clone()).map(|(window, _)| *window));
        }
        let widest = windows.iter().map(|window| rows_of(&readings, *window).count()).max();
        // An answer without rows says nothing of how many the next one has.
        self.widest = widest.filter(|rows| *rows > 0).unwrap_or(self.widest);
        for window in windows {
            self.take_window(now, window, &readings);
        }
        self.send_settled();
    }

    /// Forgets series that no window within the look-back had a row of, unless they are expected: should one come back, it begins
    /// at 0 again.
    pub fn forget_idle(&mut self) {
        let windows = self.rules.look_back.num_seconds() / Window::SECONDS;
        if let Some(next) = self.next {
            self.dirty.series.extend(self.book.forget_idle(next.plus(-windows)));
        }
    }

    /// Whether there were rows of these windows and members that an answer may yet revise.
    #[must_use]
    pub fn has_read(&self, windows: &Range<Window>, members: &BTreeSet<u64>) -> bool {
        let is_of_members = |id: &u32| self.book.member(*id).is_some_and(|member| members.contains(&member));
        let mut records = self.windows.range(windows.clone()).map(|(_, record)| record);
        records.any(|record| record.values.ids.iter().any(is_of_members))
    }

    /// A scrape has seen all series as they were last shown: those that were at 0 for it may rise.
    pub fn reveal(&mut self) {
        self.is_seen = true;
        self.dirty.series.extend(self.book.reveal());
    }

    /// The series of the members that are asked for, to be shown now. Only what was saved may be: else a crash would
    /// count it twice.
    pub fn show(&mut self) -> impl Iterator<Item = &Series> {
        let active = Arc::clone(&self.active);
        self.book.show(move |member| active.contains(&member))
    }

    /// How many windows have come to what. Those that were read begin at 0 when the series do, so that over any time as many are counted as
    /// there are windows in the sums.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let read = if self.is_seen { self.tally.read } else { 0 };
        Tally { read, ..self.tally }
    }

    /// The newest window that was read.
    #[must_use]
    pub fn newest(&self) -> Option<Window> {
        self.newest
    }

    /// The end of the newest window up to which all are settled.
    #[must_use]
    pub fn settled_until(&self) -> Option<DateTime<Utc>> {
        self.first_unsettled().map(Window::start)
    }

    /// The first window that is not settled, or will be the next.
    #[must_use]
    pub fn first_unsettled(&self) -> Option<Window> {
        let unsettled = self.windows.iter().find(|(_, record)| record.state != State::Settled);
        unsettled.map(|(window, _)| *window).or(self.next)
    }

    /// How many windows have not been read though they are over.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.windows.values().filter(|record| record.is_pending()).count()
    }

    /// The members of which something is known, in use or not long gone.
    pub fn members(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.keys().copied()
    }

    fn enlist(&mut self, now: DateTime<Utc>, newest: Window, active: &Members) {
        for member in active.iter() {
            let known = self.members.entry(*member).or_insert_with(|| {
                self.dirty.members = true;
                Member { since: newest, gone: None }
            });
            self.dirty.members |= known.gone.take().is_some();
        }
        let look_back = self.rules.look_back;
        let (book, dirty) = (&mut self.book, &mut self.dirty);
        self.members.retain(|code, member| {
            if active.contains(code) {
                return true;
            }
            dirty.members |= member.gone.is_none();
            let is_kept = now - *member.gone.get_or_insert(now) <= look_back;
            if !is_kept {
                dirty.series.extend(book.forget(*code));
                dirty.members = true;
            }
            is_kept
        });
        self.active = Arc::clone(active);
    }

    /// Gives up what could not be read for as long as the report is looked back for.
    pub fn give_up(&mut self, now: DateTime<Utc>) -> Lost {
        let mut lost = Lost::default();
        while let Some(entry) = self.windows.first_entry() {
            let window = *entry.key();
            if window.age(now) <= self.rules.look_back {
                break;
            }
            let record = entry.remove();
            self.dirty.windows.insert(window);
            self.send_last(window, &record);
            if record.state == State::Pending {
                self.tally.lost += 1;
                let start = lost.windows.map_or(window, |range| range.start);
                lost.windows = Some(start..window.plus(1));
                continue;
            }
            if record.state != State::Settled {
                self.tally.settled += 1;
            }
            // What is left out on purpose is not lost.
            let missed: Vec<_> = record.without.intersection(&self.active).collect();
            if !missed.is_empty() {
                self.tally.lost += 1;
                missed.into_iter().for_each(|member| *lost.members.entry(*member).or_default() += 1);
            }
        }
        self.send_settled();
        lost
    }

    fn take_window(&mut self, now: DateTime<Utc>, window: Window, readings: &[Reading]) {
        let Some(mut record) = self.windows.remove(&window) else { return };
        let is_final = window.age(now) >= self.rules.settle;
        let has_rows = rows_of(readings, window).next().is_some();
        let before = record.mark();
        let mut is_changed = false;
        // An answer without any row may be early, or a slip: it is believed when it is final and was the same some time ago.
        let is_confirmed = match record.state {
            State::Pending => false,
            State::Empty => record.last_read.is_some_and(|before| now - before >= CONFIRMATION),
            _ => true,
        };
        if has_rows || record.state != State::Empty || is_confirmed {
            record.last_read = Some(now);
        }
        if has_rows || (is_final && is_confirmed) {
            let asked = asked(readings, window);
            if let Some(news) = self.enter(window, &mut record, readings, &asked) {
                is_changed = news != News::None;
                let is_complete = self.active.iter().all(|member| asked.contains(member));
                self.promote(window, &mut record, news == News::Revision, is_final && is_complete);
            }
        } else if record.state == State::Pending {
            record.state = State::Empty;
        }
        self.send_early(now, window, &mut record);
        // A large account's window is a megabyte, and most are read again without anything new.
        if is_changed || before != record.mark() {
            self.dirty.windows.insert(window);
        }
        if !record.is_done() {
            self.windows.insert(window, record);
        }
    }

    fn promote(&mut self, window: Window, record: &mut Record, is_revised: bool, is_settled: bool) {
        self.newest = self.newest.max(Some(window));
        if record.is_pending() {
            self.tally.read += 1;
            record.state = State::Read;
        } else if is_revised && record.state == State::Read {
            self.tally.revised += 1;
            record.state = State::Revised;
        }
        if is_settled && record.state != State::Settled {
            self.tally.settled += 1;
            record.state = State::Settled;
        }
        // Push sinks have yet to get it.
        if record.state == State::Settled && self.push.is_none() {
            record.drop_final(&self.book);
        }
    }

    /// Replaces what was known of the window by what `readings` say, for the members that they cover; nothing if they cover none.
    fn enter(
        &mut self,
        window: Window,
        record: &mut Record,
        readings: &[Reading],
        asked: &BTreeSet<u64>,
    ) -> Option<News> {
        let counted: BTreeSet<u64> =
            self.members.iter().filter(|(_, member)| member.since <= window).map(|(code, _)| *code).collect();
        let is_usable =
            |member: &u64| !readings.iter().any(|reading| reading.unusable.contains(&(window, *member)));
        let mut covered: BTreeSet<u64> = asked.intersection(&counted).copied().filter(is_usable).collect();
        if record.state == State::Settled {
            // What was read of the others is settled, and no longer known in detail.
            covered.retain(|member| record.lacks(*member));
        }
        if covered.is_empty() {
            return None;
        }
        let fresh: Vec<_> = rows_of(readings, window)
            .filter(|row| covered.contains(&row.member))
            .map(|row| (self.book.place(&row.key, row.member, self.width, window), row.sums.as_slice()))
            .collect();
        let missing = if record.is_pending() { counted.clone() } else { std::mem::take(&mut record.without) };
        let is_first = |member: u64| missing.contains(&member);
        let (book, dirty) = (&mut self.book, &mut self.dirty.series);
        let is_covered = |id: &u32| book.member(*id).is_some_and(|member| covered.contains(&member));
        let is_replaced: Vec<bool> = record.values.ids.iter().map(is_covered).collect();
        let mut news = News::None;
        record.values.replace(fresh, &is_replaced, |id, before, after| {
            let member = book.adjust(id, window, before, after);
            news = news.max(if member.is_some_and(is_first) { News::First } else { News::Revision });
            dirty.insert(id);
        });
        record.without = missing.difference(&covered).copied().collect();
        let read = counted.difference(&record.without).copied();
        record.stale = match record.state {
            State::Settled => record.stale.difference(&covered).copied().collect(),
            _ => read.filter(|member| !covered.contains(member)).collect(),
        };
        Some(news)
    }
}

/// All members that any of the readings asked for in this window.
fn asked(readings: &[Reading], window: Window) -> BTreeSet<u64> {
    let of_window = readings.iter().filter(|reading| reading.windows.contains(&window));
    of_window.flat_map(|reading| reading.members.iter().copied()).collect()
}

/// The rows of a window; those of each reading are sorted by it.
fn rows_of(readings: &[Reading], window: Window) -> impl Iterator<Item = &Row> {
    readings.iter().filter(move |reading| reading.windows.contains(&window)).flat_map(move |reading| {
        let from = reading.rows.partition_point(|row| row.window < window);
        let to = reading.rows.partition_point(|row| row.window <= window);
        &reading.rows[from..to]
    })
}

#[cfg(test)]
mod tests;
