//! A sink's section: its kind reads it; what sinks have to agree on is checked here.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use super::exporter::taken;
use super::{Exporter, SinkConfig, reader};
use crate::ini::{Problems, Section};
use crate::sink::{Kind, Opened, Options};

/// A sink's section before it is understood.
pub(super) struct Raw<'a> {
    pub(super) kind: &'static Kind,
    pub(super) name: String,
    pub(super) section: &'a Section,
}

pub(super) fn read_all(
    sections: &[Raw<'_>],
    exporter: &Exporter,
    problems: &mut Problems,
) -> Vec<SinkConfig> {
    let options = Options { labels: exporter.labels.clone(), taken: taken() };
    let mut sinks: Vec<SinkConfig> = Vec::new();
    for (at, raw) in sections.iter().enumerate() {
        if let Some(first) = sections[..at].iter().find(|first| first.name == raw.name) {
            let message = format!(
                "there is a sink `{}` in line {} already; give this one another name, as in [{} other]",
                raw.name, first.section.line, raw.kind.name
            );
            problems.add(raw.section.line, &raw.section.header, "", message);
            continue;
        }
        let mut section = reader(raw.section, raw.kind.keys, problems);
        let Some(opened) = (raw.kind.open)(&mut section, &options) else { continue };
        if let (Some(age), Some(other)) = (early(&opened), sinks.iter().find_map(|sink| early(&sink.opened)))
            && age != other
        {
            section.complain(
                "send_after",
                "differs from that of another sink; windows are sent at one age, so expected the same in all sections",
            );
        }
        let is_same = |sink: &&SinkConfig| match (&sink.opened, &opened) {
            (Opened::Answers { sink: one, .. }, Opened::Answers { sink: other, .. }) => {
                file(&one.address()) == file(&other.address())
            }
            _ => false,
        };
        if let Some(other) = sinks.iter().find(is_same) {
            section.complain(
                "path",
                format!("is the file of the sink `{}` too; expected a file of its own", other.name),
            );
        }
        sinks.push(SinkConfig { kind: raw.kind, name: raw.name.clone(), opened });
    }
    sinks
}

/// The file that a path names, however it does; the path itself where there is no such directory.
fn file(path: &str) -> PathBuf {
    let path = Path::new(path);
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn early(opened: &Opened) -> Option<TimeDelta> {
    match opened {
        Opened::Samples { early, .. } => *early,
        Opened::Answers { .. } => None,
    }
}

/// What sinks want of windows, if any sink takes samples: at which age those go that cannot wait.
#[must_use]
pub fn push(sinks: &[SinkConfig]) -> Option<Option<TimeDelta>> {
    let takes_samples = sinks.iter().any(|sink| matches!(sink.opened, Opened::Samples { .. }));
    takes_samples.then(|| sinks.iter().find_map(|sink| early(&sink.opened)))
}
