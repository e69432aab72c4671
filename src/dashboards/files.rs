//! Dashboards as files: all are read and judged before the first is written, and each is replaced as a whole.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::{Builder, NamedTempFile};

use super::bundled::DASHBOARDS;
use super::{Uid, parse, render, rewrite};

/// What stands for standard input on the command line.
pub const STANDARD_INPUT: &str = "-";

/// A dashboard that was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// What to call it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is in it.
    pub json: Value,
}

/// Where a dashboard comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It is one of ours.
    Bundled,
    /// Standard input.
    Input,
    /// This file.
    File(PathBuf),
}

/// Everything that is wrong, a sentence each.
#[derive(Debug, thiserror::Error)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.join("\n").fmt(out)
    }
}

/// Where rewritten dashboards go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Into this folder, under their own names.
    Folder(PathBuf),
    /// To where they came from.
    InPlace,
}

/// A dashboard that is ready to be written.
#[derive(Debug)]
pub struct Planned {
    /// What to call it.
    pub name: String,
    /// The file that it goes to.
    pub target: PathBuf,
    /// What goes there.
    pub text: String,
    /// How many references differ from what was read.
    pub changes: usize,
}

impl Planned {
    /// The folder of the target.
    fn folder(&self) -> &Path {
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }
}

/// Our own dashboards.
///
/// # Errors
///
/// Never, as a test shows.
pub fn bundled() -> Result<Vec<Document>, Mistakes> {
    all(DASHBOARDS
        .iter()
        .map(|bundled| document(bundled.name.to_owned(), Origin::Bundled, bundled.json.as_bytes())))
}

/// The dashboards in these files, `-` being standard input.
///
/// # Errors
///
/// All that cannot be read or is no dashboard.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Document>, Mistakes> {
    all(paths.iter().map(|path| {
        if path.as_os_str() == STANDARD_INPUT {
            let name = "standard input".to_owned();
            let bytes =
                read_all(&mut io::stdin()).map_err(|error| format!("{name} cannot be read: {error}"))?;
            return document(name, Origin::Input, &bytes);
        }
        let name = path.display().to_string();
        match fs::read(path) {
            Ok(bytes) => document(name, Origin::File(path.clone()), &bytes),
            Err(_) if path.is_dir() => Err(format!("{name} is a folder; name the files in it")),
            Err(error) => Err(format!("{name} cannot be read: {error}")),
        }
    }))
}

fn read_all(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map(|_| bytes)
}

fn document(name: String, origin: Origin, bytes: &[u8]) -> Result<Document, String> {
    match parse(bytes) {
        Ok(json) => Ok(Document { name, origin, json }),
        Err(error) => Err(format!("{name} {error}")),
    }
}

/// All that went well, or all that did not.
fn all<T>(results: impl Iterator<Item = Result<T, String>>) -> Result<Vec<T>, Mistakes> {
    let (mut done, mut mistakes) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(done) } else { Err(Mistakes(mistakes)) }
}

/// Rewrites all, and finds out where each goes.
///
/// # Errors
///
/// When two would go to the same file, or one over its own input without being asked to.
pub fn plan(documents: &[Document], datasource: &Uid, to: &Destination) -> Result<Vec<Planned>, Mistakes> {
    let mut taken: HashMap<PathBuf, &str> = HashMap::new();
    all(documents.iter().map(|document| {
        let name = &document.name;
        let rewritten = rewrite(&document.json, datasource).map_err(|error| format!("{name} {error}"))?;
        let target = target(document, to)?;
        if let Some(other) = taken.insert(target.clone(), name) {
            return Err(format!("{name} and {other} would both be written to {}", target.display()));
        }
        let text = render(&rewritten.document);
        Ok(Planned { name: name.clone(), target, text, changes: rewritten.changes })
    }))
}

fn target(document: &Document, to: &Destination) -> Result<PathBuf, String> {
    let name = &document.name;
    match (to, &document.origin) {
        (Destination::Folder(folder), Origin::File(file)) => {
            let own_name = file.file_name().ok_or_else(|| format!("{name} has no name"))?;
            let target = folder.join(own_name);
            if same(file, &target) {
                let words = "would be overwritten; name another folder with --output, or ask for --in-place";
                return Err(format!("{name} {words}"));
            }
            Ok(target)
        }
        (Destination::Folder(folder), Origin::Bundled | Origin::Input) => Ok(folder.join(name)),
        (Destination::InPlace, Origin::File(file)) => {
            // A link stays a link.
            let file = fs::canonicalize(file).map_err(|error| format!("{name} cannot be found: {error}"))?;
            if file.is_file() { Ok(file) } else { Err(format!("{name} is no file that could be replaced")) }
        }
        (Destination::InPlace, Origin::Bundled | Origin::Input) => Err(format!("{name} is no file")),
    }
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// What writing would do to a file.
#[derive(Debug)]
pub struct Finding {
    /// What it is called.
    pub name: String,
    /// What would become of it.
    pub verdict: Verdict,
}

/// What would become of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Unchanged,
    /// So many references would change.
    References(usize),
    /// It is one of ours, of another version or datasource.
    Outdated,
    /// It is one of ours and not there.
    Missing,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.verdict {
            Verdict::Unchanged => write!(out, "unchanged {name}"),
            Verdict::References(count) => write!(out, "would change {name}: {}", references(count)),
            Verdict::Outdated => write!(out, "would change {name}"),
            Verdict::Missing => write!(out, "would write {name}"),
        }
    }
}

/// So many references, in words.
#[must_use]
pub fn references(count: usize) -> String {
    format!("{count} reference{}", if count == 1 { "" } else { "s" })
}

/// What would change: in the documents, or, as ours always do, in what was written of ours to `folder`.
///
/// # Errors
///
/// When a document is no dashboard.
pub fn check(documents: &[Document], datasource: &Uid, folder: &Path) -> Result<Vec<Finding>, Mistakes> {
    all(documents.iter().map(|document| {
        let name = &document.name;
        let rewritten = rewrite(&document.json, datasource).map_err(|error| format!("{name} {error}"))?;
        if document.origin == Origin::Bundled {
            let written = folder.join(name);
            let verdict = match fs::read(&written) {
                Ok(bytes) if bytes == render(&rewritten.document).as_bytes() => Verdict::Unchanged,
                Ok(_) => Verdict::Outdated,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Verdict::Missing,
                Err(error) => return Err(format!("{} cannot be read: {error}", written.display())),
            };
            return Ok(Finding { name: written.display().to_string(), verdict });
        }
        let verdict = match rewritten.changes {
            0 => Verdict::Unchanged,
            changes => Verdict::References(changes),
        };
        Ok(Finding { name: name.clone(), verdict })
    }))
}

/// Writes all of them, or, whatever can be foreseen, none: each stands complete beside its target before the first is replaced.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write(planned: &[Planned]) -> Result<(), Mistakes> {
    let mut folders: Vec<&Path> = planned.iter().map(Planned::folder).collect();
    folders.dedup();
    for folder in folders {
        fs::create_dir_all(folder).map_err(|error| {
            Mistakes(vec![format!("the folder {} cannot be made: {error}", folder.display())])
        })?;
    }
    let one = |planned: &Planned, error: &io::Error| {
        Mistakes(vec![format!("{} cannot be written: {error}", planned.target.display())])
    };
    let staged = planned.iter().map(|planned| stage(planned).map_err(|error| one(planned, &error)));
    let staged: Vec<NamedTempFile> = staged.collect::<Result<_, _>>()?;
    for (file, planned) in staged.into_iter().zip(planned) {
        file.persist(&planned.target).map_err(|failed| one(planned, &failed.error))?;
    }
    Ok(())
}

/// The new content, in the folder of its target and with its permissions. It vanishes unless it is kept.
fn stage(planned: &Planned) -> io::Result<NamedTempFile> {
    let existing = match fs::metadata(&planned.target) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) => Some(metadata),
        Err(_) => None,
    };
    // What the umask takes away is not there for a new file.
    let mut file = Builder::new()
        .prefix(".dashboard-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(planned.folder())?;
    file.write_all(planned.text.as_bytes())?;
    if let Some(metadata) = existing {
        // Only root can give a file away; whoever cannot owns what is written.
        let _ = fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}
