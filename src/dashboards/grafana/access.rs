//! Where a Grafana is, and what opens it.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// Where a Grafana is.
#[derive(Clone, Debug)]
pub struct Address(pub(super) Url);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected an address such as https://grafana.example.com, with its path if there is one";
        let mut url = Url::parse(text).map_err(|_| EXPECTED)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a password has no place in an address; use --token-file");
        }
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_http || url.query().is_some() || url.fragment().is_some() {
            return Err(EXPECTED);
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// Reads the token of a service account.
///
/// # Errors
///
/// When the file cannot be read, or holds something else.
pub fn read_token(file: &Path) -> anyhow::Result<SecretString> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let text = SecretString::from(text);
    let token = text.expose_secret().trim();
    if token.is_empty() {
        bail!("{name} is empty; expected the token of a Grafana service account");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{name} holds more than a token");
    }
    Ok(SecretString::from(token))
}
