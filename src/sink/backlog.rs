//! What waits for a sink.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use crate::akamai::Exchanges;
use crate::ledger::store::{Extent, Place, StoreError, blocking};
use crate::model::{Exchange, Parcel};
use crate::spool::Spool;

/// So many bytes of the spool are in a sink's hands at a time, unless a single parcel has more.
const MOST_BYTES: usize = 256 << 10;

/// So many answers are in a sink's hands at a time.
const MOST_ANSWERS: usize = 64;

/// A spool that cannot be read is tried again so much later.
const REREAD: Duration = Duration::from_secs(5);

/// What a sink is to work on next.
#[derive(Debug)]
pub struct Portion<T> {
    /// Samples that cannot be read.
    pub lost: u64,
    /// The items, the oldest first, each with the place where the sink is once it is done with it.
    pub items: Vec<(Place, T)>,
}

/// Items that wait for a sink, the oldest first.
pub trait Backlog<T>: Send {
    /// The next items; waits until there are some.
    fn next(&mut self) -> impl Future<Output = Portion<T>> + Send;

    /// The sink is done with all up to `place`.
    fn done(&mut self, place: Place) -> impl Future<Output = ()> + Send;

    /// How many samples, or answers, wait.
    fn waiting(&self) -> u64;

    /// How many could not wait any longer, since this was last asked.
    fn lost(&mut self) -> u64;

    /// How many bytes wait in the spool, and how many may.
    fn fill(&self) -> Option<(u64, u64)> {
        None
    }
}

/// The samples in the spool.
#[derive(Debug)]
pub struct Spooled {
    spool: Arc<Spool>,
    sink: String,
    ear: watch::Receiver<Extent>,
    /// Of so many samples, counted from the beginning, it is known what became of them: they are lost, or in the sink's hands.
    known: u64,
    /// How many were lost and not told yet.
    lost: u64,
    /// Whether it has been said that the spool cannot be used.
    is_told: bool,
}

impl Spooled {
    /// What `sink` has not had.
    #[must_use]
    pub fn of(spool: Arc<Spool>, sink: &str) -> Self {
        Self {
            ear: spool.subscribe(),
            known: spool.done(sink),
            lost: 0,
            spool,
            sink: sink.to_owned(),
            is_told: false,
        }
    }

    /// Does `work` where waiting for the disk holds nobody up; nothing if the spool cannot be used, which is said once.
    async fn blocking<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Spool, &str) -> Result<R, StoreError> + Send + 'static,
    ) -> Option<R> {
        let (spool, sink) = (Arc::clone(&self.spool), self.sink.clone());
        let error = match blocking(move || work(&spool, &sink)).await {
            Ok(value) => {
                self.is_told = false;
                return Some(value);
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(sink = self.sink, "what waits for the sink cannot be read or noted: {error}");
        }
        None
    }
}

impl Backlog<Parcel> for Spooled {
    async fn next(&mut self) -> Portion<Parcel> {
        loop {
            self.ear.borrow_and_update();
            match self.blocking(|spool, sink| spool.read(sink, MOST_BYTES)).await {
                Some(portion) if portion.lost > 0 || !portion.parcels.is_empty() => {
                    if let (Some((first, parcel)), Some((last, _))) =
                        (portion.parcels.first(), portion.parcels.last())
                    {
                        let before = first.samples - parcel.len() as u64;
                        self.lost += before.saturating_sub(self.known);
                        self.known = last.samples;
                    }
                    return Portion { lost: portion.lost, items: portion.parcels };
                }
                // The spool lives as long as the process.
                Some(_) => drop(self.ear.changed().await),
                None => tokio::time::sleep(REREAD).await,
            }
        }
    }

    async fn done(&mut self, place: Place) {
        // If it cannot be noted, the sink gets it again after a restart, and not before.
        self.blocking(move |spool, sink| spool.advance(sink, place)).await;
    }

    fn waiting(&self) -> u64 {
        self.spool.waiting(&self.sink)
    }

    fn lost(&mut self) -> u64 {
        let removed = self.spool.removed(&self.sink);
        let more = removed.saturating_sub(self.known);
        self.known += more;
        std::mem::take(&mut self.lost) + more
    }

    fn fill(&self) -> Option<(u64, u64)> {
        Some(self.spool.fill())
    }
}

/// Answers of Akamai, in memory alone.
#[derive(Debug)]
pub struct Answers {
    exchanges: Exchanges,
    /// How many were lost, as far as that was told.
    told: u64,
    taken: u64,
    done: u64,
}

impl Answers {
    /// Those that come from now on.
    #[must_use]
    pub fn of(exchanges: Exchanges) -> Self {
        Self { exchanges, told: 0, taken: 0, done: 0 }
    }
}

impl Backlog<Exchange> for Answers {
    async fn next(&mut self) -> Portion<Exchange> {
        let mut items = Vec::new();
        let Some(mut next) = self.exchanges.receiver.recv().await else {
            // Nobody asks Akamai anything any more.
            return std::future::pending().await;
        };
        loop {
            self.taken += 1;
            items.push((Place { number: self.taken, samples: self.taken }, next));
            if items.len() == MOST_ANSWERS {
                break;
            }
            match self.exchanges.receiver.try_recv() {
                Ok(another) => next = another,
                Err(_) => break,
            }
        }
        Portion { lost: 0, items }
    }

    async fn done(&mut self, place: Place) {
        self.done = place.number;
    }

    fn waiting(&self) -> u64 {
        self.exchanges.receiver.len() as u64 + self.taken - self.done
    }

    fn lost(&mut self) -> u64 {
        let lost = self.exchanges.lost.load(Ordering::Relaxed);
        lost - std::mem::replace(&mut self.told, lost)
    }
}
