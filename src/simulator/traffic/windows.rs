//! What a CP code serves in five aligned minutes, as exact integers: the totals that every report adds up.
//!
//! The smallest thing that is counted is a status code in a window. Its hits are drawn once; bytes are hits
//! times a size of its own, and what reached a parent or the origin is a share of the hits. So whatever is
//! added up, or split by `splits`, gives the same whole.

use chrono::{DateTime, Utc};

use super::{Site, Tier};
use crate::simulator::noise::Noise;

/// The length of a window, in seconds.
pub(in crate::simulator) const WINDOW: i64 = 300;

/// Requests of one tier, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulator) struct Flow {
    pub(in crate::simulator) hits: u64,
    pub(in crate::simulator) request_bytes: u64,
    pub(in crate::simulator) response_bytes: u64,
}

impl Flow {
    pub(in crate::simulator) fn bytes(&self) -> u64 {
        self.request_bytes + self.response_bytes
    }

    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
    }
}

/// What all reports are made of: clients to the edge, edge to parents ("midgress"), parents to the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulator) struct Sums {
    pub(in crate::simulator) edge: Flow,
    pub(in crate::simulator) midgress: Flow,
    pub(in crate::simulator) origin: Flow,
}

impl Sums {
    pub(in crate::simulator) fn add(&mut self, other: &Self) {
        self.edge.add(&other.edge);
        self.midgress.add(&other.midgress);
        self.origin.add(&other.origin);
    }
}

/// How often one status code was sent in a window, on each tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) edge: u64,
    /// Never more than at the edge.
    pub(super) midgress: u64,
    /// Never more than in between.
    pub(super) origin: u64,
}

impl Hits {
    /// The same as far as it is reported, in whole requests.
    pub(super) fn times(self, share: f64) -> Self {
        let part = |hits: u64| (hits as f64 * share).floor() as u64;
        Self { edge: part(self.edge), midgress: part(self.midgress), origin: part(self.origin) }
    }
}

/// One status code in a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The position of the code in [`Ledger::codes`].
    pub(super) code: usize,
    pub(super) hits: Hits,
    /// Decides how `splits` takes it apart.
    pub(super) noise: Noise,
    request: u64,
    response: u64,
}

impl Part {
    /// Hits and bytes of some of this part's requests.
    pub(super) fn sums(&self, hits: Hits) -> Sums {
        // Each hop adds headers of its own.
        let flow = |hits: u64, extra: u64| Flow {
            hits,
            request_bytes: hits * (self.request + extra),
            response_bytes: hits * (self.response + extra / 2),
        };
        Sums { edge: flow(hits.edge, 0), midgress: flow(hits.midgress, 90), origin: flow(hits.origin, 210) }
    }
}

/// One site, prepared for counting many windows.
#[derive(Debug)]
pub(super) struct Ledger {
    site: Site,
    noise: Noise,
    /// Every code that the site may send, with its usual share.
    codes: Vec<(u16, f64)>,
    /// The size of a whole response.
    size: f64,
    request: u64,
}

impl Ledger {
    pub(super) fn new(site: Site) -> Self {
        let noise = site.noise.on("windows");
        let mut codes = codes_of(&site);
        codes.sort_by_key(|&(code, _)| code);
        // Segments of video are larger than pages, and each site has its own.
        let size = noise.on("size").between(f64::ln(8_000.0), f64::ln(900_000.0)).exp();
        let request = noise.on("request").between(420.0, 900.0) as u64;
        Self { site, noise, codes, size, request }
    }

    /// The status codes that parts point to.
    pub(super) fn codes(&self) -> impl Iterator<Item = u16> {
        self.codes.iter().map(|&(code, _)| code)
    }

    /// What the site served in the window that starts at `start`; nothing for a code that was not sent.
    pub(super) fn parts(&self, start: i64) -> Vec<Part> {
        let at = DateTime::<Utc>::from_timestamp(start + WINDOW / 2, 0).unwrap_or_default();
        let expected = self.site.edge_rate(at) * WINDOW as f64;
        if expected <= 0.0 {
            return Vec::new();
        }
        let noise = self.noise.of(start as u64);
        let size = self.size * (1.0 + 0.05 * noise.normal());
        let burst = (self.site.burst(at) > 0.0).then(|| self.site.mix(Tier::Edge, at, None));
        let share = |position: usize| match &burst {
            None => self.codes[position].1,
            Some(mix) => {
                let code = self.codes[position].0;
                mix.iter().find(|&&(other, _)| other == code).map_or(0.0, |&(_, share)| share)
            }
        };
        let parts = (0..self.codes.len()).map(|position| {
            let code = self.codes[position].0;
            let noise = noise.of(code.into());
            let hits = self.hits(code, drawn(expected * share(position), noise), noise);
            let response = response_size(code, size);
            Part { code: position, hits, noise, request: self.request, response }
        });
        parts.filter(|part| part.hits.edge > 0).collect()
    }

    /// Of the hits at the edge, those that went on to a parent and to the origin. Failures come from there more
    /// often than what is in store.
    fn hits(&self, code: u16, edge: u64, noise: Noise) -> Hits {
        let eagerness = match code {
            0 => 0.3,
            304 => 1.4,
            400..500 => 1.6,
            500.. => 2.5,
            _ => 0.95,
        };
        let missed = ((1.0 - self.site.offload) * eagerness).min(0.95);
        // Every third miss was answered by the parent.
        let midgress = part_of(edge, (missed * 1.5).min(0.98), noise.of(1));
        Hits { edge, midgress, origin: part_of(midgress, 0.67, noise.of(2)) }
    }
}

/// Every code that a site may send: its usual mix, and the codes that only a burst brings.
fn codes_of(site: &Site) -> Vec<(u16, f64)> {
    // A burst has no codes that the usual mix lacks.
    super::codes::mix(
        site.noise.on(Tier::Edge.name()),
        Tier::Edge,
        site.character == super::Character::Troubled,
        None,
    )
}

/// A whole number around an expectation. Cheaper than [`super::draw`], for it is drawn a million times.
fn drawn(expected: f64, noise: Noise) -> u64 {
    if expected < 10.0 {
        (expected + noise.unit()).floor() as u64
    } else {
        (expected + expected.sqrt() * noise.normal()).round() as u64
    }
}

/// About a share of a whole, rounded up as often as the fraction says.
fn part_of(whole: u64, share: f64, noise: Noise) -> u64 {
    ((whole as f64 * share + noise.unit()).floor() as u64).min(whole)
}

/// Bytes of a response. Only some codes have the whole object in it.
fn response_size(code: u16, size: f64) -> u64 {
    match code {
        200 | 203 => size as u64,
        206 => (size / 2.0) as u64,
        0 => 0,
        204 | 304 => 310,
        300..400 => 480,
        _ => 950,
    }
}
