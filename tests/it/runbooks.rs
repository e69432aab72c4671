//! The pages about alerts say what the rules say, and what is to be pasted out of them works.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use akamai_exporter::model::Family;
use akamai_exporter::snapshot::health;
use akamai_exporter::source::KINDS;
use akamai_exporter::telemetry::families;

use crate::repository::{files, path, read};
use crate::tools::{outcome, tool};

const HEADINGS: [&str; 5] =
    ["What it means", "How to confirm", "What to do", "How to silence", "When it is wrong"];

/// A file's name without folder and ending.
fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The pages of alerts, without the table of contents.
fn runbooks() -> Vec<PathBuf> {
    files("docs/runbooks", ".md").into_iter().filter(|file| stem(file) != "README").collect()
}

fn pages() -> Vec<PathBuf> {
    files("docs/runbooks", ".md").into_iter().chain([path("docs/alerts.md")]).collect()
}

/// The lines of all rule files, those of comments left out, without the blanks around them.
fn rules() -> Vec<String> {
    let files = files("prometheus/rules", ".yml");
    let lines = files.iter().flat_map(|file| read(file).lines().map(str::to_owned).collect::<Vec<_>>());
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.starts_with('#')).collect()
}

/// What stands after `key` in the rules, whichever of YAML's styles it stands in.
fn named(key: &str) -> BTreeSet<String> {
    let rules = rules();
    let values = rules.iter().filter_map(|line| line.trim_start_matches(['-', ' ', '{']).strip_prefix(key));
    values.map(|value| value.split(", ").next().unwrap().trim_matches(['"', ' ']).to_owned()).collect()
}

/// The lines within the code blocks of a language, with their blanks taken off.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("```") {
            Some(name) => is_inside = name == language,
            None if is_inside && !line.is_empty() && !line.starts_with('#') => lines.push(line.to_owned()),
            None => {}
        }
    }
    lines
}

/// The queries of a page: each is one line.
fn queries(file: &Path) -> Vec<String> {
    blocks(&read(file), "promql")
}

/// The overrides on all pages, each once.
fn overrides() -> BTreeSet<String> {
    let lines = pages().into_iter().flat_map(|file| blocks(&read(&file), "yaml"));
    lines.filter(|line| line.contains("akamai:threshold:override")).collect()
}

/// What `promtool` says of files that are written to a folder, and whether it accepts them.
fn promtool(arguments: &[&str], files: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(tool("promtool", "prometheus"));
    outcome(command.args(arguments).current_dir(&folder))
}

fn group(rules: &[String]) -> String {
    format!("groups:\n- name: pages\n  rules:\n{}\n", rules.join("\n"))
}

#[test]
fn every_alert_has_a_page_with_all_parts_and_a_row() {
    let alerts = named("alert: ");
    let pages: BTreeSet<_> = runbooks().iter().map(|file| stem(file)).collect();
    assert_eq!(pages, alerts, "pages in docs/runbooks, and alerts in prometheus/rules");
    let (contents, overview) = (read("docs/runbooks/README.md"), read("docs/alerts.md"));
    for file in runbooks() {
        let (name, text) = (stem(&file), read(&file));
        assert!(text.starts_with(&format!("# {name}\n")), "{name}");
        let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        assert!(contents.contains(&format!("\n| [{name}]({name}.md) | ")), "docs/runbooks/README.md: {name}");
        assert!(overview.contains(&format!("\n| {name} | ")), "docs/alerts.md: {name}");
        let silence = format!("    alertname={name}");
        assert!(text.contains("$ amtool silence add ") && text.contains(&silence), "{name}: no silence");
    }
}

/// The severities of a page's row are those that the alert has.
#[test]
fn the_table_of_runbooks_has_the_severities() {
    let rules = rules().join("\n");
    let contents = read("docs/runbooks/README.md");
    let mut rows = 0;
    for name in named("alert: ") {
        let parts = rules.split("\n- alert: ").filter(|part| part.lines().next() == Some(&name));
        let labels = parts.filter_map(|part| part.lines().find(|line| line.starts_with("labels: ")));
        let severities: BTreeSet<_> = labels
            .map(|line| if line.contains("severity: critical") { "critical" } else { "warning" })
            .collect();
        let expected: Vec<_> = severities.into_iter().collect();
        let row = format!("| [{name}]({name}.md) | {} | ", expected.join(", "));
        assert!(contents.contains(&row), "docs/runbooks/README.md has no `{row}`");
        rows += 1;
    }
    assert!(rows > 20, "only {rows} alerts found");
}

#[test]
fn promtool_accepts_every_query_of_the_pages() {
    let mut rules = Vec::new();
    for file in pages() {
        for query in queries(&file) {
            let (number, page) = (rules.len(), stem(&file));
            rules.push(format!(
                "  - {{record: \"page:{page}:{number}\", expr: '{}'}}",
                query.replace('\'', "''")
            ));
        }
    }
    assert!(rules.len() > 60, "only {} queries found", rules.len());
    let (is_accepted, said) = promtool(&["check", "rules", "rules.yml"], &[("rules.yml", &group(&rules))]);
    assert!(is_accepted, "{said}");
}

/// The names of series in a text.
fn series(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.contains("akamai") && !word.starts_with(':'));
    words.map(str::to_owned).collect()
}

/// What is asked for is there: a family of the exporter's, or a recorded series.
#[test]
fn the_queries_name_series_that_exist() {
    let sources = KINDS.iter().flat_map(|kind| kind.families);
    let all = sources.chain(health::ALL.iter()).chain(families::ALL.iter());
    let mut known: BTreeSet<_> = all.map(|family: &&Family| family.name.to_owned()).collect();
    known.extend(named("record: "));
    // Those are commented out as they are shipped.
    known.insert("akamai:threshold:override".to_owned());
    for file in pages() {
        for query in queries(&file) {
            let asked = query.replace("{job=\"akamai-exporter\"}", "");
            for name in series(&asked) {
                assert!(known.contains(&name), "{}: there is no {name}", stem(&file));
            }
        }
    }
}

/// What Prometheus makes of overrides, each in a group of its own: whether it finds one that has no effect.
fn have_effect<'a>(overrides: impl IntoIterator<Item = &'a String>) -> (bool, String) {
    let groups = overrides.into_iter().enumerate();
    let groups: Vec<_> =
        groups.map(|(number, line)| format!("- name: page{number}\n  rules:\n  {line}\n")).collect();
    let overrides = format!("groups:\n{}", groups.concat());
    let thresholds = read("prometheus/rules/thresholds.yml");
    let test = "rule_files: [overrides.yml, thresholds.yml]\nevaluation_interval: 30s\n\
        tests: [{interval: 30s, alert_rule_test: [{eval_time: 2m, alertname: AkamaiThresholdUnknown}]}]\n";
    let files = [("overrides.yml", &*overrides), ("thresholds.yml", &*thresholds), ("test.yml", test)];
    promtool(&["test", "rules", "test.yml"], &files)
}

/// Whether a rule asks for overrides of this threshold, of accounts' and of what they hold.
fn has_overrides(rules: &str, threshold: &str) -> bool {
    let series = ["akamai:threshold:override", "akamai:threshold:cpcode"];
    series.iter().any(|series| rules.contains(&format!("{series}{{threshold=\"{threshold}\"")))
}

/// AkamaiThresholdUnknown is the judge, and the last part shows that it judges.
#[test]
fn every_override_of_the_pages_has_an_effect() {
    let overrides = overrides();
    assert!(overrides.len() > 10, "only {} overrides found", overrides.len());
    let (is_accepted, said) = have_effect(&overrides);
    assert!(is_accepted, "{said}");
    for line in &overrides {
        let damaged = line.replacen("threshold: ", "threshold: un", 1);
        assert!(!have_effect([&damaged]).0, "not noticed: {damaged}");
    }
    // An override has no effect either where no rule reads one.
    let rules = rules().join("\n");
    for line in &overrides {
        let name = line.split("threshold: ").nth(1).unwrap().split([',', '}']).next().unwrap();
        assert!(has_overrides(&rules, name), "no rule asks for overrides of {name}");
    }
}

/// `alerts.md` has each threshold with its labels, its value, and whether a rule asks for its overrides.
#[test]
fn the_table_of_thresholds_is_that_of_the_rules() {
    let page = read("docs/alerts.md");
    let rules = rules();
    let text = rules.join("\n");
    let mut expected = BTreeSet::new();
    for line in &rules {
        let Some(rest) = line.strip_prefix("- {record: \"akamai:threshold:") else { continue };
        let Some((kind @ ("default" | "global"), rest)) = rest.split_once("\", expr: ") else { continue };
        let (value, labels) = rest.trim_end_matches('}').split_once(", labels: {threshold: ").unwrap();
        let (name, labels) = labels.split_once(", ").unwrap_or((labels, ""));
        let labels = if labels.is_empty() { "none".to_owned() } else { format!("`{labels}`") };
        let asked = has_overrides(&text, name);
        assert_eq!(asked, kind == "default", "{name} is {kind}, and its overrides are asked for: {asked}");
        expected.insert((
            name.to_owned(),
            labels,
            value.to_owned(),
            if asked { "yes" } else { "no" }.to_owned(),
        ));
    }
    let columns =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = page.split("\n## Thresholds\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let rows = rows.lines().filter(|line| line.starts_with("| `")).map(columns);
    let rows = rows
        .map(|row| (row[0].replace('`', ""), row[1].clone(), row[2].clone(), row.last().unwrap().clone()));
    assert_eq!(
        rows.collect::<BTreeSet<_>>(),
        expected,
        "docs/alerts.md, and prometheus/rules/thresholds.yml"
    );
}

/// `alerts.md` has every recorded series, and no other.
#[test]
fn the_tables_of_series_are_those_of_the_rules() {
    let page = read("docs/alerts.md");
    let tables = page.split("\n## Recorded series\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = tables.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').map(str::to_owned));
    let names: BTreeSet<_> = names.filter(|name| name.contains(':')).collect();
    let mut recorded = named("record: ");
    recorded.insert("akamai:threshold:override".to_owned());
    let (missing, outdated) = (recorded.difference(&names), names.difference(&recorded));
    let (missing, outdated): (Vec<_>, Vec<_>) = (missing.collect(), outdated.collect());
    assert!(
        missing.is_empty() && outdated.is_empty(),
        "docs/alerts.md lacks {missing:?}, and has {outdated:?}"
    );
}

/// A panel that a page sends somebody to is there.
#[test]
fn the_panels_that_pages_name_exist() {
    let dashboards: String = files("grafana/dashboards", ".json").into_iter().map(read).collect();
    let mut found = 0;
    for file in runbooks() {
        for line in read(&file).lines().filter(|line| line.contains("panel")) {
            for name in line.split('*').filter(|part| part.ends_with('?')) {
                assert!(dashboards.contains(&format!("\"title\": \"{name}\"")), "{}: {name}", stem(&file));
                found += 1;
            }
        }
    }
    assert!(found > 20, "only {found} panels found");
}
