//! `__inputs`: what Grafana's import page asks for, and puts in the place of `${NAME}`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Uid, hint, text_in};

/// The inputs that stand for a datasource, and whether it is a Prometheus. Those are removed, with the list if nothing is left in it.
pub(super) fn take(board: &mut Map<String, Value>) -> HashMap<String, bool> {
    let mut found = HashMap::new();
    let Some(Value::Array(list)) = board.get_mut("__inputs") else { return found };
    let before = list.len();
    list.retain(|input| match declared(input) {
        Some((name, is_prometheus)) => {
            found.insert(name.to_owned(), is_prometheus);
            !is_prometheus
        }
        None => true,
    });
    if list.is_empty() && before > 0 {
        board.shift_remove("__inputs");
    }
    found
}

/// Name and kind of an input that stands for a datasource.
fn declared(input: &Value) -> Option<(&str, bool)> {
    let input = input.as_object().filter(|input| text_in(input, "type") == Some("datasource"))?;
    Some((text_in(input, "name")?, hint::is_prometheus(text_in(input, "pluginId")?)))
}

/// What still has to be asked for, by name.
pub(super) fn left(board: &Map<String, Value>) -> Vec<&str> {
    let list = board.get("__inputs").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|input| text_in(input.as_object()?, "name")).collect()
}

/// Resolves the inputs that are a Prometheus, in all texts: links name datasources too.
pub(super) fn resolve(document: &mut Value, inputs: &HashMap<String, bool>, datasource: &Uid) {
    let names = inputs.iter().filter(|(_, is_prometheus)| **is_prometheus).map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.collect();
    if !names.is_empty() {
        resolve_in(document, &names, datasource);
    }
}

fn resolve_in(value: &mut Value, names: &[&str], datasource: &Uid) {
    match value {
        Value::String(text) if text.contains("${") => *text = resolved(text, names, datasource),
        Value::Array(list) => list.iter_mut().for_each(|value| resolve_in(value, names, datasource)),
        Value::Object(members) => members.values_mut().for_each(|value| resolve_in(value, names, datasource)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `text` with each `${NAME}` resolved, from left to right.
fn resolved(text: &str, names: &[&str], datasource: &Uid) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (plain, mark) = rest.split_at(start);
        done.push_str(plain);
        let name = mark[2..].split('}').next().filter(|name| names.contains(name));
        let (replacement, length) = name.map_or(("${", 2), |name| (datasource.as_str(), name.len() + 3));
        done.push_str(replacement);
        // A mark without its end stays as it is.
        rest = mark.get(length..).unwrap_or_default();
    }
    done + rest
}
