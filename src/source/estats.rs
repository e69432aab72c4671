//! eStats: the distribution of HTTP status codes at edge and origin, for CP codes and URLs.
//!
//! Akamai's Edge Diagnostics API ("Get error statistics", `POST /edge-diagnostics/v1/estats`) takes nine seconds' traffic out of
//! the last two minutes, for one CP code or URL on one delivery network. It is a sample: everything here is a gauge, and nothing
//! may be added up over time. Without `delivery` the API answers for whichever network was collected first, so that is always asked for.

mod answer;
mod families;
mod legacy;

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use super::{Kind, Occasion, Options, Poll, PollResult, Shares, Source};
use crate::akamai::{Api, ApiLimit, Permit, Query};
use crate::ini::{Key, Reader, value};
use crate::model::{LabelValue, Target};

/// The kind `[estats]`.
pub static KIND: Kind = Kind {
    name: "estats",
    keys: &KEYS,
    families: &families::ALL,
    shares: Some(Shares { ratio: &families::STATUS_RATIO, hits: &families::SAMPLE_HITS }),
    open,
};

static KEYS: [Key; 4] = [
    Key { name: "cpcodes", default: "none" },
    Key { name: "urls", default: "none" },
    Key { name: "delivery_networks", default: "STANDARD_TLS, ENHANCED_TLS" },
    Key { name: "error_type", default: "both tiers" },
];

/// "Rate limiting" in the Edge Diagnostics reference: error statistics are in the medium tier.
static LIMIT: ApiLimit = ApiLimit {
    name: "estats",
    per_minute: 40,
    limit_header: "x-ratelimit-limit",
    remaining_header: "x-ratelimit-remaining",
    // Akamai's are some kilobytes.
    largest_answer: 8 << 20,
};

const PATH: &str = "/edge-diagnostics/v1/estats";

const NETWORKS: [&str; 2] = ["STANDARD_TLS", "ENHANCED_TLS"];
const ERROR_TYPES: [&str; 2] = ["EDGE_ERRORS", "ORIGIN_ERRORS"];

/// What is measured.
#[derive(Clone, Debug)]
enum Object {
    CpCode(u64),
    Url(String),
}

/// One request: an object on a delivery network, with its labels' values.
#[derive(Debug)]
struct Question {
    object: Object,
    place: Place,
}

/// The values of the labels that tell where a sample was taken.
#[derive(Clone, Debug)]
struct Place {
    cpcode: LabelValue,
    url: LabelValue,
    delivery: LabelValue,
}

#[derive(Debug)]
struct Estats {
    questions: Vec<Question>,
    error_type: Option<&'static str>,
    options: Options,
}

fn open(section: &mut Reader<'_>, options: Options) -> Option<Arc<dyn Source>> {
    let cpcodes = section.get("cpcodes", value::cpcodes);
    let urls = section.get("urls", urls);
    let networks = section.get("delivery_networks", |text| choices(text, &NETWORKS));
    let error_type = section.get("error_type", |text| choice(text, &ERROR_TYPES));
    if !section.has("cpcodes") && !section.has("urls") {
        section.complain_of_section("has neither cpcodes nor urls; expected at least one of them");
        return None;
    }
    let cpcodes = cpcodes.unwrap_or_default().into_iter().map(Object::CpCode);
    let objects: Vec<_> = cpcodes.chain(urls.unwrap_or_default().into_iter().map(Object::Url)).collect();
    let networks = networks.unwrap_or_else(|| NETWORKS.to_vec());
    let questions = objects
        .iter()
        .flat_map(|object| networks.iter().map(|network| question(object.clone(), network)))
        .collect::<Vec<_>>();
    // A list that could not be read has been reported.
    (!questions.is_empty()).then(|| Arc::new(Estats { questions, error_type, options }) as Arc<dyn Source>)
}

fn question(object: Object, network: &str) -> Question {
    let (cpcode, url) = match &object {
        Object::CpCode(code) => (code.to_string(), String::new()),
        Object::Url(url) => (String::new(), url.clone()),
    };
    let place = Place { cpcode: cpcode.into(), url: url.into(), delivery: network.into() };
    Question { object, place }
}

fn urls(text: &str) -> Result<Vec<String>, String> {
    let urls = value::list(text)?;
    for url in &urls {
        let parsed = reqwest::Url::parse(url).ok();
        if parsed.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
            return Err(
                "a URL has a user name or password, which would become a label; take it out".to_owned()
            );
        }
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return Err(format!("`{url}` is no full URL; expected one such as https://www.example.com/"));
        }
    }
    Ok(urls)
}

fn choice(text: &str, valid: &[&'static str]) -> Result<&'static str, String> {
    let found = valid.iter().find(|word| word.eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| format!("`{text}` is not known; expected {}", valid.join(" or ")))
}

fn choices(text: &str, valid: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let mut chosen = Vec::new();
    for item in value::list(text)? {
        let found = choice(&item, valid)?;
        if chosen.contains(&found) {
            return Err(format!("`{found}` stands there twice"));
        }
        chosen.push(found);
    }
    Ok(chosen)
}

impl Question {
    fn target(&self) -> Target {
        let Place { cpcode, url, delivery } = self.place.clone();
        let object = match &self.object {
            Object::CpCode(code) => format!("CP code {code}"),
            Object::Url(url) => url.clone(),
        };
        Target {
            name: format!("{object} on {delivery}"),
            labels: vec![("cpcode", cpcode), ("url", url), ("delivery", delivery)],
        }
    }

    fn cpcodes(&self) -> Vec<u64> {
        match self.object {
            Object::CpCode(code) => vec![code],
            Object::Url(_) => Vec::new(),
        }
    }

    fn body(&self, error_type: Option<&str>) -> Vec<u8> {
        let mut body = match &self.object {
            Object::CpCode(code) => json!({ "cpCode": code }),
            Object::Url(url) => json!({ "url": url }),
        };
        body["delivery"] = json!(&*self.place.delivery);
        if let Some(error_type) = error_type {
            body["errorType"] = json!(error_type);
        }
        body.to_string().into_bytes()
    }
}

impl Source for Estats {
    fn targets(&self) -> Vec<Target> {
        self.questions.iter().map(Question::target).collect()
    }

    fn limits(&self) -> Vec<&'static ApiLimit> {
        vec![&LIMIT]
    }

    fn poll<'a>(&'a self, target: usize, occasion: Occasion<'a>) -> Poll<'a> {
        let Occasion { session, permit, .. } = occasion;
        Box::pin(async move { self.ask(&self.questions[target], session.api(), permit).await })
    }
}

impl Estats {
    async fn ask(&self, question: &Question, api: &Api, permit: Permit) -> PollResult {
        let body = question.body(self.error_type);
        let query =
            Query { method: Method::POST, path: PATH, query: &[], body, cpcodes: question.cpcodes().into() };
        let sample = api.send(permit, query, answer::parse).await?;
        let mut batch = families::batch(&question.place, &sample);
        if self.options.legacy_metrics {
            legacy::push(&mut batch, &question.place, &sample);
        }
        Ok(batch.shrunk())
    }
}

#[cfg(test)]
mod tests;
