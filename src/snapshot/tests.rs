use std::collections::HashMap;
use std::io::Read;

use chrono::TimeDelta;
use flate2::read::GzDecoder;
use prometheus::proto;
use prometheus::{Encoder, TextEncoder};
use proptest::prelude::proptest;

use super::exposition::{Exposition, Tail};
use super::sample::{HITS, batch, failure, source, start, store, success};
use super::*;

fn text(store: &Store) -> String {
    let [text, tail] = Exposition::of(&store.current(), 0).plain(&Tail::of(Vec::new()));
    assert!(tail.is_empty());
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn the_whole_exposition() {
    let expected = r#"# HELP akamai_test_hits Hits with a \\ and a\nnew line.
# TYPE akamai_test_hits gauge
akamai_test_hits{account="default",source="estats",cpcode="1209788",env="a\"b\\c\nd"} 9700
akamai_test_hits{account="shop",source="estats",cpcode="7",env="a\"b\\c\nd"} 0.5
# HELP akamai_up 1 if the last poll of the source gave data (of several targets: of at least one), 0 if not; akamai_exporter_polls_total has the reason.
# TYPE akamai_up gauge
akamai_up{account="default",source="estats",env="a\"b\\c\nd"} 1
akamai_up{account="shop",source="estats",env="a\"b\\c\nd"} 0
# HELP akamai_exporter_last_success_timestamp_seconds When a poll of the source last gave data, in seconds since the epoch.
# TYPE akamai_exporter_last_success_timestamp_seconds gauge
akamai_exporter_last_success_timestamp_seconds{account="default",source="estats"} 1795168800
akamai_exporter_last_success_timestamp_seconds{account="shop",source="estats"} 1795168800
# HELP akamai_exporter_next_due_timestamp_seconds When the next poll of the source is due, in seconds since the epoch.
# TYPE akamai_exporter_next_due_timestamp_seconds gauge
akamai_exporter_next_due_timestamp_seconds{account="default",source="estats"} 1795168920
akamai_exporter_next_due_timestamp_seconds{account="shop",source="estats"} 1795169040
"#;
    let text = text(&store());
    assert!(text.starts_with(expected), "{text}");
    let labels = "account=\"shop\",source=\"estats\",cpcode=\"7\"";
    let up = format!("akamai_target_up{{{labels},env=\"a\\\"b\\\\c\\nd\"}} 0\n");
    assert!(text.contains(&up), "{text}");
    let last = format!("akamai_target_failure{{{labels},reason=\"timeout\",env=\"a\\\"b\\\\c\\nd\"}} 1\n");
    assert!(text.ends_with(&last), "{text}");
}

#[test]
fn a_success_replaces_the_batch_whole() {
    let store = store();
    store.publish(0, 0, success(start(), batch(&[("other", 1.0)])));
    let text = text(&store);
    assert!(text.contains("cpcode=\"other\"") && !text.contains("} 9700"), "{text}");
}

#[test]
fn a_failure_keeps_the_data_until_it_expires() {
    let store = store();
    let later = start() + TimeDelta::minutes(4);
    store.publish(0, 0, failure(later, Some(Reason::Timeout)));
    store.expire(start() + TimeDelta::minutes(6) - TimeDelta::seconds(1));
    assert!(text(&store).contains("} 9700"));
    assert_eq!(store.current().next_expiry(), Some(start() + TimeDelta::minutes(6)));
    let mut reader = store.subscribe();
    store.expire(start() + TimeDelta::minutes(6));
    assert!(reader.has_changed().unwrap());
    reader.mark_unchanged();
    assert!(!text(&store).contains("akamai_test_hits"), "gone, not 0");
    assert_eq!(store.current().next_expiry(), None);
    store.expire(start() + TimeDelta::minutes(7));
    assert!(!reader.has_changed().unwrap(), "nothing left to expire");
}

#[test]
fn states_of_sources() {
    let store = store();
    let snapshot = store.current();
    let up: Vec<_> = snapshot.sources.iter().map(|source| source.is_up()).collect();
    assert_eq!(up, [Some(true), Some(false), None]);
    assert_eq!(snapshot.sources[1].targets[0].failures, 1);
    assert_eq!(snapshot.sources[1].last_success(), Some(start()));
    assert!(snapshot.has_had_data());
    assert!(!Store::new(vec![source("a", "b", &["1"])], Vec::new()).current().has_had_data());
}

#[test]
fn gzip_holds_text_and_tail() {
    let exposition = Exposition::of(&store().current(), 0);
    let stream = exposition.gzip(&Tail::of(b"process_threads 5\n".to_vec())).concat();
    let mut decoded = String::new();
    GzDecoder::new(stream.as_slice()).read_to_string(&mut decoded).unwrap();
    assert_eq!(decoded, text(&store()) + "process_threads 5\n");
}

/// The same samples through the `prometheus` crate.
fn reference(samples: &[(String, f64)], labels: &[(String, String)]) -> String {
    let mut family = proto::MetricFamily::default();
    family.set_name(HITS.name.to_owned());
    family.set_help(HITS.help.to_owned());
    family.set_field_type(proto::MetricType::GAUGE);
    for (cpcode, value) in samples {
        let own = [("account", "a"), ("source", "s"), ("cpcode", cpcode.as_str())];
        let all = own.into_iter().chain(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let pair = |(name, value): (&str, &str)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        let mut gauge = proto::Gauge::default();
        gauge.set_value(*value);
        let mut metric = proto::Metric::from_label(all.filter(|(_, v)| !v.is_empty()).map(pair).collect());
        metric.set_gauge(gauge);
        family.mut_metric().push(metric);
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&[family], &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

proptest! {
    #[test]
    fn the_text_is_what_the_prometheus_crate_writes(samples: HashMap<String, f64>, label: String) {
        let samples: Vec<_> = samples.into_iter().filter(|(label, _)| !label.is_empty()).collect();
        let labels = vec![("env".to_owned(), label)];
        let store = Store::new(vec![source("a", "s", &["1"])], labels.clone());
        let pairs: Vec<_> = samples.iter().map(|(label, value)| (label.as_str(), *value)).collect();
        store.publish(0, 0, success(start(), batch(&pairs)));
        let text = text(&store);
        let own = text.split("# HELP akamai_up").next().unwrap();
        let expected = if samples.is_empty() { String::new() } else { reference(&samples, &labels) };
        assert_eq!(own, expected);
    }
}
