//! From when to when: what a person says, in windows.

use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

use crate::ledger::Window;

/// So long Akamai keeps its reports.
const KEPT: TimeDelta = TimeDelta::days(92);

/// What is that old might be gone before it is asked for.
const MARGIN: i64 = 2;

/// The windows of a day.
pub(super) const DAY: i64 = 24 * 3600 / Window::SECONDS;

/// A moment as a person says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moment {
    text: String,
    when: When,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let ago = || TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok();
        let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
        let at = || Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        let when = at().or_else(day).map(When::At).or_else(|| ago().map(When::Ago)).ok_or_else(|| {
            "expected a time such as 2026-11-01T06:00:00Z, a date such as 2026-11-01 (UTC), or how long ago, such as 6h or 3d"
                .to_owned()
        })?;
        Ok(Self { text: text.to_owned(), when })
    }
}

impl Moment {
    /// As it was said.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.when {
            When::At(time) => Some(time),
            When::Ago(ago) => now.checked_sub_signed(ago),
        }
    }
}

/// A time, for people.
pub(super) fn show(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The windows between two moments, with a sentence about each end that was moved. `settled` is the first window that
/// is not settled.
///
/// # Errors
///
/// If there are none, or more than Akamai keeps: what is wrong, in a sentence with an example.
pub(super) fn windows(
    from: &Moment,
    to: Option<&Moment>,
    now: DateTime<Utc>,
    settled: Window,
) -> Result<(Range<Window>, Vec<String>), String> {
    let end_of_settled = show(settled.start());
    let mut notes = Vec::new();
    let wanted = from.at(now).ok_or_else(|| too_old(from, now))?;
    let mut start = floor(wanted);
    if start.start() != wanted {
        notes.push(format!(
            "--from {} is moved to {}, where a window begins",
            from.text,
            show(start.start())
        ));
    }
    let oldest = ceiling(now - KEPT).plus(MARGIN);
    if start < oldest {
        if wanted < now - KEPT {
            return Err(too_old(from, now));
        }
        start = oldest;
        notes.push(format!(
            "--from {} is moved to {}: what is older is about to be gone",
            from.text,
            show(start.start())
        ));
    }
    let mut end = settled;
    if let Some(to) = to {
        let wanted = to.at(now).ok_or_else(|| format!("--to {} is too long ago", to.text))?;
        end = ceiling(wanted);
        if end > settled {
            end = settled;
            notes.push(format!(
                "--to {} is cut to {end_of_settled}: what is younger is not settled yet",
                to.text
            ));
        } else if end.start() != wanted {
            notes.push(format!("--to {} is moved to {}, where a window ends", to.text, show(end.start())));
        }
    }
    if start >= end {
        return Err(match to {
            Some(to) => format!(
                "from {} to {} there is no settled window; settled is what ended by {end_of_settled}: expected an earlier --from, or a later --to than {}",
                show(start.start()),
                show(end.start()),
                to.text
            ),
            None => format!(
                "--from {} is after all that is settled, which ends at {end_of_settled}; expected an earlier one, such as --from 6h",
                from.text
            ),
        });
    }
    Ok((start..end, notes))
}

fn too_old(from: &Moment, now: DateTime<Utc>) -> String {
    let oldest = show(ceiling(now - KEPT).plus(MARGIN).start());
    format!(
        "--from {} is longer ago than Akamai keeps its reports, 92 days; expected {oldest} or later, or --from 92d",
        from.text
    )
}

/// The window in which a time is.
fn floor(time: DateTime<Utc>) -> Window {
    Window::ended_by(time).plus(1)
}

/// The first window that begins no earlier than a time.
fn ceiling(time: DateTime<Utc>) -> Window {
    let window = floor(time);
    if window.start() < time { window.plus(1) } else { window }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:02:30Z".parse().unwrap()
    }

    fn resolve(from: &str, to: &str) -> Result<(String, usize), String> {
        let settled = Window::ended_by(now() - TimeDelta::hours(1)).plus(1);
        let to: Option<Moment> = (!to.is_empty()).then(|| to.parse().unwrap());
        let (range, notes) = windows(&from.parse().unwrap(), to.as_ref(), now(), settled)?;
        Ok((format!("{}/{}", range.start, range.end), notes.len()))
    }

    #[test]
    fn moments() {
        for good in
            ["2026-11-01T00:00:00Z", "2026-11-01T00:00:00+02:00", "2026-11-01", "6h", "3d", "1h 30m", " 92d "]
        {
            assert!(good.parse::<Moment>().is_ok(), "{good}");
        }
        for bad in ["", "yesterday", "2026-13-01", "2026-11-01 00:00", "6", "-6h", "2026-11-01T00:00:00"] {
            let error = bad.parse::<Moment>().unwrap_err();
            assert!(error.contains("such as 2026-11-01T06:00:00Z"), "{bad}: {error}");
        }
    }

    #[test]
    fn ranges_that_stand() {
        let cases = [
            ("2026-11-18", "2026-11-20", "2026-11-18T00:00:00Z/2026-11-20T00:00:00Z", 0),
            ("2026-11-18T01:02:00Z", "2026-11-18T01:03:00Z", "2026-11-18T01:00:00Z/2026-11-18T01:05:00Z", 2),
            (
                "2026-11-18T02:00:00+01:00",
                "2026-11-18T02:00:00Z",
                "2026-11-18T01:00:00Z/2026-11-18T02:00:00Z",
                0,
            ),
            // Settled is what ended by 11:00 (an hour before the newest window's end).
            ("2026-11-20", "", "2026-11-20T00:00:00Z/2026-11-20T11:00:00Z", 0),
            ("6h", "", "2026-11-20T06:00:00Z/2026-11-20T11:00:00Z", 1),
            ("6h", "10m", "2026-11-20T06:00:00Z/2026-11-20T11:00:00Z", 2),
            ("92d", "91d", "2026-08-20T12:15:00Z/2026-08-21T12:05:00Z", 3),
        ];
        for (from, to, expected, notes) in cases {
            assert_eq!(resolve(from, to), Ok((expected.to_owned(), notes)), "{from} {to}");
        }
    }

    #[test]
    fn ranges_that_do_not() {
        let cases = [
            ("2026-11-18", "2026-11-18", "there is no settled window"),
            ("2026-11-19", "2026-11-18", "there is no settled window"),
            ("30m", "", "--from 30m is after all that is settled, which ends at 2026-11-20T11:00:00Z"),
            ("2026-11-21", "2026-11-22", "there is no settled window"),
            (
                "93d",
                "",
                "--from 93d is longer ago than Akamai keeps its reports, 92 days; expected 2026-08-20T12:15:00Z or later",
            ),
            ("2025-11-01", "2025-11-02", "longer ago than Akamai keeps"),
        ];
        for (from, to, expected) in cases {
            let error = resolve(from, to).unwrap_err();
            assert!(error.contains(expected), "{from} {to}: {error}");
        }
    }
}
