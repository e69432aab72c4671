//! What a panel, a query or a variable says by itself of the kind of datasource that it asks.

use serde_json::{Map, Value};

use super::text_in;

/// What its holder lets a reference be taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hint {
    /// It asks in PromQL.
    Prometheus,
    /// It asks in another language.
    Other,
    /// It does not say.
    None,
}

impl Hint {
    /// What several say together: one that speaks up counts, two that contradict each other do not.
    pub(super) fn of_all(hints: impl Iterator<Item = Self>) -> Self {
        hints
            .filter(|hint| *hint != Self::None)
            .reduce(|a, b| if a == b { a } else { Self::None })
            .unwrap_or(Self::None)
    }
}

/// Types of datasources that are asked in PromQL.
const PROMETHEUS: [&str; 3] =
    ["prometheus", "grafana-amazonprometheus-datasource", "grafana-azureprometheus-datasource"];

/// How a word begins in the names of datasources that are asked in PromQL.
const METRICS: [&str; 5] = ["prom", "mimir", "thanos", "cortex", "victoriametrics"];

/// How a word begins in the names of datasources that are asked with `expr` too, yet not in PromQL.
const LOGS: [&str; 3] = ["loki", "logs", "victorialogs"];

/// How a word begins in the names of other datasources.
const OTHERS: [&str; 32] = [
    "alertmanager",
    "athena",
    "azure",
    "bigquery",
    "clickhouse",
    "cloudwatch",
    "datadog",
    "elastic",
    "graphite",
    "influx",
    "infinity",
    "jaeger",
    "mongo",
    "mssql",
    "mysql",
    "opensearch",
    "opentsdb",
    "oracle",
    "parca",
    "postgres",
    "pyroscope",
    "redis",
    "redshift",
    "snowflake",
    "splunk",
    "sqlite",
    "stackdriver",
    "tempo",
    "testdata",
    "timestream",
    "zabbix",
    "zipkin",
];

/// Whether datasources of type `kind` are asked in PromQL.
pub(super) fn is_prometheus(kind: &str) -> bool {
    PROMETHEUS.contains(&kind)
}

/// Whether a datasource is built into Grafana, or stands for several.
pub(super) fn is_special(name: &str) -> bool {
    is_mixed(name) || matches!(bare(name).as_str(), "grafana" | "dashboard" | "__expr__" | "-100")
}

/// Whether each query names its own datasource.
pub(super) fn is_mixed(name: &str) -> bool {
    bare(name) == "mixed"
}

/// `-- Grafana --` is also seen without the dashes, and in small letters.
fn bare(name: &str) -> String {
    let name = name.trim();
    let inner = name.strip_prefix("--").and_then(|name| name.strip_suffix("--"));
    inner.unwrap_or(name).trim().to_lowercase()
}

/// What the name of a datasource says.
pub(super) fn of_name(name: &str) -> Hint {
    if is_metrics(name) {
        Hint::Prometheus
    } else if is_logs(name) || has_word(name, &OTHERS) {
        Hint::Other
    } else {
        Hint::None
    }
}

/// Whether it is the name of a datasource that is asked with `expr` too, yet not in PromQL.
pub(super) fn is_logs(name: &str) -> bool {
    has_word(name, &LOGS) && !is_metrics(name)
}

fn is_metrics(name: &str) -> bool {
    has_word(name, &METRICS)
}

/// Whether a word of `name` begins with one of `beginnings`.
fn has_word(name: &str, beginnings: &[&str]) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| beginnings.iter().any(|beginning| word.starts_with(beginning)))
}

/// What a query says: a panel's target, or the `spec` of a query of the newer model.
pub(super) fn of_query(query: &Map<String, Value>) -> Hint {
    // None of these is a question.
    const ASIDE: [&str; 15] = [
        "refId",
        "datasource",
        "hide",
        "key",
        "type",
        "format",
        "intervalFactor",
        "editorMode",
        "range",
        "instant",
        "exemplar",
        "legendFormat",
        "interval",
        "step",
        "useBackend",
    ];
    match text_of(query, "expr") {
        Some(expression) if is_promql(expression) => Hint::Prometheus,
        Some(_) => Hint::Other,
        None if query.keys().all(|key| ASIDE.contains(&key.as_str())) => Hint::None,
        None => Hint::Other,
    }
}

/// What an annotation says, which may also ask nobody.
pub(super) fn of_annotation(annotation: &Map<String, Value>) -> Hint {
    match text_in(annotation, "expr") {
        Some(expression) if is_promql(expression) => Hint::Prometheus,
        Some(_) => Hint::Other,
        None if text_in(annotation, "query").is_some() => Hint::Other,
        None => Hint::None,
    }
}

/// What the query of a template variable says.
pub(super) fn of_variable_query(query: &Value) -> Hint {
    match query {
        Value::String(text) => of_variable_text(text),
        Value::Object(members) => {
            let editor = text_in(members, "refId").map_or(Hint::None, of_name);
            let texts = ["query", "expr", "__legacyStringValue"];
            let own = texts.iter().find_map(|key| text_in(members, key)).map_or(Hint::None, of_variable_text);
            if editor == Hint::None { own } else { editor }
        }
        _ => Hint::None,
    }
}

fn of_variable_text(text: &str) -> Hint {
    const FUNCTIONS: [&str; 4] = ["label_values", "label_names", "query_result", "metrics"];
    let text = text.trim_start().to_lowercase();
    let name = text.split('(').next().filter(|name| name.len() < text.len());
    if name.is_some_and(|name| FUNCTIONS.contains(&name.trim_end())) {
        Hint::Prometheus
    } else if ["select ", "show ", "{"].iter().any(|start| text.starts_with(start)) {
        Hint::Other
    } else {
        Hint::None
    }
}

/// LogQL has a bar in nearly every query, PromQL has none outside of quotes.
fn is_promql(expression: &str) -> bool {
    let mut open = None;
    let mut letters = expression.chars();
    while let Some(letter) = letters.next() {
        match (open, letter) {
            (None, '|') => return false,
            // A comment, to the end of its line.
            (None, '#') => while letters.next().is_some_and(|letter| letter != '\n') {},
            (None, '"' | '\'' | '`') => open = Some(letter),
            (Some('"' | '\''), '\\') => {
                letters.next();
            }
            (Some(quote), _) if quote == letter => open = None,
            _ => {}
        }
    }
    true
}

/// Like [`text_in`], where an empty text counts too: a query that is still to be written.
fn text_of<'a>(holder: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    holder.get(key).and_then(Value::as_str)
}
