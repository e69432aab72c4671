//! Takes the values out of one section, key by key, and collects what is wrong.

use super::problem::{Problems, nearest};
use super::{Entry, Section};

/// A key that a section may have; `docs/configuration.md` is checked against these.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The default in words, or empty where the key is required.
    pub default: &'static str,
}

/// Reads one section's values.
#[derive(Debug)]
pub struct Reader<'a> {
    section: &'a Section,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    /// A reader of `section`, which may have the keys `known` and no others, each once.
    pub fn new(
        section: &'a Section,
        known: impl Iterator<Item = &'static Key> + Clone,
        problems: &'a mut Problems,
    ) -> Self {
        for (index, entry) in section.entries.iter().enumerate() {
            let known_as = known.clone().find(|key| key.name.eq_ignore_ascii_case(&entry.name));
            let first = section.entries[..index].iter().find(|e| e.name == entry.name);
            let message = match (known_as, first) {
                (None, _) => format!("unknown key; {}", nearest(&entry.key, known.clone().map(|k| k.name))),
                (Some(_), Some(first)) => format!("repeated; it stands in line {} already", first.line),
                (Some(_), None) => continue,
            };
            problems.add(entry.line, &section.header, &entry.key, message);
        }
        Self { section, problems }
    }

    /// The value of `key` as `parse` understands it, or nothing where the key is absent or wrong.
    pub fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let entry = self.entry(key)?;
        if entry.value.is_empty() {
            self.problems.add(
                entry.line,
                &self.section.header,
                &entry.key,
                "has no value; give one or take the key out",
            );
            return None;
        }
        match parse(&entry.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.add(entry.line, &self.section.header, &entry.key, message);
                None
            }
        }
    }

    /// Like [`Self::get`], where a key without a value is as good as none.
    pub fn get_unless_empty<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.entry(key)?.value.is_empty() { None } else { self.get(key, parse) }
    }

    /// Whether the file has the key, with any value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Reports something wrong with the value of `key`, or with the section where it has no such key.
    pub fn complain(&mut self, key: &str, message: impl Into<String>) {
        let (line, written) =
            self.entry(key).map_or((self.section.line, key), |entry| (entry.line, entry.key.as_str()));
        self.problems.add(line, &self.section.header, written, message);
    }

    /// Reports something wrong with the section as a whole.
    pub fn complain_of_section(&mut self, message: impl Into<String>) {
        self.problems.add(self.section.line, &self.section.header, "", message);
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.section.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(key))
    }
}
