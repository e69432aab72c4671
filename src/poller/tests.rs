//! The loop with a double that speaks `Source`, on paused time: no socket, no waiting.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::*;
use crate::akamai::credentials::{CredentialStore, Environment};
use crate::akamai::{Account, Api, ApiLimit, Manners, SwitchKey};
use crate::clock::{Clock, SharedClock};
use crate::model::{Batch, Family, MetricKind, Target};
use crate::source::Poll;

static VALUE: Family =
    Family { name: "value", help: "A value.", kind: MetricKind::Gauge, labels: &["target"] };

static LIMIT: ApiLimit = ApiLimit {
    name: "double",
    per_minute: 60,
    limit_header: "x-ratelimit-limit",
    remaining_header: "x-ratelimit-remaining",
    largest_answer: 1 << 20,
};

/// A clock that goes with tokio's, from a fixed time on.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> DateTime<Utc> {
        crate::snapshot::sample::start() + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

/// What the double does when it is asked.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer(Duration),
    Fail(Reason),
}

/// Does what it was told, then answers at once; writes down who was asked when.
#[derive(Debug)]
struct Double {
    targets: usize,
    began: Instant,
    acts: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<(u64, usize)>>,
}

impl Source for Double {
    fn targets(&self) -> Vec<Target> {
        (0..self.targets).map(|n| Target { name: format!("target {n}"), labels: Vec::new() }).collect()
    }

    fn limits(&self) -> Vec<&'static ApiLimit> {
        vec![&LIMIT]
    }

    fn poll<'a>(&'a self, target: usize, _: Occasion<'a>) -> Poll<'a> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.began.elapsed().as_secs(), target));
        let act = self.acts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        Box::pin(async move {
            match act.unwrap_or(Act::Answer(Duration::ZERO)) {
                Act::Fail(reason) => Err(ApiError::new(reason, "as told")),
                Act::Answer(after) => {
                    tokio::time::sleep(after).await;
                    let mut batch = Batch::default();
                    batch.push(&VALUE, [&target.to_string().into()], 1.0);
                    Ok(batch)
                }
            }
        })
    }
}

struct Scene {
    source: Arc<Double>,
    store: Arc<Store>,
    stop: CancellationToken,
    call: mpsc::Sender<()>,
    poller: Option<Poller>,
    calls: Option<mpsc::Receiver<()>>,
}

fn api(telemetry: &Arc<Telemetry>, clock: &SharedClock) -> Arc<Api> {
    let variables = [
        ("AKAMAI_HOST", "h.example"),
        ("AKAMAI_CLIENT_TOKEN", "c"),
        ("AKAMAI_CLIENT_SECRET", "s"),
        ("AKAMAI_ACCESS_TOKEN", "a"),
    ];
    let nowhere = std::path::Path::new("/nowhere");
    let (credentials, _) = CredentialStore::open(&Environment::of(variables), nowhere, "default").unwrap();
    let second = Duration::from_secs(1);
    let manners = Manners { share: 1.0, timeout: second, retry_pause: second, block_pause: second };
    let (clock, telemetry) = (Arc::clone(clock), Arc::clone(telemetry));
    let account =
        Account::new("default", Arc::new(credentials), SwitchKey::Inherited, manners, clock, telemetry);
    Arc::new(Api::new(Arc::new(account), &LIMIT))
}

impl Scene {
    fn new(targets: usize, schedule: Schedule, acts: &[Act]) -> Self {
        let clock: SharedClock = Arc::new(PausedClock(Instant::now()));
        let (acts, asked) = (Mutex::new(acts.iter().copied().collect()), Mutex::default());
        let source = Arc::new(Double { targets, began: Instant::now(), acts, asked });
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let interval = schedule.interval(clock.now());
        let info = Arc::new(SourceInfo {
            account: "default".to_owned(),
            name: "double".to_owned(),
            kind: "double",
            api: "double",
            schedule: schedule.to_string(),
            interval,
            targets: source.targets(),
        });
        let store = Arc::new(Store::new(vec![Arc::clone(&info)], Vec::new()));
        let demand = 60.0 * targets as f64 / interval.as_secs_f64();
        let poller = Poller {
            index: 0,
            info,
            source: Arc::clone(&source) as Arc<dyn Source>,
            schedule,
            session: Session {
                account: "default".to_owned(),
                source: "double".to_owned(),
                apis: vec![api(&telemetry, &clock)],
                store: None,
                push: None,
                clock,
            },
            demands: (Arc::new([demand]), 0),
            stale_after: 3,
            store: Arc::clone(&store),
            telemetry,
        };
        let (call, calls) = mpsc::channel(1);
        Self { source, store, stop: CancellationToken::new(), call, poller: Some(poller), calls: Some(calls) }
    }

    /// Lets the poller run for so long.
    async fn run(&mut self, time: Duration) {
        let (poller, calls) = (self.poller.take().unwrap(), self.calls.take().unwrap());
        let stop = self.stop.clone();
        let (ended, ()) = tokio::join!(poller.run(calls, stop.clone()), async {
            tokio::time::sleep(time).await;
            stop.cancel();
        });
        ended.unwrap();
    }

    fn asked(&self) -> Vec<(u64, usize)> {
        self.source.asked.lock().unwrap().clone()
    }

    fn times(&self) -> Vec<u64> {
        self.asked().into_iter().map(|(at, _)| at).collect()
    }
}

fn every(seconds: u64) -> Schedule {
    Schedule::Every(Duration::from_secs(seconds))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn polls_on_its_interval_and_publishes() {
    let mut scene = Scene::new(1, every(60), &[]);
    scene.run(seconds(200)).await;
    assert_eq!(scene.times(), [0, 60, 120, 180]);
    let snapshot = scene.store.current();
    let state = &snapshot.sources[0].targets[0];
    let at = crate::snapshot::sample::start() + TimeDelta::seconds(180);
    assert_eq!((state.last_success, state.next_due), (Some(at), Some(at + TimeDelta::seconds(60))));
    assert_eq!(state.data.as_ref().unwrap().expires, at + TimeDelta::seconds(180));
}

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_budget_and_spread() {
    let mut scene = Scene::new(4, every(40), &[]);
    scene.run(seconds(100)).await;
    let asked = scene.asked();
    assert_eq!(asked[..4], [(0, 0), (1, 1), (2, 2), (3, 3)], "the first round at the pace of the budget");
    assert_eq!(asked[asked.len() - 5..], [(50, 1), (60, 2), (70, 3), (80, 0), (90, 1)][..], "then spread");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_rotated_and_told() {
    // Sixty a minute allowed, 180 wanted.
    let mut scene = Scene::new(90, every(30), &[]);
    scene.run(seconds(181)).await;
    let asked = scene.asked();
    let counts: Vec<_> = (0..90).map(|target| asked.iter().filter(|(_, t)| *t == target).count()).collect();
    assert!(counts.iter().all(|count| (2..=3).contains(count)), "{counts:?}");
    assert_eq!(scene.store.current().sources[0].effective_interval, seconds(90));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_delays_nobody_else_and_is_not_asked_twice() {
    let mut scene = Scene::new(2, every(20), &[Act::Answer(seconds(50))]);
    scene.run(seconds(60)).await;
    let of = |target| {
        scene.asked().into_iter().filter(move |(_, t)| *t == target).map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(of(0), [0], "under way until 50, due again at 60");
    assert!(of(1).len() >= 3, "{:?}", of(1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_data_and_is_retried_early() {
    let timeout = Act::Fail(Reason::Timeout);
    let mut scene = Scene::new(1, every(120), &[Act::Answer(Duration::ZERO), timeout]);
    scene.run(seconds(200)).await;
    assert_eq!(scene.times(), [0, 120, 135]);
    let mut scene = Scene::new(1, every(120), &[Act::Answer(Duration::ZERO), timeout]);
    scene.run(seconds(130)).await;
    let snapshot = scene.store.current();
    let state = &snapshot.sources[0].targets[0];
    assert_eq!((state.is_up(), state.failures, state.data.is_some()), (Some(false), 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_cron_schedule_waits_for_calls_after_the_first_poll() {
    let cron = Schedule::Cron(Box::new("*/5 * * * *".parse().unwrap()));
    let mut scene = Scene::new(1, cron, &[]);
    let call = scene.call.clone();
    tokio::join!(scene.run(seconds(1000)), async move {
        tokio::time::sleep(seconds(300)).await;
        call.send(()).await.unwrap();
    });
    assert_eq!(scene.times(), [0, 300]);
    let due = scene.store.current().sources[0].targets[0].next_due;
    assert_eq!(due, Some("2026-11-20T10:10:00Z".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_the_process_is_survived() {
    let mut scene = Scene::new(1, every(2), &[]);
    let stop = scene.stop.clone();
    let (poller, calls) = (scene.poller.take().unwrap(), scene.calls.take().unwrap());
    let (ended, ()) = tokio::join!(poller.run(calls, stop.clone()), async {
        tokio::time::sleep(seconds(3)).await;
        // Nothing runs while the clock jumps: as if the process had been stopped.
        tokio::time::advance(seconds(60)).await;
        tokio::time::sleep(seconds(6)).await;
        stop.cancel();
    });
    ended.unwrap();
    let late = scene.times().into_iter().filter(|at| *at >= 63).count();
    assert!((3..=5).contains(&late), "{:?}", scene.times());
}
