//! A typed reader of INI files that knows positions.
//!
//! `rust-ini` is the lexer, one line at a time: that way each section and key has its line number, a repeated
//! key is seen rather than dropped, and one bad line does not hide the rest. What it leaves open is decided
//! here: comments after a value, quotes, and which keys there are.

mod problem;
mod reader;
pub mod value;

use ini::{Ini, ParseOption};

pub use problem::{Problem, Problems, nearest};
pub use reader::{Key, Reader};

/// `key = value` on a line of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key as the file has it.
    pub key: String,
    /// What it is looked up by: the key in lower case.
    pub name: String,
    /// The value without comment, surrounding blanks and quotes.
    pub value: String,
    /// The line, from 1.
    pub line: usize,
}

/// A `[header]` and what follows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Section {
    /// What stands between the brackets; empty for what comes before the first header.
    pub header: String,
    /// The line, from 1; 0 for what comes before the first header.
    pub line: usize,
    /// The entries in the file's order, repetitions included.
    pub entries: Vec<Entry>,
}

/// A file, section by section. The first one holds what comes before any header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Document {
    /// The sections in the file's order, repetitions included.
    pub sections: Vec<Section>,
}

/// One line's meaning.
enum Line {
    Nothing,
    Header(String),
    Entry(String, String),
}

/// Reads `bytes`; every line that is neither comment, header nor entry is a problem.
pub fn parse(bytes: &[u8], problems: &mut Problems) -> Document {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut sections = vec![Section::default()];
    for (line, raw) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let section = sections.last_mut();
        match (lex(raw), section) {
            (Ok(Line::Entry(key, value)), Some(section)) => {
                section.entries.push(Entry { name: key.to_ascii_lowercase(), key, value, line });
            }
            (Ok(Line::Header(header)), _) => sections.push(Section { header, line, entries: Vec::new() }),
            (Err(message), section) => {
                let header = section.map(|section| section.header.clone()).unwrap_or_default();
                problems.add(line, &header, "", message);
            }
            (Ok(Line::Nothing | Line::Entry(..)), _) => {}
        }
    }
    Document { sections }
}

fn lex(raw: &[u8]) -> Result<Line, String> {
    let Ok(line) = std::str::from_utf8(raw) else {
        return Err("the line is not UTF-8 text; save the file as UTF-8".to_owned());
    };
    let line = without_comment(line).trim();
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    let shape = "expected `[section]`, `key = value` or a comment";
    if let Some(rest) = line.strip_prefix('[') {
        return match rest.strip_suffix(']').map(str::trim) {
            Some(header) if !header.is_empty() && !header.contains(['[', ']']) => {
                Ok(Line::Header(header.to_owned()))
            }
            _ => Err(format!("a section's header is not closed or empty; {shape}")),
        };
    }
    let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    // The lexer's own message speaks of a document of one line; ours names the file's line.
    let lexed = Ini::load_from_str_opt(line, options).map_err(|_| shape.to_owned())?;
    let mut entries = lexed.general_section().iter();
    match entries.next() {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok(Line::Entry(key.trim().to_owned(), unquoted(value.trim()).to_owned()))
        }
        _ => Err(shape.to_owned()),
    }
}

/// A comment begins with `#` or `;` at the start of a line or after a blank, outside quotes: a `#` inside a URL or a secret
/// is no comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#' | ';') if before.is_whitespace() => return &line[..at],
            // Only a quote that opens a word protects: an apostrophe within one does not.
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    // A quote that is never closed protects nothing.
    if quote.is_some() { without_trailing_words(line) } else { line }
}

fn without_trailing_words(line: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    &line[..end.unwrap_or(line.len())]
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            // `"a", "b"` is a list, not one quoted value.
            if !inner.contains(quote) {
                return inner;
            }
        }
    }
    value
}

#[cfg(test)]
mod tests;
