//! Every query of every dashboard, with its variables filled in, in a real Prometheus that scrapes the demo, receives its remote write and
//! evaluates the rules: each parses and each returns data. Panels that are rightly empty while all is well are listed in
//! `tests/grafana/empty_in_health.txt`; those of alerts, and annotations, return data as soon as there are alerts.

mod history;
mod tables;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Exporter;
use crate::prometheus::{Prometheus, create_blocks, scrape_config};
use crate::repository::{copy_rules, files, read};

/// A query of a panel, an annotation or a variable.
struct Query {
    /// Where it stands, for messages.
    place: String,
    expression: String,
    /// Whether it is of windows an hour ago, and therefore asked of the last hours rather than of now.
    is_of_windows: bool,
    may_be_empty: bool,
}

/// A dashboard with what stands for its variables.
struct Dashboard {
    json: Value,
    uid: String,
    variables: BTreeMap<String, String>,
}

/// How long windows are, in seconds.
const WINDOW: u32 = 300;

impl Query {
    fn has_data(&self, prometheus: &Prometheus) -> bool {
        let series = self.answer(prometheus, now(prometheus));
        !series.is_empty() && series.iter().all(has_number)
    }

    /// The series that Grafana is given at a time.
    fn answer(&self, prometheus: &Prometheus, time: f64) -> Vec<Value> {
        match self.is_of_windows {
            false => prometheus.query_at(&self.expression, time),
            true => {
                // Grafana's times are multiples of the step.
                let end = time.div_euclid(f64::from(WINDOW)) * f64::from(WINDOW);
                prometheus.query_range(&self.expression, (end - 6.0 * 3600.0, end), WINDOW)
            }
        }
    }
}

/// What time it is for Prometheus.
fn now(prometheus: &Prometheus) -> f64 {
    prometheus.query("time()")[1].as_str().unwrap().parse().unwrap()
}

/// The rules, all the same but evaluated every second, and the section of a configuration that names them.
fn every_second(directory: &Path) -> String {
    copy_rules(directory, |_, text| {
        let lines = text.lines().map(|line| match line.strip_prefix("    interval: ") {
            Some(_) => "    interval: 1s\n".to_owned(),
            None => format!("{line}\n"),
        });
        lines.collect()
    });
    format!("rule_files: [\"{}/*.yml\"]\n", directory.display())
}

/// The rows of a table of columns with tabs between them.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = read(name);
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

impl Dashboard {
    fn read(file: &Path) -> Self {
        let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let uid = json["uid"].as_str().unwrap().to_owned();
        let rows = table("tests/grafana/variables.txt");
        let value = |row: &Vec<String>| (row[0].clone(), row[1].clone());
        let mut variables: BTreeMap<_, _> = rows.iter().map(value).collect();
        // One dashboard's own values stand as `uid/name`.
        let own =
            rows.iter().filter_map(|row| Some((row[0].strip_prefix(&uid)?.strip_prefix('/')?, &row[1])));
        variables.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
        Self { json, uid, variables }
    }

    fn all() -> Vec<Self> {
        let files = files("grafana/dashboards", ".json").into_iter();
        files.map(|file| Self::read(&file)).collect()
    }

    fn queries(&self) -> Vec<Query> {
        [self.of_panels(), self.of_annotations(), self.of_variables()].into_iter().flatten().collect()
    }

    fn of_panels(&self) -> Vec<Query> {
        panels(&self.json).into_iter().flat_map(|panel| self.of_panel(panel)).collect()
    }

    fn of_panel(&self, panel: &Value) -> Vec<Query> {
        let title = panel["title"].as_str().unwrap();
        let empty = table("tests/grafana/empty_in_health.txt");
        let may_be_empty = empty.iter().any(|row| row[0] == self.uid && row[1] == title);
        let targets = panel["targets"].as_array().into_iter().flatten();
        let queries = targets.map(|target| Query {
            place: format!("{}: {title}", self.uid),
            expression: self.filled(&target["expr"]),
            is_of_windows: target["range"] == true && target["interval"] == "5m",
            may_be_empty,
        });
        queries.collect()
    }

    /// Annotations are alerts, of which there are none while all is well. The first one is Grafana's own, without a query.
    fn of_annotations(&self) -> Vec<Query> {
        let annotations = self.json["annotations"]["list"].as_array().unwrap();
        let queries =
            annotations.iter().filter(|annotation| annotation["builtIn"] != 1).map(|annotation| Query {
                place: format!("{}: annotation {}", self.uid, annotation["name"]),
                expression: self.filled(&annotation["target"]["expr"]),
                is_of_windows: false,
                may_be_empty: true,
            });
        queries.collect()
    }

    fn of_variables(&self) -> Vec<Query> {
        let variables = self.json["templating"]["list"].as_array().unwrap().iter();
        let queries = variables.filter_map(|variable| {
            let query = variable["query"]["query"].as_str()?;
            Some(Query {
                place: format!("{}: variable {}", self.uid, variable["name"]),
                expression: filled(&asked(query), &self.variables),
                is_of_windows: false,
                may_be_empty: false,
            })
        });
        queries.collect()
    }

    fn filled(&self, expression: &Value) -> String {
        filled(expression.as_str().unwrap(), &self.variables)
    }
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

/// A demo, and a Prometheus that scrapes it, gets its windows, those of the last hours among them, and evaluates the rules, on a history that
/// is long enough to tell what is usual.
struct World {
    demo: Exporter,
    prometheus: Prometheus,
    directory: TempDir,
}

impl World {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let (rules, blocks) = (directory.path().join("rules"), directory.path().join("blocks"));
        let past = directory.path().join("past.openmetrics");
        std::fs::write(&past, history::open_metrics()).unwrap();
        create_blocks(&past, &blocks);
        std::fs::create_dir(&rules).unwrap();
        let config = scrape_config("1s", &[&format!("http://127.0.0.1:{port}")]) + &every_second(&rules);
        let prometheus = Prometheus::with_blocks(&config, &blocks, &["--web.enable-remote-write-receiver"]);
        let demo = Exporter::demo_with(&[
            &format!("--web.listen-address=127.0.0.1:{port}"),
            &format!("--remote-write.url={}/api/v1/write", prometheus.url),
        ]);
        Self { demo, prometheus, directory }
    }

    /// Lets two alerts fire, by overrides: a critical one, because CP code 100001 has any 4xx at all, and a warning, because there is no such threshold.
    fn raise_alerts(&self) {
        let overrides = "\
groups:
  - name: akamai-overrides
    interval: 1s
    rules:
      - {record: \"akamai:threshold:override\", expr: 0, labels: {threshold: errors, severity: critical, tier: edge, status_class: 4xx, cpcode: \"100001\"}}
      - {record: \"akamai:threshold:override\", expr: 1, labels: {threshold: no_such, account: default}}
";
        std::fs::write(self.directory.path().join("rules/overrides.yml"), overrides).unwrap();
        self.prometheus.reload();
    }

    /// Waits until all of these have data. Each line of the demo's log is an occasion to look again.
    fn await_data(&mut self, mut waiting: Vec<Query>) {
        while !waiting.is_empty() {
            waiting.retain(|query| !query.has_data(&self.prometheus));
            if let Some(query) = waiting.first() {
                let what = format!(
                    "{} queries give data, such as {}: {}",
                    waiting.len(),
                    query.place,
                    query.expression
                );
                while self.demo.process.next(&what)["message"] != "poll done" {}
            }
        }
    }
}

#[test]
fn every_query_of_every_dashboard_returns_data() {
    let mut world = World::start();
    let dashboards = Dashboard::all();
    let all: Vec<_> = dashboards.iter().flat_map(Dashboard::queries).collect();
    assert!(dashboards.len() >= 5 && all.len() > 150, "{} queries", all.len());
    let (may_be_empty, mut waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|query| query.may_be_empty);
    // Of six hours, the last one is not settled yet.
    let hours = "count_over_time((sum (last_over_time(akamai_traffic_window_edge_hits{source=\"amd\"}[4m59s])))[7h:5m]) >= 55";
    waiting.push(Query {
        place: "windows of some hours".to_owned(),
        expression: hours.to_owned(),
        is_of_windows: false,
        may_be_empty: false,
    });
    // Rates need two scrapes and a second round of polls.
    world.await_data(waiting);
    // The others parse: a query that does not fails the test.
    for query in &may_be_empty {
        let _ = query.has_data(&world.prometheus);
    }
    let (mut of_alerts, _): (Vec<_>, Vec<_>) =
        may_be_empty.into_iter().partition(|query| query.expression.contains("ALERTS"));
    let list = of_alerts.iter().find(|query| query.place.ends_with("Which alerts fire now?")).unwrap();
    let list = list.expression.clone();
    world.raise_alerts();
    // At times the demo has a critical alert of its own.
    of_alerts.push(Query {
        place: "the alert that was raised".to_owned(),
        expression: "ALERTS{alertstate=\"firing\", alertname=\"AkamaiClientErrors\"}".to_owned(),
        is_of_windows: false,
        may_be_empty: false,
    });
    world.await_data(of_alerts);
    let raised = world.prometheus.query(&list);
    let raised =
        raised.iter().map(|alert| &alert["metric"]).find(|alert| alert["alertname"] == "AkamaiClientErrors");
    let raised = raised.unwrap();
    assert_eq!((&raised["cpcode"], &raised["name"]), (&json!("100001"), &json!("live-events")), "{raised}");
    tables::show_what_is_meant(&dashboards, &world.prometheus);
    let prometheus = &world.prometheus;
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
