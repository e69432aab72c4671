//! What all sinks share: waiting for items, delivering, trying again, counting. A task of its own for each, so that one that hangs or fails delays
//! neither a poll, nor a scrape, nor another sink.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Portion};
use super::health::Health;
use super::{Context, Failure, Outcome, Sink};
use crate::clock::SharedClock;
use crate::ledger::store::Place;
use crate::snapshot::Store;

/// The first pause after a failure, and the longest; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A receiver that wants to be left alone for longer is asked again all the same.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// A delivery that takes longer has hung.
const LONGEST_DELIVERY: Duration = Duration::from_secs(120);

/// While a delivery is under way, what waits is looked at this often.
const LOOK: Duration = Duration::from_secs(5);

/// When the process stops, a delivery under way may take so long yet, for a sink cannot always tell what came of one that was cut off.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// And what waits then may take so long.
const LAST: Duration = Duration::from_secs(2);

/// Delivers what waits for one sink.
#[derive(Debug)]
pub struct Driver<T> {
    /// The sink.
    pub sink: Box<dyn Sink<T>>,
    /// How it stands.
    pub health: Arc<Health>,
    /// The snapshot, for what deliveries look up.
    pub store: Arc<Store>,
    /// The time.
    pub clock: SharedClock,
    /// Changes when files are to be opened anew.
    pub hangup: watch::Receiver<u64>,
}

/// Items in hand.
struct Work<T> {
    places: Vec<Place>,
    items: Vec<T>,
    /// Where the sink is once all is done; nothing when that was noted.
    end: Option<Place>,
}

impl<T: Send + Sync> Driver<T> {
    /// Delivers until `stop`, and then for a moment what waits yet.
    pub async fn run(mut self, mut backlog: impl Backlog<T>, stop: CancellationToken) {
        loop {
            look(&self.health, &mut backlog);
            let portion = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                portion = backlog.next() => portion,
                Ok(()) = self.hangup.changed() => {
                    self.sink.reopen();
                    continue;
                }
            };
            look(&self.health, &mut backlog);
            let work = self.sort(portion);
            tokio::select! {
                biased;
                () = self.deliver_all(&mut backlog, work, &stop) => {}
                () = long_after(&stop) => break,
            }
            if stop.is_cancelled() {
                break;
            }
        }
        let _ = tokio::time::timeout(LAST, self.deliver_last(&mut backlog)).await;
        look(&self.health, &mut backlog);
    }

    /// Picks what the sink wants.
    fn sort(&self, portion: Portion<T>) -> Work<T> {
        self.health.lose(portion.lost);
        let end = portion.items.last().map(|(place, _)| *place);
        let wanted = portion.items.into_iter().filter(|(_, item)| self.sink.wants(item));
        let (places, items) = wanted.unzip();
        Work { places, items, end }
    }

    /// Delivers a portion, however often it takes; after `stop` a failure ends it.
    async fn deliver_all(
        &mut self,
        backlog: &mut impl Backlog<T>,
        mut work: Work<T>,
        stop: &CancellationToken,
    ) {
        if work.items.is_empty() {
            return self.pass_over(backlog, work).await;
        }
        let mut pause = PAUSES.0;
        while !work.items.is_empty() {
            let sent = self.health.state().sent;
            let Some(failure) = self.deliver(backlog, &mut work).await else {
                pause = PAUSES.0;
                continue;
            };
            if self.health.state().sent > sent {
                pause = PAUSES.0;
            }
            let wanted = failure.retry_after.unwrap_or(pause).clamp(PAUSES.0, LONGEST_RETRY_AFTER);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.rest(backlog, wanted) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Is done with a portion of which the sink wants nothing.
    async fn pass_over(&self, backlog: &mut impl Backlog<T>, work: Work<T>) {
        if let Some(end) = work.end {
            backlog.done(end).await;
        }
    }

    /// One delivery; why what is left could not be delivered, if so.
    async fn deliver(&mut self, backlog: &mut impl Backlog<T>, work: &mut Work<T>) -> Option<Failure> {
        if self.hangup.has_changed().unwrap_or(false) {
            self.hangup.mark_unchanged();
            self.sink.reopen();
        }
        let outcome = self.attempt(backlog, &work.items).await;
        let outcome = outcome.or_stuck();
        self.health.record(&outcome);
        let done = outcome.done.min(work.items.len());
        if done > 0 {
            let is_end = done == work.items.len();
            let place = if is_end { work.end.take() } else { work.places.get(done - 1).copied() };
            work.items.drain(..done);
            work.places.drain(..done);
            if let Some(place) = place {
                backlog.done(place).await;
            }
        }
        look(&self.health, backlog);
        outcome.failure
    }

    /// Asks the sink, and looks meanwhile at what waits.
    async fn attempt(&mut self, backlog: &mut impl Backlog<T>, items: &[T]) -> Outcome {
        let context = Context { snapshot: self.store.current(), clock: Arc::clone(&self.clock) };
        let mut delivery = self.sink.deliver(items, &context);
        let began = Instant::now();
        loop {
            tokio::select! {
                biased;
                outcome = &mut delivery => return outcome,
                () = tokio::time::sleep(LOOK) => look(&self.health, backlog),
            }
            if began.elapsed() > LONGEST_DELIVERY {
                let words = format!("no end of the delivery within {} s", LONGEST_DELIVERY.as_secs());
                return Outcome { failure: Some(Failure::new(words)), ..Outcome::default() };
            }
        }
    }

    /// Lets time pass, and looks meanwhile at what waits.
    async fn rest(&self, backlog: &mut impl Backlog<T>, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
            look(&self.health, backlog);
        }
    }

    /// Delivers what waits, until something fails or it is time. One item after the other: a sink cannot say of one that was cut off how much of it
    /// its receiver has.
    async fn deliver_last(&mut self, backlog: &mut impl Backlog<T>) {
        let began = Instant::now();
        while backlog.waiting() > 0 {
            let portion = backlog.next().await;
            let mut work = self.sort(portion);
            if work.items.is_empty() {
                self.pass_over(backlog, work).await;
                continue;
            }
            while !work.items.is_empty() {
                let mut one = work.split_first();
                while !one.items.is_empty() {
                    if self.deliver(backlog, &mut one).await.is_some() {
                        return;
                    }
                }
                if began.elapsed() > LAST / 2 {
                    return;
                }
            }
        }
    }
}

impl<T> Work<T> {
    /// Its first item, taken out of it.
    fn split_first(&mut self) -> Self {
        let rest = (self.items.split_off(1), self.places.split_off(1));
        let (items, places) =
            (std::mem::replace(&mut self.items, rest.0), std::mem::replace(&mut self.places, rest.1));
        // What the sink does not want after the last one goes with it.
        let end = if self.items.is_empty() { self.end } else { places.first().copied() };
        Self { places, items, end }
    }
}

/// Takes in what waits, and what could not.
fn look<T>(health: &Health, backlog: &mut impl Backlog<T>) {
    health.lose(backlog.lost());
    health.wait(backlog.waiting(), backlog.fill());
}

impl Outcome {
    /// A sink that does nothing and says nothing would be asked forever. One that is amid a large item is not stuck.
    fn or_stuck(self) -> Self {
        let is_stuck = self.failure.is_none() && self.done == 0 && self.sent == 0 && self.refused.is_none();
        let failure = if is_stuck { Some(Failure::new("nothing was delivered")) } else { self.failure };
        Self { failure, ..self }
    }
}

/// A delivery under way when the process stops may take so long yet.
async fn long_after(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(UNDER_WAY).await;
}

#[cfg(test)]
mod tests;
