//! The environment variables that stand in for `.edgerc`, as Akamai's own tools name them: `AKAMAI_HOST` and so
//! on for the section `default`, `AKAMAI_{SECTION}_HOST` for another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Credentials;

/// The variables of the process, taken once at start.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    name: Option<&'static str>,
}

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect(), name: None }
    }

    /// Those given: for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { variables: variables.into_iter().map(own).collect(), name: None }
    }

    /// The same under another name in messages, where they are not the process's.
    #[must_use]
    pub fn called(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// What messages call the variables of `section`.
    pub(super) fn name(&self, section: &str) -> String {
        self.name.map_or_else(|| format!("the environment ({}*)", prefix(section)), str::to_owned)
    }

    /// `path` with the home directory for a leading `~`.
    #[must_use]
    pub fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), self.variables.get("HOME")) {
            (Some(""), Some(home)) => PathBuf::from(home),
            (Some(rest), Some(home)) if rest.starts_with('/') => Path::new(home).join(&rest[1..]),
            _ => PathBuf::from(path),
        }
    }

    /// The credentials that the variables for `section` hold: nothing where not one of the four is set, an error
    /// that names the missing ones where only some are.
    pub(super) fn credentials(&self, section: &str) -> Option<Result<Credentials, String>> {
        let prefix = prefix(section);
        let variable =
            |field: &str| self.variables.get(&format!("{prefix}{}", field.to_uppercase())).cloned();
        let set = |field: &&str| variable(field).is_some_and(|value| !value.trim().is_empty());
        let any = ["host", "client_token", "client_secret", "access_token"].iter().any(set);
        any.then(|| Credentials::from_fields(&self.name(section), variable))
    }
}

/// Names only: some values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.variables.keys()).finish()
    }
}

/// What the variables of `section` begin with.
fn prefix(section: &str) -> String {
    if section.eq_ignore_ascii_case("default") {
        return "AKAMAI_".to_owned();
    }
    let word: String = section
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    format!("AKAMAI_{word}_")
}
