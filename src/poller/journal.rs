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
        let is_over = before.is_some_and(|reason| is_single(reason) || self.end(reason));
        match failure {
            Some(reason) if is_single(reason) || self.told.insert(reason) => Entry::Failure,
            None if is_over => Entry::Recovery,
            _ => Entry::Nothing,
        }
    }

    /// Forgets a reason that no target has any more; whether it was told.
    fn end(&mut self, reason: Reason) -> bool {
        !self.failing.contains(&Some(reason)) && self.told.remove(&reason)
    }
}

/// Whether the failure is about one target by its nature.
fn is_single(reason: Reason) -> bool {
    reason.scope() == Scope::Target
}

#[cfg(test)]
mod tests {
    use super::*;

    use Entry::{Failure, Nothing, Recovery};

    #[track_caller]
    fn check(targets: usize, polls: &[(usize, Option<Reason>)], expected: &[Entry]) {
        let mut journal = Journal::new(targets);
        let entries: Vec<_> =
            polls.iter().map(|(target, failure)| journal.record(*target, *failure)).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn once_each() {
        let timeout = Some(Reason::Timeout);
        check(
            3,
            &[(0, None), (0, timeout), (1, timeout), (0, timeout), (0, None), (1, None), (2, timeout)],
            &[Nothing, Failure, Nothing, Nothing, Nothing, Recovery, Failure],
        );
    }

    #[test]
    fn a_failure_that_turns_into_another_is_told_again_the_next_time() {
        let (server, malformed) = (Some(Reason::ServerError), Some(Reason::Malformed));
        check(
            1,
            &[(0, server), (0, malformed), (0, None), (0, server), (0, Some(Reason::NoData)), (0, server)],
            &[Failure, Failure, Recovery, Failure, Failure, Failure],
        );
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
