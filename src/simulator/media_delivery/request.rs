//! The query string, read strictly (techdocs media-delivery-rpts, `realtime-data` and `data`).

use axum::extract::Query;
use axum::http::Uri;
use chrono::{DateTime, TimeDelta, Utc};

use super::columns::{self, Metric};
use crate::simulator::api::Call;
use crate::simulator::traffic::table::{Dimension, WINDOW};

/// The most windows of CP codes that are counted at once. Akamai limits the minutes by data store.
pub(super) const MOST: u64 = 500_000;
/// `realtime-data` has nothing younger.
const LAG: TimeDelta = TimeDelta::minutes(15);

/// Parameters of both, and then those of `data` alone. The latter only choose among kinds of delivery that the
/// simulated traffic does not have, and change nothing.
const PARAMETERS: [&str; 10] = [
    "startDate",
    "endDate",
    "dimensions",
    "metrics",
    "cpcodes",
    "aggregation",
    "limit",
    "offset",
    "reduce",
    "enableCPCodeName",
];
const OF_DATA: [&str; 7] = [
    "filterParams",
    "sortParams",
    "deliveryOption",
    "deliveryType",
    "deliveryFormat",
    "mediaEncryption",
    "ipVersion",
];

/// A column that rows are grouped by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) dimension: Dimension,
}

/// A valid request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) groups: Vec<Group>,
    pub(super) metrics: Vec<Metric>,
    pub(super) cpcodes: Vec<u64>,
    pub(super) aggregation: i64,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Request {
    pub(super) fn windows(&self) -> u64 {
        (self.end - self.start).max(0) as u64 / WINDOW as u64
    }
}

pub(super) fn parameters(uri: &Uri) -> Option<Vec<(String, String)>> {
    Query::<Vec<(String, String)>>::try_from_uri(uri).ok().map(|Query(parameters)| parameters)
}

/// Reads a request; what is wrong is told in a sentence.
pub(super) fn read(call: &Call, realtime: bool) -> Result<Request, String> {
    let parameters = parameters(&call.uri).ok_or("The query cannot be read.")?;
    let known = |name: &str| {
        PARAMETERS.contains(&name) || name == "accountSwitchKey" || (!realtime && OF_DATA.contains(&name))
    };
    if let Some((name, _)) = parameters.iter().find(|(name, _)| !known(name)) {
        return Err(format!("Unknown parameter {name}."));
    }
    let given =
        |name: &str| parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let required = |name: &str| given(name).ok_or_else(|| format!("Missing parameter {name}."));
    let (start, end) = (time("startDate", required("startDate")?)?, time("endDate", required("endDate")?)?);
    if start >= end {
        return Err("The startDate must be before the endDate.".to_owned());
    }
    if realtime && end > call.now - LAG {
        return Err("The startDate and endDate must be at least 15 minutes before now.".to_owned());
    }
    let aggregation = aggregation(given("aggregation"), realtime, end - start)?;
    let groups = ids("dimensions", required("dimensions")?, |id| group(realtime, id, aggregation))?;
    let metrics = ids("metrics", required("metrics")?, |id| columns::find(realtime, id))?;
    let cpcodes = given("cpcodes").map(|list| ids("cpcodes", list, |id| Some(u64::from(id))));
    Ok(Request {
        start: start.timestamp(),
        end: end.timestamp(),
        groups,
        metrics,
        cpcodes: cpcodes.transpose()?.unwrap_or_default(),
        aggregation,
        limit: number("limit", given("limit"), 300, 1..=10_000)?,
        offset: number("offset", given("offset"), 0, 0..=usize::MAX)?,
    })
}

/// Minutes and a zone, without seconds.
fn time(name: &str, text: &str) -> Result<DateTime<Utc>, String> {
    let zoned = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |text| format!("{text}+00:00"));
    let time = DateTime::parse_from_str(&zoned, "%Y-%m-%dT%H:%M%:z");
    time.map(|time| time.to_utc()).map_err(|_| format!("The {name} must be as 2026-11-20T10:05Z."))
}

/// Seconds. `data` chooses by the length of the range: five minutes under a day, an hour up to twelve days.
fn aggregation(given: Option<&str>, realtime: bool, length: TimeDelta) -> Result<i64, String> {
    match given {
        Some("300") => Ok(300),
        Some("3600") => Ok(3_600),
        Some("86400") => Ok(86_400),
        Some("day") if !realtime => Ok(86_400),
        Some(_) => Err("The aggregation must be 300, 3600 or 86400.".to_owned()),
        None if realtime => Ok(86_400),
        None if length < TimeDelta::days(1) => Ok(300),
        None if length <= TimeDelta::days(12) => Ok(3_600),
        None => Ok(86_400),
    }
}

fn group(realtime: bool, id: u32, aggregation: i64) -> Option<Group> {
    let (name, dimension) = columns::dimension(realtime, id)?;
    let time = match aggregation {
        300 => Dimension::Time5Minutes,
        3_600 => Dimension::Time1Hour,
        _ => Dimension::Time1Day,
    };
    Some(Group { id, name, dimension: dimension.unwrap_or(time) })
}

/// Numbers between commas, none twice.
fn ids<T>(name: &str, list: &str, find: impl Fn(u32) -> Option<T>) -> Result<Vec<T>, String> {
    let wrong = |id: &str| format!("The {name} have an unknown or repeated id {id}.");
    let ids: Vec<&str> = list.split(',').map(str::trim).collect();
    let item = |(position, id): (usize, &&str)| {
        let fresh = !ids[..position].contains(id);
        id.parse().ok().filter(|_| fresh).and_then(&find).ok_or_else(|| wrong(id))
    };
    ids.iter().enumerate().map(item).collect()
}

fn number(
    name: &str,
    given: Option<&str>,
    default: usize,
    allowed: std::ops::RangeInclusive<usize>,
) -> Result<usize, String> {
    let Some(text) = given else { return Ok(default) };
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("The {name} is out of range."))
}
