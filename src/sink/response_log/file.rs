//! A file of lines that is rotated: no half line, none lost, whoever else moves, cuts or writes the file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::line::{LONGEST_BEGINNING, time_of};

/// The owner writes, the group (a log shipper's) reads. The process' umask takes away from it.
const MODE: u32 = 0o640;

/// When a file is rotated, and how many rotated ones there may be.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Before it would become larger.
    pub(super) max_size: Option<u64>,
    /// When its first line is so old.
    pub(super) max_age: Option<TimeDelta>,
    /// So many files besides the current one.
    pub(super) keep: u64,
}

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    limits: Limits,
    current: Option<Current>,
    /// Whether the last attempt to rotate failed.
    is_stuck: bool,
}

/// The file as it is open.
#[derive(Debug)]
struct Current {
    file: File,
    identity: (u64, u64),
    /// What is none, such as /dev/stdout, is neither rotated nor shortened.
    is_regular: bool,
    /// When its first line was made.
    began: Option<DateTime<Utc>>,
    /// Whether it ends within a line.
    is_half: bool,
}

impl LogFile {
    /// The file at `path`, which is not opened yet.
    pub(super) fn new(path: PathBuf, limits: Limits) -> Self {
        Self { path, limits, current: None, is_stuck: false }
    }

    /// Closes the file, so that the next line opens it anew.
    pub(super) fn close(&mut self) {
        self.current = None;
    }

    /// Appends a line that was made at `time`, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// A sentence with path and cause.
    pub(super) fn append(&mut self, time: DateTime<Utc>, line: &[u8]) -> Result<(), String> {
        let mut current = self.open().map_err(|error| self.sentence("open", &error))?;
        let length = current.length().map_err(|error| self.sentence("read", &error))?;
        if self.is_due(&current, length, line, time) && self.rotated() {
            current = self.open().map_err(|error| self.sentence("open", &error))?;
        }
        let result = current.append(time, line).map_err(|error| self.sentence("write to", &error));
        self.current = Some(current);
        result
    }

    /// The file that is open, unless another one, or none, is at the path by now.
    fn open(&mut self) -> io::Result<Current> {
        let there = fs::metadata(&self.path).map(|metadata| identity(&metadata)).ok();
        match self.current.take() {
            Some(current) if there == Some(current.identity) => Ok(current),
            _ => Current::open(&self.path),
        }
    }

    fn is_due(&self, current: &Current, length: u64, line: &[u8], time: DateTime<Utc>) -> bool {
        let is_too_large = |most: u64| length.saturating_add(line.len() as u64) > most;
        let is_too_old = |most: TimeDelta| current.began.is_some_and(|began| time - began >= most);
        let is_over =
            self.limits.max_size.is_some_and(is_too_large) || self.limits.max_age.is_some_and(is_too_old);
        current.is_regular && length > 0 && is_over
    }

    /// Rotates, and tells it once if that is not possible: the file that is there is then written on.
    fn rotated(&mut self) -> bool {
        let result = self.rotate();
        let (was_stuck, path) = (self.is_stuck, self.path.display());
        self.is_stuck = result.is_err();
        match result {
            Err(error) if !was_stuck => {
                tracing::warn!(path = %path, "the response log cannot be rotated, so it grows on: {error}");
            }
            Ok(()) if was_stuck => tracing::info!(path = %path, "the response log is rotated again"),
            _ => {}
        }
        !self.is_stuck
    }

    /// Makes room for a new file: `path` becomes `path.1`, that one `path.2`, up to the first number that is free, else the last.
    fn rotate(&self) -> io::Result<()> {
        // Behind a symbolic link it is the file that moves, not the link.
        let path = fs::canonicalize(&self.path)?;
        let is_free = |number: &u64| fs::symlink_metadata(numbered(&path, *number)).is_err();
        let free = (1..self.limits.keep).find(is_free).unwrap_or(self.limits.keep);
        for number in (1..free).rev() {
            fs::rename(numbered(&path, number), numbered(&path, number + 1))?;
        }
        fs::rename(&path, numbered(&path, 1))
    }

    fn sentence(&self, verb: &str, error: &io::Error) -> String {
        format!("cannot {verb} {}: {error}", self.path.display())
    }
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let metadata = file.metadata()?;
        let mut current = Self {
            file,
            identity: identity(&metadata),
            is_regular: metadata.is_file(),
            began: metadata.modified().ok().map(DateTime::from),
            is_half: false,
        };
        if current.is_regular && metadata.len() > 0 {
            // A file that may be written but not read is none to fail for.
            let _ = current.look_into(path, metadata.len());
        }
        Ok(current)
    }

    /// Learns from a file that was there when its first line was made, and whether its last one is whole.
    fn look_into(&mut self, path: &Path, length: u64) -> io::Result<()> {
        let file = File::open(path)?;
        let mut last = [0];
        file.read_exact_at(&mut last, length - 1)?;
        self.is_half = last != *b"\n";
        let mut beginning = Vec::new();
        file.take(LONGEST_BEGINNING as u64).read_to_end(&mut beginning)?;
        self.began = time_of(&beginning).or(self.began);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn append(&mut self, time: DateTime<Utc>, line: &[u8]) -> io::Result<()> {
        // The clock may have been wrong.
        self.began = self.began.map(|began| began.min(time));
        if self.is_regular && self.length()? == 0 {
            // It is new, or was emptied underneath.
            (self.began, self.is_half) = (Some(time), false);
        }
        if self.is_half { self.write(&[b"\n", line].concat()) } else { self.write(line) }
    }

    /// Writes all of `bytes`, with one call as a rule, or takes back what was written of them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err(self.take_back(written, io::ErrorKind::WriteZero.into())),
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.take_back(written, error)),
            }
        }
        self.is_half = false;
        Ok(())
    }

    fn take_back(&mut self, written: usize, error: io::Error) -> io::Error {
        if written > 0 && self.shorten(written as u64).is_err() {
            // The next line begins on a line of its own.
            self.is_half = true;
        }
        error
    }

    /// Takes the last `written` bytes off, if they are still the last.
    fn shorten(&mut self, written: u64) -> io::Result<()> {
        let end = self.file.stream_position()?;
        if !self.is_regular || self.length()? != end {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.file.set_len(end.saturating_sub(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_before_somebody_elses_stays_and_ends_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut current = Current::open(&path).unwrap();
        current.write(b"half").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b" other\n").unwrap();
        let error = current.take_back(4, io::ErrorKind::StorageFull.into());
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        current.append(DateTime::UNIX_EPOCH, b"whole\n").unwrap();
        current.append(DateTime::UNIX_EPOCH, b"whole\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "half other\n\nwhole\nwhole\n");
        // Alone, it is taken back.
        current.write(b"half").unwrap();
        current.take_back(4, io::ErrorKind::StorageFull.into());
        current.append(DateTime::UNIX_EPOCH, b"whole\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "half other\n\nwhole\nwhole\nwhole\n");
    }
}
