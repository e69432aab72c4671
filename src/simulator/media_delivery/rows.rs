//! The answer: columns, rows of strings, pages.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::columns::Tally;
use super::request::Request;
use crate::simulator::api::Outcome;
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::noise::Noise;
use crate::simulator::problem;
use crate::simulator::traffic::table::{Cell, Dimension, Question};

/// The data as it is reported now.
pub(super) fn answer(
    seed: u64,
    request: &Request,
    cpcodes: &[u64],
    now: DateTime<Utc>,
    faults: &Strikes,
) -> Outcome {
    let rows =
        if faults.contains(&Fault::Empty) { BTreeMap::new() } else { tallies(seed, request, cpcodes, now) };
    let width = request.groups.len() + request.metrics.len();
    let order = order(request, width);
    let timed = request.groups.iter().any(|group| group.dimension.grain().is_some());
    let seconds = if timed { request.aggregation } else { request.end - request.start };
    let row = |(cells, tally): (&Vec<Cell>, &Tally)| -> Value {
        let groups = cells.iter().map(|cell| match cell {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => text.to_string(),
        });
        let metrics = request.metrics.iter().map(|metric| metric.text(tally, seconds));
        let mut row = vec![String::new(); width];
        for (&index, text) in order.iter().zip(groups.chain(metrics)) {
            row[index] = text;
        }
        json!(row)
    };
    let page: Vec<Value> = rows.iter().skip(request.offset).take(request.limit).map(row).collect();
    let count = page.len();
    let body = json!({
        "columns": columns(request, &order, &rows),
        "rows": page,
        "metaData": {
            "aggregation": request.aggregation,
            "startTimeInEpoch": request.start,
            "endTimeInEpoch": request.end,
            "timeZone": "GMT",
            "limit": request.limit,
            "offset": request.offset,
            "hasMoreData": rows.len() > request.offset.saturating_add(request.limit),
            "reportPack": "1",
        },
    });
    Outcome { rows: Some(count), ..problem::json(StatusCode::OK, &body).into() }
}

/// What each row counts, by the cells of its dimensions.
fn tallies(seed: u64, request: &Request, cpcodes: &[u64], now: DateTime<Utc>) -> BTreeMap<Vec<Cell>, Tally> {
    let mut dimensions: Vec<Dimension> = request.groups.iter().map(|group| group.dimension).collect();
    dimensions.push(Dimension::ResponseCode);
    let question = Question {
        seed,
        cpcodes,
        start: request.start,
        end: request.end,
        as_of: Some(now.timestamp()),
        dimensions: &dimensions,
        filtered: &[],
        keep: &|_, _| true,
    };
    let mut tallies: BTreeMap<Vec<Cell>, Tally> = BTreeMap::new();
    for mut row in question.rows() {
        if let Some(Cell::Number(code)) = row.cells.pop() {
            tallies.entry(row.cells).or_default().add(code as u16, &row.sums);
        }
    }
    tallies
}

/// Where each column stands in the rows: not always as they were asked for.
fn order(request: &Request, width: usize) -> Vec<usize> {
    let ids = request.metrics.iter().map(|metric| u64::from(metric.id));
    let turn = ids.fold(Noise::new(0), Noise::of).bits() as usize % width.max(1);
    (0..width).map(|position| (position + turn) % width).collect()
}

/// The columns, with each metric over all pages.
fn columns(request: &Request, order: &[usize], rows: &BTreeMap<Vec<Cell>, Tally>) -> Vec<Value> {
    let groups = request.groups.iter().zip(order).map(
        |(group, index)| json!({ "type": "DIMENSION", "id": group.id, "name": group.name, "index": index }),
    );
    let mut all = Tally::default();
    rows.values().for_each(|tally| all.merge(tally));
    let seconds = request.end - request.start;
    let metrics = request.metrics.iter().zip(&order[request.groups.len()..]).map(|(metric, index)| {
        json!({
            "type": "METRIC",
            "id": metric.id,
            "name": metric.name,
            "index": index,
            "unit": metric.unit,
            "aggregate": metric.text(&all, seconds),
        })
    });
    groups.chain(metrics).collect()
}
