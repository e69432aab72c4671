//! Which alert goes to which receiver, as amtool finds the way.

use std::process::Command;

use super::path;
use crate::tools::tool;

pub(super) const SEVERITIES: [&str; 2] = ["critical", "warning"];
pub(super) const CATEGORIES: [&str; 5] = ["errors", "traffic", "no_data", "access", "exporter"];
pub(super) const SCOPES: [&str; 5] = ["overall", "account", "source", "cpcode", "exporter"];
pub(super) const SUBJECTS: [&str; 4] =
    ["", "account=default", "account=default cpcode=1209788", "account=default url=https://www.example.com/"];

pub(super) fn amtool(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(tool("amtool", "prometheus-alertmanager")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), said.concat())
}

fn check_route(labels: &str, receiver: &str) {
    let (file, wanted) = (
        format!("--config.file={}", path("alertmanager.yml").display()),
        format!("--verify.receivers={receiver}"),
    );
    let pairs: Vec<_> = labels.split_whitespace().collect();
    let (is_right, said) = amtool(&[&["config", "routes", "test", &file, &wanted], &pairs[..]].concat());
    assert!(is_right, "{labels}: {said}");
}

#[test]
fn amtool_accepts_the_configuration_and_its_templates() {
    let (is_valid, said) = amtool(&["check-config", path("alertmanager.yml").to_str().unwrap()]);
    assert!(is_valid && said.contains(" - 1 templates") && said.contains(" - 3 receivers"), "{said}");
}

#[test]
fn every_alert_has_its_receiver() {
    for severity in SEVERITIES {
        for category in CATEGORIES {
            let receiver = if category == "no_data" { "no-data" } else { severity };
            for (scope, subject) in SCOPES.iter().flat_map(|scope| SUBJECTS.map(|subject| (scope, subject))) {
                let labels = format!("severity={severity} category={category} scope={scope} {subject}");
                check_route(&labels, receiver);
            }
        }
    }
}

#[test]
fn whoever_is_neither_critical_nor_a_warning_is_told() {
    for labels in [
        "alertname=Watchdog",
        "severity=page team=web",
        "severity=info team=web",
        "category=errors account=default",
    ] {
        check_route(labels, "critical");
    }
    // And the test sees a wrong one.
    let file = format!("--config.file={}", path("alertmanager.yml").display());
    let (is_right, _) =
        amtool(&["config", "routes", "test", &file, "--verify.receivers=warning", "severity=critical"]);
    assert!(!is_right);
}
