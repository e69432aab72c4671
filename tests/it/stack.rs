//! What stands around the exporter: Prometheus' configuration and rules, and Grafana's dashboards, held against their makers' own judges.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use akamai_exporter::model::Reason;
use serde_json::Value;

use crate::tools::{python, tool};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{said}");
}

#[test]
fn promtool_accepts_configuration_and_rules() {
    let promtool = tool("promtool", "prometheus");
    succeeds(Command::new(&promtool).args(["check", "config"]).arg(path("prometheus.yml")));
    for rules in std::fs::read_dir(path("prometheus/rules")).unwrap() {
        succeeds(
            Command::new(&promtool)
                .args(["check", "rules", "--lint=all", "--lint-fatal"])
                .arg(rules.unwrap().path()),
        );
    }
}

/// Grafana Labs' own models of dashboards, and the conventions; the script proves on damaged ones that it sees a fault.
#[test]
fn dashboards_are_what_grafana_s_models_say() {
    let requirement = std::fs::read_to_string(path("tests/grafana/requirements.txt")).unwrap();
    let requirement = requirement.lines().find(|line| line.contains("==")).unwrap().trim().to_owned();
    let python = python(&requirement);
    succeeds(Command::new(&python).arg(path("tests/grafana/validate.py")));
    succeeds(Command::new(&python).arg(path("tests/grafana/validate.py")).arg("--prove"));
}

/// The dashboard gives the advice that the exporter gives.
#[test]
fn the_dashboard_knows_every_reason() {
    let text = std::fs::read_to_string(path("grafana/dashboards/exporter-health.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let overrides = dashboard["panels"].as_array().unwrap().iter();
    let overrides =
        overrides.flat_map(|panel| panel["fieldConfig"]["overrides"].as_array().into_iter().flatten());
    let helps = overrides.filter(|change| change["matcher"]["options"] == "What helps");
    let properties = helps.flat_map(|change| change["properties"].as_array().unwrap());
    let mappings = properties
        .filter(|property| property["id"] == "mappings")
        .flat_map(|p| p["value"].as_array().unwrap());
    let shown: BTreeMap<_, _> = mappings
        .flat_map(|mapping| mapping["options"].as_object().unwrap())
        .map(|(label, result)| (label.as_str(), result["text"].as_str().unwrap()))
        .collect();
    let ours: BTreeMap<_, _> = Reason::ALL.iter().map(|reason| (reason.label(), reason.advice())).collect();
    assert_eq!(shown, ours);
}
