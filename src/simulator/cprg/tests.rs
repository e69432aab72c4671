use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};

use super::API;
use crate::simulator::Options;
use crate::simulator::api::Call;
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::world::World;

fn call(method: Method, target: &str) -> Call {
    Call {
        sequence: 1,
        now: Utc.with_ymd_and_hms(2026, 11, 20, 18, 0, 0).unwrap(),
        method,
        uri: target.parse().unwrap(),
        headers: HeaderMap::new(),
        host: "host".to_owned(),
        body: Bytes::new(),
        address: "127.0.0.1".to_owned(),
    }
}

fn ask(world: &World<'_>, target: &str, faults: &[Fault]) -> (u16, Value) {
    let answer = (API.answer)(world, &call(Method::GET, target), &Strikes::from(faults)).answer;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

fn list(world: &World<'_>, query: &str, faults: &[Fault]) -> Vec<Value> {
    let (status, body) = ask(world, &format!("/cprg/v1/cpcodes{query}"), faults);
    assert_eq!(status, 200, "{body}");
    body["cpcodes"].as_array().unwrap().clone()
}

#[test]
fn the_default_account_has_names_and_products() {
    let options = Options::default();
    let items = list(&World::of(&options), "", &[]);
    let told: Vec<(u64, &str, &str)> = items
        .iter()
        .map(|item| {
            let product = &item["products"][0]["productName"];
            (
                item["cpcodeId"].as_u64().unwrap(),
                item["cpcodeName"].as_str().unwrap(),
                product.as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1_209_788, "vod-main", "Adaptive Media Delivery"),
        (100_001, "live-events", "Adaptive Media Delivery"),
        (100_002, "corporate-site", "Ion Standard"),
        (100_003, "radio", "Adaptive Media Delivery"),
        (100_004, "app-downloads", "Download Delivery"),
    ];
    assert_eq!(told, expected);
    assert_eq!(items[0]["products"][0]["productId"], "Adaptive_Media_Delivery");
}

#[test]
fn a_large_account_has_all_kinds() {
    let options = Options { cpcodes: "100001-101000".parse().unwrap(), ..Options::default() };
    let items = list(&World::of(&options), "", &[]);
    assert_eq!(items.len(), 1_000);
    let count = |is: fn(&Value) -> bool| items.iter().filter(|item| is(item)).count();
    let media = count(|item| item["products"][0]["productId"] == "Adaptive_Media_Delivery");
    assert!((500..700).contains(&media), "{media}");
    assert!(count(|item| item["accessGroup"]["groupId"].is_null()) > 50);
    assert!(count(|item| item["products"].as_array().unwrap().len() > 1) > 30);
    assert_eq!(count(|item| item["cpcodeName"].as_str().unwrap().contains('"')), 1);
    assert_eq!(count(|item| !item["cpcodeName"].as_str().unwrap().is_ascii()), 1);
    assert_eq!(count(|item| item["cpcodeName"] == ""), 1);
    let names: std::collections::HashSet<_> =
        items.iter().map(|item| item["cpcodeName"].to_string()).collect();
    assert_eq!(names.len(), 1_000);
}

#[test]
fn the_list_can_be_narrowed() {
    let options = Options { cpcodes: "1209788,100001-100100".parse().unwrap(), ..Options::default() };
    let world = World::of(&options);
    let all = list(&world, "", &[]);
    for (query, is) in [
        ("?cpcodeName=radio", (|item| item["cpcodeId"] == 100_003) as fn(&Value) -> bool),
        ("?productId=Site_Accel", |item| item["products"].to_string().contains("Site_Accel")),
        ("?contractId=C-1N7RAC8", |item| item["contracts"][0]["contractId"] == "C-1N7RAC8"),
        ("?groupId=15225&accountSwitchKey=1-2:3", |item| item["accessGroup"]["groupId"] == 15_225),
    ] {
        let expected: Vec<Value> = all.iter().filter(|item| is(item)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query}");
        assert_eq!(list(&world, query, &[]), expected, "{query}");
    }
    assert_eq!(ask(&world, "/cprg/v1/cpcodes?page=2", &[]).0, 400);
}

#[test]
fn one_is_told_as_in_the_list_and_what_is_hidden_is_not() {
    let options = Options { cpcodes: "1209788,200001-200009".parse().unwrap(), ..Options::default() };
    let mut world = World::of(&options);
    for item in list(&world, "", &[]) {
        let target = format!("/cprg/v1/cpcodes/{}", item["cpcodeId"]);
        assert_eq!(ask(&world, &target, &[]), (200, item));
        assert_eq!((API.subject)(&call(Method::GET, &target)).cpcodes.len(), 1);
    }
    let before = list(&world, "", &[]);
    world.switches.unauthorized.insert(200_001);
    assert_eq!(list(&world, "", &[])[1..], before[2..], "the names of the others stay");
    for target in ["/cprg/v1/cpcodes/200001", "/cprg/v1/cpcodes/x", "/cprg/v1/reporting-groups"] {
        let (status, error) = ask(&world, target, &[]);
        assert_eq!((status, &error["code"]), (404, &json!("not.found")), "{target}");
    }
    let answer = (API.answer)(&world, &call(Method::POST, "/cprg/v1/cpcodes"), &Strikes::default()).answer;
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET".parse().unwrap()));
}

#[test]
fn faults() {
    let options = Options::default();
    let world = World::of(&options);
    assert_eq!(list(&world, "", &[Fault::Empty]), Vec::<Value>::new());
    let items = list(&world, "", &[Fault::MalformedItems]);
    let without: Vec<bool> = items.iter().map(|item| item.get("cpcodeId").is_none()).collect();
    assert_eq!(without, [true, false, true, false, true]);
}
