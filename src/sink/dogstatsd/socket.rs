//! Where an Agent listens, and a socket to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::PathBuf;

use tokio::net::{UdpSocket, UnixDatagram, lookup_host};

/// The port of DogStatsD.
const PORT: u16 = 8125;

/// Where an Agent listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
    /// A Unix socket for datagrams.
    Unix(PathBuf),
}

impl Default for Address {
    fn default() -> Self {
        Self::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))
    }
}

/// As in exporter.ini.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(out),
            Self::Name(host, port) => write!(out, "{host}:{port}"),
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
        }
    }
}

impl Address {
    /// An address from exporter.ini. The forms of Datadog's own clients (`DD_DOGSTATSD_URL`) are understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("unix" | "unixgram", path)) => unix(text, path),
            Some(("udp", rest)) => inet(rest),
            Some(("unixstream", _)) => Err(format!(
                "`{text}` is a stream socket; expected the Agent's datagram socket (dogstatsd_socket), such as unix:///var/run/datadog/dsd.socket"
            )),
            Some(_) => Err(expected(text)),
            None => inet(text),
        }
    }

    /// The most bytes of a datagram. What Datadog recommends: over UDP, what one Ethernet frame holds; on a socket, the size of the Agent's
    /// buffer (`dogstatsd_buffer_size`).
    pub(super) fn most_bytes(&self) -> usize {
        match self {
            Self::Ip(_) | Self::Name(..) => 1_432,
            Self::Unix(_) => 8_192,
        }
    }

    /// Whether nothing but pauses keeps the receiver's buffer from being overrun.
    pub(super) fn needs_pauses(&self) -> bool {
        !matches!(self, Self::Unix(_))
    }

    /// Whether it is a name that has to be looked up.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Self::Name(..))
    }
}

fn expected(text: &str) -> String {
    format!(
        "`{text}` is no address of an Agent; expected one such as 127.0.0.1:8125, [::1]:8125, agent.local:8125 or unix:///var/run/datadog/dsd.socket"
    )
}

fn unix(text: &str, path: &str) -> Result<Address, String> {
    if !path.starts_with('/') {
        return Err(format!(
            "`{text}` has no absolute path; expected three slashes, as in unix:///var/run/datadog/dsd.socket"
        ));
    }
    // The system has a bound on it, about 100 bytes.
    UnixAddr::from_pathname(path).map_err(|error| format!("`{text}` cannot be a socket's path: {error}"))?;
    Ok(Address::Unix(path.into()))
}

fn inet(text: &str) -> Result<Address, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Address::Ip(SocketAddr::new(ip, PORT)));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { Err(expected(text)) } else { Ok(Address::Ip(address)) };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
        None => (text, Some(PORT)),
    };
    match port {
        Some(port) if is_host(host) => Ok(Address::Name(host.to_owned(), port)),
        _ => Err(expected(text)),
    }
}

/// A name with at least one letter: what has none was meant to be an IP address.
fn is_host(host: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 253 && host.split('.').all(is_part) && host.contains(|c: char| c.is_ascii_alphabetic())
}

/// A socket that is connected to an Agent, as far as a datagram socket is.
#[derive(Debug)]
pub(super) enum Socket {
    /// Over UDP.
    Udp {
        /// The socket.
        socket: UdpSocket,
        /// Whether a refusal is of the datagram that was just sent: on this machine it comes at once.
        is_prompt: bool,
    },
    /// On a Unix socket.
    Unix(UnixDatagram),
}

impl Socket {
    /// Reaches for `address`, whose name is looked up.
    pub(super) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Ip(address) => udp(*address).await,
            Address::Name(host, port) => {
                let found: Vec<_> = lookup_host((host.as_str(), *port)).await?.collect();
                // As Datadog's clients do: an Agent that listens on IPv4 only is reached through a name that has both.
                let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
                let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                udp(*first.ok_or_else(none)?).await
            }
            Address::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    /// Sends a datagram. Waits while there is no room for it.
    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(bytes).await.map(drop),
            Self::Udp { socket, is_prompt } => {
                socket.send(bytes).await?;
                let refusal = if *is_prompt { socket.take_error()? } else { None };
                refusal.map_or(Ok(()), Err)
            }
        }
    }
}

async fn udp(address: SocketAddr) -> io::Result<Socket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(Socket::Udp { socket, is_prompt: address.ip().is_loopback() })
}
