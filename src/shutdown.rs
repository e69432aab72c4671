//! Signals: the first SIGTERM or SIGINT asks every part to stop, a second one ends the process at once. SIGHUP says that somebody has moved a log.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two signals, listened to from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen, so that a signal during start-up is not lost.
    ///
    /// # Errors
    ///
    /// If the system refuses to install the handlers.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the first signal and cancels `stop`; returns when the second one comes.
    pub async fn watch(mut self, stop: CancellationToken) {
        let name = self.next().await;
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        stop.cancel();
        self.next().await;
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, listened to from the moment this is made.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// If the system refuses to install the handler.
    pub fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // The system delivers no more of them.
            std::future::pending::<()>().await;
        }
    }
}
