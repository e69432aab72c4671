//! Reporting API v2: `POST /reporting-api/v2/reports/delivery/traffic/current/data`.
//!
//! Rows are flat objects with a member for each dimension and metric asked for; time is the start of the window, in seconds
//! since the epoch. Without a filter Akamai answers for all CP codes and lists them in the metadata, which is not read. An answer that was cut
//! off says so (`hasMoreRows`), and there is no next page.

mod rows;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::report::table::Table;
use super::super::report::{Answer, Check, Dimension, Families, Measure, Reader as ReportReader, Shape};
use super::columns::{self, DIMENSIONS, FAMILIES, METRICS};
use crate::akamai::{Api, ApiError, ApiLimit, Permit, Query};
use crate::ini::{Reader, nearest, value};
use crate::ledger::Window;
use crate::model::Reason;

/// "Rate limiting" in the reference has 20 a minute in its example; the answers tell.
pub(super) static LIMIT: ApiLimit = ApiLimit {
    name: "reporting",
    per_minute: 20,
    limit_header: "akamai-sync-ratelimit-limit",
    remaining_header: "akamai-sync-ratelimit-remaining",
    // 50,000 rows of 16 columns are some 25 MB.
    largest_answer: 64 << 20,
};

const REPORT: &str = "/reporting-api/v2/reports/delivery/traffic/current";
const DATA: &str = "/reporting-api/v2/reports/delivery/traffic/current/data";

/// The dimension that cuts the answer into windows.
pub(super) const TIME: &str = "time5minutes";

/// The report's `maxDimensions`, time included.
const MOST_DIMENSIONS: usize = 4;

/// The report's `dataPointsLimit`.
pub(super) const MOST_ROWS: usize = 50_000;

#[derive(Debug)]
pub(super) struct Reporting {
    shape: Shape,
    /// What is asked for, in the order of the shape.
    dimensions: Vec<&'static str>,
    metrics: Vec<&'static str>,
    /// The report's `inListFilterMaxValues`, if it has one.
    most_codes: AtomicUsize,
}

/// Reads `dimensions` and `metrics` of a section.
pub(super) fn open(section: &mut Reader<'_>) -> Option<Reporting> {
    let dimensions = match section.has("dimensions") {
        true => section.get("dimensions", dimensions)?,
        false => vec![DIMENSIONS[0], DIMENSIONS[3]],
    };
    let metrics = match section.has("metrics") {
        true => section.get("metrics", metrics)?,
        false => (0..columns::SUMS).collect(),
    };
    Some(Reporting::new(dimensions, &metrics))
}

fn dimensions(text: &str) -> Result<Vec<Dimension>, String> {
    let mut chosen = Vec::new();
    for name in value::list(text)? {
        // Time is always asked for.
        if name.eq_ignore_ascii_case(TIME) {
            continue;
        }
        if name.to_ascii_lowercase().starts_with("time") {
            return Err(format!(
                "`{name}` cannot be chosen: counters need windows of five minutes, and {TIME} is always there"
            ));
        }
        let names = DIMENSIONS.iter().map(|dimension| dimension.name);
        let found = DIMENSIONS.iter().find(|dimension| dimension.name.eq_ignore_ascii_case(&name));
        let found = found.ok_or_else(|| unknown("dimension", &name, names))?;
        if chosen.iter().any(|chosen: &Dimension| chosen.name == found.name) {
            return Err(twice(&name));
        }
        chosen.push(*found);
    }
    if chosen.len() + 1 > MOST_DIMENSIONS {
        return Err(format!(
            "has {} dimensions besides {TIME}, which is always there; Akamai takes {MOST_DIMENSIONS} in all",
            chosen.len()
        ));
    }
    Ok(chosen)
}

fn metrics(text: &str) -> Result<Vec<usize>, String> {
    let mut chosen = Vec::new();
    for name in value::list(text)? {
        let found = METRICS.iter().position(|metric| metric.eq_ignore_ascii_case(&name));
        let found = found.ok_or_else(|| unknown("metric", &name, METRICS.iter().copied()))?;
        if chosen.contains(&found) {
            return Err(twice(&name));
        }
        chosen.push(found);
    }
    Ok(chosen)
}

/// Said as [`value::list`] says it of what is spelt alike.
fn twice(name: &str) -> String {
    format!("`{name}` stands there twice")
}

fn unknown(what: &str, name: &str, valid: impl Iterator<Item = &'static str> + Clone) -> String {
    let all: Vec<_> = valid.clone().collect();
    // Which names all of them where none is near.
    let near = nearest(name, valid);
    let all = if near.ends_with('?') { format!(" All: {}", all.join(", ")) } else { String::new() };
    format!("the report has no {what} `{name}`; {near}{all}")
}

impl Reporting {
    pub(super) fn new(dimensions: Vec<Dimension>, metrics: &[usize]) -> Self {
        let labels: Vec<_> = dimensions.iter().map(|dimension| dimension.label).collect();
        let mut families = Families::default();
        let mut measure = |metric: usize| {
            let (known, additivity) = (&FAMILIES[metric], columns::additivity(metric));
            let scale = if metric < columns::SUMS { 1.0 } else { 0.01 };
            let family = families.of(known.name, known.help, additivity, &labels, false);
            Some(Measure { family, additivity, scale, class: None })
        };
        Self {
            dimensions: dimensions.iter().map(|dimension| dimension.name).collect(),
            metrics: metrics.iter().map(|metric| METRICS[*metric]).collect(),
            shape: Shape {
                measures: metrics.iter().map(|metric| measure(*metric)).collect(),
                cpcode: dimensions.iter().position(|dimension| dimension.label == "cpcode"),
                dimensions,
            },
            most_codes: AtomicUsize::new(usize::MAX),
        }
    }

    fn body(&self, codes: &BTreeSet<u64>) -> Vec<u8> {
        let dimensions: Vec<_> = std::iter::once(TIME).chain(self.dimensions.iter().copied()).collect();
        let codes: Vec<_> = codes.iter().map(u64::to_string).collect();
        let body = json!({
            "dimensions": dimensions,
            "metrics": self.metrics,
            "filters": [{ "dimensionName": "cpcode", "operator": "IN_LIST", "expressions": codes }],
            "sortBys": [{ "name": TIME, "sortOrder": "ASCENDING" }],
            "limit": MOST_ROWS,
        });
        body.to_string().into_bytes()
    }

    async fn send(
        &self,
        api: &Api,
        permit: Permit,
        windows: Range<Window>,
        codes: &BTreeSet<u64>,
    ) -> Result<Table, ApiError> {
        let (start, end) = (windows.start.to_string(), windows.end.to_string());
        let range = [("start", start.as_str()), ("end", end.as_str())];
        let query = Query {
            method: Method::POST,
            path: DATA,
            query: &range,
            body: self.body(codes),
            cpcodes: codes.iter().copied().collect::<Vec<_>>().into(),
        };
        api.send(permit, query, |body| self.parse(body)).await
    }

    /// Reads an answer's body.
    pub(super) fn parse(&self, body: &[u8]) -> Result<Table, ApiError> {
        rows::read(&self.dimensions, &self.metrics, body).map_err(|error| {
            ApiError::new(Reason::Malformed, format!("the answer is not what the report documents: {error}"))
        })
    }

    async fn examine(&self, api: &Api) -> Check {
        let permit = match api.permit().await {
            Ok(permit) => permit,
            Err(error) => return Check::Unknown(error),
        };
        let query = Query {
            method: Method::GET,
            path: REPORT,
            query: &[],
            body: Vec::new(),
            cpcodes: [].as_slice().into(),
        };
        let read = |body: &[u8]| {
            serde_json::from_slice::<Offer>(body).map_err(|error| {
                ApiError::new(Reason::Malformed, format!("the report's options cannot be read: {error}"))
            })
        };
        let offer = match api.send(permit, query, read).await {
            Ok(offer) => offer,
            Err(error) => return Check::Unknown(error),
        };
        if let Some(most) = offer.limits.in_list_filter_max_values.filter(|most| *most > 0) {
            self.most_codes.store(most, Ordering::Relaxed);
        }
        self.compare(&offer)
    }

    fn compare(&self, offer: &Offer) -> Check {
        let missing = |what: &str, chosen: &[&'static str], offered: &[Named]| {
            let unknown = chosen.iter().find(|name| !offered.iter().any(|offered| offered.name == **name))?;
            let all: Vec<_> = offered.iter().map(|offered| offered.name.as_str()).collect();
            Some(format!("Akamai's report has no {what} `{unknown}`; it has {}", all.join(", ")))
        };
        let most = offer.limits.max_dimensions.unwrap_or(MOST_DIMENSIONS);
        let too_many = (self.dimensions.len() + 1 > most)
            .then(|| format!("Akamai's report takes {most} dimensions, {TIME} included"));
        missing("dimension", &self.dimensions, &offer.dimensions)
            .or_else(|| missing("metric", &self.metrics, &offer.metrics))
            .or(too_many)
            .map_or(Check::Sound, Check::Wrong)
    }
}

impl ReportReader for Reporting {
    fn limit(&self) -> &'static ApiLimit {
        &LIMIT
    }

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn identity(&self) -> String {
        format!("reporting|{}|{}", self.dimensions.join(","), self.metrics.join(","))
    }

    fn most_rows(&self) -> usize {
        MOST_ROWS
    }

    fn most_codes(&self) -> usize {
        self.most_codes.load(Ordering::Relaxed)
    }

    fn check<'a>(&'a self, api: &'a Api) -> Answer<'a, Check> {
        Box::pin(self.examine(api))
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

/// The report's options, as far as they matter.
#[derive(Deserialize)]
struct Offer {
    #[serde(default)]
    limits: Limits,
    metrics: Vec<Named>,
    dimensions: Vec<Named>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_dimensions: Option<usize>,
    in_list_filter_max_values: Option<usize>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}
