use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use serde_json::{Value, json};

use super::files::bundled;
use super::*;

const UID: &str = "prom-1";

fn uid() -> Uid {
    UID.parse().unwrap()
}

fn rewritten(document: &Value) -> Rewritten {
    rewrite(document, &uid()).unwrap()
}

#[test]
fn uids() {
    for good in ["a", "P1809F7CD0C75ACF3", "prom_1-2", &"x".repeat(40)] {
        assert_eq!(good.parse::<Uid>().unwrap().as_str(), good);
    }
    for bad in ["", " ", "a b", "${DS_PROMETHEUS}", "ü", "a/b", &"x".repeat(41)] {
        bad.parse::<Uid>().unwrap_err();
    }
}

#[test]
fn ours_are_dashboards_and_always_change() {
    for document in bundled().unwrap() {
        let Rewritten { document: json, changes } = rewritten(&document.json);
        assert!(changes > 0, "{}", document.name);
        assert!(!json.to_string().contains("${DS_"), "{}", document.name);
    }
}

#[test]
fn what_is_no_dashboard() {
    let fails = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(fails(""), "is empty");
    assert_eq!(fails("\u{feff} \n"), "is empty");
    assert_eq!(fails("{\n\"panels\": ["), "is incomplete JSON: it ends within a value, in line 2");
    assert_eq!(fails("a: b"), "is not JSON: expected value at line 1 column 1");
    assert_eq!(fails("[]"), "is not a dashboard: it is no JSON object");
    assert_eq!(fails("{}"), "is not a dashboard: it has no panels, no rows and no elements");
    assert_eq!(fails(&"[".repeat(1000)), "is not JSON: recursion limit exceeded at line 1 column 128");
    parse(b"\xef\xbb\xbf{\"panels\": []}").unwrap();
    parse(b"{\"title\": \"still empty\", \"schemaVersion\": 41}").unwrap();
}

#[test]
fn text_stays_as_it_is() {
    let text = "{\n  \"z\": 1.0,\n  \"panels\": [],\n  \"a\": \"ö \\\\ \\n\",\n  \"n\": 12345678901234567890.10e-400\n}\n";
    assert_eq!(render(&rewritten(&parse(text.as_bytes()).unwrap()).document), text);
}

#[test]
fn inputs_within_texts() {
    let inputs = json!([
        { "name": "DS_A", "type": "datasource", "pluginId": "prometheus" },
        { "name": "DS_B", "type": "datasource", "pluginId": "loki" },
    ]);
    let text = "${DS_A}${DS_A} ${DS_B} ${${DS_A}} ${DS_ $DS_A ${";
    let document = rewritten(&json!({ "__inputs": inputs, "panels": [], "x": [text] })).document;
    assert_eq!(document["x"][0], "prom-1prom-1 ${DS_B} ${prom-1} ${DS_ $DS_A ${");
    assert_eq!(document["__inputs"].as_array().unwrap().len(), 1);
}

#[test]
fn changes_are_counted_by_reference() {
    let panel = json!({ "datasource": { "type": "prometheus", "uid": "a" }, "targets": [{ "expr": "up", "datasource": null }] });
    assert_eq!(rewritten(&json!({ "panels": [panel, panel] })).changes, 4);
    let query = json!({ "kind": "DataQuery", "group": "", "labels": { "grafana.app/export-label": "x" }, "spec": { "expr": "up" } });
    let elements =
        json!({ "a": { "spec": { "data": { "spec": { "queries": [{ "spec": { "query": query } }] } } } } });
    assert_eq!(rewritten(&json!({ "elements": elements })).changes, 1);
}

/// Texts that mean something somewhere, and some that do not.
fn text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "prometheus",
        "Prometheus",
        "loki",
        "Loki",
        "",
        "default",
        "datasource",
        "query",
        "adhoc",
        "row",
        "logs",
        "-- Mixed --",
        "-- Grafana --",
        "__expr__",
        "${DS_A}",
        "$DS_A",
        "[[DS_A]]",
        "x${DS_A}y",
        "${DS_B}",
        "$ds",
        "${ds}",
        "${other}",
        "${DS_PROMETHEUS}",
        "DS_A",
        "DS_B",
        "ds",
        "other",
        "up",
        "{a=\"b\"} |= `x`",
        "label_values(up, a)",
        "DataQuery",
        "DatasourceVariable",
        UID,
        "grafana-amazonprometheus-datasource",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let key = select(vec![
        "type",
        "uid",
        "name",
        "datasource",
        "expr",
        "targets",
        "panels",
        "model",
        "spec",
        "group",
    ]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let members = vec((key.clone(), inner.clone()), 0..4);
        let object = members
            .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), object]
    })
}

/// An object with some of these members.
fn some(
    members: Vec<(&'static str, impl Strategy<Value = Value> + 'static)>,
) -> impl Strategy<Value = Value> {
    let members = members.into_iter().map(|(key, value)| {
        let value = value.boxed();
        prop_oneof![3 => value.prop_map(move |value| Some((key.to_owned(), value))), 1 => Just(None)].boxed()
    });
    members.collect::<Vec<_>>().prop_map(|members| members.into_iter().flatten().collect())
}

fn reference() -> impl Strategy<Value = Value> {
    let string = || text().prop_map(Value::from).boxed();
    prop_oneof![
        3 => some(vec![("type", string()), ("uid", string())]),
        3 => string(),
        1 => Just(Value::Null),
        1 => junk(),
    ]
}

fn asked() -> impl Strategy<Value = Value> {
    let string = || text().prop_map(Value::from).boxed();
    some(vec![
        ("refId", string()),
        ("datasource", reference().boxed()),
        ("expr", string()),
        ("rawSql", string()),
    ])
}

fn panel() -> impl Strategy<Value = Value> {
    let string = || text().prop_map(Value::from).boxed();
    let list =
        |inner: proptest::strategy::BoxedStrategy<Value>| vec(inner, 0..3).prop_map(Value::from).boxed();
    let plain = some(vec![
        ("type", string()),
        ("datasource", reference().boxed()),
        ("targets", list(asked().boxed())),
        ("options", junk().boxed()),
    ]);
    plain.prop_recursive(2, 6, 2, move |inner| {
        let model = some(vec![("model", inner.clone().boxed())]).boxed();
        some(vec![
            ("datasource", reference().boxed()),
            ("panels", vec(inner, 0..3).prop_map(Value::from).boxed()),
            ("libraryPanel", model),
        ])
    })
}

fn variable() -> impl Strategy<Value = Value> {
    let string = || text().prop_map(Value::from).boxed();
    let query = || prop_oneof![string(), junk().boxed()].boxed();
    let current = || some(vec![("text", junk().boxed()), ("value", junk().boxed())]).boxed();
    let spec = some(vec![
        ("name", string()),
        ("pluginId", string()),
        ("datasource", reference().boxed()),
        ("current", current()),
        ("query", data_query().boxed()),
    ]);
    prop_oneof![
        some(vec![
            ("name", string()),
            ("type", string()),
            ("query", query()),
            ("current", current()),
            ("datasource", reference().boxed()),
        ]),
        some(vec![
            ("kind", string()),
            ("group", string()),
            ("datasource", reference().boxed()),
            ("spec", spec.boxed())
        ]),
    ]
}

fn data_query() -> impl Strategy<Value = Value> {
    let string = || text().prop_map(Value::from).boxed();
    let name = some(vec![("name", string())]).boxed();
    let labels = some(vec![("grafana.app/export-label", string()), ("own", string())]).boxed();
    some(vec![
        ("kind", string()),
        ("group", string()),
        ("datasource", prop_oneof![name, junk().boxed()].boxed()),
        ("labels", labels),
        ("spec", asked().boxed()),
    ])
}

fn board() -> impl Strategy<Value = Value> {
    let list =
        |inner: proptest::strategy::BoxedStrategy<Value>| vec(inner, 0..4).prop_map(Value::from).boxed();
    let listed = |inner| some(vec![("list", list(inner))]).boxed();
    let inputs = json!([
        { "name": "DS_A", "type": "datasource", "pluginId": "prometheus" },
        { "name": "DS_B", "type": "datasource", "pluginId": "loki" },
    ]);
    let only = json!([inputs[0]]);
    let asking = some(vec![("query", data_query().boxed()), ("datasource", reference().boxed())]);
    let spec = some(vec![("spec", asking.boxed())]).boxed();
    let element = list(spec.clone())
        .prop_map(|queries| json!({ "spec": { "data": { "spec": { "queries": queries } } } }));
    let classic = some(vec![
        ("__inputs", prop_oneof![Just(only).boxed(), Just(inputs).boxed(), junk().boxed()].boxed()),
        ("__elements", list(some(vec![("model", panel().boxed())]).boxed())),
        ("annotations", listed(asked().boxed())),
        ("templating", listed(variable().boxed())),
        ("rows", list(some(vec![("panels", list(panel().boxed()))]).boxed())),
        ("links", junk().boxed()),
    ]);
    let classic = (classic, list(panel().boxed())).prop_map(|(mut board, panels)| {
        board["panels"] = panels;
        board
    });
    let v2 = some(vec![
        ("annotations", list(spec)),
        ("variables", list(variable().boxed())),
        ("links", junk().boxed()),
    ]);
    let v2 = (v2, vec(element, 0..3)).prop_map(|(mut board, elements)| {
        board["elements"] = elements.into_iter().enumerate().map(|(at, one)| (at.to_string(), one)).collect();
        board
    });
    prop_oneof![2 => classic, 1 => v2]
}

/// Whether `after` differs from `before` nowhere but where datasources are named; `path` is where they stand.
fn only_references(before: &Value, after: &Value, path: &mut Vec<String>) {
    if before == after {
        return;
    }
    const PLACES: [&str; 7] = ["datasource", "current", "group", "labels", "__inputs", "kind", "pluginId"];
    let is_place = path.last().is_some_and(|key| PLACES.contains(&key.as_str()));
    match (before, after) {
        _ if is_place => {}
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys());
            let common = |of: &Map<String, Value>, other: &Map<String, Value>| {
                of.keys().filter(|key| other.contains_key(*key)).cloned().collect::<Vec<_>>()
            };
            assert_eq!(common(before, after), common(after, before), "the order of the keys at {path:?}");
            for key in keys {
                path.push(key.clone());
                let member = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                only_references(&member(before), &member(after), path);
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                path.push(at.to_string());
                only_references(before, after, path);
                path.pop();
            }
        }
        (Value::String(before), Value::String(after)) => {
            let resolved = before.replace("${DS_A}", UID) == *after;
            let picker = path.last().is_some_and(|key| key == "query") && after == "prometheus";
            assert!(resolved || picker, "{before:?} became {after:?} at {path:?}");
        }
        _ => panic!("{before} became {after} at {path:?}"),
    }
}

proptest! {
    #[test]
    fn twice_is_once(board in board()) {
        let once = rewritten(&board);
        let twice = rewritten(&once.document);
        assert_eq!(once.document, twice.document);
        assert_eq!(render(&once.document), render(&twice.document));
        assert_eq!(twice.changes, 0);
    }

    #[test]
    fn nothing_else_changes(board in board()) {
        let Rewritten { document, changes } = rewritten(&board);
        only_references(&board, &document, &mut Vec::new());
        assert_eq!(changes == 0, board == document);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in vec(any::<u8>(), 0..64), document in junk()) {
        let _ = parse(&bytes);
        let _ = rewrite(&document, &uid());
    }
}
