//! Every query of every dashboard, with its variables filled in, in a real Prometheus that scrapes the demo: each parses and each returns
//! data. Panels that are rightly empty while all is well are listed in `tests/grafana/empty_in_health.txt`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::process::Exporter;
use crate::prometheus::Prometheus;

/// A query of a panel or a variable.
struct Query {
    /// Where it stands, for messages.
    place: String,
    expression: String,
    may_be_empty: bool,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The rows of a table of columns with tabs between them.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// `expression` with a value for each `$name`, `${name}` and `${name:format}`.
fn filled(expression: &str, variables: &BTreeMap<String, String>) -> String {
    let mut parts = expression.split('$');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = match part.strip_prefix('{') {
            Some(braced) => {
                let (inside, rest) = braced.split_once('}').unwrap();
                (inside.split(':').next().unwrap(), rest)
            }
            None => {
                part.split_at(part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len()))
            }
        };
        let value = variables.get(name).unwrap_or_else(|| panic!("no value for ${name} in {expression}"));
        text.push_str(value);
        text.push_str(rest);
    }
    text
}

/// The panels, those of collapsed rows too.
fn panels(parent: &Value) -> Vec<&Value> {
    let own = parent["panels"].as_array().into_iter().flatten();
    own.flat_map(|panel| std::iter::once(panel).chain(panels(panel))).collect()
}

/// The queries of the dashboard in `file`.
fn queries(file: &std::path::Path) -> Vec<Query> {
    let dashboard: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let uid = dashboard["uid"].as_str().unwrap();
    let rows = table("tests/grafana/variables.txt");
    let value = |row: &Vec<String>| (row[0].clone(), row[1].clone());
    let mut variables: BTreeMap<_, _> = rows.iter().map(value).collect();
    // One dashboard's own values stand as `uid/name`.
    let own = rows.iter().filter_map(|row| Some((row[0].strip_prefix(uid)?.strip_prefix('/')?, &row[1])));
    variables.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
    let empty = table("tests/grafana/empty_in_health.txt");
    let mut queries = Vec::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                place: format!("{uid}: {title}"),
                expression: filled(target["expr"].as_str().unwrap(), &variables),
                may_be_empty: empty.iter().any(|row| row[0] == uid && row[1] == title),
            });
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            let expression = filled(&series_of(query), &variables);
            let place = format!("{uid}: variable {}", variable["name"]);
            queries.push(Query { place, expression, may_be_empty: false });
        }
    }
    queries
}

/// What a variable asks for: `label_values(SERIES, LABEL)` or `query_result(EXPRESSION)`.
fn series_of(query: &str) -> String {
    if let Some(inner) = query.strip_prefix("query_result(") {
        return inner.strip_suffix(')').unwrap().to_owned();
    }
    let inner = query.strip_prefix("label_values(").and_then(|inner| inner.strip_suffix(')')).unwrap();
    let (series, label) = inner.rsplit_once(',').unwrap();
    format!("group by ({label}) ({series})")
}

/// Whether every series has a number.
fn has_data(series: &[Value]) -> bool {
    let is_number = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
    !series.is_empty() && series.iter().all(is_number)
}

#[test]
fn every_query_of_every_dashboard_returns_data() {
    let mut demo = Exporter::demo();
    let prometheus = Prometheus::scraping(&[&demo.url]);
    let files = std::fs::read_dir(path("grafana/dashboards")).unwrap();
    let files: Vec<_> =
        files.map(|entry| entry.unwrap().path()).filter(|file| file.extension().is_some()).collect();
    let mut waiting: Vec<_> = files.iter().flat_map(|file| queries(file)).collect();
    assert!(files.len() >= 3 && waiting.len() > 50, "{} queries in {files:?}", waiting.len());
    // Rates need two scrapes and a second round of polls: each line of the demo's log is an occasion to look again.
    while !waiting.is_empty() {
        waiting.retain(|query| {
            let series = prometheus.query(&query.expression);
            !has_data(&series) && !query.may_be_empty
        });
        if let Some(query) = waiting.first() {
            let what =
                format!("{} queries give data, such as {}: {}", waiting.len(), query.place, query.expression);
            while demo.process.next(&what)["message"] != "poll done" {}
        }
    }
}

#[test]
fn the_filling_of_variables() {
    let variables = [("a".to_owned(), ".*".to_owned()), ("__range".to_owned(), "5m".to_owned())].into();
    assert_eq!(filled(r#"x{l=~"$a",m=~"${a:regex}"}[$__range]"#, &variables), r#"x{l=~".*",m=~".*"}[5m]"#);
    assert_eq!(series_of("label_values(up{a=\"b\"}, job)"), "group by ( job) (up{a=\"b\"})");
}
