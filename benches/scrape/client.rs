//! A blocking HTTP client that does no more than it must, so that it is the servers that are measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The one place where a benchmark looks at the clock.
#[expect(clippy::disallowed_methods, reason = "measuring is what it is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Who asks a server for `/metrics`.
pub(crate) struct Client(SocketAddr);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// A connection that stays open.
    pub(crate) fn connect(&self, is_gzip: bool) -> Result<Connection> {
        let stream = TcpStream::connect(self.0)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let accept = if is_gzip { "Accept-Encoding: gzip\r\n" } else { "" };
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n{accept}\r\n", self.0);
        Ok(Connection { stream, request: request.into_bytes(), buffer: vec![0; 1 << 16] })
    }

    /// One body over a connection of its own.
    pub(crate) fn once(&self, is_gzip: bool) -> Result<Vec<u8>> {
        let mut connection = self.connect(is_gzip)?;
        let (length, _) = connection.get()?;
        let end = connection.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let start = end.context("no end of the head")? + 4;
        Ok(connection.buffer[start..start + length].to_vec())
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Asks once; returns the body's length, and the time until its last byte was read. The answer stays in the buffer, which
    /// has grown to its size after the first.
    pub(crate) fn get(&mut self) -> Result<(usize, Duration)> {
        let began = now();
        self.stream.write_all(&self.request)?;
        let (mut filled, mut whole, mut length) = (0, None, 0);
        while whole.is_none_or(|whole| filled < whole) {
            let count = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(count > 0, "the connection ended early");
            filled += count;
            if whole.is_none()
                && let Some(head) = head(&self.buffer[..filled])?
            {
                length = head.length;
                whole = Some(head.bytes + length);
                if self.buffer.len() < head.bytes + length {
                    self.buffer.resize(head.bytes + length, 0);
                }
            }
        }
        Ok((length, began.elapsed()))
    }
}

struct Head {
    bytes: usize,
    length: usize,
}

fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
    if !text.starts_with("http/1.1 200 ") {
        bail!("answered {text}");
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.context("no length")?.trim().parse()?;
    Ok(Some(Head { bytes: end + 4, length }))
}
