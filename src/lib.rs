//! A Prometheus exporter for Akamai.
pub mod akamai;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod ini;
pub mod model;
pub mod poller;
pub mod schedule;
pub mod server;
pub mod shutdown;
pub mod simulator;
pub mod snapshot;
pub mod source;
pub mod telemetry;
