//! What Grafana makes of the queries of a table, by its transformation `merge`: rows that agree wherever both have a column become one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::history::CPCODES;
use super::{Dashboard, panels};
use crate::prometheus::Prometheus;

/// Names of columns, and what stands in them.
type Row = BTreeMap<String, String>;

/// Every table of several queries has one row for each thing: none that another one completes.
pub fn join_as_intended(dashboards: &[Dashboard], prometheus: &Prometheus) {
    let mut counts = BTreeMap::new();
    for dashboard in dashboards {
        for panel in panels(&dashboard.json).into_iter().filter(|panel| is_merged(panel)) {
            let targets = panel["targets"].as_array().unwrap().iter();
            let answers = targets.map(|target| prometheus.query(&dashboard.filled(&target["expr"])));
            let rows = merged(answers.map(|series| frame(&series)));
            for (index, row) in rows.iter().enumerate() {
                let twin = rows[..index].iter().find(|other| agree(row, other));
                assert!(twin.is_none(), "{}: {} has two rows of one: {row:?}", dashboard.uid, panel["title"]);
            }
            counts.insert((dashboard.uid.as_str(), panel["title"].as_str().unwrap()), rows.len());
        }
    }
    let overview = |title| counts[&("akamai-overview", title)];
    assert_eq!(overview("How does each account stand?"), 1);
    assert_eq!(overview("How does each CP code stand?"), CPCODES.len());
    // All accounts, and the one.
    assert_eq!(overview("What came of the last hour and the last day?"), 2 + CPCODES.len());
}

fn is_merged(panel: &Value) -> bool {
    panel["transformations"].as_array().into_iter().flatten().any(|step| step["id"] == "merge")
}

/// A query's rows. A label that one series has is a column of all.
fn frame(series: &[Value]) -> Vec<Row> {
    let labels = |series: &Value| {
        let labels = series["metric"].as_object().unwrap().iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        labels.filter(|(name, _)| name != "__name__").collect::<Row>()
    };
    let mut rows: Vec<_> = series.iter().map(labels).collect();
    let columns: BTreeSet<_> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    let blank: Row = columns.into_iter().map(|name| (name, String::new())).collect();
    rows.iter_mut().for_each(|row| *row = blank.clone().into_iter().chain(std::mem::take(row)).collect());
    rows
}

fn agree(one: &Row, other: &Row) -> bool {
    one.iter().all(|(name, value)| other.get(name).is_none_or(|others| others == value))
}

/// Each row goes into all those that it agrees with, and stands for itself if there is none.
fn merged(frames: impl Iterator<Item = Vec<Row>>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for new in frames.flatten() {
        let mut fits = rows.iter_mut().filter(|row| agree(&new, row)).peekable();
        if fits.peek().is_none() {
            rows.push(new);
        } else {
            fits.for_each(|row| row.extend(new.clone()));
        }
    }
    rows
}

#[test]
fn rows_that_agree_are_one() {
    let row =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let names = vec![row(&[("cpcode", "1"), ("name", "one")]), row(&[("cpcode", "2"), ("name", "two")])];
    let hits = vec![row(&[("cpcode", "1")]), row(&[("cpcode", "2")]), row(&[("cpcode", "3")])];
    let rows = merged([names, hits].into_iter());
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0], row(&[("cpcode", "1"), ("name", "one")]));
    assert!(!agree(&rows[0], &rows[1]));
}
