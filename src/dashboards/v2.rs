//! Where references stand in the newer model, whose parts have a `kind` and a `spec`.
//!
//! In `v2beta1` and later a query is a `DataQuery`: `group` is the type of the datasource and `datasource.name` its uid. In
//! `v2alpha1` the query's `kind` is the type, and `datasource` stands beside the query with `type` and `uid`.

use serde_json::{Map, Value, json};

use super::context::{Context, Meaning, set};
use super::hint::{self, Hint};
use super::{classic, object_in, objects_in, text_in};

/// Left by "Export for sharing externally" in the place of the datasource: Grafana's import page asks for it.
const EXPORT_LABEL: &str = "grafana.app/export-label";

/// Calls `each` with every variable, those of rows and tabs too.
pub(super) fn variables(board: &mut Map<String, Value>, each: &mut dyn FnMut(&mut Map<String, Value>)) {
    objects_in(board, "variables").for_each(&mut *each);
    let Some(layout) = object_in(board, "layout").and_then(|layout| object_in(layout, "spec")) else {
        return;
    };
    for part in ["rows", "tabs"] {
        for section in objects_in(layout, part).filter_map(|section| object_in(section, "spec")) {
            variables(section, each);
        }
    }
}

/// Rewrites a whole dashboard.
pub(super) fn dashboard(board: &mut Map<String, Value>, context: &Context<'_>) {
    for annotation in objects_in(board, "annotations").filter_map(|annotation| object_in(annotation, "spec"))
    {
        asking(annotation, context);
    }
    variables(board, &mut |variable| rewrite_variable(variable, context));
    let elements = object_in(board, "elements");
    for element in elements.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if let Some(spec) = object_in(element, "spec") {
            panel(spec, context);
        }
    }
    classic::library_panels(board, context);
}

fn panel(panel: &mut Map<String, Value>, context: &Context<'_>) {
    let data = object_in(panel, "data").and_then(|data| object_in(data, "spec"));
    for query in data.into_iter().flat_map(|data| objects_in(data, "queries")) {
        if let Some(spec) = object_in(query, "spec") {
            asking(spec, context);
        }
    }
    if let Some(library_panel) = object_in(panel, "libraryPanel") {
        classic::model(library_panel, context);
    }
}

fn rewrite_variable(variable: &mut Map<String, Value>, context: &Context<'_>) {
    if variable.contains_key("group") {
        // An ad hoc filter or a grouping.
        return data_query(variable, Hint::None, context);
    }
    let picks = text_in(variable, "kind") == Some("DatasourceVariable");
    match object_in(variable, "spec") {
        Some(spec) if picks => context.pick(spec, "pluginId"),
        Some(spec) if spec.get("query").is_some_and(Value::is_object) => asking(spec, context),
        Some(spec) => {
            context.place(spec, "datasource", Hint::None);
        }
        None => {}
    }
}

/// Rewrites what has a `query`: a panel's query, an annotation, a variable.
fn asking(spec: &mut Map<String, Value>, context: &Context<'_>) {
    let Some(query) = object_in(spec, "query") else { return };
    let question = query.get("spec");
    let asked = match question.and_then(Value::as_object) {
        Some(members) if members.contains_key("expr") => hint::of_query(members),
        _ => question.map_or(Hint::None, hint::of_variable_query),
    };
    if text_in(query, "kind") == Some("DataQuery") {
        data_query(query, asked, context);
    } else {
        let hint = match text_in(query, "kind") {
            Some(kind) if hint::is_prometheus(kind) => Hint::Prometheus,
            Some(_) => Hint::Other,
            None => asked,
        };
        let meaning = context.place(spec, "datasource", hint);
        if let Some(query) = object_in(spec, "query")
            && meaning == Meaning::Prometheus
            && text_in(query, "kind").is_some_and(hint::is_prometheus)
        {
            set(query, "kind", "prometheus");
        }
    }
}

/// Rewrites what has its type under `group` and its datasource under `datasource.name`.
fn data_query(query: &mut Map<String, Value>, hint: Hint, context: &Context<'_>) {
    let name = query.get("datasource").and_then(|reference| text_in(reference.as_object()?, "name"));
    match context.meaning_of(text_in(query, "group"), name, hint) {
        Meaning::Prometheus => {
            set(query, "group", "prometheus");
            match object_in(query, "datasource") {
                Some(reference) => set(reference, "name", context.uid()),
                None => {
                    query.insert("datasource".to_owned(), json!({ "name": context.uid() }));
                }
            }
            forget_export(query);
        }
        Meaning::Picked => set(query, "group", "prometheus"),
        Meaning::Mixed | Meaning::Other | Meaning::Unclear => {}
    }
}

/// The import page has nothing left to ask.
fn forget_export(query: &mut Map<String, Value>) {
    if let Some(labels) = object_in(query, "labels")
        && labels.shift_remove(EXPORT_LABEL).is_some()
        && labels.is_empty()
    {
        query.shift_remove("labels");
    }
}
