//! The columns of `delivery/traffic/current`, as its reference lists them, with the labels and metrics that they become.

use super::super::report::{Additivity, Dimension};
use crate::model::{Family, MetricKind};

/// The labels of all dimensions: which of them a series has depends on the section's `dimensions`.
const LABELS: &[&str] = &[
    "cpcode",
    "hostname",
    "status",
    "status_class",
    "response_status",
    "http_method",
    "delivery_type",
    "cacheability",
    "ip_version",
    "http_protocol",
    "arl_id",
    "content_type",
];

const fn dimension(name: &'static str, label: &'static str, values: &'static [&'static str]) -> Dimension {
    Dimension { name, label, values }
}

/// The dimensions, time left out. Values are listed where the report does.
pub(super) static DIMENSIONS: [Dimension; 12] = [
    dimension("cpcode", LABELS[0], &[]),
    dimension("hostname", LABELS[1], &[]),
    dimension("responseCode", LABELS[2], &[]),
    dimension("responseClass", LABELS[3], &["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"]),
    dimension("responseStatus", LABELS[4], &["error", "success"]),
    dimension("httpMethod", LABELS[5], &["get_head", "put_post"]),
    dimension("deliveryType", LABELS[6], &["non_secure", "secure"]),
    dimension("cacheability", LABELS[7], &["cacheable", "non_cacheable"]),
    dimension("ipVersion", LABELS[8], &["ipv4", "ipv6"]),
    dimension("httpProtocol", LABELS[9], &["http1.1", "https1.1", "http2", "http3"]),
    dimension("arlId", LABELS[10], &[]),
    dimension("contentType", LABELS[11], &[]),
];

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricKind::Counter, labels: LABELS }
}

const fn ratio(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricKind::Gauge, labels: LABELS }
}

/// The report's metrics, in the order of [`FAMILIES`]: the sums first, then the percentages.
pub(super) static METRICS: [&str; 16] = [
    "edgeHitsSum",
    "edgeBytesSum",
    "edgeRequestBytesSum",
    "edgeResponseBytesSum",
    "originHitsSum",
    "originBytesSum",
    "originRequestBytesSum",
    "originResponseBytesSum",
    "midgressHitsSum",
    "midgressBytesSum",
    "midgressRequestBytesSum",
    "midgressResponseBytesSum",
    "offloadedHitsPercentage",
    "offloadedBytesPercentage",
    "offloadedRequestBytesPercentage",
    "offloadedResponseBytesPercentage",
];

/// How many of [`METRICS`] are sums.
pub(super) const SUMS: usize = 12;

/// What they become. The labels are all that there can be.
pub(super) static FAMILIES: [Family; 16] = [
    counter(
        "akamai_traffic_edge_hits_total",
        "Requests that the edge answered to clients (edgeHitsSum), counted by five-minute window of Akamai's report.",
    ),
    counter(
        "akamai_traffic_edge_bytes_total",
        "Bytes between edge and clients, requests and responses (edgeBytesSum).",
    ),
    counter(
        "akamai_traffic_edge_request_bytes_total",
        "Bytes of clients' requests to the edge (edgeRequestBytesSum).",
    ),
    counter(
        "akamai_traffic_edge_response_bytes_total",
        "Bytes of the edge's responses to clients (edgeResponseBytesSum).",
    ),
    counter("akamai_traffic_origin_hits_total", "Requests that the origin answered (originHitsSum)."),
    counter(
        "akamai_traffic_origin_bytes_total",
        "Bytes between Akamai and the origin, requests and responses (originBytesSum).",
    ),
    counter(
        "akamai_traffic_origin_request_bytes_total",
        "Bytes of Akamai's requests to the origin (originRequestBytesSum).",
    ),
    counter(
        "akamai_traffic_origin_response_bytes_total",
        "Bytes of the origin's responses to Akamai (originResponseBytesSum).",
    ),
    counter("akamai_traffic_midgress_hits_total", "Requests between Akamai's own servers (midgressHitsSum)."),
    counter(
        "akamai_traffic_midgress_bytes_total",
        "Bytes between Akamai's own servers, requests and responses (midgressBytesSum).",
    ),
    counter(
        "akamai_traffic_midgress_request_bytes_total",
        "Bytes of requests between Akamai's own servers (midgressRequestBytesSum).",
    ),
    counter(
        "akamai_traffic_midgress_response_bytes_total",
        "Bytes of responses between Akamai's own servers (midgressResponseBytesSum).",
    ),
    ratio(
        "akamai_traffic_offloaded_hits_ratio",
        "Share of hits that the origin was spared in the newest window, 0 to 1 (offloadedHitsPercentage). Only where metrics asks for it; not to be added up.",
    ),
    ratio(
        "akamai_traffic_offloaded_bytes_ratio",
        "Share of bytes that the origin was spared in the newest window, 0 to 1 (offloadedBytesPercentage). Only where metrics asks for it; not to be added up.",
    ),
    ratio(
        "akamai_traffic_offloaded_request_bytes_ratio",
        "Share of request bytes that the origin was spared in the newest window, 0 to 1 (offloadedRequestBytesPercentage). Only where metrics asks for it; not to be added up.",
    ),
    ratio(
        "akamai_traffic_offloaded_response_bytes_ratio",
        "Share of response bytes that the origin was spared in the newest window, 0 to 1 (offloadedResponseBytesPercentage). Only where metrics asks for it; not to be added up.",
    ),
];

/// Whether the `metric`-th metric is a sum.
pub(super) fn additivity(metric: usize) -> Additivity {
    if metric < SUMS { Additivity::Sum } else { Additivity::Gauge }
}
