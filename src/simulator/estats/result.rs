//! The answer: an execution with the two distributions, and what the faults make of it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::request::{Request, Target};
use crate::simulator::Options;
use crate::simulator::api::Call;
use crate::simulator::faults::{Fault, Strikes};
use crate::simulator::noise::Noise;
use crate::simulator::traffic::{Network, Site, Tier};

/// The length of the sample (techdocs edge-diagnostics post-estats).
const SECONDS: u32 = 9;
/// The share of 5xx that [`Fault::ErrorBurst`] brings.
const ERROR_BURST: f64 = 0.30;

/// The whole answer.
pub(super) fn execution(options: &Options, call: &Call, request: &Request, faults: &Strikes) -> Value {
    let failed = faults.contains(&Fault::Failure);
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let took = TimeDelta::from_std(options.latency).unwrap_or_default();
    let mut execution = json!({
        "request": request.echo(),
        "createdBy": "simulator",
        "createdTime": text(call.now),
        "completedTime": text(call.now + took),
        "executionStatus": if failed { "FAILURE" } else { "SUCCESS" },
    });
    if !failed && !faults.contains(&Fault::MissingResult) {
        execution["result"] = Value::Object(result(options, call, request, faults));
    }
    execution
}

fn result(options: &Options, call: &Call, request: &Request, faults: &Strikes) -> Map<String, Value> {
    let site = match &request.target {
        Target::CpCode(cpcode) => Site::of_cpcode(options.seed, *cpcode),
        Target::Url { url, .. } => Site::of_url(options.seed, url),
    };
    let noise = noise(options.seed, call, &request.target);
    let network = request.delivery.unwrap_or_else(|| first_to_finish(&site, noise));
    let forced = faults.contains(&Fault::ErrorBurst).then_some(ERROR_BURST);
    let wanted = |tier| match tier {
        Tier::Edge => !faults.contains(&Fault::OriginOnly) && request.only != Some(Tier::Origin),
        Tier::Origin => !faults.contains(&Fault::EdgeOnly) && request.only != Some(Tier::Edge),
    };
    let mut result = Map::new();
    for tier in [Tier::Edge, Tier::Origin].into_iter().filter(|&tier| wanted(tier)) {
        let counts = if faults.contains(&Fault::Empty) {
            Vec::new()
        } else {
            site.sample(network, tier, call.now, SECONDS, forced)
        };
        let side = Side { tier, counts, noise, faults };
        side.write(&request.target, &mut result);
    }
    result
}

/// Without `delivery` the network is the one that finished collecting first, which may be another one for each
/// request. A network without traffic has nothing to collect and never wins.
fn first_to_finish(site: &Site, noise: Noise) -> Network {
    let standard = noise.on("race").chance(site.share(Network::Standard));
    if standard { Network::Standard } else { Network::Enhanced }
}

/// What varies from one request to the next: by second and target.
fn noise(seed: u64, call: &Call, target: &Target) -> Noise {
    let noise = Noise::new(seed).on("execution").of(call.now.timestamp() as u64);
    match target {
        Target::CpCode(cpcode) => noise.of(*cpcode),
        Target::Url { url, .. } => noise.on(url),
    }
}

/// One side of the result.
struct Side<'a> {
    tier: Tier,
    counts: Vec<(u16, u64)>,
    noise: Noise,
    faults: &'a Strikes,
}

impl Side<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn write(mut self, target: &Target, result: &mut Map<String, Value>) {
        if self.has(Fault::StatusZero) {
            self.abandon();
        }
        let hits: u64 = self.counts.iter().map(|&(_, hits)| hits).sum();
        // What Akamai's example counts as an error: 4xx and 5xx, not the requests that ended without a code.
        let errors: u64 =
            self.counts.iter().filter(|(status, _)| *status >= 400).map(|&(_, hits)| hits).sum();
        let (name, of_error, of_success) = match self.tier {
            Tier::Edge => ("edge", "topEdgeIpsWithError", "topEdgeIpsWithSuccess"),
            Tier::Origin => ("origin", "topEdgeIpsWithErrorFromOrigin", "topEdgeIpsWithSuccessFromOrigin"),
        };
        result.insert(format!("{name}Errors"), json!(errors));
        result.insert(format!("{name}Hits"), self.number(hits));
        result.insert(format!("{name}FailurePercentage"), self.percentage(errors, hits, 10.0));
        result.insert(format!("{name}StatusCodeDistribution"), self.distribution(hits));
        result.insert(of_error.to_owned(), self.top(target, true));
        result.insert(of_success.to_owned(), self.top(target, false));
    }

    /// Moves a fifth of the most frequent code's hits to status 0.
    fn abandon(&mut self) {
        let moved = self.counts.first_mut().map_or(0, |(_, hits)| {
            let moved = (*hits / 5).max(1);
            *hits -= moved;
            moved
        });
        if moved > 0 {
            self.counts.retain(|&(status, hits)| status != 0 && hits > 0);
            self.counts.push((0, moved));
        }
    }

    fn number(&self, hits: u64) -> Value {
        if self.has(Fault::Negative) { json!(-(hits as i64) - 1) } else { json!(hits) }
    }

    fn distribution(&self, total: u64) -> Value {
        let mut codes: Vec<Value> = self
            .counts
            .iter()
            .map(|&(status, hits)| {
                json!({
                    "httpStatus": status,
                    "hits": self.number(hits),
                    "percentage": self.percentage(hits, total, 100.0),
                })
            })
            .collect();
        if self.has(Fault::DuplicateStatus) {
            codes.extend(codes.first().cloned());
        }
        Value::Array(codes)
    }

    /// Per cent, rounded to `1 / precision`. Akamai's schema says integer and its example shows `2.0`: without
    /// a fault both occur, a whole number being written the one way or the other.
    fn percentage(&self, part: u64, whole: u64, precision: f64) -> Value {
        let exact = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
        let rounded = (exact * precision).round() / precision;
        if self.has(Fault::IntegerPercentages) {
            return json!(exact.round() as u64);
        }
        if self.has(Fault::FloatPercentages) {
            return json!(exact.round());
        }
        let as_integer = rounded.fract() == 0.0 && self.noise.on("integral").of(part).chance(0.5);
        if as_integer { json!(rounded as u64) } else { json!(rounded) }
    }

    /// The edge servers with most errors, or successes: made up, with addresses reserved for documentation.
    fn top(&self, target: &Target, of_error: bool) -> Value {
        let counts = self.counts.iter().filter(|(status, _)| (*status >= 400) == of_error && *status != 0);
        let servers = counts.take(3).map(|&(status, hits)| {
            let noise = self.noise.on("server").of(u64::from(status));
            let ip = format!("192.0.2.{}", 1 + noise.bits() % 254);
            let (city, region, country, network) =
                PLACES[(noise.of(1).bits() % PLACES.len() as u64) as usize];
            let mut server = json!({
                "edgeIp": ip,
                "httpStatus": status,
                "hits": hits.div_ceil(4),
                "errorCode": if status == 403 { "18:ACCESS_DENIED" } else { "0:None" },
                "edgeIpLocation": {
                    "city": city, "regionCode": region, "countryCode": country, "asNumber": network,
                },
                "objectStatus": [{ "code": "p", "description": "The object was served by a parent." }],
            });
            if of_error {
                let (parameter, log) = match target {
                    Target::CpCode(cpcode) => (format!("cpCode={cpcode}"), self.log()),
                    Target::Url { host, .. } => (format!("hostname={host}"), self.log()),
                };
                server["edgeLogsLink"] = json!(format!(
                    "/edge-diagnostics/v1/grep?edgeIp={ip}&{parameter}&httpStatusCode={status}&logType={log}"
                ));
            }
            server
        });
        Value::Array(servers.collect())
    }

    /// The log that holds these requests: `r` for those of clients, `f` for those forwarded.
    fn log(&self) -> char {
        match self.tier {
            Tier::Edge => 'r',
            Tier::Origin => 'f',
        }
    }
}

const PLACES: [(&str, &str, &str, u32); 5] = [
    ("TOKYO", "13", "JP", 64_500),
    ("FRANKFURT", "HE", "DE", 64_501),
    ("SAOPAULO", "SP", "BR", 64_502),
    ("DALLAS", "TX", "US", 64_503),
    ("SYDNEY", "NSW", "AU", 64_504),
];
