//! A query of the traffic report, read strictly: what the documentation does not allow is refused, everything
//! at once (techdocs reporting post-reports-data, and the page of the report).

use axum::extract::Query as Parameters;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::definition::{self, Column, Metric};
use super::filters::{self, Filter};
use crate::simulator::Options;
use crate::simulator::api::Call;
use crate::simulator::noise::Noise;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// What it is about: `metrics`, `start`.
    kind: &'static str,
    detail: String,
}

impl Invalid {
    pub(super) fn of(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(super) fn json(&self, problem: &str) -> Value {
        json!({ "type": self.kind, "title": "Validation error", "detail": self.detail, "problemId": problem })
    }
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sort {
    pub(super) by: By,
    pub(super) descending: bool,
}

/// A position in the query's dimensions or metrics.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Dimension(usize),
    Metric(usize),
}

/// The times between which the report is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
}

impl Range {
    /// As the answer repeats it: with as many digits as there are.
    pub(super) fn text(time: DateTime<Utc>) -> String {
        let format =
            if time.timestamp_subsec_nanos() == 0 { SecondsFormat::Secs } else { SecondsFormat::Nanos };
        time.to_rfc3339_opts(format, true)
    }
}

/// A valid query.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) range: Range,
    pub(super) metrics: Vec<Metric>,
    pub(super) dimensions: Vec<Column>,
    pub(super) filters: Vec<Filter>,
    pub(super) sorts: Vec<Sort>,
    pub(super) limit: usize,
    /// The rows of a page, if the answer may come later.
    pub(super) later: Option<usize>,
}

/// Reads a query.
pub(super) fn read(options: &Options, call: &Call) -> Result<Query, Vec<Invalid>> {
    let mut errors = Vec::new();
    let parameters = parameters(&call.uri, &mut errors);
    let range = range(options, call.now, &parameters, &mut errors);
    let later = later(&parameters, &mut errors);
    let members = members(call, &mut errors);
    let metrics = metrics(&members, &mut errors);
    let dimensions = dimensions(&members, &mut errors);
    let filters = filters(options, &members, &mut errors);
    let sorts = sorts(&members, &metrics, &dimensions, &mut errors);
    let limit = limit(&members, &mut errors);
    match range {
        Some(range) if errors.is_empty() => {
            Ok(Query { range, metrics, dimensions, filters, sorts, limit, later })
        }
        _ => Err(errors),
    }
}

const PARAMETERS: [&str; 6] = ["start", "end", "timeRange", "async", "pageSize", "accountSwitchKey"];

/// The parameters of the query string: known ones, each once.
fn parameters(uri: &Uri, errors: &mut Vec<Invalid>) -> Vec<(String, String)> {
    let Ok(Parameters(parameters)) = Parameters::<Vec<(String, String)>>::try_from_uri(uri) else {
        errors.push(Invalid::of("query", "The query string cannot be read"));
        return Vec::new();
    };
    for (position, (name, _)) in parameters.iter().enumerate() {
        if !PARAMETERS.contains(&name.as_str()) {
            errors.push(Invalid::of("query", format!("Unknown query parameter: '{name}'")));
        } else if parameters[..position].iter().any(|(other, _)| other == name) {
            errors.push(Invalid::of("query", format!("Query parameter '{name}' is given twice")));
        }
    }
    parameters
}

fn parameter<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn range(
    options: &Options,
    now: DateTime<Utc>,
    parameters: &[(String, String)],
    errors: &mut Vec<Invalid>,
) -> Option<Range> {
    let given = |name| parameter(parameters, name);
    let range = match (given("start"), given("end"), given("timeRange")) {
        (None, None, None) => {
            // The clock of whoever computes the default has nanoseconds.
            let nanos = Noise::new(options.seed).on("nanoseconds").of(now.timestamp_millis() as u64).bits();
            let now = now + TimeDelta::nanoseconds((nanos % 999_999 + 1) as i64);
            let ago = |seconds| now - TimeDelta::seconds(seconds);
            Some(Range { start: ago(19 * 60), end: ago(9 * 60 + 1) })
        }
        (None, None, Some(name)) => {
            let minutes = definition::TIME_RANGES.iter().find(|(known, _)| *known == name);
            minutes.map(|&(_, minutes)| Range { start: now - TimeDelta::minutes(minutes), end: now })
        }
        (Some(start), Some(end), None) => time(start).zip(time(end)).map(|(start, end)| Range { start, end }),
        _ => {
            let detail = "Give both start and end, or timeRange, or none of them";
            errors.push(Invalid::of("timeRange", detail));
            return None;
        }
    };
    let Some(range) = range else {
        errors.push(Invalid::of("timeRange", "The time range is neither known nor in ISO 8601"));
        return None;
    };
    if range.start >= range.end {
        errors.push(Invalid::of("start", "The start must be before the end"));
    }
    let longest = TimeDelta::days(definition::MAX_DAYS);
    if range.end - range.start > longest {
        let detail = format!("The time range exceeds the limit of {} days", definition::MAX_DAYS);
        errors.push(Invalid::of("start", detail));
    }
    if now - range.start > longest {
        let detail = format!("The start exceeds the retention of {} days", definition::MAX_DAYS);
        errors.push(Invalid::of("start", detail));
    }
    Some(range)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

fn later(parameters: &[(String, String)], errors: &mut Vec<Invalid>) -> Option<usize> {
    let wanted = match parameter(parameters, "async") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            errors.push(Invalid::of("async", "The value of async must be true or false"));
            false
        }
    };
    let size = match parameter(parameters, "pageSize").map(str::parse) {
        None => definition::DATA_POINTS_LIMIT,
        Some(Ok(size @ 1..)) if wanted => size,
        Some(_) => {
            errors.push(Invalid::of("pageSize", "The page size must be 1 or more, for an async query"));
            1
        }
    };
    wanted.then_some(size)
}

fn members(call: &Call, errors: &mut Vec<Invalid>) -> Map<String, Value> {
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return Map::new();
    }
    let media_type =
        call.header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        errors.push(Invalid::of("body", "The request body must be application/json"));
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(&call.body) else {
        errors.push(Invalid::of("body", "The request body must be a JSON object"));
        return Map::new();
    };
    let known = ["metrics", "dimensions", "filters", "sortBys", "limit"];
    let unknown = members.keys().filter(|name| !known.contains(&name.as_str()));
    errors.extend(unknown.map(|name| Invalid::of("body", format!("Unknown member: '{name}'"))));
    members
}

/// A list of names out of a closed set, none twice.
fn names<T>(
    members: &Map<String, Value>,
    kind: &'static str,
    default: &[&str],
    find: impl Fn(&str) -> Option<T>,
    errors: &mut Vec<Invalid>,
) -> Vec<T> {
    let wrong = |value: &Value| {
        let name = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Invalid::of(kind, format!("Incorrect {} name: '{name}'", kind.trim_end_matches('s')))
    };
    let given = match members.get(kind) {
        None => return default.iter().filter_map(|name| find(name)).collect(),
        Some(Value::Array(given)) => given,
        Some(_) => {
            errors.push(Invalid::of(kind, format!("The member {kind} must be a list")));
            return Vec::new();
        }
    };
    if (1..given.len()).any(|position| given[..position].contains(&given[position])) {
        errors.push(Invalid::of(kind, format!("The member {kind} names something twice")));
    }
    let mut found = Vec::new();
    for value in given {
        match value.as_str().and_then(&find) {
            Some(item) => found.push(item),
            None => errors.push(wrong(value)),
        }
    }
    found
}

fn metrics(members: &Map<String, Value>, errors: &mut Vec<Invalid>) -> Vec<Metric> {
    names(members, "metrics", &definition::DEFAULT_METRICS, definition::metric, errors)
}

fn dimensions(members: &Map<String, Value>, errors: &mut Vec<Invalid>) -> Vec<Column> {
    let dimensions = names(members, "dimensions", &definition::DEFAULT_DIMENSIONS, definition::named, errors);
    if dimensions.len() > definition::MAX_DIMENSIONS {
        let detail = format!("At most {} dimensions are allowed", definition::MAX_DIMENSIONS);
        errors.push(Invalid::of("dimensions", detail));
    }
    if dimensions.iter().filter(|column| column.dimension.grain().is_some()).count() > 1 {
        errors.push(Invalid::of("dimensions", "At most one time dimension is allowed"));
    }
    dimensions
}

fn filters(options: &Options, members: &Map<String, Value>, errors: &mut Vec<Invalid>) -> Vec<Filter> {
    let given = match members.get("filters") {
        None => return Vec::new(),
        Some(Value::Array(given)) => given,
        Some(_) => {
            errors.push(Invalid::of("filters", "The member filters must be a list"));
            return Vec::new();
        }
    };
    let mut filters = Vec::new();
    for filter in given {
        match filters::read(options, filter) {
            Ok(filter) => filters.push(filter),
            Err(error) => errors.push(error),
        }
    }
    filters
}

fn sorts(
    members: &Map<String, Value>,
    metrics: &[Metric],
    dimensions: &[Column],
    errors: &mut Vec<Invalid>,
) -> Vec<Sort> {
    let find = |name: &str| {
        let dimension = dimensions.iter().position(|column| column.name == name).map(By::Dimension);
        dimension.or_else(|| metrics.iter().position(|metric| metric.name == name).map(By::Metric))
    };
    let sort = |name: &str, order: &str| {
        let descending = match order {
            "ASCENDING" => false,
            "DESCENDING" => true,
            _ => return None,
        };
        Some(Sort { by: find(name)?, descending })
    };
    let given = match members.get("sortBys") {
        // The report's order, as far as its columns are asked for.
        None => {
            return definition::DEFAULT_SORTS.iter().filter_map(|(name, order)| sort(name, order)).collect();
        }
        Some(Value::Array(given)) => given,
        Some(_) => {
            errors.push(Invalid::of("sortBys", "The member sortBys must be a list"));
            return Vec::new();
        }
    };
    let mut sorts = Vec::new();
    for (position, value) in given.iter().enumerate() {
        let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default();
        let whole = value.as_object().is_some_and(|members| members.len() == 2);
        match sort(text("name"), text("sortOrder")) {
            Some(sort) if whole && !given[..position].contains(value) => sorts.push(sort),
            _ => errors.push(Invalid::of("sortBys", format!("Incorrect sorting: {value}"))),
        }
    }
    sorts
}

fn limit(members: &Map<String, Value>, errors: &mut Vec<Invalid>) -> usize {
    match members.get("limit") {
        None => definition::DATA_POINTS_LIMIT,
        Some(limit) => limit.as_u64().map_or_else(
            || {
                errors.push(Invalid::of("limit", "The limit must be an integer, 0 or more"));
                0
            },
            |limit| limit as usize,
        ),
    }
}
