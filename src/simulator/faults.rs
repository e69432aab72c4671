//! Faults: THE table of what can be made to go wrong, and which of it is switched on.
//!
//! A fault has a name, a stage and a scope. The stages are where it strikes, in the order of a request's way:
//! before the gateway's checks, instead of the API, in the API's answer, or in the answer's transport. What a
//! fault does stands in [`super::misbehave`], or in the API for [`Stage::Answer`].

use serde::{Deserialize, Serialize};

use super::api::{Call, Subject};

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Before the gateway has checked anything.
    Gateway,
    /// After the gateway's checks, which stay in force, instead of the API.
    Api,
    /// In what the API says.
    Answer,
    /// In how the answer gets to the client.
    Transport,
}

/// Something that can be made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Html403,
    BurstBlock,
    ClockSkew,
    InactiveToken,
    BadSignature,
    NoGrant,
    Timeout,
    Reset,
    RateLimited,
    ServerError,
    ServerErrorBare,
    Html,
    Redirect,
    Garbage,
    NotFound,
    UnauthorizedCpcode,
    Failure,
    MissingResult,
    EdgeOnly,
    OriginOnly,
    StatusZero,
    IntegerPercentages,
    FloatPercentages,
    Empty,
    Negative,
    DuplicateStatus,
    ErrorBurst,
    MissingColumn,
    ExtraColumn,
    StringNumbers,
    WrongType,
    Fractional,
    HugeValue,
    DuplicateRow,
    ConflictingRow,
    OutOfRange,
    ForeignCpcode,
    MoreRows,
    QueryCost,
    MalformedItems,
    Truncated,
    CutOff,
    SlowDrip,
    Huge,
}

/// THE table: fault, name, stage, what happens. In the order of the enum; of several faults of one stage the
/// first one strikes, except that faults of [`Stage::Answer`] add up.
const TABLE: [(Fault, &str, Stage, &str); 44] = [
    (Fault::Html403, "html-403", Stage::Gateway, "403 with a firewall's HTML page"),
    (
        Fault::BurstBlock,
        "burst-block",
        Stage::Gateway,
        "403 with an HTML page that names IPBLOCK-BURST4-54013",
    ),
    (Fault::ClockSkew, "clock-skew", Stage::Gateway, "400 Invalid timestamp, and a Date 90 s ahead"),
    (Fault::InactiveToken, "inactive-token", Stage::Gateway, "401 Inactive client token"),
    (Fault::BadSignature, "bad-signature", Stage::Gateway, "401 The signature does not match"),
    (Fault::NoGrant, "no-grant", Stage::Gateway, "403, the client lacks the grant for the API"),
    (Fault::Timeout, "timeout", Stage::Api, "never answers"),
    (Fault::Reset, "reset", Stage::Api, "resets the connection instead of an answer"),
    (Fault::RateLimited, "rate-limited", Stage::Api, "429, whatever the limit"),
    (Fault::ServerError, "server-error", Stage::Api, "500 with a problem in JSON"),
    (Fault::ServerErrorBare, "server-error-bare", Stage::Api, "503 with a line of text"),
    (Fault::Html, "html", Stage::Api, "200 with HTML instead of JSON"),
    (Fault::Redirect, "redirect", Stage::Api, "302 to another host"),
    (Fault::Garbage, "garbage", Stage::Api, "200 with random bytes that are not UTF-8, called JSON"),
    (Fault::NotFound, "not-found", Stage::Api, "404 of the gateway"),
    (Fault::UnauthorizedCpcode, "unauthorized-cpcode", Stage::Answer, "403 for the CP code, or one of them"),
    (Fault::Failure, "failure", Stage::Answer, "200 with executionStatus FAILURE and no result"),
    (Fault::MissingResult, "missing-result", Stage::Answer, "200 and SUCCESS without a result"),
    (Fault::EdgeOnly, "edge-only", Stage::Answer, "the origin's members are missing"),
    (Fault::OriginOnly, "origin-only", Stage::Answer, "the edge's members are missing"),
    (Fault::StatusZero, "status-zero", Stage::Answer, "a fifth of the hits has status 0"),
    (Fault::IntegerPercentages, "integer-percentages", Stage::Answer, "percentages are integers: 2"),
    (Fault::FloatPercentages, "float-percentages", Stage::Answer, "whole percentages are written as 2.0"),
    (Fault::Empty, "empty", Stage::Answer, "no hits, no rows, no items"),
    (Fault::Negative, "negative", Stage::Answer, "hits are negative"),
    (Fault::DuplicateStatus, "duplicate-status", Stage::Answer, "the first status code comes twice"),
    (Fault::ErrorBurst, "error-burst", Stage::Answer, "30 % of the hits are 5xx"),
    (Fault::MissingColumn, "missing-column", Stage::Answer, "the last metric is missing in all rows"),
    (Fault::ExtraColumn, "extra-column", Stage::Answer, "all rows have a member that nobody asked for"),
    (Fault::StringNumbers, "string-numbers", Stage::Answer, "all numbers in rows are strings"),
    (Fault::WrongType, "wrong-type", Stage::Answer, "a metric is an object or a text in every seventh row"),
    (Fault::Fractional, "fractional", Stage::Answer, "a sum ends in .5 in every seventh row"),
    (
        Fault::HugeValue,
        "huge-value",
        Stage::Answer,
        "a metric is 1e300 or 99999999999999999999 in every seventh row",
    ),
    (Fault::DuplicateRow, "duplicate-row", Stage::Answer, "every seventh row comes twice"),
    (
        Fault::ConflictingRow,
        "conflicting-row",
        Stage::Answer,
        "every seventh row comes again with another number",
    ),
    (Fault::OutOfRange, "out-of-range", Stage::Answer, "rows of times before and after those asked for"),
    (Fault::ForeignCpcode, "foreign-cpcode", Stage::Answer, "rows of CP code 999999999"),
    (Fault::MoreRows, "more-rows", Stage::Answer, "half of the rows, and hasMoreRows"),
    (Fault::QueryCost, "query-cost", Stage::Answer, "422, whatever the query costs"),
    (Fault::MalformedItems, "malformed-items", Stage::Answer, "every second CP code in the list has no id"),
    (Fault::Truncated, "truncated", Stage::Transport, "a well-formed HTTP answer whose body is cut in half"),
    (Fault::CutOff, "cut-off", Stage::Transport, "the connection closes in the middle of the body"),
    (Fault::SlowDrip, "slow-drip", Stage::Transport, "the headers at once, then one byte a second"),
    (Fault::Huge, "huge", Stage::Transport, "the JSON is blown up to more than 8 MiB and stays valid"),
];

impl Fault {
    /// Every fault, in the order of the table.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|&(fault, ..)| fault)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    pub(super) fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    pub(super) fn stage(self) -> Stage {
        TABLE[self as usize].2
    }

    pub(super) fn about(self) -> &'static str {
        TABLE[self as usize].3
    }
}

/// Which requests a fault strikes: those that fit every member that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    pub(super) client: Option<String>,
    pub(super) api: Option<String>,
    pub(super) cpcode: Option<u64>,
    pub(super) delivery: Option<String>,
    /// How many more times; without it, until it is switched off.
    pub(super) times: Option<u64>,
}

impl Scope {
    fn fits(&self, request: &Struck<'_>) -> bool {
        let text = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        text(&self.client, request.client)
            && text(&self.api, request.api)
            && self.cpcode.is_none_or(|cpcode| request.subject.cpcodes.contains(&cpcode))
            && text(&self.delivery, request.subject.delivery.as_deref())
    }
}

/// A request as scopes see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Struck<'a> {
    pub(super) call: &'a Call,
    pub(super) client: Option<&'a str>,
    pub(super) api: Option<&'static str>,
    pub(super) subject: &'a Subject,
}

/// A fault that is switched on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Active {
    #[serde(serialize_with = "by_name", rename = "name")]
    fault: Fault,
    #[serde(flatten)]
    scope: Scope,
    /// How often it struck.
    applied: u64,
}

fn by_name<S: serde::Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(fault.name())
}

/// The faults that an API commits in one answer, each with the CP code of its scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Strikes(Vec<(Fault, Option<u64>)>);

impl Strikes {
    pub(super) fn contains(&self, fault: &Fault) -> bool {
        self.0.iter().any(|(struck, _)| struck == fault)
    }

    /// The CP code that a fault is meant for, if it is for one.
    pub(super) fn cpcode(&self, fault: Fault) -> Option<u64> {
        self.0.iter().find(|(struck, _)| *struck == fault)?.1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fault> {
        self.0.iter().map(|&(fault, _)| fault)
    }
}

#[cfg(test)]
impl From<&[Fault]> for Strikes {
    fn from(faults: &[Fault]) -> Self {
        Self(faults.iter().map(|&fault| (fault, None)).collect())
    }
}

/// The faults that are switched on, in the order of the table; each at most once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Active>);

impl Faults {
    /// Switches a fault on, or gives it another scope.
    pub(super) fn set(&mut self, fault: Fault, scope: Scope) {
        self.remove(fault);
        self.0.push(Active { fault, scope, applied: 0 });
        self.0.sort_by_key(|active| active.fault as usize);
    }

    pub(super) fn remove(&mut self, fault: Fault) {
        self.0.retain(|active| active.fault != fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn active(&self) -> &[Active] {
        &self.0
    }

    /// The first fault of a stage that strikes this request.
    pub(super) fn take(&mut self, stage: Stage, request: &Struck<'_>) -> Option<Fault> {
        self.strike(request, 1, |fault| fault.stage() == stage).pop()
    }

    /// Every fault of [`Stage::Answer`] that strikes this request, out of those that its API knows.
    pub(super) fn take_all(&mut self, known: &[Fault], request: &Struck<'_>) -> Strikes {
        // One that strikes for the last time is forgotten, and its scope with it.
        let scopes: Vec<_> = self.0.iter().map(|active| (active.fault, active.scope.cpcode)).collect();
        let struck = self.strike(request, usize::MAX, |fault| known.contains(&fault));
        Strikes(scopes.into_iter().filter(|(fault, _)| struck.contains(fault)).collect())
    }

    fn strike(&mut self, request: &Struck<'_>, most: usize, wanted: impl Fn(Fault) -> bool) -> Vec<Fault> {
        let fitting = self.0.iter_mut().filter(|active| wanted(active.fault) && active.scope.fits(request));
        let struck = fitting
            .take(most)
            .map(|active| {
                active.applied += 1;
                active.scope.times = active.scope.times.map(|times| times.saturating_sub(1));
                active.fault
            })
            .collect();
        self.0.retain(|active| active.scope.times != Some(0));
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Stage, TABLE};

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_each_name_leads_back() {
        for (position, &(fault, name, ..)) in TABLE.iter().enumerate() {
            assert_eq!(fault as usize, position, "{name}");
            assert_eq!(Fault::named(fault.name()), Some(fault), "{name}");
        }
        assert_eq!(Fault::named("no-such-fault"), None);
    }

    #[test]
    fn every_fault_of_an_answer_is_known_to_some_api() {
        for fault in Fault::all().filter(|fault| fault.stage() == Stage::Answer) {
            let known = super::super::api::APIS.iter().any(|api| api.faults.contains(&fault));
            assert!(known, "{}", fault.name());
        }
    }
}
