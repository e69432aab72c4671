//! Encodes each new snapshot, and has data dropped when it expires.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::snapshot::exposition::Exposition;
use crate::snapshot::{Snapshot, Store};

/// The wall clock may be set, so expiry is looked at this often at least.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Of the time, so many parts pass without encoding for one with it: a hundred thousand series that change twice a second
/// would otherwise keep a core busy.
const REST: u32 = 4;

type Changes = watch::Receiver<Arc<Snapshot>>;

/// Runs until `stop`.
pub(super) async fn run(
    store: Arc<Store>,
    encoded: watch::Sender<Arc<Exposition>>,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let mut changes = store.subscribe();
    let mut length = 0;
    loop {
        let began = Instant::now();
        let snapshot = Arc::clone(&changes.borrow_and_update());
        // Tens of milliseconds for a large snapshot: not on a thread that scrapes wait for.
        match tokio::task::spawn_blocking(move || Exposition::of(&snapshot, length)).await {
            Ok(exposition) => {
                length = exposition.len();
                encoded.send_replace(Arc::new(exposition));
                tracing::debug!(
                    bytes = length,
                    seconds = began.elapsed().as_secs_f64(),
                    "exposition encoded"
                );
            }
            Err(error) => tracing::error!("snapshot not encoded: {error}"),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = change(&store, &mut changes, &clock, began.elapsed() * REST) => {}
        }
    }
}

/// Waits for a new snapshot, having data dropped when it expires.
async fn change(store: &Store, changes: &mut Changes, clock: &SharedClock, rest: Duration) {
    tokio::time::sleep(rest).await;
    loop {
        let expiry = changes.borrow().next_expiry();
        let until = expiry.map(|at| (at - clock.now()).to_std().unwrap_or_default());
        tokio::select! {
            biased;
            Ok(()) = changes.changed() => return,
            () = tokio::time::sleep(until.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)) => {
                store.expire(clock.now());
            }
        }
    }
}
