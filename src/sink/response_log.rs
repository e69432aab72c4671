//! The kind `[response_log]`: every answer of Akamai's as one line of JSON in a file, for Datadog's or any other log shipper.
//!
//! `line.rs` says what stands in a line, `file.rs` how the file is written and rotated. Nothing here waits for a disk but a blocking
//! thread, and there is but one at a time: where a disk hangs and the driver gives up waiting, the next delivery waits for the same
//! thread, and takes what it has written meanwhile as done.

mod file;
mod line;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::{JoinError, JoinHandle};

use self::file::{Limits, LogFile};
use super::{Context, Delivery, Failure, Kind, Opened, Options, Outcome, Sink};
use crate::ini::{Key, Reader, value};
use crate::model::Exchange;

/// The kind `[response_log]`.
pub static KIND: Kind = Kind { name: "response_log", keys: &KEYS, open };

static KEYS: [Key; 5] = [
    Key { name: "path", default: "" },
    Key { name: "max_body", default: "64K" },
    Key { name: "max_size", default: "100M" },
    Key { name: "max_age", default: "1d" },
    Key { name: "keep", default: "7" },
];

/// A larger part of a body is not kept: answers wait in memory.
const LARGEST_BODY: u64 = 16 << 20;

/// A smaller file would be rotated away before anybody has read it.
const SMALLEST_FILE: u64 = 64 << 10;

fn open(section: &mut Reader<'_>, _options: &Options) -> Option<Opened> {
    let most_body = section.get("max_body", body_size).unwrap_or(64 << 10);
    let max_size = section.get("max_size", |text| unless_none(text, file_size));
    let max_age = section.get("max_age", |text| unless_none(text, value::duration));
    let keep = section.get("keep", |text| value::whole(text, 1, 1000)).unwrap_or(7);
    if !section.has("path") {
        section
            .complain_of_section("has no path; expected one such as /var/log/akamai-exporter/responses.log");
    }
    let path = section.get("path", file_path)?;
    let max_age = max_age.unwrap_or(Some(Duration::from_secs(24 * 3600)));
    let limits = Limits {
        max_size: max_size.unwrap_or(Some(100 << 20)),
        max_age: max_age.and_then(|age| TimeDelta::from_std(age).ok()),
        keep,
    };
    Some(Opened::Answers { sink: Box::new(ResponseLog::new(path, limits)), most_body })
}

fn body_size(text: &str) -> Result<usize, String> {
    match value::size(text)? {
        size @ ..=LARGEST_BODY => usize::try_from(size).map_err(|error| error.to_string()),
        _ => Err(format!("`{text}` is too much to keep of a body; expected 16M at most")),
    }
}

fn file_size(text: &str) -> Result<u64, String> {
    match value::size(text)? {
        size @ SMALLEST_FILE.. => Ok(size),
        _ => Err(format!("`{text}` is too small for a file; expected 64K at least, or `none`")),
    }
}

/// `none` and `0` say that there is no such limit.
fn unless_none<T>(text: &str, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == "0" || text.eq_ignore_ascii_case("none") { Ok(None) } else { parse(text).map(Some) }
}

/// A file, or the place of one, in a directory that exists: a directory that is made by mistake hides that nobody reads the log.
fn file_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    if path.is_dir() || path.file_name().is_none() || text.ends_with('/') {
        return Err(format!("`{text}` is a directory; expected a file in it"));
    }
    if !parent.is_dir() {
        return Err(format!("the directory `{}` is not there; make it first", parent.display()));
    }
    Ok(path)
}

/// A sink that writes answers into a file.
#[derive(Debug)]
struct ResponseLog {
    path: PathBuf,
    limits: Limits,
    /// The file between two deliveries; the thread has it meanwhile.
    file: Option<LogFile>,
    /// The thread that writes, even if nobody waits for it any more.
    writer: Option<JoinHandle<Written>>,
    is_moved: bool,
}

/// What the writing thread gives back.
#[derive(Debug)]
struct Written {
    file: LogFile,
    items: Vec<Exchange>,
    outcome: Outcome,
}

impl ResponseLog {
    fn new(path: PathBuf, limits: Limits) -> Self {
        Self { path, limits, file: None, writer: None, is_moved: false }
    }

    /// Waits for the thread that writes, if there is one.
    async fn written(&mut self) -> Option<Result<(Vec<Exchange>, Outcome), JoinError>> {
        // Whoever stops waiting here leaves the thread where the next one finds it.
        let result = self.writer.as_mut()?.await;
        self.writer = None;
        Some(result.map(|written| {
            self.file = Some(written.file);
            (written.items, written.outcome)
        }))
    }

    /// What a delivery has done that nobody waited for to the end. Its failure is not told: whatever it was is tried again.
    async fn left_over(&mut self, items: &[Exchange]) -> Outcome {
        match self.written().await {
            Some(Ok((earlier, outcome))) => {
                let done = still_there(&earlier[..outcome.done], items);
                Outcome { done, failure: None, ..outcome }
            }
            _ => Outcome::default(),
        }
    }

    async fn write(&mut self, items: &[Exchange]) -> Outcome {
        let before = self.left_over(items).await;
        let rest = &items[before.done..];
        if rest.is_empty() {
            return before;
        }
        let mut file =
            self.file.take().unwrap_or_else(|| LogFile::new(self.path.clone(), self.limits.clone()));
        if std::mem::take(&mut self.is_moved) {
            file.close();
        }
        let rest = rest.to_vec();
        self.writer = Some(tokio::task::spawn_blocking(move || write_all(file, rest)));
        let outcome = match self.written().await {
            Some(Ok((_, outcome))) => outcome,
            Some(Err(error)) => {
                let message = format!("cannot write to {}: {error}", self.path.display());
                Outcome { failure: Some(Failure::new(message)), ..Outcome::default() }
            }
            None => Outcome::default(),
        };
        Outcome {
            done: before.done + outcome.done,
            sent: before.sent + outcome.sent,
            refused: sum(before.refused, outcome.refused),
            failure: outcome.failure,
        }
    }
}

fn sum(before: Option<(u64, String)>, after: Option<(u64, String)>) -> Option<(u64, String)> {
    match (before, after) {
        (Some((before, _)), Some((after, why))) => Some((before + after, why)),
        (before, after) => after.or(before),
    }
}

/// How many of `items`, from the first, are among those that are `done`: the oldest of them may be gone by now.
fn still_there(done: &[Exchange], items: &[Exchange]) -> usize {
    (0..=done.len()).map(|gone| &done[gone..]).find(|rest| items.starts_with(rest)).map_or(0, <[_]>::len)
}

/// Writes `items` up to the first one that cannot be.
fn write_all(mut file: LogFile, items: Vec<Exchange>) -> Written {
    let mut outcome = Outcome::default();
    for exchange in &items {
        match line::line(exchange) {
            Ok(line) => {
                if let Err(message) = file.append(exchange.time, &line) {
                    outcome.failure = Some(Failure::new(message));
                    break;
                }
                outcome.sent += 1;
            }
            Err(error) => {
                outcome.refused = sum(outcome.refused, Some((1, format!("no line can be made: {error}"))));
            }
        }
        outcome.done += 1;
    }
    Written { file, items, outcome }
}

impl Sink<Exchange> for ResponseLog {
    fn address(&self) -> String {
        self.path.display().to_string()
    }

    fn wants(&self, _item: &Exchange) -> bool {
        true
    }

    fn deliver<'a>(&'a mut self, items: &'a [Exchange], _context: &'a Context) -> Delivery<'a> {
        Box::pin(self.write(items))
    }

    fn reopen(&mut self) {
        self.is_moved = true;
    }
}

#[cfg(test)]
mod tests;
