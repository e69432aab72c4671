//! Runs the real binary, as daemon or simulator, on ports of the system's choice.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

/// Something that takes longer is not going to happen. Only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Nor does a test that still gets log lines after so long get the one that it waits for.
const LONGEST_LIFE: Duration = Duration::from_secs(150);

/// A running binary and its log, which it writes as JSON.
pub struct Process {
    pub child: Child,
    began: Instant,
    longest_life: Duration,
    lines: Receiver<String>,
    pub log: Vec<String>,
}

/// The binary, with an environment of its own.
fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_akamai-exporter"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs the binary to its end, for what it says there: no log options are added. It must end by itself.
pub fn run(arguments: &[&str]) -> Output {
    let mut command = command(arguments, &[]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (id, (sender, ended)) = (child.id(), channel());
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            send_signal("KILL", id);
            panic!("{arguments:?} does not end");
        }
    }
}

fn send_signal(name: &str, id: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name}");
}

impl Process {
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_at("debug", arguments, environment)
    }

    /// Starts the binary with its log from `level` on.
    pub fn start_at(level: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(level, command(arguments, environment))
    }

    /// Starts the binary such that a limit on the size of files, set later on, makes writing fail rather than end it.
    pub fn start_on_a_disk(arguments: &[&str]) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_akamai-exporter")]);
        command.args(arguments).stdin(Stdio::null());
        Self::spawn("debug", command)
    }

    /// Makes the disk full for the process, or takes that back.
    pub fn fill_disk(&self, is_full: bool) {
        let size = if is_full { "4096" } else { "unlimited" };
        let (pid, size) = (format!("--pid={}", self.child.id()), format!("--fsize={size}:"));
        assert!(Command::new("prlimit").args([pid, size]).status().unwrap().success());
    }

    fn spawn(level: &str, mut command: Command) -> Self {
        command.args(["--log.format=json", "--log.level", level]).stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        Self { child, began: Instant::now(), longest_life: LONGEST_LIFE, lines, log: Vec::new() }
    }

    /// Lets the test wait for longer than others need.
    pub fn may_take(&mut self, longest_life: Duration) {
        self.longest_life = longest_life;
    }

    /// The next log line; `what` is what the test waits for, should it never come.
    pub fn next(&mut self, what: &str) -> Value {
        assert!(self.began.elapsed() < self.longest_life, "still not {what}:\n{}", self.tail());
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "text": line }));
                self.log.push(line);
                event
            }
            Err(RecvTimeoutError::Timeout) => panic!("no log line any more before {what}:\n{}", self.tail()),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the process ended before {what}:\n{}", self.tail())
            }
        }
    }

    /// The next log line whose message begins with `message`.
    pub fn line(&mut self, message: &str) -> Value {
        loop {
            let event = self.next(message);
            if event["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return event;
            }
        }
    }

    /// Reads the log to its end and returns the exit status.
    pub fn ended(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("the process does not end:\n{}", self.tail()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.try_wait().unwrap();
        // The log may end a moment before the process.
        status.unwrap_or_else(|| self.child.wait().unwrap())
    }

    /// Sends a signal by its name, such as TERM.
    pub fn signal(&self, name: &str) {
        send_signal(name, self.child.id());
    }

    /// The lines that have been read and whose message begins with `message`.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let events = self.log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["message"].as_str().is_some_and(|text| text.starts_with(message)))
            .collect()
    }

    fn tail(&self) -> String {
        self.log[self.log.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of what a program writes, as they come; read to the end, so that it never has to wait.
pub fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let all = BufReader::new(from).lines().map_while(Result::ok);
        // Whoever does not want them any more lets them go by.
        all.for_each(|line| drop(sender.send(line)));
    });
    lines
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

pub fn request(method: &str, url: &str, body: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Plain HTTP alone: to read the system's certificates each time would take the most of a test.
        let client =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap();
        let request = client.request(method.parse().unwrap(), url).body(body.to_owned());
        let response = request.header("content-type", "application/json").send().await.unwrap();
        Answer { status: response.status().as_u16(), body: response.text().await.unwrap() }
    })
}

/// The simulated Akamai with its credentials file.
pub struct Simulator {
    pub process: Process,
    pub directory: TempDir,
    pub url: String,
}

impl Simulator {
    /// Fast and generous, so that a test is about what it tests; `arguments` may say otherwise.
    pub fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let edgerc = directory.path().join("edgerc").to_str().unwrap().to_owned();
        let usual =
            ["--listen=127.0.0.1:0", "--latency=10ms", "--rate-limit=60000", &format!("--edgerc={edgerc}")];
        let name = |argument: &str| argument.split('=').next().map(str::to_owned);
        let is_kept = |usual: &&str| arguments.iter().all(|argument| name(argument) != name(usual));
        let usual: Vec<_> = usual.into_iter().filter(is_kept).collect();
        let mut process = Process::start(&[&["simulate"], &usual[..], arguments].concat(), &[]);
        let event = process.line("simulating Akamai");
        let url = format!("http://{}", event["address"].as_str().unwrap());
        Self { process, directory, url }
    }

    pub fn edgerc(&self) -> PathBuf {
        self.directory.path().join("edgerc")
    }

    /// Replaces the credentials file at a stroke by what `change` makes of it.
    pub fn edit_edgerc(&self, change: impl FnOnce(&str) -> String) {
        let text = std::fs::read_to_string(self.edgerc()).unwrap();
        let draft = self.directory.path().join("draft");
        std::fs::write(&draft, change(&text)).unwrap();
        std::fs::set_permissions(&draft, Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(draft, self.edgerc()).unwrap();
    }

    /// Switches a fault on for the scope that `scope` describes, everything if it is `{}`.
    pub fn fault(&self, name: &str, scope: &Value) {
        let url = format!("{}/_simulator/faults/{name}", self.url);
        let answer = request("PUT", &url, &scope.to_string());
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    }

    pub fn heal(&self) {
        assert_eq!(request("DELETE", &format!("{}/_simulator/faults", self.url), "").status, 200);
    }

    /// What the control API answers to a GET of `path`.
    pub fn show(&self, path: &str) -> Value {
        let answer = request("GET", &format!("{}/_simulator{path}", self.url), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until `is_so` of the log line of a request to the simulated Akamai.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.process.next(what);
            if event["message"] == "request" && is_so(&event) {
                return event;
            }
        }
    }

    /// What the simulator has seen: `requests`, `totals`, `violations`.
    pub fn log(&self) -> Value {
        self.show("/log")
    }
}

/// The exporter with its configuration.
pub struct Exporter {
    pub process: Process,
    pub url: String,
    _directory: TempDir,
}

impl Exporter {
    /// The demo, with its simulator in the same process.
    pub fn demo() -> Self {
        Self::demo_with(&["--web.listen-address=127.0.0.1:0"])
    }

    /// The same with these arguments, where it listens among them.
    pub fn demo_with(arguments: &[&str]) -> Self {
        let mut process = Process::start(&[&["demo"], arguments].concat(), &[]);
        let url = format!("http://{}", process.line("listening")["address"].as_str().unwrap());
        Self { process, url, _directory: tempfile::tempdir().unwrap() }
    }

    /// Starts it with this exporter.ini; `EDGERC` in it stands for the simulator's credentials file.
    pub fn start(simulator: &Simulator, ini: &str) -> Self {
        Self::start_at("debug", simulator, ini)
    }

    /// The same with its log from `level` on.
    pub fn start_at(level: &str, simulator: &Simulator, ini: &str) -> Self {
        Self::start_with(level, simulator, ini, &[])
    }

    /// The same with more arguments.
    pub fn start_with(level: &str, simulator: &Simulator, ini: &str, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), &ini.replace("EDGERC", simulator.edgerc().to_str().unwrap()));
        let arguments = ["--config.file", file.to_str().unwrap(), "--web.listen-address=127.0.0.1:0"];
        // A resolver that nobody answers is to give up soon.
        let arguments = [&arguments[..], more].concat();
        let mut process = Process::start_at(level, &arguments, &[("RES_OPTIONS", "timeout:1 attempts:1")]);
        let url = format!("http://{}", process.line("listening")["address"].as_str().unwrap());
        Self { process, url, _directory: directory }
    }

    pub fn get(&self, path: &str) -> Answer {
        request("GET", &format!("{}{path}", self.url), "")
    }

    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        Metrics(answer.body)
    }

    /// The metrics as soon as they are as `is_so` wants them; looks again whenever a snapshot was encoded.
    pub fn eventually(&mut self, what: &str, mut is_so: impl FnMut(&Metrics) -> bool) -> Metrics {
        loop {
            let metrics = self.metrics();
            if is_so(&metrics) {
                return metrics;
            }
            while self.process.next(what)["message"] != "exposition encoded" {}
        }
    }
}

pub fn write(directory: &Path, ini: &str) -> PathBuf {
    let file = directory.join("exporter.ini");
    std::fs::write(&file, ini).unwrap();
    file
}

/// An exposition, as text.
pub struct Metrics(pub String);

impl Metrics {
    /// The value of the only series whose name and labels contain all of `parts`; the first is the metric's name.
    pub fn value(&self, parts: &[&str]) -> Option<f64> {
        let found = self.series(parts);
        assert!(found.len() < 2, "{parts:?} is ambiguous: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    /// All series whose name is the first of `parts` and whose labels contain the others.
    pub fn series(&self, parts: &[&str]) -> Vec<(&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == parts.first().copied())
            .filter(|(series, _)| parts[1..].iter().all(|part| series.contains(part)))
            .map(|(series, value)| (series, value.parse().unwrap()))
            .collect()
    }

    /// All series whose metric's name begins with `prefix`.
    pub fn starting(&self, prefix: &str) -> BTreeMap<&str, f64> {
        let lines = self.0.lines().filter(|line| line.starts_with(prefix));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series, value.parse().unwrap()))
            .collect()
    }

    /// The series with `parts`, added up.
    pub fn sum(&self, parts: &[&str]) -> f64 {
        self.series(parts).iter().map(|(_, value)| value).sum()
    }
}
