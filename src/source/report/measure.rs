//! What a column of a report is: its unit, whether it may be added up, and the metric that it becomes.

use std::collections::BTreeMap;

use crate::model::{Family, MetricKind};

/// A dimension of a report, time left out.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Dimension {
    /// What Akamai calls it.
    pub(in crate::source) name: &'static str,
    /// The label that it becomes.
    pub(in crate::source) label: &'static str,
    /// All values that it can have, where Akamai lists them.
    pub(in crate::source) values: &'static [&'static str],
}

/// Whether a measure may be added up over windows and series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::source) enum Additivity {
    /// It may: it becomes a counter.
    Sum,
    /// It may not: it becomes a gauge of the newest window.
    Gauge,
}

/// A measure of a report.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Measure {
    pub(in crate::source) family: &'static Family,
    pub(in crate::source) additivity: Additivity,
    /// How many base units (hits, bytes, bits per second, 1) one of its units is.
    pub(in crate::source) scale: f64,
    /// The status class that it counts, where it counts but one: then its family has that label besides those of the dimensions.
    pub(in crate::source) class: Option<&'static str>,
}

/// What a report is made of, as configured.
#[derive(Clone, Debug)]
pub(in crate::source) struct Shape {
    /// The dimensions, time left out.
    pub(in crate::source) dimensions: Vec<Dimension>,
    /// Which of them is the CP code.
    pub(in crate::source) cpcode: Option<usize>,
    /// The measures, in the order in which they are asked for; nothing for one that only an answer can describe.
    pub(in crate::source) measures: Vec<Option<Measure>>,
}

impl Shape {
    /// All label values that are known in advance for one CP code: nothing if a dimension has values that nobody lists.
    pub(in crate::source) fn known(&self) -> Option<Vec<Vec<&'static str>>> {
        let mut rows: Vec<Vec<&'static str>> = vec![Vec::new()];
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let values = if self.cpcode == Some(at) { &[""][..] } else { dimension.values };
            if values.is_empty() {
                return None;
            }
            rows = rows
                .iter()
                .flat_map(|row| values.iter().map(move |value| [&row[..], &[value]].concat()))
                .collect();
        }
        Some(rows)
    }
}

/// Declares families with the labels of a report's dimensions, each name once.
#[derive(Debug, Default)]
pub(in crate::source) struct Families(BTreeMap<String, &'static Family>);

impl Families {
    /// The family `name`, whose labels are `labels` and, if need be, the status class.
    pub(in crate::source) fn of(
        &mut self,
        name: &str,
        help: &str,
        additivity: Additivity,
        labels: &[&'static str],
        has_class: bool,
    ) -> &'static Family {
        if let Some(family) = self.0.get(name) {
            return family;
        }
        let kind = match additivity {
            Additivity::Sum => MetricKind::Counter,
            Additivity::Gauge => MetricKind::Gauge,
        };
        let class = has_class.then_some("status_class");
        let labels: Vec<_> = labels.iter().copied().chain(class).collect();
        let family = Family::declare(name, help, kind, &labels);
        self.0.insert(name.to_owned(), family);
        family
    }

    /// Whether a family of this name was declared.
    pub(in crate::source) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
