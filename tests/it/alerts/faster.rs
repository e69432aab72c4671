//! Prometheus' durations, such as `5m` and `6d23h30m`, divided wherever they stand in a text.

/// How many times as fast as by the clock.
#[derive(Clone, Copy, Debug)]
pub struct Speed(u64);

/// The units of a duration, longest name first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl Speed {
    /// Four, unless `AKAMAI_TEST_SPEED` says otherwise.
    pub fn of_this_run() -> Self {
        Self(
            option_env!("AKAMAI_TEST_SPEED")
                .map_or(4, |wish| wish.parse().expect("AKAMAI_TEST_SPEED is a whole number")),
        )
    }

    pub fn factor(self) -> f64 {
        self.0 as f64
    }

    /// `duration` at this speed, as Prometheus, Alertmanager and exporter.ini write one.
    pub fn of(self, duration: &str) -> String {
        faster(duration, self)
    }

    /// The same in seconds.
    pub fn seconds(self, duration: &str) -> f64 {
        let (milliseconds, rest) = read(duration).expect("a duration");
        assert_eq!(rest, "");
        milliseconds as f64 / 1e3 / self.factor()
    }
}

/// The duration that `text` begins with, in milliseconds, and the rest.
fn read(text: &str) -> Option<(u64, &str)> {
    let (mut total, mut rest) = (None, text);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(name, _)| digits > 0 && rest[digits..].starts_with(name));
        let Some((name, milliseconds)) = unit else { return Some((total?, rest)) };
        total = Some(total.unwrap_or(0) + rest[..digits].parse::<u64>().ok()? * milliseconds);
        rest = &rest[digits + name.len()..];
    }
}

/// `text` with each duration in it divided; a number within a word (`ratio5m`, `5xx`) is none.
pub fn faster(text: &str, speed: Speed) -> String {
    let is_word = |c: char| c.is_alphanumeric() || "_.".contains(c);
    let (mut result, mut rest, mut before) = (String::new(), text, ' ');
    while let Some(next) = rest.chars().next() {
        let duration = read(rest)
            .filter(|(_, after)| !is_word(before) && !after.starts_with(|c| is_word(c) && c != '.'));
        match duration {
            Some((milliseconds, after)) => {
                result.push_str(&format!("{}ms", milliseconds / speed.0));
                (rest, before) = (after, 's');
            }
            None => {
                result.push(next);
                (rest, before) = (&rest[next.len_utf8()..], next);
            }
        }
    }
    result
}

#[test]
fn durations_are_divided_and_nothing_else() {
    let (text, speed) =
        ("[5m] offset 6d23h30m for: 1h # ratio5m{a=\"5xx\"} 86399s:1h 19:00 0.5 v1.2m 10 300", Speed(4));
    let expected = "[75000ms] offset 150750000ms for: 900000ms # ratio5m{a=\"5xx\"} 21599750ms:900000ms 19:00 0.5 v1.2m 10 300";
    assert_eq!(faster(text, speed), expected);
    assert!((speed.seconds("2m") - 30.0).abs() < 1e-9);
}
