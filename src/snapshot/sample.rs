//! A snapshot that several tests look at.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Attempt, Data, Outcome, SourceInfo, Store};
use crate::model::{Batch, Family, MetricKind, Reason, Target};

pub(crate) static HITS: Family = Family {
    name: "akamai_test_hits",
    help: "Hits with a \\ and a\nnew line.",
    kind: MetricKind::Gauge,
    labels: &["cpcode", "url"],
};

pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

pub(crate) fn source(account: &str, name: &str, targets: &[&str]) -> Arc<SourceInfo> {
    let target =
        |code: &&str| Target { name: format!("CP code {code}"), labels: vec![("cpcode", (*code).into())] };
    Arc::new(SourceInfo {
        account: account.to_owned(),
        name: name.to_owned(),
        kind: "estats",
        api: "estats",
        schedule: "every 2m".to_owned(),
        interval: Duration::from_secs(120),
        targets: targets.iter().map(target).collect(),
    })
}

pub(crate) fn batch(samples: &[(&str, f64)]) -> Batch {
    let mut batch = Batch::default();
    for (label, value) in samples {
        batch.push(&HITS, [&(*label).into(), &"".into()], *value);
    }
    batch
}

pub(crate) fn success(at: DateTime<Utc>, batch: Batch) -> Outcome {
    let data = Data { batch: Arc::new(batch), expires: at + TimeDelta::minutes(6) };
    Outcome { data: Some(data), ..failure(at, None) }
}

pub(crate) fn failure(at: DateTime<Utc>, reason: Option<Reason>) -> Outcome {
    let failure = reason.map(|reason| (reason, format!("it was {}", reason.label())));
    Outcome {
        attempt: Attempt { at, took: Some(Duration::from_secs(7)), failure },
        data: None,
        next_due: at + TimeDelta::minutes(2),
        effective_interval: Duration::from_secs(120),
    }
}

/// One source that has all, one that failed after a success, one that has not been polled.
pub(crate) fn store() -> Store {
    let sources = vec![
        source("default", "estats", &["1209788", "5"]),
        source("shop", "estats", &["7"]),
        source("shop", "new", &["8"]),
    ];
    let store = Store::new(sources, vec![("env".to_owned(), "a\"b\\c\nd".to_owned())]);
    store.publish(0, 0, success(start(), batch(&[("1209788", 9700.0)])));
    store.publish(1, 0, success(start(), batch(&[("7", 0.5)])));
    store.publish(1, 0, failure(start() + TimeDelta::minutes(2), Some(Reason::Timeout)));
    store
}
