//! Where an account's credentials come from, and reading them again when the file changes.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Credentials, Environment};

/// Where the credentials of one account come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// `AKAMAI_*`: they win over the file, as in Akamai's own tools.
    Environment {
        /// What messages call it.
        name: String,
    },
    /// A section of an `.edgerc` file.
    File {
        /// The file.
        path: PathBuf,
        /// Its section.
        section: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { name } => out.write_str(name),
            Self::File { path, section } => write!(out, "{} [{section}]", path.display()),
        }
    }
}

/// What of a file shows that it was changed, a swapped symbolic link included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        // The last also changes with owner and mode: a file that could not be read may be readable now.
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), size: metadata.len(), modified, changed }
    }
}

#[derive(Debug)]
struct State {
    credentials: Arc<Credentials>,
    /// None for the environment, which does not change.
    stamp: Option<Stamp>,
    /// Rises with each successful reading, so that whoever was refused knows to try again.
    generation: u64,
}

/// The credentials of one account, as fresh as their file.
#[derive(Debug)]
pub struct CredentialStore {
    origin: Origin,
    state: Mutex<State>,
}

impl CredentialStore {
    /// Finds the credentials: a complete set of variables for `section`, else that section of the file at `path`.
    /// Beside the store come warnings.
    ///
    /// # Errors
    ///
    /// A sentence that names the file, section and fields that are missing.
    pub fn open(
        environment: &Environment,
        path: &Path,
        section: &str,
    ) -> Result<(Self, Vec<String>), String> {
        let mut warnings = Vec::new();
        match environment.credentials(section) {
            Some(Ok(credentials)) => {
                let origin = Origin::Environment { name: environment.name(section) };
                return Ok((Self::holding(origin, credentials, None), warnings));
            }
            Some(Err(message)) => warnings.push(format!("{message}; the .edgerc file is used instead")),
            None => {}
        }
        let (credentials, stamp, more) = read(path, section).map_err(|message| match warnings.first() {
            Some(incomplete) => format!("{message}; {incomplete}"),
            None => message,
        })?;
        warnings.extend(more);
        let origin = Origin::File { path: path.to_owned(), section: section.to_owned() };
        Ok((Self::holding(origin, credentials, Some(stamp)), warnings))
    }

    fn holding(origin: Origin, credentials: Credentials, stamp: Option<Stamp>) -> Self {
        let state = State { credentials: Arc::new(credentials), stamp, generation: 0 };
        Self { origin, state: Mutex::new(state) }
    }

    /// Where they come from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The credentials, read again if the file has changed, and which reading they are. A file that has become
    /// unreadable leaves the old ones in use: it may be half written.
    pub fn current(&self) -> (Arc<Credentials>, u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Origin::File { path, section } = &self.origin {
            refresh(&mut state, path, section);
        }
        (Arc::clone(&state.credentials), state.generation)
    }
}

fn refresh(state: &mut State, path: &Path, section: &str) {
    // A file that is gone for a moment is being replaced.
    let Ok(metadata) = fs::metadata(path) else { return };
    let stamp = Some(Stamp::of(&metadata));
    if stamp == state.stamp {
        return;
    }
    state.stamp = stamp;
    match read(path, section) {
        Ok((credentials, stamp, warnings)) => {
            state.stamp = Some(stamp);
            state.credentials = Arc::new(credentials);
            state.generation += 1;
            tracing::info!(edgerc = %path.display(), section, "credentials read again");
            for warning in warnings {
                tracing::warn!("{warning}");
            }
        }
        Err(message) => tracing::error!("credentials not read again, the old ones stay in use: {message}"),
    }
}

fn read(path: &Path, section: &str) -> Result<(Credentials, Stamp, Vec<String>), String> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| format!("cannot read {name}: {error}");
    // The stamp is taken first: a change in between shows the next time.
    let metadata = fs::metadata(path).map_err(failed)?;
    let text = fs::read(path).map_err(failed)?;
    let (credentials, mut warnings) = Credentials::from_edgerc(&text, section, &name)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        warnings.push(format!(
            "{name} holds secrets and others can read it (mode {mode:o}); run: chmod 600 {name}"
        ));
    }
    Ok((credentials, Stamp::of(&metadata), warnings))
}
