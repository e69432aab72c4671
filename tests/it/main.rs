//! Tests of the real binary, in one test program: against the simulator, and against Prometheus' own tools.
//!
//! They wait for log lines, never for time: `process::Process` reads the log of what it started, and a condition is
//! looked at again after each line.

#![expect(unreachable_pub, reason = "a test program has no public face")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod alertmanager;
mod alerts;
mod backfill;
mod budget;
mod counters;
mod dashboards;
mod docs;
mod dogstatsd;
mod edgegrid;
mod faults;
mod layers;
mod lifecycle;
mod mistakes;
mod page;
mod process;
mod prometheus;
mod queries;
mod receiver;
mod remote_write;
mod reports;
mod repository;
mod rules;
mod runbooks;
mod secrets;
mod sinks;
mod stack;
mod tools;
mod usual;
mod world;
