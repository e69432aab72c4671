//! `akamai-exporter backfill`: its arguments, and its exit status.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgGroup, Args};
use tokio_util::sync::CancellationToken;

use super::{WRONG_CONFIGURATION, block_on, finish, say, until_second_signal};
use crate::akamai::credentials::Environment;
use crate::app::backfill::{self, Moment, Order, Output, Usage};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::shutdown::Signals;

/// What clap ends with for wrong usage.
const WRONG_USAGE: u8 = 2;

#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("destination").required(true),
    after_help = "A backfill that was stopped goes on where it was when the same command is given again.\n\
        Exit status: 0 when all is done, 1 if something could not be had or it was stopped, 2 for wrong usage, 78 for a wrong configuration."
)]
pub(super) struct Backfill {
    /// The configuration file
    #[arg(long = "config.file", value_name = "FILE", default_value = "exporter.ini")]
    config_file: PathBuf,
    /// From when on: 2026-11-01T06:00:00Z, 2026-11-01 (UTC), or how long ago, such as 6h or 3d; 92 days at most
    #[arg(long, value_name = "TIME")]
    from: Moment,
    /// Up to when [default: the end of the newest settled window]
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// A section of reports (amd or traffic), by its name or as ACCOUNT/NAME; may be repeated [default: all]
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,
    /// Write OpenMetrics files to this directory, for promtool tsdb create-blocks-from openmetrics
    #[arg(long, value_name = "DIR", group = "destination")]
    output: Option<PathBuf>,
    /// Send to the remote_write section of this name [default: all of them]
    #[arg(long, value_name = "NAME", num_args = 0..=1, group = "destination")]
    remote_write: Option<Option<String>>,
    /// Where it is noted how far --remote-write has come [default: akamai-backfill]
    #[arg(long, value_name = "DIR", requires = "remote_write", conflicts_with = "output")]
    progress: Option<PathBuf>,
}

impl Backfill {
    /// Does it, and tells how it went.
    pub(super) fn run(self, clock: SharedClock) -> ExitCode {
        let config = match Config::load(&self.config_file, &Environment::of_process(), &clock) {
            Ok(config) => config,
            Err(problems) => {
                // For a person at a terminal, so without a log line's trimmings.
                say(std::io::stderr(), &problems.to_string());
                return ExitCode::from(WRONG_CONFIGURATION);
            }
        };
        let order = self.order();
        let done = block_on(async move {
            let signals = Signals::listen().context("cannot listen to signals")?;
            let stop = CancellationToken::new();
            until_second_signal(signals, &stop, backfill::run(config, order, clock, stop.clone())).await
        });
        match done {
            Err(error) if error.is::<Usage>() => {
                say(std::io::stderr(), &format!("error: {error}"));
                ExitCode::from(WRONG_USAGE)
            }
            done => finish(done),
        }
    }

    fn order(self) -> Order {
        let output = match (self.output, self.remote_write) {
            (Some(directory), _) => Output::Files(directory),
            (None, name) => Output::Receivers {
                name: name.flatten(),
                progress: self.progress.unwrap_or_else(|| PathBuf::from("akamai-backfill")),
            },
        };
        Order { from: self.from, to: self.to, sources: self.sources, output }
    }
}
