//! `[exporter]`: the process.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader;
use crate::ini::{Key, Problems, Section, value};
use crate::snapshot::health;
use crate::source::{KINDS, Options};

pub(super) static KEYS: [Key; 8] = [
    Key { name: "polling_interval", default: "2m" },
    Key { name: "exporter_port", default: "9877" },
    Key { name: "listen_address", default: "all addresses" },
    Key { name: "state_directory", default: "none: counting starts anew with the process" },
    Key { name: "spool_size", default: "256M; 16M without state_directory" },
    Key { name: "labels", default: "none" },
    Key { name: "stale_after", default: "3" },
    Key { name: "legacy_metrics", default: "false" },
];

/// What `[exporter]` says.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// Where to listen.
    pub listen_address: SocketAddr,
    /// How far apart polls are, unless a source says otherwise.
    pub polling_interval: Duration,
    /// Where what is counted outlives the process.
    pub state_directory: Option<PathBuf>,
    /// How many bytes of samples may wait for sinks.
    pub spool_size: u64,
    /// Labels on every data series.
    pub labels: Vec<(String, String)>,
    /// After how many due polls data is too old to be shown.
    pub stale_after: u32,
    /// What concerns sources.
    pub options: Options,
}

pub(super) fn read(section: Option<&Section>, problems: &mut Problems) -> Exporter {
    let empty = Section::default();
    let mut section = reader(section.unwrap_or(&empty), &KEYS, problems);
    let port = section.get("exporter_port", |text| value::whole(text, 0, 65535));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let address = section.get("listen_address", listen_address);
    if let (Some((_, Some(written))), Some(port)) = (address, port)
        && written != port
    {
        section.complain("listen_address", format!("says port {written} and exporter_port says {port}"));
    }
    let (ip, written) = address.unwrap_or((IpAddr::V6(Ipv6Addr::UNSPECIFIED), None));
    let stale_after = section.get("stale_after", |text| value::whole(text, 1, 1000));
    Exporter {
        listen_address: SocketAddr::new(ip, written.or(port).unwrap_or(9877)),
        polling_interval: section
            .get("polling_interval", value::duration)
            .unwrap_or(Duration::from_secs(120)),
        state_directory: section.get_unless_empty("state_directory", state_directory),
        spool_size: section.get("spool_size", spool_size).unwrap_or(256 << 20),
        labels: section.get_unless_empty("labels", labels).unwrap_or_default(),
        stale_after: stale_after.and_then(|n| u32::try_from(n).ok()).unwrap_or(3),
        options: Options {
            legacy_metrics: section.get("legacy_metrics", value::boolean).unwrap_or_default(),
        },
    }
}

/// An address with or without a port: `0.0.0.0`, `127.0.0.1:9877`, `[::1]:9877`, `:9877`.
pub(super) fn listen_address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok((IpAddr::V6(Ipv6Addr::UNSPECIFIED), Some(port)));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map(|ip| (ip, None)).map_err(|_| {
        format!("`{text}` is no address; expected one such as 127.0.0.1, 0.0.0.0:9877, [::]:9877 or :9877")
    })
}

/// Room for some windows at least.
fn spool_size(text: &str) -> Result<u64, String> {
    match value::size(text)? {
        size if size >= 1 << 20 => Ok(size),
        _ => Err(format!("`{text}` is too little; expected 1M at least, such as 256M")),
    }
}

/// A directory, or the place of one in a directory that exists.
fn state_directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    match (path.is_dir(), path.exists(), parent.is_dir()) {
        (true, ..) | (_, false, true) => Ok(path),
        (_, true, _) => Err(format!("`{text}` is no directory")),
        _ => Err(format!("`{text}` is not there, nor is the directory that it would be in")),
    }
}

/// Labels that no metric has already.
fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let labels = value::labels(text)?;
    let taken = taken();
    match labels.iter().find(|(name, _)| taken.contains(name.as_str())) {
        Some((name, _)) => {
            Err(format!("the label `{name}` stands on metrics already; expected another name"))
        }
        None => Ok(labels),
    }
}

/// The labels that data series have.
pub(super) fn taken() -> BTreeSet<&'static str> {
    let families = KINDS.iter().flat_map(|kind| kind.families).chain(&health::ALL);
    families.flat_map(|family| family.labels).copied().chain(["account", "source"]).collect()
}
