//! What the pages say to do with an Alertmanager and a Prometheus of one's own, done.

use std::fmt::Write as _;

use serde_json::json;

use super::calendar::ask_by;
use super::routes::{CATEGORIES, SCOPES, SEVERITIES, SUBJECTS, amtool};
use super::{labels, path, read};

/// A Wednesday.
const AT_NOON: &str = "2026-11-18T12:00:00+01:00";
const AT_NIGHT: &str = "2026-11-18T22:00:00+01:00";

/// The first code block of a language on a page behind these words, without the indent of its list.
fn block(page: &str, words: &str, language: &str) -> String {
    let text = read(page);
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{page} has no {words:?}"));
    let (before, rest) = rest.split_once(&format!("```{language}\n")).unwrap();
    let indent = before.rsplit('\n').next().unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    block.lines().map(|line| format!("{}\n", line.strip_prefix(indent).unwrap_or(line))).collect()
}

/// What stands in our `alertmanager.yml` between two lines.
fn part<'a>(file: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = file.split_once(from).unwrap_or_else(|| panic!("alertmanager.yml has no {from:?}"));
    rest.split_once(to).unwrap_or_else(|| panic!("alertmanager.yml has no {to:?} behind {from:?}")).0
}

/// Somebody's `alertmanager.yml` who did what docs/alertmanager.md says.
fn taken_over() -> String {
    let ours = read("alertmanager.yml");
    let mut text = String::new();
    for line in block("docs/alertmanager.md", "## How do I take it into my own Alertmanager?", "yaml").lines()
    {
        let (taken, right) = match line.trim() {
            "# What stands below `route.routes`, moved four blanks to the right." => {
                (part(&ours, "\n  routes:\n", "\ninhibit_rules:\n"), 4)
            }
            "# What stands below `inhibit_rules`." => {
                (part(&ours, "\ninhibit_rules:\n", "\ntime_intervals:\n"), 0)
            }
            "# What stands below `time_intervals`." => {
                (part(&ours, "\ntime_intervals:\n", "\nreceivers:\n"), 0)
            }
            _ => (line, 0),
        };
        for line in taken.lines() {
            writeln!(text, "{:right$}{line}", "").unwrap();
        }
    }
    let (template, ours) = ("/etc/alertmanager/templates/akamai.tmpl", "prometheus/alertmanager/akamai.tmpl");
    assert!(text.contains(template), "{text}");
    text.replace(template, path(ours).to_str().unwrap())
}

/// Every alert takes the way that it takes with us: receiver, group, waits, downtimes. Those of others take none of it.
#[test]
fn in_an_alertmanager_of_one_s_own_alerts_go_where_they_go_with_us() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), taken_over()).unwrap();
    let (is_valid, said) = amtool(&["check-config", file.path().to_str().unwrap()]);
    assert!(is_valid && said.contains(" - 1 templates") && said.contains(" - 4 receivers"), "{said}");
    let (_, with_us) = amtool(&["check-config", path("alertmanager.yml").to_str().unwrap()]);
    let rules = with_us.lines().find(|line| line.ends_with(" inhibit rules")).unwrap();
    assert!(said.lines().any(|line| line == rules), "{said}{with_us}");
    let mut questions = Vec::new();
    for severity in SEVERITIES {
        for (category, scope) in CATEGORIES.iter().flat_map(|category| SCOPES.map(|scope| (category, scope)))
        {
            let kind = format!("alertname=AkamaiX severity={severity} category={category} scope={scope}");
            let alerts = SUBJECTS.map(|subject| labels(&format!("{kind} {subject}")));
            for at in [AT_NOON, AT_NIGHT] {
                questions.extend(alerts.clone().map(|alert| (at, alert)));
            }
        }
    }
    let (theirs, ours) = (ask_by(file.path(), &questions), ask_by(&path("alertmanager.yml"), &questions));
    for (question, (theirs, ours)) in questions.iter().zip(theirs.iter().zip(&ours)) {
        assert_eq!(theirs, ours, "{question:?}");
    }
    let other = (AT_NIGHT, json!({"alertname": "DiskFull", "severity": "warning"}));
    let answer = &ask_by(file.path(), &[other])[0];
    assert_eq!((&answer["receiver"], &answer["muted"]), (&json!("yours"), &json!(false)));
}
