//! Which CP codes a report is asked for, and what they are called.
//!
//! Names and products come from the CP code API ("List CP codes", `GET /cprg/v1/cpcodes`), which gives the whole list in one answer.
//! Its product ids are spelt without the prefix that other APIs have, and examples disagree: a CP code delivers media if
//! id or name of one of its products has both words, "adaptive" and "media".

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use wildmatch::WildMatch;

use crate::akamai::{Api, ApiError, ApiLimit, Permit, Query};
use crate::model::Reason;

/// The documentation has no figure; one request an hour is far below any.
pub(in crate::source) static LIMIT: ApiLimit = ApiLimit {
    name: "cprg",
    per_minute: 20,
    limit_header: "x-ratelimit-limit",
    remaining_header: "x-ratelimit-remaining",
    largest_answer: 64 << 20,
};

const PATH: &str = "/cprg/v1/cpcodes";

/// Which CP codes, as configured.
#[derive(Clone, Debug)]
pub(in crate::source) enum Selection {
    /// These.
    List(BTreeSet<u64>),
    /// All that Akamai lists and that fit.
    Auto(Filter),
}

/// Which of the listed CP codes.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Filter {
    /// Only those that deliver media.
    pub(in crate::source) is_media: bool,
    /// Only those whose number or name fits one of these, if there is one.
    pub(in crate::source) include: Vec<WildMatch>,
    /// But none whose number or name fits one of these.
    pub(in crate::source) exclude: Vec<WildMatch>,
}

impl Filter {
    pub(in crate::source) fn fits(&self, cpcode: &CpCode) -> bool {
        let number = cpcode.number.to_string();
        let matches = |pattern: &WildMatch| {
            // Names are for people, who do not mind case.
            pattern.matches(&number) || pattern.matches(&cpcode.name.to_lowercase())
        };
        (!self.is_media || cpcode.is_media)
            && (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

/// A CP code as Akamai lists it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::source) struct CpCode {
    pub(in crate::source) number: u64,
    pub(in crate::source) name: String,
    /// The names of its products.
    pub(in crate::source) product: String,
    pub(in crate::source) is_media: bool,
}

#[derive(Deserialize)]
struct Answer {
    cpcodes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    cpcode_id: u64,
    cpcode_name: Option<String>,
    #[serde(default)]
    products: Vec<Product>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    product_id: String,
    product_name: Option<String>,
}

impl Product {
    fn name(&self) -> &str {
        self.product_name.as_deref().unwrap_or(&self.product_id)
    }

    fn is_media(&self) -> bool {
        let text = format!("{} {}", self.product_id, self.name()).to_lowercase();
        text.contains("adaptive") && text.contains("media")
    }
}

/// Asks for the list.
pub(in crate::source) async fn list(api: &Api, permit: Permit) -> Result<BTreeMap<u64, CpCode>, ApiError> {
    let query = Query {
        method: Method::GET,
        path: PATH,
        query: &[],
        body: Vec::new(),
        cpcodes: [].as_slice().into(),
    };
    api.send(permit, query, parse).await
}

/// Reads the list. An item that cannot be understood costs only itself, unless all are such.
fn parse(body: &[u8]) -> Result<BTreeMap<u64, CpCode>, ApiError> {
    let malformed = |words: String| ApiError::new(Reason::Malformed, words);
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("the answer is no list of CP codes: {error}")))?;
    let listed = answer.cpcodes.len();
    let items = answer.cpcodes.into_iter().filter_map(|item| serde_json::from_value::<Item>(item).ok());
    let found: BTreeMap<_, _> = items.map(|item| (item.cpcode_id, cpcode(item))).collect();
    if listed > 0 && found.is_empty() {
        return Err(malformed("no item of the list of CP codes has a number and products".to_owned()));
    }
    Ok(found)
}

fn cpcode(item: Item) -> CpCode {
    let products: Vec<_> = item.products.iter().map(Product::name).collect();
    CpCode {
        number: item.cpcode_id,
        name: item.cpcode_name.unwrap_or_default(),
        product: products.join(", "),
        is_media: item.products.iter().any(Product::is_media),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"cpcodes":[
        {"cpcodeId":1,"cpcodeName":"VOD main","products":[{"productId":"Adaptive_Media_Delivery"}],"accessGroup":{"groupId":null}},
        {"cpcodeId":2,"cpcodeName":"site","products":[{"productId":"Site_Accel","productName":"Ion"},{"productId":"x","productName":"Adaptive Media Delivery"}]},
        {"cpcodeId":3,"products":[{"productId":"Site_Accel","productName":"Ion"}]},
        {"cpcodeName":"none"}]}"#;

    #[test]
    fn a_list_and_what_fits() {
        let list = parse(LIST.as_bytes()).unwrap();
        let product = |code| list[&code].product.as_str();
        assert_eq!(
            (product(1), product(2), product(3)),
            ("Adaptive_Media_Delivery", "Ion, Adaptive Media Delivery", "Ion")
        );
        let fitting = |filter: &Filter| -> Vec<u64> {
            list.values().filter(|code| filter.fits(code)).map(|code| code.number).collect()
        };
        let patterns = |texts: &[&str]| texts.iter().map(|text| WildMatch::new(text)).collect::<Vec<_>>();
        assert_eq!(fitting(&Filter::default()), [1, 2, 3]);
        assert_eq!(fitting(&Filter { is_media: true, ..Filter::default() }), [1, 2]);
        let vod = Filter { include: patterns(&["vod*", "3"]), ..Filter::default() };
        assert_eq!(fitting(&vod), [1, 3]);
        let but = Filter { exclude: patterns(&["*main"]), ..Filter::default() };
        assert_eq!(fitting(&but), [2, 3]);
    }

    #[test]
    fn what_is_no_list() {
        for body in ["", "[]", r#"{"cpcodes":{}}"#, r#"{"cpcodes":[{"cpcodeName":"none"},7]}"#] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().reason, Reason::Malformed, "{body}");
        }
        assert!(parse(br#"{"cpcodes":[]}"#).unwrap().is_empty());
    }
}
