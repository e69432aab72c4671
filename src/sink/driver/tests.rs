use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::Delivery;
use super::super::health::Info;
use super::*;
use crate::clock::ManualClock;
use crate::model::Origin;
use crate::model::Parcel;
use crate::sink::backlog::Spooled;
use crate::sink::sample as items;
use crate::snapshot::sample;
use crate::spool::Spool;
use crate::telemetry::Telemetry;

/// What a sink does when asked.
#[derive(Clone, Debug)]
enum Answer {
    Take(usize),
    Fail(Option<u64>),
    Refuse,
    Hang,
    Nothing,
}

/// A sink that does as it is told, and tells what it was given.
#[derive(Debug)]
struct Puppet {
    answers: Mutex<VecDeque<Answer>>,
    given: mpsc::UnboundedSender<Vec<i64>>,
    reopened: Arc<Mutex<u32>>,
}

impl Sink<Parcel> for Puppet {
    fn address(&self) -> String {
        "nowhere".to_owned()
    }

    fn wants(&self, item: &Parcel) -> bool {
        item.origin == Origin::Settled
    }

    fn deliver<'a>(&'a mut self, items: &'a [Parcel], _: &'a Context) -> Delivery<'a> {
        let numbers = items.iter().map(|item| (item.time - items::start()).num_minutes() / 5).collect();
        self.given.send(numbers).unwrap();
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Take(usize::MAX));
        Box::pin(async move {
            let sent = |done: usize| items[..done].iter().map(|item| item.len() as u64).sum();
            match answer {
                Answer::Take(most) => {
                    let done = most.min(items.len());
                    Outcome { done, sent: sent(done), ..Outcome::default() }
                }
                Answer::Fail(after) => {
                    let retry_after = after.map(Duration::from_secs);
                    let failure = Failure { message: "no".to_owned(), retry_after };
                    Outcome { failure: Some(failure), ..Outcome::default() }
                }
                Answer::Refuse => {
                    Outcome { done: 1, refused: Some((sent(1), "never".to_owned())), ..Outcome::default() }
                }
                Answer::Hang => std::future::pending().await,
                Answer::Nothing => Outcome::default(),
            }
        })
    }

    fn reopen(&mut self) {
        *self.reopened.lock().unwrap() += 1;
    }
}

struct Stage {
    spool: Arc<Spool>,
    health: Arc<Health>,
    given: mpsc::UnboundedReceiver<Vec<i64>>,
    reopened: Arc<Mutex<u32>>,
    hangup: watch::Sender<u64>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

fn stage(answers: &[Answer]) -> Stage {
    let (clock, telemetry) = (ManualClock::at(sample::start()), Arc::new(Telemetry::new().unwrap()));
    let clock: SharedClock = Arc::new(clock);
    let info =
        Info { name: "puppet".to_owned(), kind: "puppet", address: "nowhere".to_owned(), takes: "samples" };
    let health = Arc::new(Health::new(info, telemetry, Arc::clone(&clock)));
    let (sender, given) = mpsc::unbounded_channel();
    let reopened = Arc::<Mutex<u32>>::default();
    let puppet = Puppet {
        answers: Mutex::new(answers.iter().cloned().collect()),
        given: sender,
        reopened: Arc::clone(&reopened),
    };
    let (hangup, hangups) = watch::channel(0);
    let spool = Arc::new(Spool::in_memory(1 << 20, &["puppet".to_owned()]));
    let driver = Driver {
        sink: Box::new(puppet),
        health: Arc::clone(&health),
        store: Arc::new(sample::store()),
        clock,
        hangup: hangups,
    };
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(driver.run(Spooled::of(Arc::clone(&spool), "puppet"), stop.clone()));
    Stage { spool, health, given, reopened, hangup, stop, running }
}

fn window(number: i32) -> Parcel {
    items::window(Origin::Settled, number)
}

/// Lets all that can happen at this instant happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_it_wants_is_delivered_once_and_in_order() {
    let mut stage = stage(&[Answer::Take(1)]);
    stage.spool.append(&[window(0), items::estats(), window(1)]).unwrap();
    assert_eq!(stage.given.recv().await.unwrap(), [0, 1]);
    assert_eq!(stage.given.recv().await.unwrap(), [1], "the first was done");
    stage.spool.append(&[items::window(Origin::Early, 2)]).unwrap();
    stage.spool.append(&[window(2)]).unwrap();
    assert_eq!(stage.given.recv().await.unwrap(), [2]);
    settle().await;
    let state = stage.health.state();
    assert_eq!((state.is_up, state.sent, state.waiting, state.lost), (Some(true), 36, 0, 0));
    assert_eq!(stage.spool.fill().0, 0, "what it does not want is done with too");
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_with_growing_pauses_or_when_the_receiver_says() {
    let answers =
        [Answer::Fail(None), Answer::Fail(None), Answer::Fail(Some(30)), Answer::Nothing, Answer::Refuse];
    let mut stage = stage(&answers);
    stage.spool.append(&[window(0)]).unwrap();
    let began = Instant::now();
    let mut at = Vec::new();
    for _ in 0..5 {
        assert_eq!(stage.given.recv().await.unwrap(), [0]);
        at.push(began.elapsed().as_secs());
    }
    assert_eq!(at, [0, 1, 3, 33, 41], "1 s, 2 s, as said, 8 s");
    settle().await;
    let state = stage.health.state();
    assert_eq!((state.is_up, state.sent, state.refused, state.waiting), (Some(true), 0, 12, 0));
    assert_eq!(state.last_failure.unwrap().1, "nothing was delivered");
    assert_eq!(state.last_refusal.unwrap().1, "never");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_is_given_up_and_what_waits_is_seen() {
    let mut stage = stage(&[Answer::Hang]);
    stage.spool.append(&[window(0)]).unwrap();
    stage.given.recv().await.unwrap();
    stage.spool.append(&[window(1), window(2)]).unwrap();
    tokio::time::sleep(LOOK * 2).await;
    assert_eq!(stage.health.state().waiting, 36);
    assert_eq!(stage.given.recv().await.unwrap(), [0], "tried again");
    assert!(stage.health.state().last_failure.unwrap().1.contains("120 s"));
    assert_eq!(stage.given.recv().await.unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn files_are_opened_anew_when_it_is_idle_and_when_it_is_not() {
    let mut stage = stage(&[Answer::Fail(None)]);
    stage.hangup.send_modify(|count| *count += 1);
    settle().await;
    assert_eq!(*stage.reopened.lock().unwrap(), 1);
    stage.spool.append(&[window(0)]).unwrap();
    stage.given.recv().await.unwrap();
    stage.hangup.send_modify(|count| *count += 1);
    stage.given.recv().await.unwrap();
    assert_eq!(*stage.reopened.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_it_stops_what_waits_is_delivered_yet() {
    let mut stage = stage(&[]);
    settle().await;
    stage.spool.append(&[window(0)]).unwrap();
    stage.stop.cancel();
    stage.running.join_next().await.unwrap().unwrap();
    assert_eq!(stage.given.recv().await.unwrap(), [0]);
    assert_eq!(stage.spool.waiting("puppet"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_or_fails_does_not_keep_it_from_stopping() {
    for answer in [Answer::Hang, Answer::Fail(Some(300))] {
        let mut stage = stage(&[answer.clone(), answer]);
        stage.spool.append(&[window(0)]).unwrap();
        stage.given.recv().await.unwrap();
        let began = Instant::now();
        stage.stop.cancel();
        stage.running.join_next().await.unwrap().unwrap();
        assert!(began.elapsed() <= UNDER_WAY + LAST * 2);
        assert_eq!(stage.spool.waiting("puppet"), 12, "it is there after a restart");
    }
}
