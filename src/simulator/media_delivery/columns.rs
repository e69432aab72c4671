//! The ids of dimensions and metrics, and what they mean.
//!
//! Those of `data` are from the data stores that Akamai documented (GitHub akamai/akamai-apis, commit 2480ec4,
//! media-delivery-reports). For `realtime-data` there never was a list: 617, 619, 620, 630 and 631 are known from
//! clients, 618 fits between, and what 616, 621 and 622 stood for is not known; here they are other hits,
//! midgress hits and errors.

use crate::simulator::traffic::table::{Dimension, Flow, Sums};

/// Hits by status code beside the sums.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    sums: Sums,
    codes: Vec<(u16, u64)>,
}

impl Tally {
    pub(super) fn add(&mut self, code: u16, sums: &Sums) {
        self.sums.add(sums);
        self.count(code, sums.edge.hits);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sums.add(&other.sums);
        other.codes.iter().for_each(|&(code, hits)| self.count(code, hits));
    }

    fn count(&mut self, code: u16, more: u64) {
        match self.codes.iter_mut().find(|(other, _)| *other == code) {
            Some((_, hits)) => *hits += more,
            None => self.codes.push((code, more)),
        }
    }

    /// Hits with codes from one to another.
    fn hits(&self, first: u16, last: u16) -> u64 {
        let codes = self.codes.iter().filter(|(code, _)| (first..=last).contains(code));
        codes.map(|&(_, hits)| hits).sum()
    }
}

/// What a metric counts.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Hits at the edge with codes from one to another.
    Codes(u16, u16),
    /// Hits that are in no class of codes from 2xx to 5xx.
    Other,
    Hits(Tier),
    Bytes(Tier),
    /// 10^9 bytes.
    Gigabytes(Tier),
    /// 10^6 bits a second.
    Megabits(Tier),
    HitsPerSecond(Tier),
    OffloadOfHits,
    OffloadOfBytes,
}

#[derive(Clone, Copy, Debug)]
enum Tier {
    Edge,
    Midgress,
    Origin,
    /// Edge and midgress.
    Network,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    value: Value,
}

const fn metric(id: u32, name: &'static str, unit: &'static str, value: Value) -> Metric {
    Metric { id, name, unit, value }
}

const REALTIME: [Metric; 9] = [
    metric(616, "Other Edge Hits", "HITS", Value::Other),
    metric(617, "2xx Edge Hits", "HITS", Value::Codes(200, 299)),
    metric(618, "3xx Edge Hits", "HITS", Value::Codes(300, 399)),
    metric(619, "4xx Edge Hits", "HITS", Value::Codes(400, 499)),
    metric(620, "5xx Edge Hits", "HITS", Value::Codes(500, 599)),
    metric(621, "Midgress Hits", "HITS", Value::Hits(Tier::Midgress)),
    metric(622, "Edge Errors", "HITS", Value::Codes(400, 599)),
    metric(630, "All Edge Hits", "HITS", Value::Hits(Tier::Edge)),
    metric(631, "All Origin Hits", "HITS", Value::Hits(Tier::Origin)),
];

const HISTORICAL: [Metric; 34] = [
    metric(2, "Edge and Midgress Volume", "GB", Value::Gigabytes(Tier::Network)),
    metric(4, "Edge Hits", "HITS", Value::Hits(Tier::Edge)),
    metric(9, "Midgress Hits", "HITS", Value::Hits(Tier::Midgress)),
    metric(12, "Customer Origin Hits", "HITS", Value::Hits(Tier::Origin)),
    metric(18, "0xx Edge Hits", "HITS", Value::Codes(0, 99)),
    metric(19, "200 Edge Hits", "HITS", Value::Codes(200, 200)),
    metric(20, "206 Edge Hits", "HITS", Value::Codes(206, 206)),
    metric(21, "2xx Edge Hits", "HITS", Value::Codes(200, 299)),
    metric(22, "302 Edge Hits", "HITS", Value::Codes(302, 302)),
    metric(23, "304 Edge Hits", "HITS", Value::Codes(304, 304)),
    metric(24, "3xx Edge Hits", "HITS", Value::Codes(300, 399)),
    metric(25, "404 Edge Hits", "HITS", Value::Codes(404, 404)),
    metric(26, "415 Edge Hits", "HITS", Value::Codes(415, 415)),
    metric(27, "403 Edge Hits", "HITS", Value::Codes(403, 403)),
    metric(28, "4xx Edge Hits", "HITS", Value::Codes(400, 499)),
    metric(29, "5xx Edge Hits", "HITS", Value::Codes(500, 599)),
    metric(30, "Other Edge Hits", "HITS", Value::Codes(600, 999)),
    metric(102, "Edge Errors", "HITS", Value::Codes(400, 599)),
    metric(103, "Edge Throughput", "MBPS", Value::Megabits(Tier::Edge)),
    metric(106, "Origin Offload", "%", Value::OffloadOfBytes),
    metric(107, "Edge Volume", "GB", Value::Gigabytes(Tier::Edge)),
    metric(115, "Origin Volume", "BYTES", Value::Bytes(Tier::Origin)),
    metric(116, "Midgress Volume", "GB", Value::Gigabytes(Tier::Midgress)),
    metric(166, "Customer Origin Volume", "GB", Value::Gigabytes(Tier::Origin)),
    metric(167, "Origin Hits", "HITS", Value::Hits(Tier::Origin)),
    metric(168, "Origin Volume", "GB", Value::Gigabytes(Tier::Origin)),
    metric(169, "Offload by Hits", "%", Value::OffloadOfHits),
    metric(170, "Offload by Volume", "%", Value::OffloadOfBytes),
    metric(186, "Origin Bandwidth", "MBPS", Value::Megabits(Tier::Origin)),
    metric(221, "Edge Bandwidth", "MBPS", Value::Megabits(Tier::Edge)),
    metric(453, "Midgress Bandwidth", "MBPS", Value::Megabits(Tier::Midgress)),
    metric(454, "Edge Hits per Second", "HITS/SEC", Value::HitsPerSecond(Tier::Edge)),
    metric(455, "Midgress Hits per Second", "HITS/SEC", Value::HitsPerSecond(Tier::Midgress)),
    // "Ingress" is what comes from the origin.
    metric(456, "Ingress Hits per Second", "HITS/SEC", Value::HitsPerSecond(Tier::Origin)),
];

/// The metric of an id.
pub(super) fn find(realtime: bool, id: u32) -> Option<Metric> {
    let list = if realtime { &REALTIME[..] } else { &HISTORICAL[..] };
    list.iter().find(|metric| metric.id == id).copied()
}

/// What the dimension of an id is called, and what it is; the time's grain is the aggregation.
pub(super) fn dimension(realtime: bool, id: u32) -> Option<(&'static str, Option<Dimension>)> {
    match (realtime, id) {
        (true, 600) | (false, 1) => Some(("Time", None)),
        (false, 2) => Some(("CP Code", Some(Dimension::CpCode))),
        (false, 4) => Some(("Hostname", Some(Dimension::Hostname))),
        _ => None,
    }
}

impl Metric {
    /// The cell: a string, whatever it is.
    pub(super) fn text(&self, tally: &Tally, seconds: i64) -> String {
        let sums = &tally.sums;
        let number = |value: f64| format!("{value:.6}");
        let rate = |amount: f64| number(amount / seconds.max(1) as f64);
        match self.value {
            Value::Codes(first, last) => tally.hits(first, last).to_string(),
            Value::Other => (tally.hits(0, 199) + tally.hits(600, 999)).to_string(),
            Value::Hits(tier) => flow(sums, tier, |flow| flow.hits).to_string(),
            Value::Bytes(tier) => flow(sums, tier, Flow::bytes).to_string(),
            Value::Gigabytes(tier) => number(flow(sums, tier, Flow::bytes) as f64 / 1e9),
            Value::Megabits(tier) => rate(flow(sums, tier, Flow::bytes) as f64 * 8.0 / 1e6),
            Value::HitsPerSecond(tier) => rate(flow(sums, tier, |flow| flow.hits) as f64),
            Value::OffloadOfHits => number(offload(sums, |flow| flow.hits)),
            Value::OffloadOfBytes => number(offload(sums, Flow::bytes)),
        }
    }
}

fn flow(sums: &Sums, tier: Tier, of: fn(&Flow) -> u64) -> u64 {
    match tier {
        Tier::Edge => of(&sums.edge),
        Tier::Midgress => of(&sums.midgress),
        Tier::Origin => of(&sums.origin),
        Tier::Network => of(&sums.edge) + of(&sums.midgress),
    }
}

fn offload(sums: &Sums, of: fn(&Flow) -> u64) -> f64 {
    let (edge, origin) = (of(&sums.edge) as f64, of(&sums.origin) as f64);
    if edge > 0.0 { ((edge - origin) * 100.0 / edge).clamp(0.0, 100.0) } else { 0.0 }
}
