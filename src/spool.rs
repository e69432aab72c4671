//! Samples that wait for push sinks: bounded, numbered, read by each sink at its own pace.
//!
//! With a `state_directory` they are in its file and outlive the process; a window is written there by the transaction that settles it. Without
//! one they are in memory. When there are more bytes than may be, the oldest go, and each sink that had not read them learns how many
//! samples it lost.

mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::ledger::Window;
use crate::ledger::store::{Entry, Extent, Place, Readers, Store, StoreError};
use crate::model::Parcel;

/// Without a `state_directory` no more bytes wait than this.
pub const MOST_IN_MEMORY: u64 = 16 << 20;

/// The samples that wait.
#[derive(Debug)]
pub struct Spool {
    medium: Medium,
    most: u64,
    /// How far it goes; readers wait for that to change.
    extent: watch::Sender<Extent>,
    /// How far each reader is.
    places: Mutex<BTreeMap<String, Place>>,
}

#[derive(Debug)]
enum Medium {
    File(Arc<Store>),
    Memory(Mutex<VecDeque<Entry>>),
}

/// What a reader gets.
#[derive(Debug, Default)]
pub struct Portion {
    /// Samples that cannot be read.
    pub lost: u64,
    /// The parcels, each with the place up to which the reader is done once it is done with it.
    pub parcels: Vec<(Place, Parcel)>,
}

impl Spool {
    /// The spool in `store`, which keeps up to `most` bytes for `readers`. One who is new begins with what comes from now on.
    ///
    /// # Errors
    ///
    /// If the store cannot be used.
    pub fn in_store(store: Arc<Store>, most: u64, readers: &[String]) -> Result<Self, StoreError> {
        let Readers { places, forgotten } = store.spool_readers(readers)?;
        for (sink, samples) in forgotten.into_iter().filter(|(_, samples)| *samples > 0) {
            tracing::warn!(sink, samples, "exporter.ini has this sink no more: what waited for it is gone");
        }
        let extent = store.spool_extent()?;
        Ok(Self::new(Medium::File(store), most, extent, readers.iter().cloned().zip(places).collect()))
    }

    /// A spool in memory for `readers`.
    #[must_use]
    pub fn in_memory(most: u64, readers: &[String]) -> Self {
        let places = readers.iter().map(|reader| (reader.clone(), Place::default())).collect();
        Self::new(Medium::Memory(Mutex::default()), most.min(MOST_IN_MEMORY), Default::default(), places)
    }

    fn new(medium: Medium, most: u64, extent: Extent, places: BTreeMap<String, Place>) -> Self {
        Self { medium, most, extent: watch::Sender::new(extent), places: Mutex::new(places) }
    }

    /// Adds parcels. Waits for the disk: not for a task that others wait for.
    ///
    /// # Errors
    ///
    /// If the store cannot be written: then none is added.
    pub fn append(&self, parcels: &[Parcel]) -> Result<(), StoreError> {
        let entries = Self::entries(parcels);
        match &self.medium {
            Medium::File(store) => store.spool(&entries)?,
            Medium::Memory(waiting) => self.remember(&mut lock(waiting), entries),
        }
        self.appended()
    }

    /// Which windows of a source's history are left, as it was noted; without a store nothing was.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn history(&self, source: &str) -> Result<Option<Range<Window>>, StoreError> {
        match &self.medium {
            Medium::File(store) => store.history(source),
            Medium::Memory(_) => Ok(None),
        }
    }

    /// Adds parcels of a source's history, and notes with them which windows of it are left.
    ///
    /// # Errors
    ///
    /// If the store cannot be written: then neither is there.
    pub fn append_history(
        &self,
        source: &str,
        left: &Range<Window>,
        parcels: &[Parcel],
    ) -> Result<(), StoreError> {
        match &self.medium {
            Medium::File(store) => {
                store.spool_history(source, left, &Self::entries(parcels))?;
                self.appended()
            }
            Medium::Memory(_) => self.append(parcels),
        }
    }

    /// Parcels as the store keeps them, for who adds them in a transaction of its own and says so by [`Self::appended`].
    #[must_use]
    pub fn entries(parcels: &[Parcel]) -> Vec<Entry> {
        let entry = |parcel: &Parcel| Entry {
            number: 0,
            before: 0,
            samples: parcel.len() as u64,
            bytes: wire::encode(parcel),
        };
        parcels.iter().filter(|parcel| !parcel.is_empty()).map(entry).collect()
    }

    /// Something was added: makes room if need be, and wakes the readers.
    ///
    /// # Errors
    ///
    /// If the store cannot be used.
    pub fn appended(&self) -> Result<(), StoreError> {
        if let Medium::File(store) = &self.medium {
            let mut extent = store.spool_extent()?;
            if extent.bytes > self.most {
                store.spool_trim(self.most)?;
                extent = store.spool_extent()?;
            }
            self.reach(extent);
        }
        Ok(())
    }

    /// Takes in how far the spool goes. Another thread may know more already: nothing goes back.
    fn reach(&self, extent: Extent) {
        self.extent.send_modify(|known| {
            if extent.end.number >= known.end.number {
                (known.end, known.bytes) = (extent.end, extent.bytes);
            }
            known.removed = known.removed.max(extent.removed);
        });
    }

    fn remember(&self, waiting: &mut VecDeque<Entry>, entries: Vec<Entry>) {
        let mut extent = *self.extent.borrow();
        for entry in entries {
            extent.end.number += 1;
            extent.bytes += entry.bytes.len() as u64;
            let before = extent.end.samples;
            extent.end.samples += entry.samples;
            waiting.push_back(Entry { number: extent.end.number, before, ..entry });
        }
        while extent.bytes > self.most {
            let Some(first) = waiting.pop_front() else { break };
            extent.bytes -= first.bytes.len() as u64;
            extent.removed = first.before + first.samples;
        }
        self.reach(extent);
    }

    /// What `reader` has not had, the oldest first: one parcel at least, and what fits into `most` bytes with it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn read(&self, reader: &str, most: usize) -> Result<Portion, StoreError> {
        let place = self.place(reader);
        let entries = match &self.medium {
            Medium::File(store) => store.spooled(place.number, most)?,
            Medium::Memory(waiting) => lock(waiting)
                .iter()
                .filter(|entry| entry.number > place.number)
                .scan(0, |length, entry| {
                    let is_first = *length == 0;
                    *length += entry.bytes.len();
                    (is_first || *length <= most).then(|| entry.clone())
                })
                .collect(),
        };
        let mut portion = Portion { lost: 0, parcels: Vec::with_capacity(entries.len()) };
        let mut unreadable = None;
        for entry in entries {
            let to = Place { number: entry.number, samples: entry.before + entry.samples };
            match wire::decode(&entry.bytes) {
                Some(parcel) => portion.parcels.push((to, parcel)),
                // Nothing can be made of it, and nothing will.
                None => (portion.lost, unreadable) = (portion.lost + entry.samples, Some(to)),
            }
        }
        if let (Some(to), true) = (unreadable, portion.parcels.is_empty()) {
            lock(&self.places).insert(reader.to_owned(), to);
        }
        Ok(portion)
    }

    /// How many samples, counted from the beginning, `reader` is done with.
    #[must_use]
    pub fn done(&self, reader: &str) -> u64 {
        self.place(reader).samples
    }

    /// How many samples, counted from the beginning, were removed before `reader` had them, or were behind it already.
    #[must_use]
    pub fn removed(&self, reader: &str) -> u64 {
        self.extent.borrow().removed.max(self.place(reader).samples)
    }

    /// `reader` is done with all up to `place`.
    ///
    /// # Errors
    ///
    /// If the store cannot be written. The reader goes on all the same; after a restart it gets again what it was not noted for.
    pub fn advance(&self, reader: &str, place: Place) -> Result<(), StoreError> {
        let read_by_all = {
            let mut places = lock(&self.places);
            places.insert(reader.to_owned(), place);
            places.values().map(|place| place.number).min().unwrap_or(place.number)
        };
        match &self.medium {
            Medium::File(store) => {
                store.spool_advance(reader, place, read_by_all)?;
                self.reach(store.spool_extent()?);
            }
            Medium::Memory(waiting) => {
                let mut waiting = lock(waiting);
                let read = waiting.partition_point(|entry| entry.number <= read_by_all);
                let bytes: usize = waiting.drain(..read).map(|entry| entry.bytes.len()).sum();
                self.extent.send_modify(|known| known.bytes -= bytes as u64);
            }
        }
        Ok(())
    }

    /// A reader's ear: it hears when something is added.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Extent> {
        self.extent.subscribe()
    }

    /// How many samples wait for `reader`.
    #[must_use]
    pub fn waiting(&self, reader: &str) -> u64 {
        self.extent.borrow().end.samples.saturating_sub(self.removed(reader))
    }

    /// How many bytes wait, and how many may.
    #[must_use]
    pub fn fill(&self) -> (u64, u64) {
        (self.extent.borrow().bytes, self.most)
    }

    fn place(&self, reader: &str) -> Place {
        lock(&self.places).get(reader).copied().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
