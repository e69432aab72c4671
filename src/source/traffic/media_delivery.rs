//! Media Delivery Reports v1, as the scripts before this exporter used them: `GET
//! /media-delivery-reports/v1/adaptive-media-delivery/realtime-data` and `.../data`.
//!
//! Akamai switched it off on 15 July 2025; this is for whoever still reaches one. Dimensions and metrics are numbers, every cell is a
//! string, and a column tells its name and unit. Where no dimension is the CP code, each CP code is asked for by itself, as the scripts did.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::super::report::table::{Cell, Fault, Line, Table, Words};
use super::super::report::{
    Additivity, Answer, Check, Dimension, Families, Measure, Reader as ReportReader, Shape,
};
use super::columns::FAMILIES;
use crate::akamai::{Api, ApiError, ApiLimit, Permit, Query};
use crate::ini::{Reader, value};
use crate::ledger::Window;
use crate::model::{LabelValue, Reason};

/// "Rate limiting" in the reference: 20 a minute.
static LIMIT: ApiLimit = ApiLimit {
    name: "media-delivery-reports",
    per_minute: 20,
    limit_header: "x-ratelimit-limit",
    remaining_header: "x-ratelimit-remaining",
    largest_answer: 32 << 20,
};

const PATH: &str = "/media-delivery-reports/v1/adaptive-media-delivery/";

/// The most rows of a page, which is the API's own bound.
const PAGE: usize = 10_000;

/// No report has so many pages.
const MOST_PAGES: usize = 100;

/// The dimension that is the CP code, where there is one.
const CPCODE: u32 = 2;

/// The metrics that the scripts asked for: classes of edge hits, all edge hits, all origin hits.
const ORIGINAL_METRICS: [u32; 9] = [616, 617, 618, 619, 620, 621, 622, 630, 631];

/// Which of the two paths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Path {
    Realtime,
    Historical,
}

impl Path {
    fn name(self) -> &'static str {
        match self {
            Self::Realtime => "realtime-data",
            Self::Historical => "data",
        }
    }

    /// The dimension that is the time.
    fn time(self) -> u32 {
        match self {
            Self::Realtime => 600,
            Self::Historical => 1,
        }
    }
}

/// Dimensions of the historical path, by number (data stores 14 and 17).
const DIMENSIONS: [(u32, &str); 16] = [
    (CPCODE, "cpcode"),
    (4, "hostname"),
    (5, "stream"),
    (6, "file_size"),
    (7, "device"),
    (8, "os"),
    (9, "network_type"),
    (10, "encoded_bitrate"),
    (14, "city"),
    (17, "isp"),
    (18, "content_type"),
    (19, "file_extension"),
    (21, "url"),
    (22, "player_id"),
    (24, "country"),
    (25, "sub_customer"),
];

const GIGABYTE: f64 = 1e9;

/// Metrics that are columns of the traffic report too: number, place in [`FAMILIES`], status class, scale.
const KNOWN: [(u32, usize, Option<&str>, f64); 18] = [
    (617, 0, Some("2xx"), 1.0),
    (618, 0, Some("3xx"), 1.0),
    (619, 0, Some("4xx"), 1.0),
    (620, 0, Some("5xx"), 1.0),
    (630, 0, None, 1.0),
    (631, 4, None, 1.0),
    (18, 0, Some("0xx"), 1.0),
    (21, 0, Some("2xx"), 1.0),
    (24, 0, Some("3xx"), 1.0),
    (28, 0, Some("4xx"), 1.0),
    (29, 0, Some("5xx"), 1.0),
    (4, 0, None, 1.0),
    (9, 8, None, 1.0),
    (167, 4, None, 1.0),
    (115, 5, None, 1.0),
    (107, 1, None, GIGABYTE),
    (116, 9, None, GIGABYTE),
    (168, 5, None, GIGABYTE),
];

/// Averages and counts of distinct things, whatever their unit.
const NOT_ADDITIVE: [u32; 3] = [38, 101, 118];

/// Words in a column's name that tell the same.
const NOT_ADDITIVE_WORDS: [&str; 10] =
    ["unique", "average", "avg", "mean", "peak", "max", "min", "concurrent", "rate", "sessions"];

#[derive(Debug)]
pub(super) struct MediaDelivery {
    path: Path,
    dimensions: Vec<u32>,
    metrics: Vec<u32>,
    /// Whether rows tell of which CP code they are.
    has_cpcode: bool,
    learned: Mutex<Learned>,
}

/// What answers have told of the columns.
#[derive(Debug)]
struct Learned {
    families: Families,
    shape: Shape,
}

/// Reads `report`, `dimensions` and `metrics` of a section.
pub(super) fn open(section: &mut Reader<'_>) -> Option<MediaDelivery> {
    let path = section.get("report", |text| match text.to_ascii_lowercase().as_str() {
        "realtime" => Ok(Path::Realtime),
        "historical" => Ok(Path::Historical),
        _ => Err(format!("`{text}` is not known; expected realtime or historical")),
    });
    let path = if section.has("report") { path? } else { Path::Realtime };
    let dimensions = match section.has("dimensions") {
        true => section.get("dimensions", |text| dimensions(text, path))?,
        false => Vec::new(),
    };
    let metrics = match section.has("metrics") {
        true => section.get("metrics", numbers)?,
        false if path == Path::Realtime => ORIGINAL_METRICS.to_vec(),
        false => {
            section.complain_of_section(
                "has no metrics; expected numbers of the historical report, such as metrics = 4, 9, 167, 107",
            );
            return None;
        }
    };
    Some(MediaDelivery::new(path, dimensions, metrics))
}

fn numbers(text: &str) -> Result<Vec<u32>, String> {
    let mut chosen = Vec::new();
    for item in value::list(text)? {
        let id = item.parse();
        let id = id.map_err(|_| format!("`{item}` is no id; this API has numbers, such as 617, 630"))?;
        if chosen.contains(&id) {
            return Err(format!("`{item}` stands there twice"));
        }
        chosen.push(id);
    }
    Ok(chosen)
}

fn dimensions(text: &str, path: Path) -> Result<Vec<u32>, String> {
    let mut chosen = numbers(text)?;
    // Time is always asked for.
    chosen.retain(|id| *id != path.time());
    let known: Vec<String> = DIMENSIONS.iter().map(|(id, label)| format!("{id} ({label})")).collect();
    let is_known = |id: &u32| DIMENSIONS.iter().any(|(known, _)| known == id);
    if let Some(id) = chosen.iter().find(|id| path == Path::Historical && !is_known(id)) {
        return Err(format!("{id} is no dimension of the historical report; valid: {}", known.join(", ")));
    }
    if chosen.len() > 3 {
        return Err(format!("has {} dimensions besides time; expected three at most", chosen.len()));
    }
    Ok(chosen)
}

impl MediaDelivery {
    fn new(path: Path, dimensions: Vec<u32>, metrics: Vec<u32>) -> Self {
        let has_cpcode = dimensions.contains(&CPCODE);
        let cpcode = (!has_cpcode).then_some(Dimension { name: "cpcode", label: "cpcode", values: &[] });
        let named = dimensions.iter().map(|id| {
            let known = DIMENSIONS.iter().find(|(known, _)| known == id).map(|(_, label)| *label);
            let label = known.unwrap_or_else(|| format!("dimension_{id}").leak());
            Dimension { name: label, label, values: &[] }
        });
        let dimensions_of_shape: Vec<_> = cpcode.into_iter().chain(named).collect();
        let shape = Shape {
            cpcode: dimensions_of_shape.iter().position(|dimension| dimension.label == "cpcode"),
            measures: vec![None; metrics.len()],
            dimensions: dimensions_of_shape,
        };
        let mut learned = Learned { families: Families::default(), shape };
        learned.know(&metrics);
        Self { path, dimensions, metrics, has_cpcode, learned: Mutex::new(learned) }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        api: &Api,
        permit: Permit,
        windows: Range<Window>,
        codes: &BTreeSet<u64>,
    ) -> Result<Table, ApiError> {
        let (start, end) = (minute(windows.start.start()), minute(windows.end.start()));
        let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let dimensions = ids(&[&[self.path.time()][..], &self.dimensions].concat());
        let (metrics, path) = (ids(&self.metrics), format!("{PATH}{}", self.path.name()));
        let cpcodes = codes.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let only = codes.first().filter(|_| !self.has_cpcode).copied();
        let (mut permit, mut table) = (Some(permit), Table::default());
        for page in 0..MOST_PAGES {
            let granted = match permit.take() {
                Some(permit) => permit,
                None => api.permit().await?,
            };
            let (limit, offset) = (PAGE.to_string(), (page * PAGE).to_string());
            let pairs = [
                ("startDate", start.as_str()),
                ("endDate", &end),
                ("dimensions", &dimensions),
                ("metrics", &metrics),
                ("cpcodes", &cpcodes),
                ("aggregation", "300"),
                ("limit", &limit),
                ("offset", &offset),
            ];
            let query = Query {
                method: Method::GET,
                path: &path,
                query: &pairs,
                body: Vec::new(),
                cpcodes: codes.iter().copied().collect::<Vec<_>>().into(),
            };
            let (lines, has_more) = api.send(granted, query, |body| self.parse(body, only)).await?;
            if has_more && lines.is_empty() {
                break;
            }
            table.lines.extend(lines);
            if !has_more {
                return Ok(table);
            }
        }
        Err(ApiError::new(Reason::Malformed, "the report's pages do not end"))
    }

    /// Reads a page; whether there are more. `only` is the CP code of all rows where they do not tell.
    fn parse(&self, body: &[u8], only: Option<u64>) -> Result<(Vec<Line>, bool), ApiError> {
        let malformed = |words: String| ApiError::new(Reason::Malformed, words);
        let page: Page = serde_json::from_slice(body)
            .map_err(|error| malformed(format!("the answer is not what the report documents: {error}")))?;
        self.learned().learn(&self.metrics, &page.columns);
        let place = |id: u32, kind: &str| {
            let column = page.columns.iter().find(|column| column.id == Some(id) && column.is(kind));
            column.map(|column| column.index)
        };
        let time = place(self.path.time(), "DIMENSION");
        let dimensions: Vec<_> = self.dimensions.iter().map(|id| place(*id, "DIMENSION")).collect();
        let metrics: Vec<_> = self.metrics.iter().map(|id| place(*id, "METRIC")).collect();
        let mut words = Words::default();
        let only = only.map(|code| LabelValue::from(code.to_string()));
        let line = |row: &Vec<Value>| {
            let cell = |place: &Option<usize>| place.and_then(|place| row.get(place)).and_then(text);
            let named = dimensions.iter().map(|place| cell(place).map(|text| words.of(&text)));
            Line {
                time: cell(&time).and_then(|text| text.trim().parse().ok()),
                labels: only.iter().cloned().map(Some).chain(named).collect(),
                cells: metrics
                    .iter()
                    .map(|place| {
                        cell(place).map_or(Cell::Bad(Fault::MissingColumn), |text| Cell::read(&text))
                    })
                    .collect(),
            }
        };
        Ok((page.rows.iter().map(line).collect(), page.meta_data.has_more_data))
    }
}

impl Learned {
    /// The measures that are known by their number.
    fn know(&mut self, metrics: &[u32]) {
        let rows: Vec<_> =
            metrics.iter().map(|id| KNOWN.iter().find(|(known, ..)| known == id).copied()).collect();
        let mut taken: BTreeMap<(usize, Option<&str>), ()> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let Some((_, family, class, scale)) = *row else { continue };
            // The sum of all classes beside the classes would count twice when they are added up.
            let is_whole = class.is_none()
                && rows.iter().flatten().any(|(_, other, class, _)| *other == family && class.is_some());
            if is_whole || taken.insert((family, class), ()).is_some() {
                continue;
            }
            let known = &FAMILIES[family];
            let labels = self.labels();
            let family = self.families.of(known.name, known.help, Additivity::Sum, &labels, class.is_some());
            self.shape.measures[at] = Some(Measure { family, additivity: Additivity::Sum, scale, class });
        }
    }

    /// The measures that an answer describes.
    fn learn(&mut self, metrics: &[u32], columns: &[Column]) {
        for (at, id) in metrics.iter().enumerate() {
            let column = columns.iter().find(|column| column.id == Some(*id) && column.is("METRIC"));
            if let (None, Some(column)) = (&self.shape.measures[at], column) {
                self.shape.measures[at] = Some(self.measure(*id, column));
            }
        }
    }

    fn measure(&mut self, id: u32, column: &Column) -> Measure {
        let unit = column.unit.as_deref().unwrap_or_default().to_ascii_uppercase();
        let words = Some(snake(&column.name)).filter(|words| !words.is_empty());
        let words = words.unwrap_or_else(|| format!("column_{id}"));
        let is_sum = !NOT_ADDITIVE.contains(&id)
            && !NOT_ADDITIVE_WORDS.iter().any(|word| words.split('_').any(|part| part == *word));
        let (unit_name, scale, is_sum) = match unit.as_str() {
            "%" => ("ratio", 0.01, false),
            "MBPS" | "MBIT/SEC" => ("bits_per_second", 1e6, false),
            "KBPS" => ("bits_per_second", 1e3, false),
            "HITS/SEC" => ("hits_per_second", 1.0, false),
            "MS" => ("seconds", 1e-3, false),
            "GB" => ("bytes", GIGABYTE, is_sum),
            "MB" => ("bytes", 1e6, is_sum),
            "KB" => ("bytes", 1e3, is_sum),
            "BYTES" => ("bytes", 1.0, is_sum),
            "MINUTES" => ("seconds", 60.0, is_sum),
            "SECONDS" => ("seconds", 1.0, is_sum),
            _ => ("", 1.0, is_sum),
        };
        let additivity = if is_sum { Additivity::Sum } else { Additivity::Gauge };
        let mut name = format!("akamai_traffic_{words}");
        if !unit_name.is_empty() && !name.ends_with(unit_name) {
            name = format!("{name}_{unit_name}");
        }
        let total = if is_sum { "_total" } else { "" };
        if self.families.has(&format!("{name}{total}")) {
            name = format!("{name}_{id}");
        }
        let help = match additivity {
            Additivity::Sum => {
                format!("Column {id} of Media Delivery Reports, \"{}\", in base units.", column.name)
            }
            Additivity::Gauge => {
                format!(
                    "Column {id} of Media Delivery Reports, \"{}\", in the newest window, in base units.",
                    column.name
                )
            }
        };
        let labels = self.labels();
        let family = self.families.of(&format!("{name}{total}"), &help, additivity, &labels, false);
        Measure { family, additivity, scale, class: None }
    }

    fn labels(&self) -> Vec<&'static str> {
        self.shape.dimensions.iter().map(|dimension| dimension.label).collect()
    }
}

/// A column's name as part of a metric's.
fn snake(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

/// A time as this API wants it, in UTC.
fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%MZ").to_string()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl ReportReader for MediaDelivery {
    fn limit(&self) -> &'static ApiLimit {
        &LIMIT
    }

    fn shape(&self) -> Shape {
        self.learned().shape.clone()
    }

    fn identity(&self) -> String {
        format!("media-delivery-reports|{}|{:?}|{:?}", self.path.name(), self.dimensions, self.metrics)
    }

    fn most_rows(&self) -> usize {
        PAGE * MOST_PAGES
    }

    fn most_codes(&self) -> usize {
        if self.has_cpcode { usize::MAX } else { 1 }
    }

    fn check<'a>(&'a self, _: &'a Api) -> Answer<'a, Check> {
        // It has no description of itself that could be read.
        Box::pin(std::future::ready(Check::Sound))
    }

    fn explain(&self, error: ApiError) -> ApiError {
        match error.reason {
            Reason::NotFound | Reason::GrantMissing => ApiError::new(
                Reason::Retired,
                format!(
                    "Akamai switched Media Delivery Reports off on 15 July 2025 ({error}): without api = media-delivery-reports the section reads the Reporting API v2, which has hits and bytes of the same CP codes"
                ),
            ),
            _ => error,
        }
    }

    fn ask<'a>(
        &'a self,
        api: &'a Api,
        permit: Permit,
        windows: Range<Window>,
        codes: &'a BTreeSet<u64>,
    ) -> Answer<'a, Result<Table, ApiError>> {
        Box::pin(self.send(api, permit, windows, codes))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    meta_data: MetaData,
}

#[derive(Deserialize)]
struct Column {
    /// DIMENSION or METRIC; older answers leave it out.
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<u32>,
    #[serde(default)]
    name: String,
    index: usize,
    unit: Option<String>,
}

impl Column {
    fn is(&self, kind: &str) -> bool {
        match &self.kind {
            Some(own) => own.eq_ignore_ascii_case(kind),
            // Dimensions and metrics have the same numbers; only metrics have a unit.
            None => (kind == "METRIC") == self.unit.is_some(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaData {
    has_more_data: bool,
}

#[cfg(test)]
mod tests;
