//! The ten gauges of the Python exporter that came before, for dashboards that still ask for them: per cent, classes 1xx to 5xx,
//! the sum of the percentages that Akamai rounded. They carry labels now, which an old query does not mind.

use super::Place;
use super::answer::{Sample, Tier};
use crate::model::{Batch, Family, MetricKind};

const HELP: &str =
    "Per cent of the sample's responses, as the original exporter had it; use akamai_estats_status_ratio.";

const fn gauge(name: &'static str) -> Family {
    Family { name, help: HELP, kind: MetricKind::Gauge, labels: &["cpcode", "url", "delivery"] }
}

static EDGE: [Family; 5] =
    [gauge("edge_1xx"), gauge("edge_2xx"), gauge("edge_3xx"), gauge("edge_4xx"), gauge("edge_5xx")];

static ORIGIN: [Family; 5] =
    [gauge("origin_1xx"), gauge("origin_2xx"), gauge("origin_3xx"), gauge("origin_4xx"), gauge("origin_5xx")];

pub(super) static ALL: [&Family; 10] = [
    &EDGE[0], &EDGE[1], &EDGE[2], &EDGE[3], &EDGE[4], &ORIGIN[0], &ORIGIN[1], &ORIGIN[2], &ORIGIN[3],
    &ORIGIN[4],
];

/// Adds the gauges of the tiers that have responses.
pub(super) fn push(batch: &mut Batch, place: &Place, sample: &Sample) {
    for (families, tier) in [(&EDGE, &sample.edge), (&ORIGIN, &sample.origin)] {
        for (family, percentage) in tier.iter().flat_map(|tier| families.iter().zip(percentages(tier))) {
            batch.push(family, [&place.cpcode, &place.url, &place.delivery], percentage);
        }
    }
}

fn percentages(tier: &Tier) -> Vec<f64> {
    if tier.whole() == 0 || tier.statuses.is_empty() {
        return Vec::new();
    }
    // Without one of them a sum would be a number that Akamai did not report.
    if tier.statuses.values().any(|share| share.percentage.is_none()) {
        return Vec::new();
    }
    let of_class = |class: u16| {
        let shares = tier.statuses.iter().filter(|(status, _)| **status / 100 == class);
        // Not `sum()`: that of nothing is -0.
        shares.filter_map(|(_, share)| share.percentage).fold(0.0, |sum, percentage| sum + percentage)
    };
    (1..=5).map(of_class).collect()
}
