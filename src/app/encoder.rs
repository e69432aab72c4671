//! Encodes each new snapshot, and has data dropped when it expires.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::snapshot::Store;
use crate::snapshot::exposition::Exposition;

/// The wall clock may be set, so expiry is looked at this often at least.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Of the time, so many parts pass without encoding for one with it: a hundred thousand series that change twice a second
/// would otherwise keep a core busy.
const REST: u32 = 4;

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
        let expiry = snapshot.next_expiry();
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
        let rest = began.elapsed() * REST;
        let until_expiry = expiry.map(|at| (at - clock.now()).to_std().unwrap_or_default());
        let wait = until_expiry.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Ok(()) = changed(&mut changes, rest) => {}
            () = tokio::time::sleep(wait) => store.expire(clock.now()),
        }
    }
}

async fn changed<T>(changes: &mut watch::Receiver<T>, rest: Duration) -> Result<(), watch::error::RecvError> {
    tokio::time::sleep(rest).await;
    changes.changed().await
}
