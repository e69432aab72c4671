//! What the traffic report has: metrics, dimensions, limits and defaults (techdocs reporting
//! delivery-traffic-current and get-report-options).

use serde_json::{Value, json};

use crate::simulator::Options;
use crate::simulator::traffic::table::{Dimension, Flow, Sums};

pub(super) const NAME: &str = "CDN traffic report data";
pub(super) const PATH: &str = "/reporting-api/v2/reports/delivery/traffic/current";
pub(super) const DATA: &str = "/reporting-api/v2/reports/delivery/traffic/current/data";
pub(super) const QUERIES: &str = "/reporting-api/v2/reports/delivery/traffic/current/queries/";

pub(super) const MAX_DIMENSIONS: usize = 4;
/// Both the longest range and the oldest data.
pub(super) const MAX_DAYS: i64 = 92;
pub(super) const TEXT_FILTER_MAX_LENGTH: usize = 100;
pub(super) const DATA_POINTS_LIMIT: usize = 50_000;
pub(super) const DEFAULT_METRICS: [&str; 2] = ["edgeHitsSum", "edgeBytesSum"];
pub(super) const DEFAULT_DIMENSIONS: [&str; 2] = ["hostname", "responseCode"];
pub(super) const DEFAULT_SORTS: [(&str, &str); 2] =
    [("hostname", "ASCENDING"), ("edgeHitsSum", "DESCENDING")];

/// The predefined time ranges, in minutes.
pub(super) const TIME_RANGES: [(&str, i64); 11] = [
    ("LAST_15_MINUTES", 15),
    ("LAST_30_MINUTES", 30),
    ("LAST_1_HOUR", 60),
    ("LAST_3_HOURS", 180),
    ("LAST_6_HOURS", 360),
    ("LAST_12_HOURS", 720),
    ("LAST_1_DAY", 1_440),
    ("LAST_2_DAYS", 2_880),
    ("LAST_1_WEEK", 10_080),
    ("LAST_30_DAYS", 43_200),
    ("LAST_90_DAYS", 129_600),
];

/// A metric's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::simulator) enum Number {
    Long(u64),
    Double(f64),
}

impl Number {
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Long(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct Metric {
    pub(in crate::simulator) name: &'static str,
    about: &'static str,
    pub(in crate::simulator) of: fn(&Sums) -> Number,
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn sum(name: &'static str, about: &'static str, of: fn(&Sums) -> Number) -> Metric {
    Metric { name, about, of }
}

/// What the edge did not fetch from the origin, in per cent.
fn offload(sums: &Sums, of: fn(&Flow) -> u64) -> Number {
    let (edge, origin) = (of(&sums.edge) as f64, of(&sums.origin) as f64);
    let offloaded = if edge > 0.0 { (edge - origin) * 100.0 / edge } else { 0.0 };
    Number::Double(offloaded.clamp(0.0, 100.0))
}

/// The metrics. Bytes without a word before them are requests and responses together.
pub(in crate::simulator) const METRICS: [Metric; 16] = [
    sum("edgeHitsSum", "Requests of clients to the edge.", |sums| Number::Long(sums.edge.hits)),
    sum("edgeBytesSum", "Volume between clients and the edge.", |sums| Number::Long(sums.edge.bytes())),
    sum("edgeRequestBytesSum", "Bytes of requests to the edge.", |sums| {
        Number::Long(sums.edge.request_bytes)
    }),
    sum("edgeResponseBytesSum", "Bytes of responses of the edge.", |sums| {
        Number::Long(sums.edge.response_bytes)
    }),
    sum("originHitsSum", "Requests to the origin.", |sums| Number::Long(sums.origin.hits)),
    sum("originBytesSum", "Volume between Akamai and the origin.", |sums| Number::Long(sums.origin.bytes())),
    sum("originRequestBytesSum", "Bytes of requests to the origin.", |sums| {
        Number::Long(sums.origin.request_bytes)
    }),
    sum("originResponseBytesSum", "Bytes of responses of the origin.", |sums| {
        Number::Long(sums.origin.response_bytes)
    }),
    sum("midgressHitsSum", "Requests between Akamai's servers.", |sums| Number::Long(sums.midgress.hits)),
    sum("midgressBytesSum", "Volume between Akamai's servers.", |sums| Number::Long(sums.midgress.bytes())),
    sum("midgressRequestBytesSum", "Bytes of requests between Akamai's servers.", |sums| {
        Number::Long(sums.midgress.request_bytes)
    }),
    sum("midgressResponseBytesSum", "Bytes of responses between Akamai's servers.", |sums| {
        Number::Long(sums.midgress.response_bytes)
    }),
    sum("offloadedHitsPercentage", "Share of requests that the origin was spared.", |sums| {
        offload(sums, |flow| flow.hits)
    }),
    sum("offloadedBytesPercentage", "Share of the volume that the origin was spared.", |sums| {
        offload(sums, Flow::bytes)
    }),
    sum(
        "offloadedRequestBytesPercentage",
        "Share of bytes of requests that the origin was spared.",
        |sums| offload(sums, |flow| flow.request_bytes),
    ),
    sum(
        "offloadedResponseBytesPercentage",
        "Share of bytes of responses that the origin was spared.",
        |sums| offload(sums, |flow| flow.response_bytes),
    ),
];

/// How a dimension may be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filterable {
    No,
    Text,
    Enum(&'static [&'static str]),
}

/// A dimension of the report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) dimension: Dimension,
    pub(super) name: &'static str,
    about: &'static str,
    kind: &'static str,
    pub(super) filter: Filterable,
    /// Restricted to what the client may see.
    pub(super) authorizable: bool,
}

const fn column(
    dimension: Dimension,
    name: &'static str,
    about: &'static str,
    kind: &'static str,
    filter: Filterable,
) -> Column {
    Column { dimension, name, about, kind, filter, authorizable: matches!(dimension, Dimension::CpCode) }
}

const TIME: &str = "TIMESTAMP_SEC";

/// The dimensions.
pub(super) const COLUMNS: [Column; 15] = [
    column(Dimension::Time5Minutes, "time5minutes", "Start of five minutes.", TIME, Filterable::No),
    column(Dimension::Time1Hour, "time1hour", "Start of an hour.", TIME, Filterable::No),
    column(Dimension::Time1Day, "time1day", "Start of a day.", TIME, Filterable::No),
    column(Dimension::CpCode, "cpcode", "Content provider (CP) code.", "LONG", Filterable::Text),
    column(Dimension::Hostname, "hostname", "Host name of the requests.", "STRING", Filterable::Text),
    column(Dimension::ResponseCode, "responseCode", "HTTP status code.", "LONG", Filterable::Text),
    column(
        Dimension::ResponseClass,
        "responseClass",
        "Class of the HTTP status code.",
        "STRING",
        Filterable::Enum(&["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"]),
    ),
    column(
        Dimension::ResponseStatus,
        "responseStatus",
        "Whether the response was a success.",
        "STRING",
        Filterable::Enum(&["error", "success"]),
    ),
    column(
        Dimension::HttpMethod,
        "httpMethod",
        "Reading or writing.",
        "STRING",
        Filterable::Enum(&["get_head", "put_post"]),
    ),
    column(
        Dimension::DeliveryType,
        "deliveryType",
        "With TLS or without.",
        "STRING",
        Filterable::Enum(&["non_secure", "secure"]),
    ),
    column(
        Dimension::Cacheability,
        "cacheability",
        "Whether the content may be stored.",
        "STRING",
        Filterable::Enum(&["cacheable", "non_cacheable"]),
    ),
    column(
        Dimension::IpVersion,
        "ipVersion",
        "Version of IP.",
        "STRING",
        Filterable::Enum(&["ipv4", "ipv6"]),
    ),
    column(
        Dimension::HttpProtocol,
        "httpProtocol",
        "Version of HTTP.",
        "STRING",
        Filterable::Enum(&["http1.1", "https1.1", "http2", "http3"]),
    ),
    column(Dimension::ArlId, "arlId", "Identifier of the property.", "LONG", Filterable::Text),
    column(Dimension::ContentType, "contentType", "Media type of the content.", "STRING", Filterable::Text),
];

pub(super) fn metric(name: &str) -> Option<Metric> {
    METRICS.iter().find(|metric| metric.name == name).copied()
}

pub(super) fn named(name: &str) -> Option<Column> {
    COLUMNS.iter().find(|column| column.name == name).copied()
}

impl Metric {
    pub(super) fn json(&self) -> Value {
        let kind = if self.name.ends_with("Percentage") { "DOUBLE" } else { "LONG" };
        json!({
            "name": self.name, "description": self.about, "type": kind, "filterable": true, "mandatory": false,
        })
    }
}

impl Column {
    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "name": self.name,
            "description": self.about,
            "type": self.kind,
            "filterable": self.filter != Filterable::No,
            "mandatory": false,
            "filterType": if matches!(self.filter, Filterable::Enum(_)) { "ENUM" } else { "TEXT" },
        });
        if let Filterable::Enum(values) = self.filter {
            json["filterEnumValues"] = json!(values);
        }
        json["authorizable"] = json!(self.authorizable);
        json
    }
}

/// The report's options.
pub(super) fn options(options: &Options) -> Value {
    let mut limits = json!({
        "maxDimensions": MAX_DIMENSIONS,
        "maxDateRangeInDays": MAX_DAYS,
        "maxRetentionInDays": MAX_DAYS,
        "textFilterMaxLength": TEXT_FILTER_MAX_LENGTH,
        "dataPointsLimit": DATA_POINTS_LIMIT,
    });
    if let Some(values) = options.in_list_limit {
        limits["inListFilterMaxValues"] = json!(values);
    }
    let sorts = DEFAULT_SORTS.map(|(name, order)| json!({ "name": name, "sortOrder": order }));
    json!({
        "name": NAME,
        "description": "Traffic of the CDN.",
        "status": "PUBLISHED",
        "metrics": METRICS.iter().map(Metric::json).collect::<Vec<_>>(),
        "dimensions": COLUMNS.iter().map(Column::json).collect::<Vec<_>>(),
        "defaults": {
            "defaultTimeRange": { "start": "now - 19min", "end": "now - 9min 1sec" },
            "defaultMetrics": DEFAULT_METRICS,
            "defaultDimensions": DEFAULT_DIMENSIONS,
            "defaultSortBys": sorts,
        },
        "limits": limits,
        "links": [link("self", PATH, "GET"), link("data", DATA, "POST")],
        "predefinedTimeRanges": TIME_RANGES.map(|(name, _)| name),
    })
}

/// The lists of reports, which show just this one.
pub(super) fn list() -> Value {
    json!({ "reports": [{ "reportName": "delivery/traffic/current", "reportLink": PATH, "status": "PUBLISHED" }] })
}

pub(super) fn link(rel: &str, href: &str, method: &str) -> Value {
    json!({ "rel": rel, "href": href, "allow": [method] })
}
