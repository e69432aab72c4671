//! How far a backfill has come: a bar on a terminal, plain lines in the log elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::telemetry::logging;

/// Where there is no terminal, a day that takes long has a line so often.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

const TEMPLATE: &str = "{wide_bar} {pos}/{len} windows, {msg}";

/// Windows and rows so far.
#[derive(Debug)]
pub(super) struct Meter {
    bar: ProgressBar,
    all: u64,
    done: u64,
    /// How many of them an earlier run has done: they tell nothing of the pace.
    before: u64,
    rows: u64,
    began: Instant,
    last_line: Instant,
}

impl Meter {
    /// Of so many windows some are done.
    pub(super) fn new(all: u64, before: u64) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
            let own = bar.clone();
            logging::guard(move |write| own.suspend(write));
            bar
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_message("time left unknown");
        bar.set_position(before);
        let now = Instant::now();
        Self { bar, all, done: before, before, rows: 0, began: now, last_line: now }
    }

    /// Windows were fetched.
    pub(super) fn fetched(&mut self, source: &str, windows: u64, rows: u64) {
        self.done += windows;
        self.rows += rows;
        self.bar.set_message(format!("{} rows, {}", self.rows, self.left()));
        self.bar.set_position(self.done);
        if self.bar.is_hidden() && self.last_line.elapsed() >= BETWEEN_LINES {
            self.line(source, "backfill under way");
        }
    }

    /// A part of a source is where it should be.
    pub(super) fn kept(&mut self, source: &str, what: &str) {
        if self.bar.is_hidden() {
            self.line(source, &format!("backfilled {what}"));
        }
    }

    /// The bar has no use any more.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// How many windows and rows this run has fetched.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.done - self.before, self.rows)
    }

    fn line(&mut self, source: &str, words: &str) {
        self.last_line = Instant::now();
        let (done, all, rows, left) = (self.done, self.all, self.rows, self.left());
        tracing::info!(source, windows = done, of = all, rows, left, "{words}");
    }

    /// The time that it will take, at the pace so far.
    fn left(&self) -> String {
        left(self.done - self.before, self.all.saturating_sub(self.done), self.began.elapsed())
    }
}

/// How long `more` will take if `done` took `elapsed`, for people.
fn left(done: u64, more: u64, elapsed: Duration) -> String {
    if done == 0 {
        return "time left unknown".to_owned();
    }
    let seconds = elapsed.as_secs_f64() / done as f64 * more as f64;
    format!("{} left", humantime::format_duration(Duration::from_secs(seconds.round() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left() {
        assert_eq!(left(0, 10, Duration::from_secs(5)), "time left unknown");
        assert_eq!(left(10, 70, Duration::from_secs(10)), "1m 10s left");
        assert_eq!(left(10, 0, Duration::from_secs(10)), "0s left");
    }
}
