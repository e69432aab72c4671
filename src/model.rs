//! Metrics without any wire format: what a source produces and every output renders.
//!
//! A [`Family`] is declared once, as a `static` in the file that owns it, with the text that becomes its
//! HELP line. A [`Batch`] is what one poll of one target gave: label values and numbers, family by family.

mod exchange;
mod parcel;
mod reason;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use exchange::Exchange;
pub use parcel::{Origin, Parcel, Row, Sheet, window_metric};
pub use reason::{Reason, Retry, Scope};

/// What kind of metric a family holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only rises while the process lives.
    Counter,
    /// Counts in buckets.
    Histogram,
}

impl MetricKind {
    /// The word that the text format's TYPE line has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric's declaration: name, type, labels and HELP stand together.
#[derive(Debug)]
pub struct Family {
    /// The full name.
    pub name: &'static str,
    /// The HELP text: one sentence or two, with the unit and Akamai's own field name.
    pub help: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The names of its own labels, in the order in which a sample gives the values.
    pub labels: &'static [&'static str],
}

impl Family {
    /// A family, for a `static` where it is declared.
    #[must_use]
    pub const fn new(
        kind: MetricKind,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, kind, labels }
    }

    /// Declares a family whose name or labels are known only when the process runs, such as a column that a report names. It lives
    /// as long as the process, as all families do: declare it once.
    #[must_use]
    pub fn declare(name: &str, help: &str, kind: MetricKind, labels: &[&str]) -> &'static Self {
        let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let labels: Vec<&'static str> = labels.iter().map(|label| text(label)).collect();
        Box::leak(Box::new(Self { name: text(name), help: text(help), kind, labels: labels.leak() }))
    }
}

/// What one request of a source asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// How messages and pages call it.
    pub name: String,
    /// The labels that tell it from the source's other targets.
    pub labels: Vec<(&'static str, LabelValue)>,
}

/// A label's value; shared, since most values stand in many samples.
pub type LabelValue = Arc<str>;

/// A new value of a label is looked for among so many before it, so that a batch is neither large nor slow to make.
const LOOKED_AT: usize = 64;

/// The samples of one family in a batch: each label value once (nearly), what the samples have as numbers in one flat list.
#[derive(Clone, Debug)]
pub struct Group {
    family: &'static Family,
    keys: Arc<Keys>,
    values: Vec<f64>,
}

/// The label values of samples. Families that have the same ones share them.
#[derive(Clone, Debug, Default)]
struct Keys {
    words: Vec<LabelValue>,
    /// For each sample and label the place in `words`.
    places: Vec<u32>,
}

impl Keys {
    fn push<'a>(&mut self, values: impl IntoIterator<Item = &'a LabelValue>) {
        for value in values {
            let start = self.words.len().saturating_sub(LOOKED_AT);
            let found = self.words[start..].iter().rposition(|word| word == value);
            let place = found.map_or(self.words.len(), |place| start + place);
            if place == self.words.len() {
                self.words.push(Arc::clone(value));
            }
            let place = u32::try_from(place);
            self.places.push(place.expect("a batch has fewer than four thousand million label values"));
        }
    }

    fn shrink(&mut self) {
        self.words.shrink_to_fit();
        self.places.shrink_to_fit();
    }
}

impl Group {
    /// The family that these samples belong to.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Each sample's label values, in the family's order, and its number. An empty value means that the sample
    /// does not have that label.
    pub fn samples(&self) -> impl Iterator<Item = (Labels<'_>, f64)> {
        // A family without labels still has one (empty) list of values a sample.
        let width = self.family.labels.len();
        let labels = move |i: usize| Labels {
            words: &self.keys.words,
            places: &self.keys.places[i * width..][..width],
        };
        self.values.iter().enumerate().map(move |(i, value)| (labels(i), *value))
    }
}

/// The label values of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    words: &'a [LabelValue],
    places: &'a [u32],
}

impl<'a> Labels<'a> {
    /// All of them, in the family's order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.places.iter().map(move |place| &*self.words[*place as usize])
    }

    /// The value of the `label`-th label.
    #[must_use]
    pub fn get(self, label: usize) -> Option<&'a str> {
        self.places.get(label).map(|place| &*self.words[*place as usize])
    }
}

/// What one poll gave, whole.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    groups: Vec<Group>,
    notes: Vec<String>,
    time: Option<DateTime<Utc>>,
}

impl Batch {
    /// Adds a sample. The number of label values is part of the type, and checked against the family.
    ///
    /// # Panics
    ///
    /// If the family declares another number of labels: a mistake in a source, found by its first test.
    pub fn push<const N: usize>(&mut self, family: &'static Family, labels: [&LabelValue; N], value: f64) {
        self.push_row(family, &labels, value);
    }

    /// Adds a sample, where the number of labels is known only when the process runs.
    ///
    /// # Panics
    ///
    /// Like [`Self::push`].
    pub fn push_row(&mut self, family: &'static Family, labels: &[&LabelValue], value: f64) {
        assert_eq!(labels.len(), family.labels.len(), "{} has the labels {:?}", family.name, family.labels);
        let group = self.group(family);
        Arc::make_mut(&mut group.keys).push(labels.iter().copied());
        group.values.push(value);
    }

    /// Adds a table: `keys` are the label values of its rows, and each column is a family that is not in the batch yet.
    ///
    /// # Panics
    ///
    /// Like [`Self::push`], and if a column has another number of rows.
    pub fn push_table<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a [LabelValue]>,
        columns: impl Iterator<Item = (&'static Family, Vec<f64>)>,
    ) {
        let mut shared = Keys::default();
        let rows = keys.map(|key| shared.push(key)).count();
        let shared = Arc::new(shared);
        for (family, values) in columns {
            assert_eq!(values.len(), rows, "{} has as many rows as the table", family.name);
            assert_eq!(
                shared.places.len(),
                rows * family.labels.len(),
                "{} has the labels {:?}",
                family.name,
                family.labels
            );
            let group = self.group(family);
            (group.keys, group.values) = (Arc::clone(&shared), values);
        }
    }

    /// Says of which moment the samples are: those of such a batch go to push sinks, each moment's once.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        self.time = Some(time);
    }

    /// Of which moment the samples are, where they are of one.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.time
    }

    /// Adds a sentence for the status page.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// What people should know of the data.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The groups, in the order of their first sample.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many samples there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Gives back what growing left over: a batch lives for minutes.
    #[must_use]
    pub fn shrunk(mut self) -> Self {
        for group in &mut self.groups {
            // Shared keys are left as they are: to shrink them would copy them.
            if let Some(keys) = Arc::get_mut(&mut group.keys) {
                keys.shrink();
            }
            group.values.shrink_to_fit();
        }
        self.groups.shrink_to_fit();
        self
    }

    fn group(&mut self, family: &'static Family) -> &mut Group {
        let found = self.groups.iter().position(|group| std::ptr::eq(group.family, family));
        let index = found.unwrap_or_else(|| {
            self.groups.push(Group { family, keys: Arc::default(), values: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static HITS: Family =
        Family { name: "hits", help: "Hits.", kind: MetricKind::Gauge, labels: &["status", "tier"] };
    static UP: Family = Family { name: "up", help: "Up.", kind: MetricKind::Gauge, labels: &[] };

    #[test]
    fn samples_come_back_with_their_labels() {
        let (ok, gone, edge) = ("200".into(), "410".into(), "edge".into());
        let mut batch = Batch::default();
        batch.push(&HITS, [&ok, &edge], 7.0);
        batch.push(&UP, [], 1.0);
        batch.push(&HITS, [&gone, &edge], 2.0);
        let hits: Vec<_> = batch.groups()[0]
            .samples()
            .map(|(labels, value)| (labels.get(0).unwrap().to_owned(), value))
            .collect();
        assert_eq!(hits, [("200".to_owned(), 7.0), ("410".to_owned(), 2.0)]);
        assert_eq!(batch.groups()[1].samples().count(), 1);
        assert_eq!(batch.len(), 3);
    }

    #[test]
    fn label_values_that_are_too_many_to_look_for() {
        let values: Vec<LabelValue> = (0..1000).map(|n| (n % 100).to_string().into()).collect();
        let mut batch = Batch::default();
        for value in &values {
            batch.push(&HITS, [value, &"edge".into()], 0.0);
        }
        let samples: Vec<Vec<_>> =
            batch.groups()[0].samples().map(|(labels, _)| labels.iter().collect()).collect();
        let expected: Vec<Vec<&str>> = values.iter().map(|value| vec![&**value, "edge"]).collect();
        assert_eq!(samples, expected);
    }

    #[test]
    fn the_columns_of_a_table_share_its_labels() {
        static ERRORS: Family =
            Family { name: "errors", help: "Errors.", kind: MetricKind::Gauge, labels: &["status", "tier"] };
        let keys: Vec<[LabelValue; 2]> = vec![["200".into(), "edge".into()], ["410".into(), "edge".into()]];
        let mut batch = Batch::default();
        let columns = [(&HITS, vec![7.0, 2.0]), (&ERRORS, vec![0.0, 2.0])];
        batch.push_table(keys.iter().map(|key| &key[..]), columns.into_iter());
        let all = |at: usize| -> Vec<_> {
            let samples = batch.groups()[at].samples();
            samples.map(|(labels, value)| (labels.iter().collect::<Vec<_>>().join(" "), value)).collect()
        };
        assert_eq!(all(0), [("200 edge".to_owned(), 7.0), ("410 edge".to_owned(), 2.0)]);
        assert_eq!(all(1), [("200 edge".to_owned(), 0.0), ("410 edge".to_owned(), 2.0)]);
    }

    #[test]
    #[should_panic(expected = "has the labels")]
    fn a_sample_with_too_few_labels_is_a_bug() {
        Batch::default().push(&HITS, [&"200".into()], 1.0);
    }
}
