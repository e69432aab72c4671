//! What a section `[remote_write]` may say.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::{Certificate, Url};

use super::auth::Auth;
use super::client::Client;
use crate::ini::{Key, Reader, value};
use crate::sink::Options;

/// The keys of the section.
pub(super) static KEYS: [Key; 13] = [
    Key { name: "url", default: "" },
    Key { name: "username", default: "none" },
    Key { name: "password_file", default: "none" },
    Key { name: "bearer_token_file", default: "none" },
    Key { name: "header", default: "none" },
    Key { name: "header_file", default: "none" },
    Key { name: "headers", default: "none" },
    Key { name: "ca_file", default: "none: the system's certificates" },
    Key { name: "labels", default: "none" },
    Key { name: "timeout", default: "30s" },
    Key { name: "max_samples_per_request", default: "5000" },
    Key { name: "history", default: "none" },
    Key { name: "estats", default: "true" },
];

/// As far back as Akamai's reports go.
const LONGEST_HISTORY: TimeDelta = TimeDelta::days(92);

/// A receiver that takes longer for a request is asked with smaller ones; the driver waits but a little longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(100);

/// What a section says.
pub(super) struct Settings {
    pub(super) client: Client,
    /// The labels of every series of this sink, without those of `[exporter]`.
    pub(super) labels: Vec<(String, String)>,
    pub(super) most_samples: usize,
    pub(super) history: Option<TimeDelta>,
    /// Whether samples of a moment are sent, besides windows.
    pub(super) estats: bool,
}

/// Reads a section; nothing if a problem was reported.
pub(super) fn read(section: &mut Reader<'_>, options: &Options) -> Option<Settings> {
    if !section.has("url") {
        section.complain_of_section("has no url; expected one such as https://mimir.example.com/api/v1/push");
    }
    let url = section.get("url", url);
    let auth = auth(section);
    let headers = optional(section, "headers", headers);
    let authorities = optional(section, "ca_file", authorities);
    if section.has("ca_file") && url.as_ref().is_some_and(|url| url.scheme() == "http") {
        section.complain("ca_file", "is of no use with http; expected it beside a url with https");
        return None;
    }
    let labels = optional(section, "labels", |text| labels(text, options));
    let timeout = optional(section, "timeout", timeout);
    let most = optional(section, "max_samples_per_request", |text| value::whole(text, 1, 100_000));
    let history = optional(section, "history", history);
    let estats = optional(section, "estats", value::boolean);
    let client = Client {
        url: url?,
        auth: auth?,
        headers: headers?.unwrap_or_default(),
        authorities: authorities?.unwrap_or_default(),
        timeout: timeout?.unwrap_or(Duration::from_secs(30)),
        http: None,
    };
    let most_samples = most?.and_then(|most| usize::try_from(most).ok()).unwrap_or(5000);
    let labels = labels?.unwrap_or_default();
    Some(Settings { client, labels, most_samples, history: history?, estats: estats?.unwrap_or(true) })
}

/// The value of a key that may be absent; nothing at all if it is wrong, which was reported.
fn optional<T>(
    section: &mut Reader<'_>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<Option<T>> {
    if section.has(key) { section.get(key, parse).map(Some) } else { Some(None) }
}

/// Where to write to. Messages do not quote it: it may hold a password.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let expected = "expected one such as https://mimir.example.com/api/v1/push";
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}); {expected}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("is no URL of http or https; {expected}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password; use `username` and `password_file`".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment (#), which no receiver would see; take it out".to_owned());
    }
    Ok(url)
}

/// The one way to prove oneself, if any; nothing if a problem was reported.
fn auth(section: &mut Reader<'_>) -> Option<Auth> {
    if !has_pairs(section) {
        return None;
    }
    let ways = ["username", "bearer_token_file", "header"];
    let used: Vec<_> = ways.into_iter().filter(|key| section.has(key)).collect();
    if let [one, other, ..] = used[..] {
        section.complain(other, format!("stands beside `{one}`; expected one way to authenticate"));
        return None;
    }
    let (auth, key) = match used.first().copied() {
        None => return Some(Auth::None),
        Some("username") => {
            let (username, file) = (section.get("username", username), file(section, "password_file"));
            (Auth::Basic { username: username?, file: file? }, "password_file")
        }
        Some("header") => {
            let (name, file) = (section.get("header", header_name), file(section, "header_file"));
            (Auth::Header { name: name?, file: file? }, "header_file")
        }
        Some(key) => (Auth::Bearer { file: file(section, key)? }, key),
    };
    // Read once to tell mistakes early; for each request it is read anew.
    match auth.read() {
        Ok(_) => Some(auth),
        Err(message) => {
            section.complain(key, message);
            None
        }
    }
}

/// Whether what is of no use alone has its partner.
fn has_pairs(section: &mut Reader<'_>) -> bool {
    let mut has_all = true;
    for (one, other) in [("username", "password_file"), ("header", "header_file")] {
        for (key, partner) in [(one, other), (other, one)] {
            if section.has(key) && !section.has(partner) {
                section.complain(key, format!("needs `{partner}` beside it"));
                has_all = false;
            }
        }
    }
    has_all
}

fn file(section: &mut Reader<'_>, key: &str) -> Option<PathBuf> {
    section.get(key, |text| Ok(PathBuf::from(text)))
}

fn username(text: &str) -> Result<String, String> {
    match text.contains(':') {
        true => Err("has a colon, which ends a user name in this scheme; take it out".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// The name of a header that the protocol leaves free.
fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName =
        text.parse().map_err(|_| format!("`{text}` is no header's name; expected one such as X-Api-Key"))?;
    let taken = [
        CONTENT_TYPE,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        USER_AGENT,
        HOST,
        CONNECTION,
        TRANSFER_ENCODING,
        HeaderName::from_static("x-prometheus-remote-write-version"),
    ];
    match taken.contains(&name) {
        true => Err(format!("the header `{text}` is the protocol's; expected another one")),
        false => Ok(name),
    }
}

/// `Name=value` pairs between commas. Messages do not quote values: somebody may take them for secret.
fn headers(text: &str) -> Result<HeaderMap, String> {
    let list = value::list(text).map_err(|_| "is no list of headers; expected Name=value, Name=value")?;
    let mut headers = HeaderMap::new();
    for item in list {
        let (name, value) = item.split_once('=').ok_or("is no list of headers; expected Name=value")?;
        let name = header_name(name.trim())?;
        if matches!(name, AUTHORIZATION | PROXY_AUTHORIZATION) {
            return Err(format!(
                "the header `{name}` is secret; use `header` and `header_file`, or another way to authenticate"
            ));
        }
        let value = HeaderValue::from_str(value.trim())
            .map_err(|_| format!("the header `{name}` has a character that a header cannot have"))?;
        if headers.insert(&name, value).is_some() {
            return Err(format!("the header `{name}` stands there twice"));
        }
    }
    Ok(headers)
}

/// Certificates in a PEM file.
fn authorities(text: &str) -> Result<Vec<Certificate>, String> {
    let pem = fs::read(text).map_err(|error| format!("cannot read {text}: {error}"))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|_| format!("{text} is no PEM file"))?;
    match found.is_empty() {
        true => Err(format!("{text} has no certificate; expected PEM (-----BEGIN CERTIFICATE-----)")),
        false => Ok(found),
    }
}

/// Labels that no series has already.
fn labels(text: &str, options: &Options) -> Result<Vec<(String, String)>, String> {
    let labels = value::labels(text)?;
    for (name, _) in &labels {
        if options.labels.iter().any(|(known, _)| known == name) {
            return Err(format!(
                "the label `{name}` stands in `labels` of [exporter]; expected another name"
            ));
        }
        if ["account", "source"].contains(&name.as_str()) || options.taken.contains(name.as_str()) {
            return Err(format!("the label `{name}` stands on metrics already; expected another name"));
        }
    }
    Ok(labels)
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = value::duration(text)?;
    match timeout > LONGEST_TIMEOUT {
        true => Err(format!("`{text}` is out of range; expected one second to 100 seconds")),
        false => Ok(timeout),
    }
}

fn history(text: &str) -> Result<TimeDelta, String> {
    let history = TimeDelta::from_std(value::duration(text)?).unwrap_or(TimeDelta::MAX);
    match history > LONGEST_HISTORY {
        true => {
            Err(format!("`{text}` is out of range; expected at most 92d, as far as Akamai's reports go back"))
        }
        false => Ok(history),
    }
}
