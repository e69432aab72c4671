//! How much of a window is reported while it is young.
//!
//! Akamai documents no latency for the traffic report. Its default time range ends 9 min 1 s before now
//! (techdocs reporting delivery-traffic-current, `defaults`), so nothing younger is shown here. That windows
//! go on growing, that some lag, come late as a whole or are corrected downwards is made up: a client must
//! bear it, since nothing promises that it does not happen. After [`SETTLED`] nothing changes any more.

use crate::simulator::noise::Noise;

/// Younger windows are not reported.
const FIRST: f64 = 9.0;
/// From this age on, in minutes, the report is final.
const SETTLED: i64 = 50;

/// The share of a window's final totals that is reported at its age in seconds; nothing while it is absent.
///
/// `noise` belongs to the CP code and the window.
pub(super) fn share(noise: Noise, age: i64) -> Option<f64> {
    if age >= SETTLED * 60 {
        return Some(1.0);
    }
    let minutes = age as f64 / 60.0;
    if minutes < FIRST || absent(noise.on("absent"), minutes) {
        return None;
    }
    let grown = growth(noise.on("growth"), minutes);
    Some(grown * addition(noise.on("addition"), minutes) * excess(noise.on("excess"), minutes))
}

/// One in forty comes late as a whole.
fn absent(noise: Noise, minutes: f64) -> bool {
    noise.chance(1.0 / 40.0) && minutes < noise.of(1).between(23.0, 27.0)
}

/// Most are nearly whole after twelve minutes; one in seven lags.
fn growth(noise: Noise, minutes: f64) -> f64 {
    let whole = if noise.chance(1.0 / 7.0) {
        noise.of(1).between(13.0, 19.0)
    } else {
        noise.of(1).between(10.5, 12.2)
    };
    let start = noise.of(2).between(0.5, 0.9);
    let way = ((minutes - FIRST) / (whole - FIRST)).min(1.0);
    start + (1.0 - start) * way
}

/// One in six lacks some hits until much later.
fn addition(noise: Noise, minutes: f64) -> f64 {
    let lacking = noise.chance(1.0 / 6.0) && minutes < noise.of(1).between(20.0, 45.0);
    if lacking { 1.0 - noise.of(2).between(0.01, 0.08) } else { 1.0 }
}

/// One in eight is reported too high for a while, and then corrected.
fn excess(noise: Noise, minutes: f64) -> f64 {
    let from = noise.of(1).between(15.0, 20.0);
    let until = noise.of(2).between(25.0, 40.0);
    let exceeds = noise.chance(1.0 / 8.0) && (from..until).contains(&minutes);
    if exceeds { 1.0 + noise.of(3).between(0.005, 0.04) } else { 1.0 }
}
