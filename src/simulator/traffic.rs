//! Traffic that looks real: what the simulated sites serve, as a pure function of seed, site and time.
//!
//! A [`Site`] is a CP code's (or a URL's) traffic. It has a scale, a daily curve, a share on each delivery
//! network, an offload, a mix of status codes and the odd burst of 5xx. [`Site::rate`] and [`Site::mix`] are
//! what every simulated API draws from, so that they agree with each other as Akamai's do.
//!
//! eStats takes samples of a few seconds. The reporting APIs count whole windows of five minutes, in `windows`,
//! which `report` shows as long as they are young, `splits` takes apart by host names and the like, and `table`
//! puts together into rows.

use chrono::{DateTime, Utc};

use super::noise::Noise;

mod codes;
mod report;
mod splits;
pub(super) mod table;
mod windows;

/// A delivery network, in the spelling of the APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Standard,
    Enhanced,
}

impl Network {
    pub(super) const ALL: [Self; 2] = [Self::Standard, Self::Enhanced];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD_TLS",
            Self::Enhanced => "ENHANCED_TLS",
        }
    }
}

/// Where responses are counted: sent by the edge to clients, or by the origin to the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    Edge,
    Origin,
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Origin => "origin",
        }
    }
}

/// What kind of site this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Character {
    /// Medium size, nothing special.
    Steady,
    /// Thousands of requests a second, and every status code there is.
    Busy,
    /// Around one request a second.
    Small,
    /// Its origin often fails.
    Troubled,
    /// Serves nobody between midnight and six (UTC).
    Sleeper,
}

/// One site's traffic.
#[derive(Clone, Debug)]
pub(super) struct Site {
    noise: Noise,
    character: Character,
    /// Hits a second at the edge, at the busiest time of the day.
    peak: f64,
    /// How much of the traffic is on [`Network::Standard`]; the rest is on the other one.
    standard: f64,
    /// The share of hits that the edge answers alone.
    offload: f64,
    /// Hours by which the day of this site's visitors is shifted.
    shift: f64,
}

impl Site {
    /// The site behind a CP code. Those of the default account have a fixed character, for demonstrations.
    pub(super) fn of_cpcode(seed: u64, cpcode: u64) -> Self {
        let noise = Noise::new(seed).on("cpcode").of(cpcode);
        let (character, peak, standard) = match cpcode {
            1_209_788 => (Character::Steady, 1_100.0, 0.85),
            100_001 => (Character::Busy, 5_200.0, 0.6),
            100_002 => (Character::Small, 1.2, 1.0),
            100_003 => (Character::Troubled, 240.0, 1.0),
            100_004 => (Character::Sleeper, 160.0, 0.0),
            _ => return Self::drawn(noise, Self::draw_character(noise)),
        };
        Self { peak, standard, ..Self::drawn(noise, character) }
    }

    /// The site behind a URL: a page or two, so smaller than a CP code.
    pub(super) fn of_url(seed: u64, url: &str) -> Self {
        let noise = Noise::new(seed).on("url").on(url);
        let site = Self::drawn(noise, Self::draw_character(noise));
        Self { peak: site.peak / 20.0, ..site }
    }

    fn draw_character(noise: Noise) -> Character {
        match noise.on("character").unit() {
            draw if draw < 0.55 => Character::Steady,
            draw if draw < 0.65 => Character::Busy,
            draw if draw < 0.85 => Character::Small,
            draw if draw < 0.92 => Character::Troubled,
            _ => Character::Sleeper,
        }
    }

    fn drawn(noise: Noise, character: Character) -> Self {
        let (low, high) = match character {
            Character::Steady => (15.0, 1_500.0),
            Character::Busy => (2_000.0, 9_000.0),
            Character::Small => (0.1, 3.0),
            Character::Troubled => (50.0, 600.0),
            Character::Sleeper => (20.0, 400.0),
        };
        // Between the bounds by order of magnitude: there are more small sites than large ones.
        let peak = noise.on("peak").between(f64::ln(low), f64::ln(high)).exp();
        let standard = match noise.on("network").unit() {
            draw if draw < 0.45 => 1.0,
            draw if draw < 0.70 => 0.0,
            _ => noise.on("network share").between(0.15, 0.85),
        };
        let offload = noise.on("offload").between(0.60, 0.97);
        let shift = noise.on("shift").between(-3.0, 3.0);
        Self { noise, character, peak, standard, offload, shift }
    }

    /// The share of this site's traffic that is on a network: 0 means none, ever.
    pub(super) fn share(&self, network: Network) -> f64 {
        match network {
            Network::Standard => self.standard,
            Network::Enhanced => 1.0 - self.standard,
        }
    }

    /// Expected hits a second at the edge at a time, on both networks together.
    fn edge_rate(&self, at: DateTime<Utc>) -> f64 {
        let weather = |minutes: i64, deviation: f64| {
            let slot = at.timestamp().div_euclid(minutes * 60);
            1.0 + deviation * self.noise.on("weather").of(minutes as u64).of(slot as u64).normal()
        };
        self.peak * self.curve(at) * weather(10, 0.06) * weather(1_440, 0.05)
    }

    /// Expected hits a second at a time.
    pub(super) fn rate(&self, network: Network, tier: Tier, at: DateTime<Utc>) -> f64 {
        let edge = self.edge_rate(at) * self.share(network);
        match tier {
            Tier::Edge => edge,
            Tier::Origin => edge * (1.0 - self.offload),
        }
    }

    /// The daily curve, in UTC: most in the evening, least before dawn, 1 at the peak.
    fn curve(&self, at: DateTime<Utc>) -> f64 {
        let hour = at.timestamp().rem_euclid(86_400) as f64 / 3_600.0;
        let wave = |peak: f64, period: f64| f64::cos((hour - peak) / period * std::f64::consts::TAU);
        if self.character == Character::Sleeper {
            // Closed until six, open at half past seven, emptying from half past ten.
            return ((hour - 6.0) / 1.5).clamp(0.0, 1.0).min((24.0 - hour) / 1.5);
        }
        (0.60 + 0.35 * wave(20.0 + self.shift, 24.0) + 0.05 * wave(20.0 + self.shift, 12.0)).max(0.1)
    }

    /// The extra share of 5xx that a burst causes at a time: 0 nearly always.
    ///
    /// Each block of three hours may hold one burst of 3 to 12 minutes.
    pub(super) fn burst(&self, at: DateTime<Utc>) -> f64 {
        let minute = at.timestamp().div_euclid(60);
        let noise = self.noise.on("burst").of(minute.div_euclid(180) as u64);
        let habit = if self.character == Character::Troubled { 0.7 } else { 0.03 };
        if !noise.on("whether").chance(habit) {
            return 0.0;
        }
        let length = noise.on("length").between(3.0, 12.0);
        let start = noise.on("start").between(0.0, 180.0 - length);
        let minute = minute.rem_euclid(180) as f64;
        let inside = (start..start + length).contains(&minute);
        if inside { noise.on("share").between(0.05, 0.30) } else { 0.0 }
    }

    /// The share of each status code at a time; together 1. With `forced`, exactly that share are 5xx.
    pub(super) fn mix(&self, tier: Tier, at: DateTime<Utc>, forced: Option<f64>) -> Vec<(u16, f64)> {
        let burst = match tier {
            Tier::Edge => self.burst(at),
            // The edge hides some of its origin's failures behind what it has in store.
            Tier::Origin => (self.burst(at) * 1.6).min(0.6),
        };
        let target = forced.or((burst > 0.0).then_some(burst));
        let troubled = self.character == Character::Troubled;
        codes::mix(self.noise.on(tier.name()), tier, troubled, target)
    }

    /// A sample of some seconds: how often each status code was seen, most frequent first.
    ///
    /// The two tiers, and the two networks, are samples of their own, as eStats takes them.
    pub(super) fn sample(
        &self,
        network: Network,
        tier: Tier,
        at: DateTime<Utc>,
        seconds: u32,
        forced: Option<f64>,
    ) -> Vec<(u16, u64)> {
        let seconds = f64::from(seconds);
        let slot = (at.timestamp() as f64 / seconds).floor() as i64 as u64;
        let noise = self.noise.on("sample").on(network.name()).on(tier.name()).of(slot);
        let hits = self.rate(network, tier, at) * seconds * (1.0 + 0.04 * noise.normal());
        let mut counts: Vec<(u16, u64)> = self
            .mix(tier, at, forced)
            .into_iter()
            .map(|(status, share)| (status, draw(hits * share, noise.of(u64::from(status)))))
            .filter(|&(_, hits)| hits > 0)
            .collect();
        counts.sort_by_key(|&(status, hits)| (std::cmp::Reverse(hits), status));
        counts
    }
}

/// A whole number around an expectation, with the spread that counting has.
fn draw(expected: f64, noise: Noise) -> u64 {
    if expected < 10.0 {
        // Rounded up as often as the fraction says, so that rare codes are seen rarely instead of never.
        (expected + noise.on("fraction").unit()).floor() as u64
    } else {
        (expected + expected.sqrt() * noise.on("spread").normal()).round() as u64
    }
}

#[cfg(test)]
mod tests;
