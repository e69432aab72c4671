//! What an API answers from: how the simulator was started, and what was switched since.

use std::collections::BTreeSet;

use super::{MediaDelivery, Options};

/// What the control API switches at run time, faults and limits apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches {
    /// CP codes that may no longer be seen.
    pub(super) unauthorized: BTreeSet<u64>,
    pub(super) media_delivery: MediaDelivery,
}

impl Switches {
    pub(super) fn new(options: &Options) -> Self {
        Self { media_delivery: options.media_delivery, ..Self::default() }
    }
}

/// The options and the switches.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) options: &'a Options,
    pub(super) switches: Switches,
}

impl World<'_> {
    /// Whether a CP code exists and may be seen.
    pub(super) fn visible(&self, cpcode: u64) -> bool {
        self.options.cpcodes.contains(cpcode) && !self.switches.unauthorized.contains(&cpcode)
    }

    /// Every CP code that exists and may be seen.
    pub(super) fn cpcodes(&self) -> impl Iterator<Item = u64> + '_ {
        self.options.cpcodes.iter().filter(|cpcode| !self.switches.unauthorized.contains(cpcode))
    }
}

#[cfg(test)]
impl<'a> World<'a> {
    /// One in which nothing was switched.
    pub(super) fn of(options: &'a Options) -> Self {
        Self { options, switches: Switches::new(options) }
    }
}
