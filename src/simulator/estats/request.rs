//! The request body, read strictly: what the documentation does not allow is refused, everything at once.

use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::simulator::traffic::{Network, Tier};

/// What the sample is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    CpCode(u64),
    Url { url: String, host: String },
}

/// A valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) delivery: Option<Network>,
    /// Only this side, instead of both.
    pub(super) only: Option<Tier>,
}

impl Request {
    /// The request as the answer repeats it.
    pub(super) fn echo(&self) -> Value {
        let mut echo = match &self.target {
            Target::CpCode(cpcode) => json!({ "cpCode": cpcode }),
            Target::Url { url, .. } => json!({ "url": url }),
        };
        if let Some(delivery) = self.delivery {
            echo["delivery"] = json!(delivery.name());
        }
        match self.only {
            Some(Tier::Edge) => echo["errorType"] = json!("EDGE_ERRORS"),
            Some(Tier::Origin) => echo["errorType"] = json!("ORIGIN_ERRORS"),
            None => {}
        }
        echo
    }
}

/// One thing that is wrong. `field.conflict` is Akamai's; the other types are named after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    kind: &'static str,
    title: &'static str,
    detail: String,
    pub(super) field: String,
}

impl Invalid {
    fn value(field: &str, detail: &str) -> Self {
        let (kind, title) = ("field.invalid", "Invalid value.");
        Self { kind, title, detail: detail.to_owned(), field: field.to_owned() }
    }

    /// The error as the answer shows it.
    pub(super) fn json(&self) -> Value {
        json!({ "type": self.kind, "title": self.title, "detail": self.detail, "requestField": self.field })
    }
}

/// Reads a body.
pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Request, Vec<Invalid>> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(vec![Invalid::value("Content-Type", "The request body must be application/json.")]);
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err(vec![Invalid::value("body", "The request body must be a JSON object.")]);
    };
    let mut errors = unknown(&members);
    let target = target(&members, &mut errors);
    let delivery = choice(&members, "delivery", &Network::ALL.map(|n| (n.name(), n)), &mut errors);
    let sides = [("EDGE_ERRORS", Tier::Edge), ("ORIGIN_ERRORS", Tier::Origin)];
    let only = choice(&members, "errorType", &sides, &mut errors);
    match target {
        Some(target) if errors.is_empty() => Ok(Request { target, delivery, only }),
        _ => Err(errors),
    }
}

fn unknown(members: &Map<String, Value>) -> Vec<Invalid> {
    let known = ["cpCode", "url", "delivery", "errorType"];
    members
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| Invalid {
            kind: "field.unknown",
            title: "Unknown field.",
            detail: format!("The field must be one of {}.", known.join(", ")),
            field: name.clone(),
        })
        .collect()
}

/// Exactly one of `cpCode` and `url`.
fn target(members: &Map<String, Value>, errors: &mut Vec<Invalid>) -> Option<Target> {
    match (members.get("cpCode"), members.get("url")) {
        (Some(_), Some(_)) => errors.push(Invalid {
            kind: "field.conflict",
            title: "Conflicting values.",
            detail: "Provide either cpCode or url, not both.".to_owned(),
            field: "cpCode".to_owned(),
        }),
        (None, None) => errors.push(Invalid {
            kind: "field.required",
            title: "Missing value.",
            detail: "Provide either cpCode or url.".to_owned(),
            field: "cpCode".to_owned(),
        }),
        (Some(cpcode), None) => match cpcode.as_u64() {
            Some(cpcode) => return Some(Target::CpCode(cpcode)),
            None => errors.push(Invalid::value("cpCode", "The CP code must be an integer, 0 or more.")),
        },
        (None, Some(url)) => match url.as_str().and_then(|url| Some((url, host(url)?))) {
            Some((url, host)) => return Some(Target::Url { url: url.to_owned(), host }),
            None => errors.push(Invalid::value("url", "The URL must be fully qualified, http or https.")),
        },
    }
    None
}

/// The host of an absolute http(s) URL.
fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    matches!(uri.scheme_str()?, "http" | "https").then_some(())?;
    let host = uri.host()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

fn choice<T: Copy>(
    members: &Map<String, Value>,
    field: &str,
    values: &[(&str, T)],
    errors: &mut Vec<Invalid>,
) -> Option<T> {
    let given = members.get(field)?;
    let found = values.iter().find(|(name, _)| given.as_str() == Some(name)).map(|&(_, value)| value);
    if found.is_none() {
        let names: Vec<&str> = values.iter().map(|&(name, _)| name).collect();
        errors.push(Invalid::value(field, &format!("The value must be one of {}.", names.join(", "))));
    }
    found
}
