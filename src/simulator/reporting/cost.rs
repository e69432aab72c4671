//! What a query costs.
//!
//! Akamai says only that the price grows with the range, the objects, the aggregations and the filters
//! (techdocs reporting rate-limiting). Here it is
//!
//! ```text
//! windows of five minutes in the range x CP codes asked for x (1 + filters)
//! ```
//!
//! which is the work that the simulator has with it.

use chrono::TimeDelta;

use super::request::Query;
use crate::simulator::traffic::table::WINDOW;

/// The cost of a query that reaches this number of CP codes.
pub(super) fn of(query: &Query, cpcodes: usize) -> u64 {
    let range: TimeDelta = query.range.end - query.range.start;
    let windows = (range.num_seconds().max(0) as u64).div_ceil(WINDOW as u64);
    windows.saturating_mul(cpcodes as u64).saturating_mul(1 + query.filters.len() as u64)
}
