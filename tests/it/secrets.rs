//! Secrets stay secret: whatever goes wrong, none is in the log at its most talkative level, in a metric, on the page or in
//! an error.
//!
//! A secret is client_secret, client_token, access_token, the account switch key, and a request's signature.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::process::{Exporter, Simulator, run, write};

const SWITCH_KEY: &str = "1-7Q9ZKW:1-3MXPD";

const INI: &str = "[exporter]\npolling_interval = 1\n\
    [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 2s\nretry_pause = 1s\nblock_pause = 1s\n\
    accountSwitchKey = 1-7Q9ZKW:1-3MXPD\ncpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n";

/// The values of the credentials file, with the names that they have there.
fn secrets(simulator: &Simulator) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(simulator.edgerc()).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let mut secrets: Vec<_> = pairs
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(secrets.len(), 3, "{text}");
    // As it is, and as it stands in a URL.
    secrets.push(("switch key".to_owned(), SWITCH_KEY.to_owned()));
    secrets.push(("encoded switch key".to_owned(), SWITCH_KEY.replace(':', "%3A")));
    secrets
}

#[track_caller]
fn check(secrets: &[(String, String)], place: &str, text: &str) {
    for (name, secret) in secrets {
        // Without its last character, which a cut may have taken, it would be as good as told.
        let found = text.lines().find(|line| line.contains(&secret[..secret.len() - 1]));
        assert!(found.is_none(), "{name} stands in {place}: {found:?}");
    }
    let mut behind = text.split("signature=").skip(1);
    let found = behind.find(|value| !value.starts_with("[redacted]"));
    assert!(found.is_none(), "a signature stands in {place}: {found:?}");
}

/// Looks through everything that the exporter shows, and at the end through its log.
fn check_all(secrets: &[(String, String)], exporter: &Exporter) {
    for path in ["/metrics", "/", "/api/v1/status", "/-/ready", "/-/healthy", "/nowhere"] {
        check(secrets, path, &exporter.get(path).body);
    }
    check(secrets, "the log", &exporter.process.log.join("\n"));
}

#[test]
fn whatever_akamai_answers() {
    let simulator = Simulator::start(&[]);
    let secrets = secrets(&simulator);
    let mut exporter = Exporter::start_at("trace", &simulator, INI);
    exporter.eventually("data", |metrics| metrics.value(&["akamai_up"]) == Some(1.0));
    for (fault, reason) in [
        ("inactive-token", "auth"),
        ("bad-signature", "auth"),
        ("clock-skew", "clock_skew"),
        ("html-403", "ip_blocked"),
        ("html", "malformed"),
        ("garbage", "malformed"),
        ("reset", "interrupted"),
        ("redirect", "redirected"),
    ] {
        let polls = ["akamai_exporter_polls_total", &format!("reason=\"{reason}\"")];
        let so_far = exporter.metrics().value(&polls).unwrap();
        simulator.fault(fault, &json!({}));
        exporter.eventually(fault, |metrics| metrics.value(&polls) > Some(so_far));
        check_all(&secrets, &exporter);
        simulator.heal();
    }
    exporter.process.signal("TERM");
    assert!(exporter.process.ended().success());
    let log = exporter.process.log.join("\n");
    assert!(log.contains("request done") && log.contains("poll failed"), "{log}");
    check(&secrets, "the log", &log);
}

/// An Akamai that quotes the whole request, head and body, wherever an answer has room for words. It answers each
/// connection once, in the way that `answer` says, and keeps what it has heard.
fn parrot(answer: fn(&str) -> String) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, heard) =
        (format!("http://{}", listener.local_addr().unwrap()), Arc::<Mutex<String>>::default());
    let ear = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            ear.lock().unwrap().push_str(&request);
            // The other side may have gone.
            let _ = stream.write_all(answer(&request).as_bytes());
        }
    });
    (url, heard)
}

fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    // The body is a JSON object without another one in it.
    while !request.ends_with(b"}") {
        match stream.read(&mut part) {
            Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

fn respond(head: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The exporter with an Akamai that quotes it.
fn is_not_told(reason: &str, answer: fn(&str) -> String) {
    let simulator = Simulator::start(&[]);
    let secrets = secrets(&simulator);
    let (url, heard) = parrot(answer);
    simulator.edit_edgerc(|text| text.replace(&simulator.url, &url));
    let mut exporter = Exporter::start_at("trace", &simulator, INI);
    let polls = ["akamai_exporter_polls_total", &format!("reason=\"{reason}\"")];
    exporter.process.line("poll failed");
    exporter.eventually(reason, |metrics| {
        metrics.value(&polls) > Some(0.0) && metrics.value(&["akamai_up"]) == Some(0.0)
    });
    check_all(&secrets, &exporter);
    assert_eq!(exporter.process.logged("poll failed").len(), 1);
    let heard = heard.lock().unwrap();
    // There was something to tell.
    for name in ["client_token", "access_token", "encoded switch key"] {
        let secret = &secrets.iter().find(|(known, _)| known == name).unwrap().1;
        assert!(heard.contains(secret), "{name}: {heard}");
    }
    assert!(heard.contains(";signature="), "{heard}");
}

/// One after the other: each may be cut off by the length of what is told.
fn words(request: &str) -> Vec<String> {
    let authorization = request.split("authorization: ").nth(1).unwrap().lines().next().unwrap();
    let path = request.split(' ').nth(1).unwrap();
    vec![path.to_owned(), SWITCH_KEY.to_owned(), authorization.to_owned()]
}

#[test]
fn an_error_that_quotes_the_request() {
    is_not_told("bad_request", |request| {
        let errors: Vec<_> = words(request).into_iter().map(|detail| json!({ "detail": detail })).collect();
        respond("400 Bad Request", &json!({ "title": "Bad", "errors": errors }).to_string())
    });
}

#[test]
fn an_error_that_is_cut_within_a_secret() {
    is_not_told("auth", |request| {
        let token = request.split("client_token=").nth(1).unwrap().split(';').next().unwrap();
        // With `Akamai answered 401: ` before it, the token's last character is the first one too many.
        let detail = format!("{}{token}", "x".repeat(400 - 21 - token.len() + 1));
        respond("401 Unauthorized", &json!({ "detail": detail }).to_string())
    });
}

#[test]
fn an_answer_that_quotes_the_request() {
    is_not_told("malformed", |request| {
        let words = words(request).join(" ");
        respond("200 OK", &json!({ "completedTime": words, "executionStatus": words }).to_string())
    });
    is_not_told("malformed", |request| {
        let result = json!({ "edgeHits": words(request).join(" ") });
        let time = "2026-11-20T10:00:00Z";
        let body = json!({ "completedTime": time, "executionStatus": "SUCCESS", "result": result });
        respond("200 OK", &body.to_string())
    });
}

/// What `[remote_write]` proves itself with: the bearer's token, the password, the header's value, and a token in the URL.
const REMOTE_SECRETS: [(&str, &str); 5] = [
    ("the bearer's token", "bearer-6b1d8f27e5"),
    ("the password", "pass/word+9c04"),
    ("the encoded pair", "bWU6cGFzcy93b3JkKzljMDQ="),
    ("the header's value", "api-key-77aa01c3"),
    ("the token in the URL", "query-token-5ee1"),
];

/// The three ways of it, each in a section of its own, and a record of Akamai's answers.
const REMOTE_INI: &str = "[response_log]\npath = DIRECTORY/responses.log\n\
    [remote_write bearer]\nurl = URL\nbearer_token_file = DIRECTORY/bearer\n\
    [remote_write basic]\nurl = URL\nusername = me\npassword_file = DIRECTORY/password\n\
    [remote_write header]\nurl = URL\nheader = X-Api-Key\nheader_file = DIRECTORY/key\n";

/// A receiver of remote write that refuses everything and quotes the request's head in the first line of its answer, in the order of `statuses`
/// for each of those who write.
fn quoting_receiver(statuses: &'static [&'static str]) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, heard) =
        (format!("http://{}/api/v1/write", listener.local_addr().unwrap()), Arc::<Mutex<String>>::default());
    let ear = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut requests = BTreeMap::<String, usize>::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = read_head(&mut stream);
            ear.lock().unwrap().push_str(&head);
            let proof = head
                .lines()
                .find(|line| line.starts_with("authorization:") || line.starts_with("x-api-key:"))
                .unwrap_or_default();
            let number = requests.entry(proof.to_owned()).or_default();
            let status = statuses[*number % statuses.len()];
            *number += 1;
            let words = format!("refused: {proof} {}", head.lines().next().unwrap_or_default());
            // The other side may have gone.
            let _ = stream.write_all(respond(status, &words).as_bytes());
        }
    });
    (url, heard)
}

/// The head of a request, of which the body is read too: who writes is not to be cut off.
fn read_head(stream: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap_or("0").parse().unwrap();
            let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            if request.len() >= end + length {
                return head.to_owned();
            }
        }
        match stream.read(&mut part) {
            Ok(size @ 1..) => request.extend_from_slice(&part[..size]),
            _ => return text,
        }
    }
}

#[test]
fn receivers_that_quote_what_they_are_sent() {
    let simulator = Simulator::start(&[]);
    let mut secrets = secrets(&simulator);
    secrets.extend(REMOTE_SECRETS.map(|(name, secret)| (name.to_owned(), secret.to_owned())));
    let (url, heard) =
        quoting_receiver(&["500 Internal Server Error", "401 Unauthorized", "400 Bad Request"]);
    let directory = simulator.directory.path();
    for (file, secret) in [("bearer", 0), ("password", 1), ("key", 3)] {
        std::fs::write(directory.join(file), format!("{}\n", REMOTE_SECRETS[secret].1)).unwrap();
    }
    let sinks = REMOTE_INI
        .replace("DIRECTORY", directory.to_str().unwrap())
        .replace("URL", &format!("{url}?token={}", REMOTE_SECRETS[4].1));
    let mut exporter = Exporter::start_at("trace", &simulator, &format!("{INI}{sinks}"));
    exporter.eventually("refusals of all kinds", |metrics| {
        ["bearer", "basic", "header"].iter().all(|sink| {
            let refused =
                ["akamai_exporter_sink_items_total", &format!("sink=\"{sink}\""), "outcome=\"refused\""];
            metrics.value(&refused).unwrap() > 0.0
        })
    });
    check_all(&secrets, &exporter);
    let status = exporter.get("/api/v1/status").body;
    assert!(status.contains("refused: ") && status.contains("[redacted]"), "{status}");
    exporter.process.signal("TERM");
    assert!(exporter.process.ended().success());
    let log = exporter.process.log.join("\n");
    assert!(log.contains("the receiver answered 500") && log.contains("the receiver answered 400"), "{log}");
    check(&secrets, "the log", &log);
    let record = std::fs::read_to_string(directory.join("responses.log")).unwrap();
    assert!(record.contains("\"status\":200"), "{record}");
    check(&secrets, "the response log", &record);
    let heard = heard.lock().unwrap();
    // There was something to tell.
    for (name, secret) in REMOTE_SECRETS.iter().filter(|(name, _)| *name != "the password") {
        assert!(heard.contains(secret), "{name}: {heard}");
    }
}

#[test]
fn credentials_files_with_mistakes() {
    let simulator = Simulator::start(&[]);
    let secrets = secrets(&simulator);
    let right = std::fs::read_to_string(simulator.edgerc()).unwrap();
    let file =
        write(simulator.directory.path(), &INI.replace("EDGERC", simulator.edgerc().to_str().unwrap()));
    for (what, wrong) in [
        ("no equals sign", right.replace(" = ", " ")),
        (
            "no names",
            right.lines().map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>().join("\n"),
        ),
        ("all in the header", right.replace("[default]\n", "[default ").replace('\n', " ")),
        ("blanks in values", right.replace("client_", "client_ ").replace("akab-", "akab ")),
        ("twice", format!("{right}{}", right.replace("[default]\n", ""))),
        ("the host", right.replace("host = http://", &format!("host = {}@", secrets[1].1))),
        ("max_body", format!("{right}max_body = {}\n", secrets[1].1)),
        ("another section", right.replace("[default]", "[other]")),
        ("half a file", right[..right.len() / 3].to_owned()),
    ] {
        simulator.edit_edgerc(|_| wrong);
        let output = run(&["--config.file", file.to_str().unwrap(), "--config.check", "--log.level=trace"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{what}: {said}");
        check(&secrets, what, &said);
    }
}

#[test]
fn a_credentials_file_that_breaks_while_it_is_in_use() {
    let simulator = Simulator::start(&[]);
    let secrets = secrets(&simulator);
    let mut exporter = Exporter::start_at("trace", &simulator, INI);
    exporter.eventually("data", |metrics| metrics.value(&["akamai_up"]) == Some(1.0));
    simulator.edit_edgerc(|text| text.replace("client_secret = ", "client_secret "));
    exporter.process.line("credentials not read again, the old ones stay in use");
    let polls = ["akamai_exporter_polls_total", "outcome=\"success\""];
    let so_far = exporter.metrics().sum(&polls);
    exporter.eventually("more data", |metrics| metrics.sum(&polls) >= so_far + 2.0);
    check_all(&secrets, &exporter);
}

#[test]
fn a_switch_key_that_is_none() {
    let simulator = Simulator::start(&[]);
    let ini = INI
        .replace("EDGERC", simulator.edgerc().to_str().unwrap())
        .replace(SWITCH_KEY, "\"1-7Q9ZKW / 1-3MXPD\"");
    let file = write(simulator.directory.path(), &ini);
    let output = run(&["--config.file", file.to_str().unwrap(), "--config.check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("accountSwitchKey: is no account switch key") && !said.contains("7Q9ZKW"),
        "{said}"
    );
}
