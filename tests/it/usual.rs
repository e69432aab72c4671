//! Weeks of traffic as it is: days and nights, weekends, noise. Whoever is woken by an alert on what is unusual must be able to trust that it is.
//!
//! The values are made up here rather than written down in a file of `tests/rules`: there are a hundred thousand of them.

use std::f64::consts::TAU;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::tools::tool;

/// A signal has a value every five minutes.
const PER_HOUR: usize = 12;

/// Repeatable dice.
struct Dice(u64);

impl Dice {
    /// Evenly from 0 to 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About 1, with a standard deviation of `spread`. Evenly spread values from 0 to 1 have one of the square root of 1/12.
    fn noise(&mut self, spread: f64) -> f64 {
        1.0 + spread * 12_f64.sqrt() * (self.throw() - 0.5)
    }
}

/// Hits a second at an hour since the beginning: 100 at midnight, `factor` times that at noon.
fn day(hour: f64, factor: f64) -> f64 {
    100.0 * (1.0 + (factor - 1.0) * (1.0 - (hour * TAU / 24.0).cos()) / 2.0)
}

/// Steeper: nothing much until seven, a plateau, a peak at half past eight in the evening.
fn evening(hour: f64, factor: f64) -> f64 {
    let hump = |center: f64, width: f64| {
        let apart = (hour - center + 12.0).rem_euclid(24.0) - 12.0;
        (-(apart / width).powi(2)).exp()
    };
    100.0 * (1.0 + (factor - 1.0) * (0.6 * hump(12.0, 3.5) + hump(20.5, 2.2)).min(1.0))
}

fn is_weekend(hour: f64) -> bool {
    (hour / 24.0) as u64 % 7 >= 5
}

/// What there is at an hour since the beginning.
type Curve = Box<dyn Fn(f64, &mut Dice) -> f64>;

/// A made-up account with one CP code.
struct Account {
    name: &'static str,
    signal: &'static str,
    value: Curve,
}

fn account(
    name: &'static str,
    signal: &'static str,
    value: impl Fn(f64, &mut Dice) -> f64 + 'static,
) -> Account {
    Account { name, signal, value: Box::new(value) }
}

fn hits(name: &'static str, value: impl Fn(f64, &mut Dice) -> f64 + 'static) -> Account {
    account(name, "edge_hits", value)
}

/// What is not unusual, whether weeks are known or only hours.
fn everyday() -> Vec<Account> {
    vec![
        hits("flat", |_, dice| 100.0 * dice.noise(0.05)),
        hits("day", |hour, dice| day(hour, 4.0) * dice.noise(0.05)),
        hits("evening", |hour, dice| evening(hour, 3.0) * dice.noise(0.05)),
        hits("restless", |hour, dice| day(hour, 4.0) * dice.noise(0.15)),
        hits("small", |hour, dice| day(hour, 4.0) / 50.0 * dice.noise(0.08)),
        account("flat", "offload", |_, dice| 0.9 * dice.noise(0.01)),
        account("day", "offload", |_, dice| 0.3 * dice.noise(0.1)),
    ]
}

/// What is not unusual once weeks are known.
fn habits() -> Vec<Account> {
    vec![
        hits("tenfold", |hour, dice| evening(hour, 10.0) * dice.noise(0.05)),
        hits("weekends", |hour, dice| {
            day(hour, 4.0) * if is_weekend(hour) { 0.3 } else { 1.0 } * dice.noise(0.05)
        }),
        hits("growing", |hour, dice| day(hour, 4.0) * (1.0 + 0.1 * hour / 168.0) * dice.noise(0.05)),
        // The clocks of its visitors go back in the fourth week.
        hits("winter", |hour, dice| {
            day(if hour < 24.0 * 24.0 { hour } else { hour - 1.0 }, 4.0) * dice.noise(0.05)
        }),
    ]
}

/// Whether enough is known for what is critical.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Hours,
    Weeks,
}

/// A test file for promtool: from hour `from` to the end nothing may be out of its band but account `fault`, the CP code and the whole.
fn test_file(accounts: &[Account], from: usize, hours: usize, step: &str, known: Known) -> String {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus/rules");
    let mut text = format!(
        "rule_files: [{rules}/thresholds.yml, {rules}/traffic.yml]\nevaluation_interval: {step}\n\
         group_eval_order: [akamai-thresholds, akamai-traffic]\ntests:\n- interval: 5m\n  input_series:\n",
        rules = rules.display()
    );
    for (seed, Account { name, signal, value }) in accounts.iter().enumerate() {
        let mut dice = Dice(seed as u64);
        let values: Vec<_> = (0..=hours * PER_HOUR)
            .map(|at| format!("{:.4}", value(at as f64 / PER_HOUR as f64, &mut dice)))
            .collect();
        let series = format!(
            "account_cpcode:akamai_signal:value{{signal=\"{signal}\", account=\"{name}\", cpcode=\"1\"}}"
        );
        writeln!(text, "  - {{series: '{series}', values: '{}'}}", values.join(" ")).unwrap();
    }
    let ever = |record: &str| format!("count_over_time(scope:akamai_signal:{record}[{}h])", hours - from);
    let fault = r#"{labels: '{account="fault"}', value: 2}"#;
    let critical = if known == Known::Weeks { fault } else { "" };
    let unusual = format!("{} or {}", ever("below_warning"), ever("above_warning"));
    text += "  promql_expr_test:\n";
    for (series, expected) in [(unusual, fault), (ever("below_critical"), critical)] {
        writeln!(
            text,
            "  - expr: count by (account) ({series})\n    eval_time: {hours}h\n    exp_samples: [{expected}]"
        )
        .unwrap();
    }
    text
}

/// Adds an account that loses nearly all of its traffic in the last hour, without which a test that finds nothing would show nothing.
fn check(name: &str, mut accounts: Vec<Account>, from: usize, hours: usize, step: &str, known: Known) {
    let end = hours as f64;
    accounts.push(hits("fault", move |hour, dice| {
        day(hour, 4.0) * dice.noise(0.05) * if hour > end - 1.0 { 0.05 } else { 1.0 }
    }));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, test_file(&accounts, from, hours, step, known)).unwrap();
    let output = Command::new(tool("promtool", "prometheus")).args(["test", "rules"]).arg(&file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn habits_are_nothing_unusual_once_two_weeks_are_known() {
    let accounts = everyday().into_iter().chain(habits()).collect();
    // Of 5 and 24, neither divides the other: every hour of the day has its turn, on several days of the week.
    check("usual-weeks.yml", accounts, 15 * 24, 35 * 24, "5h", Known::Weeks);
}

#[test]
fn the_first_days_are_nothing_unusual() {
    check("usual-days.yml", everyday(), 0, 2 * 24, "15m", Known::Hours);
}
