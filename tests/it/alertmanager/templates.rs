//! What people read, as Alertmanager's own engine renders our templates.

use std::process::Command;

use serde_json::{Value, json};

use super::{labels, path};
use crate::tools::tool;

const START: &str = "2026-11-20T10:02:00.123Z";
const END: &str = "2026-11-20T10:14:30.456Z";

/// An alert as a notification has it.
fn shown(status: &str, text: &str, summary: &str) -> Value {
    let ends = if status == "resolved" { END } else { "0001-01-01T00:00:00Z" };
    json!({
        "status": status, "labels": labels(text), "startsAt": START, "endsAt": ends,
        "annotations": {
            "summary": summary, "description": "Users get errors & retry.",
            "runbook_url": "https://example.com/docs/runbooks/AkamaiServerErrors.md",
            "dashboard_url": "http://localhost:3000/d/akamai?var-cpcode=7&from=now-1h",
        },
    })
}

const CRITICAL: &str =
    "alertname=AkamaiServerErrors severity=critical category=errors account=default cpcode=7";
const WARNING: &str =
    "alertname=AkamaiClientErrors severity=warning category=errors account=default cpcode=7";
const NO_DATA: &str = "alertname=AkamaiNoData severity=warning category=no_data account=default";
const STILL_NO_DATA: &str = "alertname=AkamaiNoData severity=critical category=no_data account=default";

fn notification(status: &str, alerts: &[Value]) -> Value {
    let first = alerts[0]["labels"].as_object().unwrap();
    let common = |name: &String| alerts.iter().all(|alert| alert["labels"][name] == first[name]);
    let common: serde_json::Map<_, _> = first.clone().into_iter().filter(|(name, _)| common(name)).collect();
    let group: serde_json::Map<_, _> = common
        .clone()
        .into_iter()
        .filter(|(name, _)| ["account", "cpcode"].contains(&name.as_str()))
        .collect();
    json!({
        "receiver": "any", "status": status, "alerts": alerts, "groupLabels": group, "commonLabels": common,
        "commonAnnotations": {}, "externalURL": "http://localhost:9093",
    })
}

fn rendered(kind: &str, template: &str, notification: &Value) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), notification.to_string()).unwrap();
    let output = Command::new(tool("amtool", "prometheus-alertmanager"))
        .args(["template", "render", &format!("--template.type={kind}")])
        .arg(format!("--template.glob={}", path("prometheus/alertmanager/*.tmpl").display()))
        .arg(format!("--template.text={{{{ template \"{template}\" . }}}}"))
        .arg(format!("--template.data={}", file.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{template}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn text(template: &str, notification: &Value) -> String {
    rendered("text", template, notification)
}

#[test]
fn a_critical_one() {
    let alert = shown("firing", CRITICAL, "CP code 7 \"Shop\": 12.4 % 5xx at the edge");
    let one = notification("firing", &[alert]);
    assert_eq!(text("akamai.title", &one), "CRITICAL: CP code 7 \"Shop\": 12.4 % 5xx at the edge");
    let expected = "\
Someone should act now: users are affected or soon may be, or nobody would notice if they were.
Account default, CP code 7: 1 firing, 0 resolved.

* CP code 7 \"Shop\": 12.4 % 5xx at the edge
  Users get errors & retry.
  Firing since 2026-11-20 10:02:00 UTC.
  Runbook: https://example.com/docs/runbooks/AkamaiServerErrors.md
  Dashboard: http://localhost:3000/d/akamai?var-cpcode=7&from=now-1h
";
    assert_eq!(text("akamai.text", &one), expected);
    assert_eq!(text("akamai.severity", &one), "critical");
    assert_eq!(text("akamai.dashboard", &one), "http://localhost:3000/d/akamai?var-cpcode=7&from=now-1h");
    assert_eq!(text("akamai.runbook", &one), "https://example.com/docs/runbooks/AkamaiServerErrors.md");
}

fn check_words(alert: &str, status: &str, title: &str, severity: &str, words: &str) {
    let one = notification(status, &[shown(status, alert, "the summary")]);
    assert_eq!(text("akamai.title", &one), format!("{title}: the summary"));
    assert_eq!(text("akamai.slack.title", &one), format!("{title}: the summary"));
    assert_eq!(text("akamai.severity", &one), severity);
    for (kind, template) in [("text", "akamai.text"), ("text", "akamai.slack.text"), ("html", "akamai.html")]
    {
        let whole = rendered(kind, template, &one);
        assert!(whole.contains(words), "{template} without {words:?}: {whole}");
        assert!(whole.contains("the summary") && whole.contains("2026-11-20 10:02:00 UTC"), "{whole}");
    }
}

#[test]
fn each_kind_has_its_words() {
    check_words(CRITICAL, "firing", "CRITICAL", "critical", "Someone should act now");
    check_words(WARNING, "firing", "WARNING", "warning", "in working hours");
    check_words(NO_DATA, "firing", "NO DATA", "warning", "no other alert comes means nothing now");
    check_words(
        STILL_NO_DATA,
        "firing",
        "NO DATA, CRITICAL",
        "critical",
        "no other alert comes means nothing",
    );
    let over = "Fired from 2026-11-20 10:02:00 UTC to 2026-11-20 10:14:30 UTC, for 12m30s.";
    // A critical one ends, and the warning of the same thing may fire on: at night nobody is told of that.
    let milder = "It is no longer critical. A warning of it may go on.";
    // An exporter that is gone ends it as well.
    let answers = "Akamai answers again; or the exporter is gone, which AkamaiExporterDown tells.";
    for (alert, severity, words) in [
        (CRITICAL, "critical", milder),
        (WARNING, "warning", "It is over."),
        (NO_DATA, "warning", answers),
        (STILL_NO_DATA, "critical", answers),
    ] {
        check_words(alert, "resolved", "RESOLVED", severity, over);
        check_words(alert, "resolved", "RESOLVED", severity, words);
    }
    // Of both severities in one group, both have ended.
    let both = notification(
        "resolved",
        &[
            shown("resolved", CRITICAL, "s"),
            shown("resolved", &CRITICAL.replace("=critical", "=warning"), "s"),
        ],
    );
    assert_eq!(text("akamai.lead", &both), "It is over.");
    let colors = [(CRITICAL, "#c0262d"), (WARNING, "#e0a100"), (NO_DATA, "#e0a100")];
    for (alert, color) in colors {
        let one = notification("firing", &[shown("firing", alert, "s")]);
        assert_eq!(text("akamai.slack.color", &one), color);
    }
    let over = notification("resolved", &[shown("resolved", CRITICAL, "s")]);
    assert_eq!(text("akamai.slack.color", &over), "#1a7f37");
}

#[test]
fn several_alerts_are_one_message() {
    let [first, second] =
        ["5xx at the edge", "5xx at the origin"].map(|words| shown("firing", CRITICAL, words));
    let over = shown("resolved", CRITICAL, "4xx at the edge");
    let group = notification("firing", &[over, first, second]);
    assert_eq!(text("akamai.title", &group), "CRITICAL: 5xx at the edge (one of 2 alerts)");
    let whole = text("akamai.text", &group);
    let lines: Vec<_> = whole.lines().filter(|line| line.starts_with('*')).collect();
    assert_eq!(lines, ["* 5xx at the edge", "* 5xx at the origin", "* Resolved: 4xx at the edge"]);
    assert!(whole.contains("Account default, CP code 7: 2 firing, 1 resolved."), "{whole}");
    let html = rendered("html", "akamai.html", &group);
    for words in
        ["<strong>5xx at the edge<", "<strong>5xx at the origin<", "Resolved: <strong>4xx at the edge<"]
    {
        assert_eq!(html.matches(words).count(), 1, "{words}: {html}");
    }
    // An account's two severities in one group: the more severe decides.
    let mixed = notification("firing", &[shown("firing", WARNING, "w"), shown("firing", CRITICAL, "c")]);
    assert!(text("akamai.title", &mixed).starts_with("CRITICAL: "));
}

/// Alertmanager does not put first what fires: a link beside a title must not lead to the runbook of what is over.
#[test]
fn links_are_of_the_alert_in_the_title() {
    let linked = |status: &str, name: &str| {
        let mut alert = shown(status, CRITICAL, name);
        for (annotation, place) in [("runbook_url", "runbooks"), ("dashboard_url", "dashboards")] {
            alert["annotations"][annotation] = json!(format!("https://example.com/{place}/{name}"));
        }
        alert
    };
    let over = linked("resolved", "over");
    for (group, name) in [
        (
            notification("firing", &[over.clone(), linked("firing", "first"), linked("firing", "second")]),
            "first",
        ),
        (notification("resolved", &[over.clone(), linked("resolved", "later")]), "over"),
    ] {
        assert!(text("akamai.title", &group).contains(&format!(": {name} (one of 2 alerts)")));
        assert_eq!(text("akamai.runbook", &group), format!("https://example.com/runbooks/{name}"));
        assert_eq!(text("akamai.dashboard", &group), format!("https://example.com/dashboards/{name}"));
    }
}

#[test]
fn a_name_is_never_markup() {
    let name = "\"Shop\" <!channel> <script>alert('&')</script>";
    let mut alert = shown("firing", CRITICAL, &format!("CP code 7 {name}: 12 %"));
    alert["annotations"]["runbook_url"] = json!("javascript:alert(1)");
    alert["annotations"]["description"] = json!(format!("About {name}."));
    let one = notification("firing", &[alert]);
    assert_eq!(text("akamai.title", &one), format!("CRITICAL: CP code 7 {name}: 12 %"));
    let html = rendered("html", "akamai.html", &one);
    assert!(
        !html.contains("<script") && !html.contains("<!channel") && !html.contains("javascript"),
        "{html}"
    );
    assert!(html.contains("&lt;!channel&gt; &lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"), "{html}");
    assert!(html.contains("href=\"http://localhost:3000/d/akamai?var-cpcode=7&amp;from=now-1h\""), "{html}");
    for template in ["akamai.slack.title", "akamai.slack.text"] {
        let slack = text(template, &one);
        assert!(slack.contains("&lt;!channel&gt; &lt;script&gt;alert('&amp;')&lt;/script&gt;"), "{slack}");
        assert!(!slack.contains("<!channel"), "{slack}");
    }
}

/// An alert of somebody else's comes through, too.
#[test]
fn an_alert_without_annotations() {
    let mut alert = shown("firing", "alertname=Watchdog", "");
    alert["annotations"] = json!({});
    let one = notification("firing", &[alert]);
    assert_eq!(text("akamai.title", &one), "CRITICAL: Watchdog");
    assert!(text("akamai.text", &one).contains("\n* Watchdog\n  Firing since "));
    assert_eq!(text("akamai.dashboard", &one) + &text("akamai.runbook", &one), "");
    assert!(!rendered("html", "akamai.html", &one).contains("href"));
    assert!(!text("akamai.slack.text", &one).contains('|'));
}
