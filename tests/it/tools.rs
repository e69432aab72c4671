//! Programs that the tests need and that are not ours. A missing one is installed where that is possible, else the test fails with
//! the command that would: a check is never left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One installation at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    INSTALLING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path of `program`, which Debian's `package` brings.
pub fn tool(program: &str, package: &str) -> PathBuf {
    let _installing = lock();
    find(program).unwrap_or_else(|| {
        install(program, package);
        find(program).unwrap_or_else(|| panic!("{package} was installed and brought no {program}"))
    })
}

/// `folder`, when there is `file` in it, which Debian's `package` brings.
pub fn source(folder: &str, file: &str, package: &str) -> PathBuf {
    let _installing = lock();
    let (folder, wanted) = (PathBuf::from(folder), Path::new(folder).join(file));
    if !wanted.exists() {
        install(file, package);
    }
    assert!(wanted.exists(), "{package} was installed and brought no {}", wanted.display());
    folder
}

fn find(program: &str) -> Option<PathBuf> {
    // Some programs of administrators are not on everybody's path.
    let path = std::env::var_os("PATH").and_then(|path| path.into_string().ok()).unwrap_or_default();
    let path = path + ":/usr/local/bin:/usr/bin:/usr/sbin:/bin";
    path.split(':').map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

fn install(program: &str, package: &str) {
    let command = format!("apt-get update && apt-get install --yes --no-install-recommends {package}");
    let is_root = run(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    assert!(is_root, "this test needs {program}: run `sudo sh -c '{command}'`");
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("DEBIAN_FRONTEND", "noninteractive");
    assert!(run(&mut shell).is_some(), "this test needs {program}, and `{command}` failed");
}

/// What a command that succeeds says.
fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The Python interpreter of an environment that has `requirement`, such as `name==1.2`, from PyPI.
pub fn python(requirement: &str) -> PathBuf {
    let (python3, _) = (tool("python3", "python3"), tool("pip3", "python3-venv python3-pip"));
    let _installing = lock();
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{requirement}"));
    let python = environment.join("bin/python");
    let finished = environment.join("finished");
    if !finished.exists() {
        let made = run(Command::new(python3).args(["-m", "venv", "--clear"]).arg(&environment));
        assert!(made.is_some(), "python3 -m venv failed: install Debian's package python3-venv");
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement];
        assert!(run(Command::new(&python).args(pip)).is_some(), "pip install {requirement} failed");
        std::fs::write(finished, "").unwrap();
    }
    python
}

/// Whether a command succeeds, and what it says.
pub fn outcome(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Runs a command that must succeed.
#[track_caller]
pub fn succeeds(command: &mut Command) {
    let (success, said) = outcome(command);
    assert!(success, "{said}");
}
