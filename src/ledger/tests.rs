//! A simulated report, polled in every disorder: what the counters have risen by in the end is what the report says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::store::Store;
use super::*;

const RULES: Rules =
    Rules { lag: TimeDelta::minutes(15), settle: TimeDelta::minutes(60), look_back: TimeDelta::hours(24) };

const WIDTH: usize = 2;

fn members(codes: &[u64]) -> Members {
    Arc::new(codes.iter().copied().collect())
}

fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_200 + minutes * 60, 0).unwrap()
}

fn row(window: Window, member: u64, class: &str, sums: [u64; WIDTH]) -> Row {
    let key = vec![member.to_string().into(), class.into()];
    Row { window, member, key, sums: sums.into() }
}

fn reading(windows: Range<Window>, codes: &[u64], rows: Vec<Row>) -> Reading {
    Reading { windows, members: members(codes), rows, unusable: BTreeSet::new() }
}

/// What is shown: label values to counters.
fn shown(ledger: &mut Ledger) -> BTreeMap<String, Vec<u64>> {
    ledger.show().map(|series| (series.key.join(" "), series.counters().to_vec())).collect()
}

/// A ledger that has opened its first window at minute 0, with that window.
fn opened(codes: &[u64]) -> (Ledger, Window) {
    let mut ledger = Ledger::new(RULES, WIDTH);
    ledger.open(minute(0), &members(codes));
    assert_eq!(ledger.give_up(minute(0)), Lost::default());
    let window = *ledger.windows.keys().next().unwrap();
    (ledger, window)
}

#[test]
fn a_series_is_at_0_until_it_was_seen_and_then_rises() {
    let (mut ledger, window) = opened(&[1]);
    ledger.expect(1, &["1".into(), "2xx".into()]);
    ledger.take(minute(0), vec![reading(window..window.plus(1), &[1], vec![row(window, 1, "2xx", [5, 50])])]);
    assert_eq!(shown(&mut ledger)["1 2xx"], [0, 0]);
    assert_eq!(shown(&mut ledger)["1 2xx"], [0, 0], "nobody has looked yet");
    assert_eq!(ledger.tally().read, 0, "as the sums");
    ledger.reveal();
    assert_eq!(shown(&mut ledger)["1 2xx"], [5, 50]);
    assert_eq!(ledger.tally(), Tally { read: 1, ..Tally::default() });
}

#[test]
fn revisions_add_the_difference_and_a_fall_is_carried() {
    let (mut ledger, window) = opened(&[1]);
    let take = |ledger: &mut Ledger, at: i64, window: Window, hits: u64| {
        ledger.open(minute(at), &members(&[1]));
        ledger.take(
            minute(at),
            vec![reading(window..window.plus(1), &[1], vec![row(window, 1, "2xx", [hits, 0])])],
        );
        ledger.reveal();
        shown(ledger)["1 2xx"][0]
    };
    assert_eq!(take(&mut ledger, 0, window, 100), 0);
    assert_eq!(take(&mut ledger, 1, window, 100), 100);
    assert_eq!(take(&mut ledger, 2, window, 120), 120);
    assert_eq!(take(&mut ledger, 3, window, 90), 120, "30 too many");
    assert_eq!(take(&mut ledger, 5, window.plus(1), 10), 120, "20 too many yet");
    assert_eq!(take(&mut ledger, 6, window.plus(1), 40), 130);
    assert_eq!(take(&mut ledger, 60, window, 90), 130);
    assert_eq!(ledger.tally(), Tally { read: 2, revised: 2, settled: 1, lost: 0 });
    assert!(!ledger.windows.contains_key(&window), "it is done with");
    ledger
        .take(minute(61), vec![reading(window..window.plus(1), &[1], vec![row(window, 1, "2xx", [999, 0])])]);
    assert_eq!(shown(&mut ledger)["1 2xx"], [130, 0], "what is settled is not read again");
}

#[test]
fn an_answer_without_rows_is_believed_only_when_it_is_final() {
    let (mut ledger, window) = opened(&[1]);
    ledger.reveal();
    let empty = |ledger: &mut Ledger, at| {
        ledger.take(minute(at), vec![reading(window..window.plus(1), &[1], Vec::new())]);
    };
    empty(&mut ledger, 0);
    assert_eq!((ledger.pending(), ledger.tally().read, ledger.newest()), (1, 0, None));
    empty(&mut ledger, 50);
    assert_eq!((ledger.pending(), ledger.tally()), (0, Tally { read: 1, settled: 1, ..Tally::default() }));
}

#[test]
fn a_clock_that_was_ahead_leaves_nothing_behind() {
    let (mut ledger, window) = opened(&[1]);
    let day = 24 * 60;
    ledger.open(minute(10 * day), &members(&[1, 2]));
    assert!(ledger.plan(minute(5), 50_000, 1000).iter().all(|ask| ask.windows.end <= window.plus(2)));
    ledger.open(minute(5), &members(&[1, 2]));
    let asks = ledger.plan(minute(5), 50_000, 1000);
    assert_eq!(asks, [Ask { windows: window..window.plus(2), members: members(&[1, 2]) }]);
    assert_eq!((ledger.pending(), ledger.tally().lost, ledger.members[&2].since), (2, 0, window.plus(1)));
}

#[test]
fn a_member_that_was_missing_is_fetched_later_and_counted_lost_at_last() {
    let (mut ledger, window) = opened(&[1, 2]);
    let range = window..window.plus(1);
    ledger.open(minute(1), &members(&[1]));
    ledger.take(minute(50), vec![reading(range.clone(), &[1], vec![row(window, 1, "2xx", [5, 0])])]);
    assert_eq!(ledger.tally().settled, 1);
    assert!(ledger.plan(minute(51), 50_000, 1000).is_empty());
    ledger.open(minute(70), &members(&[1, 2]));
    let asks = ledger.plan(minute(70), 50_000, 1000);
    assert!(asks.contains(&Ask { windows: range.clone(), members: members(&[2]) }), "{asks:?}");
    let mut other = ledger.clone();
    let rows = vec![row(window, 1, "2xx", [7, 0]), row(window, 2, "2xx", [3, 0])];
    ledger.take(minute(70), vec![reading(range, &[1, 2], rows)]);
    ledger.reveal();
    shown(&mut ledger);
    ledger.reveal();
    let after = shown(&mut ledger);
    assert_eq!((after["1 2xx"][0], after["2 2xx"][0]), (5, 3), "of 1 it was settled");
    other.open(minute(25 * 60), &members(&[1, 2]));
    let lost = other.give_up(minute(25 * 60));
    assert_eq!(lost.members, [(2, 1)].into());
    assert!(lost.windows.is_some(), "and all that nobody read meanwhile");
}

#[test]
fn what_cannot_be_used_is_not_known_rather_than_0() {
    let (mut ledger, window) = opened(&[1, 2]);
    let range = window..window.plus(1);
    let rows = |hits| vec![row(window, 1, "2xx", [hits, 0]), row(window, 2, "2xx", [hits, 0])];
    ledger.take(minute(0), vec![reading(range.clone(), &[1, 2], rows(5))]);
    let mut half = reading(range.clone(), &[1, 2], vec![row(window, 1, "2xx", [6, 0])]);
    half.unusable.insert((window, 2));
    ledger.take(minute(1), vec![half]);
    shown(&mut ledger);
    ledger.reveal();
    let after = shown(&mut ledger);
    assert_eq!((after["1 2xx"][0], after["2 2xx"][0]), (6, 5));
    assert!(ledger.windows[&window].without.is_empty());
}

#[test]
fn a_new_member_counts_from_now_on() {
    let (mut ledger, window) = opened(&[1]);
    ledger.open(minute(10), &members(&[1, 2]));
    let rows = (0..3).flat_map(|n| [1, 2].map(|code| row(window.plus(n), code, "2xx", [1, 0]))).collect();
    ledger.take(minute(10), vec![reading(window..window.plus(3), &[1, 2], rows)]);
    shown(&mut ledger);
    ledger.reveal();
    let after = shown(&mut ledger);
    assert_eq!((after["1 2xx"][0], after["2 2xx"][0]), (3, 1));
}

#[test]
fn one_request_where_one_is_enough_and_what_is_missing_first_where_not() {
    let all = |asks: Vec<Ask>| -> Vec<_> {
        asks.into_iter().map(|ask| (ask.windows.start.index(), ask.windows.end.index())).collect()
    };
    let (mut ledger, first) = opened(&[1]);
    ledger.open(minute(60), &members(&[1]));
    let n = first.index();
    assert_eq!(all(ledger.plan(minute(60), 50_000, 1000)), [(n, n + 13)]);
    assert_eq!(all(ledger.plan(minute(60), 50_000, 6)), [(n + 7, n + 13), (n + 1, n + 7), (n, n + 1)]);
    // Six rows a window fit into 50 rows a request for six windows.
    let rows = (0..13).flat_map(|w| (0..6).map(move |c| row(first.plus(w), 1, &format!("{c}xx"), [1, 1])));
    ledger.take(minute(60), vec![reading(first..first.plus(13), &[1], rows.collect())]);
    ledger.open(minute(65), &members(&[1]));
    assert_eq!(all(ledger.plan(minute(65), 50, 1000)), [(n + 8, n + 14)], "the new one, filled up");
    let rows = (8..14).flat_map(|w| (0..6).map(move |c| row(first.plus(w), 1, &format!("{c}xx"), [1, 1])));
    ledger.take(minute(65), vec![reading(first.plus(8)..first.plus(14), &[1], rows.collect())]);
    assert_eq!(
        all(ledger.plan(minute(67), 50, 1000)),
        [(n + 4, n + 10)],
        "those read longest ago, unless settled"
    );
    assert_eq!(ledger.tally().settled, 4);
    ledger.open(minute(140), &members(&[1]));
    let asks = all(ledger.plan(minute(140), 50, 1000));
    assert!(asks.contains(&(n + 4, n + 10)), "overdue besides what is missing: {asks:?}");
}

#[test]
fn a_long_outage_is_fetched_as_far_back_as_allowed_and_the_rest_is_lost() {
    let (mut ledger, first) = opened(&[1]);
    ledger.open(minute(48 * 60), &members(&[1]));
    let lost = ledger.give_up(minute(48 * 60));
    let oldest = Window::ended_by(minute(24 * 60));
    assert_eq!(lost.windows, Some(first..oldest));
    assert_eq!(ledger.tally().lost, oldest.index().abs_diff(first.index()));
    assert_eq!(ledger.pending() as i64, (24 * 60 - 15) / 5 + 1);
}

/// What happens to a poll.
#[derive(Clone, Debug)]
enum Event {
    /// Minutes pass.
    Pass(i64),
    Poll,
    /// The same answer twice in a poll, and again in the next one.
    PollTwice,
    /// Only some windows are answered.
    PollInPart(usize),
    /// One member's rows cannot be used.
    PollSpoilt(u64),
    /// The process dies after the transaction, or before it.
    Kill {
        saved: bool,
    },
    /// A scrape reads what was last published.
    Scrape,
    /// A member is refused from now on, or not any more.
    Toggle(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_i64..12).prop_map(Event::Pass),
        1 => (30_i64..150).prop_map(Event::Pass),
        6 => Just(Event::Poll),
        1 => Just(Event::PollTwice),
        2 => (0_usize..5).prop_map(Event::PollInPart),
        1 => (1_u64..4).prop_map(Event::PollSpoilt),
        2 => any::<bool>().prop_map(|saved| Event::Kill { saved }),
        4 => Just(Event::Scrape),
        1 => (1_u64..4).prop_map(Event::Toggle),
    ]
}

/// The report: what it says of a window at an age, which grows, may be too high for a while, and is final at 50 minutes.
fn report(seed: u64, window: Window, member: u64, class: u64, age: TimeDelta) -> Option<[u64; WIDTH]> {
    let mix = |salt: u64| {
        let mut n = seed ^ (window.index() as u64) << 20 ^ member << 8 ^ class << 4 ^ salt;
        n = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (n ^ n >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
    };
    let last = if mix(1) % 5 == 0 { 0 } else { mix(2) % 1000 };
    let now = match age.num_minutes() {
        50.. => last,
        ..9 => 0,
        minutes if mix(3) % 4 == 0 => last + (50 - minutes as u64) * 3,
        minutes if mix(4) % 6 == 0 && minutes < 30 => 0,
        minutes => last * (minutes as u64 + 50) / 100,
    };
    (now > 0).then_some([now, now * 17])
}

/// A process with its store, and a Prometheus that adds up what it scrapes.
struct World {
    seed: u64,
    now: i64,
    refused: BTreeSet<u64>,
    directory: TempDir,
    store: Option<Store>,
    ledger: Ledger,
    /// What `/metrics` has, and whether a scrape has read it.
    published: BTreeMap<String, Vec<u64>>,
    is_served: bool,
    /// For each series the last value scraped and the sum of all increments.
    scraped: BTreeMap<String, (u64, u64)>,
    first: Window,
    /// What push sinks got, in that order.
    sent: Vec<Outgoing>,
    /// Whether so many windows had to wait for one that they went before it.
    was_held_up: bool,
}

/// What push sinks want.
const PUSH: Push = Push { early: Some(TimeDelta::minutes(40)) };

const CODES: [u64; 3] = [1, 2, 3];

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), minute(0)).unwrap();
        let mut world = Self {
            seed,
            now: 0,
            refused: BTreeSet::new(),
            directory,
            store: Some(store),
            ledger: Ledger::new(RULES, WIDTH),
            published: BTreeMap::new(),
            is_served: false,
            scraped: BTreeMap::new(),
            first: Window::ended_by(minute(0) - RULES.lag),
            sent: Vec::new(),
            was_held_up: false,
        };
        world.ledger.push(Some(PUSH));
        world.poll(usize::MAX, None, 1, true);
        world.scrape();
        world
    }

    fn answer(&self, ask: &Ask, spoilt: Option<u64>) -> Reading {
        let mut reading = reading(ask.windows.clone(), &[], Vec::new());
        reading.members = Arc::clone(&ask.members);
        for number in ask.windows.start.index()..ask.windows.end.index() {
            let window = Window::number(number);
            for member in ask.members.iter() {
                if spoilt == Some(*member) {
                    reading.unusable.insert((window, *member));
                    continue;
                }
                for class in 0..3 {
                    let sums = report(self.seed, window, *member, class, window.age(minute(self.now)));
                    reading.rows.extend(sums.map(|sums| row(window, *member, &format!("{class}xx"), sums)));
                }
            }
        }
        reading
    }

    fn poll(&mut self, answered: usize, spoilt: Option<u64>, times: usize, is_saved: bool) {
        let active: Members =
            Arc::new(CODES.into_iter().filter(|code| !self.refused.contains(code)).collect());
        if std::mem::take(&mut self.is_served) {
            self.ledger.reveal();
        }
        self.ledger.open(minute(self.now), &active);
        let asks = self.ledger.plan(minute(self.now), 80, 8);
        let readings: Vec<_> = asks.iter().take(answered).map(|ask| self.answer(ask, spoilt)).collect();
        for member in active.iter() {
            for class in 0..2 {
                self.ledger.expect(*member, &[member.to_string().into(), format!("{class}xx").into()]);
            }
        }
        let all = std::iter::repeat_n(readings, times).flatten().collect();
        if !asks.is_empty() && answered > 0 {
            self.ledger.give_up(minute(self.now));
        }
        self.ledger.take(minute(self.now), all);
        self.was_held_up |= self.ledger.outgoing().len() > outgoing::MOST_HELD;
        self.ledger.forget_idle();
        if is_saved {
            self.sent.extend_from_slice(self.ledger.outgoing());
            self.store.as_ref().unwrap().save("report", "shape", &mut self.ledger, &[]).unwrap();
        }
        // A poll of which a part failed publishes nothing.
        if is_saved && asks.len() <= answered {
            self.published = shown(&mut self.ledger);
        }
    }

    fn kill(&mut self) {
        self.store = None;
        self.published.clear();
        self.is_served = false;
        let store = Store::open(self.directory.path(), minute(self.now)).unwrap();
        self.ledger = store.load("report", "shape", RULES, WIDTH).unwrap().unwrap();
        self.ledger.push(Some(PUSH));
        self.store = Some(store);
    }

    fn scrape(&mut self) {
        for (series, values) in &self.published {
            for (at, value) in values.iter().enumerate() {
                let (last, sum) = self.scraped.entry(format!("{series} {at}")).or_insert_with(|| {
                    assert_eq!(*value, 0, "{series} is new and not at 0");
                    (0, 0)
                });
                assert!(value >= last, "{series} falls from {last} to {value}");
                *sum += value - *last;
                *last = *value;
            }
        }
        self.is_served |= !self.published.is_empty();
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Pass(minutes) => self.now += minutes,
            Event::Poll => self.poll(usize::MAX, None, 1, true),
            Event::PollTwice => self.poll(usize::MAX, None, 2, true),
            Event::PollInPart(answered) => self.poll(*answered, None, 1, true),
            Event::PollSpoilt(member) => self.poll(usize::MAX, Some(*member), 1, true),
            Event::Kill { saved: true } => self.kill(),
            Event::Kill { saved: false } => {
                self.poll(usize::MAX, None, 1, false);
                self.kill();
            }
            Event::Scrape => self.scrape(),
            Event::Toggle(code) if self.refused.contains(code) => drop(self.refused.remove(code)),
            Event::Toggle(code) => drop(self.refused.insert(*code)),
        }
    }

    /// Goes on in health until everything is settled and shown; in the end nothing is read that may yet change.
    fn finish(&mut self) {
        self.refused.clear();
        self.ledger.rules.lag = RULES.settle;
        for step in [10; 60].into_iter().chain([0; 12]) {
            self.now += step;
            self.poll(usize::MAX, None, 1, true);
            self.scrape();
        }
    }

    /// What push sinks got of each series and window, in the order in which it came.
    fn sent(&self, is_early: bool) -> BTreeMap<String, Vec<(Window, Vec<u64>)>> {
        let mut sent = BTreeMap::<_, Vec<_>>::new();
        for outgoing in self.sent.iter().filter(|outgoing| outgoing.is_early == is_early) {
            for (key, sums) in &outgoing.lines {
                sent.entry(key.join(" ")).or_default().push((outgoing.window, sums.clone()));
            }
        }
        sent
    }

    /// Every settled window is with the push sinks once, with the report's last word.
    fn check_sent(&self, is_smooth: bool) {
        let (settled, early) = (self.sent(false), self.sent(true));
        let frontier = self.ledger.settled_until().unwrap();
        for (series, windows) in settled.iter().chain(&early) {
            let once: BTreeSet<Window> = windows.iter().map(|(window, _)| *window).collect();
            assert_eq!(once.len(), windows.len(), "{series} comes twice");
        }
        for (series, windows) in settled.iter().filter(|_| is_smooth && !self.was_held_up) {
            assert!(windows.is_sorted_by_key(|(window, _)| *window), "{series} is out of order");
        }
        let members = |is_early: bool| -> BTreeSet<(Window, String)> {
            let outgoing = self.sent.iter().filter(|outgoing| outgoing.is_early == is_early);
            let lines =
                outgoing.flat_map(|outgoing| outgoing.lines.iter().map(|line| (outgoing.window, &line.0)));
            lines.map(|(window, key)| (window, key[0].to_string())).collect()
        };
        let missing: Vec<_> = members(false).difference(&members(true)).cloned().collect();
        assert!(missing.is_empty(), "never sent early: {missing:?}");
        for (member, class) in CODES.iter().flat_map(|member| (0..3).map(move |class| (member, class))) {
            let series = format!("{member} {class}xx");
            let got: BTreeMap<_, _> = settled.get(&series).into_iter().flatten().cloned().collect();
            let mut window = self.first;
            while window.end() <= frontier {
                let last = report(self.seed, window, *member, class, TimeDelta::hours(9));
                let got = got.get(&window).filter(|sums| sums.iter().any(|sum| *sum > 0));
                assert_eq!(got, last.map(Vec::from).as_ref(), "{series} in {window}");
                window = window.plus(1);
            }
        }
    }

    /// What the report says in the end of all windows that are settled, and what of the others was read last.
    fn expected(&self) -> BTreeMap<String, u64> {
        let mut expected = BTreeMap::new();
        let mut window = self.first;
        while window < self.ledger.next.unwrap() {
            for (member, class) in CODES.iter().flat_map(|member| (0..3).map(move |class| (member, class))) {
                // What was last read of a window that is not settled is as old as the last poll.
                let age = window.age(minute(self.now));
                let sums = report(self.seed, window, *member, class, age).unwrap_or_default();
                for (at, sum) in sums.into_iter().enumerate() {
                    *expected.entry(format!("{member} {class}xx {at}")).or_default() += sum;
                }
            }
            window = window.plus(1);
        }
        expected
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_increments_add_up_to_the_report(seed: u64, events in proptest::collection::vec(event(), 1..80)) {
        let mut world = World::new(seed);
        for event in &events {
            world.apply(event);
        }
        world.finish();
        let lost = world.ledger.tally().lost;
        prop_assume!(lost == 0);
        let is_smooth = !events.iter().any(|event| matches!(event, Event::Toggle(_) | Event::PollSpoilt(_)));
        world.check_sent(is_smooth);
        for (series, expected) in world.expected() {
            let (last, sum) = world.scraped.get(&series).copied().unwrap_or_default();
            let series_at = series.rsplit_once(' ').unwrap();
            let due = world.ledger.book.series.values().find(|s| s.key.join(" ") == series_at.0);
            let due = due.map_or(0, |s| s.due[series_at.1.parse::<usize>().unwrap()]);
            assert_eq!(last, sum);
            assert_eq!(due, expected, "{series} of the report is due");
            assert_eq!(sum, due, "{series}: nothing is carried any more");
        }
    }
}

#[test]
fn push_sinks_get_windows_early_once_and_settled_in_order() {
    let mut ledger = Ledger::new(RULES, WIDTH);
    ledger.push(Some(PUSH));
    let both = members(&[1, 2]);
    ledger.open(minute(0), &both);
    let first = Window::ended_by(minute(0) - RULES.lag);
    let read = |ledger: &mut Ledger, at: i64, windows: &[i64], codes: &[u64], sum: u64| {
        for number in windows {
            let window = first.plus(*number);
            let rows = codes.iter().map(|code| row(window, *code, "2xx", [sum, sum])).collect();
            ledger.take(minute(at), vec![reading(window..window.plus(1), codes, rows)]);
        }
        let told = ledger.outgoing().iter().map(|outgoing| {
            let lines: Vec<_> =
                outgoing.lines.iter().map(|(key, sums)| format!("{}={}", key[0], sums[0])).collect();
            let kind = if outgoing.is_early { "early" } else { "settled" };
            format!("{kind} {} {}", outgoing.window.index() - first.index(), lines.join(" "))
        });
        let told: Vec<String> = told.collect();
        ledger.sent();
        told
    };
    ledger.open(minute(60), &both);
    assert_eq!(read(&mut ledger, 10, &[0], &[1, 2], 5), [""; 0], "25 minutes old: too young");
    assert_eq!(read(&mut ledger, 30, &[0], &[1], 6), ["early 0 1=6 2=5"], "45 minutes old");
    assert_eq!(read(&mut ledger, 40, &[0], &[1, 2], 7), [""; 0], "once");
    // The next one is settled before it, and waits.
    assert_eq!(read(&mut ledger, 60, &[1], &[1], 8), ["early 1 1=8"]);
    assert_eq!(
        read(&mut ledger, 61, &[1], &[1, 2], 9),
        ["early 1 2=9"],
        "settled, and a member that was not sent"
    );
    assert_eq!(read(&mut ledger, 62, &[0], &[1, 2], 10), ["settled 0 1=10 2=10", "settled 1 1=9 2=9"]);
    assert_eq!(read(&mut ledger, 63, &[0, 1], &[1, 2], 11), [""; 0], "once");
    // One that is given up goes as it was last read.
    assert_eq!(read(&mut ledger, 64, &[2], &[1], 3), ["early 2 1=3"]);
    ledger.give_up(minute(64 + 24 * 60));
    assert_eq!(read(&mut ledger, 64 + 24 * 60, &[], &[], 0), ["settled 2 1=3"]);
}

#[test]
fn one_window_that_cannot_be_read_does_not_hold_up_the_others_for_ever() {
    let mut ledger = Ledger::new(RULES, WIDTH);
    ledger.push(Some(Push::default()));
    let one = members(&[1]);
    ledger.open(minute(0), &one);
    let first = Window::ended_by(minute(0) - RULES.lag);
    let mut sent = Vec::new();
    for number in 1..=74 {
        let (now, window) = (minute(5 * number + 60), first.plus(number));
        ledger.open(now, &one);
        ledger.take(now, vec![reading(window..window.plus(1), &[1], vec![row(window, 1, "2xx", [1, 1])])]);
        sent.push(ledger.outgoing().len());
        ledger.sent();
    }
    assert_eq!(sent[..72], [0; 72]);
    assert_eq!(sent[72..], [73, 0], "as many as have waited too long, and then they wait again");
}
