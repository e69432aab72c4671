//! A day of windows that waits in a `state_directory`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use akamai_exporter::ledger::store::Store;
use akamai_exporter::model::{LabelValue, Origin, Parcel, Row, Sheet};
use akamai_exporter::spool::Spool;
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tokio::time::Instant;

const WINDOWS: i32 = 288;
const CPCODES: u64 = 100;
const CLASSES: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "other"];

/// Whose bytes and hits, and which.
const TIERS: [&str; 3] = ["edge", "origin", "midgress"];
const SUMS: [&str; 4] = ["hits", "bytes", "request_bytes", "response_bytes"];

/// How many samples wait.
pub(crate) const SAMPLES: u64 = WINDOWS as u64 * CPCODES * (CLASSES.len() * TIERS.len() * SUMS.len()) as u64;

/// The sinks that they wait for.
pub(crate) const REMOTE_WRITE: &str = "remote_write";
pub(crate) const DOGSTATSD: &str = "dogstatsd";

/// More than waits.
const MOST: u64 = 1 << 30;

/// A directory with a spool, which no process uses.
pub(crate) struct State {
    directory: TempDir,
    /// How many bytes the samples are.
    pub(crate) waiting: u64,
}

impl State {
    /// An empty one.
    pub(crate) fn empty() -> Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, waiting: 0 })
    }

    /// One with all windows, added one by one as they would have been.
    pub(crate) fn filled() -> Result<Self> {
        let state = Self::empty()?;
        let store = Arc::new(Store::open(state.path(), start()?)?);
        let spool = Spool::in_store(store, MOST, &[REMOTE_WRITE, DOGSTATSD].map(str::to_owned))?;
        for number in 0..WINDOWS {
            spool.append(&[window(number)?])?;
        }
        Ok(Self { waiting: spool.fill().0, ..state })
    }

    /// The same once more.
    pub(crate) fn copy(&self) -> Result<Self> {
        let copy = Self { waiting: self.waiting, ..Self::empty()? };
        for file in fs::read_dir(self.path())? {
            let file = file?;
            fs::copy(file.path(), copy.path().join(file.file_name()))?;
        }
        Ok(copy)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How many bytes it takes on disk.
    pub(crate) fn bytes(&self) -> Result<u64> {
        fs::read_dir(self.path())?.map(|file| Ok(file?.metadata()?.len())).sum()
    }

    /// How long it takes to open, every page of it checked.
    pub(crate) fn opening(&self) -> Result<Duration> {
        let began = Instant::now();
        Store::open(self.path(), start()?)?;
        Ok(began.elapsed())
    }
}

fn start() -> Result<DateTime<Utc>> {
    Ok("2026-11-20T00:00:00Z".parse()?)
}

fn window(number: i32) -> Result<Parcel> {
    let metrics = TIERS.iter().flat_map(|tier| SUMS.map(|sum| format!("akamai_traffic_{tier}_{sum}_total")));
    let classes = CLASSES.map(LabelValue::from);
    let mut dice = u64::from(number.unsigned_abs());
    let mut rows = Vec::new();
    for code in 0..CPCODES {
        let code = LabelValue::from((1_000_000 + code).to_string());
        for class in &classes {
            let values = TIERS.iter().flat_map(|_| tier(&mut dice)).collect();
            rows.push(Row { labels: vec![Arc::clone(&code), Arc::clone(class)], values });
        }
    }
    let labels = ["cpcode", "status_class"].map(str::to_owned).to_vec();
    Ok(Parcel {
        account: "default".to_owned(),
        source: "amd".to_owned(),
        time: start()? + TimeDelta::minutes(5) * (number + 1),
        origin: Origin::Settled,
        names: Vec::new(),
        sheets: vec![Sheet { labels, metrics: metrics.collect(), rows }],
    })
}

/// Hits up to 100,000 and their bytes: numbers that do not compress.
fn tier(dice: &mut u64) -> [f64; 4] {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let hits = (*dice >> 33) % 100_000 + 1;
    let (response, request) = (hits * (2_000 + (*dice >> 40) % 60_000), hits * (500 + (*dice >> 50) % 500));
    [hits, request + response, request, response].map(|value| value as f64)
}
