//! What a snapshot says of the polling itself. Read from it when it is rendered, so nothing here can be forgotten or go stale.

use crate::clock::seconds;
use crate::model::{Family, MetricKind};

use super::SourceState;

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricKind::Gauge, labels: &[] }
}

/// Whether a source gives data.
pub static UP: Family = gauge(
    "akamai_up",
    "1 if the last poll of the source gave data (of several targets: of at least one), 0 if not; akamai_exporter_polls_total has the reason.",
);

/// Whether a target gives data. Its labels are the target's.
pub static TARGET_UP: Family = gauge(
    "akamai_target_up",
    "1 if the last poll of this target (CP code or URL, on one delivery network) gave data, 0 if not.",
);

/// Why a target gives no data. Its labels are the target's, and the reason.
pub static TARGET_FAILURE: Family = Family {
    name: "akamai_target_failure",
    help: "Always 1; a target whose last poll gave no data, and why (the reason of akamai_exporter_polls_total). no_data is rightly so where there is no traffic.",
    kind: MetricKind::Gauge,
    labels: &["reason"],
};

/// When a source last gave data.
pub static LAST_SUCCESS: Family = gauge(
    "akamai_exporter_last_success_timestamp_seconds",
    "When a poll of the source last gave data, in seconds since the epoch.",
);

/// When a source is polled next.
pub static NEXT_DUE: Family = gauge(
    "akamai_exporter_next_due_timestamp_seconds",
    "When the next poll of the source is due, in seconds since the epoch.",
);

/// How many targets a source has.
pub static TARGETS: Family =
    gauge("akamai_exporter_targets", "How many targets the source has, a request each.");

/// How far apart polls are meant to be.
pub static INTERVAL: Family = gauge(
    "akamai_exporter_poll_interval_seconds",
    "How far apart the polls of a target are meant to be: polling_interval, or the shortest gap of the schedule in the week after the start.",
);

/// How far apart polls are.
pub static EFFECTIVE_INTERVAL: Family = gauge(
    "akamai_exporter_poll_interval_effective_seconds",
    "How far apart the polls of a target are, given the budget: more than the configured interval if the targets do not fit.",
);

/// How many series a source has.
pub static SERIES: Family = gauge("akamai_exporter_series", "How many data series the source has now.");

/// All of them. `account` and `source` stand on each.
pub static ALL: [&Family; 9] = [
    &UP,
    &TARGET_UP,
    &TARGET_FAILURE,
    &LAST_SUCCESS,
    &NEXT_DUE,
    &TARGETS,
    &INTERVAL,
    &EFFECTIVE_INTERVAL,
    &SERIES,
];

/// The families with one value a source, and that value; nothing while it is unknown.
#[expect(clippy::type_complexity, reason = "a table of two columns")]
pub(super) static OF_SOURCE: [(&Family, fn(&SourceState) -> Option<f64>); 7] = [
    (&UP, |source| source.is_up().map(f64::from)),
    (&LAST_SUCCESS, |source| source.last_success().map(seconds)),
    (&NEXT_DUE, |source| source.next_due().map(seconds)),
    (&TARGETS, |source| Some(source.targets.len() as f64)),
    (&INTERVAL, |source| Some(source.info.interval.as_secs_f64())),
    (&EFFECTIVE_INTERVAL, |source| Some(source.effective_interval.as_secs_f64())),
    (&SERIES, |source| Some(source.series() as f64)),
];
