//! Why a request gave no answer: a reason, and a sentence in one line that holds no secret.

use crate::model::Reason;

/// Longer sentences than this are cut: an answer may quote anything.
const LONGEST_SENTENCE: usize = 400;

/// Why a request gave no answer to work with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{words}")]
pub struct ApiError {
    /// The reason, from the closed set.
    pub reason: Reason,
    words: String,
    /// The objects (CP codes) that Akamai says are not this client's.
    pub objects: Vec<u64>,
}

impl ApiError {
    /// An error with its sentence, which is made one line. Whatever [`super::Api::send`] returns has no secret in it, and no
    /// more than so many characters.
    #[must_use]
    pub fn new(reason: Reason, words: impl AsRef<str>) -> Self {
        let line: String = words.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { reason, words: line.trim().to_owned(), objects: Vec::new() }
    }

    /// Takes the secrets out, and only then cuts: half a secret would not be found.
    pub(super) fn cleaned(self, redact: impl FnOnce(&str) -> String) -> Self {
        let line = redact(&self.words);
        let words = match line.char_indices().nth(LONGEST_SENTENCE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        };
        Self { words, ..self }
    }
}
