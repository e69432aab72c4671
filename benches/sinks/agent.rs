//! What listens where a Datadog Agent would, and counts lines.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tokio::time::Instant;

/// After the first datagram so long is counted.
const SPAN: Duration = Duration::from_secs(5);

/// If nothing comes for so long at first, nothing will.
const PATIENCE: Duration = Duration::from_secs(60);

/// After a pause as long as this all is there.
const END: Duration = Duration::from_secs(1);

/// A socket for datagrams.
pub(crate) enum Agent {
    Udp(UdpSocket),
    Unix(UnixDatagram, TempDir),
}

/// What came.
pub(crate) struct Heard {
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) lines: usize,
    pub(crate) took: Duration,
}

impl Agent {
    pub(crate) fn udp() -> Result<Self> {
        Ok(Self::Udp(UdpSocket::bind("127.0.0.1:0")?))
    }

    pub(crate) fn unix() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        Ok(Self::Unix(UnixDatagram::bind(directory.path().join("socket"))?, directory))
    }

    /// Where it listens, as exporter.ini has it.
    pub(crate) fn address(&self) -> Result<String> {
        Ok(match self {
            Self::Udp(socket) => socket.local_addr()?.to_string(),
            Self::Unix(_, directory) => format!("unix://{}", directory.path().join("socket").display()),
        })
    }

    /// Listens for a while, or until all has come.
    pub(crate) fn hear(&self) -> Result<Heard> {
        let mut heard = Heard { datagrams: Vec::new(), lines: 0, took: Duration::ZERO };
        let mut buffer = vec![0; 1 << 16];
        self.set_read_timeout(PATIENCE)?;
        let mut length = self.receive(&mut buffer)?;
        let first = Instant::now();
        self.set_read_timeout(END)?;
        loop {
            heard.took = first.elapsed();
            heard.lines += buffer[..length].split(|byte| *byte == b'\n').count();
            heard.datagrams.push(buffer[..length].to_vec());
            if heard.took >= SPAN {
                return Ok(heard);
            }
            length = match self.receive(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) => return Err(error.into()),
            };
        }
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.set_read_timeout(Some(timeout)),
            Self::Unix(socket, _) => socket.set_read_timeout(Some(timeout)),
        }
    }

    /// How long it takes to send these datagrams here with nothing else to do; nothing over UDP, where that would overrun the reader.
    pub(crate) fn send_all(&self, datagrams: &[Vec<u8>]) -> Result<Option<Duration>> {
        let Self::Unix(_, directory) = self else { return Ok(None) };
        let socket = UnixDatagram::unbound()?;
        socket.connect(directory.path().join("socket"))?;
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut buffer = vec![0; 1 << 16];
                datagrams.iter().try_for_each(|_| self.receive(&mut buffer).map(drop))
            });
            let began = Instant::now();
            datagrams.iter().try_for_each(|bytes| socket.send(bytes).map(drop))?;
            reader.join().map_err(|_| anyhow::anyhow!("the reader failed"))??;
            Ok(Some(began.elapsed()))
        })
    }

    /// Throws away what has come and was not read.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        self.set_nonblocking(true)?;
        while self.receive(&mut buffer).is_ok() {}
        Ok(self.set_nonblocking(false)?)
    }

    fn set_nonblocking(&self, is_nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.set_nonblocking(is_nonblocking),
            Self::Unix(socket, _) => socket.set_nonblocking(is_nonblocking),
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.recv(buffer),
            Self::Unix(socket, _) => socket.recv(buffer),
        }
    }
}
