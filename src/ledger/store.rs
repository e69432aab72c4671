//! Ledgers on disk, in one embedded database: a poll is one transaction, so a crash at any instant leaves what was before it or
//! what is after it. What is shown was saved before: so nothing is counted twice after a restart, and nothing is lost.

mod spool;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

pub use self::spool::{Entry, Extent, Place, Readers};
use super::record::{Record, Values};
use super::{Ledger, Member, Rules, Series, State, Window};
use crate::model::LabelValue;

/// The layout of the tables below; another one is not read.
const VERSION: u64 = 1;

const FILE: &str = "ledger.redb";

/// The database keeps so much of the file in memory: all of it is read once, at start.
const CACHE: usize = 4 << 20;

const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
/// For each report: shape, next and newest window, the four tallies, the most rows of a window.
const REPORTS: TableDefinition<&str, ReportRow> = TableDefinition::new("reports");
/// For each report and member: the first window that counts, and since when it is gone (seconds).
const MEMBERS: TableDefinition<(&str, u64), (i64, Option<i64>)> = TableDefinition::new("members");
/// For each report and series: labels, member, whether it may rise, the newest window with a row, what is due and what is shown.
const SERIES: TableDefinition<(&str, u32), SeriesRow> = TableDefinition::new("series");
/// For each report and window: state, when it was last read (seconds), the members that lack, those that are stale, series, sums.
const WINDOWS: TableDefinition<(&str, i64), WindowRow> = TableDefinition::new("windows");

/// For each report and window: the members that push sinks have early.
const EARLY: TableDefinition<(&str, i64), Vec<u64>> = TableDefinition::new("early");

type ReportRow = (&'static str, Option<i64>, Option<i64>, [u64; 4], u64);
type SeriesRow = (Vec<&'static str>, u64, bool, i64, Vec<u64>, Vec<u64>);
type WindowRow = (u8, Option<i64>, Vec<u64>, Vec<u64>, Vec<u32>, Vec<u64>);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or written.
    #[error("state_directory {0}: {1}")]
    Directory(PathBuf, io::Error),
    /// Another process has it.
    #[error("{0} is in use by another process: two exporters cannot share a state_directory")]
    InUse(PathBuf),
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, Box<redb::Error>),
}

/// The database of a process.
pub struct Store {
    /// Nothing after a failure: it is opened anew at the next use, since the disk may have room again by then.
    database: Mutex<Option<Database>>,
    path: PathBuf,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Store({})", self.path.display())
    }
}

impl Store {
    /// Opens the store in `directory`, and makes both if need be. A file that cannot be understood is set aside.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used, or another process uses it.
    pub fn open(directory: &Path, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let in_directory = |error| StoreError::Directory(directory.to_owned(), error);
        fs::create_dir_all(directory).map_err(in_directory)?;
        let path = directory.join(FILE);
        let store = |database, path| Self { database: Mutex::new(Some(database)), path };
        let why = match database(&path) {
            Ok(database) => return Ok(store(database, path)),
            Err(Fault::InUse) => return Err(StoreError::InUse(path)),
            Err(Fault::Io(error)) => return Err(in_directory(error)),
            Err(Fault::Damaged(why)) => why,
        };
        let aside = directory.join(format!("{FILE}.damaged-{}", now.format("%Y%m%dT%H%M%S%3fZ")));
        fs::rename(&path, &aside).map_err(in_directory)?;
        tracing::error!(
            file = %path.display(),
            set_aside_as = %aside.display(),
            "the ledger's file cannot be read ({why}): it is set aside, and counting starts anew"
        );
        match database(&path) {
            Ok(database) => Ok(store(database, path)),
            Err(Fault::InUse) => Err(StoreError::InUse(path)),
            Err(Fault::Io(error)) => Err(in_directory(error)),
            Err(Fault::Damaged(why)) => Err(in_directory(io::Error::other(why))),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger of `report` as it was last saved; nothing if there is none of this `shape`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn load(
        &self,
        report: &str,
        shape: &str,
        rules: Rules,
        width: usize,
    ) -> Result<Option<Ledger>, StoreError> {
        self.with(|database| read(database, report, shape, rules, width))
    }

    /// Saves what has changed of `ledger`, and with it what it has for push sinks, as `spooled`: after that it may be shown.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; then the next call saves it.
    pub fn save(
        &self,
        report: &str,
        shape: &str,
        ledger: &mut Ledger,
        spooled: &[Entry],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            put(transaction, report, shape, ledger)?;
            spool::append(transaction, spooled)
        })?;
        ledger.dirty = super::Dirty::default();
        ledger.sent();
        Ok(())
    }

    /// Forgets all that is known of `report`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn forget(&self, report: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(REPORTS)?.remove(report)?;
            transaction.open_table(MEMBERS)?.retain_in((report, 0)..=(report, u64::MAX), |_, _| false)?;
            transaction.open_table(SERIES)?.retain_in((report, 0)..=(report, u32::MAX), |_, _| false)?;
            let windows = (report, i64::MIN)..=(report, i64::MAX);
            transaction.open_table(EARLY)?.retain_in(windows.clone(), |_, _| false)?;
            Ok(transaction.open_table(WINDOWS)?.retain_in(windows, |_, _| false)?)
        })
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let mut place = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match place.take().map_or_else(|| database(&self.path), Ok) {
            Ok(database) => work(&database).map(|value| (database, value)),
            Err(Fault::InUse) => return Err(StoreError::InUse(self.path.clone())),
            Err(Fault::Io(error)) => Err(redb::Error::Io(error)),
            Err(Fault::Damaged(why)) => Err(redb::Error::Corrupted(why)),
        };
        match result {
            Ok((database, value)) => {
                *place = Some(database);
                Ok(value)
            }
            Err(error) => Err(StoreError::File(self.path.clone(), Box::new(error))),
        }
    }
}

/// Does `work`, which waits for the disk, where that holds nobody up; what went wrong, in words.
///
/// # Errors
///
/// If `work` fails.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Opens the file with all its tables, every page of it checked.
fn database(path: &Path) -> Result<Database, Fault> {
    let open = || -> Result<Database, Fault> {
        let database =
            Database::builder().set_cache_size(CACHE).set_check_integrity_on_open(true).create(path)?;
        let transaction = database.begin_write()?;
        {
            let mut about = transaction.open_table(ABOUT)?;
            let version = about.get("version")?.map(|version| version.value());
            match version {
                None => drop(about.insert("version", VERSION)?),
                Some(VERSION) => {}
                Some(other) => {
                    let why = format!("its layout is version {other}, and this exporter has {VERSION}");
                    return Err(Fault::Damaged(why));
                }
            }
            transaction.open_table(REPORTS)?;
            transaction.open_table(MEMBERS)?;
            transaction.open_table(SERIES)?;
            transaction.open_table(WINDOWS)?;
            transaction.open_table(EARLY)?;
            spool::create(&transaction)?;
        }
        transaction.commit()?;
        Ok(database)
    };
    // A file that somebody else wrote may break what the database takes for granted.
    catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(Fault::Damaged("the database stumbles over it".to_owned())))
}

fn read(
    database: &Database,
    report: &str,
    shape: &str,
    rules: Rules,
    width: usize,
) -> Result<Option<Ledger>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut ledger = Ledger::new(rules, width);
    {
        let reports = transaction.open_table(REPORTS)?;
        let Some(row) = reports.get(report)? else { return Ok(None) };
        let (saved_shape, next, newest, [read, revised, settled, lost], widest) = row.value();
        if saved_shape != shape {
            return Ok(None);
        }
        (ledger.next, ledger.newest) = (next.map(Window::number), newest.map(Window::number));
        ledger.tally = super::Tally { read, revised, settled, lost };
        ledger.is_seen = read > 0;
        ledger.widest = usize::try_from(widest).unwrap_or(0);
    }
    for entry in transaction.open_table(MEMBERS)?.range((report, 0)..=(report, u64::MAX))? {
        let (key, value) = entry?;
        let (since, gone) = value.value();
        let member = Member { since: Window::number(since), gone: gone.and_then(time) };
        ledger.members.insert(key.value().1, member);
    }
    for entry in transaction.open_table(SERIES)?.range((report, 0)..=(report, u32::MAX))? {
        let (key, value) = entry?;
        ledger.book.insert(key.value().1, series(value.value()));
    }
    for entry in transaction.open_table(WINDOWS)?.range((report, i64::MIN)..=(report, i64::MAX))? {
        let (key, value) = entry?;
        ledger.windows.insert(Window::number(key.value().1), record(value.value()));
    }
    for entry in transaction.open_table(EARLY)?.range((report, i64::MIN)..=(report, i64::MAX))? {
        let (key, value) = entry?;
        if let Some(record) = ledger.windows.get_mut(&Window::number(key.value().1)) {
            record.early = value.value().into_iter().collect();
        }
    }
    Ok(Some(ledger))
}

fn put(
    transaction: &WriteTransaction,
    report: &str,
    shape: &str,
    ledger: &Ledger,
) -> Result<(), redb::Error> {
    let super::Tally { read, revised, settled, lost } = ledger.tally;
    let row = (
        shape,
        ledger.next.map(Window::index),
        ledger.newest.map(Window::index),
        [read, revised, settled, lost],
        ledger.widest as u64,
    );
    transaction.open_table(REPORTS)?.insert(report, row)?;
    if ledger.dirty.members {
        let mut members = transaction.open_table(MEMBERS)?;
        members.retain_in((report, 0)..=(report, u64::MAX), |_, _| false)?;
        for (code, member) in &ledger.members {
            let gone = member.gone.map(|at| at.timestamp());
            members.insert((report, *code), (member.since.index(), gone))?;
        }
    }
    let mut table = transaction.open_table(SERIES)?;
    for id in &ledger.dirty.series {
        match ledger.book.series.get(id) {
            Some(series) => {
                let labels: Vec<&str> = series.key.iter().map(|value| &**value).collect();
                let (due, shown) = (series.due.to_vec(), series.shown.to_vec());
                let row = (labels, series.member, series.is_revealed, series.seen.index(), due, shown);
                table.insert((report, *id), row)?;
            }
            None => drop(table.remove((report, *id))?),
        }
    }
    let mut early = transaction.open_table(EARLY)?;
    let mut table = transaction.open_table(WINDOWS)?;
    for window in &ledger.dirty.windows {
        match ledger.windows.get(window) {
            Some(record) => {
                let without = record.without.iter().copied().collect();
                let last_read = record.last_read.map(|at| at.timestamp());
                let Values { ids, sums } = record.values.clone();
                let stale = record.stale.iter().copied().collect();
                let row = (record.state.code(), last_read, without, stale, ids, sums);
                table.insert((report, window.index()), row)?;
                if !record.early.is_empty() {
                    let members: Vec<u64> = record.early.iter().copied().collect();
                    early.insert((report, window.index()), members)?;
                }
            }
            None => {
                table.remove((report, window.index()))?;
                early.remove((report, window.index()))?;
            }
        }
    }
    Ok(())
}

fn series(
    (labels, member, is_revealed, seen, due, shown): (Vec<&str>, u64, bool, i64, Vec<u64>, Vec<u64>),
) -> Series {
    Series {
        key: labels.into_iter().map(LabelValue::from).collect(),
        member,
        due: due.into(),
        shown: shown.into(),
        is_revealed,
        is_published: false,
        seen: Window::number(seen),
    }
}

fn record((state, last_read, without, stale, ids, sums): WindowRow) -> Record {
    Record {
        state: State::of_code(state),
        last_read: last_read.and_then(time),
        without: without.into_iter().collect(),
        stale: stale.into_iter().collect(),
        values: Values { ids, sums },
        early: BTreeSet::new(),
    }
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

enum Fault {
    InUse,
    Io(io::Error),
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        match error.into() {
            // What is no database at all is told by such an error too.
            redb::Error::Io(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Damaged(error.to_string())
            }
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error => Self::Damaged(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;
    use tempfile::TempDir;

    use super::super::{Reading, Row};
    use super::*;

    const RULES: Rules =
        Rules { lag: TimeDelta::minutes(15), settle: TimeDelta::hours(1), look_back: TimeDelta::days(1) };

    fn now() -> DateTime<Utc> {
        "2026-11-20T10:02:00Z".parse().unwrap()
    }

    /// A ledger with some series and windows.
    fn filled() -> Ledger {
        let mut ledger = Ledger::new(RULES, 2);
        let members = Arc::new([1, 2].into());
        ledger.open(now() - TimeDelta::hours(1), &members);
        ledger.open(now(), &members);
        let windows: Vec<_> = ledger.windows.keys().copied().collect();
        let row = |window: &Window, member: u64, n: u64| Row {
            window: *window,
            member,
            key: vec![member.to_string().into(), "odd \"host\" é".into(), n.to_string().into()],
            sums: vec![n, u64::from(u32::MAX) * n],
        };
        let rows = windows.iter().flat_map(|w| (0..40).map(move |n| row(w, n % 2 + 1, n))).collect();
        let range = windows[0]..windows[windows.len() - 1].plus(1);
        let reading = Reading { windows: range, members, rows, unusable: [(windows[3], 2)].into() };
        ledger.take(now(), vec![reading]);
        ledger.show().for_each(drop);
        ledger.reveal();
        ledger
    }

    fn saved(directory: &TempDir) -> Ledger {
        let mut ledger = filled();
        let store = Store::open(directory.path(), now()).unwrap();
        store.save("default/amd", "shape", &mut ledger, &[]).unwrap();
        ledger
    }

    fn load(store: &Store) -> Option<Ledger> {
        store.load("default/amd", "shape", RULES, 2).unwrap()
    }

    fn assert_same(one: &Ledger, other: &Ledger) {
        let text = |ledger: &Ledger| {
            let series: Vec<_> = ledger
                .book
                .series
                .values()
                .map(|s| (s.key.clone(), s.member, s.due.clone(), s.shown.clone(), s.is_revealed, s.seen))
                .collect();
            format!("{series:?} {:?} {:?} {:?}", ledger.windows, ledger.members, ledger.tally)
        };
        assert_eq!(text(one), text(other));
        assert_eq!((one.next, one.newest, one.widest), (other.next, other.newest, other.widest));
    }

    fn damaged_files(directory: &TempDir) -> usize {
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().contains("damaged")).count()
    }

    #[test]
    fn what_was_saved_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = saved(&directory);
        let store = Store::open(directory.path(), now()).unwrap();
        assert_same(&load(&store).unwrap(), &ledger);
        assert!(store.load("default/amd", "another shape", RULES, 2).unwrap().is_none());
        assert!(store.load("default/am", "shape", RULES, 2).unwrap().is_none());
        store.forget("default/other").unwrap();
        assert_same(&load(&store).unwrap(), &ledger);
        store.forget("default/amd").unwrap();
        assert!(load(&store).is_none());
    }

    #[test]
    fn two_processes_cannot_share_it() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path(), now()).unwrap();
        let second = Store::open(directory.path(), now()).unwrap_err();
        assert!(matches!(second, StoreError::InUse(_)), "{second}");
        assert_eq!(damaged_files(&directory), 0);
    }

    #[test]
    fn another_layout_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        saved(&directory);
        let database = Database::create(directory.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(ABOUT).unwrap().insert("version", VERSION + 1).unwrap();
        transaction.commit().unwrap();
        drop(database);
        assert!(load(&Store::open(directory.path(), now()).unwrap()).is_none());
        assert_eq!(damaged_files(&directory), 1);
    }

    /// Damages the file in `change`'s way: then it is as it was, or set aside, and never anything else.
    fn check(content: &[u8], original: &Ledger, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = content.to_vec();
        change(&mut bytes);
        fs::write(directory.path().join(FILE), bytes).unwrap();
        let store = Store::open(directory.path(), now()).unwrap();
        let is_set_aside = damaged_files(&directory) == 1;
        match load(&store) {
            Some(ledger) => assert_same(&ledger, original),
            None => assert!(is_set_aside),
        }
        // And it works again.
        store.save("default/amd", "shape", &mut filled(), &[]).unwrap();
        is_set_aside
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let original = saved(&directory);
        let content = fs::read(directory.path().join(FILE)).unwrap();
        let mut set_aside = 0;
        for part in 1..8 {
            set_aside +=
                usize::from(check(&content, &original, |bytes| bytes.truncate(content.len() * part / 8)));
        }
        assert_eq!(set_aside, 7, "each truncation is noticed");
        assert!(check(&content, &original, |bytes| bytes[..4096].fill(0)));
        assert!(check(&content, &original, |bytes| *bytes = b"something else\n".repeat(1000)));
        for n in 0..24 {
            let at = content.len() * n / 24 + n * 7;
            check(&content, &original, |bytes| bytes[at] ^= 0x55);
        }
    }

    #[test]
    fn a_directory_that_cannot_be() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Store::open(&file.path().join("state"), now()).unwrap_err();
        assert!(error.to_string().starts_with("state_directory "), "{error}");
    }
}
