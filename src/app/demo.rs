//! The daemon and the simulator in one process on loopback: no account, no file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::run;
use crate::akamai::credentials::Environment;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::ini::Problems;
use crate::simulator::{Options, Simulator};

/// What the demo's `exporter.ini` would say.
pub const EXPORTER_INI: &str = "\
[exporter]
polling_interval = 30

[akamai]

# The simulated CP codes: a steady site on both networks, a busy one, a small one, a troubled one, and one that sleeps at night.
[estats]
cpcodes = 1209788, 100001, 100002, 100003
delivery_networks = STANDARD_TLS

[estats enhanced]
cpcodes = 1209788, 100001, 100004
delivery_networks = ENHANCED_TLS

# What these CP codes delivered, in windows of five minutes: those of Adaptive Media Delivery, and all by host name.
[amd]

[traffic hosts]
dimensions = cpcode, hostname
metrics = edgeHitsSum, edgeBytesSum, offloadedHitsPercentage
";

/// How much of what was before the demo began a receiver of remote write gets.
const HISTORY: &str = "6h";

/// What the demo is to do besides the usual.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Decides what the simulated traffic looks like.
    pub seed: u64,
    /// The URL of a receiver of remote write, as `sink::remote_write::receiver` has it.
    pub remote_write: Option<String>,
}

impl Wishes {
    /// What the demo's `exporter.ini` says with them.
    #[must_use]
    pub fn exporter_ini(&self) -> String {
        match &self.remote_write {
            // Who receives it is the Prometheus that scrapes the demo, as a rule.
            Some(url) => {
                format!("{EXPORTER_INI}\n[remote_write]\nurl = {url}\nhistory = {HISTORY}\nestats = false\n")
            }
            None => EXPORTER_INI.to_owned(),
        }
    }
}

/// Runs the demo until `stop`.
///
/// # Errors
///
/// If either part cannot be started, or ends by itself.
pub async fn demo(
    wishes: Wishes,
    telemetry_path: &str,
    clock: SharedClock,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let options = Options { seed: wishes.seed, latency: Duration::from_millis(200), ..Options::default() };
    let simulator = Simulator::new(options, Arc::clone(&clock));
    let gateway = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .context("no port for the simulator")?;
    let address = gateway.local_addr().context("the simulator has no address")?;
    let environment = environment(&simulator.edgerc(address));
    let problems = Problems::of(Path::new("(demo)"));
    let config = Config::read(wishes.exporter_ini().as_bytes(), problems, &environment, &clock)?;
    tracing::info!(simulator = %address, "demo: everything below is simulated");
    let daemon = run(config, telemetry_path, clock, listener, stop.clone());
    let (ended, _) = tokio::join!(daemon, simulator.serve(gateway, stop));
    ended
}

/// The simulator's `.edgerc` as the variables that stand in for one.
fn environment(edgerc: &str) -> Environment {
    let pairs = edgerc.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<_> =
        pairs.map(|(key, value)| (format!("AKAMAI_{}", key.trim().to_uppercase()), value.trim())).collect();
    Environment::of(variables.iter().map(|(name, value)| (name.as_str(), *value))).called("the simulator")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn check_sinks(remote_write: Option<&str>, expected: &[&str]) {
        let options = Options::default();
        let clock: SharedClock = Arc::new(SystemClock);
        let simulator = Simulator::new(options, Arc::clone(&clock));
        let environment = environment(&simulator.edgerc(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        let wishes = Wishes { seed: 1, remote_write: remote_write.map(str::to_owned) };
        let problems = Problems::of(Path::new("(demo)"));
        let config = Config::read(wishes.exporter_ini().as_bytes(), problems, &environment, &clock).unwrap();
        let sinks: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        assert_eq!(sinks, expected);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn what_the_configuration_says() {
        check_sinks(None, &[]);
        check_sinks(Some("http://prometheus:9090/api/v1/write"), &["remote_write"]);
        check_sinks(Some("http://prometheus:9090/write?tenant=a;b%20%23c&x='y'"), &["remote_write"]);
    }
}
