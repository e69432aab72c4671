use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;
use std::task::Waker;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::ini::{Problems, parse};
use crate::sink::sample;
use crate::snapshot::Store;

const UNLIMITED: Limits = Limits { max_size: None, max_age: None, keep: 3 };

/// A sink with its file in a directory of its own.
struct Bench {
    directory: TempDir,
    sink: ResponseLog,
    context: Context,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let directory = TempDir::new().unwrap();
        let sink = ResponseLog::new(directory.path().join("responses.log"), limits);
        let clock = Arc::new(ManualClock::at(sample::start()));
        let snapshot = Store::new(Vec::new(), Vec::new()).current();
        Self { directory, sink, context: Context { snapshot, clock } }
    }

    fn path(&self) -> PathBuf {
        self.sink.path.clone()
    }

    /// As after a restart.
    fn restart(&mut self) {
        self.sink = ResponseLog::new(self.path(), self.sink.limits.clone());
    }

    async fn deliver(&mut self, items: &[Exchange]) -> Outcome {
        self.sink.deliver(items, &self.context).await
    }

    #[track_caller]
    fn check(outcome: &Outcome, items: &[Exchange]) {
        assert_eq!(outcome.failure, None);
        assert_eq!((outcome.done, outcome.sent), (items.len(), items.len() as u64));
    }

    /// Delivers exchanges with these numbers.
    async fn log(&mut self, numbers: std::ops::Range<u64>) {
        let items = numbered(numbers);
        Self::check(&self.deliver(&items).await, &items);
    }

    /// What a delivery fails with of which nothing could be done.
    async fn failure(&mut self, numbers: std::ops::Range<u64>) -> String {
        let outcome = self.deliver(&numbered(numbers)).await;
        assert_eq!((outcome.done, outcome.sent, outcome.refused), (0, 0, None));
        outcome.failure.unwrap().message
    }

    /// The numbers of the lines of a file in the directory.
    fn numbers(&self, name: &str) -> Vec<u64> {
        let lines = lines(&self.directory.path().join(name));
        lines.iter().map(|line| line["cpcodes"][0].as_u64().unwrap()).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Every line of a file, each of them whole.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Exchanges that name their number as CP code, a minute after each other.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<Exchange> {
    let good = sample::exchanges().into_iter().next().unwrap();
    numbers.map(|number| Exchange { cpcodes: vec![number], time: minute(number), ..good.clone() }).collect()
}

fn minute(number: u64) -> DateTime<Utc> {
    sample::start() + TimeDelta::minutes(i64::try_from(number).unwrap())
}

/// The length of a line of [`numbered`], of numbers with two digits.
fn length() -> u64 {
    line::line(&numbered(10..11)[0]).unwrap().len() as u64
}

fn by_size(lines: u64, keep: u64) -> Limits {
    Limits { max_size: Some(lines * length()), keep, ..UNLIMITED }
}

fn by_age(minutes: i64) -> Limits {
    Limits { max_age: Some(TimeDelta::minutes(minutes)), ..UNLIMITED }
}

#[tokio::test]
async fn the_sample_set() {
    let mut bench = Bench::new(UNLIMITED);
    let items = sample::exchanges();
    assert!(items.iter().all(|item| bench.sink.wants(item)));
    let outcome = bench.deliver(&items).await;
    Bench::check(&outcome, &items);
    let lines = lines(&bench.path());
    assert_eq!(lines.len(), items.len());
    for (line, item) in lines.iter().zip(&items) {
        assert_eq!(line["time"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), item.time);
        assert_eq!(line["account"].as_str(), Some(item.account.as_str()));
        assert_eq!(line["endpoint"].as_str(), Some(item.endpoint.as_str()));
        assert_eq!(line["status"].as_u64(), item.status.map(u64::from));
        assert_eq!(line["error"].as_str(), item.failure.as_deref());
        assert_eq!(line["body_bytes"].as_u64(), Some(item.body_length as u64));
        assert_eq!(line["body_truncated"].as_bool(), item.is_cut.then_some(true));
        match &line["response"] {
            Value::Null => assert_eq!(line["body"].as_str().unwrap_or_default(), item.body),
            response => assert_eq!(*response, serde_json::from_str::<Value>(&item.body).unwrap()),
        }
    }
    assert!(lines[1]["response"].is_object() && lines[4]["body"].is_string());
    let mode = std::fs::metadata(bench.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    assert_eq!(bench.sink.address(), bench.path().display().to_string());
}

#[tokio::test]
async fn rotation_by_size() {
    let mut bench = Bench::new(by_size(3, 2));
    bench.log(10..21).await;
    assert_eq!(bench.names(), ["responses.log", "responses.log.1", "responses.log.2"]);
    assert_eq!(bench.numbers("responses.log"), [19, 20]);
    assert_eq!(bench.numbers("responses.log.1"), [16, 17, 18]);
    // What was before these is deleted.
    assert_eq!(bench.numbers("responses.log.2"), [13, 14, 15]);
    bench.restart();
    bench.log(21..23).await;
    assert_eq!(bench.numbers("responses.log"), [22]);
    assert_eq!(bench.numbers("responses.log.1"), [19, 20, 21]);
}

#[tokio::test]
async fn a_line_larger_than_a_file_has_one_of_its_own() {
    let mut bench = Bench::new(Limits { max_size: Some(10), ..UNLIMITED });
    bench.log(10..12).await;
    assert_eq!((bench.numbers("responses.log"), bench.numbers("responses.log.1")), (vec![11], vec![10]));
}

#[tokio::test]
async fn a_number_that_is_free_is_used_before_anything_is_deleted() {
    let mut bench = Bench::new(by_size(1, 3));
    bench.log(10..14).await;
    std::fs::remove_file(bench.directory.path().join("responses.log.1")).unwrap();
    bench.log(14..15).await;
    let numbers = |number| bench.numbers(&format!("responses.log.{number}"));
    assert_eq!((numbers(1), numbers(2), numbers(3)), (vec![13], vec![11], vec![10]));
}

#[tokio::test]
async fn rotation_by_age() {
    let mut bench = Bench::new(by_age(10));
    bench.log(0..5).await;
    // The first line tells the age, also after a restart.
    bench.restart();
    bench.log(5..10).await;
    assert_eq!(bench.names(), ["responses.log"]);
    bench.log(10..13).await;
    assert_eq!(bench.numbers("responses.log"), [10, 11, 12]);
    assert_eq!(bench.numbers("responses.log.1"), (0..10).collect::<Vec<_>>());
    bench.restart();
    bench.log(20..21).await;
    assert_eq!(bench.numbers("responses.log"), [20]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_put_rotation_off() {
    let mut bench = Bench::new(by_age(10));
    bench.log(1000..1001).await;
    bench.log(0..10).await;
    bench.log(10..11).await;
    assert_eq!(bench.numbers("responses.log"), [10]);
}

#[tokio::test]
async fn a_file_of_somebody_elses_is_as_old_as_it_says() {
    let mut bench = Bench::new(by_age(10));
    let file = std::fs::File::create(bench.path()).unwrap();
    std::fs::write(bench.path(), "{}\n").unwrap();
    file.set_modified(minute(0).into()).unwrap();
    bench.log(10..11).await;
    assert_eq!(bench.names(), ["responses.log", "responses.log.1"]);
}

#[tokio::test]
async fn rotation_that_fails_costs_no_line() {
    let mut bench = Bench::new(by_size(2, 1));
    let obstacle = bench.directory.path().join("responses.log.1");
    std::fs::create_dir(&obstacle).unwrap();
    bench.log(10..15).await;
    assert_eq!(bench.numbers("responses.log"), [10, 11, 12, 13, 14]);
    std::fs::remove_dir(&obstacle).unwrap();
    bench.log(15..16).await;
    assert_eq!(bench.numbers("responses.log"), [15]);
    assert_eq!(bench.numbers("responses.log.1"), [10, 11, 12, 13, 14]);
}

#[tokio::test]
async fn behind_a_link_the_file_is_rotated_and_not_the_link() {
    let mut bench = Bench::new(by_size(1, 1));
    symlink(bench.directory.path().join("target"), bench.path()).unwrap();
    bench.log(10..12).await;
    assert_eq!(bench.names(), ["responses.log", "target", "target.1"]);
    assert_eq!((bench.numbers("responses.log"), bench.numbers("target.1")), (vec![11], vec![10]));
}

#[tokio::test]
async fn rotated_underneath() {
    let mut bench = Bench::new(UNLIMITED);
    let aside = bench.directory.path().join("aside");
    bench.log(0..2).await;
    // By name, with nobody telling.
    std::fs::rename(bench.path(), &aside).unwrap();
    bench.log(2..4).await;
    assert_eq!((bench.numbers("aside"), bench.numbers("responses.log")), (vec![0, 1], vec![2, 3]));
    // With the new file made by whoever rotates, and a signal.
    std::fs::rename(bench.path(), &aside).unwrap();
    std::fs::write(bench.path(), "").unwrap();
    bench.sink.reopen();
    bench.log(4..6).await;
    assert!(!bench.sink.is_moved);
    assert_eq!((bench.numbers("aside"), bench.numbers("responses.log")), (vec![2, 3], vec![4, 5]));
    // With a copy.
    std::fs::copy(bench.path(), &aside).unwrap();
    std::fs::OpenOptions::new().write(true).open(bench.path()).unwrap().set_len(0).unwrap();
    bench.log(6..8).await;
    assert_eq!((bench.numbers("aside"), bench.numbers("responses.log")), (vec![4, 5], vec![6, 7]));
    // Gone.
    std::fs::remove_file(bench.path()).unwrap();
    bench.log(8..9).await;
    assert_eq!(bench.numbers("responses.log"), [8]);
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back() {
    let mut bench = Bench::new(UNLIMITED);
    let folder = bench.directory.path().join("log");
    std::fs::create_dir(&folder).unwrap();
    bench.sink.path = folder.join("responses.log");
    bench.log(0..1).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let open = format!("cannot open {}: ", bench.path().display());
    assert_eq!(bench.failure(1..3).await, format!("{open}No such file or directory (os error 2)"));
    // A place that nobody can write to, root neither.
    std::fs::write(&folder, "").unwrap();
    assert_eq!(bench.failure(1..3).await, format!("{open}Not a directory (os error 20)"));
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    bench.log(1..3).await;
    assert_eq!(bench.numbers("log/responses.log"), [1, 2]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to() {
    let mut bench = Bench::new(UNLIMITED);
    bench.sink.path = "/sys/kernel/responses.log".into();
    let message = bench.failure(0..1).await;
    assert!(message.starts_with("cannot open /sys/kernel/responses.log: "), "{message}");
}

#[tokio::test]
async fn no_space_left() {
    // No limit applies to what is no file.
    let mut bench = Bench::new(by_size(1, 1));
    symlink("/dev/full", bench.path()).unwrap();
    let message =
        format!("cannot write to {}: No space left on device (os error 28)", bench.path().display());
    assert_eq!(bench.failure(0..3).await, message);
    assert_eq!(bench.failure(0..3).await, message);
    std::fs::remove_file(bench.path()).unwrap();
    bench.sink.limits = UNLIMITED;
    bench.restart();
    bench.log(0..3).await;
    assert_eq!(bench.numbers("responses.log"), [0, 1, 2]);
}

/// A limit on the size of files does what a disk does that becomes full: it takes a part of a line.
#[test]
fn a_disk_that_becomes_full() {
    let script = "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" \"$@\"";
    let own = std::env::current_exe().unwrap();
    let test = "sink::response_log::tests::within_eight_kib";
    let output = Command::new("bash")
        .args(["-c", script, own.to_str().unwrap(), "--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{output:?}");
}

#[tokio::test]
#[ignore = "needs a limit that holds for the whole process: a_disk_that_becomes_full runs it with one"]
async fn within_eight_kib() {
    let mut bench = Bench::new(UNLIMITED);
    let items = numbered(0..100);
    let outcome = bench.deliver(&items).await;
    let message = outcome.failure.expect("a limit: run a_disk_that_becomes_full").message;
    assert!(message.ends_with("File too large (os error 27)"), "{message}");
    let so_far = outcome.done;
    assert!(so_far > 0 && so_far < 100 && outcome.sent == so_far as u64, "{so_far}");
    // What was written of the next line is taken back, as often as it is tried.
    for _ in 0..2 {
        assert_eq!(bench.numbers("responses.log"), (0..so_far as u64).collect::<Vec<_>>());
        bench.failure(so_far as u64..100).await;
    }
    let limit = ["--fsize=unlimited:".to_owned(), format!("--pid={}", std::process::id())];
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    bench.log(so_far as u64..100).await;
    assert_eq!(bench.numbers("responses.log"), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn half_a_line_is_not_joined_to_the_next() {
    let mut bench = Bench::new(UNLIMITED);
    // As a power failure leaves it.
    std::fs::write(bench.path(), "{\"time\":\"2026-11-").unwrap();
    bench.log(0..2).await;
    let text = std::fs::read_to_string(bench.path()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "{\"time\":\"2026-11-"));
    assert!(lines[1..].iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
}

#[tokio::test]
async fn lines_of_two_writers_do_not_mix() {
    let mut bench = Bench::new(by_size(40, 50));
    let mut other = ResponseLog::new(bench.path(), by_size(40, 50));
    let (left, right) = (numbered(10..40), numbered(40..70));
    let (left, right) =
        tokio::join!(bench.sink.deliver(&left, &bench.context), other.deliver(&right, &bench.context));
    assert_eq!((left.done, right.done), (30, 30));
    let mut numbers: Vec<u64> = bench.names().iter().flat_map(|name| bench.numbers(name)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (10..70).collect::<Vec<_>>());
}

/// A pipe that nobody reads stands for a disk that hangs: opening it waits.
#[tokio::test]
async fn a_disk_that_hangs_holds_one_thread_and_doubles_no_line() {
    let mut bench = Bench::new(UNLIMITED);
    assert!(Command::new("mkfifo").arg(bench.path()).status().unwrap().success());
    let items = numbered(0..5);
    for _ in 0..3 {
        // The driver gives up waiting.
        let mut delivery = bench.sink.deliver(&items[..3], &bench.context);
        let mut context = std::task::Context::from_waker(Waker::noop());
        assert!(delivery.as_mut().poll(&mut context).is_pending());
    }
    let pipe = bench.path();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(std::fs::File::open(pipe).unwrap()).lines();
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect::<Vec<Value>>()
    });
    // The oldest has been dropped meanwhile.
    let outcome = bench.deliver(&items[1..]).await;
    assert_eq!((outcome.done, outcome.sent, outcome.failure), (4, 5, None));
    let Bench { sink, .. } = bench;
    drop(sink);
    let lines = reader.join().unwrap();
    let numbers: Vec<_> = lines.iter().map(|line| line["cpcodes"][0].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[test]
fn what_is_there_still() {
    let items = numbered(0..5);
    assert_eq!(still_there(&[], &items), 0);
    assert_eq!(still_there(&items[..2], &items), 2);
    assert_eq!(still_there(&items[..3], &items[1..]), 2);
    assert_eq!(still_there(&items[..2], &items[2..]), 0);
    assert_eq!(still_there(&items, &items[4..]), 1);
}

/// What a section makes, or what is wrong with it.
fn read(lines: &str) -> Result<(usize, String), String> {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = parse(format!("[response_log]\n{lines}").as_bytes(), &mut problems);
    let mut reader = Reader::new(&document.sections[1], KIND.keys.iter(), &mut problems);
    let opened = (KIND.open)(&mut reader, &Options::default());
    match opened {
        Some(Opened::Answers { sink, most_body }) if problems.is_empty() => {
            Ok((most_body, format!("{sink:?}")))
        }
        _ => Err(problems.to_string()),
    }
}

#[test]
fn the_section() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("responses.log");
    let path = format!("path = {}\n", path.display());
    let (most_body, sink) = read(&path).unwrap();
    assert_eq!(most_body, 65_536);
    assert!(sink.contains("max_size: Some(104857600), max_age: Some(TimeDelta { secs: 86400"), "{sink}");
    assert!(sink.contains("keep: 7"), "{sink}");
    let (most_body, sink) =
        read(&format!("{path}max_body = 0\nmax_size = none\nmax_age = 0\nkeep = 1\n")).unwrap();
    assert_eq!(most_body, 0);
    assert!(sink.contains("max_size: None, max_age: None, keep: 1"), "{sink}");
    assert!(!directory.path().join("responses.log").exists(), "a check of the file makes nothing");
}

#[track_caller]
fn check_wrong(lines: &str, message: &str) {
    let problems = read(lines).unwrap_err();
    assert!(problems.contains(message), "{problems}");
}

#[test]
fn mistakes_in_the_section() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().display();
    check_wrong("", "[response_log] has no path; expected one such as");
    check_wrong("path =\n", "path: has no value");
    check_wrong(&format!("path = {folder}\n"), "is a directory; expected a file in it");
    check_wrong(&format!("path = {folder}/a/\n"), "is a directory; expected a file in it");
    let nowhere = format!("path: the directory `{folder}/nowhere` is not there; make it first");
    check_wrong(&format!("path = {folder}/nowhere/a.log\n"), &nowhere);
    let path = format!("path = {folder}/a.log\n");
    check_wrong(&format!("{path}max_body = 17M\n"), "max_body: `17M` is too much");
    check_wrong(&format!("{path}max_size = 100\n"), "max_size: `100` is too small");
    check_wrong(&format!("{path}max_size = large\n"), "max_size: `large` is no size");
    check_wrong(&format!("{path}max_age = never\n"), "max_age: `never` is no duration");
    check_wrong(&format!("{path}keep = 0\n"), "keep: `0` is not accepted");
    check_wrong(&format!("{path}size = 1\n"), "size: unknown key");
}
