//! The mix of status codes: which ones a site answers with, and how often.

use super::Tier;
use crate::simulator::noise::Noise;

/// Shares at the edge of a healthy site. Status 0 is "no code sent": clients that hung up.
const EDGE: [(u16, f64); 20] = [
    (200, 0.8),
    (304, 0.075),
    (206, 0.05),
    (302, 0.018),
    (404, 0.018),
    (301, 0.012),
    (403, 0.006),
    (0, 0.004),
    (401, 0.003),
    (204, 0.003),
    (400, 0.0015),
    (307, 0.0008),
    (503, 0.0008),
    (416, 0.0006),
    (429, 0.0006),
    (500, 0.0005),
    (408, 0.0004),
    (502, 0.0004),
    (504, 0.0004),
    (405, 0.0002),
];

/// Shares at the origin: more revalidation, more that cannot be cached, more that fails.
const ORIGIN: [(u16, f64); 20] = [
    (200, 0.7),
    (304, 0.18),
    (404, 0.035),
    (302, 0.025),
    (206, 0.02),
    (301, 0.012),
    (403, 0.006),
    (401, 0.004),
    (204, 0.003),
    (500, 0.003),
    (503, 0.002),
    (400, 0.002),
    (504, 0.0015),
    (502, 0.0015),
    (0, 0.001),
    (307, 0.0008),
    (429, 0.0006),
    (408, 0.0005),
    (416, 0.0004),
    (405, 0.0003),
];

/// Codes that only some sites know, and that only a busy one shows in nine seconds.
const RARE: [u16; 23] = [
    201, 202, 207, 303, 308, 402, 406, 409, 410, 411, 412, 413, 414, 415, 417, 422, 423, 426, 431, 451, 501,
    505, 520,
];

/// How failures are spread while an origin is down.
const FAILING: [(u16, f64); 4] = [(503, 0.45), (502, 0.25), (504, 0.20), (500, 0.10)];

/// The share of each status code; together 1. With `target`, exactly that share are 5xx.
pub(super) fn mix(noise: Noise, tier: Tier, troubled: bool, target: Option<f64>) -> Vec<(u16, f64)> {
    let noise = noise.on("mix");
    let usual = match tier {
        Tier::Edge => EDGE,
        Tier::Origin => ORIGIN,
    };
    let rare = RARE.iter().map(|&status| (status, noise.on("rare").of(status.into())));
    let rare = rare
        .filter(|(_, noise)| noise.chance(0.6))
        .map(|(status, noise)| (status, 1e-5 * noise.normal().exp()));
    let mut mix: Vec<(u16, f64)> = usual
        .into_iter()
        .map(|(status, share)| {
            // What most answers are is alike everywhere; the rest is each site's own.
            let spread = if share > 0.5 { 0.0 } else { 0.4 };
            let habit = if troubled && status >= 500 { 12.0 } else { 1.0 };
            (status, share * habit * (spread * noise.of(status.into()).normal()).exp())
        })
        .chain(rare)
        .collect();
    if let Some(target) = target {
        mix.retain(|&(status, _)| status < 500);
        scale(&mut mix, 1.0 - target);
        mix.extend(FAILING.map(|(status, share)| (status, share * target)));
    }
    scale(&mut mix, 1.0);
    mix
}

fn scale(mix: &mut [(u16, f64)], to: f64) {
    let total: f64 = mix.iter().map(|&(_, share)| share).sum();
    for (_, share) in mix {
        *share *= to / total;
    }
}
