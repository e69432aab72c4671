//! What a report says of itself besides its numbers: how fresh and how settled they are, what could not be used, what CP codes are called.

use chrono::{DateTime, Utc};

use super::cpcodes::CpCode;
use super::mapper::Faults;
use super::table::Fault;
use crate::clock::seconds;
use crate::ledger::{Ledger, Window};
use crate::model::{Batch, Family, LabelValue, MetricKind};

static WINDOW_END: Family = Family::new(
    MetricKind::Gauge,
    "akamai_traffic_window_end_timestamp_seconds",
    "End of the newest five-minute window that is in the counters, in seconds since the epoch.",
    &[],
);

static SETTLED_END: Family = Family::new(
    MetricKind::Gauge,
    "akamai_traffic_settled_end_timestamp_seconds",
    "Up to here no window is open to revision: all are settled, or from before counting began. In seconds since the epoch.",
    &[],
);

static WINDOWS: Family = Family::new(
    MetricKind::Counter,
    "akamai_exporter_report_windows_total",
    "Five-minute windows by what has come to them: read, revised (once or more), settled, lost (not to be had within look_back, for some CP codes at least).",
    &["state"],
);

static PENDING: Family = Family::new(
    MetricKind::Gauge,
    "akamai_exporter_report_windows_pending",
    "Windows that are over and not in the counters yet: nothing has been read of them.",
    &[],
);

static REJECTED: Family = Family::new(
    MetricKind::Counter,
    "akamai_exporter_report_rows_rejected_total",
    "Rows or cells of the report that could not be used, by what was wrong with them, since the process began.",
    &["fault"],
);

static CPCODE_INFO: Family = Family::new(
    MetricKind::Gauge,
    "akamai_cpcode_info",
    "Always 1; what Akamai calls a CP code (cpcodeName) and its products. Join it on account, source and cpcode.",
    &["cpcode", "name", "product"],
);

static UNAUTHORIZED: Family = Family::new(
    MetricKind::Gauge,
    "akamai_cpcode_unauthorized",
    "Always 1; a CP code that Akamai says is not this API client's. It is left out, and tried again every hour.",
    &["cpcode"],
);

/// All of them.
pub(in crate::source) const ALL: [&Family; 7] =
    [&WINDOW_END, &SETTLED_END, &WINDOWS, &PENDING, &REJECTED, &CPCODE_INFO, &UNAUTHORIZED];

pub(super) fn push_windows(batch: &mut Batch, ledger: &Ledger) {
    if let Some(end) = ledger.newest().map(Window::end) {
        batch.push(&WINDOW_END, [], seconds(end));
    }
    if let Some(end) = ledger.settled_until() {
        batch.push(&SETTLED_END, [], seconds(end));
    }
    let tally = ledger.tally();
    for (state, count) in
        [("read", tally.read), ("revised", tally.revised), ("settled", tally.settled), ("lost", tally.lost)]
    {
        batch.push(&WINDOWS, [&state.into()], count as f64);
    }
    batch.push(&PENDING, [], ledger.pending() as f64);
}

/// How far counting has come, for people.
pub(super) fn sentence(ledger: &Ledger, cpcodes: usize) -> String {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
    let counted =
        ledger.newest().map_or("nothing yet".to_owned(), |window| format!("up to {}", time(window.end())));
    let settled = ledger.settled_until().map_or("none".to_owned(), time);
    let (pending, lost) = (ledger.pending(), ledger.tally().lost);
    format!(
        "{cpcodes} CP code(s), counted {counted}, settled up to {settled}; windows not read yet: {pending}, lost: {lost}."
    )
}

pub(super) fn push_faults(batch: &mut Batch, faults: &Faults) {
    for fault in Fault::ALL {
        let count = faults.get(&fault).copied().unwrap_or(0);
        batch.push(&REJECTED, [&fault.label().into()], count as f64);
    }
}

pub(super) fn push_cpcodes<'a>(
    batch: &mut Batch,
    known: impl Iterator<Item = &'a CpCode>,
    refused: impl Iterator<Item = &'a u64>,
) {
    for code in known {
        let number = LabelValue::from(code.number.to_string());
        let (name, product) = (code.name.as_str().into(), code.product.as_str().into());
        batch.push(&CPCODE_INFO, [&number, &name, &product], 1.0);
    }
    for code in refused {
        batch.push(&UNAUTHORIZED, [&code.to_string().into()], 1.0);
    }
}
