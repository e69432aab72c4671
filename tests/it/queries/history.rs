//! What a Prometheus would have recorded of the demo in the last hours, as far as rules look back on what they recorded.

use std::fmt::Write as _;

use akamai_exporter::clock::{Clock as _, SystemClock};

/// The CP codes of the demo.
pub const CPCODES: [&str; 5] = ["100001", "100002", "100003", "100004", "1209788"];

/// How far back it goes, and how often rules were evaluated, in seconds. What is usual takes three hours.
const LENGTH: i64 = 4 * 3600;
const STEP: i64 = 60;

/// The recorded series, their values and the moments, as OpenMetrics.
pub fn open_metrics() -> String {
    let end = SystemClock.now().timestamp();
    let mut text = String::new();
    for (name, series) in recorded() {
        writeln!(text, "# TYPE {name} gauge").unwrap();
        for (labels, value) in series {
            for step in (0..LENGTH / STEP).rev() {
                // It goes up and down by a hundredth, for a spread that is not 0.
                let value = value * (1.0 + f64::from(i32::try_from(step % 3).unwrap() - 1) / 100.0);
                writeln!(text, "{name}{{{labels}}} {value} {}", end - step * STEP).unwrap();
            }
        }
    }
    text + "# EOF\n"
}

/// Labels of a series, and the value around which it is.
type Series = Vec<(String, f64)>;

fn recorded() -> [(&'static str, Series); 6] {
    [
        ("account_cpcode:akamai_signal:value", signals()),
        ("scope_tier_status_class:akamai_hits:per_second1h", classes("edge", 100.0)),
        ("scope_tier_status_class:akamai_traffic_hits:increase1h", sums(360_000.0)),
        ("scope_tier:akamai_traffic_response_bytes:increase1h", tiers(36e9)),
        ("scope:akamai_traffic_hits:offloadable1h", wholes(360_000.0)),
        ("scope:akamai_traffic_response_bytes:offloadable1h", wholes(36e9)),
    ]
}

fn signals() -> Series {
    let of = |labels: String| {
        let signal = |signal, value| (format!("account=\"default\"{labels},signal=\"{signal}\""), value);
        [signal("edge_hits", 100.0), signal("offload", 0.9)]
    };
    let cpcodes = CPCODES.iter().flat_map(|cpcode| of(format!(",cpcode=\"{cpcode}\"")));
    // Only a share has a line of its own for the account.
    cpcodes.chain(of(String::new()).into_iter().skip(1)).collect()
}

/// The labels of each scope.
fn scopes() -> Vec<String> {
    let cpcode = |cpcode| format!("scope=\"cpcode\",account=\"default\",cpcode=\"{cpcode}\"");
    let above = ["scope=\"overall\"", "scope=\"account\",account=\"default\""];
    above.into_iter().map(str::to_owned).chain(CPCODES.iter().map(cpcode)).collect()
}

/// Mostly 2xx, of each scope.
fn classes(tier: &str, value: f64) -> Series {
    let shares = [("2xx", 0.95), ("3xx", 0.03), ("4xx", 0.019), ("5xx", 0.001)];
    let of = |scope: String| {
        shares.map(|(class, share)| {
            (format!("{scope},tier=\"{tier}\",status_class=\"{class}\""), value * share)
        })
    };
    scopes().into_iter().flat_map(of).collect()
}

/// One of each scope.
fn wholes(value: f64) -> Series {
    scopes().into_iter().map(|scope| (scope, value)).collect()
}

/// At the edge, and a tenth of that at the origin.
fn tiers(value: f64) -> Series {
    let of = |scope: String| {
        [("edge", value), ("origin", value / 10.0)]
            .map(|(tier, value)| (format!("{scope},tier=\"{tier}\""), value))
    };
    scopes().into_iter().flat_map(of).collect()
}

/// The same by status class.
fn sums(value: f64) -> Series {
    [classes("edge", value), classes("origin", value / 10.0)].concat()
}
