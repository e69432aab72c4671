//! The five names of the Python script that sent Akamai's report to Datadog, for dashboards that have them.

use std::collections::HashMap;

use crate::model::{LabelValue, Parcel, Row, Sheet};

/// The names. The script sent no other status classes.
const NAMES: [&str; 5] = ["2xxEdgeHits", "4xxEdgeHits", "5xxEdgeHits", "allEdgeHits", "allOriginHits"];

const EDGE: &str = "akamai_traffic_edge_hits_total";
const ORIGIN: &str = "akamai_traffic_origin_hits_total";

/// A window as the script would have sent it: summed over all rows of a CP code. What a report does not tell stays 0, and so is not
/// sent: the classes, if it has neither status classes nor status codes.
pub(super) fn sheet(parcel: &Parcel) -> Sheet {
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<LabelValue, usize> = HashMap::new();
    for sheet in &parcel.sheets {
        let column = |name: &str| sheet.metrics.iter().position(|metric| metric == name);
        let (edge, origin) = (column(EDGE), column(ORIGIN));
        for row in &sheet.rows {
            let cpcode = label(sheet, row, "cpcode").cloned().unwrap_or_default();
            let place = *places.entry(cpcode).or_insert_with_key(|cpcode| {
                rows.push(Row { labels: vec![LabelValue::clone(cpcode)], values: vec![0.0; NAMES.len()] });
                rows.len() - 1
            });
            let value = |column: Option<usize>| column.and_then(|at| row.values.get(at)).copied();
            add(&mut rows[place].values, class(sheet, row), value(edge), value(origin));
        }
    }
    let metrics = NAMES.map(str::to_owned).into();
    Sheet { labels: vec!["cpcode".to_owned()], metrics, rows }
}

fn add(sums: &mut [f64], class: Option<char>, edge: Option<f64>, origin: Option<f64>) {
    let of_class = match class {
        Some('2') => Some(0),
        Some('4') => Some(1),
        Some('5') => Some(2),
        _ => None,
    };
    let places = [(of_class, edge), (Some(3), edge), (Some(4), origin)];
    for (place, value) in places {
        if let (Some(place), Some(value)) = (place, value) {
            sums[place] += value;
        }
    }
}

fn label<'a>(sheet: &Sheet, row: &'a Row, name: &str) -> Option<&'a LabelValue> {
    let at = sheet.labels.iter().position(|label| label == name)?;
    row.labels.get(at)
}

/// The first digit of the row's status class or status code.
fn class(sheet: &Sheet, row: &Row) -> Option<char> {
    label(sheet, row, "status_class").or_else(|| label(sheet, row, "status"))?.chars().next()
}
