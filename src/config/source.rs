//! A source's section: what every source has is read here, the rest by its kind.

use std::sync::Arc;

use super::{Exporter, SourceConfig, source_keys};
use crate::clock::SharedClock;
use crate::ini::{Entry, Key, Problems, Reader, Section, nearest, value};
use crate::schedule::{CronExpression, Schedule};
use crate::snapshot::SourceInfo;
use crate::source::{KINDS, Kind};

pub(super) static KEYS: [Key; 3] = [
    Key { name: "account", default: "default" },
    Key { name: "polling_interval", default: "that of [exporter]" },
    Key { name: "schedule", default: "none" },
];

/// A source's section before it is understood.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) kind: &'static Kind,
    pub(super) name: String,
    /// Given where the section is an account's shorthand.
    pub(super) account: Option<String>,
    pub(super) section: Section,
}

/// The source that `cpcode` and `deliverynetwork` of an account are short for. Its entries keep the account's keys and
/// lines, so that what is wrong with them is reported where it stands.
pub(super) fn shorthand(account: &str, section: &Section) -> Option<Raw> {
    let kind = KINDS.iter().find(|kind| kind.name == "estats")?;
    let long = |entry: &Entry| {
        let name = match entry.name.as_str() {
            "cpcode" => "cpcodes",
            "deliverynetwork" => "delivery_networks",
            _ => return None,
        };
        Some(Entry { name: name.to_owned(), ..entry.clone() })
    };
    let entries: Vec<_> = section.entries.iter().filter_map(long).collect();
    // A key that stands twice has been reported with the account.
    let is_twice =
        entries.iter().enumerate().any(|(at, entry)| entries[..at].iter().any(|e| e.name == entry.name));
    let has_cpcode = entries.iter().any(|entry| entry.name == "cpcodes");
    let section = Section { entries, ..section.clone() };
    let (name, account) = (kind.name.to_owned(), Some(account.to_owned()));
    (has_cpcode && !is_twice).then_some(Raw { kind, name, account, section })
}

/// What a source's section is read against.
pub(super) struct Context<'a> {
    pub(super) exporter: &'a Exporter,
    pub(super) accounts: &'a [(String, &'a Section)],
    pub(super) clock: &'a SharedClock,
}

impl Context<'_> {
    pub(super) fn read_all(&self, sections: &[Raw], problems: &mut Problems) -> Vec<SourceConfig> {
        let mut sources: Vec<SourceConfig> = Vec::new();
        let mut seen: Vec<(String, String, usize)> = Vec::new();
        for raw in sections {
            let (account, source) = self.read(raw, problems);
            let line = raw.section.line;
            match seen.iter().find(|(a, name, _)| *a == account && *name == raw.name) {
                Some((_, name, first)) => {
                    let message = format!(
                        "account {account} has a source `{name}` in line {first} already; give this one another name, as in [{} other]",
                        raw.kind.name
                    );
                    problems.add(line, &raw.section.header, "", message);
                }
                None => seen.push((account, raw.name.clone(), line)),
            }
            sources.extend(source);
        }
        sources
    }

    /// The account's name, and the source unless something is wrong with it.
    fn read(&self, raw: &Raw, problems: &mut Problems) -> (String, Option<SourceConfig>) {
        let mut section = Reader::new(&raw.section, source_keys(raw.kind), problems);
        let account = raw.account.clone().or_else(|| section.get("account", |text| Ok(text.to_owned())));
        let account = account.unwrap_or_else(|| "default".to_owned());
        let is_known = self.accounts.iter().any(|(name, _)| *name == account);
        // Where there is no account at all, that is said once for the file.
        if !is_known && !self.accounts.is_empty() {
            let names = self.accounts.iter().map(|(name, _)| name.as_str());
            section.complain(
                "account",
                format!("there is no account `{account}`; {}", nearest(&account, names)),
            );
        }
        let schedule = self.schedule(&mut section);
        let source = (raw.kind.open)(&mut section, self.exporter.options);
        let (Some(schedule), Some(source)) = (schedule, source) else { return (account, None) };
        let info = SourceInfo {
            account: account.clone(),
            name: raw.name.clone(),
            kind: raw.kind.name,
            api: source.limits()[0].name,
            schedule: schedule.to_string(),
            interval: schedule.interval(self.clock.now()),
            targets: source.targets(),
        };
        let config = SourceConfig { kind: raw.kind, info: Arc::new(info), schedule, source };
        (account, Some(config))
    }

    fn schedule(&self, section: &mut Reader<'_>) -> Option<Schedule> {
        if section.has("schedule") && section.has("polling_interval") {
            section.complain("schedule", "stands beside polling_interval; expected one of the two");
            return None;
        }
        if section.has("schedule") {
            let cron = section.get("schedule", |text| text.parse::<CronExpression>())?;
            return Some(Schedule::Cron(Box::new(cron)));
        }
        if section.has("polling_interval") {
            return section.get("polling_interval", value::duration).map(Schedule::Every);
        }
        Some(Schedule::Every(self.exporter.polling_interval))
    }
}
