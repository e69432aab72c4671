//! What the pages say to do with an Alertmanager and a Prometheus of one's own, done.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use super::calendar::ask_by;
use super::routes::{CATEGORIES, SCOPES, SEVERITIES, SUBJECTS, amtool};
use super::{labels, path, read};
use crate::repository::{copy_rules, files};
use crate::tools::{outcome, succeeds, tool};

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

/// The labels that are left of a target, as Prometheus itself says.
#[test]
fn labels_of_pods_are_taken_off() {
    let relabeling = block("docs/alerts.md", "**On Kubernetes**", "yaml");
    let labels = ["pod", "container", "endpoint", "node", "uid", "namespace"];
    let labels: Vec<_> = labels.iter().map(|name| format!("{name}: x")).collect();
    let job = format!(
        "job_name: akamai\nstatic_configs: [{{targets: ['t:1'], labels: {{{}}}}}]\n{relabeling}",
        labels.join(", ")
    );
    let job: String = job.lines().map(|line| format!("    {line}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("scrape_configs:\n  -\n{job}")).unwrap();
    let mut promtool = Command::new(tool("promtool", "prometheus"));
    // It looks for targets as long as it may.
    promtool.args(["check", "service-discovery", "--timeout=3s"]).arg(file.path()).arg("akamai");
    let (success, said) = outcome(&mut promtool);
    assert!(success, "{said}");
    let targets: Value = serde_json::from_str(&said[said.find('[').unwrap()..]).unwrap();
    let mut left: Vec<_> =
        targets[0]["labels"].as_object().unwrap_or_else(|| panic!("{said}")).keys().collect();
    left.retain(|name| !name.starts_with("__"));
    assert_eq!(left, ["instance", "job", "namespace"], "{said}");
}

/// Every link leads elsewhere then, and nothing else has changed.
#[test]
fn runbooks_of_one_s_own_are_linked_by_one_command() {
    let block = block("docs/alerts.md", "- **Runbooks** are linked", "console");
    let (folder, place) = (tempfile::tempdir().unwrap(), "/etc/prometheus/akamai/");
    copy_rules(folder.path(), |_, text| text);
    assert!(block.contains(place), "{block}");
    let command = block.trim().strip_prefix("$ ").unwrap();
    let command = command.replace(place, &format!("{}/", folder.path().display()));
    succeeds(Command::new("sh").args(["-ec", &command]));
    let mut links = 0;
    for file in files("prometheus/rules", ".yml") {
        let (ours, theirs) =
            (read(&file), std::fs::read_to_string(folder.path().join(file.file_name().unwrap())).unwrap());
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            let page = ours.trim().strip_prefix("runbook_url: ");
            let name = page.map(|page| page.rsplit('/').next().unwrap().strip_suffix(".md").unwrap());
            links += usize::from(name.is_some());
            let wanted = name.map(|name| format!("runbook_url: https://wiki.example.com/akamai/{name}"));
            assert_eq!(theirs.trim(), wanted.as_deref().unwrap_or(ours.trim()), "{}", file.display());
        }
        assert_eq!(ours.lines().count(), theirs.lines().count());
    }
    assert!(links > 20, "{links} links");
}
