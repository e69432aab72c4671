//! Arguments in, exit status out.

mod backfill;
mod dashboards;
mod notifications;
mod status;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use self::backfill::Backfill;
use self::dashboards::Dashboards;
use self::notifications::Notifications;
use self::status::Running;
use crate::akamai::credentials::Environment;
use crate::app;
use crate::app::demo::Wishes;
use crate::clock::{FileClock, SharedClock, SystemClock};
use crate::config::Config;
use crate::server::STATUS_PATH;
use crate::shutdown::Signals;
use crate::simulator::{CpCodes, MediaDelivery, Options, Simulator};
use crate::sink::remote_write::receiver;
use crate::source::Misconfigured;
use crate::telemetry::logging::{self, Format, Level};

/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
const WRONG_CONFIGURATION: u8 = 78;

/// Prometheus exporter for Akamai: status codes per CP code and URL (eStats), hits and bytes per CP code (traffic reports).
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 after a clean stop, 2 for wrong usage, 78 for a wrong configuration, 1 otherwise."
)]
struct Cli {
    /// The configuration file [default: exporter.ini]
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Check the configuration and the credentials that it names, and start nothing
    #[arg(long = "config.check")]
    config_check: bool,
    #[command(flatten)]
    web: Web,
    /// From which level on log lines are written
    #[arg(long = "log.level", value_enum, default_value_t, global = true, value_name = "LEVEL")]
    log_level: Level,
    /// How log lines look
    #[arg(long = "log.format", value_enum, default_value_t, global = true, value_name = "FORMAT")]
    log_format: Format,
    /// Take the time from this file, which holds it as RFC 3339: for tests of hours in seconds
    #[arg(long = "clock.file", value_name = "FILE", global = true, hide = true)]
    clock_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
struct Web {
    /// Where to listen, as ADDRESS:PORT; before what the configuration says [demo: 127.0.0.1:9877]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = address)]
    listen_address: Option<SocketAddr>,
    /// Under which path metrics are served [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", value_parser = path)]
    telemetry_path: Option<String>,
}

impl Web {
    fn path(&self) -> &str {
        self.telemetry_path.as_deref().unwrap_or("/metrics")
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the exporter against a simulated Akamai in the same process: no account, no file
    Demo {
        /// Decides what the simulated traffic looks like
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Also write windows with their own times to this receiver of Prometheus remote write, beginning six hours ago
        #[arg(long = "remote-write.url", value_name = "URL", value_parser = receiver)]
        remote_write: Option<String>,
        #[command(flatten)]
        web: Web,
    },
    /// Run the simulated Akamai alone
    Simulate(Simulate),
    /// Fetch hours or months of reports from before counting began, as OpenMetrics files or by remote write
    Backfill(Backfill),
    /// Write the bundled Grafana dashboards, or rewrite the given ones, for a Prometheus datasource
    Dashboards(Dashboards),
    /// Receive what Alertmanager's webhook sends, and show the newest notifications on a page
    Notifications(Notifications),
    /// Print what a running exporter says of every source: runs, samples, durations, last success, last error
    Status {
        #[command(flatten)]
        running: Running,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Exit with 0 if a running exporter lives: for a container's HEALTHCHECK
    Healthcheck {
        #[command(flatten)]
        running: Running,
    },
}

#[derive(Args, Debug)]
struct Simulate {
    /// Where the simulator listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9878")]
    listen: SocketAddr,
    /// Write the credentials of the simulated clients to this file, which must not be there or be such a file; without it they are printed
    #[arg(long, value_name = "FILE")]
    edgerc: Option<PathBuf>,
    /// Decides traffic and credentials
    #[arg(long, default_value_t = Options::default().seed)]
    seed: u64,
    /// How long an answer of eStats takes, such as 7s or 200ms; others take a tenth of it
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    latency: Duration,
    /// Requests a minute and client of every API [default: each API's own]
    #[arg(long, value_name = "PER_MINUTE")]
    rate_limit: Option<u32>,
    /// The largest cost of one query of the traffic report: windows times CP codes times one more than filters
    #[arg(long, value_name = "COST", default_value_t = Options::default().cost_limit)]
    cost_limit: u64,
    /// The most values in one list of a filter of the traffic report [default: any number]
    #[arg(long, value_name = "VALUES")]
    in_list_limit: Option<usize>,
    /// What the retired Media Delivery Reports answer: retired (410), historic or not-found
    #[arg(long, value_name = "MODE", default_value_t)]
    media_delivery_reports: MediaDelivery,
    /// The simulated API clients, sections of the .edgerc file
    #[arg(long, value_delimiter = ',', default_values_t = Options::default().clients)]
    clients: Vec<String>,
    /// The CP codes that exist, such as 1209788,100001-100999
    #[arg(long, default_value_t)]
    cpcodes: CpCodes,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        "expected ADDRESS:PORT, such as 127.0.0.1:9877 or [::]:9877, or :PORT for all addresses".to_owned()
    };
    match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}").parse().map_err(|_| wrong()),
        None => text.parse().map_err(|_| wrong()),
    }
}

fn path(text: &str) -> Result<String, String> {
    let taken = ["/", "/-/healthy", "/-/ready", STATUS_PATH];
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    if text.starts_with('/') && plain && !taken.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err("expected a path of letters, digits and -_. that begins with / and is not taken, such as /metrics".to_owned())
    }
}

/// Runs what the process's arguments ask for.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse().and_then(consistent) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    logging::start(cli.log_level, cli.log_format);
    let clock: SharedClock = match cli.clock_file.clone() {
        Some(file) => Arc::new(FileClock::new(file)),
        None => Arc::new(SystemClock),
    };
    let result = match cli.command {
        None => return daemon(cli, clock),
        Some(Command::Demo { seed, remote_write, web }) => {
            block_on(demo(Wishes { seed, remote_write }, web, clock))
        }
        Some(Command::Simulate(simulate)) => block_on(simulate.run(clock)),
        Some(Command::Backfill(backfill)) => return backfill.run(clock),
        Some(Command::Dashboards(dashboards)) => return dashboards.run(),
        Some(Command::Notifications(notifications)) => block_on(notifications.run(clock)),
        Some(Command::Status { running, json }) => {
            block_on(async move { running.status(json).await.map(|text| say(std::io::stdout(), &text)) })
        }
        Some(Command::Healthcheck { running }) => block_on(async move { running.health().await }),
    };
    finish(result)
}

/// What clap cannot express: the configuration is the daemon's alone.
fn consistent(cli: Cli) -> Result<Cli, clap::Error> {
    let is_daemon_s = cli.config_file.is_some()
        || cli.config_check
        || cli.web.listen_address.is_some()
        || cli.web.telemetry_path.is_some();
    if cli.command.is_some() && is_daemon_s {
        let words = "flags of the daemon stand before a command; give the command its own, after its name";
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, words));
    }
    if let Some(Command::Dashboards(dashboards)) = &cli.command {
        dashboards.consistent()?;
    }
    Ok(cli)
}

fn daemon(cli: Cli, clock: SharedClock) -> ExitCode {
    let file = cli.config_file.unwrap_or_else(|| PathBuf::from("exporter.ini"));
    let config = match Config::load(&file, &Environment::of_process(), &clock) {
        Ok(config) => config,
        Err(problems) => {
            // For a person at a terminal, so without a log line's trimmings.
            say(std::io::stderr(), &problems.to_string());
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    if cli.config_check {
        return report(&file, &config);
    }
    let address = cli.web.listen_address.unwrap_or_else(|| config.listen_address());
    finish(block_on(async move {
        let signals = Signals::listen().context("cannot listen to signals")?;
        let listener = app::bind(address).await?;
        let stop = CancellationToken::new();
        until_second_signal(signals, &stop, app::run(config, cli.web.path(), clock, listener, stop.clone()))
            .await
    }))
}

fn report(file: &Path, config: &Config) -> ExitCode {
    for warning in &config.warnings {
        say(std::io::stderr(), &format!("{}: warning: {warning}", file.display()));
    }
    let targets: usize = config.sources.iter().map(|source| source.info.targets.len()).sum();
    let (accounts, sources, sinks) = (config.accounts.len(), config.sources.len(), config.sinks.len());
    say(
        std::io::stdout(),
        &format!(
            "{}: OK: accounts {accounts}, sources {sources}, targets {targets}, sinks {sinks}",
            file.display()
        ),
    );
    ExitCode::SUCCESS
}

async fn demo(wishes: Wishes, web: Web, clock: SharedClock) -> anyhow::Result<()> {
    let signals = Signals::listen().context("cannot listen to signals")?;
    let listener = app::bind(web.listen_address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9877)))).await?;
    let stop = CancellationToken::new();
    let demo = app::demo::demo(wishes, web.path(), clock, listener, stop.clone());
    until_second_signal(signals, &stop, demo).await
}

impl Simulate {
    async fn run(self, clock: SharedClock) -> anyhow::Result<()> {
        let signals = Signals::listen().context("cannot listen to signals")?;
        let listener = app::bind(self.listen).await?;
        let address = listener.local_addr().context("the listener has no address")?;
        let options = Options {
            seed: self.seed,
            latency: self.latency,
            rate_limit: self.rate_limit,
            cost_limit: self.cost_limit,
            in_list_limit: self.in_list_limit,
            media_delivery: self.media_delivery_reports,
            clients: self.clients,
            cpcodes: self.cpcodes,
        };
        let simulator = Simulator::new(options, clock);
        let edgerc = simulator.edgerc(address);
        match &self.edgerc {
            Some(file) => {
                write_private(file, &edgerc).with_context(|| format!("cannot write {}", file.display()))?;
            }
            None => say(std::io::stdout(), &edgerc),
        }
        tracing::info!(%address, "simulating Akamai; faults are switched under /_simulator");
        let stop = CancellationToken::new();
        let serve = simulator.serve(listener, stop.clone());
        until_second_signal(signals, &stop, async { Ok(serve.await?) }).await
    }
}

/// What a file of simulated credentials begins with: another one is somebody's, and is not touched.
const SIMULATED: &str = "# Made by akamai-exporter simulate\n";

/// For its owner's eyes only, as the real one should be.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::read(file) {
        Ok(bytes) if bytes.starts_with(SIMULATED.as_bytes()) => std::fs::remove_file(file)?,
        Ok(_) => {
            anyhow::bail!("it holds something else, maybe your credentials; name a file that may be written")
        }
        Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    Ok(write!(file, "{SIMULATED}{text}")?)
}

/// The first signal asks `work` to end, a second one ends it.
async fn until_second_signal(
    signals: Signals,
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        result = work => result,
        () = signals.watch(stop.clone()) => anyhow::bail!("stopped at once by a second signal"),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // Two threads are plenty for a process that mostly waits, and each costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(work);
    // A second signal must not wait for what hangs.
    runtime.shutdown_background();
    result
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            match error.downcast_ref::<Misconfigured>() {
                Some(_) => ExitCode::from(WRONG_CONFIGURATION),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn say(mut to: impl Write, text: &str) {
    // Nobody left to tell if this fails.
    let _ = writeln!(to, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments() {
        let parse = |arguments: &str| {
            Cli::try_parse_from(std::iter::once("x").chain(arguments.split_whitespace())).and_then(consistent)
        };
        assert_eq!(parse("--web.listen-address :9000").unwrap().web.listen_address, "[::]:9000".parse().ok());
        for bad in [
            "--web.listen-address 9000",
            "--web.telemetry-path metrics",
            "--web.telemetry-path /",
            "--web.telemetry-path /{x}",
            "--log.level loud",
            "nonsense",
            "--config.check demo",
            "--web.listen-address :1 demo",
            "simulate --web.listen-address :1",
            "notifications --web.listen-address :1",
            "notifications --listen 9880",
            "simulate --cpcodes x",
            "demo --remote-write.url prometheus:9090",
            "demo --remote-write.url ftp://prometheus/api/v1/write",
            "demo --remote-write.url http://user:secret@prometheus/",
            "--remote-write.url http://prometheus:9090/",
            "backfill --from 6h",
            "backfill --output x",
            "backfill --from 6 --output x",
            "backfill --from 6h --output x --remote-write",
            "backfill --from 6h --output x --progress y",
            "--config.file x backfill --from 6h --output x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for good in [
            "backfill --from 6h --output x --source amd --source a/b",
            "backfill --from 2026-11-01 --to 2026-11-02T00:00:00Z --remote-write --progress y",
            "backfill --config.file z --from 6h --remote-write name",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        assert!(parse("demo --web.listen-address 127.0.0.1:0 --log.format json").is_ok());
        assert!(parse("demo --remote-write.url=http://prometheus:9090/api/v1/write").is_ok());
    }
}
