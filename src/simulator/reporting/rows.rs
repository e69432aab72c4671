//! The rows of an answer: ordered, limited, spoiled by faults, and written as JSON or CSV.
//!
//! They are written by hand, not as a tree of values, because there may be fifty thousand.

use std::cmp::Ordering;
use std::fmt::Write as _;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::definition::{self, Column, Metric, Number};
use super::effective;
use super::filters::Filter;
use super::request::{By, Query, Range, Sort};
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::problem::{self, Answer};
use crate::simulator::traffic::table::{Cell, Dimension, Question, Row, WINDOW};
use crate::simulator::world::World;

/// A CP code that nobody has.
const FOREIGN: u64 = 999_999_999;
/// Faults of rows strike the first of so many, and so on.
const EVERY: usize = 7;

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Long(u64),
    Double(f64),
    Text(String),
    /// JSON that is no such value.
    Raw(String),
}

impl Item {
    fn json(&self, to: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Long(number) => write!(to, "{number}"),
            Self::Double(number) => write!(to, "{number:?}"),
            Self::Text(text) => write!(to, "{}", json!(text)),
            Self::Raw(raw) => write!(to, "{raw}"),
        };
    }

    fn csv(&self, to: &mut String) {
        let text = match self {
            Self::Long(number) => number.to_string(),
            Self::Double(number) => format!("{number:?}"),
            Self::Text(text) | Self::Raw(text) => text.clone(),
        };
        if text.contains(['"', ',', '\n']) {
            let _ = write!(to, "\"{}\"", text.replace('"', "\"\""));
        } else {
            to.push_str(&text);
        }
    }
}

/// The rows under their names.
#[derive(Clone, Debug)]
pub(super) struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Item>>,
    more: bool,
}

impl Table {
    /// What a query finds at a time.
    pub(super) fn of(
        world: &World<'_>,
        query: &Query,
        cpcodes: &[u64],
        now: DateTime<Utc>,
        limit: usize,
    ) -> Self {
        let dimensions: Vec<Dimension> = query.dimensions.iter().map(|column| column.dimension).collect();
        let filtered: Vec<Dimension> = query.filters.iter().filter_map(filtered).collect();
        let keep = |dimension: Dimension, cell: &Cell| {
            let mut filters = query.filters.iter().filter_map(|filter| filter.of(dimension));
            filters.all(|filter| filter.keeps(cell))
        };
        let question = Question {
            seed: world.options.seed,
            cpcodes,
            start: up(query.range.start),
            end: up(query.range.end),
            as_of: Some(now.timestamp()),
            dimensions: &dimensions,
            filtered: &filtered,
            keep: &keep,
        };
        let mut rows = question.rows();
        rows.retain(|row| query.filters.iter().all(|filter| kept(filter, row)));
        if !query.sorts.is_empty() {
            rows.sort_by(|one, other| compare(&query.sorts, &query.metrics, one, other));
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let dimensions = query.dimensions.iter().map(|column| column.name);
        let names = dimensions.chain(query.metrics.iter().map(|metric| metric.name)).collect();
        Self { names, rows: rows.iter().map(|row| items(&query.metrics, row)).collect(), more }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What faults make of it.
    pub(super) fn spoiled(mut self, query: &Query, faults: &Strikes) -> Self {
        let metric = query.dimensions.len();
        for fault in faults.iter() {
            match fault {
                Fault::Empty => self.rows.clear(),
                Fault::MoreRows => {
                    self.rows.truncate(self.rows.len() / 2);
                    self.more = true;
                }
                Fault::MissingColumn if self.names.len() > metric => {
                    self.names.pop();
                    self.rows.iter_mut().for_each(|row| row.truncate(row.len() - 1));
                }
                Fault::ExtraColumn => {
                    self.names.push("surprise");
                    self.rows.iter_mut().for_each(|row| row.push(Item::Text("!".to_owned())));
                }
                Fault::StringNumbers => self.rows.iter_mut().flatten().for_each(quote),
                Fault::DuplicateRow => self.add(|row| Some(row.clone())),
                Fault::ConflictingRow => self.add(|row| conflicting(row, metric)),
                Fault::OutOfRange => self.strays(query),
                Fault::ForeignCpcode => {
                    let column = query.dimensions.iter().position(|c| c.dimension == Dimension::CpCode);
                    self.add(|row| with(row, column?, FOREIGN));
                }
                fault => self.strange(metric, fault),
            }
        }
        self
    }

    /// Adds what is made out of some rows, behind them.
    fn add(&mut self, make: impl Fn(&Vec<Item>) -> Option<Vec<Item>>) {
        let added: Vec<_> = self.rows.iter().step_by(EVERY).filter_map(make).collect();
        self.rows.extend(added);
    }

    /// Copies of some rows in the window before the range, and in the one after it.
    fn strays(&mut self, query: &Query) {
        let mut grains = query.dimensions.iter().map(|column| column.dimension.grain()).enumerate();
        let Some((column, grain)) = grains.find_map(|(position, grain)| Some((position, grain?))) else {
            return;
        };
        let down = |time: i64| time - time.rem_euclid(grain);
        let (start, end) = (up(query.range.start), up(query.range.end));
        for time in [down(start) - grain, down(end - WINDOW) + grain] {
            let rows: Vec<_> =
                self.rows.iter().step_by(EVERY).filter_map(|row| with(row, column, time as u64)).collect();
            self.rows.extend(rows);
        }
    }

    /// Puts something strange into the first metric of some rows.
    fn strange(&mut self, metric: usize, fault: Fault) {
        for (turn, row) in self.rows.iter_mut().step_by(EVERY).enumerate() {
            let Some(item) = row.get_mut(metric) else { continue };
            let Item::Long(number) = *item else { continue };
            let odd = turn % 2 == 1;
            *item = match fault {
                Fault::Negative => Item::Raw(format!("-{}", number + 1)),
                Fault::Fractional => Item::Raw(format!("{number}.5")),
                Fault::HugeValue => Item::Raw(if odd { "99999999999999999999" } else { "1e300" }.to_owned()),
                Fault::WrongType if odd => Item::Text("many".to_owned()),
                Fault::WrongType => Item::Raw(format!(r#"{{"value":{number}}}"#)),
                _ => continue,
            };
        }
    }

    /// Some of the rows.
    pub(super) fn part(&self, from: usize, most: usize) -> Self {
        let rows = self.rows.iter().skip(from).take(most).cloned().collect();
        Self { names: self.names.clone(), rows, more: self.more }
    }

    /// The data with the metadata of a query that was answered at once.
    pub(super) fn json(&self, query: &Query, cpcodes: &[u64]) -> Answer {
        let sorts = query.sorts.iter().map(|sort| {
            let name = match sort.by {
                By::Dimension(position) => query.dimensions[position].name,
                By::Metric(position) => query.metrics[position].name,
            };
            json!({ "name": name, "sortOrder": if sort.descending { "DESCENDING" } else { "ASCENDING" } })
        });
        self.with(&json!({
            "name": definition::NAME,
            "start": Range::text(query.range.start),
            "end": Range::text(query.range.end),
            "metrics": query.metrics.iter().map(Metric::json).collect::<Vec<_>>(),
            "dimensions": query.dimensions.iter().map(Column::json).collect::<Vec<_>>(),
            "filters": effective(&query.filters, cpcodes),
            "sortBys": sorts.collect::<Vec<_>>(),
            "limit": query.limit,
            "links": [definition::link("self", definition::DATA, "POST")],
            "hasMoreRows": self.more,
        }))
    }

    /// The data with some metadata.
    pub(super) fn with(&self, metadata: &Value) -> Answer {
        let mut text = String::from("{\"data\":[");
        let names: Vec<String> = self.names.iter().map(|name| json!(name).to_string()).collect();
        for (position, row) in self.rows.iter().enumerate() {
            text.push_str(if position == 0 { "{" } else { ",{" });
            for (place, (name, item)) in names.iter().zip(row).enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                text.push_str(name);
                text.push(':');
                item.json(&mut text);
            }
            text.push('}');
        }
        let _ = write!(text, "],\"metadata\":{metadata}}}");
        problem::answer(StatusCode::OK, "application/json", text)
    }

    /// The data as Akamai's CSV: sections between lines that begin with `#` (techdocs reporting
    /// post-reports-data, `text/csv`).
    pub(super) fn csv(&self, query: &Query) -> Answer {
        let mut text = self.csv_metadata(query, None);
        for filter in query.filters.iter().filter_map(|filter| filter.of(Dimension::CpCode)) {
            let _ = writeln!(text, "cpcode,{}", filter.expressions.join(","));
        }
        text.push_str("#METADATA_END\n\n");
        self.csv_rows(&mut text);
        problem::answer(StatusCode::OK, "text/csv", text)
    }

    /// The first section, without its end; with the number of all rows if there are pages.
    pub(super) fn csv_metadata(&self, query: &Query, total: Option<usize>) -> String {
        let grouped: Vec<&str> = query.dimensions.iter().map(|column| column.name).collect();
        let (start, end) = (Range::text(query.range.start), Range::text(query.range.end));
        let mut text = format!(
            "#METADATA_START\ngroupBy,{}\nstart,{start}\nend,{end}\nrowCount,{}\n",
            grouped.join(","),
            self.rows.len()
        );
        if let Some(total) = total {
            let _ = writeln!(text, "totalRowCount,{total}");
        }
        text
    }

    /// The sections with the columns' names and the rows.
    pub(super) fn csv_rows(&self, text: &mut String) {
        let _ = write!(text, "#COLUMN_START\n{}\n#COLUMN_END\n\n#DATA_START\n", self.names.join(","));
        for row in &self.rows {
            for (place, item) in row.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                item.csv(text);
            }
            text.push('\n');
        }
        text.push_str("#DATA_END\n");
    }
}

/// A time in whole seconds, rounded up: windows are compared by their starts.
fn up(time: DateTime<Utc>) -> i64 {
    time.timestamp() + i64::from(time.timestamp_subsec_nanos() > 0)
}

/// The dimension that a filter decides about while windows are counted.
fn filtered(filter: &Filter) -> Option<Dimension> {
    match filter {
        Filter::Dimension(filter) => Some(filter.column.dimension).filter(|&d| d != Dimension::CpCode),
        Filter::Metric(_) => None,
    }
}

fn kept(filter: &Filter, row: &Row) -> bool {
    match filter {
        Filter::Metric(filter) => filter.keeps(&row.sums),
        Filter::Dimension(_) => true,
    }
}

fn compare(sorts: &[Sort], metrics: &[Metric], one: &Row, other: &Row) -> Ordering {
    let orders = sorts.iter().map(|sort| {
        let order = match sort.by {
            By::Dimension(position) => one.cells[position].cmp(&other.cells[position]),
            By::Metric(position) => {
                let value = |row: &Row| (metrics[position].of)(&row.sums).float();
                value(one).total_cmp(&value(other))
            }
        };
        if sort.descending { order.reverse() } else { order }
    });
    orders.fold(Ordering::Equal, Ordering::then)
}

fn items(metrics: &[Metric], row: &Row) -> Vec<Item> {
    let dimensions = row.cells.iter().map(|cell| match cell {
        Cell::Number(number) => Item::Long(*number),
        Cell::Text(text) => Item::Text(text.to_string()),
    });
    let metrics = metrics.iter().map(|metric| match (metric.of)(&row.sums) {
        Number::Long(number) => Item::Long(number),
        Number::Double(number) => Item::Double(number),
    });
    dimensions.chain(metrics).collect()
}

fn quote(item: &mut Item) {
    let mut text = String::new();
    if !matches!(item, Item::Text(_)) {
        item.json(&mut text);
        *item = Item::Text(text);
    }
}

/// The same row with one more in its first metric.
fn conflicting(row: &[Item], metric: usize) -> Option<Vec<Item>> {
    match row.get(metric)? {
        Item::Long(number) => with(row, metric, number + 1),
        _ => None,
    }
}

/// The same row with another number.
fn with(row: &[Item], column: usize, number: u64) -> Option<Vec<Item>> {
    let mut row = row.to_vec();
    *row.get_mut(column)? = Item::Long(number);
    Some(row)
}
