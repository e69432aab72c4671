//! Packs lines into datagrams: as many as fit, none cut.

use std::fmt::Write;

use super::script::{Entry, Script};

/// A place in a script.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cursor {
    entry: usize,
    metric: usize,
}

/// A datagram, and what it takes its script to.
#[derive(Debug)]
pub(super) struct Packet {
    /// What is sent; empty if there was nothing but zeros and what is refused.
    pub(super) bytes: Vec<u8>,
    /// How many lines it has.
    pub(super) lines: u64,
    /// How many values before `next` cannot be sent, and why not the last of them.
    pub(super) refused: Option<(u64, String)>,
    /// Where the next one begins.
    pub(super) next: Cursor,
}

impl Packet {
    fn refuse(&mut self, why: String) {
        let before = self.refused.take().map_or(0, |(before, _)| before);
        self.refused = Some((before + 1, why));
    }

    /// Whether the line found room.
    fn push(&mut self, line: &str, most: usize) -> bool {
        let newline = usize::from(!self.bytes.is_empty());
        let fits = self.bytes.len() + newline + line.len() <= most;
        if fits {
            self.bytes.extend(b"\n".iter().take(newline));
            self.bytes.extend(line.bytes());
            self.lines += 1;
        }
        fits
    }
}

impl Script {
    /// The datagram that begins at `at`, with at most `most` bytes; nothing if the script is at its end.
    pub(super) fn packet(&self, at: Cursor, most: usize) -> Option<Packet> {
        self.value(at)?;
        let mut packet = Packet { bytes: Vec::with_capacity(most), lines: 0, refused: None, next: at };
        let mut line = String::new();
        while let Some((place, entry, value)) = self.value(packet.next) {
            match self.write(&mut line, entry, place.metric, value) {
                Ok(()) if line.len() > most => {
                    packet.refuse(format!("a line has {} bytes, more than a datagram's {most}", line.len()));
                }
                Ok(()) if line.is_empty() || packet.push(&line, most) => {}
                Ok(()) => break,
                Err(why) => packet.refuse(why),
            }
            packet.next = Cursor { metric: place.metric + 1, ..place };
        }
        Some(packet)
    }

    /// The first value at `at` or after it, with its place.
    fn value(&self, mut at: Cursor) -> Option<(Cursor, &Entry, f64)> {
        loop {
            let entry = self.entries.get(at.entry)?;
            if let Some(value) = entry.values.get(at.metric) {
                return Some((at, entry, *value));
            }
            at = Cursor { entry: at.entry + 1, metric: 0 };
        }
    }

    /// Writes a value's line; an empty one for a count of 0. Whole numbers come without fraction, and none with an exponent.
    fn write(&self, line: &mut String, entry: &Entry, metric: usize, value: f64) -> Result<(), String> {
        line.clear();
        let Some(name) = self.names.get(entry.sheet).and_then(|names| names.get(metric)) else {
            return Err("a value belongs to no metric".to_owned());
        };
        let name = name.as_ref().map_err(String::clone)?;
        if !value.is_finite() {
            return Err(format!("{name} is {value}, which is no number that can be sent"));
        }
        if self.kind == 'c' && value == 0.0 {
            return Ok(());
        }
        // Writing to a string does not fail.
        let _ = write!(line, "{name}:{value}|{}|#{}{}", self.kind, entry.tags, self.end);
        Ok(())
    }
}
