//! `exporter.ini`: what may stand there, what it means, and everything that is wrong with it, at once.
//!
//! The sections `[exporter]` and `[akamai]` are understood here; a source's section is handed to its kind, which knows
//! its own keys. `docs/configuration.md` describes every key, and a test holds the two together.

mod account;
mod exporter;
mod sink;
mod source;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::akamai::credentials::{CredentialStore, Environment};
use crate::akamai::{Manners, SwitchKey};
use crate::clock::SharedClock;
use crate::ini::{self, Key, Problems, Reader, Section, nearest};
use crate::schedule::{Schedule, kept_interval};
use crate::sink::{self as sinks, Opened};
use crate::snapshot::SourceInfo;
use crate::source::{KINDS, Kind, Source};

pub use exporter::Exporter;
pub use sink::push;

/// All that `exporter.ini` says.
#[derive(Debug)]
pub struct Config {
    /// The process.
    pub exporter: Exporter,
    /// The accounts, by name.
    pub accounts: Vec<AccountConfig>,
    /// The sources, each of one of the accounts.
    pub sources: Vec<SourceConfig>,
    /// Where data goes besides `/metrics`.
    pub sinks: Vec<SinkConfig>,
    /// What is no mistake, yet worth a word.
    pub warnings: Vec<String>,
}

/// An `[akamai]` section.
#[derive(Debug)]
pub struct AccountConfig {
    /// Its name, `default` where it has none.
    pub name: String,
    /// The credentials that were found.
    pub credentials: Arc<CredentialStore>,
    /// Which account the client acts for.
    pub switch_key: SwitchKey,
    /// How it behaves towards Akamai.
    pub manners: Manners,
}

/// A source's section.
#[derive(Debug)]
pub struct SourceConfig {
    /// What it is.
    pub kind: &'static Kind,
    /// Its description.
    pub info: Arc<SourceInfo>,
    /// When it is polled.
    pub schedule: Schedule,
    /// What it asks.
    pub source: Arc<dyn Source>,
}

/// A sink's section.
#[derive(Debug)]
pub struct SinkConfig {
    /// What it is.
    pub kind: &'static sinks::Kind,
    /// The section's name, or the kind's where it has none.
    pub name: String,
    /// The sink.
    pub opened: Opened,
}

/// The sections that are neither sources nor sinks, with their keys.
pub static SECTIONS: [(&str, &[Key]); 2] = [("exporter", &exporter::KEYS), ("akamai", &account::KEYS)];

/// The keys that every source has.
pub static SOURCE_KEYS: &[Key] = &source::KEYS;

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn load(path: &Path, environment: &Environment, clock: &SharedClock) -> Result<Self, Problems> {
        let mut problems = Problems::of(path);
        match std::fs::read(path) {
            Ok(bytes) => Self::read(&bytes, problems, environment, clock),
            Err(error) => {
                problems.add(0, "", "", format!("cannot be read: {error}; name the file with --config.file"));
                Err(problems)
            }
        }
    }

    /// Reads the file's content.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn read(
        bytes: &[u8],
        mut problems: Problems,
        environment: &Environment,
        clock: &SharedClock,
    ) -> Result<Self, Problems> {
        let document = ini::parse(bytes, &mut problems);
        let sections = Sections::sort(&document.sections, &mut problems);
        let mut warnings = Vec::new();
        let exporter = exporter::read(sections.exporter, &mut problems);
        let mut accounts = Vec::new();
        for (name, section) in &sections.accounts {
            accounts.extend(account::read(name, section, environment, &mut warnings, &mut problems));
        }
        let context = source::Context { exporter: &exporter, accounts: &sections.accounts, clock };
        let sources = context.read_all(&sections.sources, &mut problems);
        let sinks = sink::read_all(&sections.sinks, &exporter, &mut problems);
        if sections.accounts.is_empty() {
            problems.add(0, "", "", "there is no [akamai] section; expected one that names the credentials");
        } else if sections.sources.is_empty() && problems.is_empty() {
            problems.add(
                0,
                "",
                "",
                "there is nothing to poll; expected cpcode in [akamai], or a section such as [estats]",
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        warnings.extend(shared_clients(&accounts));
        warnings.extend(overloads(&accounts, &sources));
        Ok(Self { exporter, accounts, sources, sinks, warnings })
    }

    /// The address to listen on, unless the command line names another.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.exporter.listen_address
    }
}

/// The sections by kind.
struct Sections<'a> {
    exporter: Option<&'a Section>,
    accounts: Vec<(String, &'a Section)>,
    sources: Vec<source::Raw>,
    sinks: Vec<sink::Raw<'a>>,
}

impl<'a> Sections<'a> {
    fn sort(sections: &'a [Section], problems: &mut Problems) -> Self {
        let mut sorted =
            Self { exporter: None, accounts: Vec::new(), sources: Vec::new(), sinks: Vec::new() };
        for section in sections {
            sorted.place(section, problems);
        }
        sorted
    }

    fn place(&mut self, section: &'a Section, problems: &mut Problems) {
        let (kind, name) = match section.header.split_once(char::is_whitespace) {
            Some((kind, name)) => (kind.to_ascii_lowercase(), Some(name.trim().to_owned())),
            None => (section.header.to_ascii_lowercase(), None),
        };
        let found = KINDS.iter().find(|known| known.name == kind);
        if let Some(kind) = sinks::KINDS.iter().find(|known| known.name == kind) {
            let name = name.unwrap_or_else(|| kind.name.to_owned());
            self.sinks.push(sink::Raw { kind, name, section });
            return;
        }
        match (kind.as_str(), found) {
            ("", _) => {
                for entry in &section.entries {
                    problems.add(entry.line, "", &entry.key, "stands before any [section]");
                }
            }
            ("exporter", _) if name.is_some() => {
                problems.add(section.line, &section.header, "", "takes no name; there is one process");
            }
            ("exporter", _) => match self.exporter {
                Some(first) => repeated(section, first.line, problems),
                None => self.exporter = Some(section),
            },
            ("akamai", _) => self.place_account(name, section, problems),
            (_, Some(kind)) => {
                let name = name.unwrap_or_else(|| kind.name.to_owned());
                self.sources.push(source::Raw { kind, name, account: None, section: section.clone() });
            }
            (kind, None) => {
                let sections = SECTIONS.iter().map(|(name, _)| *name);
                let kinds =
                    KINDS.iter().map(|kind| kind.name).chain(sinks::KINDS.iter().map(|kind| kind.name));
                let known = sections.chain(kinds);
                let message = format!("unknown section; {}", nearest(kind, known));
                problems.add(section.line, &section.header, "", message);
            }
        }
    }

    fn place_account(&mut self, name: Option<String>, section: &'a Section, problems: &mut Problems) {
        let name = name.unwrap_or_else(|| "default".to_owned());
        if let Some((_, first)) = self.accounts.iter().find(|(known, _)| *known == name) {
            return repeated(section, first.line, problems);
        }
        self.sources.extend(source::shorthand(&name, section));
        self.accounts.push((name, section));
    }
}

fn repeated(section: &Section, first: usize, problems: &mut Problems) {
    let message = format!("repeated; it stands in line {first} already, and a second one needs another name");
    problems.add(section.line, &section.header, "", message);
}

/// The keys of a source of `kind`.
fn source_keys(kind: &'static Kind) -> impl Iterator<Item = &'static Key> + Clone {
    SOURCE_KEYS.iter().chain(kind.keys)
}

/// Which accounts draw on one API client's limits, each within its own share.
fn shared_clients(accounts: &[AccountConfig]) -> Vec<String> {
    let pairs = accounts
        .iter()
        .enumerate()
        .flat_map(|(at, one)| accounts[at + 1..].iter().map(move |other| (one, other)));
    let is_shared = |(one, other): &(&AccountConfig, &AccountConfig)| {
        one.manners.share + other.manners.share > 1.0
            && one.credentials.current().0.is_same_client(&other.credentials.current().0)
    };
    let words = |(one, other): (&AccountConfig, &AccountConfig)| {
        let (one, other) = (&one.name, &other.name);
        format!(
            "accounts {one} and {other} use the same API client, whose limits they share: lower rate_limit_share in both"
        )
    };
    pairs.filter(is_shared).map(words).collect()
}

/// Which sources do not fit into their intervals, with the limits as documented.
fn overloads(accounts: &[AccountConfig], sources: &[SourceConfig]) -> Vec<String> {
    let mut warnings = Vec::new();
    for account in accounts {
        for (own, source) in sources.iter().enumerate().filter(|(_, s)| s.info.account == account.name) {
            let (demands, place) = demands(sources, own);
            let limit = source.source.limits()[0].per_minute;
            let (info, budget) = (&source.info, f64::from(limit) * account.manners.share);
            let kept = kept_interval(info.interval, info.targets.len(), &demands, place, budget);
            if kept > info.interval {
                let name = format!("account {}, source {}", source.info.account, source.info.name);
                warnings.push(format!("{name}: {}", info.overload(limit, kept)));
            }
        }
    }
    warnings
}

/// Requests a minute that each source wants which shares the budget of the `own`-th, and which of them that is.
#[must_use]
pub fn demands(sources: &[SourceConfig], own: usize) -> (Vec<f64>, usize) {
    let shares = |source: &SourceConfig| {
        (source.info.account.as_str(), source.info.api)
            == (sources[own].info.account.as_str(), sources[own].info.api)
    };
    let demand =
        |source: &SourceConfig| 60.0 * source.info.targets.len() as f64 / source.info.interval.as_secs_f64();
    let place = sources[..own].iter().filter(|source| shares(source)).count();
    (sources.iter().filter(|source| shares(source)).map(demand).collect(), place)
}

/// A reader of a section that may not be there.
fn reader<'a>(section: &'a Section, keys: &'static [Key], problems: &'a mut Problems) -> Reader<'a> {
    Reader::new(section, keys.iter(), problems)
}

#[cfg(test)]
mod tests;
