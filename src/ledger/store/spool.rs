//! What waits for push sinks, in the same file as what was counted: so a window goes to them with the transaction that settles it,
//! once, whatever happens.
//!
//! Entries are numbered from 1 and read by any number of readers, each of which has its place. An entry that all have read is removed, and the oldest
//! when there are more bytes than may be.

use std::ops::Range;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{ABOUT, Store, StoreError, Window};

/// By number: how many samples there were before, how many these are, the samples.
const SPOOL: TableDefinition<u64, (u64, u64, &[u8])> = TableDefinition::new("spool");
/// By reader: the number of the last entry that it has done with, and how many samples there were up to then.
const READERS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("readers");

/// By source: the first window of its history that is not in the spool yet, and the first that is no history.
const HISTORY: TableDefinition<&str, (i64, i64)> = TableDefinition::new("history");

/// In the table about everything: the newest number, the samples so far, the bytes that wait.
const NEWEST: &str = "spool_newest";
const SAMPLES: &str = "spool_samples";
const BYTES: &str = "spool_bytes";

/// Samples that wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Their number, once they have one.
    pub number: u64,
    /// How many samples there were before, since the beginning.
    pub before: u64,
    /// How many these are.
    pub samples: u64,
    /// The samples.
    pub bytes: Vec<u8>,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The number of an entry.
    pub number: u64,
    /// How many samples there were up to its end.
    pub samples: u64,
}

/// How far the spool goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extent {
    /// How many samples there were before the oldest that is there.
    pub removed: u64,
    /// The place of the newest.
    pub end: Place,
    /// How many bytes wait.
    pub bytes: u64,
}

/// Who reads.
#[derive(Debug)]
pub struct Readers {
    /// Where each is.
    pub places: Vec<Place>,
    /// Those that are no readers any more, with the samples that waited for them.
    pub forgotten: Vec<(String, u64)>,
}

pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(SPOOL)?;
    transaction.open_table(READERS)?;
    transaction.open_table(HISTORY)?;
    Ok(())
}

pub(super) fn append(transaction: &WriteTransaction, entries: &[Entry]) -> Result<(), redb::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut about = transaction.open_table(ABOUT)?;
    let mut table = transaction.open_table(SPOOL)?;
    let (mut newest, mut samples, mut bytes) =
        (get(&about, NEWEST)?, get(&about, SAMPLES)?, get(&about, BYTES)?);
    for entry in entries {
        newest += 1;
        table.insert(newest, (samples, entry.samples, entry.bytes.as_slice()))?;
        samples += entry.samples;
        bytes += entry.bytes.len() as u64;
    }
    for (name, value) in [(NEWEST, newest), (SAMPLES, samples), (BYTES, bytes)] {
        about.insert(name, value)?;
    }
    Ok(())
}

fn get(about: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, redb::Error> {
    Ok(about.get(name)?.map_or(0, |value| value.value()))
}

impl Store {
    /// Adds entries, whose numbers are given here.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn spool(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|transaction| append(transaction, entries))
    }

    /// Which windows of a source's history are left, as it was noted.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn history(&self, source: &str) -> Result<Option<Range<Window>>, StoreError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(HISTORY)?;
            let left = table.get(source)?.map(|left| left.value());
            Ok(left.map(|(next, end)| Window::number(next)..Window::number(end)))
        })
    }

    /// Adds entries of a source's history, and notes with them which windows of it are left.
    ///
    /// # Errors
    ///
    /// If the file cannot be written: then neither is there.
    pub fn spool_history(
        &self,
        source: &str,
        left: &Range<Window>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let left = (left.start.index(), left.end.index());
            transaction.open_table(HISTORY)?.insert(source, left)?;
            append(transaction, entries)
        })
    }

    /// How far the spool goes.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn spool_extent(&self) -> Result<Extent, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let about = transaction.open_table(ABOUT)?;
            let end = Place { number: get(&about, NEWEST)?, samples: get(&about, SAMPLES)? };
            let first = transaction.open_table(SPOOL)?.first()?.map(|(_, value)| value.value().0);
            Ok(Extent { removed: first.unwrap_or(end.samples), end, bytes: get(&about, BYTES)? })
        })
    }

    /// The entries after the `after`-th, the oldest first: the first one, and those that fit into `most` bytes with it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn spooled(&self, after: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(SPOOL)?;
            let (mut entries, mut length) = (Vec::new(), 0);
            for entry in table.range(after + 1..)? {
                let (number, value) = entry?;
                let (before, samples, bytes) = value.value();
                length += bytes.len();
                if length > most && !entries.is_empty() {
                    break;
                }
                entries.push(Entry { number: number.value(), before, samples, bytes: bytes.to_vec() });
            }
            Ok(entries)
        })
    }

    /// The places of `readers`, where a new one begins at the end; others are forgotten.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written.
    pub fn spool_readers(&self, readers: &[String]) -> Result<Readers, StoreError> {
        self.write(|transaction| {
            let about = transaction.open_table(ABOUT)?;
            let end = (get(&about, NEWEST)?, get(&about, SAMPLES)?);
            let mut table = transaction.open_table(READERS)?;
            let mut forgotten = Vec::new();
            table.retain(|name, (_, samples)| {
                let is_known = readers.iter().any(|reader| reader == name);
                if !is_known {
                    forgotten.push((name.to_owned(), end.1.saturating_sub(samples)));
                }
                is_known
            })?;
            let mut places = Vec::new();
            for reader in readers {
                let known = table.get(reader.as_str())?.map(|place| place.value());
                if known.is_none() {
                    table.insert(reader.as_str(), end)?;
                }
                let (number, samples) = known.unwrap_or(end);
                places.push(Place { number, samples });
            }
            Ok(Readers { places, forgotten })
        })
    }

    /// Notes how far `reader` is, and removes the entries up to the `read_by_all`-th.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn spool_advance(&self, reader: &str, place: Place, read_by_all: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(READERS)?.insert(reader, (place.number, place.samples))?;
            remove(transaction, |number, _| number <= read_by_all)
        })
    }

    /// Removes the oldest entries until no more than `most` bytes wait.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn spool_trim(&self, most: u64) -> Result<(), StoreError> {
        self.write(|transaction| remove(transaction, |_, waiting| waiting > most))
    }
}

/// Removes entries from the first on, as long as `is_over` of their number and of the bytes that wait.
fn remove(
    transaction: &WriteTransaction,
    mut is_over: impl FnMut(u64, u64) -> bool,
) -> Result<(), redb::Error> {
    let mut about = transaction.open_table(ABOUT)?;
    let mut table = transaction.open_table(SPOOL)?;
    let mut bytes = get(&about, BYTES)?;
    loop {
        let first = table.first()?.map(|(number, value)| (number.value(), value.value().2.len() as u64));
        let Some((number, length)) = first else { break };
        if !is_over(number, bytes) {
            break;
        }
        table.remove(number)?;
        bytes = bytes.saturating_sub(length);
    }
    about.insert(BYTES, bytes)?;
    Ok(())
}
