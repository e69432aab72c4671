//! The declarations of the metrics that are counted as things happen, and of the process's own.

use crate::model::{Family, MetricKind};

use MetricKind::{Counter, Gauge, Histogram};

/// Version and commit.
pub static BUILD_INFO: Family = Family::new(
    Gauge,
    "akamai_exporter_build_info",
    "Always 1; version and commit of the exporter.",
    &["version", "revision"],
);

/// Polls by outcome.
pub static POLLS: Family = Family::new(
    Counter,
    "akamai_exporter_polls_total",
    "Polls of a source's targets by outcome (success, failure) and, for a failure, reason.",
    &["account", "source", "outcome", "reason"],
);

/// How long polls take.
pub static POLL_DURATION: Family = Family::new(
    Histogram,
    "akamai_exporter_poll_duration_seconds",
    "How long a poll of one target took, from signing to parsing; waiting for the budget is not part of it.",
    &["account", "source"],
);

/// Requests to Akamai.
pub static API_REQUESTS: Family = Family::new(
    Counter,
    "akamai_exporter_api_requests_total",
    "Requests to Akamai by API and HTTP status; code is none where no whole answer came.",
    &["account", "api", "code"],
);

/// The limit of an API.
pub static API_LIMIT: Family = Family::new(
    Gauge,
    "akamai_exporter_api_limit_requests",
    "Requests a minute that the API allows, as documented and then as its answers say.",
    &["account", "api"],
);

/// What is left of it.
pub static API_REMAINING: Family = Family::new(
    Gauge,
    "akamai_exporter_api_remaining_requests",
    "Requests that the API's last answer said are left; others may share them.",
    &["account", "api"],
);

/// The part of it that is ours.
pub static API_BUDGET: Family = Family::new(
    Gauge,
    "akamai_exporter_api_budget_requests",
    "Requests a minute that the exporter allows itself: the limit times rate_limit_share.",
    &["account", "api"],
);

/// The clock's error.
pub static CLOCK_SKEW: Family = Family::new(
    Gauge,
    "akamai_exporter_clock_skew_seconds",
    "How far this machine's clock is ahead of the Date of Akamai's last answer; Akamai refuses beyond 30 s.",
    &["account"],
);

/// Requests to this process.
pub static HTTP_REQUESTS: Family = Family::new(
    Counter,
    "akamai_exporter_http_requests_total",
    "Requests that the exporter answered, by path and HTTP status.",
    &["handler", "code"],
);

/// Items of sinks by outcome.
pub static SINK_ITEMS: Family = Family::new(
    Counter,
    "akamai_exporter_sink_items_total",
    "What came of a sink's samples (response_log: answers): sent, refused by the receiver for good, lost because too many waited.",
    &["sink", "outcome"],
);

/// Deliveries that failed.
pub static SINK_FAILURES: Family = Family::new(
    Counter,
    "akamai_exporter_sink_failures_total",
    "Deliveries of a sink that failed and are tried again.",
    &["sink"],
);

/// Whether a sink's last delivery worked.
pub static SINK_UP: Family = Family::new(
    Gauge,
    "akamai_exporter_sink_up",
    "1 if the sink's last delivery worked, 0 if it failed; absent before the first.",
    &["sink"],
);

/// What waits for a sink.
pub static SINK_WAITING: Family = Family::new(
    Gauge,
    "akamai_exporter_sink_waiting_items",
    "Samples (response_log: answers) that wait for the sink, or are yet to be found not to be for it.",
    &["sink"],
);

/// When a sink's delivery last worked.
pub static SINK_LAST_SUCCESS: Family = Family::new(
    Gauge,
    "akamai_exporter_sink_last_success_timestamp_seconds",
    "When a delivery of the sink last worked, in seconds since the epoch.",
    &["sink"],
);

/// What waits for all sinks.
pub static SPOOL_BYTES: Family = Family::new(
    Gauge,
    "akamai_exporter_spool_bytes",
    "Bytes of samples that wait for the slowest sink, compressed.",
    &[],
);

/// What may wait.
pub static SPOOL_LIMIT: Family = Family::new(
    Gauge,
    "akamai_exporter_spool_limit_bytes",
    "Bytes of samples that may wait for sinks (spool_size); beyond them the oldest are lost.",
    &[],
);

/// Processor time.
pub static PROCESS_CPU: Family = Family::new(
    Counter,
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
    &[],
);

/// Open files.
pub static PROCESS_FDS: Family =
    Family::new(Gauge, "process_open_fds", "Number of open file descriptors.", &[]);

/// Files that may be open.
pub static PROCESS_MAX_FDS: Family =
    Family::new(Gauge, "process_max_fds", "Maximum number of open file descriptors.", &[]);

/// Memory in use.
pub static PROCESS_RESIDENT: Family =
    Family::new(Gauge, "process_resident_memory_bytes", "Resident memory size in bytes.", &[]);

/// Memory reserved.
pub static PROCESS_VIRTUAL: Family =
    Family::new(Gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.", &[]);

/// When the process began.
pub static PROCESS_START: Family = Family::new(
    Gauge,
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
    &[],
);

/// Threads.
pub static PROCESS_THREADS: Family =
    Family::new(Gauge, "process_threads", "Number of OS threads in the process.", &[]);

/// All of them.
pub static ALL: [&Family; 23] = [
    &BUILD_INFO,
    &POLLS,
    &POLL_DURATION,
    &API_REQUESTS,
    &API_LIMIT,
    &API_REMAINING,
    &API_BUDGET,
    &CLOCK_SKEW,
    &HTTP_REQUESTS,
    &SINK_ITEMS,
    &SINK_FAILURES,
    &SINK_UP,
    &SINK_WAITING,
    &SINK_LAST_SUCCESS,
    &SPOOL_BYTES,
    &SPOOL_LIMIT,
    &PROCESS_CPU,
    &PROCESS_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_RESIDENT,
    &PROCESS_VIRTUAL,
    &PROCESS_START,
    &PROCESS_THREADS,
];
