//! The status page in a real browser: what it shows, that nothing in it is taken for markup, and that no request leaves it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{Exporter, Simulator};
use crate::tools::tool;

/// What Chromium does of its own accord, whatever page is open.
const CHROMIUM_S_OWN: [&str; 4] = [".google.com", ".googleapis.com", ".gvt1.com", ".gstatic.com"];

/// What the browser made of a page.
struct Seen {
    /// The document after loading.
    dom: String,
    /// The addresses that were asked for.
    asked: BTreeSet<String>,
}

fn chromium(arguments: &[&str], profile: &Path) -> Command {
    let mut command = Command::new(tool("chromium", "chromium"));
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]);
    command.args(["--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(arguments);
    command
}

fn open(url: &str) -> Seen {
    let profile = tempfile::tempdir().unwrap();
    let log = profile.path().join("net.json");
    let log_argument = format!("--log-net-log={}", log.display());
    let output = chromium(&[&log_argument, "--dump-dom", url], profile.path()).output().unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !dom.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Seen { dom, asked: requests(&std::fs::read_to_string(log).unwrap()) }
}

/// The addresses in a network log of Chromium's.
fn requests(log: &str) -> BTreeSet<String> {
    // A browser that was ended leaves the list open.
    let log: Value = serde_json::from_str(log)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", log.trim_end().trim_end_matches(','))))
        .unwrap();
    let start = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    let events = log["events"].as_array().unwrap().iter().filter(|event| event["type"] == *start);
    let urls = events.filter_map(|event| event["params"]["url"].as_str());
    urls.filter(|url| !is_chromium_s_own(url)).map(str::to_owned).collect()
}

fn is_chromium_s_own(url: &str) -> bool {
    let host = reqwest::Url::parse(url).unwrap().host_str().unwrap_or_default().to_owned();
    CHROMIUM_S_OWN.iter().any(|own| host.ends_with(own))
}

/// One account that works, with a target that does not and a name that would be markup; one that Akamai refuses.
fn exporter(simulator: &Simulator) -> Exporter {
    let hostile = "https://www.forbidden.example/<img/src=x>?\"'&amp;<script>document.title=1</script>";
    let ini = format!(
        "[exporter]\npolling_interval = 1h\n[akamai]\nedgerclocation = EDGERC\nrate_limit_share = 1\n\
         [estats]\ncpcodes = 1209788\ndelivery_networks = STANDARD_TLS\n\
         [estats hostile]\nurls = {hostile}\ndelivery_networks = STANDARD_TLS\n\
         [akamai video]\nedgerclocation = EDGERC\nedgerc_section = video\ncpcode = 100001\ndeliverynetwork = STANDARD_TLS\n"
    );
    simulator.fault("inactive-token", &json!({ "client": "video" }));
    let mut exporter = Exporter::start(simulator, &ini);
    exporter.eventually("all polls", |metrics| metrics.series(&["akamai_target_up"]).len() == 3);
    exporter
}

#[test]
fn the_page_in_a_browser() {
    let simulator = Simulator::start(&["--clients=default,video"]);
    let exporter = exporter(&simulator);
    let seen = open(&format!("{}/", exporter.url));
    let expected = [
        "2 of 3 sources without data",
        "Account video",
        "Inactive client token. Check client_token, access_token and client_secret",
        "CP code 1209788 on STANDARD_TLS",
        "Gives data; the last data is",
        "% errors of",
        "href=\"/metrics\"",
        "href=\"/api/v1/status\"",
    ];
    for words in expected {
        assert!(seen.dom.contains(words), "{words}: {}", seen.dom);
    }
    assert!(!seen.dom.contains("<script") && !seen.dom.contains("<img"), "{}", seen.dom);
    assert!(seen.dom.contains("&lt;script&gt;document.title=1&lt;/script&gt;"), "{}", seen.dom);
    let own: BTreeSet<_> = [format!("{}/", exporter.url), format!("{}/favicon.ico", exporter.url)].into();
    assert!(seen.asked.is_subset(&own) && !seen.asked.is_empty(), "{:?}", seen.asked);
}

/// That the test above would see a request that leaves a page.
#[test]
fn a_page_that_loads_something_is_caught() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    std::fs::write(&file, "<img src=http://127.0.0.1:1/x.png>").unwrap();
    assert!(open(&format!("file://{}", file.display())).asked.contains("http://127.0.0.1:1/x.png"));
}

/// The page as people see it: a picture for each width and colour scheme, none of them empty.
#[test]
fn screenshots() {
    let simulator = Simulator::start(&["--clients=default,video"]);
    let exporter = exporter(&simulator);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, size, scheme) in [
        ("desktop-light", "1280,1100", 1),
        ("desktop-dark", "1280,1100", 0),
        ("phone-light", "400,1600", 1),
        ("phone-dark", "400,1600", 0),
    ] {
        let picture = directory.join(format!("status-{name}.png"));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            format!("--blink-settings=preferredColorScheme={scheme}"),
            format!("--window-size={size}"),
            format!("--screenshot={}", picture.display()),
            format!("{}/", exporter.url),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = chromium(&arguments, profile.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = std::fs::read(&picture).unwrap();
        assert!(
            bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000,
            "{} bytes in {}",
            bytes.len(),
            picture.display()
        );
    }
}
