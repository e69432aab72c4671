//! Why a poll gave no data: a closed set, so that each reason is a metric label with few values, has a
//! sentence for people, and says how far it reaches and when to ask again.

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Every request of this account to this API would fail alike: one in a while finds out whether it is over.
    Account,
    /// Whatever lies between here and Akamai, or Akamai as a whole: each request may fare otherwise, yet the failure is one.
    Path,
    /// What this request asked for.
    Target,
}

/// When to ask again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Before the next regular time: it may be over.
    Early,
    /// At the next regular time: the question was answered.
    Regular,
    /// Later and later: it was refused, and would be again.
    Late,
}

/// What belongs to a reason, in one place, so that none can be added without deciding all of it.
struct Facts {
    label: &'static str,
    scope: Scope,
    retry: Retry,
    advice: &'static str,
}

/// Why a poll gave no data.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// No whole answer in time.
    Timeout,
    /// The host name did not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// No connection came about.
    Connect,
    /// The connection ended within the exchange.
    Interrupted,
    /// Akamai does not accept the credentials.
    Auth,
    /// Akamai does not accept the request's time.
    ClockSkew,
    /// The API client lacks the grant for this API.
    GrantMissing,
    /// The API client may not see this object.
    Forbidden,
    /// Akamai does not know this object or path.
    NotFound,
    /// Akamai finds fault with the request.
    BadRequest,
    /// The API's limit is used up.
    RateLimited,
    /// The edge in front of the API refuses this address.
    IpBlocked,
    /// The answer points elsewhere; a signature binds host and path, so it is not followed.
    Redirected,
    /// Akamai failed.
    ServerError,
    /// A status that the API does not document.
    UnexpectedStatus,
    /// The answer is not what the API documents.
    Malformed,
    /// The answer is larger than anything the API gives.
    TooLarge,
    /// Akamai answered that collecting the sample failed.
    CollectionFailed,
    /// The answer is sound and holds no traffic.
    NoData,
    /// One query costs more than Akamai allows, and cannot be made smaller.
    TooCostly,
    /// There is no CP code to ask for.
    NoCpCodes,
    /// Akamai has switched the API off.
    Retired,
    /// What was counted cannot be saved, so it is not shown.
    State,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Timeout,
        Self::Dns,
        Self::Tls,
        Self::Connect,
        Self::Interrupted,
        Self::Auth,
        Self::ClockSkew,
        Self::GrantMissing,
        Self::Forbidden,
        Self::NotFound,
        Self::BadRequest,
        Self::RateLimited,
        Self::IpBlocked,
        Self::Redirected,
        Self::ServerError,
        Self::UnexpectedStatus,
        Self::Malformed,
        Self::TooLarge,
        Self::CollectionFailed,
        Self::NoData,
        Self::TooCostly,
        Self::NoCpCodes,
        Self::Retired,
        Self::State,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.facts().label
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.facts().advice
    }

    /// How far the failure reaches.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.facts().scope
    }

    /// When to ask again.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.facts().retry
    }

    #[expect(clippy::too_many_lines, reason = "a table, a row a reason")]
    const fn facts(self) -> Facts {
        use Retry::{Early, Late, Regular};
        use Scope::{Account, Path, Target};
        let (label, scope, retry, advice) = match self {
            Self::Timeout => ("timeout", Path, Early, "Akamai or the network is slow; it is tried again."),
            Self::Dns => {
                ("dns", Path, Early, "Check `host` in the .edgerc file and this machine's resolver.")
            }
            Self::Tls => (
                "tls",
                Path,
                Early,
                "Check the CA certificates of this machine (SSL_CERT_FILE) and any proxy in between.",
            ),
            Self::Connect => {
                ("connect", Path, Early, "Check the network, firewall and proxy between here and Akamai.")
            }
            Self::Interrupted => (
                "interrupted",
                Path,
                Early,
                "The network or Akamai dropped the connection; it is tried again.",
            ),
            Self::Auth => (
                "auth",
                Account,
                Early,
                "Check client_token, access_token and client_secret, and that the API client is active in Akamai Control Center.",
            ),
            Self::ClockSkew => (
                "clock_skew",
                Account,
                Early,
                "Synchronise this machine's clock (NTP): Akamai accepts 30 s at most.",
            ),
            Self::GrantMissing => (
                "grant_missing",
                Account,
                Early,
                "Give the API client READ-WRITE access to this API in Akamai Control Center (Identity & Access).",
            ),
            Self::Forbidden => (
                "forbidden",
                Target,
                Late,
                "Give the API client access to the group that holds it, or take it out of exporter.ini.",
            ),
            Self::NotFound => (
                "not_found",
                Target,
                Late,
                "Check the CP code or URL, and whether Akamai has retired the API.",
            ),
            Self::BadRequest => (
                "bad_request",
                Target,
                Late,
                "Check what the section in exporter.ini asks for: CP codes, URLs, delivery networks, dimensions, metrics.",
            ),
            Self::RateLimited => (
                "rate_limited",
                Path,
                Early,
                "Others may share this limit: lower rate_limit_share, poll less often, or ask Akamai for more.",
            ),
            Self::IpBlocked => (
                "ip_blocked",
                Account,
                Early,
                "Requests pause (block_pause); look for other heavy users of this address.",
            ),
            Self::Redirected => (
                "redirected",
                Path,
                Late,
                "Check `host` in the .edgerc file: the API itself never redirects here.",
            ),
            Self::ServerError => ("server_error", Path, Early, "Akamai's side failed; it is tried again."),
            Self::UnexpectedStatus => {
                ("unexpected_status", Path, Early, "Akamai's side answered oddly; it is tried again.")
            }
            Self::Malformed => {
                ("malformed", Path, Early, "The answer broke the API's own description; it is tried again.")
            }
            Self::TooLarge => (
                "too_large",
                Path,
                Early,
                "Something other than the API may be answering; check `host` and any proxy.",
            ),
            Self::CollectionFailed => (
                "collection_failed",
                Target,
                Early,
                "Akamai could not collect the sample; it is tried again.",
            ),
            Self::NoData => (
                "no_data",
                Target,
                Regular,
                "Right when there is no traffic; else check the CP codes and, for eStats, that the delivery network is the one in use.",
            ),
            Self::TooCostly => (
                "too_costly",
                Target,
                Late,
                "Ask for fewer CP codes, dimensions or metrics, or split the section in two.",
            ),
            Self::NoCpCodes => (
                "no_cpcodes",
                Target,
                Regular,
                "Check cpcodes, include and exclude, and what the API client may see in Akamai Control Center.",
            ),
            Self::Retired => {
                ("retired", Target, Late, "Take `api` out of the section, so that Reporting API v2 is asked.")
            }
            Self::State => {
                ("state", Path, Early, "Check the disk behind state_directory: space, permissions, health.")
            }
        };
        Facts { label, scope, retry, advice }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    #[test]
    fn labels_are_distinct_and_complete() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        let reasons: BTreeSet<_> = Reason::ALL.into_iter().collect();
        assert_eq!(reasons.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|reason| reason.advice().ends_with('.')));
    }
}
