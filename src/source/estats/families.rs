//! The metrics that an eStats sample becomes.

use std::collections::BTreeMap;

use super::answer::{Sample, Tier};
use super::{Place, legacy};
use crate::clock::seconds;
use crate::model::{Batch, Family, LabelValue, MetricKind};

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family {
    Family { name, help, kind: MetricKind::Gauge, labels }
}

static HITS: Family = gauge(
    "akamai_estats_hits",
    "Responses with this status code in the nine-second sample (hits in edge/originStatusCodeDistribution). A sample: do not add up over time.",
    &["cpcode", "url", "delivery", "tier", "status"],
);

pub(super) static SAMPLE_HITS: Family = gauge(
    "akamai_estats_sample_hits",
    "Responses in the nine-second sample (edgeHits, originHits).",
    &["cpcode", "url", "delivery", "tier"],
);

static SAMPLE_ERRORS: Family = gauge(
    "akamai_estats_sample_errors",
    "Responses in the nine-second sample that Akamai counts as errors (edgeErrors, originErrors).",
    &["cpcode", "url", "delivery", "tier"],
);

pub(super) static STATUS_RATIO: Family = gauge(
    "akamai_estats_status_ratio",
    "Share of a status class in the sample's responses, 0 to 1, from hits; all seven classes while there are responses.",
    &["cpcode", "url", "delivery", "tier", "status_class"],
);

static TIMESTAMP: Family = gauge(
    "akamai_estats_sample_timestamp_seconds",
    "When Akamai completed the sample (completedTime), in seconds since the epoch.",
    &["cpcode", "url", "delivery"],
);

pub(super) static ALL: [&Family; 15] = {
    let [a, b, c, d, e, f, g, h, i, j] = legacy::ALL;
    [&HITS, &SAMPLE_HITS, &SAMPLE_ERRORS, &STATUS_RATIO, &TIMESTAMP, a, b, c, d, e, f, g, h, i, j]
};

const CLASSES: [&str; 7] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];

/// What `sample`, taken at `place`, is in metrics.
pub(super) fn batch(place: &Place, sample: &Sample) -> Batch {
    let mut batch = Batch::default();
    for (name, tier) in [("edge", &sample.edge), ("origin", &sample.origin)] {
        if let Some(tier) = tier {
            push_tier(&mut batch, place, &name.into(), tier);
        }
    }
    let Place { cpcode, url, delivery } = place;
    batch.push(&TIMESTAMP, [cpcode, url, delivery], seconds(sample.completed));
    batch.stamp(sample.completed);
    batch
}

fn push_tier(batch: &mut Batch, place: &Place, name: &LabelValue, tier: &Tier) {
    let Place { cpcode, url, delivery } = place;
    for (status, share) in &tier.statuses {
        batch.push(&HITS, [cpcode, url, delivery, name, &status.to_string().into()], share.hits as f64);
    }
    batch.push(&SAMPLE_HITS, [cpcode, url, delivery, name], tier.total() as f64);
    if let Some(errors) = tier.errors {
        batch.push(&SAMPLE_ERRORS, [cpcode, url, delivery, name], errors as f64);
    }
    for (class, ratio) in ratios(tier) {
        batch.push(&STATUS_RATIO, [cpcode, url, delivery, name, &class.into()], ratio);
    }
}

/// The share of each class. None without a distribution, or without responses: there is no share of nothing.
fn ratios(tier: &Tier) -> BTreeMap<String, f64> {
    let whole = tier.whole();
    if whole == 0 || tier.statuses.is_empty() {
        return BTreeMap::new();
    }
    let mut hits: BTreeMap<String, u64> = CLASSES.map(|class| (class.to_owned(), 0)).into();
    for (status, share) in &tier.statuses {
        *hits.entry(format!("{}xx", status / 100)).or_default() += share.hits;
    }
    hits.into_iter().map(|(class, hits)| (class, hits as f64 / whole as f64)).collect()
}
