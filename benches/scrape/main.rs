//! How fast a scrape of 100,000 series is, beside nginx serving the same bytes; how much memory that takes; and how soon
//! the demo has its first sample. `cargo bench` runs it, on the release build of the real binary, and prints the tables of
//! docs/benchmarks.md.

#![expect(clippy::print_stdout, reason = "the results are what it is for")]

mod client;
mod nginx;
#[path = "../common/process.rs"]
mod process;
mod processes;
#[path = "../common/simulator.rs"]
mod simulator;
mod table;
/// How the tests find nginx, or install it.
#[path = "../../tests/it/tools.rs"]
#[expect(dead_code, unreachable_pub, clippy::unwrap_used, reason = "it belongs to the tests")]
mod tools;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::{Client, now};
use crate::nginx::Nginx;
use crate::processes::Exporter;
use crate::simulator::Simulator;
use crate::table::{Times, kilobytes, milliseconds};

/// At least so many series are served.
const SERIES: usize = 100_000;
/// So many CP codes give that many series at most times of the simulated day, each on both delivery networks.
const CPCODES: usize = 2_200;
/// As many as there are.
const MOST_CPCODES: usize = 20_000;
/// GETs that are measured of each server and form; before them come a few that are not.
const ROUNDS: usize = 400;
const WARM_UP: usize = 20;
/// GETs that are measured with a pause before each, as Prometheus makes: what is encoded once a second is encoded for each then.
const SPACED_ROUNDS: usize = 30;
const PAUSE: Duration = Duration::from_millis(1100);
/// How often the demo is started.
const STARTS: usize = 5;

fn main() -> Result<()> {
    // `cargo bench` says so; `cargo test --all-targets` runs this too, and has nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let simulator = Simulator::start(MOST_CPCODES)?;
    let cpcodes = scrapes(&simulator)?;
    memory(&simulator, cpcodes)?;
    drop(simulator);
    first_sample()
}

/// Polled once, then left alone for an hour: what is measured is serving. Returns how many CP codes it took.
fn scrapes(simulator: &Simulator) -> Result<usize> {
    let mut cpcodes = CPCODES;
    let (exporter, plain) = loop {
        let exporter = Exporter::start(simulator, cpcodes, "1h")?;
        let took = exporter.wait_for_targets(2 * cpcodes)?;
        let plain = Client::new(exporter.address).once(false)?;
        let series = count(&plain);
        println!("{} targets polled once in {:.1} s: {series} series", 2 * cpcodes, took.as_secs_f64());
        if series >= SERIES {
            break (exporter, plain);
        }
        // At night there is less: so many more, and a few besides.
        cpcodes = cpcodes * SERIES * 21 / (series * 20);
        anyhow::ensure!(cpcodes <= MOST_CPCODES, "the simulator has too little traffic");
    };
    println!();
    let ours = Client::new(exporter.address);
    let nginx = Nginx::serving(&plain, &ours.once(true)?)?;
    let theirs = Client::new(nginx.address);
    println!(
        "| GETs | bytes | exporter median | p99 | requests/s | nginx median | p99 | requests/s | ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (form, is_gzip) in [("plain", false), ("gzip", true)] {
        let back_to_back = alternate(&ours, &theirs, is_gzip, ROUNDS, Duration::ZERO)?;
        print_row(&format!("{form}, back to back"), &back_to_back);
        let spaced = alternate(&ours, &theirs, is_gzip, SPACED_ROUNDS, PAUSE)?;
        print_row(&format!("{form}, one every {} s", PAUSE.as_secs_f64()), &spaced);
    }
    println!();
    Ok(cpcodes)
}

fn count(metrics: &[u8]) -> usize {
    metrics.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count()
}

fn print_row(name: &str, measured: &Measured) {
    let Measured { bytes, ours, theirs } = measured;
    println!(
        "| {name} | {bytes} | {} | {} | {:.0} | {} | {} | {:.0} | {:.2} |",
        milliseconds(ours.median()),
        milliseconds(ours.p99()),
        ours.per_second(),
        milliseconds(theirs.median()),
        milliseconds(theirs.p99()),
        theirs.per_second(),
        ours.median().as_secs_f64() / theirs.median().as_secs_f64()
    );
}

/// What the same GETs took here and there.
#[derive(Default)]
struct Measured {
    bytes: usize,
    ours: Times,
    theirs: Times,
}

/// One GET here, one there, over one connection each, so that whatever else the machine does meets both.
fn alternate(
    ours: &Client,
    theirs: &Client,
    is_gzip: bool,
    rounds: usize,
    pause: Duration,
) -> Result<Measured> {
    let (mut one, mut other) = (ours.connect(is_gzip)?, theirs.connect(is_gzip)?);
    let mut measured = Measured::default();
    for round in 0..WARM_UP + rounds {
        if round >= WARM_UP {
            std::thread::sleep(pause);
        }
        let (bytes, here) = one.get()?;
        let (_, there) = other.get()?;
        if round >= WARM_UP {
            measured.ours.push(here);
            measured.theirs.push(there);
            measured.bytes = bytes;
        }
    }
    Ok(measured)
}

/// Resident memory in the steady state, with more polls and scrapes going on than any real limit allows.
fn memory(simulator: &Simulator, many: usize) -> Result<()> {
    println!("| exporter with | polls with data | VmRSS, highest of the second half | VmHWM |");
    println!("|---|---:|---:|---:|");
    for (cpcodes, interval, polls) in [(1, "1s", 60), (many, "15s", 12 * many)] {
        let exporter = Exporter::start(simulator, cpcodes, interval)?;
        exporter.wait_for_targets(2 * cpcodes)?;
        let client = Client::new(exporter.address);
        let mut resident = 0;
        let mut done = 0;
        while done < polls {
            client.once(false)?;
            client.once(true)?;
            std::thread::sleep(Duration::from_millis(500));
            done = exporter.polls()?;
            if done > polls / 2 {
                resident = resident.max(exporter.memory()?.0);
            }
        }
        let peak = exporter.memory()?.1.max(resident);
        let series = exporter.series()?;
        println!(
            "| {cpcodes} CP code(s) on both networks, {series} series | {} | {} | {} |",
            done,
            kilobytes(resident),
            kilobytes(peak)
        );
    }
    println!();
    Ok(())
}

/// From the start of the process to the first eStats sample on /metrics.
fn first_sample() -> Result<()> {
    let mut times = Times::default();
    for _ in 0..STARTS {
        let began = now();
        let demo = Exporter::demo()?;
        demo.wait_for("\nakamai_estats_hits{").context("the demo gives no sample")?;
        times.push(began.elapsed());
    }
    println!("First sample of `demo`: {} (median of {STARTS})", milliseconds(times.median()));
    Ok(())
}
