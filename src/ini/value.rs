//! What a value in the file may look like. Each function's error says what is wrong and what is expected.

use std::time::Duration;

/// Seconds, or a number with its unit: `120`, `90s`, `5m`, `1h 30m`.
///
/// # Errors
///
/// If it is neither, or not more than nothing.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no duration; expected seconds or `90s`, `5m`, `1h`");
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|_| expected())?,
    };
    let most = Duration::from_secs(366 * 24 * 3600);
    if duration < Duration::from_secs(1) || duration > most {
        return Err(format!("`{text}` is out of range; expected one second to one year"));
    }
    Ok(duration)
}

/// A number of bytes: `65536`, `64K`, `100M`, `2G`. A K is 1024.
///
/// # Errors
///
/// If it is no such number.
pub fn size(text: &str) -> Result<u64, String> {
    let units = [(['k', 'K'], 10), (['m', 'M'], 20), (['g', 'G'], 30)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(*unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    number
        .trim_end()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is no size; expected bytes or `64K`, `100M`, `2G`"))
}

/// `true` or `false`, and the words that INI files have for them.
///
/// # Errors
///
/// If it is none of these.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}

/// A share: a thousandth at least, 1 at most.
///
/// # Errors
///
/// If it is no such number.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.001..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is no share; expected a number from 0.001 to 1, such as 0.7")),
    }
}

/// A whole number from `least` to `most`.
///
/// # Errors
///
/// If it is no such number.
pub fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not accepted; expected a whole number from {least} to {most}")),
    }
}

/// Items between commas; `["00000", "11111"]` is understood too.
///
/// # Errors
///
/// If an item is empty or stands there twice, or a bracket or quote is not closed.
pub fn list(text: &str) -> Result<Vec<String>, String> {
    let mut items: Vec<String> = Vec::new();
    for item in split(text)? {
        let item = plain(item)?;
        if items.iter().any(|known| known == item) {
            return Err(format!("`{item}` stands there twice"));
        }
        items.push(item.to_owned());
    }
    Ok(items)
}

/// The items of a list as they stand there, quotes and all.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let inner = match (text.strip_prefix('['), text.ends_with(']')) {
        (Some(rest), true) => &rest[..rest.len() - 1],
        (None, false) => text,
        _ => {
            return Err(format!(
                "`{text}` has a bracket without its partner; expected a, b or [\"a\", \"b\"]"
            ));
        }
    };
    let items: Vec<_> = outside_quotes(inner).into_iter().map(str::trim).collect();
    if items.iter().any(|item| matches!(*item, "" | "\"\"" | "''")) {
        return Err(format!("`{text}` has an empty item; expected items with commas between them"));
    }
    Ok(items)
}

/// The parts between the commas that stand outside quotes.
fn outside_quotes(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quote) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ',') => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// One item without its quotes.
fn plain(item: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        match (item.strip_prefix(quote), item.ends_with(quote)) {
            (Some(rest), true) if item.len() > 1 => return Ok(rest[..rest.len() - 1].trim()),
            (Some(_), _) | (None, true) => return Err(format!("`{item}` has a quote without its partner")),
            (None, false) => {}
        }
    }
    Ok(item)
}

/// CP codes: numbers between commas.
///
/// # Errors
///
/// If one is no number, or stands there twice.
pub fn cpcodes(text: &str) -> Result<Vec<u64>, String> {
    let mut codes = Vec::new();
    for item in list(text)? {
        let Ok(code) = item.parse::<u64>() else {
            return Err(format!("`{item}` is no CP code; expected numbers, such as 1209788, 1209789"));
        };
        if codes.contains(&code) {
            return Err(format!("CP code {code} stands there twice"));
        }
        codes.push(code);
    }
    Ok(codes)
}

/// `name=value` pairs between commas, as labels.
///
/// # Errors
///
/// If a name is no label name, or stands there twice.
pub fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for item in split(text)? {
        let Some((name, value)) = item.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
        else {
            return Err(format!("`{item}` is no label; expected name=value"));
        };
        if !is_label_name(name) {
            return Err(format!(
                "`{name}` cannot be a label's name; expected letters, digits and `_`, not beginning with a digit or `__`"
            ));
        }
        if labels.iter().any(|(known, _)| known == name) {
            return Err(format!("the label `{name}` stands there twice"));
        }
        labels.push((name.to_owned(), plain(value)?.to_owned()));
    }
    Ok(labels)
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
}
