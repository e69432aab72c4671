//! The only place that builds the parts and joins them, and that starts tasks which live as long as the process.

pub mod backfill;
pub mod demo;
mod encoder;
mod history;
mod sinks;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::history::Wanted;
use self::sinks::{Deliveries, Sinks};
use crate::akamai::{Account, Api, ApiLimit, Tap};
use crate::clock::SharedClock;
use crate::config::{Config, SourceConfig, demands};
use crate::ledger::Push;
use crate::ledger::store::Store as Ledgers;
use crate::poller::Poller;
use crate::schedule::{CronExpression, Schedule, Timer};
use crate::server::{Site, router, serve};
use crate::snapshot::exposition::Exposition;
use crate::snapshot::{SourceInfo, Store};
use crate::source::{Misconfigured, Session};
use crate::spool::Spool;
use crate::telemetry::Telemetry;

/// Stopping takes no longer than this, whatever hangs.
const LONGEST_STOP: Duration = Duration::from_secs(8);

/// Takes the port, so that one in use is an error before anything has started.
///
/// # Errors
///
/// If the address cannot be listened on.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = match TcpListener::bind(address).await {
        // A machine without IPv6 has all its addresses in IPv4.
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse && address.ip().is_unspecified() => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))).await
        }
        result => result,
    };
    listener.with_context(|| format!("cannot listen on {address}"))
}

/// The daemon: polls and serves until `stop`.
///
/// # Errors
///
/// If a part cannot be started, or ends by itself.
pub async fn run(
    mut config: Config,
    telemetry_path: &str,
    clock: SharedClock,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let telemetry = Arc::new(Telemetry::new().context("own metrics")?);
    let ledgers = config.exporter.state_directory.as_deref().map(|path| Ledgers::open(path, clock.now()));
    let ledgers = ledgers.transpose()?.map(Arc::new);
    let sinks = std::mem::take(&mut config.sinks);
    let sinks = Sinks::new(sinks, &config.exporter, ledgers.as_ref(), &telemetry, &clock)?;
    let apis = apis(&config, &sinks.tap, &clock, &telemetry);
    let infos: Vec<Arc<SourceInfo>> = config.sources.iter().map(|source| Arc::clone(&source.info)).collect();
    let store = Arc::new(Store::new(infos, config.exporter.labels.clone()));
    let (encoded, exposition) = watch::channel(Arc::new(Exposition::of(&store.current(), 0)));
    let site = Site {
        telemetry_path: telemetry_path.into(),
        store: Arc::clone(&store),
        exposition,
        apis: apis.values().cloned().collect(),
        sinks: Arc::clone(&sinks.healths),
        telemetry: Arc::clone(&telemetry),
        clock: Arc::clone(&clock),
        stopping: stop.clone(),
    };
    let parts = Parts {
        apis,
        store: Arc::clone(&store),
        ledgers,
        push: sinks.push.clone(),
        telemetry,
        clock: Arc::clone(&clock),
    };
    let history = parts.history(&config, sinks.history);
    let (pollers, jobs) = parts.pollers(config);
    // The timer wakes twice a second: only where someone waits for it.
    let timer = if jobs.is_empty() { None } else { Some(Timer::start(jobs).await.context("cron timer")?) };
    let mut work = JoinSet::new();
    let deliveries = sinks.start(&store, &clock, history).context("cannot listen to SIGHUP")?;
    let encoder = encoder::run(store, encoded, clock, stop.clone());
    work.spawn(async {
        encoder.await;
        Ok(())
    });
    for (poller, calls) in pollers {
        work.spawn(poller.run(calls, stop.clone()));
    }
    let (quiet, mut server) = (CancellationToken::new(), JoinSet::new());
    let address = listener.local_addr().context("the listener has no address")?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    server.spawn(serve(listener, router(site), quiet.clone()));
    let outcome = attend(&stop, &mut work, &mut server).await;
    stop.cancel();
    let drained = tokio::time::timeout(LONGEST_STOP, drain(work, timer, deliveries, quiet, server)).await;
    if drained.is_err() {
        tracing::warn!("stopped without waiting for connections that do not end");
    }
    tracing::info!("stopped");
    outcome
}

/// Waits for `stop`. A part that ends before is a fault: better to be restarted than to go on in part.
async fn attend(
    stop: &CancellationToken,
    work: &mut Work,
    server: &mut JoinSet<std::io::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        Some(ended) = work.join_next() => match ended {
            Ok(Err(misconfigured)) => Err(misconfigured.into()),
            // The token may have been seen there first.
            Ok(Ok(())) if stop.is_cancelled() => Ok(()),
            Ok(Ok(())) => bail!("a part of the exporter ended by itself"),
            Err(error) => Err(error).context("a part of the exporter failed"),
        },
        Some(ended) = server.join_next() => ended.context("the server failed")?.context("the server failed"),
    }
}

/// Polls end first, then sinks, the server last, so that a scrape under way gets its answer.
async fn drain(
    mut work: Work,
    timer: Option<Timer>,
    deliveries: Deliveries,
    quiet: CancellationToken,
    mut server: JoinSet<std::io::Result<()>>,
) {
    while work.join_next().await.is_some() {}
    tracing::debug!("polls have ended");
    if let Some(timer) = timer {
        timer.stop().await;
    }
    deliveries.end().await;
    quiet.cancel();
    while server.join_next().await.is_some() {}
}

type Work = JoinSet<Result<(), Misconfigured>>;

type Apis = BTreeMap<(String, &'static str), Arc<Api>>;

/// One for each account and API in use: sources that share both share the budget.
fn apis(config: &Config, tap: &Tap, clock: &SharedClock, telemetry: &Arc<Telemetry>) -> Apis {
    let mut apis = Apis::new();
    for account in &config.accounts {
        let name = account.name.as_str();
        tracing::info!(account = name, credentials = %account.credentials.origin(), "account");
        let shared = Account::new(
            name,
            Arc::clone(&account.credentials),
            account.switch_key.clone(),
            account.manners,
            Arc::clone(clock),
            Arc::clone(telemetry),
        );
        let shared = Arc::new(shared.with_tap(tap.clone()));
        let own = config.sources.iter().filter(|source| source.info.account == name);
        for limit in own.flat_map(|source| source.source.limits()) {
            let key = (name.to_owned(), limit.name);
            apis.entry(key).or_insert_with(|| Arc::new(Api::new(Arc::clone(&shared), limit)));
        }
    }
    apis
}

type Calls = mpsc::Receiver<()>;
type Jobs = Vec<(CronExpression, mpsc::Sender<()>)>;

/// What pollers share.
struct Parts {
    apis: Apis,
    store: Arc<Store>,
    ledgers: Option<Arc<Ledgers>>,
    push: Option<(Push, Arc<Spool>)>,
    telemetry: Arc<Telemetry>,
    clock: SharedClock,
}

impl Parts {
    /// The pollers with their ears, and what calls them.
    fn pollers(&self, config: Config) -> (Vec<(Poller, Calls)>, Jobs) {
        let (mut pollers, mut jobs) = (Vec::new(), Vec::new());
        let shares: Vec<_> = (0..config.sources.len()).map(|own| demands(&config.sources, own)).collect();
        for (index, (source, (demands, place))) in config.sources.into_iter().zip(shares).enumerate() {
            self.telemetry.expect_source(&source.info.account, &source.info.name);
            let (call, calls) = mpsc::channel(1);
            if let Schedule::Cron(expression) = &source.schedule {
                jobs.push(((**expression).clone(), call));
            }
            let poller = Poller {
                index,
                session: self.session(&source),
                info: source.info,
                source: source.source,
                schedule: source.schedule,
                demands: (demands.into(), place),
                stale_after: config.exporter.stale_after,
                store: Arc::clone(&self.store),
                telemetry: Arc::clone(&self.telemetry),
            };
            pollers.push((poller, calls));
        }
        (pollers, jobs)
    }

    /// What is to be fetched of the time before push sinks began.
    fn history(&self, config: &Config, age: Option<TimeDelta>) -> Vec<Wanted> {
        let (Some(age), Some((_, spool))) = (age, &self.push) else { return Vec::new() };
        let able = config.sources.iter().filter(|source| source.source.past().is_some());
        able.map(|source| Wanted {
            source: Arc::clone(&source.source),
            session: self.session(source),
            spool: Arc::clone(spool),
            age,
        })
        .collect()
    }

    fn session(&self, source: &SourceConfig) -> Session {
        let account = &source.info.account;
        let api = |limit: &'static ApiLimit| {
            let shared = self.apis.get(&(account.clone(), limit.name))?;
            Some(Arc::new(shared.as_asked_by(&source.info.name)))
        };
        Session {
            account: account.clone(),
            source: source.info.name.clone(),
            apis: source.source.limits().into_iter().filter_map(api).collect(),
            store: self.ledgers.clone(),
            push: self.push.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}
