//! Why a poll gave no data: a closed set, so that each reason is a metric label with few values, has a
//! sentence for people, and says how far it reaches.

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Every request of this account to this API would fail alike: ask again once, later.
    Account,
    /// Only what this request asked for.
    Target,
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
    /// There are no usable credentials on this side.
    Credentials,
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
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Timeout,
        Self::Dns,
        Self::Tls,
        Self::Connect,
        Self::Interrupted,
        Self::Credentials,
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
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::Credentials => "credentials",
            Self::Auth => "auth",
            Self::ClockSkew => "clock_skew",
            Self::GrantMissing => "grant_missing",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::IpBlocked => "ip_blocked",
            Self::Redirected => "redirected",
            Self::ServerError => "server_error",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::CollectionFailed => "collection_failed",
            Self::NoData => "no_data",
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Timeout => "Akamai or the network is slow; it is tried again.",
            Self::Dns => "Check `host` in the .edgerc file and this machine's resolver.",
            Self::Tls => {
                "Check the CA certificates of this machine (SSL_CERT_FILE) and any proxy in between."
            }
            Self::Connect => "Check the network, firewall and proxy between here and Akamai.",
            Self::Interrupted => "The network or Akamai dropped the connection; it is tried again.",
            Self::Credentials => "Mend the .edgerc file; it is read again when it changes.",
            Self::Auth => {
                "Check client_token, access_token and client_secret, and that the API client is active in Akamai Control Center."
            }
            Self::ClockSkew => "Synchronise this machine's clock (NTP): Akamai accepts 30 s at most.",
            Self::GrantMissing => {
                "Give the API client READ-WRITE access to this API in Akamai Control Center (Identity & Access)."
            }
            Self::Forbidden => {
                "Give the API client access to the group that holds it, or take it out of exporter.ini."
            }
            Self::NotFound => "Check the CP code or URL, and whether Akamai has retired the API.",
            Self::BadRequest => "Check the CP code, URL and delivery network in exporter.ini.",
            Self::RateLimited => {
                "Others may share this limit: lower rate_limit_share, poll less often, or ask Akamai for more."
            }
            Self::IpBlocked => "Requests pause for ten minutes; look for other heavy users of this address.",
            Self::Redirected => "Check `host` in the .edgerc file: the API itself never redirects here.",
            Self::ServerError => "Akamai's side failed; it is tried again.",
            Self::UnexpectedStatus => "Akamai's side answered oddly; it is tried again.",
            Self::Malformed => "The answer broke the API's own description; it is tried again.",
            Self::TooLarge => "Something other than the API may be answering; check `host` and any proxy.",
            Self::CollectionFailed => "Akamai could not collect the sample; it is tried again.",
            Self::NoData => {
                "Right when there is no traffic; else check that the delivery network is the one in use."
            }
        }
    }

    /// How far the failure reaches.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Credentials
            | Self::Auth
            | Self::ClockSkew
            | Self::GrantMissing
            | Self::RateLimited
            | Self::IpBlocked => Scope::Account,
            Self::Timeout
            | Self::Dns
            | Self::Tls
            | Self::Connect
            | Self::Interrupted
            | Self::Forbidden
            | Self::NotFound
            | Self::BadRequest
            | Self::Redirected
            | Self::ServerError
            | Self::UnexpectedStatus
            | Self::Malformed
            | Self::TooLarge
            | Self::CollectionFailed
            | Self::NoData => Scope::Target,
        }
    }

    /// Whether Akamai refused what was asked for, so that asking again soon would be refused again.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Forbidden | Self::NotFound | Self::BadRequest | Self::Redirected)
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
