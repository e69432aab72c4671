//! How long 10,000 rows of a report take from bytes to the encoded exposition, beside no more than fetching and parsing the same bytes; and what
//! a large account costs in memory and on disk. `cargo bench --bench reports` prints the tables of docs/benchmarks.md.

#![expect(clippy::print_stdout, reason = "the results are what it is for")]

mod akamai;
mod exporter;
#[path = "../common/process.rs"]
mod process;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use akamai_exporter::akamai::credentials::Environment;
use akamai_exporter::akamai::{Account, Api};
use akamai_exporter::clock::{ManualClock, SharedClock};
use akamai_exporter::config::Config;
use akamai_exporter::ini::Problems;
use akamai_exporter::snapshot::exposition::Exposition;
use akamai_exporter::snapshot::{Attempt, Data, Outcome, Store};
use akamai_exporter::source::{Occasion, Session};
use akamai_exporter::telemetry::Telemetry;
use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::akamai::{Akamai, CLASSES, FIRST};
use crate::exporter::Exporter;

/// With six classes some 10,000 rows a window.
const CPCODES: u64 = 1_667;
const ROUNDS: usize = 15;

/// The large account.
const LARGE: u64 = 2_000;

fn main() -> Result<()> {
    // `cargo bench` says so; `cargo test --all-targets` runs this too, and has nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (akamai, server) = runtime.block_on(Akamai::start())?;
    let mut tasks = JoinSet::new();
    tasks.spawn_on(server, runtime.handle());
    runtime.block_on(rows(&akamai))?;
    size(&akamai)
}

fn start() -> Result<DateTime<Utc>> {
    Ok("2026-11-20T10:02:00Z".parse()?)
}

fn ini(cpcodes: u64, more: &str) -> String {
    let list: Vec<_> = (FIRST..FIRST + cpcodes).map(|code| code.to_string()).collect();
    format!(
        "[exporter]\npolling_interval = 1\n{more}\n[akamai]\nrate_limit_share = 1\n[amd]\ncpcodes = {}\n",
        list.join(", ")
    )
}

/// What one poll of 10,000 rows takes.
async fn rows(akamai: &Akamai) -> Result<()> {
    let (mut polls, mut again, mut encodings, mut parses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut shape = (0, 0, 0);
    for _ in 0..ROUNDS {
        let parts = Parts::new(akamai)?;
        parts.config.sources[0].source.prepare(&parts.session).await?;
        let (first, batch) = parts.poll().await?;
        polls.push(first);
        again.push(parts.poll().await?.0);
        let store = Store::new(vec![Arc::clone(&parts.config.sources[0].info)], Vec::new());
        store.publish(0, 0, outcome(batch)?);
        let began = now();
        let exposition = Exposition::of(&store.current(), 0);
        encodings.push(began.elapsed());
        let began = now();
        let (bytes, rows) = akamai.fetch_and_parse(CPCODES).await?;
        parses.push(began.elapsed());
        shape = (bytes, rows, exposition.len());
    }
    let [polls, again, encodings, parses] = [polls, again, encodings, parses].map(median);
    let (bytes, rows, length) = shape;
    println!("{rows} rows in {bytes} bytes of JSON become {length} bytes of text, plain and gzip\n");
    println!("| step | median | of fetching and parsing alone |");
    println!("|---|---:|---:|");
    let row = |name: &str, took: Duration| {
        println!("| {name} | {:.1} ms | {:.2} |", millis(took), took.as_secs_f64() / parses.as_secs_f64());
    };
    row("fetch the same bytes and parse them into `serde_json::Value`", parses);
    row("poll: fetch, parse, sort, count for the first time, make the batch", polls);
    row("poll again: the same window once more", again);
    row("encode, plain and gzip", encodings);
    row("poll and encode", polls + encodings);
    println!();
    Ok(())
}

/// A source with all that it needs, nothing of which has been used.
struct Parts {
    config: Config,
    session: Session,
}

impl Parts {
    fn new(akamai: &Akamai) -> Result<Self> {
        let clock: SharedClock = Arc::new(ManualClock::at(start()?));
        let host = format!("http://{}", akamai.address);
        let variables = [
            ("AKAMAI_HOST", host.as_str()),
            ("AKAMAI_CLIENT_TOKEN", "akab-c"),
            ("AKAMAI_CLIENT_SECRET", "c2VjcmV0"),
            ("AKAMAI_ACCESS_TOKEN", "akab-a"),
        ];
        let problems = Problems::of(Path::new("(bench)"));
        let config =
            Config::read(ini(CPCODES, "").as_bytes(), problems, &Environment::of(variables), &clock)?;
        let given = &config.accounts[0];
        let account = Account::new(
            "default",
            Arc::clone(&given.credentials),
            given.switch_key.clone(),
            given.manners,
            Arc::clone(&clock),
            Arc::new(Telemetry::new()?),
        );
        let api = Api::new(Arc::new(account), config.sources[0].source.limits()[0]);
        let session = Session {
            account: "default".to_owned(),
            source: "amd".to_owned(),
            apis: vec![Arc::new(api)],
            store: None,
            push: None,
            clock,
        };
        Ok(Self { config, session })
    }

    async fn poll(&self) -> Result<(Duration, akamai_exporter::model::Batch)> {
        let permit = self.session.api().permit().await?;
        let began = now();
        let occasion = Occasion { session: &self.session, permit, is_served: true };
        let batch = self.config.sources[0].source.poll(0, occasion).await?;
        Ok((began.elapsed(), batch))
    }
}

fn outcome(batch: akamai_exporter::model::Batch) -> Result<Outcome> {
    let at = start()?;
    Ok(Outcome {
        attempt: Attempt { at, took: None, failure: None },
        data: Some(Data { batch: Arc::new(batch), expires: at + TimeDelta::hours(1) }),
        next_due: at,
        effective_interval: Duration::from_secs(1),
    })
}

/// What the large account takes with an hour of windows in the ledger.
fn size(akamai: &Akamai) -> Result<()> {
    let exporter = Exporter::start(akamai, &ini(LARGE, "state_directory = STATE"), start()?)?;
    let mut now = start()?;
    for _ in 0..14 {
        exporter.wait_for_window(now)?;
        now += TimeDelta::minutes(5);
        exporter.set(now)?;
    }
    exporter.wait_for_window(now)?;
    let (series, bytes) = exporter.exposition()?;
    let (resident, highest) = exporter.memory()?;
    println!("| CP codes | classes | sums | data series | exposition | VmRSS | VmHWM | state on disk |");
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    println!(
        "| {LARGE} | {} | 12 | {series} | {:.1} MB | {:.1} MB | {:.1} MB | {:.1} MB |\n",
        CLASSES.len(),
        bytes as f64 / 1e6,
        resident as f64 / 1024.0,
        highest as f64 / 1024.0,
        exporter.state()? as f64 / 1e6
    );
    let before = Instant::now();
    let exporter = exporter.restarted().context("the exporter does not start again")?;
    exporter.wait_for_window(now)?;
    println!(
        "Data again {:.1} s after a kill, the state read and checked first",
        before.elapsed().as_secs_f64()
    );
    Ok(())
}

fn now() -> Instant {
    Instant::now()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
