//! What names, tags and values may look like.
//!
//! Metric names ("What best practices are recommended for naming metrics and tags?" in Datadog's documentation): ASCII letters, digits,
//! underscores and periods, beginning with a letter, at most 200 characters.
//!
//! Tags (there, and "Getting started with tags"): letters and digits of any script, and `_ - : . /`; others become an underscore. They begin
//! with a letter and have at most 200 characters. Datadog itself makes them lower case, joins underscores that stand together and drops one
//! at the end. Its own clients leave that to it, and so does this.
//!
//! Values ("Datagram format and shell usage"): an integer or a float. The Agent reads a float as Go does, and so takes any notation.

use crate::ini::value;

/// The most characters of a metric's name, and of a tag.
pub(super) const MOST_CHARS: usize = 200;

/// What is left of a name for the metric has at least so many characters.
const MOST_OF_NAMESPACE: usize = 100;

/// A namespace from exporter.ini.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_of_name)
        && !text.ends_with('.')
        && !text.contains("..");
    if is_name && text.len() <= MOST_OF_NAMESPACE {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is no namespace; expected ASCII letters, digits, `_` and `.` between them, beginning with a letter, at most {MOST_OF_NAMESPACE} characters"
    ))
}

/// Tags from exporter.ini.
pub(super) fn tags(text: &str) -> Result<Vec<String>, String> {
    let tags = value::list(text)?;
    match tags.iter().find(|tag| !is_tag(tag)) {
        None => Ok(tags),
        Some(tag) => Err(format!(
            "`{tag}` is no Datadog tag; expected one such as env:prod: letters, digits and `_ - : . /`, beginning with a letter, at most {MOST_CHARS} characters"
        )),
    }
}

fn is_tag(tag: &str) -> bool {
    tag.starts_with(char::is_alphabetic) && tag.chars().all(is_of_tag) && tag.chars().count() <= MOST_CHARS
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

fn is_of_tag(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/')
}

/// The name of a family below `namespace`: `akamai_traffic_edge_hits_total` is `akamai.edge_hits`, `akamai_estats_hits` is
/// `akamai.estats.hits`.
///
/// # Errors
///
/// If it is too long.
pub(super) fn metric(namespace: &str, family: &str) -> Result<String, String> {
    let own = family.strip_prefix("akamai_").unwrap_or(family);
    let own = own.strip_prefix("traffic_").unwrap_or(own);
    let own = own.strip_suffix("_total").unwrap_or(own);
    let own: String = own.chars().map(|c| if is_of_name(c) { c } else { '_' }).collect();
    let name = match own.strip_prefix("estats_") {
        Some(rest) => format!("{namespace}.estats.{rest}"),
        None => format!("{namespace}.{own}"),
    };
    if name.len() <= MOST_CHARS {
        return Ok(name);
    }
    Err(format!("the name of {family} has {} characters, more than {MOST_CHARS}", name.len()))
}

/// Adds the tag `key:value` to those in `tags`, with a comma before it if it is not the first. Nothing if the value is empty.
pub(super) fn push_tag(tags: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !tags.is_empty() {
        tags.push(',');
    }
    let chars = key.chars().chain([':']).chain(value.chars()).take(MOST_CHARS);
    tags.extend(chars.map(|c| if is_of_tag(c) { c } else { '_' }));
}

/// The tags that all have: the static labels, then those of the section that are not among them.
pub(super) fn common_tags(labels: &[(String, String)], own: &[String]) -> String {
    let mut tags = String::new();
    for (name, value) in labels {
        push_tag(&mut tags, name, value);
    }
    for tag in own {
        if !tags.split(',').any(|known| known == tag) {
            let comma = if tags.is_empty() { "" } else { "," };
            tags.extend([comma, tag]);
        }
    }
    tags
}

/// What Datadog makes of tags, as far as it tells which series are the same: two host names that differ in case only are one.
pub(super) fn identity(tags: &str) -> String {
    let mut identity = String::with_capacity(tags.len());
    for tag in tags.split(',') {
        for c in tag.chars().flat_map(char::to_lowercase) {
            if c != '_' || !identity.ends_with('_') {
                identity.push(c);
            }
        }
        identity.truncate(identity.trim_end_matches('_').len());
        identity.push(',');
    }
    identity
}
