//! A Datadog Agent as far as DogStatsD goes: it takes datagrams over UDP or a Unix socket, and reads them strictly, by rules of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use crate::process::PATIENCE;

/// What a datagram of the test's own says: all that was sent before it has been read.
const FLUSH: &[u8] = b"flush";

/// A line, taken apart.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    /// `c` or `g`.
    pub kind: char,
    pub value: f64,
    pub tags: BTreeMap<String, String>,
    /// The point's own time, in seconds.
    pub time: Option<i64>,
}

/// Where datagrams go to.
enum Way {
    Udp(u16),
    Unix(std::path::PathBuf),
}

/// The Agent.
pub struct Agent {
    way: Way,
    datagrams: Receiver<Vec<u8>>,
    most_bytes: usize,
    /// The size of the largest datagram so far, and their number.
    pub largest: usize,
    pub count: usize,
}

impl Agent {
    /// One that listens on a UDP port of the system's choice.
    pub fn on_udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let way = Way::Udp(socket.local_addr().unwrap().port());
        Self::reading(way, 1_432, move |buffer| socket.recv(buffer).unwrap())
    }

    /// One that listens at a path.
    pub fn on_unix(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        Self::reading(Way::Unix(path.to_owned()), 8_192, move |buffer| socket.recv(buffer).unwrap())
    }

    /// Reads without a pause, so that nothing is lost for want of room.
    fn reading(way: Way, most_bytes: usize, receive: impl Fn(&mut [u8]) -> usize + Send + 'static) -> Self {
        let (sender, datagrams) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let size = receive(&mut buffer);
                if sender.send(buffer[..size].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { way, datagrams, most_bytes, largest: 0, count: 0 }
    }

    /// The address, as exporter.ini has it.
    pub fn address(&self) -> String {
        match &self.way {
            Way::Udp(port) => format!("127.0.0.1:{port}"),
            Way::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// What has come since the last time. What was sent before this is called is among it.
    pub fn lines(&mut self) -> Vec<Line> {
        self.flush();
        let mut lines = Vec::new();
        loop {
            let datagram = self.datagrams.recv_timeout(PATIENCE).unwrap();
            if datagram == FLUSH {
                return lines;
            }
            assert!(datagram.len() <= self.most_bytes, "a datagram of {} bytes", datagram.len());
            self.largest = self.largest.max(datagram.len());
            self.count += 1;
            let text = std::str::from_utf8(&datagram).unwrap();
            assert!(!text.is_empty() && !text.ends_with('\n'), "{text:?}");
            lines.extend(text.split('\n').map(parse));
        }
    }

    fn flush(&self) {
        match &self.way {
            Way::Udp(port) => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.send_to(FLUSH, ("127.0.0.1", *port)).unwrap();
            }
            Way::Unix(path) => {
                UnixDatagram::unbound().unwrap().send_to(FLUSH, path).unwrap();
            }
        }
    }

    /// How many datagrams the system dropped before this Agent read them: that would be the test's fault, not the exporter's.
    pub fn dropped(&self) -> u64 {
        let Way::Udp(port) = self.way else { return 0 };
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        let place = format!("0100007F:{port:04X}");
        let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&place)).unwrap();
        row.split_whitespace().last().unwrap().parse().unwrap()
    }
}

/// Reads a line as "Datagram format and shell usage" of Datadog's documentation has it, protocol v1.3; whatever else there is fails the test.
///
/// `<name>:<value>|<c or g>|#<key>:<value>,...|T<seconds>`
pub fn parse(text: &str) -> Line {
    let fields: Vec<_> = text.split('|').collect();
    let [head, kind, tags, rest @ ..] = fields.as_slice() else { panic!("{text:?} is no line") };
    let (name, value) = head.split_once(':').unwrap();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_of_name), "{text:?}");
    assert!(name.len() <= 200 && !name.contains("__"), "{text:?}");
    assert!(value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-')), "{text:?}");
    let time = match rest {
        [] => None,
        [time] => Some(time.strip_prefix('T').unwrap().parse().unwrap()),
        _ => panic!("{text:?} has too many fields"),
    };
    let kind = match *kind {
        "c" => 'c',
        "g" => 'g',
        _ => panic!("{text:?} is neither count nor gauge"),
    };
    Line {
        name: name.to_owned(),
        kind,
        value: value.parse().unwrap(),
        tags: parse_tags(tags.strip_prefix('#').unwrap()),
        time,
    }
}

fn parse_tags(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeSet::new();
    let pairs = text.split(',').map(|tag| {
        let is_of_tag = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/');
        assert!(tag.starts_with(char::is_alphabetic) && tag.chars().all(is_of_tag), "{tag:?} in {text:?}");
        assert!(tag.chars().count() <= 200, "{tag:?}");
        let (key, value) = tag.split_once(':').unwrap();
        assert!(!value.is_empty() && keys.insert(key.to_owned()), "{tag:?} in {text:?}");
        (key.to_owned(), value.to_owned())
    });
    pairs.collect()
}
