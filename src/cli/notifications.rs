//! `akamai-exporter notifications`: a receiver for Alertmanager's webhook, to see what it sends.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{address, until_second_signal};
use crate::app;
use crate::clock::SharedClock;
use crate::server::{self, notifications};
use crate::shutdown::Signals;

/// How long a request that is under way may go on after the first signal.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(super) struct Notifications {
    /// Where to listen, as ADDRESS:PORT: whoever reaches it may read and send notifications
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9880", value_parser = address)]
    listen: SocketAddr,
}

impl Notifications {
    /// Receives until a signal.
    pub(super) async fn run(self, clock: SharedClock) -> anyhow::Result<()> {
        let signals = Signals::listen().context("cannot listen to signals")?;
        let listener = app::bind(self.listen).await?;
        let address = listener.local_addr().context("the listener has no address")?;
        tracing::info!(%address, "receiving notifications of Alertmanager's webhook");
        let stop = CancellationToken::new();
        let serve = server::serve(listener, notifications::router(clock), stop.clone());
        let enough = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let work = async {
            tokio::select! {
                ended = serve => Ok(ended?),
                () = enough => Ok(()),
            }
        };
        until_second_signal(signals, &stop, work).await
    }
}
