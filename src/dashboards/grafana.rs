//! Imports dashboards over Grafana's HTTP API. The token goes to the address that was named, and nowhere else.

mod access;

use std::error::Error;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::files::Document;
use super::{Model, Uid, dashboard, inputs, rewrite, text_in};

pub use access::{Address, read_token};

/// A connection that takes longer does not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Grafana saves a dashboard within a second.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Larger answers are not read.
const LARGEST_ANSWER: usize = 16 << 20;
/// Folders in one answer.
const PAGE: usize = 1000;
/// What Grafana says of a failure is cut off here.
const LONGEST_MESSAGE: usize = 300;

/// A Grafana that takes dashboards.
#[derive(Debug)]
pub struct Grafana {
    client: Client,
    address: Url,
    token: SecretString,
}

/// What is asked, and what a token needs for it.
#[derive(Clone, Copy, Debug)]
struct Purpose<'a> {
    what: &'a str,
    needs: &'a str,
}

const FIND_DATASOURCE: Purpose<'_> = Purpose {
    what: "list the datasources",
    needs: "name the datasource with -d, or use a token with the permission datasources:read (role Admin)",
};
const FIND_FOLDER: Purpose<'_> =
    Purpose { what: "list the folders", needs: "it needs the permission folders:read (role Editor)" };
const MAKE_FOLDER: Purpose<'_> =
    Purpose { what: "create a folder", needs: "it needs the permission folders:create (role Editor)" };

/// What was done, a line each.
pub type Report<'a> = dyn FnMut(&str) + Send + 'a;

impl Grafana {
    /// The Grafana at `address`.
    ///
    /// # Errors
    ///
    /// When the system's certificates cannot be used.
    pub fn new(address: Address, token: SecretString) -> anyhow::Result<Self> {
        let builder = Client::builder()
            .user_agent(concat!("akamai-exporter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        let loopback = matches!(address.0.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let builder = if loopback { builder.no_proxy() } else { builder };
        // Without TLS, the system's certificates need not even be there.
        let builder = if address.0.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().context("cannot make an HTTP client")?;
        Ok(Self { client, address: address.0, token })
    }

    /// Imports all documents into the folder of this title.
    ///
    /// # Errors
    ///
    /// At the first that Grafana refuses, and before the first if one of them could not work.
    pub async fn import(
        &self,
        documents: &[Document],
        datasource: Option<&Uid>,
        folder: &str,
        report: &mut Report<'_>,
    ) -> anyhow::Result<()> {
        // Which datasource it will be does not matter to whether the others can be imported.
        let trial = datasource.cloned().unwrap_or_else(|| Uid("trial".to_owned()));
        for document in documents {
            importable(document, &trial)?;
        }
        let datasource = match datasource {
            Some(uid) => uid.clone(),
            None => self.datasource(report).await?,
        };
        let folder = self.folder(folder, report).await?;
        for document in documents {
            let name = &document.name;
            let board = importable(document, &datasource)?;
            let url = self.save(name, board, folder.as_deref()).await?;
            report(&format!("imported {name}: {url}"));
        }
        Ok(())
    }

    /// The only Prometheus datasource, or the default one.
    async fn datasource(&self, report: &mut Report<'_>) -> anyhow::Result<Uid> {
        let answer = self.call(Method::GET, "api/datasources", None, FIND_DATASOURCE).await?;
        let all = answer.as_array().into_iter().flatten().filter_map(Value::as_object);
        let all: Vec<_> = all.filter(|one| text_in(one, "type") == Some("prometheus")).collect();
        let name = |one: &Map<String, Value>| {
            format!(
                "{} ({})",
                text_in(one, "name").unwrap_or_default(),
                text_in(one, "uid").unwrap_or_default()
            )
        };
        let found = match all.as_slice() {
            [] => bail!(
                "Grafana at {} has no Prometheus datasource; add one, or name one with -d",
                self.address
            ),
            [only] => only,
            several => match several.iter().find(|one| one.get("isDefault") == Some(&Value::Bool(true))) {
                Some(default) => default,
                None => {
                    let names: Vec<_> = several.iter().map(|one| name(one)).collect();
                    bail!("several Prometheus datasources; name one with -d: {}", names.join(", "));
                }
            },
        };
        let uid = text_in(found, "uid").unwrap_or_default().parse().map_err(|_| {
            anyhow!("the datasource {} has no uid that could be used; name one with -d", name(found))
        })?;
        report(&format!("datasource {}", name(found)));
        Ok(uid)
    }

    /// The uid of the folder of this title, which is created if it is missing. The general folder has none.
    async fn folder(&self, title: &str, report: &mut Report<'_>) -> anyhow::Result<Option<String>> {
        if title == "General" {
            return Ok(None);
        }
        for page in 1.. {
            let path = format!("api/folders?limit={PAGE}&page={page}");
            let answer = self.call(Method::GET, &path, None, FIND_FOLDER).await?;
            let folders = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            let mut objects = folders.iter().filter_map(Value::as_object);
            let found = objects.find(|folder| text_in(folder, "title") == Some(title));
            if let Some(uid) = found.and_then(|folder| text_in(folder, "uid")) {
                return Ok(Some(uid.to_owned()));
            }
            if folders.len() < PAGE {
                break;
            }
        }
        let body = json!({ "title": title });
        let answer = self.call(Method::POST, "api/folders", Some(&body), MAKE_FOLDER).await?;
        let uid =
            answer.get("uid").and_then(Value::as_str).context("Grafana created a folder without a uid")?;
        report(&format!("created folder {title}"));
        Ok(Some(uid.to_owned()))
    }

    /// Saves a dashboard over the one of the same uid, and returns its address.
    async fn save(&self, name: &str, board: Value, folder: Option<&str>) -> anyhow::Result<String> {
        let message = concat!("imported by akamai-exporter ", env!("CARGO_PKG_VERSION"));
        let mut body = json!({ "dashboard": board, "overwrite": true, "message": message });
        if let (Some(folder), Some(members)) = (folder, body.as_object_mut()) {
            members.insert("folderUid".to_owned(), folder.into());
        }
        let what = format!("save {name}");
        let purpose =
            Purpose { what: &what, needs: "it needs the permission dashboards:create (role Editor)" };
        let answer = self.call(Method::POST, "api/dashboards/db", Some(&body), purpose).await?;
        let path = answer.get("url").and_then(Value::as_str).unwrap_or_default();
        Ok(self.address.join(path).unwrap_or_else(|_| self.address.clone()).into())
    }

    /// One exchange: JSON goes there, JSON comes back.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        purpose: Purpose<'_>,
    ) -> anyhow::Result<Value> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret()))?;
        bearer.set_sensitive(true);
        let request = self.client.request(method, self.address.join(path)?);
        let request = request.header(AUTHORIZATION, bearer).header(ACCEPT, "application/json");
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST_ANSWER {
                bail!("the answer of {} is larger than {} MiB", self.address, LARGEST_ANSWER >> 20);
            }
        }
        let answer = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer => Err(self.refusal(status, answer.as_ref(), location.as_deref(), purpose)),
        }
    }

    /// An answer that is none, in a sentence.
    fn refusal(
        &self,
        status: StatusCode,
        answer: Option<&Value>,
        location: Option<&str>,
        purpose: Purpose<'_>,
    ) -> anyhow::Error {
        let Purpose { what, needs } = purpose;
        let address = &self.address;
        let message = answer.and_then(|answer| answer.get("message")).and_then(Value::as_str);
        let message = message.map(|message| self.printable(message));
        match (status, message) {
            (StatusCode::UNAUTHORIZED, _) => {
                anyhow!(
                    "Grafana at {address} does not accept the token: it is wrong, expired or another Grafana's"
                )
            }
            (StatusCode::FORBIDDEN, _) => anyhow!("the token may not {what}: {needs}"),
            (status, _) if status.is_redirection() => {
                let to = self.printable(location.unwrap_or("elsewhere"));
                anyhow!("Grafana at {address} redirects to {to}; name its address as it is after that")
            }
            (status, _) if status.is_success() => {
                anyhow!("what answers at {address} is no Grafana: it sends no JSON")
            }
            (StatusCode::NOT_FOUND, None) => {
                anyhow!(
                    "there is no Grafana at {address} (404); does the address lack a path, such as /grafana?"
                )
            }
            (
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT | StatusCode::BAD_REQUEST,
                Some(message),
            ) => {
                anyhow!("Grafana refuses to {what}: {message}")
            }
            (status, Some(message)) => anyhow!("Grafana could not {what} ({}): {message}", status.as_u16()),
            (status, None) => anyhow!("Grafana could not {what}: it answers {}", status.as_u16()),
        }
    }

    /// What came from outside, without control characters, of bearable length, and never with the token in it.
    fn printable(&self, text: &str) -> String {
        let text = text.replace(self.token.expose_secret(), "[token]");
        text.chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .take(LONGEST_MESSAGE)
            .collect()
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let address = &self.address;
        if error.is_timeout() {
            return anyhow!("Grafana at {address} does not answer in time");
        }
        // The layers above repeat the innermost cause.
        let mut cause: &dyn Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        anyhow!("Grafana at {address} cannot be reached: {cause}")
    }
}

/// The dashboard of a document, rewritten, as the HTTP API takes it.
fn importable(document: &Document, datasource: &Uid) -> anyhow::Result<Value> {
    let Document { name, json, .. } = document;
    // A resource is named where the classic model has its uid.
    let uid = json.pointer("/metadata/name").and_then(Value::as_str);
    let mut rewritten = rewrite(json, datasource).with_context(|| name.clone())?.document;
    let (model, board) = dashboard(&mut rewritten).with_context(|| name.clone())?;
    if model == Model::V2 {
        bail!(
            "{name} is of the newer schema (v2), which this API does not take; write it to a file and import that"
        );
    }
    let left = inputs::left(board);
    if !left.is_empty() {
        bail!("{name} asks for {}, as only Grafana's import page can; import it there", left.join(", "));
    }
    let elements = board.get("__elements").and_then(Value::as_object);
    if elements.is_some_and(|elements| !elements.is_empty()) {
        bail!("{name} brings library panels, which only Grafana's import page creates; import it there");
    }
    board.insert("id".to_owned(), Value::Null);
    if let Some(uid) = uid.filter(|_| text_in(board, "uid").is_none()) {
        board.insert("uid".to_owned(), uid.into());
    }
    Ok(Value::Object(std::mem::take(board)))
}
