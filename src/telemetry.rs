//! What the exporter says of itself: logs, and the metrics that are counted as things happen.
//!
//! This is the only file that names the `prometheus` crate. What can be read from the snapshot at any time (ages, due times,
//! series) is not counted here but rendered there: see `snapshot::health`.

pub mod families;
pub mod logging;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::families::{
    API_BUDGET, API_LIMIT, API_REMAINING, API_REQUESTS, BUILD_INFO, CLOCK_SKEW, HTTP_REQUESTS, POLL_DURATION,
    POLLS, SINK_FAILURES, SINK_ITEMS, SINK_LAST_SUCCESS, SINK_UP, SINK_WAITING, SPOOL_BYTES, SPOOL_LIMIT,
};
use crate::clock::seconds;
use crate::model::{Family, Reason};

/// From a quick refusal to the longest timeout.
const DURATION_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];

/// The exporter's own metrics, in a registry of its own.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    polls: IntCounterVec,
    poll_duration: HistogramVec,
    api_requests: IntCounterVec,
    api_limit: IntGaugeVec,
    api_remaining: IntGaugeVec,
    api_budget: GaugeVec,
    clock_skew: GaugeVec,
    http_requests: IntCounterVec,
    sink_items: IntCounterVec,
    sink_failures: IntCounterVec,
    sink_up: IntGaugeVec,
    sink_waiting: IntGaugeVec,
    sink_last_success: GaugeVec,
    spool_bytes: IntGaugeVec,
    spool_limit: IntGaugeVec,
    changes: AtomicU64,
}

impl Telemetry {
    /// A fresh set, all at nothing.
    ///
    /// # Errors
    ///
    /// If two families share a name or a name is none: a mistake in `families`, found by every test.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = register(&registry, IntGaugeVec::new(opts(&BUILD_INFO), BUILD_INFO.labels)?)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision()]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let histogram = HistogramOpts::from(opts(&POLL_DURATION)).buckets(DURATION_BUCKETS.to_vec());
        Ok(Self {
            polls: register(&registry, IntCounterVec::new(opts(&POLLS), POLLS.labels)?)?,
            poll_duration: register(&registry, HistogramVec::new(histogram, POLL_DURATION.labels)?)?,
            api_requests: register(&registry, IntCounterVec::new(opts(&API_REQUESTS), API_REQUESTS.labels)?)?,
            api_limit: register(&registry, IntGaugeVec::new(opts(&API_LIMIT), API_LIMIT.labels)?)?,
            api_remaining: register(
                &registry,
                IntGaugeVec::new(opts(&API_REMAINING), API_REMAINING.labels)?,
            )?,
            api_budget: register(&registry, GaugeVec::new(opts(&API_BUDGET), API_BUDGET.labels)?)?,
            clock_skew: register(&registry, GaugeVec::new(opts(&CLOCK_SKEW), CLOCK_SKEW.labels)?)?,
            http_requests: register(
                &registry,
                IntCounterVec::new(opts(&HTTP_REQUESTS), HTTP_REQUESTS.labels)?,
            )?,
            sink_items: register(&registry, IntCounterVec::new(opts(&SINK_ITEMS), SINK_ITEMS.labels)?)?,
            sink_failures: register(
                &registry,
                IntCounterVec::new(opts(&SINK_FAILURES), SINK_FAILURES.labels)?,
            )?,
            sink_up: register(&registry, IntGaugeVec::new(opts(&SINK_UP), SINK_UP.labels)?)?,
            sink_waiting: register(&registry, IntGaugeVec::new(opts(&SINK_WAITING), SINK_WAITING.labels)?)?,
            sink_last_success: register(
                &registry,
                GaugeVec::new(opts(&SINK_LAST_SUCCESS), SINK_LAST_SUCCESS.labels)?,
            )?,
            spool_bytes: register(&registry, IntGaugeVec::new(opts(&SPOOL_BYTES), &[])?)?,
            spool_limit: register(&registry, IntGaugeVec::new(opts(&SPOOL_LIMIT), &[])?)?,
            registry,
            changes: AtomicU64::default(),
        })
    }

    /// Makes the counters of a source known at 0, so that the first failure of a kind is an increase.
    pub fn expect_source(&self, account: &str, source: &str) {
        self.polls.with_label_values(&[account, source, "success", ""]);
        for reason in Reason::ALL {
            self.polls.with_label_values(&[account, source, "failure", reason.label()]);
        }
        self.poll_duration.with_label_values(&[account, source]);
    }

    /// Counts a poll of a target that took so long, if a request was sent; `failure` is why it gave no data.
    pub fn poll(&self, account: &str, source: &str, took: Option<Duration>, failure: Option<Reason>) {
        let (outcome, reason) = failure.map_or(("success", ""), |reason| ("failure", reason.label()));
        self.polls.with_label_values(&[account, source, outcome, reason]).inc();
        if let Some(took) = took {
            self.poll_duration.with_label_values(&[account, source]).observe(took.as_secs_f64());
        }
        self.changed();
    }

    /// Counts a request to Akamai; `code` is the answer's status, or `none`.
    pub fn api_request(&self, account: &str, api: &str, code: &str) {
        self.api_requests.with_label_values(&[account, api, code]).inc();
        self.changed();
    }

    /// Shows an account's budget for an API.
    pub fn api_budget(&self, account: &str, api: &str, limit: u32, remaining: Option<u32>, budget: f64) {
        self.api_limit.with_label_values(&[account, api]).set(limit.into());
        self.api_budget.with_label_values(&[account, api]).set(budget);
        if let Some(remaining) = remaining {
            self.api_remaining.with_label_values(&[account, api]).set(remaining.into());
        }
        self.changed();
    }

    /// Shows by how much this machine's clock is ahead of Akamai's.
    pub fn clock_skew(&self, account: &str, seconds: f64) {
        self.clock_skew.with_label_values(&[account]).set(seconds);
        self.changed();
    }

    /// Counts a request to this process.
    pub fn http_request(&self, handler: &str, code: &str) {
        self.http_requests.with_label_values(&[handler, code]).inc();
    }

    /// Makes the counters of a sink known at 0.
    pub fn expect_sink(&self, sink: &str) {
        for outcome in ["sent", "refused", "lost"] {
            self.sink_items.with_label_values(&[sink, outcome]);
        }
        self.sink_failures.with_label_values(&[sink]);
        self.sink_waiting.with_label_values(&[sink]);
    }

    /// Counts what a sink's receiver took, and what it refused for good.
    pub fn sink_delivered(&self, sink: &str, sent: u64, refused: u64) {
        self.sink_items.with_label_values(&[sink, "sent"]).inc_by(sent);
        self.sink_items.with_label_values(&[sink, "refused"]).inc_by(refused);
        self.changed();
    }

    /// Counts what could not wait for a sink any longer.
    pub fn sink_lost(&self, sink: &str, lost: u64) {
        self.sink_items.with_label_values(&[sink, "lost"]).inc_by(lost);
        self.changed();
    }

    /// Counts a delivery that failed.
    pub fn sink_failed(&self, sink: &str) {
        self.sink_failures.with_label_values(&[sink]).inc();
        self.sink_up.with_label_values(&[sink]).set(0);
        self.changed();
    }

    /// A delivery has worked.
    pub fn sink_up(&self, sink: &str, at: DateTime<Utc>) {
        self.sink_up.with_label_values(&[sink]).set(1);
        self.sink_last_success.with_label_values(&[sink]).set(seconds(at));
        self.changed();
    }

    /// Shows how many items wait for a sink.
    pub fn sink_waiting(&self, sink: &str, waiting: u64) {
        self.sink_waiting.with_label_values(&[sink]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.changed();
    }

    /// Shows how many bytes wait in the spool, and how many may.
    pub fn spool(&self, bytes: u64, limit: u64) {
        let (filled, room) = (
            self.spool_bytes.with_label_values::<&str>(&[]),
            self.spool_limit.with_label_values::<&str>(&[]),
        );
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        if filled.get() != number(bytes) || room.get() != number(limit) {
            filled.set(number(bytes));
            room.set(number(limit));
            self.changed();
        }
    }

    /// Rises with every change but those that scrapes themselves and the system make.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// To be called after a change: who sees the new number sees the change.
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Appends all of it, as it stands now, in the text format.
    pub fn render(&self, text: &mut Vec<u8>) {
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), text) {
            tracing::error!("own metrics not rendered: {error}");
        }
    }
}

/// The commit that this was built from, where the build was told.
fn revision() -> &'static str {
    option_env!("AKAMAI_EXPORTER_REVISION").unwrap_or("unknown")
}

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_what_is_served() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.expect_source("a", "s");
        telemetry.api_request("a", "estats", "200");
        telemetry.api_budget("a", "estats", 40, Some(39), 28.0);
        telemetry.clock_skew("a", 0.5);
        telemetry.http_request("/metrics", "200");
        telemetry.expect_sink("mimir");
        telemetry.spool(1, 2);
        telemetry.sink_failed("mimir");
        telemetry.sink_up("mimir", DateTime::UNIX_EPOCH);
        telemetry.poll("a", "s", Some(Duration::from_secs(1)), Some(Reason::Timeout));
        let mut text = Vec::new();
        telemetry.render(&mut text);
        let text = String::from_utf8(text).unwrap();
        for family in families::ALL {
            let kind = format!("# TYPE {} {}\n", family.name, family.kind.as_str());
            assert!(text.contains(&kind), "{kind}");
        }
        assert!(text.contains(r#"polls_total{account="a",outcome="failure",reason="timeout",source="s"} 1"#));
    }
}
