//! `akamai-exporter status` and `healthcheck`: what a running exporter says, in a terminal or as an exit status.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::Args;

use crate::server::STATUS_PATH;
use crate::server::status::{BudgetStatus, SinkStatus, SourceStatus, State, Status};

/// A running exporter answers from memory.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where the running exporter is.
#[derive(Args, Debug)]
pub(super) struct Running {
    /// Where the running exporter listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9877")]
    url: String,
}

impl Running {
    /// What it says of every source; `is_json` for programs.
    pub(super) async fn status(&self, is_json: bool) -> anyhow::Result<String> {
        let body = self.get(STATUS_PATH).await?;
        if is_json {
            return Ok(body);
        }
        let status: Status = serde_json::from_str(&body)
            .with_context(|| format!("what answers at {} is no akamai-exporter of this version", self.url))?;
        Ok(render(&status))
    }

    /// Whether it lives.
    pub(super) async fn health(&self) -> anyhow::Result<()> {
        self.get("/-/healthy").await.map(|_| ())
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let scheme = if self.url.contains("://") { "" } else { "http://" };
        let url = format!("{scheme}{}{path}", self.url.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        let asked = client.get(&url).send().await;
        let answer =
            asked.map_err(reqwest::Error::without_url).with_context(|| format!("no answer from {url}"))?;
        if !answer.status().is_success() {
            bail!("{url} answered {}", answer.status());
        }
        Ok(answer.text().await?)
    }
}

/// The status as text: a block a source, in the manner of an agent's status command.
fn render(status: &Status) -> String {
    let mut text =
        format!("Akamai exporter {}, {}\n", status.version, status.now.format("%Y-%m-%d %H:%M:%S UTC"));
    for account in &status.accounts {
        // Writing to a String cannot fail.
        let _ = write!(text, "\nAccount {}\n  Credentials: {}\n", account.name, account.credentials);
        for budget in &account.budgets {
            let left = budget.remaining.map(|left| format!(", {left} left")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  Budget for {}: {:.1} of {} requests a minute{left}",
                budget.api, budget.per_minute, budget.limit
            );
        }
        for pause in account.budgets.iter().filter_map(BudgetStatus::pause) {
            let _ = writeln!(text, "  {pause}");
        }
        for source in &account.sources {
            source_block(&mut text, source, status.now);
        }
    }
    if !status.sinks.is_empty() {
        text.push_str("\nSinks\n");
    }
    for sink in &status.sinks {
        sink_block(&mut text, sink, status.now);
    }
    text
}

fn word(state: State) -> &'static str {
    match state {
        State::Up => "[OK]",
        State::Down => "[ERROR]",
        State::Waiting => "[WAITING]",
    }
}

fn sink_block(text: &mut String, sink: &SinkStatus, now: DateTime<Utc>) {
    let _ = writeln!(text, "\n  {} ({}, to {}) {}", sink.name, sink.kind, sink.address, word(sink.state));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "    {name:<19}{value}");
    };
    line("Sent:", format!("{} {}", sink.sent, sink.takes));
    line("Waiting:", sink.waiting.to_string());
    line("Refused, lost:", format!("{}, {}", sink.refused, sink.lost));
    line("Last delivery:", moment(sink.last_success, now));
    let is_over = sink.state == State::Up;
    let mishaps = [
        (if is_over { "Last error (over):" } else { "Last error:" }, &sink.last_failure),
        ("Last refusal:", &sink.last_refusal),
    ];
    for (name, mishap) in mishaps {
        if let Some(mishap) = mishap {
            line(name, moment(Some(mishap.at), now));
            line("", mishap.message.clone());
        }
    }
}

fn source_block(text: &mut String, source: &SourceStatus, now: DateTime<Utc>) {
    let state = word(source.state);
    let up = source.targets.iter().filter(|target| target.state == State::Up).count();
    let _ = writeln!(text, "\n  {} ({}, {}) {state}", source.name, source.kind, source.schedule);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "    {name:<19}{value}");
    };
    line("Targets:", format!("{} of {} give data", up, source.targets.len()));
    line("Total runs:", format!("{}, {} failed", source.polls, source.failures));
    line("Samples:", format!("last run {}, total {}", source.last_samples, source.samples));
    line("Series:", source.series.to_string());
    line("Mean duration:", source.mean_seconds.map_or("none yet".to_owned(), |mean| format!("{mean:.3} s")));
    source.notes.iter().for_each(|note| line("Note:", note.clone()));
    line("Last success:", moment(source.last_success, now));
    line("Next run:", moment(source.next_due, now));
    if source.effective_interval_seconds > source.interval_seconds {
        let (meant, kept) = (source.interval_seconds, source.effective_interval_seconds);
        line(
            "Overload:",
            format!(
                "targets are polled every {kept:.0} s instead of {meant:.0} s: the budget allows no more"
            ),
        );
    }
    if let Some(failure) = &source.last_failure {
        let is_over =
            source.targets.iter().any(|target| target.name == failure.target && target.state == State::Up);
        line(
            if is_over { "Last error (over):" } else { "Last error:" },
            format!("{} {}", failure.reason, moment(Some(failure.at), now)),
        );
        line("", format!("{}: {}. {}", failure.target, failure.message, failure.advice));
    }
}

fn moment(time: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(time) = time else { return "none yet".to_owned() };
    let distance = match (time - now).num_seconds() {
        ahead if ahead > 0 => format!("in {ahead} s"),
        0 => "now".to_owned(),
        behind => format!("{} s ago", -behind),
    };
    format!("{} ({distance})", time.format("%Y-%m-%d %H:%M:%S UTC"))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::snapshot::sample;

    #[test]
    fn a_block_a_source() {
        let now = sample::start() + TimeDelta::minutes(3);
        let text = render(&Status::of(&sample::store().current(), &[], &[], now));
        let expected = "\
  estats (estats, every 2m) [ERROR]
    Targets:           0 of 1 give data
    Total runs:        2, 1 failed
    Samples:           last run 1, total 1
    Series:            1
    Mean duration:     7.000 s
    Last success:      2026-11-20 10:00:00 UTC (180 s ago)
    Next run:          2026-11-20 10:04:00 UTC (in 60 s)
    Last error:        timeout 2026-11-20 10:02:00 UTC (60 s ago)
                       CP code 7: it was timeout. Akamai or the network is slow; it is tried again.
";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("  new (estats, every 2m) [WAITING]\n    Targets:           0 of 1 give data\n"),
            "{text}"
        );
    }
}
