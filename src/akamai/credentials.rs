//! What an API client proves itself with: read from `.edgerc` or `AKAMAI_*`, never printed.

mod edgerc;
mod environment;
mod store;

use std::fmt;

use secrecy::SecretString;

use super::redact::without;

pub use environment::Environment;
pub use store::{CredentialStore, Origin};

/// How much of a POST body the gateway hashes, unless `.edgerc` says otherwise.
const MAX_BODY: usize = 131_072;

/// Akamai's tokens and secrets are several times as long.
pub(super) const SHORTEST_SECRET: usize = 6;

/// One API client's credentials.
#[derive(Clone)]
pub struct Credentials {
    /// `http` only on loopback.
    scheme: &'static str,
    host: String,
    pub(super) client_token: SecretString,
    pub(super) client_secret: SecretString,
    pub(super) access_token: SecretString,
    pub(super) max_body: usize,
    account_key: Option<String>,
}

impl Credentials {
    /// Reads the section `section` of the text of an `.edgerc` file; `name` is what messages call the file.
    /// Beside the credentials come warnings.
    ///
    /// # Errors
    ///
    /// A sentence that names the missing section or fields, or what is wrong with one; never a value.
    pub fn from_edgerc(text: &[u8], section: &str, name: &str) -> Result<(Self, Vec<String>), String> {
        edgerc::read(text, section, name)
    }

    /// Builds them from the fields that `field` finds by name; `origin` is what messages call their source.
    fn from_fields(origin: &str, field: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let field = |name: &str| field(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let names = ["host", "client_token", "client_secret", "access_token"];
        let values = names.map(field);
        let missing: Vec<_> =
            names.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        let [Some(host), Some(client_token), Some(client_secret), Some(access_token)] = values else {
            return Err(format!("{origin} has no {}", missing.join(", no ")));
        };
        for (name, value) in names[1..].iter().zip([&client_token, &client_secret, &access_token]) {
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{origin}: {name} has a blank or another character that no token has"));
            }
        }
        let (scheme, host) = endpoint(&host).map_err(|message| format!("{origin}: host {message}"))?;
        let max_body = match field("max_body").map(|text| text.parse()) {
            None => MAX_BODY,
            Some(Ok(most)) => most,
            Some(Err(_)) => return Err(format!("{origin}: max_body is not a number of bytes")),
        };
        Ok(Self {
            scheme,
            host,
            client_token: client_token.into(),
            client_secret: client_secret.into(),
            access_token: access_token.into(),
            max_body,
            account_key: field("account_key"),
        })
    }

    /// Host, and port where it is not the usual one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `https`, or `http` on loopback.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether both are the same API client, which Akamai's limits are for.
    #[must_use]
    pub fn is_same_client(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.host == other.host && self.client_token.expose_secret() == other.client_token.expose_secret()
    }

    /// The account switch key from the same place as the rest.
    #[must_use]
    pub fn account_key(&self) -> Option<&str> {
        self.account_key.as_deref()
    }

    /// Takes every credential, and every signature made with one, out of a text that came from outside. What is shorter
    /// than any real one would only mangle it.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        use secrecy::ExposeSecret;
        [&self.client_secret, &self.client_token, &self.access_token]
            .iter()
            .map(|secret| secret.expose_secret())
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .fold(without_signatures(text), |text, secret| without(&text, secret))
    }
}

fn without_signatures(text: &str) -> String {
    let mut parts = text.split("signature=");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("signature=[redacted]");
        clean.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/=".contains(c)));
    }
    clean
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Scheme and host of what people write as a host: with scheme and slashes, or without.
fn endpoint(written: &str) -> Result<(&'static str, String), String> {
    let lower = written.to_ascii_lowercase();
    let (plain, host) = match (lower.strip_prefix("http://"), lower.strip_prefix("https://")) {
        (Some(host), _) => (true, host),
        (None, Some(host)) => (false, host),
        (None, None) => (false, lower.as_str()),
    };
    let host = host.trim_end_matches('/');
    let fault = || format!("`{host}` is no host name; expected one such as akab-xxxx.luna.akamaiapis.net");
    let parse = |scheme: &str| reqwest::Url::parse(&format!("{scheme}://{host}/")).map_err(|_| fault());
    let url = parse("https")?;
    let only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if host.is_empty() || !only_host || !url.username().is_empty() || url.password().is_some() {
        return Err(fault());
    }
    let loopback = match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(name) => name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    let scheme = if plain && loopback { "http" } else { "https" };
    // As the Host header will have it, since that is what is signed: without the usual port, in ASCII.
    let url = parse(scheme)?;
    let name = url.host_str().ok_or_else(fault)?;
    Ok((scheme, url.port().map_or(name.to_owned(), |port| format!("{name}:{port}"))))
}

#[cfg(test)]
mod tests;
