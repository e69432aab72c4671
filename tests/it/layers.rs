//! Imports point downwards only, and some names stand in one place only: the architecture, held by a test.

use std::path::{Path, PathBuf};

/// The layers, the highest first. A module may use its own contents and every layer below its own.
const LAYERS: [&[&str]; 5] = [
    &["main", "cli", "app"],
    &["config", "poller", "server", "dashboards"],
    &["source", "sink", "schedule", "simulator"],
    &["akamai", "snapshot", "spool", "ledger", "telemetry"],
    &["model", "ini", "clock", "shutdown"],
];

/// Within a layer: who may use whom, and why.
const WITHIN: [(&str, &str); 3] = [
    ("cli", "app"),
    // The client counts its requests where they happen.
    ("akamai", "telemetry"),
    // What waits for push sinks is in the ledger's file.
    ("spool", "ledger"),
];

/// Which crates, or functions, are named in which files alone, and why.
const ONLY: [(&str, &[&str]); 8] = [
    ("prometheus::", &["src/telemetry.rs", "src/snapshot/tests.rs"]),
    ("tokio_cron_scheduler", &["src/schedule.rs"]),
    (
        "reqwest::",
        &[
            "src/akamai.rs",
            "src/akamai/",
            "src/source/estats.rs",
            "src/source/report/cpcodes.rs",
            "src/source/traffic/",
            "src/cli/status.rs",
            "src/dashboards/grafana",
            "src/sink/remote_write",
        ],
    ),
    ("redb", &["src/ledger/store.rs", "src/ledger/store/"]),
    ("ini::{Ini", &["src/ini.rs"]),
    ("Utc::now()", &["src/clock.rs"]),
    ("std::env::var", &["src/akamai/credentials/environment.rs"]),
    (
        ".spawn(",
        &["src/app.rs", "src/app/", "src/simulator/", "src/sink/driver/tests.rs", "src/spool/tests.rs"],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of the code, comments and test modules left out: file from the top, line number, text.
fn code() -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    files(&root().join("src"), &mut found);
    let mut lines = Vec::new();
    for file in found {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let numbered = (1..).zip(own.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.extend(numbered.map(|(number, line)| (name.clone(), number, line.to_owned())));
    }
    lines
}

/// The module that a file belongs to.
fn module(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/") || file.ends_with("/sample.rs")
}

/// The modules that a line names after `crate::`, in a list in braces too.
fn imported(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .flat_map(|(at, word)| {
            let rest = &line[at + word.len()..];
            let names = rest.strip_prefix('{').map_or(vec![rest], |list| list.split(',').collect());
            names.into_iter().map(first_word).collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_import(from: &str, to: &str) -> bool {
    let is_below = match (layer(from), layer(to)) {
        (Some(from), Some(to)) => to > from,
        _ => false,
    };
    // The simulator must not share code with the client that it tests.
    let is_apart = from == "simulator" && to != "clock";
    from == to || (is_below && !is_apart) || WITHIN.contains(&(from, to))
}

#[test]
fn every_module_has_a_layer() {
    let modules =
        code().into_iter().map(|(file, _, _)| module(&file).to_owned()).filter(|name| name != "lib");
    for module in modules {
        assert!(layer(&module).is_some(), "{module} stands in no layer: see LAYERS");
    }
}

#[test]
fn imports_point_downwards() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, number, line) in code() {
        if is_test(&file) || module(&file) == "lib" {
            continue;
        }
        for target in imported(&line) {
            seen += 1;
            if !may_import(module(&file), &target) {
                wrong.push(format!("{file}:{number}: {} may not use {target}", module(&file)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "only {seen} imports found: does this test still read the code?");
    assert!(
        !may_import("source", "schedule")
            && !may_import("model", "akamai")
            && !may_import("simulator", "akamai")
    );
}

#[test]
fn some_names_stand_in_one_place_only() {
    let code = code();
    for (name, places) in ONLY {
        let is_there = |file: &str| places.iter().any(|place| file.starts_with(place));
        let used: Vec<_> = code.iter().filter(|(_, _, line)| line.contains(name)).collect();
        let wrong: Vec<_> = used.iter().filter(|(file, _, _)| !is_there(file)).collect();
        assert!(wrong.is_empty(), "{name} outside {places:?}: {wrong:?}");
        assert!(!used.is_empty() || name == "std::env::var", "{name} is named nowhere");
    }
}

#[test]
fn the_reading_of_imports() {
    assert_eq!(imported("use crate::model::{Batch, Family};"), ["model"]);
    assert_eq!(imported("use crate::{clock, ini::Key};"), ["clock", "ini"]);
    assert_eq!(imported("let x = crate::clock::seconds(crate::akamai::y);"), ["clock", "akamai"]);
    assert_eq!(module("src/akamai/budget.rs"), "akamai");
}
