//! Everything that is wrong with a file, collected, so that it is reported at once.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The line, from 1; 0 where no line is to blame.
    pub line: usize,
    /// The section's header, or nothing.
    pub section: String,
    /// The key as the file has it, or nothing.
    pub key: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// All that is wrong with one file.
#[derive(Clone, Debug)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// None yet, for `file`.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Adds one.
    pub fn add(&mut self, line: usize, section: &str, key: &str, message: impl Into<String>) {
        let (section, key) = (section.to_owned(), key.to_owned());
        self.list.push(Problem { line, section, key, message: message.into() });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems, as found.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl std::error::Error for Problems {}

/// `file:line: [section] key: message`, a line each, in the file's order.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list: Vec<_> = self.list.iter().collect();
        // What no line is to blame for often follows from what stands before.
        list.sort_by_key(|problem| (problem.line == 0, problem.line));
        for (index, problem) in list.into_iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{}:", self.file.display())?;
            if problem.line > 0 {
                write!(out, "{}:", problem.line)?;
            }
            if !problem.section.is_empty() {
                write!(out, " [{}]", problem.section)?;
            }
            if !problem.key.is_empty() {
                write!(out, " {}:", problem.key)?;
            }
            write!(out, " {}", problem.message)?;
        }
        Ok(())
    }
}

/// `; did you mean ...?` where a known word is near to what was written, else the list of known ones.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    let written = fold(written);
    let near = known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &fold(word)), *word))
        .filter(|(distance, word)| *distance <= 2.max(word.len() / 3))
        .min();
    match near {
        Some((_, word)) => format!("did you mean `{word}`?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

/// Spelling that does not count: case, and how the words of a name are joined.
fn fold(word: &str) -> String {
    word.to_lowercase().replace(['_', '-', ' '], "")
}
