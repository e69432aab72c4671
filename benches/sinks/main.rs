//! How fast a day of windows that waits in the spool reaches a receiver, beside a client that posts the same bytes; what that costs in memory
//! and on disk; and how many lines a Datadog Agent gets. `cargo bench --bench sinks` prints the tables of docs/benchmarks.md.

#![expect(clippy::print_stdout, reason = "the results are what it is for")]

mod agent;
mod exporter;
#[path = "../common/process.rs"]
mod process;
mod prometheus;
mod receiver;
#[path = "../common/simulator.rs"]
mod simulator;
mod spool;
/// How the tests find Prometheus, or install it.
#[path = "../../tests/it/tools.rs"]
#[expect(dead_code, unreachable_pub, clippy::unwrap_used, reason = "it belongs to the tests")]
mod tools;

use std::time::Duration;

use anyhow::Result;
use axum::body::Bytes;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::exporter::Exporter;
use crate::prometheus::Prometheus;
use crate::receiver::{Receiver, post_all};
use crate::simulator::Simulator;
use crate::spool::{DOGSTATSD, REMOTE_WRITE, SAMPLES, State};

/// How often it is done; medians are told.
const ROUNDS: usize = 3;

/// How long an exporter rests before its memory is looked at.
const REST: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    // `cargo bench` says so; `cargo test --all-targets` runs this too, and has nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (receiver, server) = runtime.block_on(Receiver::start())?;
    let mut tasks = JoinSet::new();
    tasks.spawn_on(server, runtime.handle());
    let bench = Bench { simulator: Simulator::start(1)?, state: State::filled()?, receiver, runtime };
    bench.disk()?;
    let bodies = bench.remote_write()?;
    bench.prometheus(&bodies)?;
    bench.dogstatsd()
}

struct Bench {
    simulator: Simulator,
    /// What each round begins with a copy of.
    state: State,
    receiver: Receiver,
    runtime: Runtime,
}

/// One day sent to the receiver.
struct Drained {
    /// From the start of the process to the first request.
    first: Duration,
    /// From the first request to the last.
    took: Duration,
    bodies: Vec<Bytes>,
    /// Resident memory in KiB after that, and at its highest.
    memory: (u64, u64),
}

impl Bench {
    fn disk(&self) -> Result<()> {
        let bytes = self.state.bytes()?;
        println!(
            "{SAMPLES} samples wait: {} as they are kept, {:.1} bytes each; {} on disk, {:.1} bytes each\n",
            megabytes(self.state.waiting),
            self.state.waiting as f64 / SAMPLES as f64,
            megabytes(bytes),
            bytes as f64 / SAMPLES as f64,
        );
        Ok(())
    }

    /// To a receiver that takes all at once; returns the requests.
    fn remote_write(&self) -> Result<Vec<Bytes>> {
        let (empty, idle) = self.idle()?;
        let (mut firsts, mut ours, mut theirs, mut openings) = (vec![], vec![], vec![], vec![]);
        let (mut bodies, mut memory) = (Vec::new(), (0, 0));
        for _ in 0..ROUNDS {
            openings.push(self.state.copy()?.opening()?);
            let drained = self.drain()?;
            firsts.push(drained.first);
            ours.push(drained.took);
            memory = (memory.0.max(drained.memory.0), memory.1.max(drained.memory.1));
            bodies = drained.bodies;
            theirs.push(self.runtime.block_on(post_all(&self.receiver.url, &bodies))?);
            self.receiver.take()?;
        }
        let [first, ours, theirs, opening] = [firsts, ours, theirs, openings].map(median);
        println!("| to a receiver that answers 204 | requests | bytes | time | samples/s | ratio |");
        println!("|---|---:|---:|---:|---:|---:|");
        let row = |name: &str, took: Duration| {
            let (bytes, rate) = (length(&bodies), SAMPLES as f64 / took.as_secs_f64());
            let ratio = took.as_secs_f64() / theirs.as_secs_f64();
            let (count, seconds) = (bodies.len(), took.as_secs_f64());
            println!("| {name} | {count} | {bytes} | {seconds:.2} s | {rate:.0} | {ratio:.2} |");
        };
        row("a client that posts the same requests", theirs);
        row("the exporter, from its spool", ours);
        println!("\n| exporter | start to first request | VmRSS | VmHWM |");
        println!("|---|---:|---:|---:|");
        let row = |name: &str, first: Duration, (resident, highest): (u64, u64)| {
            let [resident, highest] = [resident, highest].map(|kib| format!("{:.1} MB", kib as f64 / 1024.0));
            println!("| {name} | {:.2} s | {resident} | {highest} |", first.as_secs_f64());
        };
        row("with nothing that waits", empty, idle);
        row("with a day that waits, and after it", first, memory);
        println!("\nOpening the file, every page of it checked: {:.2} s\n", opening.as_secs_f64());
        Ok(bodies)
    }

    /// The exporter with nothing to send but its own sample: the first request after its start, and its memory.
    fn idle(&self) -> Result<(Duration, (u64, u64))> {
        let (state, began) = (State::empty()?, Instant::now());
        let exporter = Exporter::start(&self.simulator, &state, &remote_write(&self.receiver.url))?;
        let first = self.first(began)?;
        std::thread::sleep(REST);
        self.receiver.take()?;
        Ok((first, exporter.memory()?))
    }

    fn drain(&self) -> Result<Drained> {
        let (state, began) = (self.state.copy()?, Instant::now());
        let exporter = Exporter::start(&self.simulator, &state, &remote_write(&self.receiver.url))?;
        let first = self.first(began)?;
        exporter.wait_for(REMOTE_WRITE, SAMPLES)?;
        std::thread::sleep(REST);
        let (bodies, took) = self.receiver.take()?;
        Ok(Drained { first, took, bodies, memory: exporter.memory()? })
    }

    /// How long after `began` the first request came.
    fn first(&self, began: Instant) -> Result<Duration> {
        while began.elapsed() < Duration::from_secs(60) {
            if let Some(first) = self.receiver.first() {
                return Ok(first - began);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("no request came")
    }

    /// The same to a real Prometheus, an empty one each time.
    fn prometheus(&self, bodies: &[Bytes]) -> Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (prometheus, state) = (Prometheus::start()?, self.state.copy()?);
            let _exporter = Exporter::start(&self.simulator, &state, &remote_write(&prometheus.url()))?;
            ours.push(prometheus.rate(SAMPLES)?);
            drop(prometheus);
            let prometheus = Prometheus::start()?;
            let took = self.runtime.block_on(post_all(&prometheus.url(), bodies))?;
            theirs.push(SAMPLES as f64 / took.as_secs_f64());
        }
        let [ours, theirs] = [ours, theirs].map(|mut rates| {
            rates.sort_unstable_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!("| to Prometheus | samples/s | ratio |");
        println!("|---|---:|---:|");
        println!("| a client that posts the same requests | {theirs:.0} | 1.00 |");
        println!("| the exporter, from its spool | {ours:.0} | {:.2} |\n", theirs / ours);
        Ok(())
    }

    fn dogstatsd(&self) -> Result<()> {
        println!("| to an Agent | lines/s | datagrams/s | a client that sends the same, lines/s | ratio |");
        println!("|---|---:|---:|---:|---:|");
        for (name, agent) in [("over UDP", Agent::udp()?), ("on a Unix socket", Agent::unix()?)] {
            let section = format!("[{DOGSTATSD}]\naddress = {}\nsend_after = settled", agent.address()?);
            let state = self.state.copy()?;
            let exporter = Exporter::start(&self.simulator, &state, &section)?;
            let heard = agent.hear()?;
            drop(exporter);
            agent.drain()?;
            let rate = |took: Duration| heard.lines as f64 / took.as_secs_f64();
            let ours = rate(heard.took);
            let (theirs, ratio) = match agent.send_all(&heard.datagrams)?.map(rate) {
                Some(theirs) => (format!("{theirs:.0}"), format!("{:.2}", theirs / ours)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let datagrams = heard.datagrams.len() as f64 / heard.took.as_secs_f64();
            println!("| {name} | {ours:.0} | {datagrams:.0} | {theirs} | {ratio} |");
        }
        Ok(())
    }
}

/// The section of exporter.ini.
fn remote_write(url: &str) -> String {
    format!("[{REMOTE_WRITE}]\nurl = {url}")
}

fn length(bodies: &[Bytes]) -> usize {
    bodies.iter().map(Bytes::len).sum()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
