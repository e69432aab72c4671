//! The `.edgerc` file, read as leniently as people write it: any case of keys, dashes or underscores, blanks,
//! quotes, `https://` and slashes around the host, `=` within the secret, CRLF, a byte order mark, no header at all.

use std::path::Path;

use super::Credentials;
use crate::ini::{self, Document, Problems, Section};

pub(super) fn read(text: &[u8], section: &str, name: &str) -> Result<(Credentials, Vec<String>), String> {
    let mut problems = Problems::of(Path::new(name));
    let document = ini::parse(text, &mut problems);
    // A line that could not be read may be the reason why something is not there.
    let broken =
        problems.list().first().map_or(String::new(), |p| format!("; line {}: {}", p.line, p.message));
    let Some(found) = find(&document, section) else {
        return Err(format!("{name} has no section [{section}]; {}{broken}", sections(&document)));
    };
    let origin = format!("{name}: section [{section}]");
    if let Some(key) = repeated(found) {
        return Err(format!("{origin} has {key} twice"));
    }
    let credentials = Credentials::from_fields(&origin, |field| value(found, field))
        .map_err(|message| format!("{message}{broken}"))?;
    let mut warnings = warnings(found, &origin);
    let says_http = value(found, "host").is_some_and(|host| host.to_ascii_lowercase().starts_with("http://"));
    if says_http && credentials.scheme() == "https" {
        warnings.push(format!("{origin}: host says http, and https is used: http is for loopback alone"));
    }
    Ok((credentials, warnings))
}

fn find<'a>(document: &'a Document, section: &str) -> Option<&'a Section> {
    let mut named = document.sections.iter().filter(|found| found.line > 0);
    let exact = named.clone().find(|found| found.header == section);
    exact.or_else(|| named.find(|found| found.header.eq_ignore_ascii_case(section))).or_else(|| {
        // Entries before any header are the default section of whoever left the header out.
        document.sections.first().filter(|found| section == "default" && !found.entries.is_empty())
    })
}

fn sections(document: &Document) -> String {
    let names: Vec<_> =
        document.sections.iter().filter(|s| s.line > 0).map(|s| format!("[{}]", s.header)).collect();
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

fn normal(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

fn value(section: &Section, field: &str) -> Option<String> {
    section.entries.iter().find(|entry| normal(&entry.key) == field).map(|entry| entry.value.clone())
}

fn repeated(section: &Section) -> Option<String> {
    let keys: Vec<_> = section.entries.iter().map(|entry| normal(&entry.key)).collect();
    keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)).map(|(_, key)| key.clone())
}

fn warnings(section: &Section, origin: &str) -> Vec<String> {
    let signed = value(section, "headers_to_sign").filter(|value| !value.is_empty());
    signed
        .map(|_| format!("{origin}: headers_to_sign is ignored; none of the APIs used here signs headers"))
        .into_iter()
        .collect()
}
