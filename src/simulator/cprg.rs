//! CP codes with their names and products: CP codes and Reporting Groups, `GET /cprg/v1/cpcodes` and
//! `/cprg/v1/cpcodes/{id}` (techdocs cp-codes get-cpcodes).
//!
//! The whole list comes at once, there are no pages. Ids carry no prefixes such as `prd_` (techdocs cp-codes
//! id-prefixes); how Adaptive Media Delivery is spelt here is not documented, so it is the prefixed id without
//! its prefix. The rate limit is made up: Akamai's page has no number.

use axum::extract::Query;
use axum::http::header::ALLOW;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Call, Outcome, Subject};
use super::faults::{Fault, Strikes};
use super::limits::Allowance;
use super::noise::Noise;
use super::problem::{self, Answer};
use super::world::World;

/// The entry in [`super::api::APIS`].
pub(super) const API: Api = Api {
    name: "cprg",
    prefix: "/cprg/",
    per_minute: 60,
    cost: None,
    announce: Allowance::x_ratelimit,
    too_many,
    faults: &[Fault::Empty, Fault::MalformedItems],
    subject,
    answer,
};

const PATH: &str = "/cprg/v1/cpcodes";
const CONTRACTS: [&str; 2] = ["C-0N7RAC7", "C-1N7RAC8"];

/// Product ids with their names; the first is that of most CP codes.
const PRODUCTS: [(&str, &str, &str); 5] = [
    ("Adaptive_Media_Delivery", "Adaptive Media Delivery", "vod"),
    ("Site_Accel", "Ion Standard", "site"),
    ("Download_Delivery", "Download Delivery", "downloads"),
    ("Object_Delivery", "Object Delivery", "objects"),
    ("Fresca", "Ion Premium", "shop"),
];

/// The CP codes of the default account: name, and position of the product.
const KNOWN: [(u64, &str, usize); 5] = [
    (1_209_788, "vod-main", 0),
    (100_001, "live-events", 0),
    (100_002, "corporate-site", 1),
    (100_003, "radio", 0),
    (100_004, "app-downloads", 2),
];

fn subject(call: &Call) -> Subject {
    Subject { cpcodes: one(call.path()).into_iter().collect(), ..Subject::default() }
}

/// The CP code that a path is about.
fn one(path: &str) -> Option<u64> {
    path.strip_prefix(PATH)?.strip_prefix('/')?.parse().ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    contract_id: Option<String>,
    group_id: Option<String>,
    product_id: Option<String>,
    cpcode_name: Option<String>,
    #[serde(rename = "accountSwitchKey")]
    _account: Option<String>,
}

impl Wanted {
    fn fits(&self, item: &Value) -> bool {
        let is = |wanted: &Option<String>, found: &Value| match (wanted, found) {
            (None, _) => true,
            (Some(wanted), Value::String(found)) => wanted == found,
            (Some(wanted), found) => found.as_u64().is_some() && wanted.parse().ok() == found.as_u64(),
        };
        let any = |wanted: &Option<String>, list: &str, member: &str| {
            let mut items = item[list].as_array().into_iter().flatten();
            wanted.is_none() || items.any(|item| is(wanted, &item[member]))
        };
        is(&self.cpcode_name, &item["cpcodeName"])
            && is(&self.group_id, &item["accessGroup"]["groupId"])
            && any(&self.contract_id, "contracts", "contractId")
            && any(&self.product_id, "products", "productId")
    }
}

fn answer(world: &World<'_>, call: &Call, faults: &Strikes) -> Outcome {
    Outcome { took: world.options.latency / 10, ..decide(world, call, faults).into() }
}

fn decide(world: &World<'_>, call: &Call, faults: &Strikes) -> Answer {
    if call.method != Method::GET {
        let answer = error(StatusCode::METHOD_NOT_ALLOWED, "method.not.allowed", "Method not allowed", "");
        return problem::with(answer, ALLOW, "GET");
    }
    let Ok(Query(wanted)) = Query::<Wanted>::try_from_uri(&call.uri) else {
        let detail = "The query has an unknown or repeated parameter.";
        return error(StatusCode::BAD_REQUEST, "bad.request", "Bad request", detail);
    };
    if call.path() == PATH {
        return problem::json(StatusCode::OK, &json!({ "cpcodes": list(world, &wanted, faults) }));
    }
    let item = one(call.path()).filter(|&cpcode| world.visible(cpcode)).map(|cpcode| {
        let place = world.options.cpcodes.iter().filter(drawn).position(|other| other == cpcode);
        item(world.options.seed, cpcode, place)
    });
    match item {
        Some(item) => problem::json(StatusCode::OK, &item),
        None => error(StatusCode::NOT_FOUND, "not.found", "Not found", "There is no such CP code."),
    }
}

/// Whether a CP code's name and products are drawn by chance.
fn drawn(cpcode: &u64) -> bool {
    KNOWN.iter().all(|(known, ..)| known != cpcode)
}

fn list(world: &World<'_>, wanted: &Wanted, faults: &Strikes) -> Vec<Value> {
    if faults.contains(&Fault::Empty) {
        return Vec::new();
    }
    let mut places = 0..;
    let items = world.options.cpcodes.iter().filter_map(|cpcode| {
        let place = if drawn(&cpcode) { places.next() } else { None };
        world.visible(cpcode).then(|| item(world.options.seed, cpcode, place))
    });
    let mut items: Vec<Value> = items.filter(|item| wanted.fits(item)).collect();
    if faults.contains(&Fault::MalformedItems) {
        for item in items.iter_mut().step_by(2) {
            item.as_object_mut().map(|members| members.remove("cpcodeId"));
        }
    }
    items
}

/// One CP code; `place` is its position among those that are drawn.
fn item(seed: u64, cpcode: u64, place: Option<usize>) -> Value {
    let noise = Noise::new(seed).on("cprg").of(cpcode);
    let (name, products) = match KNOWN.iter().find(|(known, ..)| *known == cpcode) {
        Some(&(_, name, product)) => (name.to_owned(), vec![product]),
        None => {
            let product =
                if noise.chance(0.6) { 0 } else { 1 + noise.of(1).bits() as usize % (PRODUCTS.len() - 1) };
            // Some serve several products, which no report can tell apart.
            let second = (product + 1) % PRODUCTS.len();
            let several = noise.of(2).chance(0.1);
            let products = if several { vec![product, second] } else { vec![product] };
            (drawn_name(cpcode, PRODUCTS[product].2, place), products)
        }
    };
    let products: Vec<Value> = products
        .into_iter()
        .map(|product| json!({ "productId": PRODUCTS[product].0, "productName": PRODUCTS[product].1 }))
        .collect();
    let contract = CONTRACTS[usize::from(noise.of(3).chance(0.2))];
    let group = if noise.of(4).chance(0.15) { json!(null) } else { json!(15_225 + noise.of(5).bits() % 3) };
    let zone = "GMT 0 (Greenwich Mean Time)";
    json!({
        "cpcodeId": cpcode,
        "cpcodeName": name,
        "purgeable": true,
        "accountId": "A-CCT1234",
        "defaultTimezone": zone,
        "overrideTimezone": { "timezoneId": "0", "timezoneValue": zone },
        "type": if noise.of(6).chance(0.05) { "China" } else { "Regular" },
        "accessGroup": { "groupId": group, "contractId": contract },
        "contracts": [{ "contractId": contract, "status": "ongoing" }],
        "products": products,
    })
}

/// Names that people give, and at the start of the list three that only some do.
fn drawn_name(cpcode: u64, word: &str, place: Option<usize>) -> String {
    match place {
        Some(0) => format!("the \"old\" \\ {word} {cpcode}"),
        Some(1) => format!("f\u{fc}r {word} \u{65e5}\u{672c} {cpcode}"),
        Some(2) => String::new(),
        _ => format!("{word}-{cpcode}"),
    }
}

/// An error of this API (techdocs cp-codes 403): `details` is a list in Akamai's examples.
fn error(status: StatusCode, code: &str, title: &str, message: &str) -> Answer {
    let body = json!({
        "code": code,
        "title": title,
        "incidentId": format!("{:016x}", Noise::new(0).on(code).on(message).bits()),
        "details": [{ "code": code, "message": message }],
    });
    problem::problem(status, &body)
}

/// Not documented for this API, so worded as its other errors.
fn too_many(_: &Allowance) -> Answer {
    let message = "You have exceeded the number of requests allowed.";
    error(StatusCode::TOO_MANY_REQUESTS, "too.many.requests", "Too many requests", message)
}

#[cfg(test)]
mod tests;
