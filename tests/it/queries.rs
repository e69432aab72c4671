//! Every query of every dashboard, with its variables filled in, in a real Prometheus that scrapes the demo and receives its remote write: each
//! parses and each returns data. Panels that are rightly empty while all is well are listed in `tests/grafana/empty_in_health.txt`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::Value;

use crate::process::Exporter;
use crate::prometheus::Prometheus;

/// A query of a panel or a variable.
struct Query {
    /// Where it stands, for messages.
    place: String,
    expression: String,
    /// Whether it is of windows an hour ago, and therefore asked of the last hours rather than of now.
    is_of_windows: bool,
    may_be_empty: bool,
}

/// How long windows are, in seconds.
const WINDOW: u32 = 300;

impl Query {
    fn has_data(&self, prometheus: &Prometheus) -> bool {
        let series = match self.is_of_windows {
            false => prometheus.query(&self.expression),
            true => {
                // Grafana's times are multiples of the step.
                let end = now(prometheus).div_euclid(f64::from(WINDOW)) * f64::from(WINDOW);
                prometheus.query_range(&self.expression, (end - 6.0 * 3600.0, end), WINDOW)
            }
        };
        !series.is_empty() && series.iter().all(has_number)
    }
}

/// What time it is for Prometheus.
fn now(prometheus: &Prometheus) -> f64 {
    prometheus.query("time()")[1].as_str().unwrap().parse().unwrap()
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
                is_of_windows: target["range"] == true && target["interval"] == "5m",
                may_be_empty: empty.iter().any(|row| row[0] == uid && row[1] == title),
            });
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            let expression = filled(&asked(query), &variables);
            let place = format!("{uid}: variable {}", variable["name"]);
            queries.push(Query { place, expression, is_of_windows: false, may_be_empty: false });
        }
    }
    queries
}

/// What a variable asks for: `label_values(SERIES, LABEL)`, which Grafana asks of the time range, or `query_result(EXPRESSION)`.
fn asked(query: &str) -> String {
    if let Some(inner) = query.strip_prefix("query_result(") {
        return inner.strip_suffix(')').unwrap().to_owned();
    }
    let inner = query.strip_prefix("label_values(").and_then(|inner| inner.strip_suffix(')')).unwrap();
    let (series, label) = inner.rsplit_once(',').unwrap();
    format!("group by ({label}) (last_over_time({series}[$__range]))")
}

/// Whether a series has a number, of a range the last of them.
fn has_number(series: &Value) -> bool {
    let value = series["values"].as_array().and_then(|values| values.last()).unwrap_or(&series["value"]);
    value[1].as_str().is_some_and(|value| value != "NaN")
}

/// A demo, and a Prometheus that scrapes it and gets its windows, those of the last hours among them.
fn demo() -> (Exporter, Prometheus) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let prometheus = Prometheus::scraping(&[&format!("http://127.0.0.1:{port}")]);
    let demo = Exporter::demo_with(&[
        &format!("--web.listen-address=127.0.0.1:{port}"),
        &format!("--remote-write.url={}/api/v1/write", prometheus.url),
    ]);
    (demo, prometheus)
}

#[test]
fn every_query_of_every_dashboard_returns_data() {
    let (mut demo, prometheus) = demo();
    let files = std::fs::read_dir(path("grafana/dashboards")).unwrap();
    let files: Vec<_> =
        files.map(|entry| entry.unwrap().path()).filter(|file| file.extension().is_some()).collect();
    let mut waiting: Vec<_> = files.iter().flat_map(|file| queries(file)).collect();
    assert!(files.len() >= 4 && waiting.len() > 50, "{} queries in {files:?}", waiting.len());
    // Of six hours, the last one is not settled yet.
    let hours = "count_over_time((sum (last_over_time(akamai_traffic_window_edge_hits{source=\"amd\"}[4m59s])))[7h:5m]) >= 55";
    waiting.push(Query {
        place: "windows of some hours".to_owned(),
        expression: hours.to_owned(),
        is_of_windows: false,
        may_be_empty: false,
    });
    // Rates need two scrapes and a second round of polls: each line of the demo's log is an occasion to look again.
    while !waiting.is_empty() {
        waiting.retain(|query| !query.has_data(&prometheus) && !query.may_be_empty);
        if let Some(query) = waiting.first() {
            let what =
                format!("{} queries give data, such as {}: {}", waiting.len(), query.place, query.expression);
            while demo.process.next(&what)["message"] != "poll done" {}
        }
    }
    // What is scraped does not come by remote write as well: sums of samples would be twice as large.
    let double = prometheus
        .query("count by (account, source, cpcode, url, delivery, tier) (akamai_estats_sample_hits) > 1");
    assert!(double.is_empty(), "{double:?}");
}

#[test]
fn the_filling_of_variables() {
    let variables = [("a".to_owned(), ".*".to_owned()), ("__range".to_owned(), "5m".to_owned())].into();
    assert_eq!(filled(r#"x{l=~"$a",m=~"${a:regex}"}[$__range]"#, &variables), r#"x{l=~".*",m=~".*"}[5m]"#);
    let asked = asked("label_values(up{a=\"b\"}, job)");
    assert_eq!(asked, "group by ( job) (last_over_time(up{a=\"b\"}[$__range]))");
}
