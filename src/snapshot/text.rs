//! The text format (version 0.0.4), line by line.
//!
//! Written here rather than through the `prometheus` crate, whose families would need a dozen allocations per sample; a test
//! holds the two against each other.

use std::fmt::Write;

use crate::model::Family;

/// Appends the HELP and TYPE lines.
pub(super) fn header(text: &mut String, family: &Family) {
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {} {help}", family.name);
    let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind.as_str());
}

/// `name="value"` pairs with their commas; an empty value means that the label is not there.
pub(super) fn pairs<'a>(text: &mut String, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in labels.filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() && !text.ends_with('{') {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
    }
}

/// Appends one sample: `name{` and the first labels as in `start`, then the sample's own, then the `rest`.
pub(super) fn sample<'a>(
    text: &mut String,
    start: &str,
    family: &Family,
    own: impl Iterator<Item = &'a str>,
    rest: &str,
    value: f64,
) {
    text.push_str(start);
    pairs(text, family.labels.iter().copied().zip(own));
    if !rest.is_empty() {
        if !text.ends_with('{') {
            text.push(',');
        }
        text.push_str(rest);
    }
    text.push_str("} ");
    number(text, value);
    text.push('\n');
}

fn escape(text: &mut String, value: &str) {
    // Hardly any value needs it, and a plain copy is a good deal faster.
    if !value.contains(['\\', '"', '\n']) {
        text.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

fn number(text: &mut String, value: f64) {
    // Rust writes infinity as `inf`, which Prometheus reads as well, but its own way is with a sign.
    let is_count = value.is_sign_positive() && value.fract() == 0.0 && value < 9e15;
    let _ = match value {
        // The same digits, in a third of the time.
        value if is_count => write!(text, "{}", value as u64),
        f64::INFINITY => text.write_str("+Inf"),
        f64::NEG_INFINITY => text.write_str("-Inf"),
        value => write!(text, "{value}"),
    };
}
