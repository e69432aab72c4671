//! A wrong exporter.ini: everything that is wrong at once, exit status 78, and nothing is started.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::process::{Simulator, run, write};

const GOOD: &str = "[exporter]\nlisten_address = LISTEN\n\
    [akamai]\nedgerclocation = EDGERC\ncpcode = 1209788\n\
    [estats pages]\nurls = https://www.example.com/\nschedule = */5 * * * *\n";

/// Every kind of mistake, one a line or so.
const BAD: &str = "answer = 42\n\
    [Exporter]\n\
    listen_address = LISTEN\n\
    poling_interval = 120\n\
    stale-after = 0\n\
    legacy_metrics = perhaps\n\
    labels = cpcode=1\n\
    [Akamai]\n\
    edgerclocation = EDGERC\n\
    edgerc_section = shop\n\
    cpcode = 12O9788\n\
    deliverynetwork = STANDARD\n\
    rate_limit_share = 70\n\
    request_timeout = soon\n\
    [estats pages]\n\
    account = defualt\n\
    urls = www.example.com\n\
    schedule = */5 * * *\n\
    schedule = */5 * * * *\n\
    [estat]\n\
    cpcodes = 1\n\
    [estats\n";

const SAID: &str = "FILE:1: answer: stands before any [section]\n\
    FILE:4: [Exporter] poling_interval: unknown key; did you mean `polling_interval`?\n\
    FILE:5: [Exporter] stale-after: unknown key; did you mean `stale_after`?\n\
    FILE:6: [Exporter] legacy_metrics: `perhaps` is neither `true` nor `false`\n\
    FILE:7: [Exporter] labels: the label `cpcode` stands on metrics already; expected another name\n\
    FILE:10: [Akamai] edgerc_section: EDGERC has no section [shop]; it has [default]\n\
    FILE:11: [Akamai] cpcode: `12O9788` is no CP code; expected numbers, such as 1209788, 1209789\n\
    FILE:12: [Akamai] deliverynetwork: `STANDARD` is not known; expected STANDARD_TLS or ENHANCED_TLS\n\
    FILE:13: [Akamai] rate_limit_share: `70` is no share; expected a number from 0.001 to 1, such as 0.7\n\
    FILE:14: [Akamai] request_timeout: `soon` is no duration; expected seconds or `90s`, `5m`, `1h`\n\
    FILE:16: [estats pages] account: there is no account `defualt`; did you mean `default`?\n\
    FILE:17: [estats pages] urls: `www.example.com` is no full URL; expected one such as https://www.example.com/\n\
    FILE:18: [estats pages] schedule: `*/5 * * *` is no cron expression (it has not five fields); expected five fields, such as */5 * * * *\n\
    FILE:19: [estats pages] schedule: repeated; it stands in line 18 already\n\
    FILE:20: [estat] unknown section; did you mean `estats`?\n\
    FILE:22: [estat] a section's header is not closed or empty; expected `[section]`, `key = value` or a comment\n";

/// What sections of sinks can have wrong.
const BAD_SINKS: &str = "[exporter]\n\
    labels = team=cdn\n\
    [akamai]\n\
    edgerclocation = EDGERC\n\
    cpcode = 1209788\n\
    [dogstatsd]\n\
    adress = 127.0.0.1:8125\n\
    [dogstatsd agent]\n\
    send_after = 45m\n\
    [remote_write agent]\n\
    url = http://127.0.0.1:9090/api/v1/write\n\
    [response_log]\n\
    max_size = 100M\n\
    [response_log there]\n\
    path = /nowhere/responses.log\n\
    [remote_write]\n\
    url = mimir.example.com/api/v1/push\n\
    [remote_write twice]\n\
    url = https://mimir.example.com/api/v1/push\n\
    bearer_token_file = EDGERC\n\
    header = X-Api-Key\n\
    header_file = EDGERC\n\
    [remote_write password]\n\
    url = https://mimir.example.com/api/v1/push\n\
    username = me\n\
    password_file = /nowhere/password\n\
    [remote_write labels]\n\
    url = https://mimir.example.com/api/v1/push\n\
    labels = team=web\n\
    [remote_write own]\n\
    url = https://mimir.example.com/api/v1/push\n\
    labels = cpcode=1\n\
    [remote_writ]\n\
    url = https://mimir.example.com/api/v1/push\n";

const SAID_OF_SINKS: &str = "FILE:7: [dogstatsd] adress: unknown key; did you mean `address`?\n\
    FILE:9: [dogstatsd agent] send_after: differs from that of another sink; windows are sent at one age, so expected the same in all sections\n\
    FILE:10: [remote_write agent] there is a sink `agent` in line 8 already; give this one another name, as in [remote_write other]\n\
    FILE:12: [response_log] has no path; expected one such as /var/log/akamai-exporter/responses.log\n\
    FILE:15: [response_log there] path: the directory `/nowhere` is not there; make it first\n\
    FILE:17: [remote_write] url: is no URL (relative URL without a base); expected one such as https://mimir.example.com/api/v1/push\n\
    FILE:21: [remote_write twice] header: stands beside `bearer_token_file`; expected one way to authenticate\n\
    FILE:26: [remote_write password] password_file: cannot read /nowhere/password: No such file or directory (os error 2)\n\
    FILE:29: [remote_write labels] labels: the label `team` stands in `labels` of [exporter]; expected another name\n\
    FILE:32: [remote_write own] labels: the label `cpcode` stands on metrics already; expected another name\n\
    FILE:33: [remote_writ] unknown section; did you mean `remote_write`?\n";

struct Place {
    simulator: Simulator,
    /// Whoever tried to listen here would fail.
    _taken: TcpListener,
    address: String,
}

impl Place {
    fn new() -> Self {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        Self { simulator: Simulator::start(&[]), _taken: taken, address }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("LISTEN", &self.address)
            .replace("EDGERC", self.simulator.edgerc().to_str().unwrap())
            .replace("FILE:", &format!("{}:", self.file().display()))
    }

    fn file(&self) -> std::path::PathBuf {
        self.simulator.directory.path().join("exporter.ini")
    }

    /// Runs the exporter with this file; nothing is polled.
    fn run(&self, ini: &str, arguments: &[&str]) -> Output {
        let file = write(self.simulator.directory.path(), &self.fill(ini));
        let output = run(&[&["--config.file", file.to_str().unwrap()], arguments].concat());
        assert_eq!(self.simulator.log()["last"], 0, "Akamai was asked");
        output
    }
}

#[track_caller]
fn check(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert_eq!((output.status.code(), &*out, &*err), (Some(status), stdout, stderr));
}

#[test]
fn every_mistake_at_once_and_nothing_is_started() {
    let place = Place::new();
    // The address is taken: a process that had begun to start would say so.
    check(&place.run(BAD, &[]), 78, "", &place.fill(SAID));
    check(&place.run(BAD, &["--config.check"]), 78, "", &place.fill(SAID));
}

#[test]
fn every_mistake_of_sinks_at_once() {
    let place = Place::new();
    check(&place.run(BAD_SINKS, &[]), 78, "", &place.fill(SAID_OF_SINKS));
    check(&place.run(BAD_SINKS, &["--config.check"]), 78, "", &place.fill(SAID_OF_SINKS));
}

#[test]
fn a_check_does_only_that() {
    let place = Place::new();
    let said = place.fill("FILE: OK: accounts 1, sources 2, targets 4, sinks 0\n");
    check(&place.run(GOOD, &["--config.check"]), 0, &said, "");
    let many: Vec<_> = (1..=100).map(|code: u32| code.to_string()).collect();
    let crowded = GOOD.replace("1209788", &many.join(", "));
    let output = place.run(&crowded, &["--config.check"]);
    let warning =
        place.fill("FILE: warning: account default, source estats: 200 target(s) do not fit into 120 s: ");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with(&warning));
    // Without --config.check the same file gets as far as the address.
    assert_eq!(place.run(GOOD, &[]).status.code(), Some(1));
}

#[test]
fn a_file_that_cannot_be_read() {
    let place = Place::new();
    let output = run(&["--config.check", "--config.file", "/nowhere/exporter.ini"]);
    let said = "/nowhere/exporter.ini: cannot be read: No such file or directory (os error 2); name the file with --config.file\n";
    check(&output, 78, "", said);
    check(
        &run(&["--config.file", place.simulator.directory.path().to_str().unwrap()]),
        78,
        "",
        &format!(
            "{}: cannot be read: Is a directory (os error 21); name the file with --config.file\n",
            place.simulator.directory.path().display()
        ),
    );
}

#[test]
fn a_file_of_any_bytes() {
    let place = Place::new();
    let file = place.file();
    let lines = ["[exporter]", "labels = a=\"b", "[akamai]", "edgerclocation = ~", "cpcode = 1", "== = ="];
    let mut bytes = lines.join("\r\n").into_bytes();
    bytes.extend(b"\r\n\xff\xfe = 1\r\n\0 = \0\r\n");
    std::fs::write(&file, bytes).unwrap();
    let output = run(&["--config.file", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(78), &b""[..]), "{said}");
    for line in [2, 4, 6, 7, 8] {
        let section = if line == 2 { "[exporter]" } else { "[akamai]" };
        assert!(said.contains(&format!("{}:{line}: {section} ", file.display())), "{line}: {said}");
    }
    assert!(said.contains(":7: [akamai] the line is not UTF-8 text; save the file as UTF-8\n"), "{said}");
    assert_eq!(said.lines().count(), 5, "{said}");
}

#[test]
fn wrong_usage() {
    for arguments in [
        &["--no-such-flag"][..],
        &["--log.level=loud"],
        &["--web.listen-address=9877"],
        &["--web.telemetry-path=/"],
        &["nonsense"],
        &["demo", "--config.check"],
        &["simulate", "--cpcodes=none"],
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(2), &b""[..]),
            "{arguments:?}: {said}"
        );
        assert!(said.starts_with("error: "), "{arguments:?}: {said}");
    }
}

#[test]
fn version_and_help() {
    check(&run(&["--version"]), 0, concat!("akamai-exporter ", env!("CARGO_PKG_VERSION"), "\n"), "");
    let help = run(&["--help"]);
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && Path::new("exporter.ini").is_relative());
    for flag in ["--config.file", "--config.check", "--web.listen-address", "--log.level", "demo", "simulate"]
    {
        assert!(said.contains(flag), "{flag}: {said}");
    }
}
