//! When sources are polled: intervals and cron expressions.
//!
//! This is the only file that names the scheduler crate. What fires there only says "due" to a poller, which owns overlap, back-off
//! and spreading. Its repeated jobs stop for good after a stall of the process, so intervals are left to tokio's clock, and cron
//! expressions alone, which go on after a stall, are given to it. It wants both day fields to match where both are restricted, so the parser
//! here does too.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// A cron expression of five fields, in UTC.
#[derive(Clone, Debug)]
pub struct CronExpression {
    text: String,
    cron: Cron,
}

impl FromStr for CronExpression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = |why: &str| {
            format!("`{text}` is no cron expression ({why}); expected five fields, such as */5 * * * *")
        };
        if text.split_whitespace().count() != 5 {
            return Err(fault("it has not five fields"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).dom_and_dow(true).build();
        let cron = parser.parse(text).map_err(|error| fault(&error.to_string()))?;
        // The 30th of February parses as well, and would never fire.
        if cron.find_next_occurrence(&DateTime::UNIX_EPOCH, false).is_err() {
            return Err(fault("it never comes"));
        }
        Ok(Self { text: text.to_owned(), cron })
    }
}

/// When a source is polled.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Again and again, so far apart.
    Every(Duration),
    /// When the clock says so.
    Cron(Box<CronExpression>),
}

impl Schedule {
    /// The first time after `from`; for an interval that is one interval later.
    #[must_use]
    pub fn next_after(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Every(interval) => later(from, *interval),
            Self::Cron(cron) => {
                cron.cron.find_next_occurrence(&from, false).unwrap_or(from + TimeDelta::days(366))
            }
        }
    }

    /// How far apart two polls are meant to be: of a cron expression the shortest of the gaps that begin in the week after its first
    /// time after `now`, and of the first hundred of these. The first alone may be the night of a source that is polled by day.
    #[must_use]
    pub fn interval(&self, now: DateTime<Utc>) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::Cron(_) => {
                let first = self.next_after(now);
                let times = std::iter::successors(Some(first), |time| Some(self.next_after(*time)));
                let week = times.take_while(|time| *time < first + TimeDelta::days(7)).take(100);
                let gaps = week.map(|time| self.next_after(time) - time);
                gaps.min().and_then(|gap| gap.to_std().ok()).unwrap_or(Duration::from_secs(60))
            }
        }
    }

    /// When data of `from` is too old: when `polls` more polls have been due, `effective` apart at least.
    #[must_use]
    pub fn expiry(&self, from: DateTime<Utc>, polls: u32, effective: Duration) -> DateTime<Utc> {
        let due = match self {
            Self::Every(interval) => later(from, interval.saturating_mul(polls)),
            Self::Cron(_) => (0..polls).fold(from, |time, _| self.next_after(time)),
        };
        due.max(later(from, effective.saturating_mul(polls)))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => write!(out, "every {}", humantime::format_duration(*interval)),
            Self::Cron(cron) => write!(out, "at {} (UTC)", cron.text),
        }
    }
}

/// So much later, or at the end of time.
fn later(from: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
    from.checked_add_signed(delta).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Requests a minute for each of `demands`, if together they may have `budget`: who wants less than an even part gets
/// all it wants, the others share the rest evenly. That is what taking turns at one token bucket comes to.
#[must_use]
pub fn fair_rates(demands: &[f64], budget: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by(|one, other| demands[*one].total_cmp(&demands[*other]));
    let mut rates = vec![0.0; demands.len()];
    let (mut left, mut sharers) = (budget, demands.len() as f64);
    for index in order {
        rates[index] = demands[index].min(left / sharers);
        left -= rates[index];
        sharers -= 1.0;
    }
    rates
}

/// How far apart the polls of a source's `targets` are, if it is the `own`-th of those with these `demands` on the `budget`: its
/// `interval`, or what the budget allows.
#[must_use]
pub fn kept_interval(
    interval: Duration,
    targets: usize,
    demands: &[f64],
    own: usize,
    budget: f64,
) -> Duration {
    let rate = fair_rates(demands, budget)[own];
    let needed = Duration::from_secs_f64(60.0 * targets as f64 / rate);
    // What fits to the letter would otherwise differ by a rounding error.
    if needed.as_secs_f64() > interval.as_secs_f64() * 1.001 { needed } else { interval }
}

/// Fires the cron expressions of all sources.
pub struct Timer(JobScheduler);

impl Timer {
    /// Starts a timer that sends to each sender whenever its expression says so. A sender that is full has not acted on the last time:
    /// then this one is left out.
    ///
    /// # Errors
    ///
    /// If the scheduler refuses an expression or does not start.
    pub async fn start(jobs: Vec<(CronExpression, mpsc::Sender<()>)>) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        for (expression, due) in jobs {
            // The scheduler wants a field for the seconds.
            let job = Job::new(format!("0 {}", expression.text), move |_, _| {
                let _ = due.try_send(());
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self(scheduler))
    }

    /// Stops it.
    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::warn!("cron timer not stopped: {error}");
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Timer")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cron(text: &str) -> Schedule {
        Schedule::Cron(Box::new(text.parse().unwrap()))
    }

    #[test]
    fn cron_expressions() {
        let schedule = cron("*/5 * * * *");
        assert_eq!(schedule.next_after(time("2026-11-20T10:02:03Z")), time("2026-11-20T10:05:00Z"));
        assert_eq!(schedule.next_after(time("2026-11-20T10:05:00Z")), time("2026-11-20T10:10:00Z"));
        assert_eq!(schedule.interval(time("2026-11-20T10:02:03Z")), Duration::from_secs(300));
        assert_eq!(schedule.to_string(), "at */5 * * * * (UTC)");
        let both = cron("0 0 22 * WED").next_after(time("2026-11-20T10:00:00Z"));
        assert_eq!(both, time("2027-09-22T00:00:00Z"), "both day fields match, as the timer has it");
        for bad in ["", "* * * *", "0 */5 * * * *", "61 * * * *", "soon", "0 0 30 2 *", "a b c d e"] {
            let message = bad.parse::<CronExpression>().unwrap_err();
            assert!(message.contains("is no cron expression"), "{message}");
        }
    }

    #[test]
    fn the_interval_of_a_schedule_is_no_night_and_no_weekend() {
        let hours = cron("0 8-13 * * *");
        for now in ["2026-11-20T07:00:00Z", "2026-11-20T12:32:00Z", "2026-11-20T13:00:00Z"] {
            assert_eq!(hours.interval(time(now)), Duration::from_secs(3600), "at {now}");
        }
        let office = cron("*/30 9-17 * * 1-5");
        assert_eq!(office.interval(time("2026-11-20T17:10:00Z")), Duration::from_secs(1800), "a Friday");
        let day = Duration::from_secs(86400);
        assert_eq!(cron("0 4 * * *").interval(time("2026-11-20T12:00:00Z")), day);
        assert_eq!(cron("0 4 1 * *").interval(time("2026-11-20T12:00:00Z")), day * 31, "in December");
    }

    #[test]
    fn data_outlives_the_gaps_of_its_schedule() {
        let minute = Duration::from_secs(60);
        let office = cron("0 9,17 * * 1-5");
        let friday = time("2026-11-20T17:00:00Z");
        assert_eq!(office.expiry(friday, 2, minute), time("2026-11-23T17:00:00Z"));
        let every = Schedule::Every(minute);
        assert_eq!(every.expiry(friday, 3, minute), time("2026-11-20T17:03:00Z"));
        assert_eq!(every.expiry(friday, 3, minute * 5), time("2026-11-20T17:15:00Z"), "as the budget allows");
        assert_eq!(Schedule::Every(Duration::from_secs(90)).to_string(), "every 1m 30s");
    }

    #[test]
    fn rates() {
        assert_eq!(fair_rates(&[1.0, 2.0], 28.0), [1.0, 2.0]);
        assert_eq!(fair_rates(&[100.0], 28.0), [28.0]);
        assert_eq!(fair_rates(&[100.0, 2.0, 50.0], 28.0), [13.0, 2.0, 13.0]);
    }

    #[tokio::test]
    async fn the_timer_takes_every_expression_that_is_accepted() {
        let (sender, _receiver) = mpsc::channel(1);
        let expressions = ["*/5 * * * *", "0 9-17 * * MON-FRI", "30 4 1 * *", "0 0 * * 0", "5,10 * L * *"];
        let jobs = expressions.map(|text| (text.parse().unwrap(), sender.clone())).to_vec();
        Timer::start(jobs).await.unwrap().stop().await;
    }

    proptest! {
        #[test]
        fn expressions_never_panic(text: String) {
            let _ = text.parse::<CronExpression>();
        }

        #[test]
        fn rates_never_exceed_the_budget(demands in proptest::collection::vec(0.01_f64..1000.0, 1..20), budget in 0.1_f64..100.0) {
            let rates = fair_rates(&demands, budget);
            assert!(rates.iter().sum::<f64>() <= budget * 1.000_001);
            assert!(rates.iter().zip(&demands).all(|(rate, demand)| rate <= demand && *rate > 0.0));
        }
    }
}
