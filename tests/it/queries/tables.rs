//! What Grafana shows of the answers, in every table and every stat: by its own code (`tests/grafana/tables.cjs`), run by node.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::history::CPCODES;
use super::{Dashboard, now, panels};
use crate::prometheus::Prometheus;
use crate::repository::{path, read};
use crate::tools::{succeeds, tool};

#[derive(Deserialize)]
struct Cell {
    text: String,
    /// None where Grafana does not draw it.
    colour: Option<String>,
    #[serde(default)]
    links: Vec<String>,
    /// Whether no query has anything for this row.
    #[serde(default)]
    missing: bool,
}

/// Cells by the names of their columns.
type Row = BTreeMap<String, Cell>;

/// What has no data has this colour, and that of texts where colours have no meaning.
const GREYS: [&str; 2] = ["#6E7079", "text"];

const SEVERITIES: [(&str, &str); 2] = [("critical", "red"), ("warning", "orange")];
const STATES: [(&str, &str); 4] =
    [("critical", "red"), ("warning", "orange"), ("no data", "#6E7079"), ("ok", "green")];

/// Every table has one row for each thing and shows what it has as it is, and every stat without data is grey. There are a critical alert and a warning.
pub fn show_what_is_meant(dashboards: &[Dashboard], prometheus: &Prometheus) {
    let all = dashboards.iter().flat_map(|board| panels(&board.json).into_iter().map(move |p| (board, p)));
    let (tables, others): (Vec<_>, Vec<_>) = all.partition(|(_, panel)| panel["type"] == "table");
    let stats: Vec<_> = others.into_iter().filter(|(_, panel)| panel["type"] == "stat").collect();
    let time = now(prometheus);
    let answered = |&(board, panel): &(&Dashboard, &Value)| {
        let answers = board.of_panel(panel).into_iter().map(|query| query.answer(prometheus, time));
        json!({"panel": panel, "answers": answers.collect::<Vec<_>>()})
    };
    let empty = |&(board, panel): &(&Dashboard, &Value)| json!({"panel": panel, "answers": vec![json!([]); board.of_panel(panel).len()]});
    let asked = tables.iter().map(answered).chain(stats.iter().map(answered)).chain(stats.iter().map(empty));
    let mut shown = grafana(&asked.collect::<Vec<_>>()).into_iter();

    let mut rows = BTreeMap::new();
    for (board, panel) in &tables {
        let place = (board.uid.as_str(), panel["title"].as_str().unwrap());
        let table: Vec<Row> = serde_json::from_value(shown.next().unwrap()).unwrap();
        check_table(place, panel, &table);
        rows.insert(place, table);
    }
    let mut next = || serde_json::from_value::<Vec<Cell>>(shown.next().unwrap()).unwrap();
    for (board, panel) in &stats {
        let cells = next();
        assert!(!cells.is_empty(), "{}: {}", board.uid, panel["title"]);
        cells.iter().for_each(|cell| check_cell(&format!("{}: {}", board.uid, panel["title"]), cell));
    }
    for (board, panel) in &stats {
        for cell in next() {
            let (text, colour) = (&panel["fieldConfig"]["defaults"]["noValue"], cell.colour.unwrap());
            assert_eq!(text, &cell.text, "{}: {}", board.uid, panel["title"]);
            assert!(GREYS.contains(&&*colour), "{}: {} without data is {colour}", board.uid, panel["title"]);
        }
    }

    let overview = |title| &rows[&("akamai-overview", title)];
    assert_eq!(overview("How does each account stand?").len(), 1);
    let cpcodes = overview("How does each CP code stand?");
    let found: BTreeSet<_> = cpcodes.iter().map(|row| &*row["CP code"].text).collect();
    assert_eq!((cpcodes.len(), found), (CPCODES.len(), CPCODES.into()));
    // All accounts, and the one.
    assert_eq!(overview("What came of the last hour and the last day?").len(), 2 + CPCODES.len());
    let alerts = overview("Which alerts fire now?");
    let severities: BTreeSet<_> = alerts.iter().map(|row| &*row["Severity"].text).collect();
    assert_eq!(severities, ["critical", "warning"].into());
    assert!(alerts.iter().all(|row| row["Since"].text.ends_with(" ago")), "{}", alerts[0]["Since"].text);
}

fn check_table(place: (&str, &str), panel: &Value, rows: &[Row]) {
    let is_merged =
        panel["transformations"].as_array().into_iter().flatten().any(|step| step["id"] == "merge");
    for (index, row) in rows.iter().enumerate() {
        let twin = rows[..index].iter().any(|other| agree(row, other));
        assert!(!is_merged || !twin, "{place:?} has two rows of one: {:?}", texts(row));
        for (column, cell) in row {
            let place = format!("{place:?}, {column} of {:?}", texts(row));
            check_cell(&place, cell);
            let known: &[&str] = match &**column {
                "CP code" => &CPCODES,
                "Account" => &["default"],
                _ => continue,
            };
            // Links to all of them are of rows that are of none.
            assert!(known.contains(&&*cell.text) || cell.text == "All" || cell.links.is_empty(), "{place}");
        }
        check_links(place, row);
        for (column, colours) in [("Severity", &SEVERITIES[..]), ("State", &STATES)] {
            let Some(cell) = row.get(column) else { continue };
            let colour = colours.iter().find(|(text, _)| *text == cell.text).map(|(_, colour)| *colour);
            assert!(
                colour.is_some() && cell.colour.as_deref() == colour,
                "{place:?}: {} is {:?}",
                cell.text,
                cell.colour
            );
        }
    }
}

/// What a number that is none, or a time that is none, looks like.
fn check_cell(place: &str, cell: &Cell) {
    let is_shown = ["NaN", "Invalid", "undefined", "null"].iter().all(|word| !cell.text.contains(word));
    assert!(is_shown && !cell.text.is_empty(), "{place}: {:?}", cell.text);
}

/// A link asks for the CP code and the account of its row.
fn check_links(place: (&str, &str), row: &Row) {
    for link in row.values().flat_map(|cell| &cell.links) {
        assert!(!link.contains("__data") && !link.contains("__value"), "{place:?}: {link}");
        for (name, column) in [("?var-cpcode=", "CP code"), ("var-account=", "Account")] {
            let Some((_, rest)) = link.split_once(name) else { continue };
            let asked = rest.split('&').next().unwrap();
            assert_eq!(asked, row[column].text, "{place:?}: {link}");
        }
    }
}

fn texts(row: &Row) -> Vec<&str> {
    row.values().map(|cell| &*cell.text).collect()
}

/// Whether one row completes the other.
fn agree(one: &Row, other: &Row) -> bool {
    one.iter().all(|(name, cell)| cell.missing || other[name].missing || other[name].text == cell.text)
}

/// What Grafana makes of panels and their answers.
fn grafana(panels: &[Value]) -> Vec<Value> {
    let mut command = Command::new(tool("node", "nodejs"));
    command.arg(path("tests/grafana/tables.cjs")).env("NODE_PATH", packages());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(panels).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "tables.cjs failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The folder of Grafana's packages, installed anew when the lock file is another one.
fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grafana-packages");
    let (finished, lock) = (folder.join("finished"), read("tests/grafana/package-lock.json"));
    if std::fs::read_to_string(&finished).ok().as_ref() != Some(&lock) {
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(path("tests/grafana").join(file), folder.join(file)).unwrap();
        }
        let mut npm = Command::new(tool("npm", "npm"));
        succeeds(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder));
        std::fs::write(finished, lock).unwrap();
    }
    folder.join("node_modules")
}

#[test]
fn rows_that_complete_each_other_are_found() {
    let row = |cells: Value| serde_json::from_value::<Row>(cells).unwrap();
    let cell = |text: &str| json!({"text": text, "colour": null});
    let missing = json!({"text": "-", "colour": null, "missing": true});
    let named = row(json!({"CP code": cell("1"), "Name": cell("one"), "Hits": missing}));
    let counted = row(json!({"CP code": cell("1"), "Name": missing, "Hits": cell("5")}));
    let other = row(json!({"CP code": cell("2"), "Name": missing, "Hits": cell("5")}));
    assert!(agree(&named, &counted) && !agree(&named, &other) && !agree(&counted, &other));
}
