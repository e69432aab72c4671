//! `akamai-exporter dashboards`, run as people run it: on files of many shapes, on files that are no dashboards, and against a
//! stand-in for Grafana's HTTP API. `UPDATE_GOLDEN=1` writes the expected files anew.

mod grafana;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

const UID: &str = "prom-1";

/// What a run came to.
#[derive(Debug)]
struct Run {
    status: i32,
    out: String,
    err: String,
}

/// Runs the binary in `folder`.
fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_akamai-exporter"));
    command.arg("dashboards").args(arguments).current_dir(folder).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A run that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    run_with(folder, arguments, b"")
}

#[track_caller]
fn succeeds(run: &Run, out: &str) {
    assert_eq!((run.status, run.out.as_str(), run.err.as_str()), (0, out, ""));
}

#[track_caller]
fn fails(run: &Run, err: &str) {
    assert_eq!((run.status, run.out.as_str(), run.err.as_str()), (1, "", err));
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dashboards")
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A folder with this panel's dashboard in `one.json` and `two.json`.
fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    let dashboard =
        r#"{"title": "T", "panels": [{"datasource": "Prometheus", "targets": [{"expr": "up"}]}]}"#;
    for name in ["one.json", "two.json"] {
        fs::write(folder.path().join(name), dashboard).unwrap();
    }
    folder
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn many_shapes() {
    let shapes = fixtures();
    let names =
        files_in(&shapes).into_iter().filter(|name| name.ends_with(".json") && !name.contains(".expected."));
    let names: Vec<String> = names.collect();
    assert!(names.len() >= 20, "{names:?}");
    let written = tempdir().unwrap();
    let output = written.path().to_str().unwrap();
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = run(&shapes, &[&["-d", UID, "--output", output][..], &files].concat());
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    for name in names {
        let expected = shapes.join(name.replace(".json", ".expected.json"));
        let text = fs::read_to_string(written.path().join(&name)).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&expected).unwrap(), "{name}");
    }
    // What was written has nothing left to change.
    let names = files_in(written.path());
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let again = self::run(written.path(), &[&["-d", UID, "--check"][..], &files].concat());
    assert_eq!(again.status, 0, "{}", again.out);
    assert!(again.out.lines().all(|line| line.starts_with("unchanged ")), "{}", again.out);
}

#[test]
fn no_dashboards() {
    let sentences = [
        ("blank.json", "is empty"),
        ("datasource.json", "is not a dashboard: it has no panels, no rows and no elements"),
        ("datasource.yaml", "is not JSON: expected value at line 1 column 1"),
        ("empty.json", "is empty"),
        ("list.json", "is not a dashboard: it is no JSON object"),
        ("number.json", "is not a dashboard: it is no JSON object"),
        ("page.html", "is not JSON: expected value at line 1 column 1"),
        ("trailing.json", "is not JSON: trailing characters at line 1 column 30"),
        ("truncated.json", "is incomplete JSON: it ends within a value, in line 4"),
        ("utf16.json", "is not JSON: expected value at line 1 column 1"),
        ("wrapped.json", "is not a dashboard: it has no panels, no rows and no elements"),
        ("missing.json", "cannot be read: No such file or directory (os error 2)"),
        (".", "is a folder; name the files in it"),
    ];
    let malformed = fixtures().join("malformed");
    for (name, sentence) in sentences {
        fails(&run(&malformed, &["-d", UID, name]), &format!("{name} {sentence}\n"));
    }
    // All of them at once.
    let names = sentences.map(|(name, _)| name);
    let all = run(&malformed, &[&["-d", UID, "--check"][..], &names].concat());
    assert_eq!((all.status, all.err.lines().count()), (1, names.len()));
    assert_eq!(files_in(&malformed).len() + 2, names.len(), "one of the files is not tried");
}

#[test]
fn ours() {
    let folder = tempdir().unwrap();
    let check = run(folder.path(), &["-d", UID, "--check"]);
    assert_eq!(check.status, 1);
    assert!(check.out.contains("would write dashboards/http-status-distribution.json\n"), "{}", check.out);
    assert_eq!(files_in(folder.path()), [""; 0]);
    let written = run(folder.path(), &["-d", UID]);
    assert_eq!((written.status, written.out.lines().count()), (0, 5));
    assert!(written.out.contains("written dashboards/http-status-distribution.json: "), "{}", written.out);
    let output = folder.path().join("dashboards");
    assert_eq!(
        files_in(&output),
        [
            "amd-and-traffic.json",
            "amd-in-true-time.json",
            "exporter-health.json",
            "http-status-distribution.json",
            "overview.json"
        ]
    );
    for name in files_in(&output) {
        let json: Value = serde_json::from_slice(&fs::read(output.join(&name)).unwrap()).unwrap();
        let variables = json["templating"]["list"].as_array().unwrap();
        let picker = variables.iter().find(|variable| variable["type"] == "datasource").unwrap();
        assert_eq!(picker["current"]["value"], UID, "{name}");
        assert!(json.get("__inputs").is_none(), "{name}");
    }
    assert_eq!(run(folder.path(), &["-d", UID, "--check"]).status, 0);
    let other = run(folder.path(), &["-d", "other", "--check"]);
    assert_eq!(other.status, 1);
    assert!(other.out.contains("would change dashboards/exporter-health.json\n"), "{}", other.out);
}

#[test]
fn check_writes_nothing() {
    let folder = folder();
    let before = read(&folder, "one.json");
    for place in [&["one.json"][..], &["one.json", "--in-place"]] {
        let check = run(folder.path(), &[&["-d", UID, "--check"], place].concat());
        assert_eq!(
            (check.status, check.out.as_str(), check.err.as_str()),
            (1, "would change one.json: 1 reference\n", "")
        );
    }
    assert_eq!((read(&folder, "one.json"), files_in(folder.path()).len()), (before, 2));
    succeeds(&run(folder.path(), &["-d", UID, "one.json", "--in-place"]), "written one.json: 1 reference\n");
    succeeds(&run(folder.path(), &["-d", UID, "one.json", "--check"]), "unchanged one.json\n");
}

#[test]
fn in_place() {
    let folder = folder();
    let (one, link) = (folder.path().join("one.json"), folder.path().join("link.json"));
    fs::set_permissions(&one, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("two.json", &link).unwrap();
    let done = run(folder.path(), &["-d", UID, "--in-place", "one.json", "link.json"]);
    succeeds(&done, "written one.json: 1 reference\nwritten link.json: 1 reference\n");
    assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&folder, "two.json"), read(&folder, "one.json"));
    assert_eq!(files_in(folder.path()), ["link.json", "one.json", "two.json"]);
    // What is right already is not touched, however it is formatted.
    let squeezed = read(&folder, "one.json").replace('\n', "");
    fs::write(&one, &squeezed).unwrap();
    succeeds(&run(folder.path(), &["-d", UID, "--in-place", "one.json"]), "unchanged one.json\n");
    assert_eq!(read(&folder, "one.json"), squeezed);
}

#[test]
fn one_bad_file_among_good_ones() {
    let folder = folder();
    let before = read(&folder, "one.json");
    fs::write(folder.path().join("bad.json"), "{\"panels\": [").unwrap();
    let sentence = "bad.json is incomplete JSON: it ends within a value, in line 1\n";
    fails(&run(folder.path(), &["-d", UID, "--in-place", "one.json", "bad.json", "two.json"]), sentence);
    fails(&run(folder.path(), &["-d", UID, "one.json", "bad.json", "two.json"]), sentence);
    assert_eq!((read(&folder, "one.json"), read(&folder, "two.json")), (before.clone(), before));
    assert_eq!(files_in(folder.path()), ["bad.json", "one.json", "two.json"]);
}

#[test]
fn where_it_cannot_write() {
    let folder = folder();
    let before = read(&folder, "one.json");
    let run = |arguments: &[&str]| run(folder.path(), &[&["-d", UID], arguments].concat());
    fails(
        &run(&["one.json", "--output", "two.json"]),
        "the folder two.json cannot be made: File exists (os error 17)\n",
    );
    fs::create_dir_all(folder.path().join("out/two.json")).unwrap();
    fails(
        &run(&["one.json", "two.json", "--output", "out"]),
        "out/two.json cannot be written: is a directory\n",
    );
    assert_eq!(
        files_in(&folder.path().join("out")),
        ["two.json"],
        "the first was written although the second cannot be"
    );
    let over = "one.json would be overwritten; name another folder with --output, or ask for --in-place\n";
    fails(&run(&["one.json", "--output", "."]), over);
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::copy(folder.path().join("one.json"), folder.path().join("sub/one.json")).unwrap();
    let both = "sub/one.json and one.json would both be written to out/one.json\n";
    fails(&run(&["one.json", "sub/one.json", "--output", "out"]), both);
    assert_eq!(read(&folder, "one.json"), before);
}

#[test]
fn standard_input_and_output() {
    let folder = folder();
    let input = fs::read(folder.path().join("one.json")).unwrap();
    let done = run_with(folder.path(), &["-d", UID, "-"], &input);
    run(folder.path(), &["-d", UID, "one.json", "--output", "out"]);
    succeeds(&done, &read(&folder, "out/one.json"));
    let check = run_with(folder.path(), &["-d", UID, "--check", "-"], &input);
    assert_eq!((check.status, check.out.as_str()), (1, "would change standard input: 1 reference\n"));
    assert_eq!(run_with(folder.path(), &["-d", UID, "--check", "-"], done.out.as_bytes()).status, 0);
    fails(&run_with(folder.path(), &["-d", UID, "-"], b""), "standard input is empty\n");
}

#[test]
fn wrong_usage() {
    let folder = folder();
    let grafana = ["--grafana", "http://127.0.0.1:1", "--token-file", "t"];
    for arguments in [
        &[][..],
        &["one.json"],
        &["-d", "not a uid", "one.json"],
        &["-d", UID, "--in-place"],
        &["-d", UID, "--in-place", "--output", "x", "one.json"],
        &["-d", UID, "-", "one.json"],
        &["-d", UID, "-", "--in-place"],
        &["-d", UID, "--folder", "x"],
        &["-d", UID, "--token-file", "t"],
        &["--grafana", "http://127.0.0.1:1"],
        &["--grafana", "ftp://127.0.0.1", "--token-file", "t"],
        &["--grafana", "127.0.0.1:3000", "--token-file", "t"],
        &["--grafana", "https://admin:secret@localhost", "--token-file", "t"],
        &[&grafana[..], &["--check"]].concat(),
        &[&grafana[..], &["--in-place", "one.json"]].concat(),
        &[&grafana[..], &["--output", "x"]].concat(),
        &[&grafana[..], &["--folder", ""]].concat(),
        &[&grafana[..], &["-"]].concat(),
    ] {
        let run = run(folder.path(), arguments);
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments:?}: {}", run.err);
    }
    assert_eq!(files_in(folder.path()).len(), 2);
}
