//! What a dashboard declares, and what its references therefore mean.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::hint::{self, Hint};
use super::{Uid, object_in, text_in};

/// What a reference means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// A Prometheus datasource: it is to be replaced.
    Prometheus,
    /// Whichever Prometheus datasource is picked: it stays, and the picker points to ours.
    Picked,
    /// A datasource for each query.
    Mixed,
    /// Something else.
    Other,
    /// It cannot be told.
    Unclear,
}

/// What a dashboard says as a whole.
#[derive(Debug)]
pub(super) struct Context<'a> {
    uid: &'a str,
    /// `__inputs` that stand for a datasource, and whether it is a Prometheus.
    inputs: HashMap<String, bool>,
    /// Template variables, and whether they pick a Prometheus.
    variables: HashMap<String, bool>,
    /// Names and uids of datasources of other types, in small letters.
    others: HashSet<String>,
}

impl<'a> Context<'a> {
    pub(super) fn of(board: &mut Map<String, Value>, inputs: HashMap<String, bool>, uid: &'a Uid) -> Self {
        let (variables, mut named) = (HashMap::new(), HashSet::new());
        board.values().for_each(|value| others(value, &mut named));
        named.retain(|name| variable(name).is_none());
        let mut context = Self { uid: uid.as_str(), inputs, variables, others: named };
        super::classic::variables(board, &mut |variable| context.declare(variable, "query"));
        super::v2::variables(board, &mut |variable| {
            if let Some(spec) = object_in(variable, "spec") {
                context.declare(spec, "pluginId");
            }
        });
        context
    }

    /// A variable picks a Prometheus if it is said to under `key`; all others are none of ours, yet they are declared.
    fn declare(&mut self, variable: &Map<String, Value>, key: &str) {
        if let Some(name) = text_in(variable, "name") {
            let is_picker = key == "pluginId" || text_in(variable, "type") == Some("datasource");
            let picks = is_picker && text_in(variable, key).is_some_and(hint::is_prometheus);
            self.variables.insert(name.to_owned(), picks);
        }
    }

    /// What `reference` means where the holder lets it be taken for `hint`.
    pub(super) fn meaning(&self, reference: &Value, hint: Hint) -> Meaning {
        match reference {
            Value::Null => default(hint),
            Value::String(name) => self.meaning_of_name(name, hint),
            Value::Object(members) => {
                self.meaning_of(text_in(members, "type"), text_in(members, "uid"), hint)
            }
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => Meaning::Other,
        }
    }

    /// What a reference by type and uid means.
    pub(super) fn meaning_of(&self, kind: Option<&str>, uid: Option<&str>, hint: Hint) -> Meaning {
        // A Prometheus may have any uid, even one that stands for something else elsewhere.
        let is_named = kind.is_some_and(hint::is_prometheus);
        if let Some(uid) = uid.filter(|uid| !is_named || uid.starts_with("-") || uid.starts_with("__")) {
            if hint::is_mixed(uid) {
                return Meaning::Mixed;
            }
            if hint::is_special(uid) {
                return Meaning::Other;
            }
            if self.input(uid) == Some(true) {
                return Meaning::Prometheus;
            }
        }
        match (kind, uid) {
            (Some(kind), _) if !hint::is_prometheus(kind) => Meaning::Other,
            (Some(_), Some(uid)) => self.declared(uid).unwrap_or(Meaning::Prometheus),
            (Some(_), None) => Meaning::Prometheus,
            (None, Some(uid)) => self.meaning_of_name(uid, hint),
            (None, None) => default(hint),
        }
    }

    fn meaning_of_name(&self, name: &str, hint: Hint) -> Meaning {
        let name = name.trim();
        if name == self.uid {
            return Meaning::Prometheus;
        }
        if name.is_empty() || name == "default" {
            return default(hint);
        }
        if hint::is_mixed(name) {
            return Meaning::Mixed;
        }
        if hint::is_special(name) {
            return Meaning::Other;
        }
        if let Some(meaning) = self.declared(name) {
            return meaning;
        }
        let says = hint::of_name(name);
        if self.others.contains(&name.to_lowercase()) {
            return Meaning::Other;
        }
        match (variable(name), says, hint) {
            // Loki is asked with `expr` too, so its name counts more than its query.
            (_, Hint::Other, Hint::Other | Hint::None) => Meaning::Other,
            (_, Hint::Other, Hint::Prometheus) if hint::is_logs(name) => Meaning::Other,
            (_, Hint::Prometheus, _) | (_, _, Hint::Prometheus) => Meaning::Prometheus,
            (_, Hint::None, Hint::Other) => Meaning::Other,
            (Some(_), Hint::None, Hint::None) => Meaning::Unclear,
            (None, Hint::None, Hint::None) => Meaning::Prometheus,
        }
    }

    /// What the input or the variable means that `name` refers to, if it is declared.
    fn declared(&self, name: &str) -> Option<Meaning> {
        if let Some(is_prometheus) = self.input(name) {
            return Some(if is_prometheus { Meaning::Prometheus } else { Meaning::Other });
        }
        let picks = *self.variables.get(variable(name)?)?;
        Some(if picks { Meaning::Picked } else { Meaning::Other })
    }

    /// Whether the input that `name` refers to is a Prometheus.
    fn input(&self, name: &str) -> Option<bool> {
        let whole = name.strip_prefix("${").and_then(|name| name.strip_suffix('}'));
        whole.and_then(|name| self.inputs.get(name)).or_else(|| self.inputs.get(variable(name)?)).copied()
    }

    /// Judges the reference under `key`, a missing one as `null`, and replaces it if it is a Prometheus.
    pub(super) fn place(&self, holder: &mut Map<String, Value>, key: &str, hint: Hint) -> Meaning {
        let meaning = self.meaning(holder.get(key).unwrap_or(&Value::Null), hint);
        let reference = object_in(holder, key);
        match (meaning, reference) {
            (Meaning::Prometheus, Some(members)) => {
                set(members, "type", "prometheus");
                set(members, "uid", self.uid);
            }
            (Meaning::Prometheus, None) => {
                holder.insert(key.to_owned(), json!({ "type": "prometheus", "uid": self.uid }));
            }
            (Meaning::Picked, Some(members)) if members.contains_key("type") => {
                set(members, "type", "prometheus");
            }
            (Meaning::Picked | Meaning::Mixed | Meaning::Other | Meaning::Unclear, _) => {}
        }
        meaning
    }

    /// Lets a variable that picks a Prometheus, by what stands under `key`, point to ours.
    pub(super) fn pick(&self, variable: &mut Map<String, Value>, key: &str) {
        if !text_in(variable, key).is_some_and(hint::is_prometheus) {
            return;
        }
        set(variable, key, "prometheus");
        if !variable.get("current").is_some_and(Value::is_object) {
            variable.insert("current".to_owned(), json!({}));
        }
        if let Some(current) = object_in(variable, "current") {
            let is_list = ["text", "value"].iter().any(|key| current.get(*key).is_some_and(Value::is_array));
            let uid = if is_list { json!([self.uid]) } else { json!(self.uid) };
            current.insert("text".to_owned(), uid.clone());
            current.insert("value".to_owned(), uid);
        }
    }

    /// Our uid.
    pub(super) fn uid(&self) -> &'a str {
        self.uid
    }
}

/// Sets a member, where it is if it is there.
pub(super) fn set(members: &mut Map<String, Value>, key: &str, text: &str) {
    members.insert(key.to_owned(), Value::from(text));
}

/// The default datasource is what its holder asks.
fn default(hint: Hint) -> Meaning {
    if hint == Hint::Prometheus { Meaning::Prometheus } else { Meaning::Unclear }
}

/// The name of the variable that `text` consists of: `$name`, `${name}`, `${name:format}` or `[[name]]`.
fn variable(text: &str) -> Option<&str> {
    let between = |open, close| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let name = between("${", "}").or_else(|| between("[[", "]]")).or_else(|| text.strip_prefix('$'))?;
    let name = name.split(':').next().unwrap_or(name);
    let is_plain = !name.is_empty() && !name.contains(['$', '{', '}', '[', ']', ' ', '/']);
    is_plain.then_some(name)
}

/// Names and uids that `value` itself gives to datasources of other types, in small letters.
fn others(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| others(value, found)),
        Value::Object(members) => {
            let mut add = |kind: Option<&str>, names: &[Option<&str>]| {
                if kind.is_some_and(|kind| !hint::is_prometheus(kind)) {
                    found.extend(names.iter().flatten().map(|name| name.to_lowercase()));
                }
            };
            if text_in(members, "type") == Some("datasource") {
                // An entry of `__inputs` or of `__requires`.
                let kind = text_in(members, "pluginId").or(text_in(members, "id"));
                add(kind, &["id", "label", "name"].map(|key| text_in(members, key)));
            }
            if let Some(Value::Object(reference)) = members.get("datasource") {
                add(text_in(reference, "type"), &[text_in(reference, "uid")]);
            }
            members.values().for_each(|value| others(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
