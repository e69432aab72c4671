//! Makes Grafana dashboards, the bundled ones and whoever's else, ask a given Prometheus datasource.
//!
//! [`rewrite`] is a pure function of a JSON document. `context` knows what the document declares and judges what a
//! reference means, `hint` what its holder says, and `classic` and `v2` know where references stand in the two models of a
//! dashboard. [`files`] reads and writes, [`grafana`] imports over Grafana's HTTP API, [`bundled`] holds our own.

pub mod bundled;
mod classic;
mod context;
pub mod files;
pub mod grafana;
mod hint;
mod inputs;
mod v2;

use std::fmt;
use std::str::FromStr;

use serde_json::error::Category;
use serde_json::{Map, Value};

use context::Context;

/// The uid of a datasource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uid(String);

impl Uid {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for Uid {
    type Err = WrongUid;

    fn from_str(text: &str) -> Result<Self, WrongUid> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if plain && (1..=40).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(WrongUid) }
    }
}

/// What cannot be the uid of a datasource.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected the uid of a datasource, which is 1 to 40 letters, digits, - and _ \
     and stands in the address of its settings page in Grafana"
)]
pub struct WrongUid;

/// Why a file cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It ends too early.
    #[error("is incomplete JSON: it ends within a value, in line {0}")]
    Incomplete(usize),
    /// It is something else.
    #[error("is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// It is JSON.
    #[error("is not a dashboard: {0}")]
    NotADashboard(&'static str),
}

/// A dashboard that asks the datasource.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewritten {
    /// The whole document, in the order in which it was.
    pub document: Value,
    /// How many references changed.
    pub changes: usize,
}

/// Which model a dashboard follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Model {
    /// `panels`, or the older `rows`.
    Classic,
    /// `elements`, whose parts all have a `kind` and a `spec`.
    V2,
}

/// Reads a document that should be a dashboard.
///
/// # Errors
///
/// When it is no JSON, or no dashboard.
pub fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Unreadable::Empty);
    }
    let mut document = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Eof => Unreadable::Incomplete(error.line()),
        Category::Io | Category::Syntax | Category::Data => Unreadable::NotJson(error),
    })?;
    dashboard(&mut document)?;
    Ok(document)
}

/// Lets every reference to a Prometheus datasource in `document` mean `datasource`. Doing it twice changes nothing more.
///
/// # Errors
///
/// When the document is no dashboard.
pub fn rewrite(document: &Value, datasource: &Uid) -> Result<Rewritten, Unreadable> {
    let mut rewritten = document.clone();
    let (_, board) = dashboard(&mut rewritten)?;
    let inputs = inputs::take(board);
    // First of all, so that what is judged is the same the second time.
    inputs::resolve(&mut rewritten, &inputs, datasource);
    let (model, board) = dashboard(&mut rewritten)?;
    let context = Context::of(board, inputs, datasource);
    match model {
        Model::Classic => classic::dashboard(board, &context),
        Model::V2 => v2::dashboard(board, &context),
    }
    let changes = changes(document, &rewritten);
    Ok(Rewritten { document: rewritten, changes })
}

/// How many references differ.
fn changes(before: &Value, after: &Value) -> usize {
    match (before, after) {
        _ if before == after => 0,
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).map(|(before, after)| changes(before, after)).sum()
        }
        (Value::Array(before), Value::Array(after)) => before.len().abs_diff(after.len()),
        (Value::Object(before), Value::Object(after)) => {
            let member =
                |key: &str| (before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null));
            let differs = |key: &str| member(key).0 != member(key).1;
            // One reference, although its parts stand side by side.
            let parts: &[&str] = match () {
                () if differs("datasource") => &["datasource", "group", "labels"],
                () if differs("current") => &["current", "query", "pluginId"],
                () => &[],
            };
            let others = after.keys().chain(before.keys().filter(|key| !after.contains_key(*key)));
            let others = others.filter(|key| !parts.contains(&key.as_str()));
            let nothing = Value::Array(Vec::new());
            let changed = others.map(|key| match (before.get(key), after.get(key)) {
                (Some(inputs), None) => changes(inputs, &nothing),
                (before, after) => changes(before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null)),
            });
            changed.sum::<usize>() + usize::from(!parts.is_empty())
        }
        _ => 1,
    }
}

/// A document as text: indented by two spaces, with a final newline.
#[must_use]
pub fn render(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The dashboard itself: the document, or what an answer of the HTTP API or a resource wraps.
fn dashboard(document: &mut Value) -> Result<(Model, &mut Map<String, Value>), Unreadable> {
    let Value::Object(outer) = document else {
        return Err(Unreadable::NotADashboard("it is no JSON object"));
    };
    let wrapper = ["dashboard", "spec"].into_iter().find(|key| wraps(outer, key));
    let board = match wrapper {
        None => outer,
        Some(key) => match outer.get_mut(key) {
            Some(Value::Object(inner)) => inner,
            _ => return Err(Unreadable::NotADashboard("it wraps none")),
        },
    };
    let is_list = |key: &str| board.get(key).is_some_and(Value::is_array);
    let is_object = |key: &str| board.get(key).is_some_and(Value::is_object);
    let settings = is_object("templating") || is_object("annotations") || board.contains_key("schemaVersion");
    let titled = board.get("title").is_some_and(Value::is_string);
    if is_object("elements") && !is_list("panels") {
        Ok((Model::V2, board))
    } else if is_list("panels") || is_list("rows") || (titled && settings) {
        Ok((Model::Classic, board))
    } else {
        Err(Unreadable::NotADashboard("it has no panels, no rows and no elements"))
    }
}

/// Whether the dashboard stands under `key`: `dashboard` is the HTTP API's, `spec` is a resource's.
fn wraps(outer: &Map<String, Value>, key: &str) -> bool {
    let is_object = outer.get(key).is_some_and(Value::is_object);
    let own_parts = ["panels", "rows", "elements"].into_iter().any(|part| outer.contains_key(part));
    is_object && !own_parts
}

/// The object under `key`.
fn object_in<'a>(holder: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    holder.get_mut(key).and_then(Value::as_object_mut)
}

/// The objects in the list under `key`.
fn objects_in<'a>(
    holder: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = holder.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The text under `key`, if there is any.
fn text_in<'a>(holder: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    holder.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
