//! The directory of a backfill: what it is about (`manifest.json`), and how far it has come.
//!
//! Whatever stands there under its name is whole: it was written under another name first. So a backfill that was
//! stopped, or killed, goes on with
//! what is not there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::range::{DAY, show};
use crate::ledger::Window;

/// The form of the manifest.
const VERSION: u32 = 1;

const MANIFEST: &str = "manifest.json";
const LOCK: &str = ".lock";
const PARTIAL: &str = ".partial";
const ELSEWHERE: &str = "name another directory, or remove this one";

/// What a backfill is about: with all of it the same, it is the same backfill.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Manifest {
    pub(super) version: u32,
    pub(super) asked: Asked,
    /// Where the first window begins.
    pub(super) from: DateTime<Utc>,
    /// Where the last window ends.
    pub(super) to: DateTime<Utc>,
    /// What comes of it: `openmetrics`, or `remote-write` with names.
    pub(super) output: String,
    /// The static labels.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) sources: Vec<Asset>,
}

/// `--from` and `--to`, as they were said.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Asked {
    pub(super) from: String,
    pub(super) to: Option<String>,
}

/// A source, with the CP codes that it was found to have.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Asset {
    pub(super) account: String,
    pub(super) source: String,
    /// All that decides what is fetched.
    pub(super) identity: String,
    pub(super) cpcodes: Vec<u64>,
}

impl Manifest {
    pub(super) fn new(
        asked: Asked,
        windows: &Range<Window>,
        output: String,
        labels: BTreeMap<String, String>,
        sources: Vec<Asset>,
    ) -> Self {
        let (from, to) = (windows.start.start(), windows.end.start());
        Self { version: VERSION, asked, from, to, output, labels, sources }
    }

    /// All windows.
    pub(super) fn windows(&self) -> anyhow::Result<Range<Window>> {
        let window = |time: DateTime<Utc>| Window::starting(time.timestamp());
        window(self.from).zip(window(self.to)).map(|(from, to)| from..to).context("its times are no windows")
    }

    /// Whether another one, whose CP codes are not known yet, is the same.
    fn is_same(&self, other: &Self) -> bool {
        let who = |manifest: &Self| -> Vec<(String, String, String)> {
            let who = |one: &Asset| (one.account.clone(), one.source.clone(), one.identity.clone());
            manifest.sources.iter().map(who).collect()
        };
        (self.version, self.from, self.to) == (other.version, other.from, other.to)
            && (&self.output, &self.labels) == (&other.output, &other.labels)
            && who(self) == who(other)
    }

    /// In some words, for people, with what is otherwise in a section of the same name.
    fn describe(&self, other: &Self) -> String {
        let source = |one: &Asset| {
            let namesake =
                other.sources.iter().find(|o| (&o.account, &o.source) == (&one.account, &one.source));
            let is_other = namesake.is_some_and(|namesake| namesake.identity != one.identity);
            let other = if is_other { " (with CP codes, dimensions or metrics of its own)" } else { "" };
            format!("{}/{}{other}", one.account, one.source)
        };
        let sources: Vec<String> = self.sources.iter().map(source).collect();
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let labels = if labels.is_empty() {
            "no labels".to_owned()
        } else {
            format!("the labels {}", labels.join(", "))
        };
        let (from, to) = (show(self.from), show(self.to));
        format!("{} from {from} to {to} of {} with {labels}", self.output, sources.join(", "))
    }

    /// The manifest that is in a directory, if there is one.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Option<Self>> {
        let file = directory.join(MANIFEST);
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                anyhow!("{} is no manifest of this version ({error}): {ELSEWHERE}", file.display())
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }
}

/// The directory, which nobody else uses meanwhile.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Takes it, and makes it where it is missing.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot make {name}"))?;
        let lock = File::create(path.join(LOCK)).with_context(|| format!("cannot write in {name}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                bail!("{name} is in use by another backfill: wait for its end, or name another directory")
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {name}"));
            }
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        for name in directory.names()?.iter().filter(|name| name.starts_with('.') && name.ends_with(PARTIAL))
        {
            // Of a backfill that was killed. If it stays, it is written anew.
            let _ = fs::remove_file(directory.path.join(name));
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on with a backfill that is another one.
    pub(super) fn agree(&self, known: Option<&Manifest>, wanted: &Manifest) -> anyhow::Result<()> {
        let name = self.path.display();
        let Some(known) = known else {
            let is_ours = |name: &&String| name.ends_with(".om") || name.ends_with(".sent");
            return match self.names()?.iter().find(is_ours) {
                Some(file) => bail!("{name} has {file} and no {MANIFEST}: {ELSEWHERE}"),
                None => Ok(()),
            };
        };
        if !known.is_same(wanted) {
            bail!(
                "{name} belongs to another backfill: {}. This one is: {}. Name another directory, or go on with that one by its own arguments and exporter.ini",
                known.describe(wanted),
                wanted.describe(known)
            );
        }
        Ok(())
    }

    /// Keeps the manifest.
    pub(super) fn begin(&self, manifest: &Manifest) -> anyhow::Result<()> {
        self.write(MANIFEST, |to| {
            serde_json::to_writer_pretty(&mut *to, manifest)?;
            to.write_all(b"\n")
        })
    }

    /// Writes a file, which is there once it is whole.
    pub(super) fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let (draft, file) = (self.path.join(format!(".{name}{PARTIAL}")), self.path.join(name));
        let written = || -> io::Result<()> {
            let mut to = BufWriter::with_capacity(1 << 16, File::create(&draft)?);
            write(&mut to)?;
            to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&draft, &file)?;
            // The name, too, is to outlive the machine.
            File::open(&self.path)?.sync_all()
        };
        let written = written();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written.with_context(|| format!("cannot write {}", file.display()))
    }

    /// Keeps what could not be had of what is kept under `name`; nothing, if that is nothing.
    pub(super) fn note(&self, name: &str, sentences: &[String]) -> anyhow::Result<()> {
        let name = format!("{name}.missing");
        if sentences.is_empty() {
            return match fs::remove_file(self.path.join(&name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("cannot remove {name}"))
                }
                _ => Ok(()),
            };
        }
        self.write(&name, |to| sentences.iter().try_for_each(|sentence| writeln!(to, "{sentence}")))
    }

    /// What could not be had, of all that is here: a sentence each.
    pub(super) fn missing(&self) -> anyhow::Result<Vec<String>> {
        let mut sentences = Vec::new();
        let mut names = self.names()?;
        names.retain(|name| name.ends_with(".missing") && !name.starts_with('.'));
        names.sort();
        for name in names {
            let text =
                fs::read_to_string(self.path.join(&name)).with_context(|| format!("cannot read {name}"))?;
            let of = name.trim_end_matches(".missing");
            sentences.extend(text.lines().map(|line| format!("{of}: {line}")));
        }
        Ok(sentences)
    }

    /// Up to which window a source has been sent, if any was.
    pub(super) fn sent(&self, stem: &str) -> anyhow::Result<Option<Window>> {
        let file = self.path.join(format!("{stem}.sent"));
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let time = text.trim().parse::<DateTime<Utc>>();
        let window = time.ok().and_then(|time| Window::starting(time.timestamp()));
        window.map(Some).with_context(|| format!("{} holds no time at which a window ends", file.display()))
    }

    /// Notes up to which window a source has been sent.
    pub(super) fn mark_sent(&self, stem: &str, until: Window) -> anyhow::Result<()> {
        self.write(&format!("{stem}.sent"), |to| writeln!(to, "{until}"))
    }

    /// What is not there yet of a source's windows, in stretches.
    pub(super) fn left(&self, stem: &str, windows: &Range<Window>) -> anyhow::Result<Vec<Range<Window>>> {
        let names = self.names()?;
        let mut left: Vec<Range<Window>> = Vec::new();
        let mut at = windows.start;
        while at < windows.end {
            let day = Day::around(at, windows);
            let (from, end) = (day.reached(stem, &names), day.windows.end);
            match left.last_mut() {
                Some(last) if last.end == from => last.end = end,
                _ if from < end => left.push(from..end),
                _ => {}
            }
            at = end;
        }
        Ok(left)
    }

    fn names(&self) -> anyhow::Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let entries = fs::read_dir(&self.path)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        read().with_context(|| format!("cannot list {}", self.path.display()))
    }
}

/// The windows whose samples, at their ends, are of one UTC day: so the blocks that `promtool` makes of two files do not overlap.
#[derive(Clone, Debug)]
pub(super) struct Day {
    day: NaiveDate,
    pub(super) windows: Range<Window>,
}

impl Day {
    /// The day of a window. A midnight at which all ends is the last sample of the day before it, rather than a day of its own.
    pub(super) fn around(window: Window, all: &Range<Window>) -> Self {
        // A window's sample stands where the next one begins.
        let day_of = |window: Window| window.plus(1).index().div_euclid(DAY);
        let last = all.end.plus(-1);
        let ends_at_midnight = all.end.index() % DAY == 0 && last > all.start;
        let number = match window == last && ends_at_midnight {
            true => day_of(window) - 1,
            false => day_of(window),
        };
        let begin = Window::number(number * DAY - 1);
        let end = Window::number((number + 1) * DAY - 1);
        let end = if ends_at_midnight && end == last { all.end } else { end };
        Self {
            day: Window::number(number * DAY).start().date_naive(),
            windows: begin.max(all.start)..end.min(all.end),
        }
    }

    /// The name of a file with these windows of it: the day, and the times of the samples where it is not all of the day.
    pub(super) fn file(&self, stem: &str, part: &Range<Window>) -> String {
        let day = self.day;
        if *part == self.windows {
            return format!("{stem}-{day}.om");
        }
        let time = |window: Window| window.end().format("%H%M").to_string();
        let end = if part.end == self.windows.end { "2400".to_owned() } else { time(part.end) };
        format!("{stem}-{day}T{}-{end}.om", time(part.start))
    }

    /// The first window that is in no file.
    fn reached(&self, stem: &str, names: &[String]) -> Window {
        let all = &self.windows;
        if names.contains(&self.file(stem, all)) {
            return all.end;
        }
        let mut at = all.start;
        let ends = |at: Window| (at.index() + 1..=all.end.index()).map(Window::number);
        while let Some(end) = ends(at).find(|end| names.contains(&self.file(stem, &(at..*end)))) {
            at = end;
        }
        at
    }
}

/// The beginnings of the files' names of these sources, each its own.
pub(super) fn stems<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for (account, source) in sources {
        let mut stem = format!("{}-{}", plain(account), plain(source));
        while stems.iter().any(|known| known.eq_ignore_ascii_case(&stem)) {
            stem.push('_');
        }
        stems.push(stem);
    }
    stems
}

/// A name without what a file's name had better not have.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        Window::starting(text.parse::<DateTime<Utc>>().unwrap().timestamp()).unwrap()
    }

    fn all() -> Range<Window> {
        window("2026-11-18T22:00:00Z")..window("2026-11-20T01:00:00Z")
    }

    #[test]
    fn files_of_days() {
        let day = |at: &str, all: &Range<Window>| {
            let day = Day::around(window(at), all);
            format!("{} {}/{}", day.file("a-b", &day.windows), day.windows.start, day.windows.end)
        };
        // A sample stands at its window's end: the day's first one is that of the window before midnight.
        let first = "a-b-2026-11-18.om 2026-11-18T22:00:00Z/2026-11-18T23:55:00Z";
        let second = "a-b-2026-11-19.om 2026-11-18T23:55:00Z/2026-11-19T23:55:00Z";
        let third = "a-b-2026-11-20.om 2026-11-19T23:55:00Z/2026-11-20T01:00:00Z";
        let cases = [
            ("2026-11-18T22:00:00Z", first),
            ("2026-11-18T23:50:00Z", first),
            ("2026-11-18T23:55:00Z", second),
            ("2026-11-19T12:00:00Z", second),
            ("2026-11-19T23:50:00Z", second),
            ("2026-11-19T23:55:00Z", third),
            ("2026-11-20T00:55:00Z", third),
        ];
        for (at, expected) in cases {
            assert_eq!(day(at, &all()), expected, "{at}");
        }
        // Nobody wants a file for one midnight.
        let until_midnight = all().start..window("2026-11-20T00:00:00Z");
        for at in ["2026-11-18T23:55:00Z", "2026-11-19T23:50:00Z", "2026-11-19T23:55:00Z"] {
            assert_eq!(
                day(at, &until_midnight),
                "a-b-2026-11-19.om 2026-11-18T23:55:00Z/2026-11-20T00:00:00Z",
                "{at}"
            );
        }
        let only = window("2026-11-19T23:55:00Z")..window("2026-11-20T00:00:00Z");
        assert_eq!(
            day("2026-11-19T23:55:00Z", &only),
            "a-b-2026-11-20.om 2026-11-19T23:55:00Z/2026-11-20T00:00:00Z"
        );
    }

    #[test]
    fn files_of_parts() {
        let day = Day::around(window("2026-11-19T12:00:00Z"), &all());
        let Range { start, end } = day.windows.clone();
        let six = window("2026-11-19T05:55:00Z");
        assert_eq!(day.file("a-b", &(start..six)), "a-b-2026-11-19T0000-0600.om");
        assert_eq!(day.file("a-b", &(six..end)), "a-b-2026-11-19T0600-2400.om");
    }

    #[test]
    fn what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert!(
            Directory::open(folder.path()).unwrap_err().to_string().contains("in use by another backfill")
        );
        let left = || -> Vec<String> {
            let left = directory.left("a-b", &all()).unwrap();
            left.iter().map(|stretch| format!("{}/{}", stretch.start, stretch.end)).collect()
        };
        let there = |name: &str| directory.write(name, |to| to.write_all(b"# EOF\n")).unwrap();
        assert_eq!(left(), ["2026-11-18T22:00:00Z/2026-11-20T01:00:00Z"]);
        there("a-b-2026-11-18.om");
        there("a-bb-2026-11-19.om");
        assert_eq!(left(), ["2026-11-18T23:55:00Z/2026-11-20T01:00:00Z"]);
        there("a-b-2026-11-19T0000-0600.om");
        there("a-b-2026-11-19T0600-0900.om");
        // A part after a hole is fetched again.
        there("a-b-2026-11-19T1000-1100.om");
        assert_eq!(left(), ["2026-11-19T08:55:00Z/2026-11-20T01:00:00Z"]);
        there("a-b-2026-11-20.om");
        assert_eq!(left(), ["2026-11-19T08:55:00Z/2026-11-19T23:55:00Z"]);
        there("a-b-2026-11-19T0900-2400.om");
        assert!(left().is_empty());
    }

    #[test]
    fn another_backfill() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let manifest = |from: &str, identity: &str| {
            let asked = Asked { from: from.to_owned(), to: None };
            let [account, source] = ["default", "amd"].map(str::to_owned);
            let asset = Asset { account, source, identity: identity.to_owned(), cpcodes: vec![1, 2] };
            let labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
            Manifest::new(asked, &all(), "openmetrics".to_owned(), labels, vec![asset])
        };
        let known = manifest("2d", "a");
        directory.begin(&known).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(known.clone()));
        // However the same time was asked for.
        directory.agree(Some(&known), &manifest("48h", "a")).unwrap();
        let error = directory.agree(Some(&known), &manifest("2d", "b")).unwrap_err().to_string();
        assert!(error.contains("another backfill: openmetrics from 2026-11-18T22:00:00Z to 2026-11-20T01:00:00Z of default/amd (with CP codes"), "{error}");
        assert!(
            error.contains("with the labels env=prod") && error.contains("Name another directory"),
            "{error}"
        );
        directory.agree(None, &known).unwrap();
        directory.mark_sent("default-amd", all().end).unwrap();
        let error = directory.agree(None, &known).unwrap_err().to_string();
        assert!(
            error.contains("has default-amd.sent and no manifest.json: name another directory"),
            "{error}"
        );
        fs::write(folder.path().join(MANIFEST), "{}").unwrap();
        let error = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is no manifest of this version"), "{error}");
    }

    #[test]
    fn names_of_sources() {
        let sources = [("default", "amd"), ("a", "b-c"), ("a-b", "c"), ("../x", "ü"), ("A", "b-C")];
        assert_eq!(stems(sources.into_iter()), ["default-amd", "a-b-c", "a-b-c_", "___x-_", "A-b-C__"]);
    }

    #[test]
    fn what_could_not_be_had_and_what_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        directory.note("a-b-2026-11-18.om", &["this".to_owned(), "that".to_owned()]).unwrap();
        let expected = ["a-b-2026-11-18.om: this", "a-b-2026-11-18.om: that"];
        assert_eq!(directory.missing().unwrap(), expected);
        directory.note("a-b-2026-11-18.om", &[]).unwrap();
        assert!(directory.missing().unwrap().is_empty());
        assert_eq!(directory.sent("a-b").unwrap(), None);
        directory.mark_sent("a-b", all().end).unwrap();
        assert_eq!(directory.sent("a-b").unwrap(), Some(all().end));
    }
}
