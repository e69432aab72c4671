//! What the sink proves itself with: read from a file for every request, so that a rotated secret is used at once.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// How the sink proves itself. No secret is in it, only where one is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Auth {
    /// Not at all.
    None,
    /// With a user name and the password in the file.
    Basic { username: String, file: PathBuf },
    /// With the token in the file.
    Bearer { file: PathBuf },
    /// With a header whose value is in the file.
    Header { name: HeaderName, file: PathBuf },
}

/// A header that proves who sends, and what of it must not be shown.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The header, whose value is marked as sensitive.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    secrets: Vec<SecretString>,
}

/// A shorter value of a URL's query is no token, and may well stand in a sentence for something else.
const SHORTEST_TOKEN: usize = 6;

impl Proof {
    /// Takes the URL's query for secret too: it may hold a token.
    pub(super) fn hide_query(&mut self, url: &Url) {
        let Some(query) = url.query().filter(|query| !query.is_empty()) else { return };
        self.secrets.push(query.into());
        // As it stands there, and as it is meant.
        let raw = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
        let values = raw.chain(url.query_pairs().map(|(_, value)| value.into_owned()));
        self.secrets.extend(values.filter(|value| value.len() >= SHORTEST_TOKEN).map(SecretString::from));
    }

    /// Takes the secrets out of a text that came from outside.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }
}

impl Auth {
    /// Reads the secret.
    ///
    /// # Errors
    ///
    /// A sentence that names the file and what is wrong with it; never what is in it.
    pub(super) fn read(&self) -> Result<Proof, String> {
        match self {
            Self::None => Ok(Proof::default()),
            Self::Basic { username, file } => {
                let password = secret(file)?;
                let pair = SecretString::from(format!("{username}:{}", password.expose_secret()));
                let encoded = SecretString::from(BASE64_STANDARD.encode(pair.expose_secret()));
                let value = format!("Basic {}", encoded.expose_secret());
                proof(AUTHORIZATION, &value, file, vec![encoded, password])
            }
            Self::Bearer { file } => {
                let token = secret(file)?;
                let value = format!("Bearer {}", token.expose_secret());
                proof(AUTHORIZATION, &value, file, vec![token])
            }
            Self::Header { name, file } => {
                let value = secret(file)?;
                let text = value.expose_secret().to_owned();
                proof(name.clone(), &text, file, vec![value])
            }
        }
    }

    /// Reads the secret where waiting for a disk holds up nobody.
    pub(super) async fn proof(&self) -> Result<Proof, String> {
        if *self == Self::None {
            return Ok(Proof::default());
        }
        let auth = self.clone();
        let read = tokio::task::spawn_blocking(move || auth.read()).await;
        read.unwrap_or_else(|_| Err("the reading of the secret was broken off".to_owned()))
    }
}

/// What is in `file`, without the newline that editors leave at the end.
fn secret(file: &Path) -> Result<SecretString, String> {
    let mut text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() {
        return Err(format!("{} is empty; expected a secret", file.display()));
    }
    Ok(text.into())
}

fn proof(name: HeaderName, value: &str, file: &Path, secrets: Vec<SecretString>) -> Result<Proof, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| format!("{} has a character that a header cannot have", file.display()))?;
    value.set_sensitive(true);
    Ok(Proof { header: Some((name, value)), secrets })
}
