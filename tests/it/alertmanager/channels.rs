//! The examples of e-mail, Slack and PagerDuty in `alertmanager.yml`: they are right when somebody takes their `#` away, and each sends
//! what it should to whoever stands in for the service.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::{Alertmanager, Edit, NO_DOWNTIME, QUICK, Webhook, alert, configuration};
use crate::process::PATIENCE;

/// Whether a comment is an example: a key or an entry, not prose.
fn is_example(comment: &str) -> bool {
    let text = comment.trim_start();
    let key = text.split(':').next().unwrap();
    let is_key =
        text.contains(':') && !key.is_empty() && key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    is_key || text.starts_with("- ") || text.starts_with("Subject:")
}

fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let example = rest.strip_prefix("# ").filter(|comment| is_example(comment));
        format!("{indent}{}\n", example.unwrap_or(rest))
    };
    text.lines().map(line).collect()
}

/// A mail server that takes one message, as far as Alertmanager needs one.
fn mail_server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (sender, mail)) = (listener.local_addr().unwrap().to_string(), channel());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(sender.send(take_mail(stream)));
    });
    (address, mail)
}

fn take_mail(mut stream: TcpStream) -> String {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let mut mail = String::new();
    stream.write_all(b"220 ready\r\n").unwrap();
    while let Some(line) = lines.next() {
        let answer = match line.split_whitespace().next().unwrap_or_default() {
            "DATA" => {
                stream.write_all(b"354 go on\r\n").unwrap();
                let body = lines.by_ref().take_while(|line| line != ".");
                mail = body.map(|line| line + "\n").collect();
                "250 taken"
            }
            "QUIT" => break,
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
    }
    // Alertmanager may have gone already.
    let _ = stream.write_all(b"221 bye\r\n");
    mail
}

/// All channels at once, each told by the receiver in which its example stands.
#[test]
fn what_is_commented_out_sends() {
    let (webhook, (mail_address, mail), secrets) =
        (Webhook::start(), mail_server(), tempfile::tempdir().unwrap());
    for (name, secret) in [
        ("slack-url", webhook.url() + "slack"),
        ("pagerduty-key", "key-of-32".to_owned()),
        ("smtp-password", "x".to_owned()),
    ] {
        std::fs::write(secrets.path().join(name), secret).unwrap();
    }
    let here = format!("{}/", secrets.path().display());
    let (url, pagerduty) =
        (webhook.url(), format!("  resolve_timeout: 5m\n  pagerduty_url: {}pagerduty", webhook.url()));
    // The real server has TLS.
    let smarthost = format!("smtp_smarthost: {mail_address}\n  # smtp_require_tls: false");
    let local: [Edit; 4] = [
        ("http://notifications:9880/", &url),
        ("/etc/alertmanager/secrets/", &here),
        ("  resolve_timeout: 5m", &pagerduty),
        ("smtp_smarthost: mail.example.com:587", &smarthost),
    ];
    let text = uncommented(&configuration(&[&QUICK[..], &NO_DOWNTIME, &local].concat()));
    for key in
        ["\n    pagerduty_configs:\n", "\n    email_configs:\n", "\n    slack_configs:\n", "\n  smtp_from: "]
    {
        assert!(text.contains(key), "no example of {key}: {text}");
    }
    let alertmanager = Alertmanager::with(&text);
    alertmanager.post(&[
        alert("alertname=A severity=critical category=errors account=p"),
        alert("alertname=B severity=warning category=errors account=m"),
        alert("alertname=C severity=warning category=no_data account=s"),
    ]);
    let event = webhook.until("PagerDuty", |one| one.path == "/pagerduty").body;
    assert_eq!(event["routing_key"], "key-of-32");
    let summary = "about alertname=A severity=critical category=errors account=p";
    assert_eq!(event["payload"]["summary"], format!("CRITICAL: {summary}"));
    assert_eq!(event["payload"]["severity"], "critical");
    assert!(
        event["payload"]["custom_details"]["text"].as_str().unwrap().contains("Someone should act now"),
        "{event}"
    );
    // As quoted-printable has it.
    let mail = mail.recv_timeout(PATIENCE).unwrap().replace("=\n", "").replace("=3D", "=");
    let has_line = |begin: &str| mail.lines().any(|line| line.starts_with(begin));
    assert!(has_line("Subject: WARNING: about alertname=B severity=warning"), "{mail}");
    assert!(has_line("To: cdn-team@example.com"), "{mail}");
    assert!(
        mail.contains("text/plain") && mail.contains("text/html") && mail.contains("in working hours"),
        "{mail}"
    );
    let is_slack = |one: &super::Notification| one.path == "/slack";
    let slack =
        webhook.all().into_iter().find(is_slack).unwrap_or_else(|| webhook.until("Slack", is_slack)).body;
    let message = &slack["attachments"][0];
    assert_eq!(slack["channel"], "#cdn-alerts");
    assert_eq!(message["title"], "NO DATA: about alertname=C severity=warning category=no_data account=s");
    assert!(message["text"].as_str().unwrap().contains("means nothing now"), "{slack}");
}
