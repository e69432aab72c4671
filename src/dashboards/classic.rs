//! Where references stand in the classic model: `panels`, or the older `rows`.

use serde_json::{Map, Value};

use super::context::{Context, Meaning};
use super::hint::{self, Hint};
use super::{object_in, objects_in, text_in};

/// Calls `each` with every template variable.
pub(super) fn variables(board: &mut Map<String, Value>, each: &mut dyn FnMut(&mut Map<String, Value>)) {
    let templating = object_in(board, "templating");
    templating.into_iter().flat_map(|templating| objects_in(templating, "list")).for_each(each);
}

/// Rewrites a whole dashboard.
pub(super) fn dashboard(board: &mut Map<String, Value>, context: &Context<'_>) {
    let annotations = object_in(board, "annotations");
    for annotation in annotations.into_iter().flat_map(|annotations| objects_in(annotations, "list")) {
        rewrite_annotation(annotation, context);
    }
    variables(board, &mut |variable| rewrite_variable(variable, context));
    panels(board, context);
    objects_in(board, "rows").for_each(|row| panels(row, context));
    library_panels(board, context);
}

/// Rewrites the library panels that an exported dashboard brings along, of either model.
pub(super) fn library_panels(board: &mut Map<String, Value>, context: &Context<'_>) {
    let elements: Vec<&mut Value> = match board.get_mut("__elements") {
        Some(Value::Object(members)) => members.values_mut().collect(),
        Some(Value::Array(list)) => list.iter_mut().collect(),
        _ => return,
    };
    for element in elements.into_iter().filter_map(Value::as_object_mut) {
        model(element, context);
    }
}

/// Rewrites the panel that a library panel holds.
pub(super) fn model(library_panel: &mut Map<String, Value>, context: &Context<'_>) {
    if let Some(model) = object_in(library_panel, "model") {
        panel(model, context);
    }
}

fn panels(holder: &mut Map<String, Value>, context: &Context<'_>) {
    objects_in(holder, "panels").for_each(|inner| panel(inner, context));
}

fn panel(panel: &mut Map<String, Value>, context: &Context<'_>) {
    // What a panel of this kind asks with `expr` is a log store.
    let is_logs = text_in(panel, "type") == Some("logs");
    let hint = Hint::of_all(objects_in(panel, "targets").map(|target| evidence(target, is_logs, context)));
    let meaning = context.place(panel, "datasource", hint);
    objects_in(panel, "targets").for_each(|target| rewrite_target(target, meaning, is_logs, context));
    if let Some(library_panel) = object_in(panel, "libraryPanel") {
        model(library_panel, context);
    }
    panels(panel, context);
}

/// What a target says of its panel's datasource.
fn evidence(target: &Map<String, Value>, is_logs: bool, context: &Context<'_>) -> Hint {
    let own = of_target(target, is_logs);
    let reference = target.get("datasource").unwrap_or(&Value::Null);
    let names_expression = |reference: &Value| match reference {
        Value::String(name) => name == "__expr__",
        reference => {
            ["type", "uid"].iter().any(|key| reference.get(key).is_some_and(|part| part == "__expr__"))
        }
    };
    if names_expression(reference) {
        // It computes with the others' results.
        return Hint::None;
    }
    match context.meaning(reference, own) {
        Meaning::Prometheus | Meaning::Picked => Hint::Prometheus,
        Meaning::Other => Hint::Other,
        Meaning::Mixed | Meaning::Unclear => own,
    }
}

fn of_target(target: &Map<String, Value>, is_logs: bool) -> Hint {
    match hint::of_query(target) {
        Hint::Prometheus if is_logs => Hint::Other,
        hint => hint,
    }
}

/// A target without a datasource of its own has its panel's.
fn rewrite_target(target: &mut Map<String, Value>, panel: Meaning, is_logs: bool, context: &Context<'_>) {
    let inherits = match (target.get("datasource"), panel) {
        (None | Some(Value::Null), Meaning::Other | Meaning::Picked) | (None, Meaning::Prometheus) => true,
        (None | Some(_), _) => false,
    };
    if !inherits {
        context.place(target, "datasource", of_target(target, is_logs));
    }
}

fn rewrite_annotation(annotation: &mut Map<String, Value>, context: &Context<'_>) {
    let target = object_in(annotation, "target").map_or(Hint::None, |target| hint::of_annotation(target));
    let hint = match hint::of_annotation(annotation) {
        Hint::None => target,
        own => own,
    };
    let meaning = context.place(annotation, "datasource", hint);
    if let Some(target) = object_in(annotation, "target").filter(|target| target.contains_key("datasource")) {
        rewrite_target(target, meaning, false, context);
    }
}

fn rewrite_variable(variable: &mut Map<String, Value>, context: &Context<'_>) {
    let hint = match text_in(variable, "type") {
        Some("datasource") => return context.pick(variable, "query"),
        Some("query") => variable.get("query").map_or(Hint::None, hint::of_variable_query),
        _ => Hint::None,
    };
    context.place(variable, "datasource", hint);
}
