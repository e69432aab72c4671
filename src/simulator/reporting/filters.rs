//! Filters: what rows they leave. All of them must hold.

use serde_json::{Map, Value, json};

use super::definition::{self, Column, Filterable, Metric};
use super::request::Invalid;
use crate::simulator::Options;
use crate::simulator::traffic::table::{Cell, Dimension, Sums};

/// How a dimension is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equals,
    Begins,
    Ends,
    Contains,
}

/// Name, comparison, and whether it keeps what fits. Those of enumerated and authorizable dimensions are the
/// first two.
const OPERATORS: [(&str, Comparison, bool); 9] = [
    ("IN_LIST", Comparison::Equals, true),
    ("NOT_IN_LIST", Comparison::Equals, false),
    ("EXACT", Comparison::Equals, true),
    ("BEGINS_WITH", Comparison::Begins, true),
    ("NOT_BEGINS_WITH", Comparison::Begins, false),
    ("ENDS_WITH", Comparison::Ends, true),
    ("NOT_ENDS_WITH", Comparison::Ends, false),
    ("CONTAINS", Comparison::Contains, true),
    ("NOT_CONTAINS", Comparison::Contains, false),
];

/// Documented, and refused here: they need a regular expression engine, which this crate has no other use for.
const UNSUPPORTED: [&str; 2] = ["MATCH_REGEXP", "NOT_MATCH_REGEXP"];

/// A filter of a dimension.
#[derive(Clone, Debug)]
pub(super) struct DimensionFilter {
    pub(super) column: Column,
    operator: usize,
    pub(super) expressions: Vec<String>,
}

/// A filter of a metric, which looks at whole rows.
#[derive(Clone, Debug)]
pub(super) struct MetricFilter {
    metric: Metric,
    operator: &'static str,
    expression: f64,
}

/// A filter.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Dimension(DimensionFilter),
    Metric(MetricFilter),
}

impl DimensionFilter {
    /// Whether it names what it wants, instead of what it does not.
    pub(super) fn lists(&self) -> bool {
        self.operator == 0
    }

    pub(super) fn keeps(&self, cell: &Cell) -> bool {
        let text = match cell {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => text.to_string(),
        };
        let (_, comparison, keeps) = OPERATORS[self.operator];
        let fits = |expression: &String| match comparison {
            Comparison::Equals => text == *expression,
            Comparison::Begins => text.starts_with(expression),
            Comparison::Ends => text.ends_with(expression),
            Comparison::Contains => text.contains(expression),
        };
        self.expressions.iter().any(fits) == keeps
    }
}

impl MetricFilter {
    pub(super) fn keeps(&self, sums: &Sums) -> bool {
        let value = (self.metric.of)(sums).float();
        match self.operator {
            "EQUAL" => value == self.expression,
            "NOT_EQUAL" => value != self.expression,
            "LESS_THAN" => value < self.expression,
            _ => value > self.expression,
        }
    }
}

impl Filter {
    /// Of the dimensions other than CP codes, which are looked at before anything is counted.
    pub(super) fn of(&self, dimension: Dimension) -> Option<&DimensionFilter> {
        match self {
            Self::Dimension(filter) if filter.column.dimension == dimension => Some(filter),
            Self::Dimension(_) | Self::Metric(_) => None,
        }
    }

    /// As the answer repeats it.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Dimension(filter) => json!({
                "dimensionName": filter.column.name,
                "operator": OPERATORS[filter.operator].0,
                "expressions": filter.expressions,
            }),
            Self::Metric(filter) => json!({
                "metricName": filter.metric.name,
                "operator": filter.operator,
                "expression": filter.expression.to_string(),
            }),
        }
    }
}

fn wrong(detail: impl Into<String>) -> Invalid {
    Invalid::of("filters", detail)
}

/// Reads one filter.
pub(super) fn read(options: &Options, filter: &Value) -> Result<Filter, Invalid> {
    let Value::Object(members) = filter else {
        return Err(wrong("A filter must be an object"));
    };
    match (members.get("dimensionName"), members.get("metricName")) {
        (Some(name), None) => {
            only(members, &["dimensionName", "operator", "expressions"])?;
            dimension(options, name, members).map(Filter::Dimension)
        }
        (None, Some(name)) => {
            only(members, &["metricName", "operator", "expression"])?;
            of_metric(name, members).map(Filter::Metric)
        }
        _ => Err(wrong("A filter must have either dimensionName or metricName")),
    }
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), Invalid> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(wrong(format!("Unknown member of a filter: '{name}'"))),
        None => Ok(()),
    }
}

fn dimension(
    options: &Options,
    name: &Value,
    members: &Map<String, Value>,
) -> Result<DimensionFilter, Invalid> {
    let name = name.as_str().unwrap_or_default();
    let column =
        definition::named(name).ok_or_else(|| wrong(format!("Incorrect dimension name: '{name}'")))?;
    let given = members.get("operator").and_then(Value::as_str).unwrap_or_default();
    if UNSUPPORTED.contains(&given) {
        return Err(wrong(format!("Operator '{given}' is not supported by the simulator")));
    }
    let operator = OPERATORS.iter().position(|(name, ..)| *name == given);
    let operator = operator.ok_or_else(|| wrong(format!("Incorrect operator: '{given}'")))?;
    let of_lists = column.authorizable || matches!(column.filter, Filterable::Enum(_));
    if column.filter == Filterable::No {
        return Err(wrong(format!("Dimension '{name}' is not filterable")));
    }
    if of_lists && operator > 1 {
        return Err(wrong(format!("Operator '{given}' is not allowed for dimension '{name}'")));
    }
    let expressions = expressions(members.get("expressions"))?;
    let most = options.in_list_limit.unwrap_or(usize::MAX);
    if operator <= 1 && expressions.len() > most {
        let detail = format!("Filter on '{name}' has {} values, allowed are {most}", expressions.len());
        return Err(wrong(detail));
    }
    expressions.iter().try_for_each(|expression| check(&column, operator, expression))?;
    Ok(DimensionFilter { column, operator, expressions })
}

/// Texts, at least one, none twice. The schema knows only strings; that bare integers are taken is reported by
/// users.
fn expressions(given: Option<&Value>) -> Result<Vec<String>, Invalid> {
    let texts: Option<Vec<String>> = given.and_then(Value::as_array).and_then(|values| {
        let text = |value: &Value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) if number.is_u64() => Some(number.to_string()),
            _ => None,
        };
        values.iter().map(text).collect()
    });
    match texts {
        Some(texts) if !texts.is_empty() => {
            let mut sorted: Vec<&String> = texts.iter().collect();
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(wrong("The expressions of a filter must be unique"));
            }
            Ok(texts)
        }
        _ => Err(wrong("The expressions of a filter must be texts, at least one")),
    }
}

fn check(column: &Column, operator: usize, expression: &str) -> Result<(), Invalid> {
    let name = column.name;
    match column.filter {
        Filterable::Enum(values) if !values.contains(&expression) => {
            Err(wrong(format!("Incorrect value of '{name}': '{expression}'")))
        }
        _ if column.authorizable && expression.parse::<u64>().is_err() => {
            Err(wrong(format!("Incorrect value of '{name}': '{expression}'")))
        }
        _ if operator > 1 && expression.chars().count() > definition::TEXT_FILTER_MAX_LENGTH => {
            let most = definition::TEXT_FILTER_MAX_LENGTH;
            Err(wrong(format!("Filter on '{name}' is longer than {most} characters")))
        }
        _ => Ok(()),
    }
}

fn of_metric(name: &Value, members: &Map<String, Value>) -> Result<MetricFilter, Invalid> {
    let name = name.as_str().unwrap_or_default();
    let metric = definition::metric(name).ok_or_else(|| wrong(format!("Incorrect metric name: '{name}'")))?;
    let given = members.get("operator").and_then(Value::as_str).unwrap_or_default();
    let operators = ["EQUAL", "NOT_EQUAL", "LESS_THAN", "GREATER_THAN"];
    let operator = operators.into_iter().find(|operator| *operator == given);
    let operator = operator.ok_or_else(|| wrong(format!("Incorrect operator: '{given}'")))?;
    let expression = members.get("expression").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let expression = expression.filter(|number: &f64| number.is_finite());
    let expression = expression.ok_or_else(|| wrong(format!("Filter on '{name}' needs a number as text")))?;
    Ok(MetricFilter { metric, operator, expression })
}
