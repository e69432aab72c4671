//! Samples on their way to push sinks. A parcel holds all that is needed to understand it, since it may outlive the process.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Batch, LabelValue};

/// What a parcel's samples are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// A five-minute window that Akamai may yet revise, for sinks that cannot wait: counts within the window.
    Early,
    /// A five-minute window that Akamai does not revise any more: counts within the window.
    Settled,
    /// A settled window from before counting began: counts within the window.
    History,
    /// A sample of a moment, such as eStats': gauges.
    Sample,
}

impl Origin {
    /// All of them; the place is their number on disk.
    pub const ALL: [Self; 4] = [Self::Early, Self::Settled, Self::History, Self::Sample];

    /// Whether the values are counts within a window.
    #[must_use]
    pub fn is_window(self) -> bool {
        self != Self::Sample
    }
}

/// Samples of one source and one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// The value of the label `account`.
    pub account: String,
    /// The value of the label `source`.
    pub source: String,
    /// When a window ended, or a sample was taken.
    pub time: DateTime<Utc>,
    /// What the samples are.
    pub origin: Origin,
    /// What its CP codes are called, as far as that was known, in pairs.
    pub names: Vec<(LabelValue, LabelValue)>,
    /// The samples.
    pub sheets: Vec<Sheet>,
}

/// Samples with the same labels and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The names of the labels.
    pub labels: Vec<String>,
    /// The families that the values belong to. Of a window: those of its counters, such as `akamai_traffic_edge_hits_total`.
    pub metrics: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One value of each metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The labels' values; an empty one means that the row does not have that label.
    pub labels: Vec<LabelValue>,
    /// The metrics' values.
    pub values: Vec<f64>,
}

impl Parcel {
    /// What a batch of a moment holds; nothing if it is of none. When it was taken is left out: it is the parcel's time.
    #[must_use]
    pub fn of_batch(account: &str, source: &str, batch: &Batch) -> Option<Self> {
        let groups =
            batch.groups().iter().filter(|group| !group.family().name.ends_with("_timestamp_seconds"));
        let sheets = groups.map(|group| Sheet {
            labels: group.family().labels.iter().map(|label| (*label).to_owned()).collect(),
            metrics: vec![group.family().name.to_owned()],
            rows: group
                .samples()
                .map(|(labels, value)| Row {
                    labels: labels.iter().map(Arc::from).collect(),
                    values: vec![value],
                })
                .collect(),
        });
        Some(Self {
            account: account.to_owned(),
            source: source.to_owned(),
            time: batch.time()?,
            origin: Origin::Sample,
            names: Vec::new(),
            sheets: sheets.collect(),
        })
    }

    /// What a family's samples in this parcel are called: a window's sums are no counters, and are not called as if they were.
    #[must_use]
    pub fn metric<'a>(&self, family: &'a str) -> Cow<'a, str> {
        if self.origin.is_window() { window_metric(family).into() } else { family.into() }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sheets.iter().map(|sheet| sheet.rows.len() * sheet.metrics.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The gauge of a window's sum whose counter is `family`: `akamai_traffic_edge_hits_total` is counted, and
/// `akamai_traffic_window_edge_hits` is what one window had. Another name, since the two must not be mixed up in a query.
#[must_use]
pub fn window_metric(family: &str) -> String {
    let stem = family.strip_suffix("_total").unwrap_or(family);
    match (stem.strip_prefix("akamai_traffic_"), stem.strip_prefix("akamai_")) {
        (Some(rest), _) => format!("akamai_traffic_window_{rest}"),
        (None, Some(rest)) => format!("akamai_window_{rest}"),
        (None, None) => format!("akamai_window_{stem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_windows() {
        let check = |family, expected| assert_eq!(window_metric(family), expected);
        check("akamai_traffic_edge_hits_total", "akamai_traffic_window_edge_hits");
        check("akamai_traffic_edge_response_bytes_total", "akamai_traffic_window_edge_response_bytes");
        // A column of Media Delivery Reports, which only an answer names.
        check(
            "akamai_traffic_total_edge_volume_bytes_total",
            "akamai_traffic_window_total_edge_volume_bytes",
        );
        check("akamai_other_hits_total", "akamai_window_other_hits");
        check("hits", "akamai_window_hits");
    }
}
