//! Noise without a random generator: a hash of what the number is for.
//!
//! Everything that looks random in the simulator is a pure function of the seed, the object and the time. Two
//! simulators with one seed therefore tell the same story, in whatever order they are asked.

/// A hash that words and numbers are mixed into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(u64);

impl Noise {
    /// The start for one seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(0).of(seed)
    }

    /// Mixes a number in (the finalizer of SplitMix64, which spreads each bit over all 64).
    pub(super) fn of(self, number: u64) -> Self {
        let mut z = (self.0 ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }

    /// Mixes a word in: the purpose of the number, or a name.
    pub(super) fn on(self, word: &str) -> Self {
        word.bytes().fold(self.of(word.len() as u64), |noise, byte| noise.of(u64::from(byte)))
    }

    /// All 64 bits.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// Uniform from 0 up to, but without, 1.
    pub(super) fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform between two bounds.
    pub(super) fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True in the given share of cases.
    pub(super) fn chance(self, share: f64) -> bool {
        self.unit() < share
    }

    /// Roughly normal, mean 0 and deviation 1, never beyond 3.5: the sum of four uniform numbers, scaled.
    pub(super) fn normal(self) -> f64 {
        let sum: f64 = (0..4).map(|draw| self.of(draw).unit()).sum();
        (sum - 2.0) * 3.0_f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::Noise;

    #[test]
    fn the_same_words_give_the_same_number_and_other_words_another() {
        let noise = Noise::new(1).of(1_209_788).on("scale");
        assert_eq!(noise.bits(), Noise::new(1).of(1_209_788).on("scale").bits());
        assert_ne!(noise.bits(), Noise::new(2).of(1_209_788).on("scale").bits());
        assert_ne!(noise.bits(), Noise::new(1).of(1_209_789).on("scale").bits());
        assert_ne!(noise.bits(), Noise::new(1).of(1_209_788).on("other").bits());
    }

    #[test]
    fn the_distributions_are_about_right() {
        let draws: Vec<Noise> = (0..10_000).map(|n| Noise::new(7).of(n)).collect();
        let mean = draws.iter().map(|n| n.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let mean = draws.iter().map(|n| n.normal()).sum::<f64>() / 10_000.0;
        let square = draws.iter().map(|n| n.normal().powi(2)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.05, "{mean} {square}");
        assert!(draws.iter().all(|n| (0.0..1.0).contains(&n.unit()) && n.normal().abs() < 3.5));
    }
}
