//! The body of a request: protobuf messages in snappy's block format.
//!
//! The specification's demands are met here: the labels of a series are sorted and none is empty, each series stands once in a request,
//! and its samples ascend in time.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use prost::Message;

use crate::model::{Parcel, Row, Sheet};

/// The label that holds a metric's name.
const NAME: &[u8] = b"__name__";

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`. Its labels are messages, which look the same on the wire as the bytes that they are encoded to.
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    labels: Vec<Bytes>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// `prometheus.Label`. Its fields are strings, which look the same on the wire as bytes.
#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `prometheus.Sample`: milliseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A label, encoded once for the many series that have it.
#[derive(Clone, Debug)]
pub(super) struct Label {
    name: Bytes,
    pair: Bytes,
}

impl Label {
    /// The label `name` with its value; nothing if that is empty, which is as good as no label.
    pub(super) fn new(name: &str, value: &str) -> Option<Self> {
        (!value.is_empty()).then(|| Self::of(bytes(name), value))
    }

    fn of(name: Bytes, value: &str) -> Self {
        let pair = Pair { name: name.clone(), value: bytes(value) };
        Self { name, pair: pair.encode_to_vec().into() }
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Some of a parcel's samples, in the order in which they stand there.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) parcel: &'a Parcel,
    pub(super) samples: Range<usize>,
}

/// The body of a request that has these samples; `fixed` are labels of every series, where the data has none of that name.
pub(super) fn body(parts: &[Part<'_>], fixed: &[Label]) -> Result<Vec<u8>, snap::Error> {
    let mut builder = Builder::default();
    for part in parts {
        builder.add_part(part, fixed);
    }
    snap::raw::Encoder::new().compress_vec(&builder.finish().encode_to_vec())
}

/// Gathers samples by their series.
#[derive(Default)]
struct Builder {
    /// Which series it is that has these labels, and its samples.
    series: HashMap<Vec<Bytes>, (usize, Vec<Sample>)>,
}

impl Builder {
    fn add_part(&mut self, part: &Part<'_>, fixed: &[Label]) {
        let parcel = part.parcel;
        let origin = [("account", &parcel.account), ("source", &parcel.source)];
        let origin: Vec<_> = origin.iter().filter_map(|(name, value)| Label::new(name, value)).collect();
        let mut before = 0;
        for sheet in &parcel.sheets {
            let length = sheet.rows.len() * sheet.metrics.len();
            let from = part.samples.start.clamp(before, before + length) - before;
            let to = part.samples.end.clamp(before, before + length) - before;
            if from < to {
                let columns = Columns::of(parcel, sheet, &origin, fixed);
                self.add_rows(&columns, &sheet.rows, from..to);
            }
            before += length;
        }
    }

    /// Adds the samples numbered `wanted` of these rows.
    fn add_rows(&mut self, columns: &Columns<'_>, rows: &[Row], wanted: Range<usize>) {
        let width = columns.metrics.len();
        let first = wanted.start / width;
        for (number, row) in (first..).zip(&rows[first..wanted.end.div_ceil(width)]) {
            let labels = columns.labels(row);
            for (at, (metric, value)) in columns.metrics.iter().zip(&row.values).enumerate() {
                if wanted.contains(&(number * width + at)) {
                    self.add(named(&labels, metric), Sample { value: *value, timestamp: columns.time });
                }
            }
        }
    }

    fn add(&mut self, labels: Vec<Bytes>, sample: Sample) {
        let number = self.series.len();
        self.series.entry(labels).or_insert_with(|| (number, Vec::with_capacity(1))).1.push(sample);
    }

    /// The series in the order in which they came, so that similar ones stand together and compress well.
    fn finish(self) -> WriteRequest {
        let mut series: Vec<_> = self.series.into_iter().collect();
        series.sort_unstable_by_key(|(_, (number, _))| *number);
        let ordered = series
            .into_iter()
            .map(|(labels, (_, samples))| TimeSeries { labels, samples: ascending(samples) });
        WriteRequest { timeseries: ordered.collect() }
    }
}

/// The samples of a series in the order of their times. Of two values for one moment the later parcel's holds.
fn ascending(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by_key(|sample| sample.timestamp);
    samples.dedup_by(|later, earlier| {
        let is_same = later.timestamp == earlier.timestamp;
        if is_same {
            *earlier = *later;
        }
        is_same
    });
    samples
}

/// What the rows of a sheet have in common.
struct Columns<'a> {
    origin: &'a [Label],
    names: Vec<Bytes>,
    metrics: Vec<Label>,
    fixed: &'a [Label],
    time: i64,
}

impl<'a> Columns<'a> {
    fn of(parcel: &Parcel, sheet: &Sheet, origin: &'a [Label], fixed: &'a [Label]) -> Self {
        let metric = |family: &String| Label::of(Bytes::from_static(NAME), &parcel.metric(family));
        Self {
            origin,
            names: sheet.labels.iter().map(|name| bytes(name)).collect(),
            metrics: sheet.metrics.iter().map(metric).collect(),
            fixed,
            time: parcel.time.timestamp_millis(),
        }
    }

    /// A row's labels without the metric's name, sorted.
    fn labels(&self, row: &Row) -> Vec<Label> {
        let own = self.names.iter().zip(&row.labels).filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| Label::of(name.clone(), value));
        let mut labels: Vec<_> =
            self.origin.iter().cloned().chain(own).chain(self.fixed.iter().cloned()).collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        // The data's own label comes first, and holds.
        labels.dedup_by(|later, earlier| later.name == earlier.name);
        labels
    }
}

/// Sorted labels with the metric's name where it belongs, which is after those that begin with a capital.
fn named(labels: &[Label], metric: &Label) -> Vec<Bytes> {
    let at = labels.partition_point(|label| label.name < metric.name);
    let all = labels[..at].iter().chain([metric]).chain(&labels[at..]);
    all.map(|label| label.pair.clone()).collect()
}
