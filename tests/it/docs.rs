//! The documentation says what the code declares.

use std::path::{Path, PathBuf};

use akamai_exporter::config::{SECTIONS, SOURCE_KEYS};
use akamai_exporter::ini::Key;
use akamai_exporter::model::{Family, Reason, window_metric};
use akamai_exporter::sink;
use akamai_exporter::snapshot::health;
use akamai_exporter::source::{KINDS, Kind};
use akamai_exporter::telemetry::families;

use crate::process::{Process, run};
use crate::repository::{path, read};

/// What a person wrote of `docs/metrics.md` ends here, what is generated begins.
const MARK: &str = "<!-- From here on generated from the code: UPDATE_DOCS=1 cargo test --test it docs -->\n";

fn section(text: &mut String, title: &str, before: &str, common: &[&str], families: &[&Family]) {
    text.push_str(&format!("\n## {title}\n\n{before}\n"));
    for family in families {
        let labels: Vec<_> = common.iter().chain(family.labels).map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        let only = if family.name.starts_with("akamai_") || family.name.starts_with("process_") {
            ""
        } else {
            " Only with `legacy_metrics = true`."
        };
        let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
        text.push_str(&format!("\n### `{name}`\n\n{help}\n\nType: {kind}. Labels: {labels}.{only}\n"));
        if name.starts_with("akamai_traffic_") && name.ends_with("_total") {
            let gauge = window_metric(name);
            text.push_str(&format!("By [remote write](sinks.md#what-does-remote-write-write): `{gauge}`, a gauge of one window.\n"));
        }
    }
}

fn generated() -> String {
    let mut text = MARK.to_owned();
    let common = "Besides the labels below: the static `labels` of `[exporter]`.";
    let mut kinds: Vec<&Kind> = KINDS.to_vec();
    while let Some(first) = kinds.first().copied() {
        // Kinds of one report have the same families.
        let (same, others): (Vec<_>, Vec<_>) =
            kinds.iter().copied().partition(|kind| std::ptr::eq(kind.families, first.families));
        let names: Vec<_> = same.iter().map(|kind| format!("`[{}]`", kind.name)).collect();
        let labels = if first.name == "estats" {
            "A series has `cpcode` or `url`, never both."
        } else {
            "Of those on `akamai_traffic_*_total` and `_ratio` a series has the ones that `dimensions` asks for, `cpcode` and `status_class` as a rule."
        };
        let before = format!("{common} {labels}");
        section(
            &mut text,
            &format!("Data of {}", names.join(" and ")),
            &before,
            &["account", "source"],
            first.families,
        );
        kinds = others;
    }
    let before = "Besides the labels below: on `akamai_target_up` those that tell the target \
        (`cpcode` or `url`, and `delivery`; none for a report); on `akamai_up` and `akamai_target_up` the static `labels`.";
    section(&mut text, "How the polling goes", before, &["account", "source"], &health::ALL);
    section(&mut text, "The exporter itself", "No further labels.", &[], &families::ALL);
    text
}

#[test]
fn metrics_md_is_what_the_code_declares() {
    let file = read("docs/metrics.md");
    let (own, rest) = file.split_at(file.find(MARK).expect("docs/metrics.md has lost its mark"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path("docs/metrics.md"), format!("{own}{}", generated())).unwrap();
    } else {
        assert_eq!(rest, generated(), "run UPDATE_DOCS=1 cargo test --test it docs");
    }
}

/// The keys and defaults in the tables below the heading `## [name]`.
fn documented(name: &str) -> Vec<(String, String)> {
    let file = read("docs/configuration.md");
    let heading = format!("## [{name}]\n");
    let from =
        file.find(&heading).unwrap_or_else(|| panic!("docs/configuration.md has no `{}`", heading.trim()));
    let body = &file[from + heading.len()..];
    let body = &body[..body.find("\n## ").unwrap_or(body.len())];
    let rows = body.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once("` | "))
        .map(|(key, rest)| (key.to_owned(), rest.split(" | ").next().unwrap().replace('`', "")))
        .collect()
}

fn check_keys<'a>(name: &str, declared: impl Iterator<Item = &'a Key>) {
    let mut declared: Vec<_> =
        declared.map(|key| (key.name.to_owned(), key.default.replace('`', ""))).collect();
    let mut documented = documented(name);
    declared.sort();
    documented.sort();
    assert_eq!(documented, declared, "[{name}] in docs/configuration.md, and in the code");
}

#[test]
fn configuration_md_has_every_key_with_its_default() {
    for (name, keys) in SECTIONS {
        check_keys(name, keys.iter());
    }
    for kind in KINDS {
        check_keys(kind.name, SOURCE_KEYS.iter().chain(kind.keys));
    }
    for kind in sink::KINDS {
        check_keys(kind.name, kind.keys.iter());
    }
}

#[test]
fn the_readme_has_every_reason() {
    let readme = read("README.md");
    for reason in Reason::ALL {
        assert!(
            readme.contains(&format!("`{}`", reason.label())),
            "README.md does not tell of {}",
            reason.label()
        );
    }
}

#[test]
fn the_shipped_configuration_is_valid() {
    let home = tempfile::tempdir().unwrap();
    let edgerc = "[default]\nhost = h.example\nclient_token = c\nclient_secret = s\naccess_token = a\n";
    std::fs::write(home.path().join(".edgerc"), edgerc).unwrap();
    let file = path("exporter.ini");
    let arguments = ["--config.check", "--config.file", file.to_str().unwrap()];
    let mut process = Process::start(&arguments, &[("HOME", home.path().to_str().unwrap())]);
    let status = process.ended();
    assert!(status.success(), "{:?}", process.log);
}

/// The examples of configurations on a page that have a sink.
fn examples(page: &str) -> Vec<String> {
    let file = read(page);
    let blocks = file.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| sink::KINDS.iter().any(|kind| block.contains(&format!("[{}", kind.name)))).collect()
}

#[test]
fn the_examples_of_sinks_are_valid() {
    let home = tempfile::tempdir().unwrap();
    let edgerc = "[default]\nhost = h.example\nclient_token = c\nclient_secret = s\naccess_token = a\n";
    std::fs::write(home.path().join(".edgerc"), edgerc).unwrap();
    let place = home.path().to_str().unwrap();
    let examples: Vec<_> =
        ["README.md", "docs/configuration.md", "docs/sinks.md"].into_iter().flat_map(examples).collect();
    assert!(examples.len() > 10, "only {} examples found", examples.len());
    for example in examples {
        let mut text = example.replace("/var/log/akamai-exporter/", &format!("{place}/"));
        text = text.replace("/var/lib/", &format!("{place}/"));
        // Which certificates there are is not the example's matter.
        let lines = text.lines().filter(|line| !line.starts_with("ca_file"));
        text = lines
            .collect::<Vec<_>>()
            .join("\n")
            .replace("/etc/akamai-exporter/", &format!("{place}/secret-"));
        for (_, file) in text.lines().filter_map(|line| line.split_once("_file = ")) {
            std::fs::write(file, "secret\n").unwrap();
        }
        if !text.contains("[akamai") {
            text.push_str("\n[akamai]\ncpcode = 1209788\n");
        }
        let file = home.path().join("exporter.ini");
        std::fs::write(&file, &text).unwrap();
        let arguments = ["--config.check", "--config.file", file.to_str().unwrap()];
        let mut process = Process::start(&arguments, &[("HOME", place)]);
        let status = process.ended();
        assert!(status.success(), "{example}{:?}", process.log);
    }
}

#[test]
fn the_readme_has_the_help_of_the_command_line() {
    let help = run(&["--help"]);
    assert!(
        read("README.md").contains(String::from_utf8(help.stdout).unwrap().trim()),
        "paste --help into README.md again"
    );
}

/// The Markdown files of the repository that people read.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/decisions", "docs/runbooks"];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(path(folder)).unwrap());
    let files = entries.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "md")).collect()
}

/// A page without its code blocks, where brackets mean something else.
fn prose(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a link to this heading ends in, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let mut followed = 0;
    for page in pages() {
        for link in prose(&page).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: there is no {link}", page.display());
            let is_there =
                || prose(&target).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
            assert!(heading.is_empty() || is_there(), "{}: no heading for {link}", page.display());
            followed += 1;
        }
    }
    assert!(followed > 150, "only {followed} links found");
}
