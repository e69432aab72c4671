//! What there is to be sent of a parcel, in order: tags once a row, numbers by metric.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use super::super::Names;
use super::{legacy, text};
use crate::model::{Origin, Parcel, Row, Sheet};

/// How a sink names things.
#[derive(Debug)]
pub(super) struct Style {
    /// What names begin with.
    pub(super) namespace: String,
    /// The tags that all have.
    pub(super) tags: String,
    /// Whether values carry their time.
    pub(super) timestamps: bool,
    /// Whether windows go under the names of the Python script.
    pub(super) legacy_names: bool,
}

/// What there is to be sent of a parcel.
#[derive(Debug)]
pub(super) struct Script {
    /// `c` or `g`.
    pub(super) kind: char,
    /// What ends each line: `|T` and the time, or nothing.
    pub(super) end: String,
    /// The names of metrics, sheet by sheet; why there is none, where there is none.
    pub(super) names: Vec<Vec<Result<String, String>>>,
    /// The rows of all sheets.
    pub(super) entries: Vec<Entry>,
}

/// A row.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which of the lists of names it has a value of each of.
    pub(super) sheet: usize,
    /// Its tags, as they are sent.
    pub(super) tags: String,
    /// A value for each name.
    pub(super) values: Vec<f64>,
}

impl Script {
    /// What there is to be sent of `parcel`.
    pub(super) fn of(parcel: &Parcel, style: &Style, names: &Names) -> Self {
        let names = &Called { own: own_names(parcel), others: names };
        let is_window = parcel.origin.is_window();
        let end = if style.timestamps { format!("|T{}", parcel.time.timestamp()) } else { String::new() };
        let kind = if is_window { 'c' } else { 'g' };
        let mut script = Self { kind, end, names: Vec::new(), entries: Vec::new() };
        if is_window && style.legacy_names {
            script.take(parcel, &legacy::sheet(parcel), style, names);
        } else {
            for sheet in &parcel.sheets {
                script.take(parcel, sheet, style, names);
            }
        }
        script
    }

    fn take(&mut self, parcel: &Parcel, sheet: &Sheet, style: &Style, names: &Called<'_>) {
        self.names.push(sheet.metrics.iter().map(|name| text::metric(&style.namespace, name)).collect());
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in &sheet.rows {
            let tags = tags(parcel, sheet, row, style, names);
            let entry = Entry { sheet: self.names.len() - 1, values: row.values.clone(), tags };
            // Of two points of a series with the same time Datadog keeps one: counts that it cannot tell apart are one count.
            if parcel.origin == Origin::Sample {
                self.entries.push(entry);
                continue;
            }
            match places.entry(text::identity(&entry.tags)) {
                Place::Occupied(place) => self.entries[*place.get()].add(&entry),
                Place::Vacant(place) => {
                    place.insert(self.entries.len());
                    self.entries.push(entry);
                }
            }
        }
    }
}

impl Entry {
    fn add(&mut self, other: &Self) {
        for (sum, value) in self.values.iter_mut().zip(&other.values) {
            *sum += value;
        }
    }
}

/// What CP codes are called.
struct Called<'a> {
    /// As the parcel has it: a window's series keep their tags, though at this moment nothing else may know, as after a restart.
    own: HashMap<&'a str, &'a str>,
    /// As it is known now.
    others: &'a Names,
}

impl Called<'_> {
    /// Empty if it is not known.
    fn name(&self, account: &str, code: &str) -> &str {
        let others = || self.others.get(&(account.to_owned(), code.to_owned())).map(String::as_str);
        self.own.get(code).copied().or_else(others).unwrap_or_default()
    }
}

fn own_names(parcel: &Parcel) -> HashMap<&str, &str> {
    parcel.names.iter().map(|(code, name)| (&**code, &**name)).collect()
}

/// Account, source, the row's labels, and what all have.
fn tags(parcel: &Parcel, sheet: &Sheet, row: &Row, style: &Style, names: &Called<'_>) -> String {
    let mut tags = String::new();
    text::push_tag(&mut tags, "account", &parcel.account);
    text::push_tag(&mut tags, "source", &parcel.source);
    for (label, value) in sheet.labels.iter().zip(&row.labels) {
        text::push_tag(&mut tags, label, value);
        if label == "cpcode" {
            text::push_tag(&mut tags, "cpcode_name", names.name(&parcel.account, value));
        }
    }
    let comma = if tags.is_empty() || style.tags.is_empty() { "" } else { "," };
    tags.extend([comma, &style.tags]);
    tags
}
