//! An API client of Akamai's: who it is, for whom it acts, and how it behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::{CredentialStore, Credentials, SHORTEST_SECRET};
use super::redact::without;
use super::tap::Tap;
use super::transport::Transport;
use crate::clock::SharedClock;
use crate::telemetry::Telemetry;

/// How an account behaves towards Akamai.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// The share of each limit that is ours.
    pub share: f64,
    /// How long one request may take in all.
    pub timeout: Duration,
    /// How long the first pause after a refusal is.
    pub retry_pause: Duration,
    /// How long the pause after a block of this address is.
    pub block_pause: Duration,
}

/// An API client of Akamai's.
#[derive(Debug)]
pub struct Account {
    pub(super) name: String,
    pub(super) credentials: Arc<CredentialStore>,
    /// As in exporter.ini; the one beside the credentials counts only without it.
    pub(super) switch_key: SwitchKey,
    pub(super) manners: Manners,
    pub(super) clock: SharedClock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) transport: Transport,
    pub(super) tap: Tap,
}

/// Which account the API client acts for, where it can act for several.
#[derive(Clone, Default, Eq, PartialEq)]
pub enum SwitchKey {
    /// The one beside the credentials, if there is one.
    #[default]
    Inherited,
    /// None, whatever stands beside the credentials.
    Cleared,
    /// This one.
    Given(String),
}

/// Without the key, which says whose account it is.
impl fmt::Debug for SwitchKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Inherited => "Inherited",
            Self::Cleared => "Cleared",
            Self::Given(_) => "Given",
        })
    }
}

impl SwitchKey {
    /// Takes the key out of a text, in any spelling.
    pub(super) fn redact(&self, credentials: &Credentials, text: &str) -> String {
        let Some(key) = self.resolve(credentials).filter(|key| key.len() >= SHORTEST_SECRET) else {
            return text.to_owned();
        };
        without(text, key)
    }

    pub(super) fn resolve<'a>(&'a self, credentials: &'a Credentials) -> Option<&'a str> {
        match self {
            Self::Inherited => credentials.account_key(),
            Self::Cleared => None,
            Self::Given(key) => Some(key),
        }
    }
}

impl Account {
    /// An account called `name` that proves itself with `credentials`.
    #[must_use]
    pub fn new(
        name: &str,
        credentials: Arc<CredentialStore>,
        switch_key: SwitchKey,
        manners: Manners,
        clock: SharedClock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let (name, transport) = (name.to_owned(), Transport::default());
        let tap = Tap::default();
        Self { name, credentials, switch_key, manners, clock, telemetry, transport, tap }
    }

    /// The same account, whose exchanges go through `tap` too.
    #[must_use]
    pub fn with_tap(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// The value of the label `account`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The credentials.
    #[must_use]
    pub fn credentials(&self) -> &CredentialStore {
        &self.credentials
    }
}
