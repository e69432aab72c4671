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

/// Runs the demo until `stop`.
///
/// # Errors
///
/// If either part cannot be started, or ends by itself.
pub async fn demo(
    seed: u64,
    telemetry_path: &str,
    clock: SharedClock,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let options = Options { seed, latency: Duration::from_millis(200), ..Options::default() };
    let simulator = Simulator::new(options, Arc::clone(&clock));
    let gateway = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .context("no port for the simulator")?;
    let address = gateway.local_addr().context("the simulator has no address")?;
    let environment = environment(&simulator.edgerc(address));
    let problems = Problems::of(Path::new("(demo)"));
    let config = Config::read(EXPORTER_INI.as_bytes(), problems, &environment, &clock)?;
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
