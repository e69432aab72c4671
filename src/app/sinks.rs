//! Builds the sinks and what leads to them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history::Wanted;
use crate::akamai::Tap;
use crate::clock::SharedClock;
use crate::config::{Exporter, SinkConfig, push};
use crate::ledger::Push;
use crate::ledger::store::{Store as Ledgers, StoreError};
use crate::model::{Exchange, Origin, Parcel};
use crate::shutdown::Hangups;
use crate::sink::backlog::{Answers, Spooled};
use crate::sink::collector::Collector;
use crate::sink::driver::Driver;
use crate::sink::health::{Health, Info};
use crate::sink::{Context, Delivery, Opened, Sink};
use crate::snapshot::Store;
use crate::spool::Spool;
use crate::telemetry::Telemetry;

/// A sink at work.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sinks, not at work yet.
pub(super) struct Sinks {
    /// Where Akamai's answers go.
    pub(super) tap: Tap,
    /// Where windows go.
    pub(super) push: Option<(Push, Arc<Spool>)>,
    /// How each stands.
    pub(super) healths: Arc<[Arc<Health>]>,
    /// How much any of them wants of what was before.
    pub(super) history: Option<TimeDelta>,
    ready: Vec<Ready>,
}

enum Ready {
    Samples(Box<dyn Sink<Parcel>>, Arc<Health>),
    Answers(Box<dyn Sink<Exchange>>, Arc<Health>, Answers),
}

/// What sinks work with.
struct Surroundings {
    store: Arc<Store>,
    clock: SharedClock,
    hangups: watch::Receiver<u64>,
}

impl Sinks {
    /// Builds those that are configured.
    pub(super) fn new(
        sinks: Vec<SinkConfig>,
        exporter: &Exporter,
        ledgers: Option<&Arc<Ledgers>>,
        telemetry: &Arc<Telemetry>,
        clock: &SharedClock,
    ) -> Result<Self, StoreError> {
        let push = match push(&sinks) {
            Some(early) => Some((Push { early }, Arc::new(spool(&sinks, exporter, ledgers)?))),
            None => None,
        };
        let history = sinks.iter().filter_map(|sink| match sink.opened {
            Opened::Samples { history, .. } => history,
            Opened::Answers { .. } => None,
        });
        let history = history.max();
        let (mut tap, mut ready, mut healths) = (Tap::default(), Vec::new(), Vec::new());
        for SinkConfig { kind, name, opened } in sinks {
            let (address, takes) = match &opened {
                Opened::Samples { sink, .. } => (sink.address(), "samples"),
                Opened::Answers { sink, .. } => (sink.address(), "answers"),
            };
            tracing::info!(sink = name, kind = kind.name, address, "sink");
            let info = Info { name, kind: kind.name, address, takes };
            let health = Arc::new(Health::new(info, Arc::clone(telemetry), Arc::clone(clock)));
            healths.push(Arc::clone(&health));
            ready.push(match opened {
                Opened::Samples { sink, history: Some(_), .. } => Ready::Samples(sink, health),
                Opened::Samples { sink, .. } => Ready::Samples(Box::new(WithoutHistory(sink)), health),
                Opened::Answers { sink, most_body } => {
                    Ready::Answers(sink, health, Answers::of(tap.open(most_body)))
                }
            });
        }
        Ok(Self { tap, push, healths: healths.into(), history, ready })
    }

    /// Sets them to work.
    pub(super) fn start(
        self,
        store: &Arc<Store>,
        clock: &SharedClock,
        history: Vec<Wanted>,
    ) -> std::io::Result<Deliveries> {
        let (hangup, hangups) = watch::channel(0);
        let around = Surroundings { store: Arc::clone(store), clock: Arc::clone(clock), hangups };
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(pass_on(Hangups::listen()?, hangup, stop.clone()));
        let spool = self.push.map(|(_, spool)| spool);
        if let Some(spool) = &spool {
            let takers = self.healths.iter().filter(|health| health.info.takes == "samples").cloned();
            let collector = Collector::new(Arc::clone(spool), takers.collect());
            tasks.spawn(collector.run(Arc::clone(store), stop.clone()));
        }
        for wanted in history {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(wanted.run()).await.unwrap_or_default() });
        }
        for ready in self.ready {
            let (health, task): (Arc<Health>, Task) = match (ready, &spool) {
                (Ready::Samples(sink, health), Some(spool)) => {
                    let backlog = Spooled::of(Arc::clone(spool), &health.info.name);
                    let driver = around.driver(sink, Arc::clone(&health));
                    (health, Box::pin(driver.run(backlog, stop.clone())))
                }
                (Ready::Answers(sink, health, backlog), _) => {
                    let driver = around.driver(sink, Arc::clone(&health));
                    (health, Box::pin(driver.run(backlog, stop.clone())))
                }
                // There is a spool wherever a sink takes samples.
                (Ready::Samples(..), None) => continue,
            };
            tasks.spawn(contained(health, task));
        }
        Ok(Deliveries { stop, tasks })
    }
}

/// Sinks at work.
pub(super) struct Deliveries {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Deliveries {
    /// Lets them deliver for a moment what waits yet, and ends them.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Tells sinks of each SIGHUP.
async fn pass_on(mut hangups: Hangups, to: watch::Sender<u64>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = hangups.next() => {
                tracing::info!("SIGHUP: log files of sinks are opened anew");
                to.send_modify(|count| *count += 1);
            }
        }
    }
}

/// A sink that takes no history, where another one wants some.
#[derive(Debug)]
struct WithoutHistory(Box<dyn Sink<Parcel>>);

impl Sink<Parcel> for WithoutHistory {
    fn address(&self) -> String {
        self.0.address()
    }

    fn wants(&self, item: &Parcel) -> bool {
        item.origin != Origin::History && self.0.wants(item)
    }

    fn deliver<'a>(&'a mut self, items: &'a [Parcel], context: &'a Context) -> Delivery<'a> {
        self.0.deliver(items, context)
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

fn spool(
    sinks: &[SinkConfig],
    exporter: &Exporter,
    ledgers: Option<&Arc<Ledgers>>,
) -> Result<Spool, StoreError> {
    let readers: Vec<String> = sinks
        .iter()
        .filter(|sink| matches!(sink.opened, Opened::Samples { .. }))
        .map(|sink| sink.name.clone())
        .collect();
    match ledgers {
        Some(store) => Spool::in_store(Arc::clone(store), exporter.spool_size, &readers),
        None => {
            tracing::info!("state_directory is not set: what waits for sinks is lost when the process ends");
            Ok(Spool::in_memory(exporter.spool_size, &readers))
        }
    }
}

impl Surroundings {
    fn driver<T>(&self, sink: Box<dyn Sink<T>>, health: Arc<Health>) -> Driver<T> {
        Driver {
            sink,
            health,
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            hangup: self.hangups.clone(),
        }
    }
}

/// A mistake in a sink ends that sink, and nothing else.
async fn contained(health: Arc<Health>, task: Task) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        health.fail("the sink has ended: this is a fault of the exporter, and a restart may help");
    }
}
