//! A Prometheus exporter for Akamai: it polls eStats, the distribution of HTTP status codes, and the traffic report, hits and bytes, on
//! schedules into memory, serves what it has at `/metrics`, and sends it to sinks with Akamai's own times.
//!
//! One straight line leads from the configuration to the bytes of a scrape, and this is a good order to read it in:
//!
//! 1. [`config`] reads `exporter.ini` through [`ini`], finds credentials ([`akamai::credentials`]) and opens the sources.
//! 2. [`source`] has the list of kinds; [`source::estats`] is one: its keys, its requests, its parser, its metric families. [`source::traffic`] has
//!    two, on what all reports share (`source/report.rs`); [`ledger`] counts their windows, each once.
//! 3. [`poller`] gives each target of a source its turn, on what [`schedule`] understands.
//! 4. [`akamai`] sends one signed request within the budget, and gives each failure one of the [`model::Reason`]s.
//! 5. [`snapshot`] holds the last good data of every target with its health; its `exposition` is what a scrape gets.
//! 6. [`server`] hands these bytes out, with the exporter's own metrics from [`telemetry`], and the page at `/`.
//! 7. [`spool`] is where windows and samples wait for sinks, bounded and through restarts; [`sink`] has the list of kinds and the
//!    driver that all share: [`sink::dogstatsd`], [`sink::remote_write`], [`sink::response_log`].
//!
//! [`app`] builds all of it and starts and stops it; [`cli`] is arguments in and exit status out. [`simulator`] stands in for Akamai.
//! [`model`], [`clock`] and [`shutdown`] are what the rest shares. Who may import whom is in `ARCHITECTURE.md`, and a test holds it.

pub mod akamai;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboards;
pub mod ini;
pub mod ledger;
pub mod model;
pub mod poller;
pub mod schedule;
pub mod server;
pub mod shutdown;
pub mod simulator;
pub mod sink;
pub mod snapshot;
pub mod source;
pub mod spool;
pub mod telemetry;
