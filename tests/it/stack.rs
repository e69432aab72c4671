//! What stands around the exporter: Prometheus' configuration and Grafana's dashboards, held against their makers' own judges.

use std::collections::BTreeMap;
use std::process::Command;

use akamai_exporter::model::Reason;
use serde_json::Value;

use crate::process::run;
use crate::repository::{path, read};
use crate::tools::{python, succeeds, tool};

#[test]
fn promtool_accepts_the_configuration() {
    let promtool = tool("promtool", "prometheus");
    succeeds(Command::new(&promtool).args(["check", "config"]).arg(path("prometheus.yml")));
}

/// Grafana Labs' own models of dashboards, and the conventions; the script proves on damaged ones that it sees a fault.
#[test]
fn dashboards_are_what_grafana_s_models_say() {
    let requirement = read("tests/grafana/requirements.txt");
    let requirement = requirement.lines().find(|line| line.contains("==")).unwrap().trim().to_owned();
    let python = python(&requirement);
    succeeds(Command::new(&python).arg(path("tests/grafana/validate.py")));
    succeeds(Command::new(&python).arg(path("tests/grafana/validate.py")).arg("--prove"));
}

/// What the compose file says of a service.
fn service(name: &str) -> String {
    let compose = read("docker-compose.yml");
    let (_, rest) = compose.split_once(&format!("\n  {name}:\n")).unwrap();
    rest.split("\n\n").next().unwrap().to_owned()
}

/// Prometheus tells Alertmanager, which tells the page, and finds its files where they are mounted.
#[test]
fn alerting_fits_together() {
    let (prometheus, alertmanager) = (read("prometheus.yml"), read("alertmanager.yml"));
    assert!(prometheus.contains("\n        - targets: [\"alertmanager:9093\"]\n"), "{prometheus}");
    let receivers = alertmanager.split("\nreceivers:\n").nth(1).unwrap();
    let (names, urls) =
        ("\n  - name: ", "\n      - url: http://notifications:9880/\n        send_resolved: true\n");
    let numbers = (format!("\n{receivers}").matches(names).count(), receivers.matches(urls).count());
    assert_eq!(numbers, (3, 3), "{receivers}");
    let notifications = service("notifications");
    assert!(notifications.contains("[\"notifications\", \"--listen=0.0.0.0:9880\"]"), "{notifications}");
    let mounts = service("alertmanager");
    let templates = alertmanager.split("\ntemplates:\n  - ").nth(1).unwrap().lines().next().unwrap();
    let folder = templates.strip_suffix("/*.tmpl").unwrap();
    for (source, target) in [("alertmanager.yml", "alertmanager.yml"), (folder, folder)] {
        let mount = format!(
            "source: ./{source}\n        target: /etc/alertmanager/{target}\n        read_only: true"
        );
        assert!(mounts.contains(&mount) && path(source).exists(), "{mount}: {mounts}");
    }
}

/// What the exporter writes Prometheus must take, and each file has its part in that.
#[test]
fn remote_write_fits_together() {
    let prometheus = read("prometheus.yml");
    let url = "http://prometheus:9090/api/v1/write";
    assert!(service("exporter").contains(&format!("\"--remote-write.url={url}\"")));
    assert!(service("prometheus").contains("- --web.enable-remote-write-receiver\n"));
    assert!(prometheus.contains("\n    out_of_order_time_window: 7d\n"), "{prometheus}");
    for example in ["exporter.ini", "docker-compose.account.yml", "docs/deployment.md"] {
        assert!(read(example).contains(&format!("url = {url}\n")), "{example}");
    }
}

/// The examples of `exporter.ini` are right when somebody takes their `#` away.
#[test]
fn what_is_commented_out_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let (ini, edgerc) = (directory.path().join("exporter.ini"), directory.path().join("edgerc"));
    std::fs::write(
        &edgerc,
        "[default]\nhost = h.example\nclient_token = c\nclient_secret = s\naccess_token = a\n",
    )
    .unwrap();
    let is_example = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let text: String = read("exporter.ini")
        .lines()
        .map(|line| line.strip_prefix("# ").filter(is_example).unwrap_or(line).to_owned() + "\n")
        .collect();
    let here = directory.path().display().to_string();
    let text = text
        .replace("~/.edgerc", &edgerc.display().to_string())
        .replace("/var/lib/akamai-exporter", &here)
        .replace("/var/log/akamai-exporter", &here);
    std::fs::write(&ini, &text).unwrap();
    let output = run(&["--config.check", "--config.file", ini.to_str().unwrap()]);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for section in ["[amd]", "[remote_write]", "[dogstatsd]", "[response_log]"] {
        assert!(text.lines().any(|line| line == section), "no example of {section}");
    }
}

/// The dashboard gives the advice that the exporter gives.
#[test]
fn the_dashboard_knows_every_reason() {
    let text = read("grafana/dashboards/exporter-health.json");
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
