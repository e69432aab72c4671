//! A snapshot as the bytes that a scrape gets: encoded once per change, plain and gzip, then only handed out.

use std::collections::BTreeMap;
use std::iter::empty;

use bytes::Bytes;

use super::gzip::{Prefix, Suffix};
use super::health::{OF_SOURCE, TARGET_FAILURE, TARGET_UP, UP};
use super::{Snapshot, SourceState, TargetState, text};
use crate::model::{Family, Group};

/// The media type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A snapshot's data, encoded.
#[derive(Clone, Debug)]
pub struct Exposition {
    text: Bytes,
    gzip: Prefix,
    version: u64,
}

impl Exposition {
    /// Encodes `snapshot`; `expected` is about how long the text will be, such as the last one was.
    #[must_use]
    pub fn of(snapshot: &Snapshot, expected: usize) -> Self {
        let mut text = String::with_capacity(expected + expected / 16 + 4096);
        data(&mut text, snapshot);
        health(&mut text, snapshot);
        text.shrink_to_fit();
        let gzip = Prefix::of(text.as_bytes());
        Self { text: text.into(), gzip, version: snapshot.version }
    }

    /// The plain text in two parts, the second being `tail`.
    #[must_use]
    pub fn plain(&self, tail: &Tail) -> [Bytes; 2] {
        [self.text.clone(), tail.text.clone()]
    }

    /// One gzip stream in two parts, with `tail` as the end of the text.
    #[must_use]
    pub fn gzip(&self, tail: &Tail) -> [Bytes; 2] {
        [self.gzip.bytes(), self.gzip.finish(&tail.gzip)]
    }

    /// The snapshot's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How long the text is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// What comes after a snapshot's data, encoded for use with any snapshot.
#[derive(Clone, Debug)]
pub struct Tail {
    text: Bytes,
    gzip: Suffix,
}

impl Tail {
    /// Encodes `text`.
    #[must_use]
    pub fn of(text: Vec<u8>) -> Self {
        Self { gzip: Suffix::of(&text), text: text.into() }
    }
}

/// The sources' own families, each in one run however many sources have it, as the format demands.
fn data(text: &mut String, snapshot: &Snapshot) {
    let mut families: BTreeMap<&str, Vec<(&SourceState, &Group)>> = BTreeMap::new();
    for source in &snapshot.sources {
        for data in source.targets.iter().filter_map(|target| target.data.as_ref()) {
            for group in data.batch.groups() {
                families.entry(group.family().name).or_default().push((source.as_ref(), group));
            }
        }
    }
    let rest = static_labels(snapshot);
    for groups in families.values() {
        let mut before: Option<&SourceState> = None;
        let mut first = String::new();
        for (source, group) in groups {
            match before {
                None => text::header(text, group.family()),
                Some(before) if std::ptr::eq(before, *source) => {}
                Some(_) => first.clear(),
            }
            if first.is_empty() {
                first = start(group.family(), source);
            }
            before = Some(source);
            for (labels, value) in group.samples() {
                text::sample(text, &first, group.family(), labels.iter(), &rest, value);
            }
        }
    }
}

/// How the polling itself goes.
fn health(text: &mut String, snapshot: &Snapshot) {
    let labels = static_labels(snapshot);
    for (family, value) in OF_SOURCE {
        // Data series carry the static labels, and whether there is data belongs with them.
        let rest = if std::ptr::eq(family, &UP) { labels.as_str() } else { "" };
        let values: Vec<_> =
            snapshot.sources.iter().filter_map(|source| Some((source, value(source)?))).collect();
        if !values.is_empty() {
            text::header(text, family);
        }
        for (source, value) in values {
            text::sample(text, &start(family, source), family, empty(), rest, value);
        }
    }
    targets(text, snapshot, &labels, &TARGET_UP, |state| Some((None, f64::from(state.is_up()?))));
    targets(text, snapshot, &labels, &TARGET_FAILURE, |state| {
        let (reason, _) = state.last.as_ref()?.failure.as_ref()?;
        Some((Some(reason.label()), 1.0))
    });
}

/// A family with at most one sample a target: the value of its further label, if it has one, and the number.
fn targets(
    text: &mut String,
    snapshot: &Snapshot,
    rest: &str,
    family: &Family,
    value: impl Fn(&TargetState) -> Option<(Option<&'static str>, f64)>,
) {
    let mut is_first = true;
    for source in &snapshot.sources {
        for (target, state) in source.targets() {
            let Some((label, value)) = value(state) else { continue };
            if std::mem::take(&mut is_first) {
                text::header(text, family);
            }
            let mut first = start(family, source);
            text::pairs(&mut first, target.labels.iter().map(|(name, value)| (*name, value.as_ref())));
            text::sample(text, &first, family, label.into_iter(), rest, value);
        }
    }
}

/// `name{account="...",source="..."`
fn start(family: &Family, source: &SourceState) -> String {
    let mut start = format!("{}{{", family.name);
    let labels = [("account", source.info.account.as_str()), ("source", source.info.name.as_str())];
    text::pairs(&mut start, labels.into_iter());
    start
}

fn static_labels(snapshot: &Snapshot) -> String {
    let mut rest = String::new();
    text::pairs(&mut rest, snapshot.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    rest
}
