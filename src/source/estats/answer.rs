//! What eStats answers, read strictly where a wrong number could come of it and tolerantly elsewhere.
//!
//! The reference ("Get error statistics") requires `completedTime` and `executionStatus` only; what `result` holds depends on the
//! request and on the traffic. A member that is missing is unknown, never zero. Percentages come as `2` and as `2.0`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de};

use crate::akamai::ApiError;
use crate::model::Reason;

/// A sample of one object on one network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// When Akamai completed it.
    pub(super) completed: DateTime<Utc>,
    /// Responses to clients, unless only the origin's were asked for.
    pub(super) edge: Option<Tier>,
    /// Responses of the origin.
    pub(super) origin: Option<Tier>,
}

/// What was sampled at edge or origin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tier {
    pub(super) hits: Option<u64>,
    pub(super) errors: Option<u64>,
    pub(super) statuses: BTreeMap<u16, Share>,
}

/// What one status code has of a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    pub(super) hits: u64,
    /// In per cent, as Akamai rounds it.
    pub(super) percentage: Option<f64>,
}

impl Tier {
    /// Responses in the sample: what Akamai says, else what its distribution adds up to.
    pub(super) fn total(&self) -> u64 {
        self.hits.unwrap_or_else(|| self.listed())
    }

    /// What shares are shares of. The distribution may name only the most frequent codes; should it have more hits than the
    /// sample, a share is one of the distribution, and never above 1.
    pub(super) fn whole(&self) -> u64 {
        self.total().max(self.listed())
    }

    fn listed(&self) -> u64 {
        self.statuses.values().fold(0_u64, |sum, share| sum.saturating_add(share.hits))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    completed_time: DateTime<Utc>,
    execution_status: String,
    result: Option<Measured>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    #[serde(default, deserialize_with = "count")]
    edge_hits: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    edge_errors: Option<u64>,
    edge_status_code_distribution: Option<Vec<Row>>,
    #[serde(default, deserialize_with = "count")]
    origin_hits: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    origin_errors: Option<u64>,
    origin_status_code_distribution: Option<Vec<Row>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    http_status: u16,
    #[serde(default, deserialize_with = "count")]
    hits: Option<u64>,
    percentage: Option<f64>,
}

/// A count may come as `2.0`, since Akamai's own percentages do; it may not be negative, a fraction or a string.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    if number.fract() == 0.0 && (0.0..=9e15).contains(&number) {
        Ok(Some(number as u64))
    } else {
        Err(de::Error::custom(format!("{number} is no count")))
    }
}

/// Reads an answer's body.
pub(super) fn parse(body: &[u8]) -> Result<Sample, ApiError> {
    let malformed = |words: String| ApiError::new(Reason::Malformed, words);
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("the answer is not what eStats documents: {error}")))?;
    if answer.execution_status != "SUCCESS" {
        let words = "Akamai answered that collecting the sample failed (executionStatus is not SUCCESS)";
        return Err(ApiError::new(Reason::CollectionFailed, words));
    }
    let Some(result) = answer.result else {
        return Err(ApiError::new(Reason::NoData, "the answer has no result"));
    };
    let edge = tier(result.edge_hits, result.edge_errors, result.edge_status_code_distribution)
        .map_err(malformed)?;
    let origin = tier(result.origin_hits, result.origin_errors, result.origin_status_code_distribution)
        .map_err(malformed)?;
    if [&edge, &origin].into_iter().flatten().all(|tier| tier.whole() == 0) {
        return Err(ApiError::new(Reason::NoData, "the sample holds no traffic"));
    }
    Ok(Sample { completed: answer.completed_time, edge, origin })
}

fn tier(hits: Option<u64>, errors: Option<u64>, rows: Option<Vec<Row>>) -> Result<Option<Tier>, String> {
    // An empty distribution without a total says nothing either.
    if hits.is_none() && rows.as_ref().is_none_or(Vec::is_empty) {
        return Ok(None);
    }
    let mut statuses: BTreeMap<u16, Share> = BTreeMap::new();
    for row in rows.unwrap_or_default() {
        if row.http_status > 999 {
            return Err(format!("httpStatus {} is no status code", row.http_status));
        }
        if row.percentage.is_some_and(|percentage| !(0.0..=100.0).contains(&percentage)) {
            return Err(format!("the percentage of httpStatus {} is not between 0 and 100", row.http_status));
        }
        let Some(hits) = row.hits else {
            return Err(format!("httpStatus {} comes without hits", row.http_status));
        };
        let share = Share { hits, percentage: row.percentage };
        // Which of two rows holds, or both together, nobody can say.
        if statuses.insert(row.http_status, share).is_some() {
            return Err(format!("httpStatus {} is listed twice", row.http_status));
        }
    }
    Ok(Some(Tier { hits, errors, statuses }))
}
