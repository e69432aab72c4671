//! Which failures deserve a log line: each one once, and its end once.
//!
//! A failure that meets all targets of a source alike (the network, the credentials) is one line, not one a target; what
//! Akamai says of a single CP code is a line for that CP code.

use std::collections::BTreeSet;

use crate::model::{Reason, Scope};

/// What to write of a poll's outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// Nothing new.
    Nothing,
    /// A failure that was not there before.
    Failure,
    /// The end of one.
    Recovery,
}

/// What has been written of a source.
#[derive(Debug)]
pub struct Journal {
    failing: Vec<Option<Reason>>,
    told: BTreeSet<Reason>,
}

impl Journal {
    /// Nothing yet, of so many targets.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self { failing: vec![None; targets], told: BTreeSet::new() }
    }

    /// Takes a poll's outcome down and says what to write of it.
    pub fn record(&mut self, target: usize, failure: Option<Reason>) -> Entry {
        let before = std::mem::replace(&mut self.failing[target], failure);
        if before == failure {
            return Entry::Nothing;
        }
        match (before, failure) {
            (_, Some(reason)) if is_single(reason) || self.told.insert(reason) => Entry::Failure,
            (Some(reason), None) if is_single(reason) || self.told.remove(&reason) => Entry::Recovery,
            _ => Entry::Nothing,
        }
    }
}

/// Whether the failure is about one target by its nature.
fn is_single(reason: Reason) -> bool {
    reason.scope() == Scope::Target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_each() {
        let mut journal = Journal::new(3);
        let timeout = Some(Reason::Timeout);
        let entries: Vec<_> =
            [(0, None), (0, timeout), (1, timeout), (0, timeout), (0, None), (1, None), (2, timeout)]
                .map(|(target, failure)| journal.record(target, failure))
                .to_vec();
        use Entry::{Failure, Nothing, Recovery};
        assert_eq!(entries, [Nothing, Failure, Nothing, Nothing, Recovery, Nothing, Failure]);
    }

    #[test]
    fn a_refused_cp_code_is_named_each() {
        let mut journal = Journal::new(2);
        let forbidden = Some(Reason::Forbidden);
        assert_eq!(journal.record(0, forbidden), Entry::Failure);
        assert_eq!(journal.record(1, forbidden), Entry::Failure);
        assert_eq!(journal.record(1, None), Entry::Recovery);
        assert_eq!(journal.record(0, Some(Reason::Auth)), Entry::Failure);
    }
}
