use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::proptest;

use super::*;
use crate::clock::ManualClock;

/// The file that the original's users have, word for word.
const ORIGINAL: &str = "[Exporter]\npolling_interval = 120\nexporter_port = 9877\n\n\
    [Akamai]\nedgerclocation = ~/.edgerc\ncpcode = 1209788\ndeliverynetwork = STANDARD_TLS\naccountSwitchKey =\n";

struct Home {
    _directory: tempfile::TempDir,
    environment: Environment,
    edgerc: PathBuf,
}

/// A home directory with an `.edgerc` that has the sections `default` and `video`.
fn home() -> Home {
    let directory = tempfile::tempdir().unwrap();
    let edgerc = directory.path().join(".edgerc");
    let section = |name: &str| {
        format!(
            "[{name}]\nhost = akab-h.luna.akamaiapis.net\nclient_token = c\nclient_secret = s\naccess_token = a\n"
        )
    };
    std::fs::write(&edgerc, section("default") + &section("video")).unwrap();
    std::fs::set_permissions(&edgerc, std::fs::Permissions::from_mode(0o600)).unwrap();
    let environment = Environment::of([("HOME", directory.path().to_str().unwrap())]);
    Home { _directory: directory, environment, edgerc }
}

fn clock() -> SharedClock {
    Arc::new(ManualClock::at("2026-11-20T10:00:00Z".parse().unwrap()))
}

fn read_at(home: &Home, text: &str) -> Result<Config, String> {
    let problems = Problems::of(Path::new("exporter.ini"));
    Config::read(text.as_bytes(), problems, &home.environment, &clock())
        .map_err(|problems| problems.to_string())
}

fn read(text: &str) -> Result<Config, String> {
    read_at(&home(), text)
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(read(text).unwrap_err(), expected);
}

#[test]
fn the_original_file_is_complete() {
    let config = read(ORIGINAL).unwrap();
    assert_eq!(config.listen_address().to_string(), "[::]:9877");
    assert_eq!(config.accounts[0].name, "default");
    assert_eq!(config.accounts[0].switch_key, SwitchKey::Inherited);
    let source = &config.sources[0];
    assert_eq!((source.info.account.as_str(), source.info.name.as_str()), ("default", "estats"));
    assert_eq!(source.info.interval, Duration::from_secs(120));
    assert_eq!(source.info.targets[0].name, "CP code 1209788 on STANDARD_TLS");
    assert_eq!(source.info.targets.len(), 1);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn a_file_with_everything() {
    let config = read(
        "[EXPORTER]\nlisten_address = 127.0.0.1:9000\nlabels = env=prod, team=\"cdn\"\nstale_after = 5\nlegacy_metrics = yes\n\
         [akamai]\nrate_limit_share = 0.5\nrequest_timeout = 1m\n\
         [Akamai video]\nedgerc_section = video\nAccountSwitchKey = 1-A:1-B\ncpcode = [\"1\", \"2\"]\n\
         [estats shop]\ncpcodes = 3\nurls = https://example.com/\nschedule = */5 * * * *\n\
         [estats slow]\naccount = video\ncpcodes = 4\npolling_interval = 1h\n",
    )
    .unwrap();
    assert_eq!(config.listen_address().to_string(), "127.0.0.1:9000");
    assert_eq!(config.exporter.labels, [("env".into(), "prod".into()), ("team".into(), "cdn".into())]);
    assert!(config.exporter.options.legacy_metrics && config.exporter.stale_after == 5);
    assert_eq!(config.accounts[1].switch_key, SwitchKey::Given("1-A:1-B".into()));
    let sources: Vec<_> = config
        .sources
        .iter()
        .map(|s| format!("{} {} {} {}", s.info.account, s.info.name, s.schedule, s.info.targets.len()))
        .collect();
    let expected =
        ["video estats every 2m 4", "default shop at */5 * * * * (UTC) 4", "video slow every 1h 2"];
    assert_eq!(sources, expected);
    assert_eq!(demands(&config.sources, 2), (vec![2.0, 2.0 / 60.0], 1));
}

#[test]
fn every_mistake_at_once() {
    fails(
        "[Exporter]\npoling_interval = 120\nexporter_port = 99999\nstale_after = 0\nlabels = tier=gold\n\
         [Akamai]\ncpcode = abc\ncpcode = 1\nrate_limit_share = 70\naccountSwitchKey = a b\n\
         [estat]\ncpcodes = 1\n[estats]\nschedule = often\n[exporter]\n[akamai]\n",
        "exporter.ini:2: [Exporter] poling_interval: unknown key; did you mean `polling_interval`?\n\
         exporter.ini:3: [Exporter] exporter_port: `99999` is not accepted; expected a whole number from 0 to 65535\n\
         exporter.ini:4: [Exporter] stale_after: `0` is not accepted; expected a whole number from 1 to 1000\n\
         exporter.ini:5: [Exporter] labels: the label `tier` stands on metrics already; expected another name\n\
         exporter.ini:8: [Akamai] cpcode: repeated; it stands in line 7 already\n\
         exporter.ini:9: [Akamai] rate_limit_share: `70` is no share; expected a number from 0.001 to 1, such as 0.7\n\
         exporter.ini:10: [Akamai] accountSwitchKey: is no account switch key; expected one such as 1-5C0YLB:1-8BYUX, or none\n\
         exporter.ini:11: [estat] unknown section; did you mean `estats`?\n\
         exporter.ini:13: [estats] has neither cpcodes nor urls; expected at least one of them\n\
         exporter.ini:14: [estats] schedule: `often` is no cron expression (it has not five fields); expected five fields, such as */5 * * * *\n\
         exporter.ini:15: [exporter] repeated; it stands in line 1 already, and a second one needs another name\n\
         exporter.ini:16: [akamai] repeated; it stands in line 6 already, and a second one needs another name",
    );
}

#[test]
fn what_does_not_go_together() {
    fails("", "exporter.ini: there is no [akamai] section; expected one that names the credentials");
    fails(
        "[akamai]\n",
        "exporter.ini: there is nothing to poll; expected cpcode in [akamai], or a section such as [estats]",
    );
    fails("x = 1\n[akamai]\ncpcode = 1", "exporter.ini:1: x: stands before any [section]");
    fails(
        "[akamai]\ncpcode = 1\n[estats]\ncpcodes = 2\n",
        "exporter.ini:3: [estats] account default has a source `estats` in line 1 already; \
         give this one another name, as in [estats other]",
    );
    fails(
        "[akamai video]\nedgerc_section = video\n[estats]\ncpcodes = 2\naccount = vdieo\n",
        "exporter.ini:5: [estats] account: there is no account `vdieo`; did you mean `video`?",
    );
    fails(
        "[akamai]\ncpcode = 1\n[estats a]\ncpcodes = 1\nschedule = * * * * *\npolling_interval = 60\n",
        "exporter.ini:5: [estats a] schedule: stands beside polling_interval; expected one of the two",
    );
    fails(
        "[exporter]\nlisten_address = :9000\nexporter_port = 9001\n[akamai]\ncpcode = 1",
        "exporter.ini:2: [exporter] listen_address: says port 9000 and exporter_port says 9001",
    );
    fails(
        "[akamai]\ndeliverynetwork = STANDARD_TLS\n[estats]\ncpcodes = 1",
        "exporter.ini:2: [akamai] deliverynetwork: says how to poll cpcode, and there is no cpcode in this section",
    );
    fails(
        "[akamai]\ncpcode =",
        "exporter.ini:2: [akamai] cpcode: has no value; give one or take the key out",
    );
}

#[test]
fn credentials_are_part_of_the_configuration() {
    let home = home();
    let edgerc = home.edgerc.display();
    let message = read_at(&home, "[akamai]\nedgerc_section = shop\ncpcode = 1\n").unwrap_err();
    let expected = format!(
        "exporter.ini:2: [akamai] edgerc_section: {edgerc} has no section [shop]; it has [default], [video]"
    );
    assert_eq!(message, expected);
    let message = read_at(&home, "[akamai]\nedgerclocation = /nowhere/.edgerc\ncpcode = 1\n").unwrap_err();
    assert!(
        message.starts_with("exporter.ini:2: [akamai] edgerclocation: cannot read /nowhere/.edgerc: "),
        "{message}"
    );
}

#[test]
fn what_does_not_fit_is_told() {
    let codes: Vec<_> = (1..=100).map(|code: u32| code.to_string()).collect();
    let text = format!("[akamai]\ncpcode = {}\n", codes.join(","));
    let expected = "account default, source estats: 200 target(s) do not fit into 120 s: \
        with the budget out of 40 requests a minute each is polled about every 429 s, in turn";
    assert_eq!(read(&text).unwrap().warnings, [expected]);
}

#[test]
fn addresses() {
    let address = |text: &str| exporter::listen_address(text).map(|(ip, port)| format!("{ip} {port:?}"));
    assert_eq!(address("0.0.0.0").unwrap(), "0.0.0.0 None");
    assert_eq!(address("[::1]:80").unwrap(), "::1 Some(80)");
    assert_eq!(address("[::1]").unwrap(), "::1 None");
    assert_eq!(address(":80").unwrap(), ":: Some(80)");
    for bad in ["", "localhost", "1.2.3", ":x", "1.2.3.4:99999"] {
        assert!(address(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let problems = Problems::of(Path::new("exporter.ini"));
        let _ = Config::read(&bytes, problems, &Environment::default(), &clock());
    }

    #[test]
    fn never_panics_on_what_looks_like_a_file(key in "[a-zA-Z_]{0,12}", value in "\\PC{0,20}") {
        for section in ["exporter", "akamai", "estats x"] {
            let _ = read(&format!("[{section}]\n{key} = {value}\n"));
        }
    }
}

#[test]
fn a_client_that_two_accounts_share_is_told() {
    let both = "[akamai]\ncpcode = 1\n[akamai b]\ncpcode = 2\naccountSwitchKey = 1-A:1-B\n";
    let warnings = read(both).unwrap().warnings;
    assert!(warnings[0].starts_with("accounts default and b use the same API client"), "{warnings:?}");
    let halved = both.replace("cpcode = ", "rate_limit_share = 0.4\ncpcode = ");
    assert_eq!(read(&halved).unwrap().warnings, [""; 0]);
}
